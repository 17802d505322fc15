"""How far back a loss reaches: gradient norms by step of each recurrent layer, and by layer of the weights.

House letters: B batch, R the steps of a layer, H its hidden size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.model.build import AnyModel
from nmt.report.tracing import Traced, shown_name


@dataclass(frozen=True)
class StepNorms:
    """Norms (B, R) of the gradient for one layer's states, one a step in its reading order; lengths (B,).

    state: "h" or "c". What comes after a sentence's length is padding and takes part in no mean.
    """

    layer: str
    state: str
    norms: Tensor
    lengths: Tensor

    @property
    def sentences(self) -> Tensor:
        """How many sentences have each step: (R,)."""
        return self._real.sum(dim=0)

    @property
    def by_step(self) -> Tensor:
        """The mean over the sentences that have each step: (R,)."""
        return (self.norms * self._real).sum(dim=0) / self.sentences

    @property
    def first(self) -> float:
        """The mean over all sentences, at their first step."""
        return float(self.norms[:, 0].mean())

    @property
    def last(self) -> float:
        """The mean over all sentences, each at its own last step."""
        return float(self.norms.gather(1, self.lengths[:, None] - 1).mean())

    @property
    def _real(self) -> Tensor:
        return torch.arange(self.norms.size(1), device=self.norms.device) < self.lengths[:, None]  # (B, R)


def state_gradients(traced: Traced, *, last_only: bool) -> list[StepNorms]:
    """|d loss / d h| of every step of every layer, and |d loss / d c| where the cell has a c.

    The loss of each sentence is its summed nll or, `last_only`, that of its last target token alone. The derivative is
    the total one: all that follows from a state counts, of c also what it does to the h of its own step.
    """
    states: dict[tuple[str, str], Sequence[Tensor]] = {}
    for layer in traced.layers:
        states[layer.name, "h"] = [state.h for state in layer.states]
        if layer.states[0].c.size(1) > 0:
            states[layer.name, "c"] = [state.c for state in layer.states]
    flat = [tensor for tensors in states.values() for tensor in tensors]
    loss = traced.loss(last_only=last_only)
    norms = iter(
        gradient.norm(dim=1)
        for gradient in torch.autograd.grad(loss, flat, retain_graph=True, materialize_grads=True, allow_unused=True)
    )
    lengths = {layer.name: layer.lengths for layer in traced.layers}
    return [
        StepNorms(layer, state, torch.stack([next(norms) for _ in tensors], dim=1), lengths[layer])
        for (layer, state), tensors in states.items()
    ]


def weight_gradients(model: AnyModel, traced: Traced, *, last_only: bool) -> dict[str, float]:
    """The gradient's norm for the weights of each layer, by its name in words.

    The loss is the mean over the target tokens that count, as in training. Tied weights stand where they come first.
    """
    parameters = dict(model.named_parameters())
    tokens = len(traced.tgt_lengths) if last_only else len(traced.nll)
    loss = traced.loss(last_only=last_only) / tokens
    gradients = torch.autograd.grad(
        loss, list(parameters.values()), retain_graph=True, materialize_grads=True, allow_unused=True
    )
    squares: dict[str, float] = {}
    for path, gradient in zip(_paths(model), gradients, strict=True):
        squares[path] = squares.get(path, 0.0) + float(gradient.square().sum())
    return {name: square**0.5 for name, square in squares.items()}


def _paths(model: AnyModel) -> list[str]:
    """For each parameter the layer it is part of: "decoder 1", "decoder attention", "encoder embedding, tied"."""
    places: dict[int, list[str]] = {}
    for path, parameter in model.named_parameters(remove_duplicate=False):
        places.setdefault(id(parameter), []).append(path)
    return [
        _layer_of(place) + (", tied" if others else "")
        for place, *others in (places[id(parameter)] for parameter in model.parameters())
    ]


def _layer_of(path: str) -> str:
    """`decoder.attention.key.weight` -> "decoder attention"; what lies within a layer counts as the layer."""
    modules = path.split(".")[:-1]
    for inside in ("fused", "attention", "embedding"):
        if inside in modules:
            end = modules.index(inside) + (inside != "fused")
            modules = modules[:end]
    return shown_name(".".join(word for word in modules if word != "embedder"))
