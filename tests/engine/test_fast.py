"""The engine against the model that it was made from."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_engine import (
    EOS,
    KINDS,
    OTHERS,
    SUPPRESSED,
    VOCAB,
    assert_batch_mates_change_nothing,
    search,
    sentences,
    some_steps,
    toy,
)

from nmt.engine.engines import engine_for
from nmt.engine.fast import FastEngine, supports
from nmt.engine.output import BLOCK, CHUNK_ROWS
from nmt.errors import NmtError, RecipeError
from nmt.search.scores import LogProbs

TIE = 1e-5


@pytest.mark.parametrize("keys", KINDS.values(), ids=KINDS)
def test_log_probs_are_those_of_the_model(keys: dict[str, Any]) -> None:
    model = toy(**keys)
    sources = sentences(2, [5, 1, 19, 8])
    steps = list(zip(some_steps(FastEngine(model), sources), some_steps(model, sources), strict=True))
    assert len(steps) == 4
    for found, wanted in steps:
        assert found.shape == wanted.shape
        torch.testing.assert_close(found, wanted, rtol=0, atol=3e-5)
        assert wanted.std() > 0.5  # or every weight may be wrong


@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(list(KINDS)),
    seed=st.integers(0, 10**6),
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=9),
    beam_size=st.integers(1, 4),
    spread=st.sampled_from([1.0, 3.0]),
)
def test_search_finds_what_it_finds_with_the_model(
    kind: str, seed: int, lengths: list[int], beam_size: int, spread: float
) -> None:
    model, sources = toy(seed, spread=spread, **KINDS[kind]), sentences(seed, lengths)
    n_best = min(2, beam_size)
    found, wanted = (search(one, sources, beam_size, n_best) for one in (FastEngine(model), model))
    for ours, theirs in zip(found, wanted, strict=True):
        assert [one.score for one in ours] == pytest.approx([one.score for one in theirs], abs=TIE)
        tied = len(theirs) > 1 and theirs[0].score - theirs[1].score < 2 * TIE
        assert tied or ours[0].ids == theirs[0].ids


@settings(deadline=None, max_examples=25)
@given(
    kind=st.sampled_from(list(KINDS)),
    seed=st.integers(0, 10**6),
    lengths=st.lists(st.integers(1, 20), min_size=2, max_size=9),
    beam_size=st.integers(1, 3),
)
def test_batch_mates_and_their_order_change_nothing(kind: str, seed: int, lengths: list[int], beam_size: int) -> None:
    engine = FastEngine(toy(seed, **KINDS[kind]))
    assert_batch_mates_change_nothing(engine, sentences(seed, lengths), beam_size)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    sizes=st.sampled_from([(1, 1), (1, 4), (3, 5), (CHUNK_ROWS, 1), (CHUNK_ROWS // 2, 3), (CHUNK_ROWS + 1, 1)]),
    width=st.integers(1, 6),
    dead=st.booleans(),
)
def test_the_best_ways_are_those_of_the_log_probs(seed: int, sizes: tuple[int, int], width: int, dead: bool) -> None:
    generator, (batch, rows) = torch.Generator().manual_seed(seed), sizes
    readouts = torch.rand(batch * rows, 12, generator=generator) * 2 - 1
    so_far = -torch.rand(batch, rows, generator=generator) * 3
    if dead:
        so_far[:, 1:] = -torch.inf
    scores = FastEngine(toy(seed)).output.scope(torch.zeros(1, 1), torch.ones(1))(readouts)
    options = {"width": width, "eos_id": EOS, "barred": torch.tensor([*SUPPRESSED, EOS])}
    found, wanted = scores.ways(so_far, **options), LogProbs(scores.log_probs()).ways(so_far, **options)
    for name, ours, theirs in zip(found._fields, found, wanted, strict=True):
        if name in ("totals", "ends"):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=TIE)
    log_probs = scores.log_probs().view(batch, rows, VOCAB)
    sentence = torch.arange(batch)[:, None]
    torch.testing.assert_close(found.token_log_probs, log_probs[sentence, found.rows, found.ids], rtol=0, atol=TIE)
    torch.testing.assert_close(found.totals, so_far.gather(1, found.rows) + found.token_log_probs, rtol=0, atol=TIE)
    alive = found.totals > -torch.inf
    assert not torch.isin(found.ids[alive], torch.tensor([*SUPPRESSED, EOS])).any()
    for own, live in zip((found.rows * VOCAB + found.ids).tolist(), alive.tolist(), strict=True):
        different = [one for one, there in zip(own, live, strict=True) if there]
        assert len(set(different)) == len(different)


def test_logits_too_large_for_exp_are_as_good_as_others() -> None:
    model = toy(spread=1.0)
    with torch.no_grad():
        model.output.bias.mul_(60.0)
    engine = FastEngine(model)
    assert not engine.output.small  # type: ignore[attr-defined]
    [[found]], [[wanted]] = search(engine, sentences(1, [6])), search(model, sentences(1, [6]))
    assert found.ids == wanted.ids
    assert found.token_log_probs == pytest.approx(wanted.token_log_probs, abs=1e-4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("word", [4, BLOCK, VOCAB - 1])
def test_a_damaged_model_is_refused_and_not_searched(bad: float, word: int) -> None:
    model = toy()
    with torch.no_grad():
        model.output.bias[word] = bad
    with pytest.raises(NmtError, match=r"NaN.*the model is damaged"):
        search(FastEngine(model), sentences(1, [3, 4]))


def test_an_engine_keeps_the_weights_that_it_was_made_from() -> None:
    model, sources = toy(), sentences(3, [4, 7])
    engine = FastEngine(model)
    before = some_steps(engine, sources)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    torch.testing.assert_close(some_steps(engine, sources), before)


def test_steps_leave_the_state_before_as_it_was() -> None:
    engine = FastEngine(toy(decoder_layers=2))
    state = engine.start(torch.tensor([[5, 6, EOS], [7, EOS, 0]]), torch.tensor([3, 2]))
    ids = torch.tensor([9, 10])
    first, _ = engine.step(ids, state)
    again, _ = engine.step(ids, state)
    assert torch.equal(first.log_probs(), again.log_probs())


@pytest.mark.parametrize("keys", OTHERS.values(), ids=OTHERS)
def test_a_model_that_no_engine_knows_searches_itself_but_not_in_int8(keys: dict[str, Any]) -> None:
    model = toy(**keys)
    assert not supports(model)
    assert engine_for(model, "fast") is model
    with pytest.raises(RecipeError, match=r'no int8 engine.*use the engine "fast" alone'):
        engine_for(model, "int8")


def test_the_engine_is_chosen_by_name() -> None:
    model = toy()
    assert engine_for(model, "exact") is model
    assert isinstance(engine_for(model, "fast"), FastEngine)
    with pytest.raises(RecipeError, match="engine: found 'quick'; choose one of exact, fast, int8"):
        engine_for(model, "quick")  # type: ignore[arg-type]
