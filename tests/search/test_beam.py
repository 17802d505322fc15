"""Beam search."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import BOS, EOS, FIRST_WORD, ToyModel, every_output, plain_beam, run_beam, run_greedy

from nmt.errors import NmtError, RecipeError
from nmt.search.beam import BeamOptions
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalty import LENGTH_PENALTIES, LengthPenalty

AVERAGE = LengthPenalty("average")

penalties = st.sampled_from(list(LENGTH_PENALTIES)).map(lambda name: LengthPenalty(name, 0.8))
eos_bonuses = st.sampled_from([-2.0, 0.0, 1.0, 3.0])
batches = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 9)), min_size=1, max_size=6)  # (seed, max_length)


def split(batch: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [seed for seed, _ in batch], [max_length for _, max_length in batch]


def assert_same(found: list[Hypothesis], expected: list[tuple[tuple[int, ...], float]]) -> None:
    assert [hypothesis.ids for hypothesis in found] == [ids for ids, _ in expected]
    assert [hypothesis.score for hypothesis in found] == pytest.approx([score for _, score in expected], rel=1e-4)


@settings(deadline=None)
@given(batch=batches, penalty=penalties, eos_bonus=eos_bonuses)
def test_beam_1_equals_greedy(batch: list[tuple[int, int]], penalty: LengthPenalty, eos_bonus: float) -> None:
    model = ToyModel(eos_bonus=eos_bonus)
    found = run_beam(model, *split(batch), BeamOptions(1, penalty))
    assert [best for (best,) in found] == run_greedy(model, *split(batch), penalty)


@pytest.mark.parametrize("name", LENGTH_PENALTIES)
@pytest.mark.parametrize("n_best", [1, 5, 40])
def test_a_wide_beam_equals_brute_force(name: str, n_best: int) -> None:
    model = ToyModel(vocab_size=FIRST_WORD + 3)
    penalty, seeds, max_lengths = LengthPenalty(name, 0.8), [3, 1, 4, 1, 5], [3, 2, 3, 0, 1]
    found = run_beam(model, seeds, max_lengths, BeamOptions(40, penalty, n_best))
    for hypotheses, seed, max_length in zip(found, seeds, max_lengths, strict=True):
        assert_same(hypotheses, every_output(model, seed, max_length, penalty)[:n_best])


@given(
    batch=batches,
    penalty=penalties,
    eos_bonus=eos_bonuses,
    beam_size=st.integers(1, 7),
    words=st.integers(1, 6),
    data=st.data(),
)
@settings(max_examples=150, deadline=None, derandomize=True)  # a near tie may fall otherwise in float32
def test_any_beam_equals_the_rule_in_plain_python(
    batch: list[tuple[int, int]],
    penalty: LengthPenalty,
    eos_bonus: float,
    beam_size: int,
    words: int,
    data: st.DataObject,
) -> None:
    options = BeamOptions(beam_size, penalty, data.draw(st.integers(1, beam_size)))
    model = ToyModel(vocab_size=FIRST_WORD + words, eos_bonus=eos_bonus)
    for hypotheses, (seed, max_length) in zip(run_beam(model, *split(batch), options), batch, strict=True):
        assert_same(hypotheses, plain_beam(model, seed, max_length, options))


@settings(deadline=None)
@given(batch=batches, penalty=penalties, eos_bonus=eos_bonuses, n_best=st.integers(1, 4))
def test_batch_mates_never_change_a_result(
    batch: list[tuple[int, int]], penalty: LengthPenalty, eos_bonus: float, n_best: int
) -> None:
    model, options = ToyModel(eos_bonus=eos_bonus), BeamOptions(4, penalty, n_best)
    together = run_beam(model, *split(batch), options)
    alone = [run_beam(model, [seed], [max_length], options)[0] for seed, max_length in batch]
    assert together == alone


@settings(deadline=None)
@given(batch=batches, penalty=penalties, eos_bonus=eos_bonuses, n_best=st.integers(1, 4))
def test_stopping_early_never_changes_a_result(
    batch: list[tuple[int, int]], penalty: LengthPenalty, eos_bonus: float, n_best: int
) -> None:
    model = ToyModel(eos_bonus=eos_bonus)
    early = run_beam(model, *split(batch), BeamOptions(4, penalty, n_best))
    late = run_beam(model, *split(batch), BeamOptions(4, penalty, n_best, stop_early=False))
    assert early == late


@pytest.mark.parametrize("name", LENGTH_PENALTIES)
def test_stopping_early_saves_steps(name: str) -> None:
    early, late = ToyModel(eos_bonus=3.0), ToyModel(eos_bonus=3.0)
    penalty = LengthPenalty(name, 0.8)
    run_beam(early, range(20), [6] * 20, BeamOptions(6, penalty))
    run_beam(late, range(20), [6] * 20, BeamOptions(6, penalty, stop_early=False))
    assert sum(early.rows_seen) < sum(late.rows_seen)


@settings(deadline=None)
@given(batch=batches, penalty=penalties, eos_bonus=eos_bonuses)
def test_a_hypothesis_is_as_probable_as_the_model_says_and_best_come_first(
    batch: list[tuple[int, int]], penalty: LengthPenalty, eos_bonus: float
) -> None:
    model = ToyModel(eos_bonus=eos_bonus)
    for hypotheses, (seed, max_length) in zip(
        run_beam(model, *split(batch), BeamOptions(5, penalty, 5)), batch, strict=True
    ):
        scores = [hypothesis.score for hypothesis in hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len({hypothesis.ids for hypothesis in hypotheses}) == len(hypotheses)
        for hypothesis in hypotheses:
            token_log_probs = model.token_log_probs(seed, hypothesis.ids)
            assert list(hypothesis.token_log_probs) == token_log_probs
            assert hypothesis.log_prob == pytest.approx(sum(token_log_probs))
            assert hypothesis.score == pytest.approx(sum(token_log_probs) / penalty(len(token_log_probs)))
            assert len(hypothesis.ids) <= max_length
            assert set(hypothesis.ids) <= set(model.words)


def test_results_come_in_input_order_though_sentences_finish_at_different_times() -> None:
    model = ToyModel(eos_bonus=-50.0)
    max_lengths = [3, 0, 5, 1, 4, 2]
    found = run_beam(model, [7] * 6, max_lengths, BeamOptions(2, AVERAGE))
    assert [len(best.ids) for (best,) in found] == max_lengths


def test_a_finished_sentence_leaves_the_batch_at_once() -> None:
    model = ToyModel(eos_bonus=-50.0)
    run_beam(model, [1, 2, 3], [2, 0, 1], BeamOptions(2, AVERAGE))
    assert model.rows_seen == [3, 2 * 2, 1 * 2]


def test_a_sentence_with_nothing_left_alive_leaves_the_batch_at_once() -> None:
    model = ToyModel(vocab_size=FIRST_WORD + 2)
    model.log_probs(1, (BOS,))[FIRST_WORD:] = -torch.inf
    run_beam(model, [1, 2], [3, 3], BeamOptions(2, AVERAGE, 2))
    assert model.rows_seen[:2] == [2, 1 * 2]


def test_suppressed_ids_never_appear_however_likely() -> None:
    model = ToyModel()
    for prefix in [(BOS,), *((BOS, word) for word in model.words)]:
        likely = torch.full((9,), 0.01)
        likely[[0, 1, 3]] = 0.31
        model.tables[1, prefix] = likely.log()
    (found,) = run_beam(model, [1], [2], BeamOptions(6, AVERAGE, 6))
    assert {token for hypothesis in found for token in hypothesis.ids} <= set(model.words)
    assert len(found) == 6


def test_eos_is_forced_at_the_limit_and_its_own_log_prob_counted() -> None:
    model = ToyModel(eos_bonus=-8.0)
    (found,) = run_beam(model, [5], [3], BeamOptions(3, AVERAGE, 3))
    assert [len(hypothesis.ids) for hypothesis in found] == [3, 3, 3]
    assert all(hypothesis.truncated for hypothesis in found)
    assert all(hypothesis.token_log_probs[-1] < -4 for hypothesis in found)


def test_an_end_that_the_model_chose_is_not_called_truncated_even_at_the_limit() -> None:
    model = ToyModel(eos_bonus=50.0)
    ((chosen,),) = run_beam(model, [5], [0], BeamOptions(1, AVERAGE))
    assert not chosen.truncated


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_max_length_of_0_gives_the_empty_output_and_1_gives_one_token_at_most(beam_size: int) -> None:
    found = run_beam(ToyModel(eos_bonus=-8.0), [5, 6], [0, 1], BeamOptions(beam_size, AVERAGE, beam_size))
    assert [hypothesis.ids for hypothesis in found[0]] == [()]
    assert found[0][0].truncated
    assert {len(hypothesis.ids) for hypothesis in found[1]} == {1}


def test_a_vocabulary_too_small_for_the_beam_gives_every_hypothesis_there_is_and_no_other() -> None:
    model = ToyModel(vocab_size=FIRST_WORD + 1)
    (found,) = run_beam(model, [1], [2], BeamOptions(8, AVERAGE, 8))
    assert sorted(hypothesis.ids for hypothesis in found) == [(), (4,), (4, 4)]


def test_a_token_of_probability_0_never_becomes_part_of_a_hypothesis() -> None:
    model = ToyModel(vocab_size=FIRST_WORD + 2)
    for prefix in [(BOS,), (BOS, 5)]:
        model.log_probs(1, prefix)[4] = -torch.inf
    (found,) = run_beam(model, [1], [2], BeamOptions(8, AVERAGE, 8))
    assert sorted(hypothesis.ids for hypothesis in found) == [(), (5,), (5, 5)]


def test_no_sentences_give_no_hypotheses() -> None:
    assert run_beam(ToyModel(), [], [], BeamOptions(2, AVERAGE)) == []


def test_nan_is_refused() -> None:
    model = ToyModel()
    model.log_probs(2, (BOS,))[5] = torch.nan
    with pytest.raises(NmtError, match="NaN"):
        run_beam(model, [1, 2], [3, 3], BeamOptions(2, AVERAGE))


def test_a_sentence_without_any_possible_hypothesis_is_an_error() -> None:
    model = ToyModel()
    model.log_probs(2, (BOS,))[EOS] = -torch.inf
    with pytest.raises(NmtError, match="sentence 1 of the batch"):
        run_beam(model, [1, 2], [0, 0], BeamOptions(2, AVERAGE))


@pytest.mark.parametrize(
    ("beam_size", "n_best", "words"),
    [(0, 1, "beam_size is 0"), (3, 4, "n_best is 4, .* 1 to the beam_size, 3"), (3, 0, "n_best is 0")],
)
def test_options_that_make_no_sense_are_refused(beam_size: int, n_best: int, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        BeamOptions(beam_size, AVERAGE, n_best)
