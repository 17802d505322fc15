"""The written-out cells, held against torch's fused layers and against the published equations."""

import pytest
import torch
from torch import Tensor, nn

from nmt.model.cells import CELLS, Gates, LayerState

ROWS, POSITIONS, INPUT, HIDDEN = 3, 5, 4, 6
NAMES = {"rnn": "h", "gru": "rzn", "lstm": "ifgo", "lnlstm": "ifgo"}  # the sums, in the order of torch's weights
each_cell = pytest.mark.parametrize("name", CELLS)


def new_layer(name: str) -> nn.RNNBase:
    """All weights random: those that begin at 0 or 1 would hide a mistake."""
    torch.manual_seed(1)
    layer = CELLS[name].new(INPUT, HIDDEN).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer


def random_inputs(name: str) -> tuple[Tensor, LayerState]:
    """x (N, T, I) and a state."""
    generator = torch.Generator().manual_seed(2)
    sizes = (ROWS, POSITIONS, INPUT), (ROWS, HIDDEN), (ROWS, HIDDEN if CELLS[name].long_term else 0)
    x, h, c = (torch.randn(size, generator=generator, dtype=torch.float64, requires_grad=True) for size in sizes)
    return x, LayerState(h, c)


def written_out(name: str, layer: nn.RNNBase, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
    """All short-term states (N, T, H), and the last state."""
    cell, outputs = CELLS[name], []
    for position in range(x.size(1)):
        state, _ = cell.step(cell.project(x[:, position], layer), state, layer)
        outputs.append(state.h)
    return torch.stack(outputs, dim=1), state


def fused(name: str, layer: nn.RNNBase, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
    """The same from one call of torch's."""
    if CELLS[name].long_term:
        outputs, (h, c) = layer(x, (state.h[None], state.c[None]))
        return outputs, LayerState(h[0], c[0])
    outputs, h = layer(x, state.h[None])
    return outputs, LayerState(h[0], state.c)


def sums_by_hand(name: str, layer: nn.RNNBase, x: Tensor, h: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """By gate: what comes of the input x (N, I), and of the state h (N, H), each with its bias."""
    w_ih, w_hh, b_ih, b_hh = layer.all_weights[0]
    of_input, of_state = x @ w_ih.T, h @ w_hh.T
    if name == "lnlstm":
        of_input = normalised(of_input) * layer.norm_input.weight
        of_state = normalised(of_state) * layer.norm_state.weight
    parts = (of_input + b_ih).split(HIDDEN, dim=-1), (of_state + b_hh).split(HIDDEN, dim=-1)
    return dict(zip(NAMES[name], zip(*parts, strict=True), strict=True))


def normalised(x: Tensor) -> Tensor:
    """Each row with mean 0 and variance 1."""
    centred = x - x.mean(dim=-1, keepdim=True)
    return centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()


def step_by_hand(name: str, layer: nn.RNNBase, x: Tensor, state: LayerState, seen: Tensor) -> tuple[LayerState, Gates]:
    """One position as the papers have it; `seen` (N, H) is what the products see of h."""
    parts = sums_by_hand(name, layer, x, seen)
    sums = {gate: of_input + of_state for gate, (of_input, of_state) in parts.items()}
    if name == "rnn":
        return LayerState(torch.tanh(sums["h"]), state.c), {}
    if name == "gru":
        r, z = torch.sigmoid(sums["r"]), torch.sigmoid(sums["z"])
        n = torch.tanh(parts["n"][0] + r * parts["n"][1])
        return LayerState((1 - z) * n + z * state.h, state.c), {"r": r, "z": z, "n": n}
    gates = {gate: torch.tanh(total) if gate == "g" else torch.sigmoid(total) for gate, total in sums.items()}
    c = gates["f"] * state.c + gates["i"] * gates["g"]
    read = normalised(c) * layer.norm_c.weight + layer.norm_c.bias if name == "lnlstm" else c
    return LayerState(gates["o"] * torch.tanh(read), c), gates


@each_cell
def test_written_out_steps_equal_the_fused_layer_forward(name: str) -> None:
    layer, (x, state) = new_layer(name), random_inputs(name)
    outputs, last = written_out(name, layer, x, state)
    expected, expected_last = fused(name, layer, x, state)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(last, expected_last)


@each_cell
def test_written_out_steps_equal_the_fused_layer_backward(name: str) -> None:
    """In the gradients of the inputs, of the first state and of every weight."""
    layer, (x, state) = new_layer(name), random_inputs(name)
    wanted = [x, state.h, *([state.c] if CELLS[name].long_term else []), *layer.parameters()]
    weights = torch.randn(ROWS, POSITIONS, HIDDEN, dtype=torch.float64)
    gradients = []
    for run in (written_out, fused):
        outputs, last = run(name, layer, x, state)
        total = (outputs * weights).sum() + last.h.square().sum() + last.c.square().sum()
        gradients.append(torch.autograd.grad(total, wanted))
    for found, expected in zip(*gradients, strict=True):
        assert found.any()
        torch.testing.assert_close(found, expected)


@each_cell
@pytest.mark.parametrize("dropped", [False, True])
def test_a_step_and_its_gates_are_the_published_ones(name: str, dropped: bool) -> None:
    """Also where features of h are dropped: the products alone see it."""
    layer, (x, state) = new_layer(name), random_inputs(name)
    mask = torch.tensor([2.0, 0.0] * (HIDDEN // 2) if dropped else [1.0] * HIDDEN)
    after, gates = CELLS[name].step(CELLS[name].project(x[:, 0], layer), state, layer, mask.mul)
    expected, expected_gates = step_by_hand(name, layer, x[:, 0], state, mask * state.h)
    assert gates.keys() == expected_gates.keys()
    for gate, expected_gate in expected_gates.items():
        torch.testing.assert_close(gates[gate], expected_gate)
    torch.testing.assert_close(after, expected)


@each_cell
def test_inputs_are_projected_at_all_positions_as_at_each(name: str) -> None:
    layer, (x, _) = new_layer(name), random_inputs(name)
    together = CELLS[name].project(x, layer)
    for position in range(POSITIONS):
        torch.testing.assert_close(together[:, position], CELLS[name].project(x[:, position], layer))


@pytest.mark.parametrize("weight", [0, 1])
def test_a_layer_normalised_cell_is_blind_to_the_size_of_its_weights(weight: int) -> None:
    """Of those of its inputs, and of those of its state."""
    layer, (x, state) = new_layer("lnlstm"), random_inputs("lnlstm")
    layer.norm_input.eps = layer.norm_state.eps = 0.0
    before, _ = fused("lnlstm", layer, x, state)
    with torch.no_grad():
        layer.all_weights[0][weight].mul_(7.0)
    torch.testing.assert_close(fused("lnlstm", layer, x, state)[0], before)


def test_a_layer_normalised_cell_reads_its_long_term_state_with_mean_0_and_variance_1() -> None:
    torch.manual_seed(1)
    cell, (x, state) = CELLS["lnlstm"], random_inputs("lnlstm")
    layer = cell.new(INPUT, HIDDEN).double()
    after, gates = cell.step(cell.project(x[:, 0], layer), LayerState(state.h, 40.0 * state.c), layer)
    read = torch.atanh(after.h / gates["o"])
    torch.testing.assert_close(read.mean(dim=-1), torch.zeros(ROWS, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(read.var(dim=-1, correction=0), torch.ones(ROWS, dtype=torch.float64), atol=1e-3, rtol=0)


@each_cell
def test_every_gate_has_an_orthogonal_recurrence(name: str) -> None:
    gates = CELLS[name].new(INPUT, HIDDEN).all_weights[0][1].split(HIDDEN)
    assert len(gates) == len(NAMES[name])
    for gate in gates:
        torch.testing.assert_close(gate @ gate.T, torch.eye(HIDDEN), atol=1e-5, rtol=0)
    assert len({float(gate.detach()[0, 0]) for gate in gates}) == len(gates)  # each drawn for itself


@each_cell
def test_the_forget_gate_begins_open_and_no_other_bias_is_set(name: str) -> None:
    _, _, b_ih, b_hh = CELLS[name].new(INPUT, HIDDEN).all_weights[0]
    for gate, bias in zip(NAMES[name], (b_ih + b_hh).split(HIDDEN), strict=True):
        assert (bias == (1.0 if gate == "f" else 0.0)).all(), gate


@each_cell
def test_input_weights_are_xavier_by_gate_not_by_the_stack_of_them(name: str) -> None:
    bound = (6 / (64 + 32)) ** 0.5
    for gate in CELLS[name].new(64, 32).all_weights[0][0].split(32):
        assert 0.95 * bound < gate.abs().max() <= bound


def test_a_normalisation_begins_as_nothing_but_that() -> None:
    layer = CELLS["lnlstm"].new(INPUT, HIDDEN)
    norms = {key: value for key, value in layer.named_parameters() if key.startswith("norm")}
    assert sorted(norms) == ["norm_c.bias", "norm_c.weight", "norm_input.weight", "norm_state.weight"]
    for key, value in norms.items():
        assert (value == (0.0 if key.endswith("bias") else 1.0)).all(), key
