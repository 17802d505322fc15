"""The recurrences, one step each, written out gate by gate; and the fused layers that training uses.

A step and its fused layer share their weights, and a test holds them equal, forward and backward. The product W x needs
no state, so that `project` makes it for many positions at once; a step adds U h, applies the gates, and gives back the
next state and what each gate was.

House letters: N rows, I input size, H hidden size; G sums in a cell (LSTM 4, GRU 3, simple cell 1).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.model.dropout import Drop, unchanged


class LayerState(NamedTuple):
    """h (N, H): short-term state. c (N, H): long-term state; (N, 0) where the cell has none."""

    h: Tensor
    c: Tensor


Gates = dict[str, Tensor]  # the layers within a cell by name, each activation (N, H)


class Cell(ABC):
    """One kind of recurrence; it holds no weights: those are the fused layer's."""

    fused: Callable[..., nn.RNNBase]
    sums: int  # G
    long_term: bool  # has it a state c of its own?

    def new(self, input_size: int, hidden_size: int) -> nn.RNNBase:
        """A fused layer, one direction, batch first, initialised gate by gate.

        Input weights are Xavier uniform (Glorot & Bengio 2010), recurrent ones orthogonal, which neither shrinks nor
        blows up a gradient (Saxe et al. 2014), biases 0.
        """
        layer = self.fused(input_size, hidden_size, batch_first=True)
        w_ih, w_hh, b_ih, b_hh = layer.all_weights[0]
        with torch.no_grad():
            for gate in w_ih.chunk(self.sums):
                nn.init.xavier_uniform_(gate)
            for gate in w_hh.chunk(self.sums):
                nn.init.orthogonal_(gate)
            b_ih.zero_()
            b_hh.zero_()
        return layer

    def project(self, x: Tensor, layer: nn.RNNBase) -> Tensor:
        """The part of the sums that needs no state: x (..., I) -> W x + b (..., G * H)."""
        w_ih, _, b_ih, _ = layer.all_weights[0]
        return functional.linear(x, w_ih, b_ih)

    @abstractmethod
    def step(
        self, projected: Tensor, state: LayerState, layer: nn.RNNBase, drop: Drop = unchanged
    ) -> tuple[LayerState, Gates]:
        """One position: projected (N, G * H), the state before -> the state after it, and the gates.

        `drop` acts on h (N, H) within U h alone (Gal & Ghahramani 2016): where a gate carries h on, what is left would
        be scaled up again at each step.
        """


class SimpleCell(Cell):
    """The simple recurrent cell (Elman 1990): its whole state is rewritten at each step.

    h' = tanh(W x + U h + b)
    """

    fused: Callable[..., nn.RNNBase] = nn.RNN
    sums = 1
    long_term = False

    def step(
        self, projected: Tensor, state: LayerState, layer: nn.RNNBase, drop: Drop = unchanged
    ) -> tuple[LayerState, Gates]:
        _, w_hh, _, b_hh = layer.all_weights[0]
        h = torch.tanh(projected + functional.linear(drop(state.h), w_hh, b_hh))  # (N, H)
        return LayerState(h, state.c), {}


class GRUCell(Cell):
    """The gated recurrent unit (Cho et al. 2014, equations 5 to 8), the reset gate after the product as cuDNN has it.

    r = sigmoid(W_r x + U_r h + b_r)            z = sigmoid(W_z x + U_z h + b_z)
    n = tanh(W_n x + b_n + r * (U_n h + d_n))   h' = z * h + (1 - z) * n
    """

    fused: Callable[..., nn.RNNBase] = nn.GRU
    sums = 3
    long_term = False

    def step(
        self, projected: Tensor, state: LayerState, layer: nn.RNNBase, drop: Drop = unchanged
    ) -> tuple[LayerState, Gates]:
        _, w_hh, _, b_hh = layer.all_weights[0]
        of_input = projected.chunk(3, dim=-1)  # each (N, H), in torch's order r, z, n
        of_state = functional.linear(drop(state.h), w_hh, b_hh).chunk(3, dim=-1)
        r = torch.sigmoid(of_input[0] + of_state[0])  # how much of the state is seen by n
        z = torch.sigmoid(of_input[1] + of_state[1])  # how much of the state is kept
        n = torch.tanh(of_input[2] + r * of_state[2])  # what is offered in its place
        return LayerState(z * state.h + (1.0 - z) * n, state.c), {"r": r, "z": z, "n": n}


class LSTMCell(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with the forget gate of Gers et al. 2000.

        g = tanh(W_g x + U_g h + b_g)       i = sigmoid(W_i x + U_i h + b_i)
        f = sigmoid(W_f x + U_f h + b_f)    o = sigmoid(W_o x + U_o h + b_o)
        c' = f * c + i * g                  h' = o * tanh(c')

    The long-term state c is only scaled and added to, so that a gradient survives many steps. The forget gate's bias
    begins at 1: open, and so it remembers (Gers et al. 2000; Jozefowicz et al. 2015).
    """

    fused: Callable[..., nn.RNNBase] = nn.LSTM
    sums = 4
    long_term = True

    def new(self, input_size: int, hidden_size: int) -> nn.RNNBase:
        layer = super().new(input_size, hidden_size)
        with torch.no_grad():
            layer.all_weights[0][2].chunk(4)[1].fill_(1.0)  # torch adds two biases: one of them carries the 1
        return layer

    def step(
        self, projected: Tensor, state: LayerState, layer: nn.RNNBase, drop: Drop = unchanged
    ) -> tuple[LayerState, Gates]:
        _, w_hh, _, b_hh = layer.all_weights[0]
        sums = projected + functional.linear(drop(state.h), w_hh, b_hh)  # (N, 4H)
        gates = _lstm_gates(sums)
        c = gates["f"] * state.c + gates["i"] * gates["g"]  # (N, H)
        h = gates["o"] * torch.tanh(c)  # (N, H)
        return LayerState(h, c), gates


def _lstm_gates(sums: Tensor) -> Gates:
    """sums (N, 4H), in torch's order i, f, g, o -> the four layers of the cell, each (N, H)."""
    i, f, g, o = sums.chunk(4, dim=-1)
    return {
        "g": torch.tanh(g),  # what is offered to the long-term state
        "i": torch.sigmoid(i),  # how much of it is let in
        "f": torch.sigmoid(f),  # how much of the long-term state is kept
        "o": torch.sigmoid(o),  # how much of it is read
    }


class LayerNormLSTM(nn.LSTM):
    """The layer of a `LayerNormLSTMCell` (Ba et al. 2016): an LSTM's weights and three normalisations.

    Its forward is a loop.
    """

    def __init__(self, input_size: int, hidden_size: int, *, batch_first: bool = True) -> None:
        super().__init__(input_size, hidden_size, batch_first=batch_first)
        self.norm_input = nn.LayerNorm(4 * hidden_size, bias=False)
        self.norm_state = nn.LayerNorm(4 * hidden_size, bias=False)
        self.norm_c = nn.LayerNorm(hidden_size)

    def forward(  # type: ignore[override]
        self, x: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """As `nn.LSTM` does it: x (N, T, I), h and c (1, N, H) -> (N, T, H), the last h and c (1, N, H)."""
        cell, now, outputs = CELLS["lnlstm"], LayerState(state[0][0], state[1][0]), []
        for projected in cell.project(x, self).unbind(1):
            now, _ = cell.step(projected, now, self)
            outputs.append(now.h)
        return torch.stack(outputs, dim=1), (now.h[None], now.c[None])


class LayerNormLSTMCell(LSTMCell):
    """An LSTM whose sums are normalised, each over its 4H values, and whose c is before it is read.

    Ba, Kiros & Hinton 2016, equations 20 to 22: LN(W x) + LN(U h) + b in place of W x + U h + b, and

        h' = o * tanh(LN(c'))
    """

    fused: Callable[..., nn.RNNBase] = LayerNormLSTM

    def project(self, x: Tensor, layer: nn.RNNBase) -> Tensor:
        w_ih, _, b_ih, _ = layer.all_weights[0]
        normalised: Tensor = cast(LayerNormLSTM, layer).norm_input(functional.linear(x, w_ih))
        return normalised + b_ih

    def step(
        self, projected: Tensor, state: LayerState, layer: nn.RNNBase, drop: Drop = unchanged
    ) -> tuple[LayerState, Gates]:
        _, w_hh, _, b_hh = layer.all_weights[0]
        layer = cast(LayerNormLSTM, layer)
        sums = projected + layer.norm_state(functional.linear(drop(state.h), w_hh)) + b_hh  # (N, 4H)
        gates = _lstm_gates(sums)
        c = gates["f"] * state.c + gates["i"] * gates["g"]  # (N, H)
        h = gates["o"] * torch.tanh(layer.norm_c(c))  # (N, H)
        return LayerState(h, c), gates


CELLS: dict[str, Cell] = {
    "rnn": SimpleCell(),
    "gru": GRUCell(),
    "lstm": LSTMCell(),
    "lnlstm": LayerNormLSTMCell(),
}
