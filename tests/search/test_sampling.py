"""Sampling."""

import math
from collections import Counter
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from toy import BOS, EOS, FIRST_WORD, SUPPRESSED, ToyModel, ToyState, every_output, run_greedy

from nmt.errors import NmtError, RecipeError
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalty import LengthPenalty
from nmt.search.sampling import SamplingOptions, draw, line_uniforms, probabilities, sample

AVERAGE = LengthPenalty("average")
batches = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 9)), min_size=1, max_size=6)  # (seed, max_length)
all_options = st.builds(
    SamplingOptions, st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from([0, 1, 3, 99]), st.sampled_from([0.4, 0.9, 1.0])
)


def run(
    model: ToyModel, seeds: Sequence[int], max_lengths: Sequence[int], uniforms: Tensor, options: SamplingOptions
) -> list[Hypothesis]:
    return sample(
        model.step,
        ToyState.start(seeds),
        max_lengths=torch.tensor(max_lengths, dtype=torch.int64),
        uniforms=uniforms,
        options=options,
        bos_id=BOS,
        eos_id=EOS,
        suppress_ids=SUPPRESSED,
        penalty=AVERAGE,
    )


def of_lines(count: int, length: int, seed: int = 1) -> Tensor:
    return torch.stack([line_uniforms(seed, line, 0, length) for line in range(count)])


@settings(deadline=None)
@given(batch=batches, options=all_options, eos_bonus=st.sampled_from([-2.0, 0.0, 2.0]))
def test_batch_mates_never_change_a_sample_and_log_probs_are_the_models_own(
    batch: list[tuple[int, int]], options: SamplingOptions, eos_bonus: float
) -> None:
    model, uniforms = ToyModel(eos_bonus=eos_bonus), of_lines(len(batch), 15)
    together = run(model, [seed for seed, _ in batch], [limit for _, limit in batch], uniforms, options)
    for line, ((seed, limit), found) in enumerate(zip(batch, together, strict=True)):
        assert [found] == run(model, [seed], [limit], uniforms[line : line + 1, : limit + 1], options)
        assert list(found.token_log_probs) == model.token_log_probs(seed, found.ids)
        assert found.score == pytest.approx(sum(found.token_log_probs) / (len(found.ids) + 1))
        assert set(found.ids) <= set(model.words)
        assert len(found.ids) <= limit
        assert not found.truncated or len(found.ids) == limit


def test_outputs_are_drawn_as_often_as_the_model_says() -> None:
    model, draws = ToyModel(vocab_size=FIRST_WORD + 2, eos_bonus=1.0), 3000
    uniforms = torch.rand(draws, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for seed in (3, 4):
        counts = Counter(found.ids for found in run(model, [seed] * draws, [2] * draws, uniforms, SamplingOptions()))
        expected = {ids: _chance(model, seed, ids, limit=2) for ids, _ in every_output(model, seed, 2, AVERAGE)}
        assert math.fsum(expected.values()) == pytest.approx(1, abs=1e-5)
        for ids, chance in expected.items():
            assert abs(counts[ids] / draws - chance) < 4 * math.sqrt(chance * (1 - chance) / draws) + 1e-9


def _chance(model: ToyModel, seed: int, ids: tuple[int, ...], limit: int) -> float:
    """Of the output, by hand: each token's share of what is not suppressed; an end at the limit is certain."""
    chance = 1.0
    for position, token in enumerate([*ids, EOS] if len(ids) < limit else ids):
        probs = model.log_probs(seed, (BOS, *ids[:position])).double().exp()
        chance *= float(probs[token] / probs[[EOS, *model.words]].sum())
    return chance


@pytest.mark.parametrize("options", [SamplingOptions(top_k=1), SamplingOptions(1e-4), SamplingOptions(top_p=1e-9)])
def test_the_narrowest_sampling_is_greedy_search(options: SamplingOptions) -> None:
    model, seeds, limits = ToyModel(), list(range(20)), [9] * 20
    assert run(model, seeds, limits, of_lines(20, 10), options) == run_greedy(model, seeds, limits, AVERAGE)


@given(
    seed=st.integers(0, 1000),
    temperature=st.sampled_from([0.3, 1.0, 3.0]),
    top_k=st.integers(0, 250),
    top_p=st.sampled_from([0.01, 0.5, 0.9, 0.999, 1.0]),
)
@settings(deadline=None)
def test_what_is_drawn_from_is_the_likely_part_by_its_definition(
    seed: int, temperature: float, top_k: int, top_p: float
) -> None:
    logits = torch.randn(3, 200, generator=torch.Generator().manual_seed(seed)) * torch.tensor([[0.1], [2.0], [5.0]])
    found = probabilities(logits.log_softmax(1), SamplingOptions(temperature, top_k, top_p))
    for row, kept in zip((logits.double() / temperature).softmax(1).tolist(), found.tolist(), strict=True):
        best = sorted(range(200), key=lambda token: -row[token])[: top_k or None]
        total, mass, wanted = sum(row[token] for token in best), 0.0, set[int]()
        for token in best:
            if mass >= top_p * total and top_p < 1:
                break
            wanted.add(token)
            mass += row[token]
        assert {token for token, prob in enumerate(kept) if prob > 0} == wanted
        assert [kept[token] / sum(kept) for token in wanted] == pytest.approx([row[t] / mass for t in wanted], rel=1e-4)


def test_a_token_is_drawn_by_the_share_of_the_line_that_it_covers() -> None:
    probs = torch.tensor([[0.0, 0.5, 0.0, 1.0, 0.5, 0.0]], dtype=torch.float64).expand(6, -1)
    uniforms = torch.tensor([0.0, 0.2499, 0.25, 0.7499, 0.75, 1 - 2**-53], dtype=torch.float64)
    assert draw(probs, uniforms).tolist() == [1, 1, 3, 3, 4, 4]


def test_rounding_never_draws_what_has_no_probability() -> None:
    probs = torch.rand(500, 40, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    probs[:, 30:] = 0
    probs[:, :3] = 0
    highest = torch.full((500,), 1 - 2**-53, dtype=torch.float64)
    assert draw(probs, highest).tolist() == [29] * 500
    assert draw(probs, torch.zeros(500)).tolist() == [3] * 500


def test_uniforms_hang_on_seed_line_and_sample_alone_and_begin_alike() -> None:
    numbers = {(s, line, k): line_uniforms(s, line, k, 20).tolist() for s in (1, 2) for line in (0, 12) for k in (0, 3)}
    assert len({tuple(found) for found in numbers.values()}) == len(numbers)
    for (seed, line, k), found in numbers.items():
        assert line_uniforms(seed, line, k, 7).tolist() == found[:7]
    assert line_uniforms(1, 2, 3, 0).tolist() == []
    many = line_uniforms(5, 1, 1, 20_000)
    assert many.dtype == torch.float64
    assert 0 <= float(many.min()) < 0.001 and 0.999 < float(many.max()) < 1
    assert float(many.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(torch.corrcoef(torch.stack([many[1:], many[:-1]]))[0, 1]) == pytest.approx(0, abs=0.03)


def test_uniforms_are_the_same_on_every_machine() -> None:
    assert line_uniforms(1, 2, 3, 2).tolist() == [0.9685683842987916, 0.46817358202361414]


def test_a_finished_sentence_leaves_the_batch_at_once() -> None:
    model = ToyModel(eos_bonus=-50.0)
    found = run(model, [1, 2, 3], [2, 0, 1], of_lines(3, 3), SamplingOptions())
    assert model.rows_seen == [3, 2, 1]
    assert [len(hypothesis.ids) for hypothesis in found] == [2, 0, 1]
    assert all(hypothesis.truncated for hypothesis in found)


def test_an_end_that_was_drawn_is_not_called_truncated_even_at_the_limit() -> None:
    (found,) = run(ToyModel(eos_bonus=50.0), [5], [0], of_lines(1, 1), SamplingOptions())
    assert not found.truncated


def test_no_sentences_give_no_hypotheses() -> None:
    assert run(ToyModel(), [], [], torch.zeros(0, 0), SamplingOptions()) == []


def test_nan_is_refused() -> None:
    model = ToyModel()
    model.log_probs(1, (BOS,))[5] = torch.nan
    with pytest.raises(NmtError, match="NaN"):
        run(model, [1], [3], of_lines(1, 4), SamplingOptions())


@pytest.mark.parametrize("impossible", [[EOS], [EOS, *range(FIRST_WORD, 9)]])
def test_a_sentence_without_any_possible_end_is_an_error(impossible: list[int]) -> None:
    model = ToyModel()
    model.log_probs(2, (BOS,))[impossible] = -torch.inf
    with pytest.raises(NmtError, match="sentence 1 of the batch"):
        run(model, [1, 2], [0, 0], of_lines(2, 1), SamplingOptions())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.1}, "top_p is 1.1"),
    ],
)
def test_options_that_make_no_sense_are_refused(values: dict[str, float], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        SamplingOptions(**values)  # type: ignore[arg-type]
