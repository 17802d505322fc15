"""Logits from readouts, weights out and in, and padding left out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nmt.model.model import Model, real_positions

VOCAB = 12


class Toy(Model):
    """Embeddings that may be the output's weight too, as in a real model."""

    def __init__(self, *, tied: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, 4)
        self.output = nn.Linear(4, VOCAB)
        if tied:
            self.output.weight = self.embedding.weight

    def readouts(self, src: Tensor, src_lengths: Tensor, tgt_in: Tensor, tgt_lengths: Tensor) -> Tensor:
        return real_positions(torch.tanh(self.embedding(tgt_in)), tgt_lengths)


def new_model(*, tied: bool = False) -> Toy:
    torch.manual_seed(10)
    return Toy(tied=tied)


def logits(model: Toy) -> Tensor:
    ids, lengths = torch.arange(VOCAB).view(2, 6), torch.tensor([6, 4])
    found: Tensor = model(ids, lengths, ids, lengths)
    return found


def filled(model: Toy, value: float) -> Toy:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
    return model


either = pytest.mark.parametrize("tied", [True, False])


def test_logits_are_the_outputs_of_the_readouts_at_real_positions() -> None:
    model = new_model()
    embedded = model.embedding(torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]))
    expected = torch.tanh(embedded) @ model.output.weight.T + model.output.bias
    torch.testing.assert_close(logits(model), expected)


@either
def test_weights_go_round(tied: bool) -> None:
    model, other = new_model(tied=tied), filled(new_model(tied=tied), 1.0)
    assert not torch.equal(logits(other), logits(model))
    other.load_weights({name: tensor.clone() for name, tensor in model.weights().items()})
    assert torch.equal(logits(other), logits(model))


def test_loading_copies_the_weights_and_keeps_tensors_apart() -> None:
    model, other = filled(new_model(), 2.0), filled(new_model(), 3.0)
    other.load_weights(model.weights())
    filled(model, 4.0)
    assert all((parameter == 2.0).all() for parameter in other.parameters())


def test_weights_are_the_parameters_themselves_and_need_no_gradient() -> None:
    model = new_model()
    pointers = {name: parameter.data_ptr() for name, parameter in model.named_parameters()}
    assert {name: tensor.data_ptr() for name, tensor in model.weights().items()} == pointers
    assert not any(tensor.requires_grad for tensor in model.weights().values())
    model.load_weights(new_model().weights())
    assert all(parameter.requires_grad for parameter in model.parameters())


@either
def test_weights_hold_each_tensor_once_tied_or_not(tied: bool) -> None:
    weights = new_model(tied=tied).weights()
    assert list(weights) == ["embedding.weight", *([] if tied else ["output.weight"]), "output.bias"]


def test_weights_of_other_names_or_shapes_are_refused_and_named() -> None:
    model = new_model(tied=True)
    before = {name: tensor.clone() for name, tensor in model.weights().items()}
    with pytest.raises(ValueError, match=r"not in both: output\.bias$"):
        model.load_weights({name: tensor for name, tensor in before.items() if name != "output.bias"})
    with pytest.raises(ValueError, match=r"not in both: output\.bais$"):
        model.load_weights(before | {"output.bais": before["output.bias"]})
    with pytest.raises(ValueError, match=r"output\.bias: shape \(13,\), wanted \(12,\)"):
        model.load_weights(before | {"output.bias": torch.zeros(13)})


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.integers(1, 99), max_size=7), min_size=1, max_size=5), st.integers(0, 3))
def test_real_positions_are_all_tokens_row_after_row_and_no_padding(sentences: list[list[int]], more: int) -> None:
    width = max(map(len, sentences)) + more
    rows = torch.tensor([ids + [0] * (width - len(ids)) for ids in sentences])
    found = real_positions(torch.stack([rows, -rows], dim=-1), torch.tensor([len(ids) for ids in sentences]))
    assert found.tolist() == [[token, -token] for ids in sentences for token in ids]
