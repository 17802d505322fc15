"""Shallow fusion: a search cannot tell it from one model, and it finds what the definition says."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from toy import BOS, EOS, FIRST_WORD, SUPPRESSED, ToyModel, ToyState, every_output

from nmt.errors import RecipeError
from nmt.search.beam import BeamOptions, beam_search
from nmt.search.ensemble import Ensemble, StepModel
from nmt.search.fusion import Fusion
from nmt.search.greedy import greedy_search
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalty import LengthPenalty

SEEDS = [3, 1, 4]
AVERAGE = LengthPenalty("average")
each_weight = pytest.mark.parametrize("weight", [0.2, 1.0, 3.0])


@dataclass
class Translation(ToyModel):
    """A toy whose sources are seeds."""

    kin: int = 0

    def start(self, src: Tensor, src_lengths: Tensor) -> ToyState:
        return ToyState.start([self.kin * 1000 + seed for seed in src[:, 0].tolist()])

    def parameters(self) -> Iterator[Tensor]:
        yield torch.full((1,), float(self.kin))


@dataclass
class Language(Translation):
    """A toy that gives every source the same: it does not look at it."""

    kin: int = 9

    def start(self, src: Tensor, src_lengths: Tensor) -> ToyState:
        return ToyState.start([self.kin * 1000] * len(src))


class Fused(ToyModel):
    """What the two come to, from the definition; for the slow searches of `toy`."""

    def __init__(self, translation: Translation, language: Language, weight: float) -> None:
        super().__init__(translation.vocab_size)
        self.translation, self.language, self.weight = translation, language, weight

    def log_probs(self, seed: int, prefix: tuple[int, ...]) -> Tensor:
        of_language = self.language.log_probs(self.language.kin * 1000, prefix)
        return self.translation.log_probs(seed, prefix) + self.weight * of_language


def beam(model: StepModel, beam_size: int, seeds: list[int] = SEEDS, length: int = 3) -> list[list[Hypothesis]]:  # type: ignore[type-arg]
    return beam_search(
        model.step,
        model.start(torch.tensor(seeds)[:, None], torch.ones(len(seeds), dtype=torch.int64)),
        max_lengths=torch.full((len(seeds),), length),
        options=BeamOptions(beam_size, AVERAGE, min(beam_size, 3)),
        bos_id=BOS,
        eos_id=EOS,
        suppress_ids=SUPPRESSED,
    )


def greedy(model: StepModel) -> list[Hypothesis]:  # type: ignore[type-arg]
    return greedy_search(
        model.step,
        model.start(torch.tensor(SEEDS)[:, None], torch.ones(len(SEEDS), dtype=torch.int64)),
        max_lengths=torch.full((len(SEEDS),), 6),
        bos_id=BOS,
        eos_id=EOS,
        suppress_ids=SUPPRESSED,
        penalty=AVERAGE,
    )


@pytest.mark.parametrize("beam_size", [1, 4])
def test_a_weight_of_0_is_the_translation_model_alone(beam_size: int) -> None:
    """In every field, and even where the language model rules a token out."""
    never = Language()
    never.log_probs = lambda seed, prefix: torch.full((9,), -torch.inf)  # type: ignore[method-assign]
    for language in (Language(), never):
        fused = Fusion(Translation(), language, weight=0.0)
        assert beam(fused, beam_size) == beam(Translation(), beam_size)
        assert greedy(fused) == greedy(Translation())


@each_weight
def test_a_wide_beam_finds_the_best_of_all_outputs_under_the_sum(weight: float) -> None:
    translation, language = Translation(vocab_size=7), Language(vocab_size=7)
    found = beam(Fusion(translation, language, weight=weight), 200)
    for seed, hypotheses in zip(SEEDS, found, strict=True):
        wanted = every_output(Fused(translation, language, weight), seed, 3, AVERAGE)
        assert [hypothesis.ids for hypothesis in hypotheses] == [ids for ids, _ in wanted[:3]]
        for hypothesis, (_, score) in zip(hypotheses, wanted, strict=False):
            assert hypothesis.score == pytest.approx(score, abs=1e-5)


@each_weight
def test_one_beam_is_greedy_search(weight: float) -> None:
    fused = Fusion(Translation(), Language(), weight=weight)
    assert [best for [best] in beam(fused, 1, length=6)] == greedy(fused)


def test_eos_is_judged_by_the_language_model_too() -> None:
    """One that never wants to stop makes translations longer, one that always does makes them end at once."""
    lengths = {}
    for bonus in (-20.0, 20.0):
        language = Language(eos_bonus=bonus, spread=0.1)
        lengths[bonus] = [len(best.ids) for best in greedy(Fusion(Translation(), language, weight=1.0))]
    assert lengths == {-20.0: [6, 6, 6], 20.0: [0, 0, 0]}


def test_batch_mates_change_nothing() -> None:
    """Nor does it matter which state of the two is selected first: rows go together."""
    fused = Fusion(Translation(), Language(), weight=0.7)
    together = beam(fused, 4, [*SEEDS, 5, 9], length=6)
    assert together == [found for seed in [*SEEDS, 5, 9] for found in beam(fused, 4, [seed], length=6)]


def test_what_a_model_rules_out_stays_out() -> None:
    language, barred = Language(), FIRST_WORD + 1
    plain = language.log_probs

    def log_probs(seed: int, prefix: tuple[int, ...]) -> Tensor:
        return plain(seed, prefix).index_fill(0, torch.tensor([barred]), -torch.inf)

    assert any(barred in best.ids for best, *_ in beam(Fusion(Translation(), language, weight=0.1), 4, length=6))
    language.log_probs = log_probs  # type: ignore[method-assign]
    found = beam(Fusion(Translation(), language, weight=0.1), 4, length=6)
    assert not any(barred in best.ids for best, *_ in found)


@torch.no_grad()
def test_an_ensemble_can_be_helped() -> None:
    members = [Translation(kin=kin) for kin in (0, 1)]
    helped = Fusion(Ensemble(members, combination="log_linear"), Language(), weight=0.4)
    first = helped.step(torch.full((3,), BOS), helped.start(torch.tensor(SEEDS)[:, None], torch.ones(3)))[0]
    mixed = torch.stack([torch.stack([m.log_probs(m.kin * 1000 + seed, (BOS,)) for seed in SEEDS]) for m in members])
    wanted = mixed.mean(0).log_softmax(-1) + 0.4 * Language().log_probs(9000, (BOS,))
    assert isinstance(first, Tensor)
    torch.testing.assert_close(first, wanted)


def test_parameters_are_those_of_both_the_translation_models_first() -> None:
    assert [float(one) for one in Fusion(Translation(), Language(), weight=1.0).parameters()] == [0.0, 9.0]


@pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf])
def test_other_weights_are_refused(weight: float) -> None:
    with pytest.raises(RecipeError, match=f"the language model's weight is {weight}, but it must be 0 or more"):
        Fusion(Translation(), Language(), weight=weight)
