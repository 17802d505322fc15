"""Source ids to a memory and to the sentence vector."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.model.cells import CELLS
from nmt.model.embedding import Embedder
from nmt.model.encoder import EncoderOutput, RecurrentEncoder
from nmt.model.layers import Reader

VOCAB, EMBED, HIDDEN = 11, 4, 5
SHAPES: dict[str, dict[str, Any]] = {
    "one direction": {},
    "both directions": {"bidirectional": [True]},
    "reversed": {"reverse_source": True},
    "both, reversed": {"bidirectional": [True], "reverse_source": True},
    "deep": {"bidirectional": [False] * 3},
    "deep, residual": {"bidirectional": [False] * 3, "residual": True, "hidden_dim": EMBED},
    "deep, first in both directions": {"bidirectional": [True, False, False], "residual": True},
    "deep in both directions": {"bidirectional": [True, True], "residual": True, "reverse_source": True},
}
each_shape = pytest.mark.parametrize("shape", SHAPES)
SENTENCES = [[5, 6, 7, 4], [9], [4, 4, 10, 8, 3, 5], [7, 3]]


def new_encoder(*, word_dropout: float = 0.3, **options: Any) -> RecurrentEncoder:
    torch.manual_seed(3)
    shape: dict[str, Any] = {
        "cell": "lstm", "hidden_dim": HIDDEN, "bidirectional": [False], "dropout": 0.3, "state_dropout": 0.3,
        "residual": False, "reverse_source": False,
    }  # fmt: skip
    shape |= options
    dropout: dict[str, Any] = {"dropout": shape["dropout"], "dropout_kind": "locked"}
    embedder = Embedder(nn.Embedding(VOCAB, EMBED), **dropout, word_dropout=word_dropout)
    layers: list[Reader] = []
    for both in shape["bidirectional"]:
        size = layers[-1].output_dim if layers else EMBED
        settings = {"bidirectional": both, "state_dropout": shape["state_dropout"]}
        layers.append(Reader(shape["cell"], size, shape["hidden_dim"], **settings))
    order = {"residual": shape["residual"], "reverse_source": shape["reverse_source"]}
    return RecurrentEncoder(embedder=embedder, layers=layers, **order, **dropout).double().eval()


def batch(sentences: list[list[int]], width: int | None = None, pad: int = 0) -> tuple[Tensor, Tensor]:
    """ids (B, S) filled up with `pad`, lengths (B,)."""
    width = width or max(map(len, sentences))
    rows = [ids + [pad] * (width - len(ids)) for ids in sentences]
    return torch.tensor(rows), torch.tensor([len(ids) for ids in sentences])


def encode(encoder: RecurrentEncoder, sentences: list[list[int]], **options: int) -> EncoderOutput:
    output: EncoderOutput = encoder(*batch(sentences, **options))
    return output


@each_shape
@pytest.mark.parametrize("cell", CELLS)
def test_batch_mates_and_padding_never_change_a_sentence(shape: str, cell: str) -> None:
    encoder = new_encoder(cell=cell, **SHAPES[shape])
    together = encode(encoder, SENTENCES, width=9, pad=8)
    for row, ids in enumerate(SENTENCES):
        alone = encode(encoder, [ids])
        torch.testing.assert_close(together.vector[row], alone.vector[0])
        torch.testing.assert_close(together.memory[row, : len(ids)], alone.memory[0])


@each_shape
def test_mask_is_false_at_padding_only(shape: str) -> None:
    together = encode(new_encoder(**SHAPES[shape]), SENTENCES, width=9, pad=8)
    assert together.mask.tolist() == [[position < len(ids) for position in range(9)] for ids in SENTENCES]


@each_shape
def test_sizes_are_those_that_output_dim_says(shape: str) -> None:
    encoder = new_encoder(**SHAPES[shape])
    together = encode(encoder, SENTENCES)
    both = SHAPES[shape].get("bidirectional", [False])
    assert len(encoder.layers) == len(both)
    assert encoder.output_dim == SHAPES[shape].get("hidden_dim", HIDDEN) * (2 if both[-1] else 1)
    assert together.memory.shape == (4, 6, encoder.output_dim)
    assert together.vector.shape == (4, encoder.output_dim)


def test_the_vector_is_the_state_after_the_last_token_read() -> None:
    output = encode(new_encoder(), SENTENCES)
    for row, ids in enumerate(SENTENCES):
        torch.testing.assert_close(output.vector[row], output.memory[row, len(ids) - 1])


def test_the_vector_of_two_directions_is_the_last_forward_and_the_first_backward_state() -> None:
    output = encode(new_encoder(bidirectional=[True]), SENTENCES)
    for row, ids in enumerate(SENTENCES):
        both = [output.memory[row, len(ids) - 1, :HIDDEN], output.memory[row, 0, HIDDEN:]]
        torch.testing.assert_close(output.vector[row], torch.cat(both))


def test_the_deep_vector_is_that_of_the_top_layer() -> None:
    output = encode(new_encoder(bidirectional=[True, False, False]), [[5, 6, 7]])
    torch.testing.assert_close(output.vector[0], output.memory[0, -1])


def test_reading_reversed_equals_reading_the_reversed_sentence_and_memory_keeps_the_order_of_the_source() -> None:
    found = encode(new_encoder(reverse_source=True), SENTENCES)
    expected = encode(new_encoder(), [ids[::-1] for ids in SENTENCES])
    torch.testing.assert_close(found.vector, expected.vector)
    for row, ids in enumerate(SENTENCES):
        torch.testing.assert_close(found.memory[row, : len(ids)], expected.memory[row, : len(ids)].flip(0))
    assert not torch.allclose(found.vector, encode(new_encoder(), SENTENCES).vector)


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("hidden_dim", [HIDDEN, EMBED])
def test_what_every_layer_but_the_first_read_is_added_to_what_it_says(residual: bool, hidden_dim: int) -> None:
    """An upper layer that says nothing passes on what the first one says, and the vector, its own state, is 0."""
    wider = new_encoder(bidirectional=[False, False], hidden_dim=hidden_dim, residual=residual)
    with torch.no_grad():
        for parameter in wider.layers[1].parameters():
            parameter.zero_()
    [ids] = SENTENCES[:1]
    assert not encode(wider, [ids]).vector.any()
    first, _ = wider.layers[0](wider.embedder(torch.tensor([ids])), torch.tensor([len(ids)]))
    torch.testing.assert_close(encode(wider, [ids]).memory, first if residual else torch.zeros_like(first))


@pytest.mark.parametrize(("layers", "acts"), [(2, False), (3, True)])
def test_a_layer_of_another_size_than_what_it_reads_has_nothing_added(layers: int, acts: bool) -> None:
    """The second, after one in both directions; the third has what it reads added."""
    found, without = (
        encode(new_encoder(bidirectional=[True, False, False][:layers], residual=residual), SENTENCES).memory
        for residual in (True, False)
    )
    assert torch.equal(found, without) is not acts


@pytest.mark.parametrize(
    ("options", "acts"),
    [
        ({"dropout": 0.5}, True),
        ({"word_dropout": 0.5}, True),
        ({"state_dropout": 0.5}, True),
        ({}, False),
    ],
)
def test_each_dropout_acts_in_training_only(options: dict[str, float], acts: bool) -> None:
    none = {"dropout": 0.0, "word_dropout": 0.0, "state_dropout": 0.0}
    expected = encode(new_encoder(bidirectional=[True, False], **none), SENTENCES).memory  # type: ignore[arg-type]
    encoder = new_encoder(bidirectional=[True, False], **none | options)  # type: ignore[arg-type]
    assert torch.equal(encode(encoder, SENTENCES).memory, expected)
    assert torch.allclose(encode(encoder.train(), SENTENCES).memory, expected) is not acts


def test_dropout_stands_between_layers() -> None:
    """And not before the first, where the embedder has its own, nor after the last."""
    for layers in (1, 2):
        encoder = new_encoder(bidirectional=[False] * layers, dropout=0.5, word_dropout=0.0, state_dropout=0.0)
        encoder.embedder.eval()
        expected = encode(encoder, SENTENCES).memory
        encoder.dropout.train()
        assert torch.allclose(encode(encoder, SENTENCES).memory, expected) is (layers == 1)
