"""Ids to what a recurrent layer reads."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.model.dropout import DROPOUTS, WordDropout


class Embedder(nn.Module):
    """Looks up embeddings, scales them up, drops whole words and features in training.

    `embedding` may be shared with the output layer, where it must be small: variance 1 / E. As an input it is scaled by
    E^(1/4), halfway to variance 1: not by sqrt(E), since that multiplies every update of Adam as well, which moves each
    weight by as much.

    Where `embedding.sparse` says that the output layer gives the weight a gradient of every row, the rows looked up
    are added to that one on a CPU (`summed_last`), instead of a gradient of their own that is mostly 0.
    """

    def __init__(self, embedding: nn.Embedding, *, dropout: float, dropout_kind: str, word_dropout: float) -> None:
        super().__init__()
        self.embedding = embedding
        self.scale = embedding.embedding_dim**0.25
        self.word_dropout = WordDropout(word_dropout)
        self.dropout = DROPOUTS[dropout_kind](dropout)

    @property
    def dim(self) -> int:
        """E"""
        return self.embedding.embedding_dim

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) -> (B, T, E)."""
        # position after position in memory, as the recurrent layer will read it: (T, B, E), seen as (B, T, E)
        sparse = self.embedding.sparse and ids.device.type == "cpu"
        looked_up = functional.embedding(ids.t(), self.embedding.weight, sparse=sparse).transpose(0, 1)
        embedded: Tensor = self.dropout(self.word_dropout(looked_up), self.scale)
        return embedded

    def step(self, ids: Tensor) -> Tensor:
        """One position without dropout: ids (N,) -> (N, E)."""
        embedded: Tensor = self.embedding(ids) * self.scale
        return embedded


def summed_last(weight: Tensor) -> Tensor:
    """The same weight, for a use whose gradient has every row: ask for it before the weight is looked up in.

    Autograd goes through what was done first last. This gradient then comes to those of the rows looked up, which are
    added to it where it lies; coming first, it would be copied for each of them.
    """
    same: Tensor = _Same.apply(weight)  # type: ignore[no-untyped-call]
    return same


class _Same(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad
