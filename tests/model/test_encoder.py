"""Source ids to a sentence vector."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nmt.model.encoder import Encoder, EncoderOutput, reverse_rows

VOCAB, EMBED, HIDDEN = 11, 4, 5
SHAPES: dict[str, dict[str, Any]] = {
    "one direction": {},
    "both directions": {"bidirectional": True},
    "reversed": {"reverse_source": True},
    "both, reversed": {"bidirectional": True, "reverse_source": True},
    "deep": {"layers": 3},
    "deep in both directions": {"layers": 2, "bidirectional": True},
}
SENTENCES = [[5, 6, 7, 4], [9], [4, 4, 10, 8, 3, 5], [7, 3]]


def new_encoder(**options: object) -> Encoder:
    torch.manual_seed(3)
    keywords: dict[str, Any] = {"layers": 1, "bidirectional": False, "reverse_source": False} | options
    embedding = nn.Embedding(VOCAB, EMBED)
    encoder = Encoder(embedding=embedding, hidden_dim=HIDDEN, dropout=0.3, dropout_kind="locked", **keywords)
    return encoder.double().eval()


def batch(sentences: list[list[int]], width: int | None = None, pad: int = 0) -> tuple[Tensor, Tensor]:
    """ids (B, S) filled up with `pad`, lengths (B,)."""
    width = width or max(map(len, sentences))
    rows = [ids + [pad] * (width - len(ids)) for ids in sentences]
    return torch.tensor(rows), torch.tensor([len(ids) for ids in sentences])


def encode(encoder: Encoder, sentences: list[list[int]], **options: int) -> EncoderOutput:
    output: EncoderOutput = encoder(*batch(sentences, **options))
    return output


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_mates_and_padding_never_change_a_sentence(shape: str) -> None:
    encoder = new_encoder(**SHAPES[shape])
    together = encode(encoder, SENTENCES, width=9, pad=8)
    for row, ids in enumerate(SENTENCES):
        alone = encode(encoder, [ids])
        torch.testing.assert_close(together.h[row], alone.h[0])
        torch.testing.assert_close(together.c[row], alone.c[0])
        torch.testing.assert_close(together.memory[row, : len(ids)], alone.memory[0])


@pytest.mark.parametrize("shape", SHAPES)
def test_memory_is_0_and_mask_is_false_at_padding_only(shape: str) -> None:
    together = encode(new_encoder(**SHAPES[shape]), SENTENCES, width=9, pad=8)
    assert together.mask.tolist() == [[position < len(ids) for position in range(9)] for ids in SENTENCES]
    assert torch.equal(together.memory.any(dim=-1), together.mask)


@pytest.mark.parametrize("shape", SHAPES)
def test_sizes_are_those_that_output_dim_says(shape: str) -> None:
    encoder = new_encoder(**SHAPES[shape])
    together = encode(encoder, SENTENCES)
    assert encoder.output_dim == HIDDEN * (2 if "both" in shape else 1)
    assert together.memory.shape == (4, 6, encoder.output_dim)
    assert together.h.shape == together.c.shape == (4, encoder.output_dim)


def test_the_vector_is_the_state_after_the_last_token_read() -> None:
    output = encode(new_encoder(), SENTENCES)
    for row, ids in enumerate(SENTENCES):
        torch.testing.assert_close(output.h[row], output.memory[row, len(ids) - 1])


def test_the_vector_of_two_directions_is_the_last_forward_and_the_first_backward_state() -> None:
    output = encode(new_encoder(bidirectional=True), SENTENCES)
    for row, ids in enumerate(SENTENCES):
        both = [output.memory[row, len(ids) - 1, :HIDDEN], output.memory[row, 0, HIDDEN:]]
        torch.testing.assert_close(output.h[row], torch.cat(both))


def test_the_deep_vector_is_that_of_the_top_layer() -> None:
    output = encode(new_encoder(layers=3), [[5, 6, 7]])
    torch.testing.assert_close(output.h[0], output.memory[0, -1])


def test_reading_reversed_equals_reading_the_reversed_sentence() -> None:
    found = encode(new_encoder(reverse_source=True), SENTENCES)
    expected = encode(new_encoder(), [ids[::-1] for ids in SENTENCES])
    torch.testing.assert_close(found.h, expected.h)
    assert not torch.allclose(found.h, encode(new_encoder(), SENTENCES).h)


def test_embeddings_enter_at_variance_1() -> None:
    """They are drawn with variance 1 / E, so that they can be output weights too."""
    encoder = new_encoder()
    scaled = new_encoder()
    scaled.embed_scale = 1.0
    with torch.no_grad():
        scaled.embedding.weight.mul_(EMBED**0.5)
    torch.testing.assert_close(encode(encoder, SENTENCES).h, encode(scaled, SENTENCES).h)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=7), min_size=1, max_size=5), st.integers(0, 3))
def test_reverse_rows_turns_the_tokens_around_and_leaves_the_padding(sentences: list[list[int]], more: int) -> None:
    width = max(map(len, sentences)) + more
    reversed_ids, _ = batch([ids[::-1] for ids in sentences], width=width)
    assert torch.equal(reverse_rows(*batch(sentences, width=width)), reversed_ids)
