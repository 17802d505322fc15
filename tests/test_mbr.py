"""The translation that agrees best with all that were drawn."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.chrf import CHRF

from nmt import mbr
from nmt.errors import RecipeError
from nmt.mbr import choose
from nmt.metrics import pairwise_chrf

texts = st.lists(st.text(alphabet="ab ü.", max_size=12), min_size=1, max_size=6)


def one_by_one(hypotheses: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """The same from sacreBLEU itself."""
    metric = CHRF()
    return np.array([[metric.sentence_score(text, [other]).score for other in references] for text in hypotheses])


@settings(deadline=None, max_examples=80)
@given(texts)
def test_pairwise_chrf_is_what_sacrebleu_says_of_each_two(candidates: list[str]) -> None:
    np.testing.assert_allclose(pairwise_chrf(candidates), one_by_one(candidates, candidates), atol=1e-9)


@settings(deadline=None, max_examples=80)
@given(texts)
def test_the_choice_has_the_greatest_mean_utility_and_is_the_first_that_has(candidates: list[str]) -> None:
    expected = one_by_one(candidates, candidates).mean(axis=1)
    chosen = choose(candidates)
    assert expected[chosen] >= expected.max() - 1e-6
    assert not (expected[:chosen] > expected[chosen] + 1e-6).any()
    assert candidates.index(candidates[chosen]) == chosen


def test_a_text_counts_as_often_as_it_was_drawn() -> None:
    few = ["the cat sat on the mat", "the cat sat on a mat", "completely different words here"]
    assert choose(few) != 2
    assert choose([*few, few[2]]) == 2


@pytest.mark.parametrize("candidates", [["ab cd", "xy zw"], ["xy zw", "ab cd"], ["", "", "a"][:2], ["ab", "ab"]])
def test_a_tie_goes_to_the_first(candidates: list[str]) -> None:
    assert choose(candidates) == 0


def test_where_all_are_the_same_nothing_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mbr.UTILITIES, "chrf", lambda _: pytest.fail("compared"))
    assert choose(["same"] * 64) == 0


def test_texts_are_compared_once_however_often_they_were_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Sequence[str]] = []
    monkeypatch.setitem(mbr.UTILITIES, "chrf", lambda given: seen.append(given) or pairwise_chrf(given))
    choose(["b", "a", "b", "b", "c", "a"])
    assert seen == [["b", "a", "c"]]


def test_an_unknown_utility_is_refused_with_those_there_are() -> None:
    with pytest.raises(RecipeError, match="utility: found 'comet'; choose one of 'chrf'"):
        choose(["a", "b"], utility="comet")
