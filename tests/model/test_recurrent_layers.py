"""Recurrent layers, readers and stacks (`nmt/model/layers.py`; `tests/test_layers.py` is about the house's floors)."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nmt.model.cells import CELLS, LayerState
from nmt.model.layers import Reader, RecurrentLayer, Stack, reverse_rows

ROWS, POSITIONS, INPUT, HIDDEN = 3, 5, 4, 6
LENGTHS = torch.tensor([5, 1, 3])
each_cell = pytest.mark.parametrize("cell", CELLS)


def randn(*sizes: int, seed: int = 2) -> Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def new_layer(cell: str, *, state_dropout: float = 0.0) -> RecurrentLayer:
    torch.manual_seed(1)
    return RecurrentLayer(cell, INPUT, HIDDEN, state_dropout=state_dropout).double()


def new_stack(cell: str = "lstm", **options: Any) -> Stack:
    torch.manual_seed(1)
    sizes = {"input_dim": INPUT, "hidden_dim": HIDDEN, "layers": 3}
    dropouts = {"residual": True, "dropout": 0.0, "dropout_kind": "locked", "state_dropout": 0.0}
    return Stack(cell, **(sizes | dropouts | options)).double()


def random_state(cell: str, *leading: int) -> LayerState:
    """h and c (..., H)."""
    h = randn(*leading, HIDDEN, seed=3)
    return LayerState(h, randn(*leading, HIDDEN, seed=4) if CELLS[cell].long_term else h[..., :0])


def silence(*layers: torch.nn.Module) -> None:
    """Their outputs become 0."""
    with torch.no_grad():
        for layer in layers:
            for parameter in layer.parameters():
                parameter.zero_()


# --- one layer ---


@each_cell
def test_step_by_step_equals_all_positions_at_once(cell: str) -> None:
    layer, x, first = new_layer(cell), randn(ROWS, POSITIONS, INPUT), random_state(cell, ROWS)
    outputs, last = layer(x, first)
    state = first
    for position in range(POSITIONS):
        output, state = layer.step(x[:, position], state)
        torch.testing.assert_close(output, outputs[:, position])
    torch.testing.assert_close(state, last)


@each_cell
def test_a_sequence_of_which_nothing_is_known_begins_in_zeros(cell: str) -> None:
    layer, x = new_layer(cell), randn(ROWS, POSITIONS, INPUT)
    zeros = LayerState(*(torch.zeros_like(part) for part in random_state(cell, ROWS)))
    torch.testing.assert_close(layer(x), layer(x, zeros))
    torch.testing.assert_close(layer.zero_state(x), zeros)


@each_cell
def test_a_trace_is_the_same_pass(cell: str) -> None:
    """Also in training, where it leaves dropout out."""
    layer, x, first = new_layer(cell, state_dropout=0.5), randn(ROWS, POSITIONS, INPUT), random_state(cell, ROWS)
    outputs, last = layer.eval()(x, first)
    trace = layer.train().trace(x, first)
    torch.testing.assert_close(torch.stack([state.h for state in trace.states], dim=1), outputs)
    torch.testing.assert_close(trace.states[-1], last)


@pytest.mark.parametrize("cell", ["gru", "lstm", "lnlstm"])
def test_the_gates_of_a_trace_make_its_states(cell: str) -> None:
    layer, first = new_layer(cell), random_state(cell, ROWS)
    trace = layer.trace(randn(ROWS, POSITIONS, INPUT), first)
    before = first
    for position, after in enumerate(trace.states):
        gates = {name: gate[:, position] for name, gate in trace.gates.items()}
        if cell == "gru":
            torch.testing.assert_close(after.h, gates["z"] * before.h + (1 - gates["z"]) * gates["n"])
        else:
            c = gates["f"] * before.c + gates["i"] * gates["g"]
            torch.testing.assert_close(after.c, c)
            read = layer.fused.norm_c(c) if cell == "lnlstm" else c
            torch.testing.assert_close(after.h, gates["o"] * torch.tanh(read))
        before = after


@each_cell
def test_a_gradient_reaches_every_state_of_a_trace(cell: str) -> None:
    trace = new_layer(cell).trace(randn(ROWS, POSITIONS, INPUT))
    states = [state.h for state in trace.states]
    states += [state.c for state in trace.states if CELLS[cell].long_term]
    for gradient in torch.autograd.grad(trace.states[-1].h.square().sum(), states):
        assert gradient.any(dim=-1).all()


@each_cell
def test_state_dropout_hides_the_same_features_of_h_from_the_products_of_every_position(cell: str) -> None:
    """Held against a loop with one mask a sentence, of the cell's steps and of the layer's."""
    layer, x, first = new_layer(cell, state_dropout=0.5), randn(ROWS, POSITIONS, INPUT), random_state(cell, ROWS)
    torch.manual_seed(7)
    outputs, last = layer(x, first)
    torch.manual_seed(7)
    mask = layer.state_dropout.for_steps(first.h)(torch.ones_like(first.h))
    assert {0.0, 2.0} == set(mask.flatten().tolist())
    state = first
    for position in range(POSITIONS):
        output, stepped = layer.step(x[:, position], state, mask.mul)
        state, _ = layer.cell.step(layer.cell.project(x[:, position], layer.fused), state, layer.fused, mask.mul)
        torch.testing.assert_close(stepped, state)
        torch.testing.assert_close(outputs[:, position], output)
    torch.testing.assert_close(last, state)


@each_cell
@pytest.mark.parametrize("state_dropout", [0.1, 0.5, 0.9])
def test_no_output_leaves_its_bounds_under_state_dropout(cell: str, state_dropout: float) -> None:
    """However long the sequence is."""
    layer, x = new_layer(cell, state_dropout=state_dropout), randn(ROWS, 100, INPUT)
    outputs, last = layer(x, random_state(cell, ROWS)._replace(h=torch.ones(ROWS, HIDDEN).double()))
    assert outputs.abs().max() <= 1.0
    drop, state = layer.state_dropout.for_steps(last.h), last
    for position in range(100):
        output, state = layer.step(x[:, position], state, drop)
        assert output.abs().max() <= 1.0


def test_a_gru_that_keeps_all_keeps_it_as_it_is_under_state_dropout() -> None:
    layer, first = new_layer("gru", state_dropout=0.5), random_state("gru", ROWS)
    with torch.no_grad():
        layer.fused.all_weights[0][2].chunk(3)[1].fill_(1e3)  # z = 1
    outputs, last = layer(randn(ROWS, POSITIONS, INPUT), first)
    assert torch.equal(outputs, first.h[:, None].expand(-1, POSITIONS, -1))
    assert torch.equal(last.h, first.h)


@each_cell
def test_state_dropout_acts_in_training_only(cell: str) -> None:
    layer, x = new_layer(cell, state_dropout=0.5), randn(ROWS, POSITIONS, INPUT)
    expected, _ = new_layer(cell)(x)
    torch.testing.assert_close(layer.eval()(x)[0], expected)
    assert not torch.allclose(layer.train()(x)[0], expected)


# --- both directions ---


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=7), min_size=1, max_size=5), st.integers(0, 3))
def test_reverse_rows_turns_what_is_real_around_and_leaves_the_padding(sentences: list[list[int]], more: int) -> None:
    width = max(map(len, sentences)) + more
    rows, expected = (
        torch.tensor([ids + [-1] * (width - len(ids)) for ids in turned])
        for turned in (sentences, [ids[::-1] for ids in sentences])
    )
    lengths = torch.tensor([len(ids) for ids in sentences])
    assert torch.equal(reverse_rows(rows, lengths), expected)
    features = torch.stack([rows, 2 * rows], dim=-1)
    assert torch.equal(reverse_rows(features, lengths), torch.stack([expected, 2 * expected], dim=-1))


def test_gradients_go_back_where_reverse_rows_took_the_values_from() -> None:
    x = torch.randn(3, 5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: reverse_rows(x, torch.tensor([5, 1, 3])), x)
    assert torch.autograd.gradgradcheck(lambda x: reverse_rows(x, torch.tensor([5, 1, 3])).square(), x)


@each_cell
@pytest.mark.parametrize("bidirectional", [False, True])
def test_batch_mates_and_padding_never_change_a_sequence(cell: str, bidirectional: bool) -> None:
    torch.manual_seed(1)
    reader = Reader(cell, INPUT, HIDDEN, bidirectional=bidirectional).double()
    x = randn(ROWS, POSITIONS, INPUT)
    x[torch.arange(POSITIONS) >= LENGTHS[:, None]] = 1e3
    outputs, final = reader(x, LENGTHS)
    assert outputs.shape == (ROWS, POSITIONS, reader.output_dim)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, alone_final = reader(x[row : row + 1, :length], LENGTHS[row : row + 1])
        torch.testing.assert_close(outputs[row, :length], alone[0])
        torch.testing.assert_close(final[row], alone_final[0])


def test_the_second_direction_is_a_layer_of_its_own_that_reads_from_the_end() -> None:
    torch.manual_seed(1)
    reader = Reader("gru", INPUT, HIDDEN, bidirectional=True).double()
    assert reader.back is not None
    x = randn(1, POSITIONS, INPUT)
    outputs, _ = reader(x, torch.tensor([POSITIONS]))
    torch.testing.assert_close(outputs[..., :HIDDEN], reader.ahead(x)[0])
    torch.testing.assert_close(outputs[..., HIDDEN:], reader.back(x.flip(1))[0].flip(1))
    assert not torch.allclose(reader.ahead(x)[0], reader.back(x)[0])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_each_direction_ends_at_the_last_token_that_it_reads(bidirectional: bool) -> None:
    torch.manual_seed(1)
    reader = Reader("lstm", INPUT, HIDDEN, bidirectional=bidirectional).double()
    outputs, final = reader(randn(ROWS, POSITIONS, INPUT), LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        ends = [outputs[row, length - 1, :HIDDEN], outputs[row, 0, HIDDEN:]]
        torch.testing.assert_close(final[row], torch.cat(ends))


# --- stacks ---


@each_cell
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("residual", [False, True])
def test_a_stack_step_by_step_equals_all_positions_at_once(cell: str, layers: int, residual: bool) -> None:
    stack = new_stack(cell, layers=layers, residual=residual)
    x, state = randn(ROWS, POSITIONS, INPUT), random_state(cell, layers, ROWS)
    outputs, last = stack(x, state)
    for position in range(POSITIONS):
        output, state = stack.step(x[:, position], state)
        torch.testing.assert_close(output, outputs[:, position])
    torch.testing.assert_close(state, last)
    assert last.h.shape == (layers, ROWS, HIDDEN)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("input_dim", [INPUT, HIDDEN])
def test_what_every_layer_but_the_first_read_is_added_to_what_it_says(at_once: bool, input_dim: int) -> None:
    """Upper layers that say nothing pass on what the first one says, or nothing at all, whatever the input's size."""

    def read(stack: Stack) -> Tensor:
        state = LayerState(*(x.new_zeros(3, ROWS, HIDDEN) for _ in range(2)))
        outputs: Tensor = stack(x, state)[0] if at_once else stack.step(x[:, 0], state)[0][:, None]
        return outputs

    x = randn(ROWS, 1, input_dim)
    stack = new_stack(residual=True, input_dim=input_dim)
    silence(*stack.layers[1:])
    torch.testing.assert_close(read(stack), stack.layers[0](x)[0])
    silence(stack)
    assert not read(stack).any()
    stack = new_stack(residual=False, input_dim=input_dim)
    silence(*stack.layers[1:])
    assert not read(stack).any()


def test_the_way_past_a_layer_is_never_dropped() -> None:
    """Upper layers that say nothing leave the first one's output with that one's dropout alone."""
    stack = new_stack(residual=True, dropout=0.5)
    silence(*stack.layers[1:])
    x, state = randn(ROWS, POSITIONS, INPUT), LayerState(*(torch.zeros(3, ROWS, HIDDEN).double() for _ in range(2)))
    outputs, _ = stack(x, state)
    first, _ = stack.layers[0](x)
    kept = outputs != 0
    torch.testing.assert_close(outputs[kept], 2.0 * first[kept])
    assert 0.2 < kept.double().mean() < 0.8


@each_cell
@pytest.mark.parametrize(("dropout", "state_dropout"), [(0.5, 0.0), (0.0, 0.5), (0.3, 0.5)])
def test_dropouts_of_steps_equal_those_of_all_positions_at_once(
    cell: str, dropout: float, state_dropout: float
) -> None:
    """So with the same random state the two ways of training give the same."""
    stack = new_stack(cell, dropout=dropout, state_dropout=state_dropout)
    x, state = randn(ROWS, POSITIONS, INPUT), random_state(cell, 3, ROWS)
    torch.manual_seed(7)
    outputs, last = stack(x, state)
    torch.manual_seed(7)
    drops = stack.drops_for_steps(state)
    for position in range(POSITIONS):
        output, state = stack.step(x[:, position], state, drops)
        torch.testing.assert_close(output, outputs[:, position])
    torch.testing.assert_close(state, last)


@pytest.mark.parametrize("kind", ["locked", "plain"])
def test_dropout_comes_after_every_layer_in_training_only(kind: str) -> None:
    x, state = randn(ROWS, POSITIONS, INPUT), random_state("lstm", 3, ROWS)
    expected, _ = new_stack(residual=False)(x, state)
    stack = new_stack(residual=False, dropout=0.5, dropout_kind=kind)
    assert torch.equal(stack.eval()(x, state)[0], expected)
    outputs, last = stack.train()(x, state)
    dropped = outputs == 0
    assert dropped.any()  # after the last layer,
    torch.testing.assert_close(outputs[:, -1][~dropped[:, -1]], 2.0 * last.h[-1][~dropped[:, -1]])
    assert not torch.allclose(last.h[1], new_stack(residual=False)(x, state)[1].h[1])  # and after the first
    locked = all(torch.equal(dropped[:, 0], dropped[:, position]) for position in range(POSITIONS))
    assert locked is (kind == "locked")
