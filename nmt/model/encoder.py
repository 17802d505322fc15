"""Source ids to a memory and to the sentence vector."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nmt.model.cells import new_lstm
from nmt.model.dropout import DROPOUTS


class EncoderOutput(NamedTuple):
    """What is known of B source sentences; D is the encoder's output size.

    memory (B, S, D): one vector a position, 0 at padding. mask (B, S): True at real tokens.
    h, c (B, D): the last layer's final short-term and long-term state; `h` is the sentence vector.
    """

    memory: Tensor
    mask: Tensor
    h: Tensor
    c: Tensor


def reverse_rows(ids: Tensor, lengths: Tensor) -> Tensor:
    """Turn the real tokens of each row around and leave the padding where it is: ids (B, S), lengths (B,) -> (B, S)."""
    positions = torch.arange(ids.size(1), device=ids.device).expand_as(ids)  # (B, S)
    mirrored = lengths[:, None] - 1 - positions
    return ids.gather(1, torch.where(mirrored >= 0, mirrored, positions))


class Encoder(nn.Module):
    """A stack of LSTM layers over the source, in one direction or both.

    Padding never enters: sequences are packed, so the final states are those of each sentence's own last (and, read
    backward, first) token. With `reverse_source` the sentence is read from its end, so that its first words are the
    freshest (Sutskever et al. 2014, section 3.3).
    """

    def __init__(
        self,
        *,
        embedding: nn.Embedding,
        hidden_dim: int,
        layers: int,
        bidirectional: bool,
        reverse_source: bool,
        dropout: float,
        dropout_kind: str,
    ) -> None:
        """`hidden_dim` is the size of each direction; the output size D is twice that when `bidirectional`."""
        super().__init__()
        self.embedding = embedding
        self.embed_scale = embedding.embedding_dim**0.5  # as in the decoder
        self.reverse_source = reverse_source
        self.output_dim = hidden_dim * (2 if bidirectional else 1)
        sizes = [embedding.embedding_dim] + [self.output_dim] * (layers - 1)
        self.layers = nn.ModuleList(new_lstm(size, hidden_dim, bidirectional=bidirectional) for size in sizes)
        self.dropout = DROPOUTS[dropout_kind](dropout)

    def forward(self, src: Tensor, src_lengths: Tensor) -> EncoderOutput:
        """src (B, S) ids, src_lengths (B,), each at least 1 -> the encoder's output."""
        mask = torch.arange(src.size(1), device=src.device) < src_lengths[:, None]  # (B, S)
        if self.reverse_source:
            src = reverse_rows(src, src_lengths)
        memory = self.embedding(src) * self.embed_scale  # (B, S, E)
        lengths = src_lengths.cpu()  # packing wants them there
        for layer in self.layers:
            packed = pack_padded_sequence(self.dropout(memory), lengths, batch_first=True, enforce_sorted=False)
            packed, (h, c) = layer(packed)  # h, c (directions, B, H)
            memory, _ = pad_packed_sequence(packed, batch_first=True, total_length=src.size(1))  # (B, S, D)
        return EncoderOutput(memory, mask, h=_join_directions(h), c=_join_directions(c))


def _join_directions(state: Tensor) -> Tensor:
    """(directions, B, H) -> (B, directions * H)"""
    return state.transpose(0, 1).flatten(1)
