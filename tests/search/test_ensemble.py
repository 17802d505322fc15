"""Ensembles: averages of distributions that a search cannot tell from one model."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import pytest
import torch
from torch import Tensor
from toy import BOS, EOS, FIRST_WORD, SUPPRESSED, ToyModel, ToyState, every_output

from nmt.errors import RecipeError
from nmt.search.beam import BeamOptions, beam_search
from nmt.search.ensemble import COMBINATIONS, Combination, Ensemble, EnsembleState
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalty import LengthPenalty

SEEDS = [3, 1, 4]
each_combination = pytest.mark.parametrize("combination", COMBINATIONS)


@dataclass
class Member(ToyModel):
    """A toy whose sources are seeds; those of different `kin` have nothing to do with each other."""

    kin: int = 0
    device: str = "cpu"

    def start(self, src: Tensor, src_lengths: Tensor) -> ToyState:
        return ToyState.start([self.kin * 1000 + seed for seed in src[:, 0].tolist()])

    def parameters(self) -> Iterator[Tensor]:
        yield torch.zeros(1, device=self.device)


class Agreed(ToyModel):
    """What the members agree on, in double precision and from the definition; for the slow searches of `toy`."""

    def __init__(self, members: list[Member], combination: Combination) -> None:
        super().__init__(members[0].vocab_size)
        self.members, self.combination = members, combination

    def log_probs(self, seed: int, prefix: tuple[int, ...]) -> Tensor:
        probs = [member.log_probs(member.kin * 1000 + seed, prefix).double().exp() for member in self.members]
        if self.combination == "linear":
            mixed = sum(probs, torch.zeros_like(probs[0])) / len(probs)
        else:
            product = torch.stack(probs).prod(dim=0) ** (1 / len(probs))
            mixed = product / product.sum()
        return mixed.log()


def run(model: Ensemble | Member, options: BeamOptions, max_lengths: list[int]) -> list[list[Hypothesis]]:
    return beam_search(
        model.step,
        model.start(torch.tensor(SEEDS)[:, None], torch.ones(len(SEEDS), dtype=torch.int64)),
        max_lengths=torch.tensor(max_lengths),
        options=options,
        bos_id=BOS,
        eos_id=EOS,
        suppress_ids=SUPPRESSED,
    )


@torch.no_grad()
def first_steps(model: Ensemble | Member) -> list[Tensor]:
    """log_probs (N, V) at two positions, with rows selected in between."""
    state = model.start(torch.tensor(SEEDS)[:, None], torch.ones(3, dtype=torch.int64))
    first, state = model.step(torch.full((3,), BOS), state)
    second, _ = model.step(torch.tensor([4, 5, 6, 7]), state.select(torch.tensor([0, 0, 2, 2])))
    return [first, second]


def assert_close(found: list[Tensor], wanted: list[Tensor]) -> None:
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@each_combination
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_model_alone_or_several_times_is_that_model(combination: Combination, times: int) -> None:
    assert_close(first_steps(Ensemble([Member(kin=1)] * times, combination=combination)), first_steps(Member(kin=1)))


@each_combination
def test_the_order_of_the_members_does_not_matter(combination: Combination) -> None:
    members = [Member(kin=kin) for kin in range(3)]
    for order in ([1, 2, 0], [2, 1, 0]):
        turned = Ensemble([members[kin] for kin in order], combination=combination)
        assert_close(first_steps(turned), first_steps(Ensemble(members, combination=combination)))


@each_combination
def test_probabilities_sum_to_one_however_sure_the_members_are(combination: Combination) -> None:
    sure = [Member(kin=kin, spread=200.0) for kin in range(3)]
    for log_probs in first_steps(Ensemble(sure, combination=combination)):
        assert log_probs.isfinite().all()
        torch.testing.assert_close(log_probs.exp().sum(dim=1), torch.ones(len(log_probs)))


def test_what_one_member_holds_impossible_the_others_may_outvote_only_linearly() -> None:
    likely, never = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[1.0, 0.0]]).log()
    both = torch.stack([likely, never])
    assert_close([COMBINATIONS["linear"](both)], [torch.tensor([[0.75, 0.25]]).log()])
    assert_close([COMBINATIONS["log_linear"](both)], [never])


@each_combination
@pytest.mark.parametrize("n_best", [1, 5])
def test_a_wide_beam_over_an_ensemble_equals_brute_force(combination: Combination, n_best: int) -> None:
    members = [Member(vocab_size=FIRST_WORD + 3, kin=kin) for kin in range(3)]
    penalty, max_lengths = LengthPenalty("average"), [3, 2, 1]
    found = run(Ensemble(members, combination=combination), BeamOptions(40, penalty, n_best), max_lengths)
    agreed = Agreed(members, combination)
    for hypotheses, seed, max_length in zip(found, SEEDS, max_lengths, strict=True):
        wanted = every_output(agreed, seed, max_length, penalty)[:n_best]
        assert [hypothesis.ids for hypothesis in hypotheses] == [ids for ids, _ in wanted]
        scores = [hypothesis.score for hypothesis in hypotheses]
        assert scores == pytest.approx([score for _, score in wanted], rel=1e-4)


def test_selecting_rows_selects_them_of_every_member() -> None:
    rows = torch.tensor([2, 2, 0])
    members = (ToyState.start([1, 2, 3]), ToyState.start([4, 5, 6]))

    @dataclass(frozen=True)
    class Rows:
        numbers: Tensor

        def select(self, rows: Tensor) -> "Rows":
            return Rows(self.numbers[rows])

    found = EnsembleState((Rows(torch.arange(3)), Rows(torch.arange(10, 13)))).select(rows)
    assert [state.numbers.tolist() for state in found.members] == [[2, 2, 0], [12, 12, 10]]  # type: ignore[attr-defined]
    assert EnsembleState(members).select(torch.tensor([0, 2])).members == (
        members[0].select(torch.tensor([0, 2])),
        members[1].select(torch.tensor([0, 2])),
    )


def test_an_ensemble_has_the_parameters_of_its_members_and_so_stands_where_the_first_does() -> None:
    ensemble = Ensemble([Member(device="meta"), Member()])
    assert [parameter.device.type for parameter in ensemble.parameters()] == ["meta", "cpu"]


def test_ensembles_may_hold_ensembles() -> None:
    members = [Member(kin=kin) for kin in range(4)]
    nested = Ensemble([Ensemble(members[:2]), Ensemble(members[2:])])
    assert_close(first_steps(nested), first_steps(Ensemble(members)))


def test_the_names_of_the_combinations_are_those_that_may_be_given() -> None:
    assert tuple(COMBINATIONS) == get_args(Combination)
    with pytest.raises(RecipeError, match="combination: found 'mean'; choose one of linear, log_linear"):
        Ensemble([Member()], combination="mean")  # type: ignore[arg-type]
