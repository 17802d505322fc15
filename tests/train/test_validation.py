"""How good a model is in mid-training."""

import math
from typing import Any

import pytest
import torch
from toy_run import TinyRun, metrics

from nmt.data.tokenizer import BOS_ID, EOS_ID, TokenizerPair
from nmt.errors import Divergence, NonsenseError
from nmt.evaluate import TestSet
from nmt.loading import load
from nmt.metrics import score
from nmt.model.build import AnyModel
from nmt.run_dir import SavedModel, load_model
from nmt.train.distributed import Team
from nmt.train.run import new_model
from nmt.train.validation import Validator
from nmt.translator import Translator

DROPOUTS = {"dropout": 0.5, "word_dropout": 0.3, "state_dropout": 0.3}


@pytest.fixture(scope="module")
def saved(tiny: TinyRun) -> SavedModel:
    return load_model(tiny.run)


@pytest.fixture(scope="module")
def valid(tiny: TinyRun) -> TestSet:
    """Of all lengths, one of them longer than any that was learned, and half of them not learned at all."""
    pairs = [*tiny.pairs[:25], ("Er kommt. " * 9, "He is coming. " * 9), ("", "nothing"), *tiny.pairs[180:]]
    return TestSet("valid", [src for src, _ in pairs], [tgt for _, tgt in pairs])


def validator(saved: SavedModel, valid: TestSet, model: AnyModel | None = None, **train: object) -> Validator:
    recipe = saved.recipe.model_copy(update={"train": saved.recipe.train.model_copy(update=train)})
    return Validator(model or saved.model, saved.tokenizers, recipe, valid)


@torch.no_grad()
def nll_by_hand(model: AnyModel, tokenizers: TokenizerPair, valid: TestSet) -> float:
    """Sentence by sentence, token by token, as search would ask for it."""
    log_probs = []
    for src, tgt in zip(valid.src, valid.references, strict=True):
        [src_ids], [tgt_ids] = tokenizers.src.encode_batch([src]), tokenizers.tgt.encode_batch([tgt])
        state: Any = model.start(torch.tensor([[*src_ids, EOS_ID]]), torch.tensor([len(src_ids) + 1]))
        for prev, token in zip([BOS_ID, *tgt_ids], [*tgt_ids, EOS_ID], strict=True):
            found, state = model.step(torch.tensor([prev]), state)
            log_probs.append(float(found[0, token]))
    return -math.fsum(log_probs) / len(log_probs)


@pytest.mark.parametrize("batch_tokens", [30, 4000])
def test_nll_is_the_mean_over_all_target_tokens_eos_counted(
    saved: SavedModel, valid: TestSet, batch_tokens: int
) -> None:
    """However the sentences share batches."""
    found = validator(saved, valid, batch_tokens=batch_tokens)()
    assert found.nll == pytest.approx(nll_by_hand(saved.model, saved.tokenizers, valid), rel=1e-5)


def test_nll_knows_neither_dropout_nor_label_smoothing_nor_sampling(saved: SavedModel, valid: TestSet) -> None:
    changed = saved.recipe.model_copy(update={"model": saved.recipe.model.model_copy(update=DROPOUTS)})
    model = new_model(changed, saved.tokenizers).eval()
    model.load_weights(saved.model.weights())
    expected = validator(saved, valid)().nll
    dropping = validator(saved, valid, model, label_smoothing=0.5, sampled_softmax=3)
    assert dropping().nll == dropping().nll == expected
    model.train()
    assert dropping().nll != expected  # so there was something to be left out


def test_bleu_and_hypotheses_are_those_of_translating_with_the_beam_of_validation(
    saved: SavedModel, valid: TestSet, tiny: TinyRun
) -> None:
    found = {size: validator(saved, valid, validate_beam_size=size)() for size in (1, 4)}
    assert found[1].hypotheses != found[4].hypotheses
    for size, one in found.items():
        translator = load(tiny.run, search={"beam_size": size})
        assert one.hypotheses == translator.translate(valid.src)
        [bleu] = score(["bleu"], one.hypotheses, valid.references, tgt_lang="en")
        assert one.bleu == bleu.value
    assert found[1].nll == found[4].nll


def test_samples_are_spread_over_the_set_and_shown_with_what_became_of_them(saved: SavedModel, valid: TestSet) -> None:
    found = validator(saved, valid, samples=4)()
    count = len(valid.src)
    rows = [0, count // 4, count // 2, 3 * count // 4]
    assert [list(sample) for sample in found.samples] == [
        [valid.src[row], found.hypotheses[row], valid.references[row]] for row in rows
    ]
    assert validator(saved, valid, samples=0)().samples == []


def test_a_validation_leaves_the_random_state_and_the_weights_alone(saved: SavedModel, valid: TestSet) -> None:
    """So that how often a model is looked at never changes what it becomes."""
    before = torch.get_rng_state(), {name: tensor.clone() for name, tensor in saved.model.weights().items()}
    validator(saved, valid)()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert all(torch.equal(tensor, before[1][name]) for name, tensor in saved.model.weights().items())
    assert all(parameter.grad is None for parameter in saved.model.parameters())


@pytest.mark.parametrize("rank", [0, 1])
def test_a_team_learns_together_that_one_cannot_decode(
    saved: SavedModel, valid: TestSet, monkeypatch: pytest.MonkeyPatch, rank: int
) -> None:
    """Whether it is oneself or another: who went back alone would leave the others waiting."""
    gathered: list[object] = []

    def gather(self: Team, value: Any) -> list[Any]:
        gathered.append(value)
        other = (0.5, 1) if isinstance(value, tuple) else None
        return [value, other] if rank == 0 else [other, value]

    def translate(self: Translator, lines: list[str]) -> list[str]:
        if rank == 0:
            raise NonsenseError("NaN")
        return lines

    monkeypatch.setattr(Team, "gather", gather)
    monkeypatch.setattr(Translator, "translate", translate)
    with pytest.raises(Divergence, match="hold NaN or a value above 0 in a validation: training diverged"):
        Validator(saved.model, saved.tokenizers, saved.recipe, valid, Team(rank, 2))()
    assert gathered[1:] == [None if rank == 0 else valid.src[1::2]]


def test_the_metrics_of_a_run_are_those_of_its_kept_model(saved: SavedModel, tiny: TinyRun) -> None:
    """As they were at the best validation, on the recipe's own validation set: the first 20 pairs."""
    [best, *_] = [line for line in metrics(tiny.run) if line.get("bleu") == line.get("best_bleu") and "bleu" in line][
        -1:
    ]
    pairs = tiny.pairs[:20]
    found = validator(saved, TestSet("valid", [src for src, _ in pairs], [tgt for _, tgt in pairs]))()
    assert best["ppl"] == pytest.approx(math.exp(found.nll), rel=1e-5)
    assert best["bleu"] == found.bleu
