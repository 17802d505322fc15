"""Source ids to a memory and to the sentence vector."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.model.dropout import DROPOUTS
from nmt.model.embedding import Embedder
from nmt.model.layers import Reader, reverse_rows


class EncoderOutput(NamedTuple):
    """What is known of B source sentences; D is the encoder's output size.

    memory (B, S, D): one vector a position, which at padding means nothing. mask (B, S): True at real tokens.
    vector (B, D): the whole sentence in one vector.
    """

    memory: Tensor
    mask: Tensor
    vector: Tensor


class RecurrentEncoder(nn.Module):
    """A stack of recurrent layers over the source; the sentence vector is the last layer's final state.

        y1 = layer1(x)      y2 = layer2(dropout(y1)) or, `residual`, y1 + layer2(dropout(y1))      ...

    A bidirectional layer joins the states of both directions (Schuster & Paliwal 1997); only the first one can be so
    (Wu et al. 2016, section 3.2), or all. A residual connection (section 3.1 there) needs two equal sizes: the layer
    after an only bidirectional one has none. With `reverse_source` the sentence is read from its end, so that its
    first words are the freshest (Sutskever et al. 2014, section 3.3).
    """

    def __init__(
        self,
        *,
        embedder: Embedder,
        layers: Sequence[Reader],
        residual: bool,
        reverse_source: bool,
        dropout: float,
        dropout_kind: str,
    ) -> None:
        """The first of `layers` reads E features, each other one what the one below it gives."""
        super().__init__()
        self.embedder = embedder
        self.layers = nn.ModuleList(layers)
        self.residual = residual
        self.reverse_source = reverse_source
        self.output_dim = layers[-1].output_dim
        self.dropout = DROPOUTS[dropout_kind](dropout)

    def forward(self, src: Tensor, src_lengths: Tensor) -> EncoderOutput:
        """src (B, S) ids, src_lengths (B,), each at least 1 -> the encoder's output."""
        mask = torch.arange(src.size(1), device=src.device) < src_lengths[:, None]  # (B, S)
        if self.reverse_source:
            src = reverse_rows(src, src_lengths)
        x = self.embedder(src)  # (B, S, E)
        for index, layer in enumerate(self.layers):
            outputs, vector = layer(self.dropout(x) if index > 0 else x, src_lengths)
            x = x + outputs if self.residual and index > 0 and x.shape == outputs.shape else outputs  # (B, S, D)
        if self.reverse_source:
            x = reverse_rows(x, src_lengths)
        return EncoderOutput(x, mask, vector)
