"""Every attention against its equation in plain Python, and what all of them have in common."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nmt.model.attention import ATTENTIONS, Attention, LocalAttention, MultiheadAttention, Source
from nmt.model.encoder import EncoderOutput

SIZE, QUERIES, WIDTH = 6, 4, 7
LENGTHS = [5, 1, 3]
OPTIONS: dict[str, dict[str, Any]] = {"none": {"feed_vector": True}, "local": {"window": 2}, "multihead": {"heads": 2}}
Vector = list[float]
each = pytest.mark.parametrize("name", ATTENTIONS)
each_that_looks = pytest.mark.parametrize("name", [name for name in ATTENTIONS if name != "none"])


def new_attention(name: str, *, memory_dim: int = SIZE, **options: Any) -> Attention:
    torch.manual_seed(1)
    kind = ATTENTIONS[name]
    attention = kind(memory_dim=memory_dim, query_dim=SIZE, **OPTIONS.get(name, {}) | options)
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return attention.double()


def encoded(lengths: list[int], *, width: int = WIDTH, memory_dim: int = SIZE, seed: int = 2) -> EncoderOutput:
    """As an encoder gives it: at padding it means nothing; the same sentences whatever the width."""
    generator = torch.Generator().manual_seed(seed)
    memory = torch.full((len(lengths), width, memory_dim), 1e3 * width, dtype=torch.float64)
    for row, length in enumerate(lengths):
        memory[row, :length] = torch.randn(length, memory_dim, generator=generator, dtype=torch.float64)
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    return EncoderOutput(memory, mask, torch.randn(len(lengths), memory_dim, generator=generator, dtype=torch.float64))


def queries(rows: int, *, seed: int = 3) -> Tensor:
    return torch.randn(rows, QUERIES, SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- the equations, one query h and the real positions of one memory at a time ---


def dot(one: Vector, other: Vector) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def times(matrix: Tensor, vector: Vector) -> Vector:
    return [dot(row, vector) for row in matrix.tolist()]


def softmax(scores: Vector) -> Vector:
    exponentials = [math.exp(score) for score in scores]
    return [value / math.fsum(exponentials) for value in exponentials]


def weighted(shares: Vector, values: list[Vector]) -> Vector:
    return [dot(shares, list(column)) for column in zip(*values, strict=True)]


def dot_by_hand(_: Any, h: Vector, memory: list[Vector]) -> Vector:
    return weighted(softmax([dot(h, m) / math.sqrt(SIZE) for m in memory]), memory)


def general_score(attention: Any, h: Vector, m: Vector) -> float:
    return dot(h, times(attention.key.weight, m)) / math.sqrt(SIZE)


def general_by_hand(attention: Any, h: Vector, memory: list[Vector]) -> Vector:
    return weighted(softmax([general_score(attention, h, m) for m in memory]), memory)


def mlp_by_hand(attention: Any, h: Vector, memory: list[Vector]) -> Vector:
    [v], b, scores = attention.score.weight.tolist(), attention.key.bias.tolist(), []
    for m in memory:
        parts = times(attention.query.weight, h), times(attention.key.weight, m), b
        scores.append(dot(v, [math.tanh(sum(three)) for three in zip(*parts, strict=True)]))
    return weighted(softmax(scores), memory)


def local_by_hand(attention: Any, h: Vector, memory: list[Vector]) -> Vector:
    [v] = attention.position.weight.tolist()
    aligned = dot(v, [math.tanh(value) for value in times(attention.align.weight, h)])
    p = (len(memory) - 1) / (1 + math.exp(-aligned))
    near = [s for s in range(len(memory)) if abs(s - p) <= attention.window]
    sigma = attention.window / 2
    shares = softmax([general_score(attention, h, memory[s]) for s in near])
    shares = [share * math.exp(-((s - p) ** 2) / (2 * sigma**2)) for s, share in zip(near, shares, strict=True)]
    return weighted(shares, [memory[s] for s in near])


def multihead_by_hand(attention: Any, h: Vector, memory: list[Vector]) -> Vector:
    width, joined = SIZE // attention.heads, []
    for head in range(attention.heads):
        part = slice(head * width, (head + 1) * width)
        query = times(attention.query.weight[part], h)
        keys = [times(attention.key.weight[part], m) for m in memory]
        values = [times(attention.value.weight[part], m) for m in memory]
        joined += weighted(softmax([dot(query, key) / math.sqrt(width) for key in keys]), values)
    return times(attention.join.weight, joined)


BY_HAND: dict[str, Callable[[Any, Vector, list[Vector]], Vector]] = {
    "dot": dot_by_hand,
    "general": general_by_hand,
    "mlp": mlp_by_hand,
    "local": local_by_hand,
    "multihead": multihead_by_hand,
}


@pytest.mark.parametrize(
    ("name", "memory_dim"), [(name, size) for size in (SIZE, 5) for name in BY_HAND if (name, size) != ("dot", 5)]
)
def test_a_context_is_what_its_equation_says(name: str, memory_dim: int) -> None:
    """Dot products alone need a memory as wide as the queries."""
    attention, query = new_attention(name, memory_dim=memory_dim), queries(3)
    encodings = encoded(LENGTHS, memory_dim=memory_dim)
    contexts = attention(query, attention.prepare(encodings))
    assert contexts.shape == (3, QUERIES, attention.context_dim)
    for row, length in enumerate(LENGTHS):
        memory = encodings.memory[row, :length].tolist()
        for position in range(QUERIES):
            by_hand = BY_HAND[name](attention, query[row, position].tolist(), memory)
            torch.testing.assert_close(contexts[row, position].tolist(), by_hand)


@pytest.mark.parametrize("feed_vector", [True, False])
def test_without_attention_the_context_is_the_sentence_vector_or_nothing(feed_vector: bool) -> None:
    attention, encodings = new_attention("none", feed_vector=feed_vector), encoded(LENGTHS)
    source = attention.prepare(encodings)
    contexts = attention(queries(3), source)
    assert attention.vector_dim == attention.context_dim == (SIZE if feed_vector else 0)
    expected = encodings.vector[:, : attention.context_dim]
    torch.testing.assert_close(contexts, expected[:, None].expand(-1, QUERIES, -1))
    torch.testing.assert_close(source.vector, expected)


# --- what all have in common ---


@each
def test_shares_are_0_at_padding_and_sum_to_1_or_locally_to_less(name: str) -> None:
    attention = new_attention(name)
    source = attention.prepare(encoded(LENGTHS))
    shares = attention.weights(queries(3), source)
    assert shares.shape == (3, QUERIES, source.mask.size(1))
    assert not shares[~source.mask[:, None].expand_as(shares)].any()
    assert (shares >= 0).all()
    sums = shares.sum(dim=-1)
    if name == "local":
        assert (sums > 0).all()
        assert (sums <= 1 + 1e-12).all()
        assert (sums < 0.99).any()
    else:
        torch.testing.assert_close(sums, torch.ones_like(sums))


@pytest.mark.parametrize("name", [name for name in ATTENTIONS if name != "multihead"])
def test_a_context_is_the_sum_of_the_values_in_these_shares(name: str) -> None:
    attention = new_attention(name)
    source = attention.prepare(encoded(LENGTHS))
    torch.testing.assert_close(attention(queries(3), source), attention.weights(queries(3), source) @ source.values)


def test_the_shares_of_several_heads_are_their_mean() -> None:
    """Each head by itself is an attention of one head with the others' queries and keys cut off."""
    both, shares = new_attention("multihead", heads=2), []
    source = both.prepare(encoded(LENGTHS))
    for head in range(2):
        part = slice(3 * head, 3 * head + 3)
        one = MultiheadAttention(memory_dim=SIZE, query_dim=3, heads=1).double()
        one.query = torch.nn.Linear(SIZE, 3, bias=False).double()
        one.query.weight = torch.nn.Parameter(both.query.weight[part].detach())  # type: ignore[union-attr,index]
        shares.append(one.weights(queries(3), source._replace(keys=source.keys[..., part])))
    torch.testing.assert_close(both.weights(queries(3), source), (shares[0] + shares[1]) / 2)


@each
def test_batch_mates_and_padding_never_change_a_context(name: str) -> None:
    attention, query = new_attention(name), queries(3)
    encodings = encoded(LENGTHS)
    together = attention(query, attention.prepare(encodings))
    for row, length in enumerate(LENGTHS):
        alone = EncoderOutput(
            encodings.memory[row : row + 1, :length],
            encodings.mask[row : row + 1, :length],
            encodings.vector[row : row + 1],
        )
        found = attention(query[row : row + 1], attention.prepare(alone))
        torch.testing.assert_close(found[0], together[row])


@each
def test_queries_of_a_sentence_never_see_each_other(name: str) -> None:
    attention, query = new_attention(name), queries(3)
    source = attention.prepare(encoded(LENGTHS))
    together = attention(query, source)
    for position in range(QUERIES):
        torch.testing.assert_close(attention(query[:, position : position + 1], source)[:, 0], together[:, position])


@each
@pytest.mark.parametrize("sentences", [[2, 0], [1], [0, 1, 2]])
def test_selected_sentences_are_looked_at_as_before(name: str, sentences: list[int]) -> None:
    attention, query = new_attention(name), queries(3)
    source = attention.prepare(encoded(LENGTHS))
    rows = torch.tensor(sentences, dtype=torch.int64)
    selected = source.select(rows)
    assert isinstance(selected, Source)
    assert all(len(part) == len(sentences) for part in selected)
    torch.testing.assert_close(attention(query[rows], selected), attention(query, source)[rows])


@each_that_looks
def test_a_gradient_reaches_the_memory_at_real_positions_alone(name: str) -> None:
    """Local shares end at the window, here wide enough."""
    attention, encodings = new_attention(name, **({"window": 9} if name == "local" else {})), encoded(LENGTHS)
    memory = encodings.memory.requires_grad_()
    contexts = attention(queries(3), attention.prepare(encodings))
    [gradient] = torch.autograd.grad(contexts.square().sum(), memory)
    assert gradient.isfinite().all()
    assert torch.equal(gradient.any(dim=-1), encodings.mask)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 99))
def test_a_local_window_lies_within_the_sentence_and_is_never_empty(length: int, window: int, seed: int) -> None:
    torch.manual_seed(seed)
    attention = LocalAttention(memory_dim=SIZE, query_dim=SIZE, window=window).double()
    with torch.no_grad():
        attention.position.weight.mul_(9.0)  # to the very ends
    shares = attention.weights(queries(1, seed=seed), attention.prepare(encoded([length], width=length + 3)))
    assert shares.isfinite().all()
    assert not shares[..., length:].any()
    seen = (shares > 0).sum(dim=-1)
    assert (seen >= min(length, window)).all() if window < length else (seen >= 1).all()
    assert (seen <= 2 * window + 1).all()


@each_that_looks
def test_weights_begin_xavier_and_biases_at_0(name: str) -> None:
    torch.manual_seed(1)
    attention = ATTENTIONS[name](memory_dim=64, query_dim=64, **OPTIONS.get(name, {}))
    for key, parameter in attention.named_parameters():
        if key.endswith("bias"):
            assert not parameter.any()
        else:
            bound = math.sqrt(6 / sum(parameter.shape))
            assert 0.9 * bound < parameter.detach().abs().max() <= bound
