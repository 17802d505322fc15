"""How a recipe's section becomes a model."""

from typing import Any, Literal, get_args

import pytest
import torch
from torch import nn
from toy_model import SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS, VOCAB, new_model, section

from nmt.model.attention import ATTENTIONS
from nmt.model.build import ARCHITECTURES, ENCODERS, AnyModel, build_model
from nmt.model.cells import CELLS
from nmt.model.dropout import DROPOUTS
from nmt.recipe import ModelSection
from nmt.recipe_rules import memory_dim

KINDS = {
    "architecture": ARCHITECTURES,
    "cell": CELLS,
    "encoder": ENCODERS,
    "attention": ATTENTIONS,
    "dropout_kind": DROPOUTS,
}
# Each key of [model]: what it needs to count at all, its value there, and another.
EFFECTS: dict[str, tuple[dict[str, object], object, object]] = {
    "architecture": ({}, "encoder_decoder", "read_along"),
    "wait": ({"architecture": "read_along"}, 1, 2),
    "cell": ({}, "lstm", "lnlstm"),
    "embed_dim": ({}, 4, 6),
    "encoder": ({}, "recurrent", "convolutional"),
    "encoder_dim": ({}, 3, 4),
    "encoder_layers": ({}, 1, 2),
    "kernel_size": ({"encoder": "convolutional"}, 3, 5),
    "bidirectional": ({"encoder_layers": 2}, "first", "all"),
    "reverse_source": ({"bidirectional": "none"}, False, True),
    "decoder_dim": ({}, 6, 8),
    "decoder_layers": ({}, 1, 2),
    "residual": ({"decoder_layers": 2}, False, True),
    "attention": ({}, "dot", "general"),
    "attention_heads": ({"attention": "multihead"}, 2, 3),
    "attention_window": ({"attention": "local"}, 1, 2),
    "input_feeding": ({}, False, True),
    "feed_vector": ({"attention": "none"}, False, True),
    "tie": ({}, "tgt", "all"),
    "dropout": ({}, 0.2, 0.4),
    "dropout_kind": ({}, "locked", "plain"),
    "word_dropout": ({}, 0.0, 0.4),
    "state_dropout": ({}, 0.0, 0.4),
}
each_tie = pytest.mark.parametrize("tie", get_args(ModelSection.model_fields["tie"].annotation))


@pytest.mark.parametrize("key", KINDS)
def test_a_recipe_may_say_exactly_the_kinds_that_there_are(key: str) -> None:
    assert get_args(ModelSection.model_fields[key].annotation) == tuple(KINDS[key])


@pytest.mark.parametrize("key", ModelSection.model_fields)
def test_no_key_is_without_effect(key: str) -> None:
    """On what a model in training says, under the same seed."""
    needs, one, other = EFFECTS[key]
    found = []
    for value in (one, one, other):
        torch.manual_seed(1)
        model = build_model(section(**needs | {key: value}), src_vocab_size=VOCAB, tgt_vocab_size=VOCAB).train()
        torch.manual_seed(2)
        found.append(model(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS).detach())
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2])


@pytest.mark.parametrize(
    ("key", "needs", "values"),
    [
        ("bidirectional", {"encoder": "convolutional", "encoder_layers": 2}, ["none", "first", "all"]),
        ("residual", {"bidirectional": "first", "encoder_layers": 2}, [False, True]),
    ],
)
def test_a_key_is_without_effect_where_its_description_says_so(
    key: str, needs: dict[str, object], values: list[object]
) -> None:
    first, *others = (new_model(**needs | {key: value}).eval() for value in values)
    expected = first(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS)
    for other in others:
        assert torch.equal(other(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS), expected)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("bidirectional", ["none", "first", "all"])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_recipe_knows_the_size_of_the_memory(encoder: str, bidirectional: str, layers: int) -> None:
    """Its rule for dot attention hangs on it."""
    options = {"encoder": encoder, "bidirectional": bidirectional, "encoder_layers": layers}
    size = memory_dim(section(**options).model_dump())
    model = new_model(**options, attention="dot", decoder_dim=size)
    assert model.encoder.output_dim == size
    assert model.encoder(SRC, SRC_LENGTHS).memory.shape == (3, 5, size)


@each_tie
def test_tying_shares_the_storage(tie: str) -> None:
    model = new_model(tie=tie)
    source, target, output = (
        layer.weight.data_ptr()
        for layer in (model.encoder.embedder.embedding, model.decoder.embedder.embedding, model.output)
    )
    assert (output == target) is (tie != "none")
    assert (source == target) is (tie == "all")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_two_vocabularies_may_differ_in_size(architecture: str) -> None:
    options = section(tie="tgt", architecture=architecture)
    model = build_model(options, src_vocab_size=VOCAB, tgt_vocab_size=20)
    assert model(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS).shape == (8, 20)


@each_tie
@pytest.mark.parametrize("attention", ["none", "general"])
def test_logits_begin_near_0(tie: Literal["none", "tgt", "all"], attention: Literal["none", "general"]) -> None:
    """So that training begins at the uniform distribution's loss, log V."""
    torch.manual_seed(1)
    model = build_model(ModelSection(tie=tie, attention=attention), src_vocab_size=500, tgt_vocab_size=500).eval()
    assert model(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS).detach().std() < 1.0


def trained(model: AnyModel) -> dict[str, Any]:
    """The gradients by name, after one pass in training."""
    model.train()
    model(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS).square().sum().backward()  # type: ignore[no-untyped-call]
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@each_tie
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_gradient_reaches_every_parameter(tie: str, attention: str, cell: str) -> None:
    layers = {"encoder_layers": 2, "decoder_layers": 2, "bidirectional": "first", "encoder_dim": 6}
    options = {"tie": tie, "attention": attention, "cell": cell, "dropout": 0.0, "attention_window": 5}
    for name, gradient in trained(new_model(**layers | options)).items():
        assert gradient is not None and gradient.any(), name


@each_tie
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_rows_added_to_the_output_layers_gradient_make_the_same_whole(tie: str, architecture: str) -> None:
    """As those that each look-up makes for itself; words repeat, on the source's side, the target's, and on both."""
    found = []
    for together in (True, False):
        torch.manual_seed(1)
        options = section(tie=tie, architecture=architecture, dropout=0.0)
        model = build_model(options, src_vocab_size=VOCAB, tgt_vocab_size=VOCAB).double()
        for module in model.modules():
            if isinstance(module, nn.Embedding):
                module.sparse = module.sparse and together
        found.append(trained(model))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize(
    "options",
    [
        {"input_feeding": True, "decoder_layers": 2, "state_dropout": 0.2},
        {"attention": "none", "feed_vector": False},
        {"encoder": "convolutional", "encoder_layers": 2},
    ],
    ids=str,
)
def test_a_gradient_reaches_every_parameter_of_other_shapes_too(options: dict[str, object]) -> None:
    for name, gradient in trained(new_model(**{"dropout": 0.0} | options)).items():
        assert gradient is not None and gradient.any(), name


def test_the_seed_decides_the_first_weights() -> None:
    first, again, other = (new_model(seed=seed).weights() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)
