"""Source ids to a memory, all positions at once."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nmt.model.convolution import ConvolutionalEncoder, sinusoids
from nmt.model.embedding import Embedder
from nmt.model.encoder import EncoderOutput

VOCAB, EMBED, HIDDEN = 11, 4, 6
SENTENCES = [[5, 6, 7, 4], [9], [4, 4, 10, 8, 3, 5], [7, 3]]
CPU = torch.device("cpu")


def new_encoder(
    *,
    embed_dim: int = EMBED,
    hidden_dim: int = HIDDEN,
    layers: int = 2,
    kernel_size: int = 3,
    dropout: float = 0.3,
    word_dropout: float = 0.3,
) -> ConvolutionalEncoder:
    torch.manual_seed(3)
    embedding = nn.Embedding(VOCAB, embed_dim)
    nn.init.normal_(embedding.weight, std=embed_dim**-0.5)
    encoder = ConvolutionalEncoder(
        embedder=Embedder(embedding, dropout=dropout, dropout_kind="locked", word_dropout=word_dropout),
        hidden_dim=hidden_dim,
        layers=layers,
        kernel_size=kernel_size,
        dropout=dropout,
        dropout_kind="locked",
    )
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if name.endswith("bias"):  # so that padding would be seen wherever it entered
                parameter.normal_()
    return encoder.double().eval()


def encode(encoder: ConvolutionalEncoder, sentences: list[list[int]], *, width: int = 0, pad: int = 0) -> EncoderOutput:
    width = max(width, *map(len, sentences))
    src = torch.tensor([ids + [pad] * (width - len(ids)) for ids in sentences])
    output: EncoderOutput = encoder(src, torch.tensor([len(ids) for ids in sentences]))
    return output


def equal(found: Tensor, expected: Tensor) -> bool:
    return torch.allclose(found, expected, rtol=0.0, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(
    sentences=st.lists(st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=6), min_size=1, max_size=4),
    more=st.integers(0, 4),
    pad=st.integers(0, VOCAB - 1),
    layers=st.integers(1, 3),
    kernel_size=st.sampled_from([1, 3, 5]),
)
def test_batch_mates_and_padding_never_change_a_sentence(
    sentences: list[list[int]], more: int, pad: int, layers: int, kernel_size: int
) -> None:
    encoder = new_encoder(layers=layers, kernel_size=kernel_size)
    together = encode(encoder, sentences, width=max(map(len, sentences)) + more, pad=pad)
    for row, ids in enumerate(sentences):
        alone = encode(encoder, [ids])
        assert equal(together.memory[row, : len(ids)], alone.memory[0])
        assert equal(together.vector[row], alone.vector[0])


def test_memory_is_0_and_mask_is_false_at_padding_only() -> None:
    together = encode(new_encoder(), SENTENCES, width=9, pad=8)
    assert together.mask.tolist() == [[position < len(ids) for position in range(9)] for ids in SENTENCES]
    assert torch.equal(together.memory.any(dim=-1), together.mask)


@pytest.mark.parametrize("embed_dim", [HIDDEN, EMBED, 5])
def test_sizes_are_those_that_output_dim_says(embed_dim: int) -> None:
    encoder = new_encoder(embed_dim=embed_dim)
    together = encode(encoder, SENTENCES)
    assert encoder.output_dim == HIDDEN
    assert together.memory.shape == (4, 6, HIDDEN)
    assert together.vector.shape == (4, HIDDEN)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_a_token_is_seen_as_far_as_the_layers_reach_and_no_further(layers: int, kernel_size: int) -> None:
    encoder = new_encoder(layers=layers, kernel_size=kernel_size)
    reach, sentence = layers * (kernel_size - 1) // 2, [4, 5, 6, 7] * 4
    before = encode(encoder, [sentence]).memory[0]
    for position in range(len(sentence)):
        after = encode(encoder, [[*sentence[:position], 9, *sentence[position + 1 :]]]).memory[0]
        changed = ((after - before).abs() > 1e-9).any(dim=-1)
        assert changed.tolist() == [abs(other - position) <= reach for other in range(len(sentence))]
        assert equal(after[~changed], before[~changed])


def test_the_vector_is_the_mean_over_the_real_positions() -> None:
    output = encode(new_encoder(), SENTENCES)
    for row, ids in enumerate(SENTENCES):
        torch.testing.assert_close(output.vector[row], output.memory[row, : len(ids)].mean(dim=0))


@pytest.mark.parametrize("embed_dim", [HIDDEN, EMBED])
def test_equal_tokens_differ_by_their_position_in_a_sentence_of_any_length(embed_dim: int) -> None:
    """No position sees another one here, so that only position embeddings can tell them apart."""
    memory = encode(new_encoder(embed_dim=embed_dim, kernel_size=1), [[7] * 1500]).memory[0]
    distances = torch.cdist(memory, memory) + torch.eye(1500)
    assert distances.min() > 1e-4


def test_sinusoids_of_positions_equally_far_apart_have_equal_products() -> None:
    embeddings = sinusoids(40, 8, CPU).double()
    products = embeddings @ embeddings.T
    torch.testing.assert_close(products[1:, 1:], products[:-1, :-1], rtol=0.0, atol=1e-5)
    assert (products[0, 1:] < products[0, 0] - 0.1).all()


def test_an_odd_size_cuts_the_last_wave_short() -> None:
    angles = torch.arange(30.0)[:, None] * torch.tensor([1.0, 10000.0 ** (-2 / 3)])
    expected = torch.stack([angles[:, 0].sin(), angles[:, 0].cos(), angles[:, 1].sin()], dim=1)
    torch.testing.assert_close(sinusoids(30, 3, CPU), expected)


def test_depth_keeps_the_variance_and_the_gradient() -> None:
    """As it begins. Thirty layers up, the memory is as large as two layers up, and so is the gradient at the input."""
    sentence = (torch.arange(60) % VOCAB).tolist()
    sizes, gradients = [], []
    for layers in (2, 30):
        encoder = new_encoder(embed_dim=64, hidden_dim=64, layers=layers)
        for layer in encoder.layers:
            nn.init.zeros_(layer.bias)
        memory = encode(encoder, [sentence]).memory[0]
        (memory * torch.randn_like(memory)).sum().backward()
        sizes.append(float(memory.detach().std()))
        gradients.append(float(encoder.embedder.embedding.weight.grad.std()))
    assert 0.7 < sizes[1] / sizes[0] < 1.4
    assert 0.1 < gradients[1] / gradients[0] < 10.0


def test_a_gradient_reaches_every_parameter() -> None:
    encoder = new_encoder(dropout=0.0, word_dropout=0.0).train()
    output = encode(encoder, [list(range(VOCAB))])
    (output.memory.square().sum() + output.vector.sum()).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_a_dropped_word_leaves_its_position_behind() -> None:
    encoder = new_encoder(kernel_size=1, dropout=0.0, word_dropout=0.5)
    full = encode(encoder, [[7] * 40]).memory[0]
    found = encode(encoder.train(), [[7] * 40]).memory[0]
    with torch.no_grad():
        encoder.embedder.embedding.weight.zero_()
    empty = encode(encoder.eval(), [[7] * 40]).memory[0]
    kept, dropped = ((found - other).abs().amax(dim=-1) < 1e-12 for other in (full, empty))
    assert (kept ^ dropped).all()
    assert 5 < int(dropped.sum()) < 35


def test_dropout_acts_between_layers_in_training_only() -> None:
    encoder = new_encoder(dropout=0.5, word_dropout=0.0).train()
    encoder.embedder.eval()
    assert not torch.equal(encode(encoder, SENTENCES).memory, encode(encoder, SENTENCES).memory)
    encoder.eval()
    assert torch.equal(encode(encoder, SENTENCES).memory, encode(encoder, SENTENCES).memory)
