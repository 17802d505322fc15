"""Greedy search."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import BOS, EOS, SUPPRESSED, ToyModel, ToyState, run_greedy

from nmt.errors import NmtError
from nmt.search.greedy import greedy_search
from nmt.search.penalty import LengthPenalty

AVERAGE = LengthPenalty("average")


def follow(model: ToyModel, seed: int, max_length: int) -> tuple[tuple[int, ...], bool]:
    """Greedy search of one sentence by hand: its ids, and whether the limit cut it."""
    ids: tuple[int, ...] = ()
    while True:
        log_probs = model.log_probs(seed, (BOS, *ids))
        best = max((EOS, *model.words), key=lambda token: float(log_probs[token]))
        if best == EOS or len(ids) == max_length:
            return ids, best != EOS
        ids = (*ids, best)


@settings(deadline=None)
@given(
    seeds=st.lists(st.integers(0, 10**6), min_size=1, max_size=6),
    lengths=st.lists(st.integers(0, 12), min_size=6, max_size=6),
    eos_bonus=st.sampled_from([-2.0, 0.0, 2.0]),
)
def test_greedy_takes_the_best_token_until_eos_or_the_limit(
    seeds: list[int], lengths: list[int], eos_bonus: float
) -> None:
    model = ToyModel(eos_bonus=eos_bonus)
    found = run_greedy(model, seeds, lengths[: len(seeds)], AVERAGE)
    for seed, max_length, hypothesis in zip(seeds, lengths[: len(seeds)], found, strict=True):
        assert (hypothesis.ids, hypothesis.truncated) == follow(model, seed, max_length)
        assert list(hypothesis.token_log_probs) == model.token_log_probs(seed, hypothesis.ids)
        assert hypothesis.score == pytest.approx(sum(hypothesis.token_log_probs) / (len(hypothesis.ids) + 1))


def test_a_finished_sentence_leaves_the_batch_at_once() -> None:
    model = ToyModel(eos_bonus=-50.0)
    run_greedy(model, [1, 2, 3], [2, 0, 1], AVERAGE)
    assert model.rows_seen == [3, 2, 1]


def test_suppressed_ids_are_never_produced_however_likely() -> None:
    model = ToyModel()
    likely = torch.tensor([0.3, 0.3, 0.01, 0.3, 0.05, 0.01, 0.01, 0.01, 0.01]).log()

    def step(prev_ids: torch.Tensor, state: ToyState) -> tuple[torch.Tensor, ToyState]:
        return likely.expand(len(prev_ids), -1), model.step(prev_ids, state)[1]

    (found,) = greedy_search(
        step,
        ToyState.start([1]),
        max_lengths=torch.tensor([3]),
        bos_id=BOS,
        eos_id=EOS,
        suppress_ids=SUPPRESSED,
        penalty=AVERAGE,
    )
    assert found.ids == (4, 4, 4)
    assert found.truncated


def test_no_sentences_give_no_hypotheses() -> None:
    assert run_greedy(ToyModel(), [], [], AVERAGE) == []


def test_nan_is_refused() -> None:
    model = ToyModel()
    model.log_probs(1, (BOS,))[5] = torch.nan
    with pytest.raises(NmtError, match="NaN"):
        run_greedy(model, [1], [3], AVERAGE)


def test_a_forced_end_of_probability_0_is_an_error_and_no_hypothesis() -> None:
    model = ToyModel()
    model.log_probs(2, (BOS,))[EOS] = -torch.inf
    with pytest.raises(NmtError, match="sentence 1 of the batch"):
        run_greedy(model, [1, 2], [0, 0], AVERAGE)
