"""What a cell keeps, lets in and reads, in numbers: where a sentence's gates stand, step by step.

House letters: R steps of a layer, H its hidden size.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

BINS = 20  # of a histogram over a gate's range


@dataclass(frozen=True)
class GateKind:
    """What an activation says, in words, and the least that it can be: 0 of a sigmoid, -1 of a tanh. The most is 1."""

    meaning: str
    least: float


GATES: dict[str, GateKind] = {
    "f": GateKind("forget gate: how much of c is kept", 0.0),
    "i": GateKind("input gate: how much is let in", 0.0),
    "o": GateKind("output gate: how much of c is read", 0.0),
    "g": GateKind("candidate: what is offered to c", -1.0),
    "z": GateKind("update gate: how much of h is kept", 0.0),
    "r": GateKind("reset gate: how much of h the candidate sees", 0.0),
    "n": GateKind("candidate: what is offered in place of h", -1.0),
}


@dataclass(frozen=True)
class GateSummary:
    """One gate over a sentence's R steps: the mean over its units (R,), and how its units spread.

    near_least, near_most (R,): the shares of units within a tenth of the range from either end, which Karpathy, Johnson
    & Fei-Fei 2015 call saturated. histogram (BINS, R): the share of units in each part of the range.
    """

    name: str
    mean: Tensor
    near_least: Tensor
    near_most: Tensor
    histogram: Tensor


def summarise(name: str, activations: Tensor) -> GateSummary:
    """One sentence's activations (R, H) of the gate `name`."""
    activations = activations.detach()
    place = (activations - GATES[name].least) / (1.0 - GATES[name].least)  # (R, H), in 0 .. 1
    part = (place * BINS).long().clamp(max=BINS - 1)
    counts = torch.zeros(len(place), BINS, dtype=place.dtype).scatter_add_(1, part, torch.ones_like(place))
    return GateSummary(
        name=name,
        mean=activations.mean(dim=1),
        near_least=(place < 0.1).to(place.dtype).mean(dim=1),
        near_most=(place > 0.9).to(place.dtype).mean(dim=1),
        histogram=(counts / place.size(1)).T,
    )
