"""Diverse beam search."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import BOS, EOS, SUPPRESSED, ToyModel, ToyState, run_beam

from nmt.errors import NmtError, RecipeError
from nmt.search.beam import BeamOptions
from nmt.search.diverse import diverse_beam_search, merged
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalty import LENGTH_PENALTIES, LengthPenalty

AVERAGE = LengthPenalty("average")
Scored = tuple[tuple[int, ...], float]

penalties = st.sampled_from(list(LENGTH_PENALTIES)).map(lambda name: LengthPenalty(name, 0.8))
eos_bonuses = st.sampled_from([-2.0, 0.0, 1.0, 3.0])
batches = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 9)), min_size=1, max_size=5)  # (seed, max_length)
strengths = st.sampled_from([0.0, 0.3, 1.0, 5.0])


def run(
    model: ToyModel,
    batch: Sequence[tuple[int, int]],
    options: BeamOptions,
    groups: int,
    strength: float,
) -> list[list[Hypothesis]]:
    return diverse_beam_search(
        model.step,
        ToyState.start([seed for seed, _ in batch]),
        max_lengths=torch.tensor([limit for _, limit in batch], dtype=torch.int64),
        options=options,
        groups=groups,
        strength=strength,
        bos_id=BOS,
        eos_id=EOS,
        suppress_ids=SUPPRESSED,
    )


def plain(
    model: ToyModel, seed: int, max_length: int, options: BeamOptions, groups: int, strength: float
) -> list[list[Scored]]:
    """Each group's finished hypotheses with the model's scores, best first; lists and sorts, to the letter."""
    size = options.beam_size // groups
    live: list[list[tuple[tuple[int, ...], float, float]]] = [[((), 0.0, 0.0)] for _ in range(groups)]
    finished: list[list[Scored]] = [[] for _ in range(groups)]
    for position in range(max_length + 1):
        taken: list[int] = []
        for group in range(groups):
            candidates = []
            for ids, log_prob, augmented in live[group]:
                table = model.log_probs(seed, (BOS, *ids))
                for token in (EOS, *(model.words if position < max_length else ())):
                    cost = 0.0 if token == EOS else strength * taken.count(token)
                    log_p = float(table[token])
                    candidates.append(((*ids, token), log_prob + log_p, augmented + log_p - cost))
            candidates.sort(key=lambda candidate: -candidate[2])
            best = candidates[:size] if position < max_length else candidates
            ended = [(ids[:-1], log_prob) for ids, log_prob, _ in best if ids[-1] == EOS]
            finished[group] += [(ids, log_prob / options.penalty(position + 1)) for ids, log_prob in ended]
            going = [candidate for candidate in candidates if candidate[0][-1] != EOS][:size]
            live[group] = going if len(finished[group]) < size else []
            taken += [ids[-1] for ids, _, _ in live[group]]
    return [sorted(found, key=lambda output: -output[1]) for found in finished]


@settings(max_examples=60, deadline=None, derandomize=True)  # a near tie may fall otherwise in float32
@given(
    batch=batches,
    penalty=penalties,
    eos_bonus=eos_bonuses,
    strength=strengths,
    groups=st.integers(1, 4),
    size=st.integers(1, 3),
)
def test_it_is_the_algorithm_in_plain_python(
    batch: list[tuple[int, int]], penalty: LengthPenalty, eos_bonus: float, strength: float, groups: int, size: int
) -> None:
    model, options = ToyModel(eos_bonus=eos_bonus), BeamOptions(groups * size, penalty, groups * size)
    for found, (seed, limit) in zip(run(model, batch, options, groups, strength), batch, strict=True):
        wanted = dict(
            hypothesis for group in plain(model, seed, limit, options, groups, strength) for hypothesis in group[:size]
        )
        assert {hypothesis.ids for hypothesis in found} == wanted.keys()
        scores = [hypothesis.score for hypothesis in found]
        assert scores == sorted(scores, reverse=True)
        assert scores == pytest.approx([wanted[hypothesis.ids] for hypothesis in found], rel=1e-4)


@settings(deadline=None, max_examples=30)
@given(batch=batches, penalty=penalties, eos_bonus=eos_bonuses, n_best=st.integers(1, 4), strength=strengths)
def test_one_group_is_beam_search(
    batch: list[tuple[int, int]], penalty: LengthPenalty, eos_bonus: float, n_best: int, strength: float
) -> None:
    model, options = ToyModel(eos_bonus=eos_bonus), BeamOptions(4, penalty, n_best)
    seeds, limits = [seed for seed, _ in batch], [limit for _, limit in batch]
    assert run(model, batch, options, 1, strength) == run_beam(model, seeds, limits, options)


@settings(deadline=None, max_examples=30)
@given(batch=batches, penalty=penalties, eos_bonus=eos_bonuses, groups=st.integers(2, 3))
def test_groups_that_do_not_care_all_find_what_a_beam_of_their_size_finds(
    batch: list[tuple[int, int]], penalty: LengthPenalty, eos_bonus: float, groups: int
) -> None:
    model = ToyModel(eos_bonus=eos_bonus)
    found = run(model, batch, BeamOptions(2 * groups, penalty, 2 * groups), groups, 0.0)
    seeds, limits = [seed for seed, _ in batch], [limit for _, limit in batch]
    assert found == run_beam(model, seeds, limits, BeamOptions(2, penalty, 2))


@settings(deadline=None, max_examples=25)
@given(batch=batches, penalty=penalties, eos_bonus=eos_bonuses, strength=strengths, n_best=st.integers(1, 6))
def test_batch_mates_and_stopping_early_never_change_a_result(
    batch: list[tuple[int, int]], penalty: LengthPenalty, eos_bonus: float, strength: float, n_best: int
) -> None:
    model = ToyModel(eos_bonus=eos_bonus)
    together = run(model, batch, BeamOptions(6, penalty, n_best), 3, strength)
    late = BeamOptions(6, penalty, n_best, stop_early=False)
    assert together == [run(model, [sentence], late, 3, strength)[0] for sentence in batch]


def test_stopping_early_saves_steps_and_keeps_all_that_are_asked_for() -> None:
    early, late, penalty = ToyModel(eos_bonus=3.0), ToyModel(eos_bonus=3.0), LengthPenalty("none")
    batch = [(seed, 6) for seed in range(20)]
    found = run(early, batch, BeamOptions(8, penalty, 2), 2, 3.0)
    assert found == run(late, batch, BeamOptions(8, penalty, 2, stop_early=False), 2, 3.0)
    assert sum(early.rows_seen) < sum(late.rows_seen)


@settings(deadline=None, max_examples=25)
@given(batch=batches, penalty=penalties, eos_bonus=eos_bonuses, strength=strengths)
def test_log_probs_are_the_models_without_the_cost_of_likeness(
    batch: list[tuple[int, int]], penalty: LengthPenalty, eos_bonus: float, strength: float
) -> None:
    model = ToyModel(eos_bonus=eos_bonus)
    for hypotheses, (seed, limit) in zip(
        run(model, batch, BeamOptions(6, penalty, 6), 3, strength), batch, strict=True
    ):
        assert len({hypothesis.ids for hypothesis in hypotheses}) == len(hypotheses)
        for hypothesis in hypotheses:
            assert list(hypothesis.token_log_probs) == model.token_log_probs(seed, hypothesis.ids)
            assert hypothesis.score == pytest.approx(hypothesis.log_prob / penalty(len(hypothesis.ids) + 1))
            assert set(hypothesis.ids) <= set(model.words)
            assert len(hypothesis.ids) <= limit


def test_groups_that_care_very_much_share_no_token_at_any_position() -> None:
    model = ToyModel(eos_bonus=-50.0)
    for hypotheses in run(model, [(seed, 5) for seed in range(10)], BeamOptions(5, AVERAGE, 5), 5, 1000.0):
        assert all(len(set(tokens)) == 5 for tokens in zip(*(found.ids for found in hypotheses), strict=True))


def test_the_best_of_each_group_come_before_the_second_of_any() -> None:
    def of(score: float, token: int) -> Hypothesis:
        return Hypothesis((token,), (score,), score, score, truncated=False)

    groups = [[of(-1.0, 4), of(-2.0, 5), of(-3.0, 6)], [of(-4.0, 7), of(-5.0, 8)], [of(-1.0, 4), of(-2.5, 9)]]
    assert [found.ids[0] for found in merged(groups, 1)] == [4]
    assert [found.ids[0] for found in merged(groups, 2)] == [4, 7]
    assert [found.ids[0] for found in merged(groups, 4)] == [4, 5, 9, 7]
    assert [found.ids[0] for found in merged(groups, 9)] == [4, 5, 9, 6, 7, 8]


def test_no_sentences_give_no_hypotheses() -> None:
    assert run(ToyModel(), [], BeamOptions(4, AVERAGE), 2, 1.0) == []


def test_a_sentence_without_any_possible_hypothesis_is_an_error() -> None:
    model = ToyModel()
    model.log_probs(2, (BOS,))[EOS] = -torch.inf
    with pytest.raises(NmtError, match="sentence 1 of the batch"):
        run(model, [(1, 0), (2, 0)], BeamOptions(2, AVERAGE), 2, 1.0)


@pytest.mark.parametrize(
    ("groups", "strength", "words"),
    [(4, 1.0, "beam_size is 6 and the number of groups 4"), (0, 1.0, "groups 0"), (2, -0.1, "strength is -0.1")],
)
def test_options_that_make_no_sense_are_refused(groups: int, strength: float, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        run(ToyModel(), [(1, 3)], BeamOptions(6, AVERAGE), groups, strength)
