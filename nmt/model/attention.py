"""How a decoder looks back at the source: one context vector for each query, a weighted sum over positions.

What depends on the source alone is made once a sentence (`Source`) and shared by all queries: of the target's
positions in training, of the beam's hypotheses in search. House letters: B batch, S source length, Q queries a
sentence, H the queries' size, D the memory's, A the size that scores are made in.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.model.encoder import EncoderOutput
from nmt.model.linear import new_linear


class Source(NamedTuple):
    """What the decoder keeps of B source sentences.

    keys (B, S, A): what queries are compared with. values (B, S, C): what contexts are made of. mask (B, S): True at
    real tokens. vector (B, F): what is fed to each step, F = 0 where nothing is.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor
    vector: Tensor

    def select(self, sentences: Tensor) -> "Source":
        """Those sentences, (B',), in that order."""
        return Source(*(tensor[sentences] for tensor in self))


class Attention(nn.Module, ABC):
    """One way to look back. `context_dim` is C, `vector_dim` F; `looks`: positions have shares that say something."""

    context_dim: int
    vector_dim: int = 0
    looks: bool = True

    @abstractmethod
    def prepare(self, encoded: EncoderOutput) -> Source:
        """What is made once a sentence, of memory (B, S, D) and vector (B, D): keys (B, S, A), values (B, S, C)."""

    @abstractmethod
    def weights(self, query: Tensor, source: Source) -> Tensor:
        """query (B, Q, H) -> the share of each position (B, Q, S), 0 at padding."""

    def forward(self, query: Tensor, source: Source) -> Tensor:
        """query (B, Q, H) -> contexts (B, Q, C)."""
        return torch.bmm(self.weights(query, source), source.values)


class NoAttention(Attention):
    """The context is always the sentence vector or, without `feed_vector`, nothing at all (C = 0).

    Cho et al. 2014, section 2.2: the vector takes part in every step and every output.
    """

    looks = False

    def __init__(self, *, memory_dim: int, query_dim: int, feed_vector: bool) -> None:
        super().__init__()
        self.context_dim = self.vector_dim = memory_dim if feed_vector else 0

    def prepare(self, encoded: EncoderOutput) -> Source:
        vector = encoded.vector[:, : self.vector_dim]  # (B, F)
        only = encoded.mask.new_ones(len(vector), 1)
        return Source(keys=vector[:, None, :0], values=vector[:, None], mask=only, vector=vector)

    def weights(self, query: Tensor, source: Source) -> Tensor:
        return query.new_ones(*query.shape[:2], 1)

    def forward(self, query: Tensor, source: Source) -> Tensor:
        return source.values.expand(-1, query.size(1), -1)


class DotAttention(Attention):
    """score(h, m) = h . m / sqrt(H) (Luong et al. 2015, section 3.1): no weights of its own, H = D.

    Divided as by Vaswani et al. 2017, section 3.2.1: a softmax over large scores has no gradient.
    """

    def __init__(self, *, memory_dim: int, query_dim: int) -> None:
        super().__init__()
        assert memory_dim == query_dim
        self.context_dim = memory_dim

    def prepare(self, encoded: EncoderOutput) -> Source:
        return _source(encoded, keys=encoded.memory)

    def weights(self, query: Tensor, source: Source) -> Tensor:
        return _shares(_scaled_products(query, source.keys), source.mask)


class GeneralAttention(Attention):
    """score(h, m) = h . W m / sqrt(H) (Luong et al. 2015, section 3.1), divided as in `DotAttention`; A = H."""

    def __init__(self, *, memory_dim: int, query_dim: int) -> None:
        super().__init__()
        self.context_dim = memory_dim
        self.key = new_linear(memory_dim, query_dim, bias=False)

    def prepare(self, encoded: EncoderOutput) -> Source:
        return _source(encoded, keys=self.key(encoded.memory))

    def weights(self, query: Tensor, source: Source) -> Tensor:
        return _shares(_scaled_products(query, source.keys), source.mask)


class MLPAttention(Attention):
    """score(h, m) = v . tanh(W h + U m + b) (Bahdanau et al. 2015, appendix A.1.2); A = H.

    h is the state of this very position, as in the other kinds, where theirs is the one before it, s_(i-1).
    """

    def __init__(self, *, memory_dim: int, query_dim: int) -> None:
        super().__init__()
        self.context_dim = memory_dim
        self.key = new_linear(memory_dim, query_dim)
        self.query = new_linear(query_dim, query_dim, bias=False)
        self.score = new_linear(query_dim, 1, bias=False)

    def prepare(self, encoded: EncoderOutput) -> Source:
        return _source(encoded, keys=self.key(encoded.memory))

    def weights(self, query: Tensor, source: Source) -> Tensor:
        sums = self.query(query)[:, :, None] + source.keys[:, None]  # (B, Q, S, A)
        return _shares(self.score(torch.tanh(sums)).squeeze(-1), source.mask)


class LocalAttention(GeneralAttention):
    """General attention within a window around a position that the query predicts (Luong et al. 2015, section 3.2).

        p = (length - 1) * sigmoid(v . tanh(W h))
        share of s = softmax over |s - p| <= window of the scores, times exp(-(s - p)^2 / (2 (window / 2)^2))

    Local-p, equations 9 and 10; positions count from 0. The shares need not sum to 1.
    """

    def __init__(self, *, memory_dim: int, query_dim: int, window: int) -> None:
        super().__init__(memory_dim=memory_dim, query_dim=query_dim)
        self.window = window
        self.align = new_linear(query_dim, query_dim, bias=False)
        self.position = new_linear(query_dim, 1, bias=False)

    def weights(self, query: Tensor, source: Source) -> Tensor:
        last = (source.mask.sum(dim=1) - 1)[:, None, None]  # (B, 1, 1)
        aligned = last * torch.sigmoid(self.position(torch.tanh(self.align(query))))  # (B, Q, 1)
        distance = torch.arange(source.mask.size(1), device=query.device) - aligned  # (B, Q, S)
        scores = _scaled_products(query, source.keys)
        shares = _shares(scores, source.mask[:, None] & (distance.abs() <= self.window))
        return shares * torch.exp(-2.0 * (distance / self.window) ** 2)


class MultiheadAttention(Attention):
    """Scaled dot products in several projections at once (Vaswani et al. 2017, section 3.2.2); A = C = H."""

    def __init__(self, *, memory_dim: int, query_dim: int, heads: int) -> None:
        super().__init__()
        assert query_dim % heads == 0
        self.heads = heads
        self.context_dim = query_dim
        self.key = new_linear(memory_dim, query_dim, bias=False)
        self.value = new_linear(memory_dim, query_dim, bias=False)
        self.query = new_linear(query_dim, query_dim, bias=False)
        self.join = new_linear(query_dim, query_dim, bias=False)

    def prepare(self, encoded: EncoderOutput) -> Source:
        return _source(encoded, keys=self.key(encoded.memory), values=self.value(encoded.memory))

    def weights(self, query: Tensor, source: Source) -> Tensor:
        """The mean of the heads' shares."""
        return self._head_shares(query, source).mean(dim=1)

    def forward(self, query: Tensor, source: Source) -> Tensor:
        contexts = self._head_shares(query, source) @ self._split(source.values)  # (B, heads, Q, H / heads)
        joined: Tensor = self.join(contexts.transpose(1, 2).flatten(2))
        return joined

    def _head_shares(self, query: Tensor, source: Source) -> Tensor:
        """(B, heads, Q, S)"""
        queries, keys = self._split(self.query(query)), self._split(source.keys)
        return _shares(_scaled_products(queries, keys), source.mask[:, None, None])

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, H) -> (B, heads, T, H / heads)"""
        return x.view(x.size(0), x.size(1), self.heads, -1).transpose(1, 2)


ATTENTIONS: dict[str, type[Attention]] = {
    "none": NoAttention,
    "dot": DotAttention,
    "general": GeneralAttention,
    "mlp": MLPAttention,
    "local": LocalAttention,
    "multihead": MultiheadAttention,
}


def _source(encoded: EncoderOutput, *, keys: Tensor, values: Tensor | None = None) -> Source:
    values = encoded.memory if values is None else values
    return Source(keys, values, encoded.mask, vector=encoded.vector[:, :0])


def _scaled_products(queries: Tensor, keys: Tensor) -> Tensor:
    """queries (..., Q, A), keys (..., S, A) -> (..., Q, S)."""
    products: Tensor = (queries @ keys.transpose(-2, -1)) * keys.size(-1) ** -0.5
    return products


def _shares(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over what the mask lets through: scores (B, ..., Q, S), mask (B, S) or (B, ..., Q or 1, S)."""
    if mask.dim() == 2:
        mask = mask[:, None]
    return scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
