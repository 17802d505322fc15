"""The pass written out is the model's own, and what it remembers is what happened."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from toy_traced import BATCH, MODELS, new_model, sentence

from nmt.model.build import AnyModel
from nmt.model.cells import CELLS
from nmt.model.layers import RecurrentLayer
from nmt.model.model import real_positions
from nmt.report.tracing import LayerTrace, shown_name, trace_batch

each_model = pytest.mark.parametrize("kind", MODELS)


def own_nll(model: AnyModel) -> torch.Tensor:
    logits = model(BATCH.src, BATCH.src_lengths, BATCH.tgt_in, BATCH.tgt_lengths)
    return functional.cross_entropy(logits, real_positions(BATCH.tgt_out, BATCH.tgt_lengths), reduction="none")


def layers(kind: str) -> dict[str, LayerTrace]:
    return {layer.name: layer for layer in trace_batch(new_model(kind), BATCH).layers}


@each_model
def test_loss_and_gradients_of_the_weights_are_those_of_the_fused_pass(kind: str) -> None:
    model = new_model(kind)
    traced = trace_batch(model, BATCH)
    torch.testing.assert_close(traced.nll, own_nll(model))
    torch.testing.assert_close(traced.loss(last_only=False), own_nll(model).sum())
    parameters = list(model.parameters())
    written_out = torch.autograd.grad(traced.loss(last_only=False), parameters, materialize_grads=True)
    fused = torch.autograd.grad(own_nll(model).sum(), parameters, materialize_grads=True)
    torch.testing.assert_close(written_out, fused)


def test_the_last_loss_is_that_of_each_sentences_end() -> None:
    traced = trace_batch(new_model("lstm"), BATCH)
    ends = [trace_batch(new_model("lstm"), sentence(row)).nll[-1] for row in range(len(BATCH.src))]
    torch.testing.assert_close(traced.loss(last_only=True), torch.stack(ends).sum())


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("lstm", ["encoder 1 ahead", "encoder 1 back", "decoder 1"]),
        ("deep gru", ["encoder 1 ahead", "encoder 1 back", "encoder 2 ahead", "decoder 1", "decoder 2"]),
        ("rnn vector", ["encoder 1 ahead", "decoder 1"]),
        ("convolutional", ["decoder 1"]),
        ("read along", ["layer 1", "layer 2"]),
    ],
)
def test_layers_go_by_their_place(kind: str, names: list[str]) -> None:
    assert list(layers(kind)) == names
    assert shown_name("decoder.bridge_h") == "decoder bridge_h"


@pytest.mark.parametrize("kind", ["lstm", "lstm vector", "fed lstm"])
def test_gates_lead_from_each_state_to_the_next(kind: str) -> None:
    for name, layer in layers(kind).items():
        for step, state in enumerate(layer.states):
            f, i, o, g = (layer.gates[gate][:, step] for gate in "fiog")
            torch.testing.assert_close(state.h, o * torch.tanh(state.c))
            if step > 0:
                torch.testing.assert_close(state.c, f * layer.states[step - 1].c + i * g)
            elif name.startswith("encoder"):  # it begins in zeros
                torch.testing.assert_close(state.c, i * g)


@each_model
def test_every_cell_shows_its_gates_at_every_step(kind: str) -> None:
    gates = {"rnn": "", "gru": "rzn", "lstm": "gifo", "lnlstm": "gifo"}[MODELS[kind].get("cell", "lstm")]
    for layer in layers(kind).values():
        assert set(layer.gates) == set(gates)
        assert len(layer.states) == layer.lengths.max()
        for activations in layer.gates.values():
            assert activations.shape[:2] == (len(BATCH.src), len(layer.states))


@pytest.mark.parametrize(("kind", "reads_ahead"), [("lstm", True), ("rnn vector", False), ("lstm vector", False)])
def test_a_layer_of_the_encoder_reads_the_source_in_its_own_order(kind: str, reads_ahead: bool) -> None:
    for name, layer in layers(kind).items():
        if name.startswith("encoder"):
            assert list(layer.read) == ["src"]
            assert layer.lengths.tolist() == BATCH.src_lengths.tolist()
            for ids, src, length in zip(layer.read["src"], BATCH.src, BATCH.src_lengths, strict=True):
                turned = name.endswith("back") == reads_ahead
                assert ids[:length].tolist() == src[:length].tolist()[:: -1 if turned else 1]


def test_a_decoder_reads_the_target_and_read_along_both() -> None:
    decoder = layers("deep gru")["decoder 2"]
    assert list(decoder.read) == ["tgt"]
    assert torch.equal(decoder.read["tgt"], BATCH.tgt_in)
    assert torch.equal(decoder.lengths, BATCH.tgt_lengths)
    both = layers("read along")["layer 1"]  # waits for two
    assert both.lengths.tolist() == (BATCH.tgt_lengths + 2).tolist()
    assert both.read["src"][0].tolist() == [5, 6, 7, 3, 3, 3, 3]
    assert both.read["tgt"][0].tolist() == [2, 2, 2, 5, 4, 0, 0]


def test_attention_is_what_the_top_states_ask_for() -> None:
    for kind in ("lstm", "lnlstm", "fed gru", "fed lstm", "convolutional"):
        model = new_model(kind)
        traced = trace_batch(model, BATCH)
        top = torch.stack([state.h for state in traced.layers[-1].states], dim=1)  # (B, T, H)
        source = model.start(BATCH.src, BATCH.src_lengths).source  # type: ignore[union-attr]
        expected = model.decoder.attention.weights(top, source)  # type: ignore[union-attr, operator]
        assert traced.attention is not None
        assert traced.attention.shape == (len(BATCH.src), BATCH.tgt_in.size(1), BATCH.src.size(1))
        torch.testing.assert_close(traced.attention, expected)


@pytest.mark.parametrize("kind", ["rnn vector", "read along"])
def test_a_model_without_attention_has_none_to_show(kind: str) -> None:
    assert trace_batch(new_model(kind), BATCH).attention is None


@pytest.mark.parametrize("broken", [False, True])
def test_the_model_is_afterwards_what_it_was_even_if_the_pass_fails(broken: bool) -> None:
    model = new_model("fed lstm")
    modules: list[nn.Module] = list(model.modules())
    if broken:
        ids = BATCH.tgt_in + 1000  # no such embeddings
        with pytest.raises(IndexError):
            trace_batch(model, type(BATCH)(BATCH.src, BATCH.src_lengths, ids, BATCH.tgt_out, BATCH.tgt_lengths))
    else:
        trace_batch(model, BATCH)
    assert list(model.modules()) == modules
    assert not any(module._forward_hooks for module in modules)
    assert all(module.cell is CELLS["lstm"] for module in modules if isinstance(module, RecurrentLayer))
