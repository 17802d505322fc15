"""Gradients of states and weights against the fused layers, cut in two or taken whole, and against differences."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor
from toy_traced import BATCH, MODELS, new_model, sentence

from nmt.data.batches import Batch
from nmt.model.build import AnyModel
from nmt.model.cells import LayerState
from nmt.model.layers import RecurrentLayer
from nmt.report.gradients import StepNorms, state_gradients, weight_gradients
from nmt.report.tracing import shown_name, trace_batch

each_model = pytest.mark.parametrize("kind", MODELS)
either_loss = pytest.mark.parametrize("last_only", [False, True])


def norms(kind: str, batch: Batch = BATCH, *, last_only: bool = False) -> dict[tuple[str, str], StepNorms]:
    found = state_gradients(trace_batch(new_model(kind), batch), last_only=last_only)
    return {(each.layer, each.state): each for each in found}


@contextmanager
def bumped(layer: RecurrentLayer, step: int, h: Tensor, c: Tensor) -> Iterator[None]:
    """The fused layer, run in two parts: after `step` h and c (B, H) are added to its states.

    Of c, so, only what it does to later steps counts, not what it does to the h of its own.
    """

    def in_two(module: RecurrentLayer, inputs: tuple[Tensor, LayerState] | tuple[Tensor], _: object) -> object:
        x, *states = inputs
        until, state = forward(x[:, : step + 1], *states)
        state = LayerState(state.h + h, state.c + c)
        after, last = forward(x[:, step + 1 :], state) if step + 1 < x.size(1) else (x[:, :0, :0], state)
        outputs = [until[:, :-1], state.h[:, None], *([after] if after.size(1) else [])]
        return torch.cat(outputs, dim=1), last

    forward = layer.forward
    hook = layer.register_forward_hook(in_two)  # type: ignore[arg-type]
    try:
        yield
    finally:
        hook.remove()


def summed_nll(model: AnyModel, *, last_only: bool) -> Tensor:
    """By fused layers, without any tracing."""
    logits = model(BATCH.src, BATCH.src_lengths, BATCH.tgt_in, BATCH.tgt_lengths)
    rows = [row.log_softmax(dim=-1) for row in logits.split(BATCH.tgt_lengths.tolist())]
    targets = [ids[:length] for ids, length in zip(BATCH.tgt_out, BATCH.tgt_lengths, strict=True)]
    nll = [-row.gather(1, ids[:, None]) for row, ids in zip(rows, targets, strict=True)]
    return torch.stack([sentence[-1].sum() if last_only else sentence.sum() for sentence in nll]).sum()


@either_loss
@pytest.mark.parametrize("kind", [kind for kind in MODELS if not kind.startswith("fed") and kind != "lnlstm"])
def test_state_gradients_are_those_of_fused_layers_cut_in_two(kind: str, last_only: bool) -> None:
    model, found = new_model(kind), norms(kind, last_only=last_only)
    for path, layer in model.named_modules():
        if not isinstance(layer, RecurrentLayer):
            continue
        trace = next(each for each in trace_batch(model, BATCH).layers if each.name == shown_name(path))
        for step in (0, 1, 3):
            state = trace.states[step]
            bump = LayerState(*(torch.zeros_like(tensor, requires_grad=True) for tensor in state))
            with bumped(layer, step, *bump):
                loss = summed_nll(model, last_only=last_only)
            of_h, of_c = torch.autograd.grad(loss, list(bump), materialize_grads=True)
            torch.testing.assert_close(found[trace.name, "h"].norms[:, step], of_h.norm(dim=1))
            if (
                state.c.size(1) > 0
            ):  # and through the h of the same step: h = o tanh(c), so dh/dc = h / tanh(c) (1 - tanh(c)^2)
                tanh = torch.tanh(state.c)
                total = of_c + of_h * state.h / tanh * (1.0 - tanh**2)
                torch.testing.assert_close(found[trace.name, "c"].norms[:, step], total.norm(dim=1))


@either_loss
def test_state_gradients_are_finite_differences(last_only: bool) -> None:
    model, epsilon = new_model("deep gru"), 1e-5
    layer = model.get_submodule("encoder.layers.0.ahead")
    assert isinstance(layer, RecurrentLayer)
    slopes = torch.zeros(len(BATCH.src), layer.hidden_dim, dtype=torch.float64)
    for row, unit in torch.cartesian_prod(torch.arange(len(BATCH.src)), torch.arange(layer.hidden_dim)).tolist():
        losses = []
        for sign in (1.0, -1.0):
            bump = torch.zeros_like(slopes)
            bump[row, unit] = sign * epsilon
            with torch.no_grad(), bumped(layer, 1, bump, bump[:, :0]):
                losses.append(summed_nll(model, last_only=last_only))
        slopes[row, unit] = (losses[0] - losses[1]) / (2 * epsilon)
    found = norms("deep gru", last_only=last_only)["encoder 1 ahead", "h"]
    torch.testing.assert_close(found.norms[:, 1], slopes.norm(dim=1), rtol=1e-6, atol=1e-9)


@either_loss
@each_model
def test_batch_mates_and_padding_never_change_a_sentences_norms(kind: str, last_only: bool) -> None:
    together = norms(kind, last_only=last_only)
    for row in range(len(BATCH.src)):
        for key, alone in norms(kind, sentence(row), last_only=last_only).items():
            length = int(together[key].lengths[row])
            assert alone.lengths.tolist() == [length]
            torch.testing.assert_close(together[key].norms[row, :length], alone.norms[0])
            assert not together[key].norms[row, length:].any()


def test_only_the_last_loss_is_left_for_the_last_state_of_a_decoder() -> None:
    whole, last = norms("lstm")["decoder 1", "h"], norms("lstm", last_only=True)["decoder 1", "h"]
    assert whole.last == pytest.approx(last.last)
    assert whole.first != pytest.approx(last.first)


def test_means_are_over_the_sentences_that_have_a_step() -> None:
    made = StepNorms("decoder 1", "h", torch.tensor([[1.0, 2.0, 9.0], [3.0, 4.0, 6.0]]), torch.tensor([2, 3]))
    assert made.sentences.tolist() == [2, 2, 1]
    assert made.by_step.tolist() == [2.0, 3.0, 6.0]
    assert (made.first, made.last) == (2.0, 4.0)


@either_loss
@each_model
def test_the_layers_norms_make_up_that_of_all_weights_in_training(kind: str, last_only: bool) -> None:
    model = new_model(kind)
    tokens = len(BATCH.src) if last_only else int(BATCH.tgt_lengths.sum())
    gradients = torch.autograd.grad(
        summed_nll(model, last_only=last_only) / tokens, list(model.parameters()), materialize_grads=True
    )
    found = weight_gradients(model, trace_batch(model, BATCH), last_only=last_only)
    whole = torch.nn.utils.get_total_norm(gradients)
    assert sum(norm**2 for norm in found.values()) ** 0.5 == pytest.approx(float(whole))


def test_weights_go_by_their_layer() -> None:
    model = new_model("lstm")
    found = weight_gradients(model, trace_batch(model, BATCH), last_only=False)
    assert list(found) == [
        "encoder embedding, tied",
        "encoder 1 ahead",
        "encoder 1 back",
        "decoder 1",
        "decoder attention",
        "decoder bridge_h",
        "decoder bridge_c",
        "decoder readout",
        "output",
    ]
    loss = summed_nll(model, last_only=False) / int(BATCH.tgt_lengths.sum())
    decoder = torch.autograd.grad(loss, list(model.get_submodule("decoder.stack.layers.0").parameters()))
    assert found["decoder 1"] == pytest.approx(float(torch.nn.utils.get_total_norm(decoder)))


def test_names_of_the_other_kinds_weights() -> None:
    for kind, names in {
        "read along": [
            "src_embedder embedding",
            "tgt_embedder embedding, tied",
            "layer 1",
            "layer 2",
            "readout",
            "output",
        ],
        "convolutional": ["encoder embedding, tied", "encoder project", "encoder 1", "encoder 2", "decoder 1"],
        "lnlstm": ["encoder embedding, tied", "encoder 1 ahead", "encoder 1 back", "decoder 1", "decoder attention"],
    }.items():
        model = new_model(kind)
        assert list(weight_gradients(model, trace_batch(model, BATCH), last_only=False))[: len(names)] == names
