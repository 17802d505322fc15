"""Several models that decode together: at each position they agree on one distribution over the next token."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, Protocol, Self, get_args

import torch
from torch import Tensor

from nmt.errors import RecipeError
from nmt.search.hypothesis import State, StateT
from nmt.search.scores import Scores, as_scores

Combination = Literal["linear", "log_linear"]


class StepModel(Protocol[StateT]):
    """All that a search knows of a model, or of what stands for one."""

    def start(self, src: Tensor, src_lengths: Tensor) -> StateT:
        """src (B, S), src_lengths (B,) -> the state before the first target token, N = B rows."""
        ...

    def step(self, prev_ids: Tensor, state: StateT) -> tuple[Tensor | Scores, StateT]:
        """One position. prev_ids (N,) -> log_probs (N, V) or what stands for them, and the state after it."""
        ...

    def parameters(self) -> Iterator[Tensor]:
        """Its tensors, one at least; the ids that it is given must be on the device of the first."""
        ...


@dataclass(frozen=True)
class EnsembleState:
    """The states of the members, in their order."""

    members: tuple[State, ...]

    def select(self, rows: Tensor) -> Self:
        """The states of `rows` (N',), of every member the same ones."""
        return type(self)(tuple(member.select(rows) for member in self.members))


class Ensemble:
    """Models over one vocabulary and on one device, to be used as a model."""

    def __init__(self, members: Sequence[StepModel[Any]], *, combination: Combination = "linear") -> None:
        """combination: "linear" averages probabilities, "log_linear" log-probabilities (a product of experts).

        Raises RecipeError for any other.
        """
        assert members
        if combination not in COMBINATIONS:
            raise RecipeError(f"combination: found {combination!r}; choose one of {', '.join(get_args(Combination))}")
        self.members = tuple(members)
        self.combine = COMBINATIONS[combination]

    def start(self, src: Tensor, src_lengths: Tensor) -> EnsembleState:
        """src (B, S), src_lengths (B,) -> the state before the first target token, N = B rows."""
        return EnsembleState(tuple(member.start(src, src_lengths) for member in self.members))

    def step(self, prev_ids: Tensor, state: EnsembleState) -> tuple[Tensor, EnsembleState]:
        """One position. prev_ids (N,) -> log_probs (N, V) on which the members agree, and the state after it."""
        steps = [member.step(prev_ids, own) for member, own in zip(self.members, state.members, strict=True)]
        log_probs = self.combine(torch.stack([as_scores(found).log_probs() for found, _ in steps]))
        return log_probs, EnsembleState(tuple(after for _, after in steps))

    def parameters(self) -> Iterator[Tensor]:
        """Those of all members."""
        return chain.from_iterable(member.parameters() for member in self.members)


def linear(log_probs: Tensor) -> Tensor:
    """The logarithm of the mean probability: log_probs (M, N, V) of M members -> (N, V)."""
    return log_probs.logsumexp(dim=0) - math.log(len(log_probs))


def log_linear(log_probs: Tensor) -> Tensor:
    """The mean log-probability, made to sum to one again: log_probs (M, N, V) of M members -> (N, V)."""
    return log_probs.mean(dim=0).log_softmax(dim=-1)


COMBINATIONS: dict[Combination, Callable[[Tensor], Tensor]] = {"linear": linear, "log_linear": log_linear}
