"""The LSTM recurrence: one step written out gate by gate, and the fused layer that training uses.

The two share their weights, and a test holds them equal, forward and backward. House letters: N rows, B batch,
T positions, I input size, H hidden size.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Gates(NamedTuple):
    """The four layers of one LSTM step, each (N, H).

    g: what is offered to the long-term state; i: how much of it is let in; f: how much is kept; o: how much is read.
    """

    g: Tensor
    i: Tensor
    f: Tensor
    o: Tensor


def lstm_gates(x: Tensor, h: Tensor, layer: nn.LSTM) -> Gates:
    """The gates of one step of a single-layer, one-directional `layer`.

    x (N, I), h (N, H) -> four tensors (N, H). Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000:

        i = sigmoid(W_i x + U_i h + b_i)        f = sigmoid(W_f x + U_f h + b_f)
        g = tanh(W_g x + U_g h + b_g)           o = sigmoid(W_o x + U_o h + b_o)
    """
    w_ih, w_hh, b_ih, b_hh = layer.all_weights[0]  # each has 4H rows, in torch's order i, f, g, o
    sums = functional.linear(x, w_ih, b_ih) + functional.linear(h, w_hh, b_hh)  # (N, 4H)
    i, f, g, o = sums.chunk(4, dim=-1)
    return Gates(g=torch.tanh(g), i=torch.sigmoid(i), f=torch.sigmoid(f), o=torch.sigmoid(o))


def lstm_step(x: Tensor, h: Tensor, c: Tensor, layer: nn.LSTM) -> tuple[Tensor, Tensor]:
    """One step: x (N, I), short-term state h (N, H), long-term state c (N, H) -> the next h and c.

    c' = f * c + i * g: the long-term state is only scaled and added to, so that a gradient survives many steps.
    h' = o * tanh(c'): what the rest of the network sees of it.
    """
    gates = lstm_gates(x, h, layer)
    c = gates.f * c + gates.i * gates.g  # (N, H)
    h = gates.o * torch.tanh(c)  # (N, H)
    return h, c


def new_lstm(input_size: int, hidden_size: int, *, bidirectional: bool = False) -> nn.LSTM:
    """One fused layer, batch first, initialised gate by gate.

    Input weights are Xavier uniform (Glorot & Bengio 2010), recurrent ones orthogonal, which neither shrinks nor blows
    up a gradient (Saxe et al. 2014), biases 0 but for the forget gate's 1: it begins open and so remembers (Gers et
    al. 2000; Jozefowicz et al. 2015, section 4.2).
    """
    layer = nn.LSTM(input_size, hidden_size, batch_first=True, bidirectional=bidirectional)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.startswith("weight_ih"):
                for gate in parameter.chunk(4):
                    nn.init.xavier_uniform_(gate)
            elif name.startswith("weight_hh"):
                for gate in parameter.chunk(4):
                    nn.init.orthogonal_(gate)
            else:
                parameter.zero_()
                if name.startswith("bias_ih"):  # torch adds two biases: one of them carries the 1
                    parameter.chunk(4)[1].fill_(1.0)
    return layer
