"""One position of a recurrent layer, with one product: the sums of the input come ready, and are written into.

House letters: G sums in a cell (LSTM 4, GRU 3, simple cell 1).
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.engine.product import Pack
from nmt.model.cells import Cell, GRUCell, LayerState, LSTMCell, SimpleCell

TABLE_BYTES = 256 * 2**20  # a larger table is not made: each step then has a product more


class Recurrence(Protocol):
    """A layer's cell with its weights. inputs: W_ih (G * H, I) and all biases that belong to it (G * H,)."""

    inputs: tuple[Tensor, Tensor]

    def step(self, sums: Tensor, state: LayerState) -> LayerState:
        """sums (N, G * H), W_ih x + b, which are used up; the state before -> the state after."""
        ...


class SimpleRecurrence:
    """h' = tanh(W x + U h + b)"""

    def __init__(self, layer: nn.RNNBase, pack: Pack) -> None:
        w_ih, w_hh, b_ih, b_hh = _weights(layer)
        self.inputs = w_ih, b_ih + b_hh
        self._product = pack(w_hh, None)

    def step(self, sums: Tensor, state: LayerState) -> LayerState:
        return LayerState(self._product.add_to(sums, state.h).tanh_(), state.c)


class GRURecurrence:
    """As `GRUCell`, with h' = n + z * (h - n)."""

    def __init__(self, layer: nn.RNNBase, pack: Pack) -> None:
        w_ih, w_hh, b_ih, b_hh = _weights(layer)
        self.inputs = w_ih, b_ih
        self._product = pack(w_hh, b_hh)

    def step(self, sums: Tensor, state: LayerState) -> LayerState:
        size = state.h.size(1)
        of_state = self._product(state.h)  # (N, 3H)
        r, z = of_state[:, : 2 * size].add_(sums[:, : 2 * size]).sigmoid_().chunk(2, dim=1)
        n = sums[:, 2 * size :].addcmul_(r, of_state[:, 2 * size :]).tanh_()
        return LayerState(torch.addcmul(n, z, state.h - n), state.c)


class LSTMRecurrence:
    """As `LSTMCell`, its sums in the order i, f, o, g, so that one call makes all three sigmoids."""

    def __init__(self, layer: nn.RNNBase, pack: Pack) -> None:
        w_ih, w_hh, b_ih, b_hh = (_g_last(weight) for weight in _weights(layer))
        self.inputs = w_ih, b_ih + b_hh
        self._product = pack(w_hh, None)

    def step(self, sums: Tensor, state: LayerState) -> LayerState:
        size = state.h.size(1)
        sums = self._product.add_to(sums, state.h)
        i, f, o = sums[:, : 3 * size].sigmoid_().chunk(3, dim=1)
        g = sums[:, 3 * size :].tanh_()
        c = (f * state.c).addcmul_(i, g)  # (N, H)
        return LayerState(torch.tanh(c).mul_(o), c)


RECURRENCES: dict[type[Cell], Callable[[nn.RNNBase, Pack], Recurrence]] = {
    SimpleCell: SimpleRecurrence,
    GRUCell: GRURecurrence,
    LSTMCell: LSTMRecurrence,
}


class InputSums:
    """W_ih x + b of the embedding x of a token: looked up in a table over the vocabulary, where it is small enough."""

    def __init__(self, embedded: Tensor, weight: Tensor, bias: Tensor) -> None:
        """embedded (V, E): every token's. weight (G * H, E), bias (G * H,)."""
        self._embedded, self._weight, self._bias = embedded, weight.contiguous(), bias
        small = len(embedded) * len(weight) * weight.element_size() <= TABLE_BYTES
        self._table = functional.linear(embedded, weight, bias) if small else None

    def __call__(self, ids: Tensor) -> Tensor:
        """ids (N,) -> (N, G * H), to be written into."""
        if self._table is not None:
            return self._table.index_select(0, ids)
        return functional.linear(self._embedded.index_select(0, ids), self._weight, self._bias)


def _weights(layer: nn.RNNBase) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    w_ih, w_hh, b_ih, b_hh = (weight.detach() for weight in layer.all_weights[0])
    return w_ih, w_hh, b_ih, b_hh


def _g_last(weight: Tensor) -> Tensor:
    """torch's order i, f, g, o -> i, f, o, g: weight (4H, ...)."""
    i, f, g, o = weight.chunk(4)
    return torch.cat([i, f, o, g])
