"""Recurrent layers: a cell carried along a sequence, in one direction or both, and stacks of them.

House letters: B batch (N rows in a step), T positions, I input size, H hidden size, L layers.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from nmt.model.cells import CELLS, Gates, LayerState
from nmt.model.dropout import DROPOUTS, Drop, LockedDropout, unchanged


class Trace(NamedTuple):
    """What went on in one layer: states after each position, T of them, and gates by name, each (B, T, H)."""

    states: list[LayerState]
    gates: dict[str, Tensor]


class RecurrentLayer(nn.Module):
    """One cell carried along positions in one direction.

    `state_dropout` hides features of h from the next step's products, U (m * h), the same ones at every position (Gal &
    Ghahramani 2016); with it the layer goes step by step in training, otherwise in one fused call.
    """

    def __init__(self, cell: str, input_dim: int, hidden_dim: int, *, state_dropout: float = 0.0) -> None:
        super().__init__()
        self.cell = CELLS[cell]
        self.fused = self.cell.new(input_dim, hidden_dim)
        self.hidden_dim = hidden_dim
        self.state_dropout = LockedDropout(state_dropout)

    def zero_state(self, like: Tensor) -> LayerState:
        """The state before a sequence of which nothing is known; like (N, ...) has its rows, type and device."""
        rows = like.size(0)
        return LayerState(
            like.new_zeros(rows, self.hidden_dim), like.new_zeros(rows, self.hidden_dim if self.cell.long_term else 0)
        )

    def forward(self, x: Tensor, state: LayerState | None = None) -> tuple[Tensor, LayerState]:
        """x (B, T, I) -> outputs (B, T, H) and the state after the last position; no state: zeros."""
        state = state or self.zero_state(x)
        if self.training and self.state_dropout.p > 0.0:
            return self._unrolled(x, state)
        if self.cell.long_term:
            outputs, (h, c) = self.fused(x, (state.h[None].contiguous(), state.c[None].contiguous()))
            return outputs, LayerState(h[0], c[0])
        outputs, h = self.fused(x, state.h[None].contiguous())
        return outputs, LayerState(h[0], state.c)

    def step(self, x: Tensor, state: LayerState, drop: Drop = unchanged) -> tuple[Tensor, LayerState]:
        """One position: x (N, I) -> output (N, H), and the state after it; `drop` is `state_dropout.for_steps`'s."""
        state, _ = self.cell.step(self.cell.project(x, self.fused), state, self.fused, drop)
        return state.h, state

    def trace(self, x: Tensor, state: LayerState | None = None) -> Trace:
        """The same pass written out, to look into: x (B, T, I). No dropout; gradients reach every state."""
        state = state or self.zero_state(x)
        steps = list(self._steps(x, state, unchanged))
        gates = {name: torch.stack([gates[name] for _, gates in steps], dim=1) for name in steps[0][1]}
        return Trace([state for state, _ in steps], gates)

    def _unrolled(self, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        states = [state for state, _ in self._steps(x, state, self.state_dropout.for_steps(state.h))]
        return torch.stack([state.h for state in states], dim=1), states[-1]

    def _steps(self, x: Tensor, state: LayerState, drop: Drop) -> Iterator[tuple[LayerState, Gates]]:
        for projected in self.cell.project(x, self.fused).unbind(1):
            state, gates = self.cell.step(projected, state, self.fused, drop)
            yield state, gates


def reverse_rows(x: Tensor, lengths: Tensor) -> Tensor:
    """Turn the real positions of each row around, padding stays: x (B, T) or (B, T, F), lengths (B,) -> the same.

    The result lies in memory position after position, as what the recurrent layers read and give.
    """
    rows, columns = torch.arange(x.size(0), device=x.device), torch.arange(x.size(1), device=x.device)[:, None]
    mirrored = lengths - 1 - columns  # (T, B)
    places = torch.where(mirrored >= 0, mirrored, columns) * x.size(0) + rows
    reversed_: Tensor = _Swap.apply(x.transpose(0, 1).flatten(0, 1), places.flatten())  # type: ignore[no-untyped-call]
    return reversed_.view(x.size(1), x.size(0), *x.shape[2:]).transpose(0, 1)


class _Swap(torch.autograd.Function):
    """Rows change places in pairs; so do their gradients, which need not be added up as with other indices."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor) -> Tensor:
        """x (N, ...), places (N,) with places[places] = 0 ... N - 1 -> (N, ...)."""
        ctx.save_for_backward(places)
        return x.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """grad (N, ...) -> (N, ...)"""
        (places,) = ctx.saved_tensors
        return _Swap.apply(grad, places), None  # type: ignore[no-untyped-call]


class Reader(nn.Module):
    """A layer of an encoder: reads sequences of different lengths forward or, `bidirectional`, both ways.

        y_t = [ahead_t; back_t]   of two cells of their own (Schuster & Paliwal 1997)

    Sequences are padded on the right and each direction begins at a real token, so padding is only ever read after all
    that counts: nothing needs to be packed.
    """

    def __init__(
        self, cell: str, input_dim: int, hidden_dim: int, *, bidirectional: bool, state_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.ahead = RecurrentLayer(cell, input_dim, hidden_dim, state_dropout=state_dropout)
        self.back = RecurrentLayer(cell, input_dim, hidden_dim, state_dropout=state_dropout) if bidirectional else None
        self.output_dim = hidden_dim * (2 if bidirectional else 1)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, T, I), lengths (B,) -> outputs (B, T, D), and the final state of each direction, joined (B, D).

        Outputs at padding mean nothing.
        """
        outputs, _ = self.ahead(x)  # (B, T, H)
        last = outputs[torch.arange(x.size(0), device=x.device), lengths - 1]  # (B, H)
        if self.back is None:
            return outputs, last
        back, _ = self.back(reverse_rows(x, lengths))
        back = reverse_rows(back, lengths)
        return torch.cat([outputs, back], dim=-1), torch.cat([last, back[:, 0]], dim=-1)


class Stack(nn.Module):
    """Recurrent layers on top of each other, in one direction (Graves 2013), dropout on the output of each.

        x1 = dropout(layer1(x))     x2 = dropout(layer2(x1)) or, `residual`, x1 + dropout(layer2(x1))     ...

    What a layer but the first reads is added to what it says (He et al. 2016; in recurrent stacks Wu et al. 2016,
    section 3.1).
    """

    def __init__(
        self,
        cell: str,
        *,
        input_dim: int,
        hidden_dim: int,
        layers: int,
        residual: bool,
        dropout: float,
        dropout_kind: str,
        state_dropout: float,
    ) -> None:
        super().__init__()
        sizes = [input_dim] + [hidden_dim] * (layers - 1)
        self.layers = nn.ModuleList(
            RecurrentLayer(cell, size, hidden_dim, state_dropout=state_dropout) for size in sizes
        )
        self.hidden_dim = hidden_dim
        self.long_term = CELLS[cell].long_term
        self.residual = residual
        self.dropout = DROPOUTS[dropout_kind](dropout)

    def forward(self, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """x (B, T, I), h and c (L, B, H) -> outputs (B, T, H), and the state after the last position."""
        states = []
        for index, layer in enumerate(self.layers):
            outputs, after = layer(x, _of_layer(state, index))
            outputs = self.dropout(outputs)
            x = x + outputs if self.residual and index > 0 else outputs
            states.append(after)
        return x, _joined(states)

    def step(
        self, x: Tensor, state: LayerState, drops: Sequence["LayerDrops"] | None = None
    ) -> tuple[Tensor, LayerState]:
        """One position: x (N, I), h and c (L, N, H) -> output (N, H), and the state after it.

        Without dropout, for search; in training `drops` is what `drops_for_steps` drew for the sentence.
        """
        states = []
        for index, module in enumerate(self.layers):
            layer = cast(RecurrentLayer, module)
            output, after = layer.step(x, _of_layer(state, index), drops[index].state if drops else unchanged)
            output = drops[index].output(output) if drops else output
            x = x + output if self.residual and index > 0 else output
            states.append(after)
        return x, _joined(states)

    def drops_for_steps(self, state: LayerState) -> list["LayerDrops"]:
        """One draw of all dropouts for sentences that are taken step by step, from h (L, N, H): for each layer."""
        layers = [cast(RecurrentLayer, layer) for layer in self.layers]
        return [
            LayerDrops(layer.state_dropout.for_steps(state.h[0]), self.dropout.for_steps(state.h[0]))
            for layer in layers
        ]


class LayerDrops(NamedTuple):
    """The dropout of one layer in one sentence: of its recurrent state, of its output."""

    state: Drop
    output: Drop


def _of_layer(state: LayerState, index: int) -> LayerState:
    return LayerState(state.h[index], state.c[index])


def _joined(states: Sequence[LayerState]) -> LayerState:
    return LayerState(torch.stack([state.h for state in states]), torch.stack([state.c for state in states]))
