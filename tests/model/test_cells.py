"""The written-out LSTM and the fused one."""

import pytest
import torch
from torch import Tensor, nn

from nmt.model.cells import lstm_gates, lstm_step, new_lstm

ROWS, POSITIONS, INPUT, HIDDEN = 3, 5, 4, 6


@pytest.fixture
def layer() -> nn.LSTM:
    torch.manual_seed(1)
    layer = new_lstm(INPUT, HIDDEN).double()
    for parameter in layer.parameters():  # biases that are 0 would hide a mistake
        nn.init.normal_(parameter, std=0.5)
    return layer


def written_out(layer: nn.LSTM, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x (N, T, I), h and c (N, H) -> all short-term states (N, T, H), and the last h and c."""
    outputs = []
    for position in range(x.size(1)):
        h, c = lstm_step(x[:, position], h, c, layer)
        outputs.append(h)
    return torch.stack(outputs, dim=1), h, c


def random_inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    sizes = (ROWS, POSITIONS, INPUT), (ROWS, HIDDEN), (ROWS, HIDDEN)
    x, h, c = (torch.randn(size, generator=generator, dtype=torch.float64, requires_grad=True) for size in sizes)
    return x, h, c


def test_written_out_steps_equal_the_fused_layer_forward(layer: nn.LSTM) -> None:
    x, h, c = random_inputs()
    outputs, last_h, last_c = written_out(layer, x, h, c)
    fused, (fused_h, fused_c) = layer(x, (h[None], c[None]))
    torch.testing.assert_close(outputs, fused)
    torch.testing.assert_close(last_h, fused_h[0])
    torch.testing.assert_close(last_c, fused_c[0])


def test_written_out_steps_equal_the_fused_layer_backward(layer: nn.LSTM) -> None:
    x, h, c = random_inputs()
    wanted = [x, h, c, *layer.parameters()]
    weights = torch.randn(ROWS, POSITIONS, HIDDEN, dtype=torch.float64)
    outputs, _, last_c = written_out(layer, x, h, c)
    own = torch.autograd.grad((outputs * weights).sum() + last_c.square().sum(), wanted)
    fused, (_, fused_c) = layer(x, (h[None], c[None]))
    theirs = torch.autograd.grad((fused * weights).sum() + fused_c.square().sum(), wanted)
    for found, expected in zip(own, theirs, strict=True):
        torch.testing.assert_close(found, expected)


def test_gates_are_the_published_ones(layer: nn.LSTM) -> None:
    """By hand from the weights, in torch's documented row order i, f, g, o."""
    x, h, _ = random_inputs()
    gates = lstm_gates(x[:, 0], h, layer)
    w_ih, w_hh, b_ih, b_hh = (parameter.view(4, HIDDEN, -1) for parameter in layer.all_weights[0])
    squashes = {"i": torch.sigmoid, "f": torch.sigmoid, "g": torch.tanh, "o": torch.sigmoid}
    for index, (name, squash) in enumerate(squashes.items()):
        by_hand = squash(x[:, 0] @ w_ih[index].T + h @ w_hh[index].T + b_ih[index].T + b_hh[index].T)
        torch.testing.assert_close(getattr(gates, name), by_hand)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_gate_has_an_orthogonal_recurrence(bidirectional: bool) -> None:
    layer = new_lstm(INPUT, HIDDEN, bidirectional=bidirectional)
    for weights in layer.all_weights:
        for gate in weights[1].chunk(4):
            torch.testing.assert_close(gate @ gate.T, torch.eye(HIDDEN), atol=1e-5, rtol=0)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_forget_gate_begins_open_and_no_other_bias_is_set(bidirectional: bool) -> None:
    layer = new_lstm(INPUT, HIDDEN, bidirectional=bidirectional)
    for _, _, b_ih, b_hh in layer.all_weights:
        i, f, g, o = (b_ih + b_hh).chunk(4)
        assert (f == 1.0).all()
        assert not torch.cat([i, g, o]).any()


def test_input_weights_are_xavier_by_gate_not_by_the_stack_of_four() -> None:
    layer = new_lstm(64, 32)
    bound = (6 / (64 + 32)) ** 0.5
    for gate in layer.all_weights[0][0].chunk(4):
        assert 0.95 * bound < gate.abs().max() <= bound
