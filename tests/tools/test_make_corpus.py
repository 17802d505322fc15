"""A corpus to measure with: as many pairs as asked for, all different, always the same."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from make_corpus import main


def lines(out: Path, language: str) -> list[str]:
    text = out.with_name(f"{out.name}.{language}").read_text(encoding="utf-8")
    assert text.endswith("\n")
    return text[:-1].split("\n")


def make(out: Path, pairs: int) -> list[tuple[str, str]]:
    result = CliRunner().invoke(main, [str(pairs), str(out)])
    assert result.exit_code == 0, result.output
    return list(zip(lines(out, "de"), lines(out, "en"), strict=True))


def test_all_pairs_differ_and_a_larger_corpus_begins_with_the_smaller(tmp_path: Path) -> None:
    large = make(tmp_path / "deep" / "large", 45_000)
    assert len(set(large)) == 45_000
    assert make(tmp_path / "small", 10) == large[:10]
    chars = sorted(len(src) for src, _ in large)
    assert 20 < chars[len(chars) // 10] < chars[len(chars) // 2] < chars[-1] < 250


@pytest.mark.parametrize("pairs", ["0", "many"])
def test_no_pairs_are_refused(tmp_path: Path, pairs: str) -> None:
    assert CliRunner().invoke(main, [pairs, str(tmp_path / "x")]).exit_code == 2
