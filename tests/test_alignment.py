"""Which words go together, and how much of the source was looked at."""

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.alignment import align, coverage_penalty, pharaoh

SIGN = "\u2581"


def pieces(word: str, cuts: Sequence[int]) -> list[str]:
    """A word in pieces, cut after so many characters each; the sign may come to stand alone."""
    written, found = SIGN + word, []
    for cut in cuts:
        found.append(written[:cut])
        written = written[cut:]
    return [piece for piece in [*found, written] if piece]


words = st.lists(
    st.tuples(st.sampled_from(["a", "Haus", "z.B.", "日本"]), st.lists(st.integers(1, 3), max_size=3)), max_size=5
)


@settings(deadline=None)
@given(words, words, st.data())
def test_each_target_word_goes_with_the_source_word_whose_tokens_it_looks_at(
    src: list[tuple[str, list[int]]], tgt: list[tuple[str, list[int]]], data: st.DataObject
) -> None:
    src_words, tgt_words = [pieces(*word) for word in src], [pieces(*word) for word in tgt]
    src_tokens, tgt_tokens = ([piece for word in side for piece in word] for side in (src_words, tgt_words))
    if not src or not tgt:
        assert align(torch.ones(len(tgt_tokens) + 1, len(src_tokens) + 1), src_tokens, tgt_tokens) == []
        return
    attention = torch.full((len(tgt_tokens) + 1, len(src_tokens) + 1), 1e-4)
    attention[-1] = attention[:, -1] = 9.0  # eos says nothing of words
    wanted, row = [], 0
    for number, word in enumerate(tgt_words):
        partner = data.draw(st.integers(0, len(src) - 1))
        begin = sum(len(other) for other in src_words[:partner])
        for _ in word:
            attention[row, begin + data.draw(st.integers(0, len(src_words[partner]) - 1))] = 1.0
            row += 1
        wanted.append((partner, number))
    assert align(attention, src_tokens, tgt_tokens) == wanted


def test_shares_add_up_over_a_source_word_and_are_averaged_over_a_target_word() -> None:
    src = [SIGN + "ab", SIGN + "c", "d", "e"]  # the second word has the sum of three small shares
    assert align(torch.tensor([[0.4, 0.2, 0.2, 0.2]]), src, [SIGN + "x"]) == [(1, 0)]
    twice = torch.tensor([[0.9, 0.1, 0.0, 0.0], [0.2, 0.0, 0.8, 0.0], [0.2, 0.0, 0.0, 0.8]])
    assert align(twice, src, [SIGN + "x", "y", "z"]) == [(1, 0)]
    assert align(twice, src, [SIGN + "x", SIGN + "y", "z"]) == [(0, 0), (1, 1)]


def test_a_tie_goes_to_the_first_word() -> None:
    assert align(torch.full((1, 3), 0.25), [SIGN + "a", SIGN + "b", SIGN + "c"], [SIGN + "x"]) == [(0, 0)]


def test_a_space_sign_alone_is_no_word() -> None:
    tokens = [SIGN, SIGN + "a", SIGN, "b", SIGN]
    attention = torch.eye(5)
    assert align(attention, tokens, tokens) == [(0, 0), (1, 1)]
    assert align(torch.ones(1, 1), [SIGN], [SIGN]) == []


def test_other_tools_read_it() -> None:
    assert pharaoh([(0, 0), (2, 1), (2, 2)]) == "0-0 2-1 2-2"
    assert pharaoh([]) == ""


def test_the_coverage_penalty_is_that_of_the_equation() -> None:
    attention = torch.tensor([[0.7, 0.2, 0.1], [0.6, 0.1, 0.3]])
    wanted = 0.2 * (math.log(1.0) + math.log(0.3) + math.log(0.4))
    assert coverage_penalty(attention, 0.2) == pytest.approx(wanted, rel=1e-6)
    assert coverage_penalty(torch.eye(4), 0.2) == 0
    assert coverage_penalty(attention, 0.0) == 0


def test_what_was_never_looked_at_costs_much_but_not_everything() -> None:
    penalty = coverage_penalty(torch.tensor([[1.0, 0.0]]), 0.2)
    assert -20 < penalty < -10
