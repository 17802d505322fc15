"""What a user forbids or forces."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import BOS, EOS, FIRST_WORD, SUPPRESSED, ToyModel, ToyState, run_beam

from nmt.errors import NmtError, RecipeError
from nmt.search.beam import BeamOptions, beam_search
from nmt.search.controls import Controls, under
from nmt.search.greedy import greedy_search
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalty import LengthPenalty
from nmt.search.sampling import SamplingOptions, line_uniforms, sample

AVERAGE = LengthPenalty("average")
batches = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 9)), min_size=1, max_size=4)  # (seed, max_length)
SEEDS, LIMITS = list(range(8)), [9, 8, 7, 9, 8, 7, 9, 8]


class NeverReserved(ToyModel):
    """7 and 8 are what it would take last of all; with a large vocabulary, no beam has them unless they are forced."""

    def log_probs(self, seed: int, prefix: tuple[int, ...]) -> torch.Tensor:
        """As of any toy, but for those."""
        values = super().log_probs(seed, prefix).clone()
        values[[7, 8]] -= 40.0
        return values


def controlled(model: ToyModel, controls: Controls, seeds: Sequence[int], limits: Sequence[int]) -> tuple[Any, Any]:
    return under(
        controls,
        model.step,
        ToyState.start(seeds),
        eos_id=EOS,
        rows=len(seeds),
        max_lengths=torch.tensor(limits),
        suppress_ids=SUPPRESSED,
    )


def beam(
    model: ToyModel, controls: Controls, seeds: Sequence[int] = SEEDS, limits: Sequence[int] = LIMITS, n_best: int = 4
) -> list[list[Hypothesis]]:
    return beam_search(
        *controlled(model, controls, seeds, limits),
        max_lengths=torch.tensor(limits),
        options=BeamOptions(4, AVERAGE, n_best),
        bos_id=BOS,
        eos_id=EOS,
        suppress_ids=SUPPRESSED,
    )


def greedy(
    model: ToyModel, controls: Controls, seeds: Sequence[int] = SEEDS, limits: Sequence[int] = LIMITS
) -> list[Hypothesis]:
    return greedy_search(
        *controlled(model, controls, seeds, limits),
        max_lengths=torch.tensor(limits),
        bos_id=BOS,
        eos_id=EOS,
        suppress_ids=SUPPRESSED,
        penalty=AVERAGE,
    )


def sampled(
    model: ToyModel, controls: Controls, seeds: Sequence[int] = SEEDS, limits: Sequence[int] = LIMITS
) -> list[Hypothesis]:
    return sample(
        *controlled(model, controls, seeds, limits),
        max_lengths=torch.tensor(limits),
        uniforms=torch.stack([line_uniforms(1, line, 0, max(limits) + 1) for line in range(len(seeds))]),
        options=SamplingOptions(),
        bos_id=BOS,
        eos_id=EOS,
        suppress_ids=SUPPRESSED,
        penalty=AVERAGE,
    )


def all_searches(model: ToyModel, controls: Controls, limits: Sequence[int] = LIMITS) -> list[list[Hypothesis]]:
    """What each search finds for SEEDS: all that each finds of a sentence together."""
    found = zip(*(search(model, controls, SEEDS, limits) for search in (beam, greedy, sampled)), strict=True)
    return [[*several, best, drawn] for several, best, drawn in found]


def ngrams(ids: Sequence[int], n: int) -> list[tuple[int, ...]]:
    return [tuple(ids[at : at + n]) for at in range(len(ids) - n + 1)]


@pytest.mark.parametrize("controls", [Controls(), Controls(prefixes=[(), ()], allowances=[{}, {}])])
def test_where_nothing_is_asked_for_step_and_state_are_the_same_objects(controls: Controls) -> None:
    model, state = ToyModel(), ToyState.start([1, 2])
    step = model.step
    assert under(controls, step, state, eos_id=EOS, rows=2) == (step, state)
    assert under(controls, step, state, eos_id=EOS, rows=2)[1] is state


def test_no_output_is_shorter_than_the_minimum_except_by_its_limit() -> None:
    model = ToyModel(eos_bonus=4.0)
    assert min(len(found.ids) for several in all_searches(model, Controls()) for found in several) < 5
    for several in all_searches(model, Controls(min_length=5)):
        assert all(len(found.ids) >= 5 for found in several)
    for several, limit in zip(all_searches(model, Controls(min_length=8)), LIMITS, strict=True):
        assert all(len(found.ids) >= min(8, limit) for found in several)


def test_a_minimum_only_takes_the_short_outputs_away() -> None:
    model = ToyModel(vocab_size=FIRST_WORD + 2)
    options = {"seeds": [3], "limits": [3]}
    state = controlled(model, Controls(min_length=2), **options)
    wide = {
        "max_lengths": torch.tensor([3]),
        "options": BeamOptions(20, AVERAGE, 20),
        "bos_id": BOS,
        "eos_id": EOS,
        "suppress_ids": SUPPRESSED,
    }
    (found,) = beam_search(*state, **wide)
    (free,) = beam_search(model.step, ToyState.start([3]), **wide)
    assert found == [hypothesis for hypothesis in free if len(hypothesis.ids) >= 2]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_ngram_occurs_twice(n: int) -> None:
    model = ToyModel(vocab_size=FIRST_WORD + 3, eos_bonus=-2.0)
    free = [found for several in all_searches(model, Controls()) for found in several]
    assert any(len(set(ngrams(found.ids, n))) < len(ngrams(found.ids, n)) for found in free)
    for several, seed in zip(all_searches(model, Controls(block_ngrams=n)), SEEDS, strict=True):
        for found in several:
            assert len(set(ngrams(found.ids, n))) == len(ngrams(found.ids, n))
            assert list(found.token_log_probs) == model.token_log_probs(seed, found.ids)


def test_blocking_bars_a_repetition_and_nothing_else() -> None:
    """Greedy by hand: the best token that completes no n-gram for the second time."""
    model = ToyModel(vocab_size=FIRST_WORD + 3, eos_bonus=-1.0)
    for n in (1, 2, 3):
        for found, seed, limit in zip(greedy(model, Controls(block_ngrams=n)), SEEDS, LIMITS, strict=True):
            ids: list[int] = []
            while len(ids) < limit:
                table = model.log_probs(seed, (BOS, *ids))
                fair = [t for t in model.words if (*ids, t)[-n:] not in ngrams(ids, n) or len(ids) < n]
                best = max((EOS, *fair), key=lambda token: float(table[token]))
                if best == EOS:
                    break
                ids.append(best)
            assert list(found.ids) == ids


def test_a_row_whose_words_are_all_used_up_ends_whatever_else_holds() -> None:
    model = ToyModel(vocab_size=FIRST_WORD + 3, eos_bonus=-9.0)
    for several in all_searches(model, Controls(block_ngrams=1, min_length=7)):
        assert all(sorted(found.ids) == [4, 5, 6] for found in several)


def test_a_repetition_penalty_is_a_power_of_the_probability_and_sums_stay() -> None:
    model, seeds = ToyModel(), [5]
    step, state = controlled(model, Controls(repetition_penalty=1.7), seeds, [9])
    with torch.no_grad():
        for prefix in ((BOS,), (BOS, 4), (BOS, 4, 6), (BOS, 4, 6, 4)):
            log_probs, state = step(torch.tensor([prefix[-1]]), state)
            probs = model.log_probs(5, prefix).double().exp()
            for token in {4, 6} & set(prefix):
                probs[token] = probs[token] ** 1.7
            probs = probs / probs.sum()
            keep = [EOS, *model.words]
            torch.testing.assert_close(log_probs[0, keep].double().exp(), probs[keep])


def test_a_repetition_penalty_leaves_reserved_ids_alone() -> None:
    model = ToyModel()
    controls = Controls(repetition_penalty=3.0, allowances=[{8: 2}], reserved_ids=(8,))
    step, state = controlled(model, controls, [5], [9])
    with torch.no_grad():
        for token in (BOS, 8):
            log_probs, state = step(torch.tensor([token]), state)
    assert torch.equal(log_probs[0, model.words], model.log_probs(5, (BOS, 8))[model.words])


def test_a_greater_repetition_penalty_means_fewer_repetitions() -> None:
    model = ToyModel(vocab_size=FIRST_WORD + 4, eos_bonus=-9.0)
    repeated = [
        sum(9 - len(set(found.ids)) for found in greedy(model, Controls(repetition_penalty=r), SEEDS, [9] * 8))
        for r in (1.0, 1.5, 30.0)
    ]
    assert repeated[0] > repeated[1] > repeated[2]


@settings(deadline=None, max_examples=40)
@given(
    batch=batches, prefix=st.lists(st.integers(FIRST_WORD, 8), max_size=4), n=st.integers(0, 2), least=st.integers(0, 5)
)
def test_a_prefix_is_followed_and_costs_what_the_model_says(
    batch: list[tuple[int, int]], prefix: list[int], n: int, least: int
) -> None:
    model = ToyModel(eos_bonus=2.0)
    seeds, limits = [seed for seed, _ in batch], [limit for _, limit in batch]
    prefixes = [prefix[:limit] for limit in limits]
    found = beam(model, Controls(prefixes=prefixes, block_ngrams=n, min_length=least), seeds, limits)
    for several, seed, given_prefix in zip(found, seeds, prefixes, strict=True):
        for hypothesis in several:
            assert list(hypothesis.ids[: len(given_prefix)]) == given_prefix
            assert list(hypothesis.token_log_probs) == model.token_log_probs(seed, hypothesis.ids)


def test_after_a_prefix_the_search_is_free() -> None:
    model = ToyModel()
    own = run_beam(model, SEEDS, LIMITS, BeamOptions(4, AVERAGE))
    prefixes = [best.ids[: at % 3] for at, (best,) in enumerate(own)]
    found = beam(model, Controls(prefixes=prefixes), n_best=1)
    for (ours,), (theirs,) in zip(found, own, strict=True):
        assert ours.score >= theirs.score or ours.ids == theirs.ids
    unled = [at for at, prefix in enumerate(prefixes) if not prefix]
    assert [found[at] for at in unled] == [own[at] for at in unled]


@settings(deadline=None, max_examples=40)
@given(
    batch=batches,
    allowance=st.fixed_dictionaries({}, optional={7: st.integers(0, 2), 8: st.integers(0, 2)}),
    n=st.integers(0, 2),
    penalty=st.sampled_from([1.0, 5.0]),
)
def test_reserved_ids_come_as_often_as_allowed_where_there_is_room(
    batch: list[tuple[int, int]], allowance: dict[int, int], n: int, penalty: float
) -> None:
    model = ToyModel(eos_bonus=1.0)
    seeds, limits = [seed for seed, _ in batch], [limit for _, limit in batch]
    allowances = [allowance if at % 2 == 0 else {} for at in range(len(batch))]
    controls = Controls(allowances=allowances, reserved_ids=(7, 8), block_ngrams=n, repetition_penalty=penalty)
    for hypotheses, allowed, limit in zip(beam(model, controls, seeds, limits), allowances, limits, strict=True):
        for found in hypotheses:
            assert all(found.ids.count(token) <= allowed.get(token, 0) for token in (7, 8))
            came = sum(found.ids.count(token) for token in (7, 8))
            assert came == min(limit, sum(allowed.values()))


def test_no_search_runs_into_its_limit_without_the_reserved_ids_that_there_is_room_for() -> None:
    model = NeverReserved(eos_bonus=-9.0)
    controls = Controls(allowances=[{7: 2, 8: 1}] * 8, reserved_ids=(7, 8), repetition_penalty=1.5)
    for several, limit in zip(all_searches(model, controls), LIMITS, strict=True):
        assert all(sorted(found.ids)[-3:] == [7, 7, 8] for found in several)
        assert all(len(found.ids) <= limit for found in several)


@pytest.mark.parametrize("eos_bonus", [-9.0, 12.0])
@pytest.mark.parametrize("n", [0, 1])
def test_reserved_ids_that_are_forced_stand_each_after_a_gap(eos_bonus: float, n: int) -> None:
    """By the limit, and where a model would end without them; where there is no room for gaps, without."""
    controls = Controls(allowances=[{7: 2, 8: 1}] * 8, reserved_ids=(7, 8), gap_ids=(6,), block_ngrams=n)
    for limit in range(3, 10):
        for several in all_searches(NeverReserved(vocab_size=14, eos_bonus=eos_bonus), controls, [limit] * 8):
            for found in several:
                places = [at for at, token in enumerate(found.ids) if token in (7, 8)]
                assert sorted(found.ids[at] for at in places) == [7, 7, 8]
                assert limit < 6 or all(at > 0 and found.ids[at - 1] == 6 for at in places)
    if eos_bonus > 0:
        assert {len(one.ids) for one in greedy(NeverReserved(eos_bonus=eos_bonus), controls, SEEDS, [9] * 8)} == {6}


def test_a_reserved_id_of_a_prefix_has_come_and_needs_no_room() -> None:
    model = ToyModel(eos_bonus=-9.0)
    controls = Controls(prefixes=[(8, 4, 8)] * 8, allowances=[{8: 1, 7: 1}] * 8, reserved_ids=(7, 8))
    for several in beam(model, controls):
        assert all(found.ids[:3] == (8, 4, 8) and found.ids.count(7) == 1 for found in several)


def test_ids_that_are_reserved_for_nobody_never_come() -> None:
    model = ToyModel()
    for several in all_searches(model, Controls(reserved_ids=(5, 6, 7, 8))):
        assert {token for found in several for token in found.ids} <= {4}


def test_blocking_leaves_reserved_ids_alone_since_they_must_come_as_often_as_told() -> None:
    model = ToyModel(eos_bonus=-2.0)
    controls = Controls(allowances=[{8: 3}] * 8, reserved_ids=(8,), block_ngrams=1)
    for several in all_searches(model, controls):
        assert all(found.ids.count(8) == 3 or found.truncated or len(found.ids) >= 7 for found in several)
        assert any(found.ids.count(8) == 3 for found in several)


def test_the_limit_ends_what_still_lacks_something() -> None:
    model = ToyModel()
    controls = Controls(min_length=9, allowances=[{8: 5}], reserved_ids=(8,))
    for found in beam(model, controls, [1], [2])[0]:
        assert len(found.ids) == 2
        assert math.isfinite(found.score)


@settings(deadline=None, max_examples=30)
@given(batch=batches, n=st.integers(0, 3), penalty=st.sampled_from([1.0, 1.3]), least=st.integers(0, 4))
def test_batch_mates_never_change_a_result(batch: list[tuple[int, int]], n: int, penalty: float, least: int) -> None:
    model = ToyModel()

    def found(at: int, end: int) -> list[list[Hypothesis]]:
        part = range(at, end)
        controls = Controls(
            least, n, penalty, [[4, 5][: batch[i][1] // 3] for i in part], [{8: i % 3} for i in part], reserved_ids=(8,)
        )
        return beam(model, controls, [batch[i][0] for i in part], [batch[i][1] for i in part])

    together = found(0, len(batch))
    for at in range(len(batch)):
        (alone,) = found(at, at + 1)
        assert [one.ids for one in together[at]] == [one.ids for one in alone]
        assert [one.score for one in together[at]] == pytest.approx([one.score for one in alone])


def test_what_the_step_returned_is_left_as_it_was() -> None:
    model = ToyModel()
    before = {prefix: model.log_probs(1, prefix).clone() for prefix in ((BOS,), (BOS, 4))}
    fixed = torch.stack([before[BOS,], before[BOS,]])
    kept = fixed.clone()

    def step(prev_ids: torch.Tensor, state: ToyState) -> tuple[torch.Tensor, ToyState]:
        return fixed, state

    controls = Controls(2, 1, 1.5, [[4], [5]], [{8: 1}, {}], reserved_ids=(8,))
    wrapped, state = under(controls, step, ToyState.start([1, 2]), eos_id=EOS, rows=2, suppress_ids=SUPPRESSED)
    for prev in (BOS, 4, 4):
        log_probs, state = wrapped(torch.tensor([prev, prev]), state)
        assert log_probs.dtype == torch.float32
        assert torch.equal(fixed, kept)


def test_nan_is_still_refused() -> None:
    model = ToyModel()
    model.tables[1, (BOS,)] = torch.full((9,), torch.nan)
    with pytest.raises(NmtError, match="NaN"):
        greedy(model, Controls(3, 2, 1.3), [1], [3])


def test_a_prefix_that_the_model_cannot_produce_is_an_error_that_says_so() -> None:
    model = ToyModel()
    model.log_probs(1, (BOS, 4))[5] = -torch.inf
    with pytest.raises(NmtError, match=r"token 2 of a prefix .* shortlist"):
        greedy(model, Controls(prefixes=[[4, 5]]), [1], [3])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"min_length": -1}, "min_length is -1"),
        ({"block_ngrams": -1}, "block_ngrams is -1"),
        ({"repetition_penalty": 0.9}, "repetition_penalty is 0.9"),
        ({"repetition_penalty": math.nan}, "repetition_penalty is nan"),
        ({"repetition_penalty": math.inf}, "repetition_penalty is inf"),
        ({"allowances": [{}, {5: 1}], "reserved_ids": (6,)}, r"sentence 1: \[5\] are not among"),
        ({"allowances": [{5: -1}], "reserved_ids": (5,)}, "sentence 0: .* 0 or more"),
    ],
)
def test_controls_that_make_no_sense_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        Controls(**values)


@pytest.mark.parametrize(
    ("controls", "words"),
    [
        (Controls(prefixes=[[4]]), "prefixes: 1 for 2 sentences"),
        (Controls(allowances=[{}] * 3), "allowances: 3 for 2 sentences"),
        (Controls(prefixes=[[4], [5, EOS]]), r"sentence 1: ids \[2\] can never"),
        (Controls(prefixes=[[3], []]), r"sentence 0: ids \[3\] can never"),
        (Controls(prefixes=[[], [4, 5, 6, 7]]), "sentence 1: 4 tokens, but .* 3 at most"),
    ],
)
def test_controls_that_do_not_fit_the_batch_are_refused(controls: Controls, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        controlled(ToyModel(), controls, [1, 2], [3, 3])
