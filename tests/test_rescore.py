"""N-best lists, read and sorted anew."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_ensemble import sibling, stranger
from toy_run import TinyRun, nmt

from nmt import rescore as module
from nmt.errors import DataError, RecipeError
from nmt.loading import load
from nmt.rescore import Candidate, read_n_best, rescore
from nmt.scoring import score_pairs
from nmt.translator import Translator

tidy = st.lists(st.sampled_from(["|||", "||", "Haus", "1", "-0.5", "ü"]), max_size=5).map(" ".join)
scores = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))


def lists_of(*texts: Sequence[str]) -> list[list[Candidate]]:
    """Sentences of candidates, all of one score."""
    return [[Candidate(number, text, -1.0) for text in of_one] for number, of_one in enumerate(texts)]


@pytest.fixture(scope="module")
def exact(tiny: TinyRun) -> Translator:
    return load(tiny.run, engine="exact")


@given(st.lists(st.lists(st.tuples(tidy, scores), min_size=1, max_size=3), max_size=4))
def test_what_is_written_is_read_again_bars_and_all(sentences: list[list[tuple[str, float]]]) -> None:
    lists = [[Candidate(number, *one) for one in of_one] for number, of_one in enumerate(sentences)]
    assert list(read_n_best((str(one) for of_one in lists for one in of_one), "list")) == lists


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["0 ||| a ||| -1", "0 ||| a"], "list:2: found '0 ||| a', but wanted is `number ||| text ||| score`"),
        (["a"], "list:1: found 'a', but wanted is"),
        (["-1 ||| a ||| -1"], "list:1: found '-1 ||| a ||| -1', but wanted is"),
        (["\u0663 ||| a ||| -1"], "list:1: found"),
        (["0 ||| a ||| -1", "0 ||| a ||| nan"], "list:2: the score is 'nan', but it must be a number"),
        (["0 ||| a ||| "], "list:1: the score is '', but it must be a number; is the line cut off?"),
        (["1 ||| a ||| -1"], "list:1: sentence 1, but wanted is 0: sentences count from 0"),
        (["0 ||| a ||| -1", "2 ||| a ||| -1"], "list:2: sentence 2, but wanted is 1 or one more of 0: "),
        (
            ["0 ||| a ||| -1", "1 ||| a ||| -1", "0 ||| b ||| -1"],
            "list:3: sentence 0, but wanted is 2 or one more of 1",
        ),
    ],
)
def test_a_line_that_is_none_of_a_list_is_told_with_its_number(lines: list[str], words: str) -> None:
    with pytest.raises(DataError, match=re.escape(words)):
        list(read_n_best(lines, "list"))


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (0.5, 2.0), (1.0, -3.0)])
def test_what_counts_is_the_weighted_sum_best_first(
    exact: Translator, tiny: TinyRun, weights: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LISTS_TOGETHER", 4)
    sources = tiny.sources[:9]
    targets = [tgt for _, tgt in tiny.pairs]
    lists = [[Candidate(n, targets[n + k], -0.7 * k) for k in range(3)] for n in range(len(sources))]
    found = list(rescore(iter(lists), iter(sources), [exact], weights))
    for candidates, source, ours in zip(lists, sources, found, strict=True):
        theirs = [one.score for one in score_pairs(exact, [(source, one.text) for one in candidates])]
        totals = {
            one.text: weights[0] * one.score + weights[1] * score for one, score in zip(candidates, theirs, strict=True)
        }
        assert [one.text for one in ours] == sorted(totals, key=lambda text: -totals[text])
        assert [one.score for one in ours] == pytest.approx([totals[one.text] for one in ours], abs=1e-5)
        assert {one.number for one in ours} == {candidates[0].number}


def test_scorers_of_other_tokenizers_help_too(exact: Translator, tiny: TinyRun, tmp_path: Path) -> None:
    other = load(stranger(tiny.run, tmp_path / "other"), engine="exact")
    texts = [tgt for _, tgt in tiny.pairs[:3]]
    [found] = rescore(lists_of(texts), tiny.sources[:1], [exact, other], [0.0, 1.0, 1.0])
    pairs = [(tiny.sources[0], text) for text in texts]
    sums = [a.score + b.score for a, b in zip(score_pairs(exact, pairs), score_pairs(other, pairs), strict=True)]
    assert {one.text: one.score for one in found} == pytest.approx(dict(zip(texts, sums, strict=True)), abs=1e-4)


def test_a_tie_leaves_the_order_and_a_blank_line_its_blank_translation(exact: Translator) -> None:
    found = list(rescore(lists_of(["b", "a", "c"], [""]), ["Er kommt.", ""], [exact], [1.0, 0.0]))
    assert [one.text for one in found[0]] == ["b", "a", "c"]
    assert found[1] == [Candidate(1, "", -1.0)]


@pytest.mark.parametrize(
    ("lists", "sources", "words"),
    [(1, 2, "the list ends after 1 sentences, but there are more source lines"), (3, 2, "the source ends after 2 sen")],
)
def test_lists_and_source_lines_go_together(exact: Translator, lists: int, sources: int, words: str) -> None:
    def lines() -> Iterator[str]:
        yield from ["Er kommt."] * sources

    with pytest.raises(DataError, match=words):
        list(rescore(lists_of(*[["a"]] * lists), lines(), [exact], [1.0, 1.0]))


@pytest.mark.parametrize("weights", [[], [1.0], [1.0, 1.0, 1.0], [1.0, float("nan")]])
def test_there_is_a_weight_for_each(exact: Translator, weights: list[float]) -> None:
    with pytest.raises(RecipeError, match=r"weights: found .*, but wanted are 2 numbers"):
        list(rescore(lists_of(["a"]), ["a"], [exact], weights))


def test_the_command_sorts_what_translate_wrote(tiny: TinyRun, tmp_path: Path) -> None:
    source, listed = tmp_path / "src", tmp_path / "list"
    source.write_text("".join(f"{line}\n" for line in tiny.sources[:12]), encoding="utf-8")
    assert nmt("translate", tiny.run, source, "--n-best", 3, "-o", listed).code == 0
    other = sibling(tiny.run, tmp_path / "other", noise=0.5)
    left = nmt("rescore", listed, source, "--run", tiny.run, 0)
    assert (left.code, left.text) == (0, listed.read_text(encoding="utf-8"))
    changed = nmt("rescore", listed, source, "--run", other, 1, "--run", tiny.run, 0.5, "--own-weight", 0)
    assert changed.code == 0, changed.err
    assert changed.text != left.text
    assert {line.split(" ||| ")[1] for line in changed.text.split("\n")[:-1]} == {
        line.split(" ||| ")[1] for line in left.text.split("\n")[:-1]
    }
    best = nmt("rescore", listed, source, "--run", tiny.run, 0, "--best", "-o", tmp_path / "best")
    assert (best.code, best.text) == (0, "")
    assert (tmp_path / "best").read_text(encoding="utf-8") == nmt("translate", tiny.run, source).text


def test_the_command_says_where_a_list_is_broken_and_leaves_the_output_as_it_was(tiny: TinyRun, tmp_path: Path) -> None:
    for name, text in (("src", "a\n"), ("list", "0 ||| a ||| -1\n1 ||| b\n"), ("out", "before")):
        (tmp_path / name).write_text(text)
    result = nmt("rescore", tmp_path / "list", tmp_path / "src", "--run", tiny.run, 1, "-o", tmp_path / "out")
    assert result.code == 1
    assert f"{tmp_path / 'list'}:2: found '1 ||| b'" in result.err
    assert (tmp_path / "out").read_text() == "before"
    assert nmt("rescore", tmp_path / "list", tmp_path / "src").code == 2  # no run
