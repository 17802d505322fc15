"""The whole model, in all its shapes."""

import itertools
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from nmt.model.seq2seq import Seq2Seq, build_model
from nmt.recipe import ModelSection

SRC_VOCAB = TGT_VOCAB = 12
BASE = {"embed_dim": 4, "encoder_dim": 3, "decoder_dim": 5, "dropout": 0.4}
CHOICES = {
    "encoder_layers": (1, 2),
    "decoder_layers": (1, 2),
    "bidirectional": (True, False),
    "reverse_source": (True, False),
    "feed_vector": (True, False),
    "tie": ("none", "tgt", "all"),
}
SHAPES = [dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values())]

SRC = torch.tensor([[5, 6, 7, 3, 0], [8, 3, 0, 0, 0], [4, 9, 10, 11, 3]])
SRC_LENGTHS = torch.tensor([4, 2, 5])
TGT_IN = torch.tensor([[2, 5, 4, 0], [2, 9, 9, 9], [2, 0, 0, 0]])
TGT_LENGTHS = torch.tensor([3, 4, 1])


def new_model(**options: object) -> Seq2Seq:
    torch.manual_seed(10)
    section = ModelSection(**(BASE | options))  # type: ignore[arg-type]
    return build_model(section, src_vocab_size=SRC_VOCAB, tgt_vocab_size=TGT_VOCAB).double().eval()


def step_by_step(model: Seq2Seq, src: Tensor, src_lengths: Tensor, tgt_in: Tensor) -> Tensor:
    """The log-probabilities (B, T, V) that search would see."""
    state = model.start(src, src_lengths)
    log_probs = []
    for position in range(tgt_in.size(1)):
        scores, state = model.step(tgt_in[:, position], state)
        log_probs.append(scores)
    return torch.stack(log_probs, dim=1)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape.values())))
def test_step_by_step_equals_teacher_forcing(shape: dict[str, object]) -> None:
    model = new_model(**shape)
    forced = functional.log_softmax(model(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS), dim=-1)
    stepped = step_by_step(model, SRC, SRC_LENGTHS, TGT_IN)
    real = [stepped[row, :length] for row, length in enumerate(TGT_LENGTHS)]
    torch.testing.assert_close(torch.cat(real), forced)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("reverse_source", [True, False])
@settings(deadline=None, max_examples=15)
@given(
    sentences=st.lists(st.lists(st.integers(0, SRC_VOCAB - 1), min_size=1, max_size=6), min_size=1, max_size=4),
    more=st.integers(0, 3),
    pad=st.integers(0, SRC_VOCAB - 1),
)
def test_batch_mates_and_padding_never_change_log_probs(
    bidirectional: bool, reverse_source: bool, sentences: list[list[int]], more: int, pad: int
) -> None:
    model = new_model(bidirectional=bidirectional, reverse_source=reverse_source, encoder_layers=2)
    width = max(map(len, sentences)) + more
    src = torch.tensor([ids + [pad] * (width - len(ids)) for ids in sentences])
    lengths = torch.tensor([len(ids) for ids in sentences])
    tgt_in = TGT_IN[1:2]
    together = step_by_step(model, src, lengths, tgt_in.expand(len(sentences), -1))
    for row, ids in enumerate(sentences):
        alone = step_by_step(model, torch.tensor([ids]), torch.tensor([len(ids)]), tgt_in)
        torch.testing.assert_close(together[row], alone[0])


def test_log_probs_are_those_of_a_distribution() -> None:
    log_probs = step_by_step(new_model(), SRC, SRC_LENGTHS, TGT_IN)
    torch.testing.assert_close(log_probs.exp().sum(dim=-1), torch.ones(3, 4, dtype=torch.float64))


@pytest.mark.parametrize("tie", CHOICES["tie"])
def test_tying_shares_the_storage(tie: str) -> None:
    model = new_model(tie=tie)
    source, target, output = (
        layer.weight.data_ptr() for layer in (model.encoder.embedding, model.decoder.embedding, model.output)
    )
    assert (output == target) is (tie != "none")
    assert (source == target) is (tie == "all")


def test_two_vocabularies_may_differ_in_size() -> None:
    section = ModelSection(**(BASE | {"tie": "tgt"}))  # type: ignore[arg-type]
    model = build_model(section, src_vocab_size=SRC_VOCAB, tgt_vocab_size=20).double().eval()
    assert step_by_step(model, SRC, SRC_LENGTHS, TGT_IN).shape == (3, 4, 20)


@pytest.mark.parametrize("tie", CHOICES["tie"])
def test_logits_begin_near_0(tie: Literal["none", "tgt", "all"]) -> None:
    """So that training begins at the uniform distribution's loss, log V."""
    model = build_model(ModelSection(tie=tie), src_vocab_size=500, tgt_vocab_size=500).eval()
    logits = model(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS)
    assert logits.std() < 1.0


@pytest.mark.parametrize("feed_vector", [True, False])
@pytest.mark.parametrize("tie", CHOICES["tie"])
def test_a_gradient_reaches_every_parameter(tie: str, feed_vector: bool) -> None:
    model = new_model(tie=tie, feed_vector=feed_vector, encoder_layers=2, decoder_layers=2, dropout=0.0).train()
    model(SRC, SRC_LENGTHS, TGT_IN, TGT_LENGTHS).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


@pytest.mark.parametrize("tie", CHOICES["tie"])
def test_weights_go_round(tie: str) -> None:
    model, other = new_model(tie=tie), new_model(tie=tie)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    other.load_weights({name: tensor.clone() for name, tensor in model.weights().items()})
    assert torch.equal(step_by_step(other, SRC, SRC_LENGTHS, TGT_IN), step_by_step(model, SRC, SRC_LENGTHS, TGT_IN))


def test_loading_copies_the_weights_and_keeps_tensors_apart() -> None:
    model, other = new_model(), new_model()
    with torch.no_grad():
        next(other.parameters()).fill_(3.0)
    other.load_weights(model.weights())
    with torch.no_grad():
        next(model.parameters()).fill_(4.0)
    assert not (next(other.parameters()) == 4.0).any()


def test_weights_hold_each_tensor_once_tied_or_not() -> None:
    for tie in ("none", "tgt", "all"):
        pointers = [tensor.data_ptr() for tensor in new_model(tie=tie).weights().values()]
        assert len(set(pointers)) == len(pointers)


def test_weights_of_other_names_or_shapes_are_refused_and_named() -> None:
    model = new_model(tie="tgt")
    before = {name: tensor.clone() for name, tensor in model.weights().items()}
    with pytest.raises(ValueError, match=r"not in both: output\.bias$"):
        model.load_weights({name: tensor for name, tensor in before.items() if name != "output.bias"})
    with pytest.raises(ValueError, match=r"not in both: output\.bais$"):
        model.load_weights(before | {"output.bais": before["output.bias"]})
    with pytest.raises(ValueError, match=r"output\.bias: shape \(13,\), wanted \(12,\)"):
        model.load_weights(before | {"output.bias": torch.zeros(13)})


def test_the_seed_decides_the_first_weights() -> None:
    first, again = new_model().weights(), new_model().weights()
    assert all(torch.equal(first[name], again[name]) for name in first)
