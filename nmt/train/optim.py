"""Update rules, learning rate schedules and the moving average of the weights."""

import math
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from nmt.recipe import TrainSection


def build_optimizer(section: TrainSection, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019) or SGD with momentum 0.9."""
    kinds: dict[str, Callable[[], Optimizer]] = {
        "adam": lambda: Adam(parameters, betas=(0.9, section.beta2), weight_decay=section.weight_decay, fused=True),
        "adamw": lambda: AdamW(parameters, betas=(0.9, section.beta2), weight_decay=section.weight_decay, fused=True),
        "sgd": lambda: SGD(parameters, lr=section.learning_rate, momentum=0.9, weight_decay=section.weight_decay),
    }
    return kinds[section.optimizer]()


def _fall(step: int, section: TrainSection) -> float:
    """How far the fall from `decay_start` to `max_steps` has come, 0 to 1."""
    begin = section.decay_start * section.max_steps
    return min(1.0, max(0.0, (step - begin) / (section.max_steps - begin)))


SCHEDULES: dict[str, Callable[[int, TrainSection], float]] = {
    "constant": lambda step, section: 1.0,
    "linear": lambda step, section: 1.0 - _fall(step, section),
    "cosine": lambda step, section: 0.5 + 0.5 * math.cos(math.pi * _fall(step, section)),
    "inverse_sqrt": lambda step, section: math.sqrt(max(section.warmup_steps, 1) / max(step, section.warmup_steps, 1)),
    "plateau": lambda step, section: 1.0,  # falls with `LearningRate.validated`
}


class LearningRate:
    """The learning rate of each step: a linear rise over `warmup_steps`, then the schedule.

    `factor` is what plateaus have left of it: a validation without a better BLEU counts, and `plateau_patience` of
    them in a row multiply it by `plateau_factor`.
    """

    def __init__(self, section: TrainSection, *, factor: float = 1.0, waited: int = 0) -> None:
        self.section = section
        self.factor = factor
        self.waited = waited

    def at(self, step: int) -> float:
        """The rate of optimizer step `step`, counted from 0."""
        rise = min(1.0, (step + 1) / (self.section.warmup_steps + 1))
        return self.section.learning_rate * rise * SCHEDULES[self.section.schedule](step, self.section) * self.factor

    def validated(self, *, better: bool) -> None:
        """Take note of a validation."""
        self.waited = 0 if better else self.waited + 1
        if self.section.schedule == "plateau" and self.waited >= self.section.plateau_patience:
            self.factor *= self.section.plateau_factor
            self.waited = 0


class MovingAverage:
    """An exponential moving average of the weights (Polyak & Juditsky 1992), corrected for its start.

    In step t the decay is min(decay, (1 + t) / (10 + t)), so that early averages forget the first weights.
    """

    def __init__(self, weights: Mapping[str, Tensor], *, decay: float) -> None:
        self.weights = {name: tensor.detach().clone() for name, tensor in weights.items()}
        self.decay = decay

    @torch.no_grad()
    def update(self, weights: Mapping[str, Tensor], step: int) -> None:
        """Take in the weights after step `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        own = list(self.weights.values())
        new = [weights[name] for name in self.weights]  # by name: what was loaded from a file is in another order
        torch._foreach_lerp_(own, new, 1.0 - decay)
