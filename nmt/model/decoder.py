"""Target ids and the sentence vector to scores over the target vocabulary."""

from dataclasses import dataclass
from typing import Self, cast

import torch
from torch import Tensor, nn

from nmt.model.cells import lstm_step, new_lstm
from nmt.model.dropout import DROPOUTS
from nmt.model.encoder import EncoderOutput


@dataclass(frozen=True)
class DecoderState:
    """All that the next step needs; a value, never changed in place.

    h, c (L, N, H): short-term and long-term state. vector (N, D): the sentence vector, D = 0 where only the first state
    sees it.
    """

    h: Tensor
    c: Tensor
    vector: Tensor

    def select(self, rows: Tensor) -> Self:
        """The states of `rows` (N',), in that order; a row may come several times or not at all."""
        return type(self)(self.h[:, rows], self.c[:, rows], self.vector[rows])


class Decoder(nn.Module):
    """A stack of LSTM layers that begins in the sentence vector, and a readout to the size of the embeddings.

    The first state of every layer is a bridge from the encoder's final state: tanh(W v) for h (Cho et al. 2014,
    appendix A) and W c for c. With `feed_vector` the vector also enters each step and each readout (Cho et al. 2014,
    equation 10), so that it need not be carried along in the state. The readout is tanh(W [h; v]), the logits its
    product with the output embeddings (Press & Wolf 2017).
    """

    def __init__(
        self,
        *,
        embedding: nn.Embedding,
        encoder_dim: int,
        hidden_dim: int,
        layers: int,
        feed_vector: bool,
        dropout: float,
        dropout_kind: str,
    ) -> None:
        super().__init__()
        embed_dim = embedding.embedding_dim
        self.embedding = embedding
        self.embed_scale = embed_dim**0.5  # embeddings are small enough to be output weights; inputs want variance 1
        self.feed_vector = feed_vector
        vector_dim = encoder_dim if feed_vector else 0
        sizes = [embed_dim + vector_dim] + [hidden_dim] * (layers - 1)
        self.layers = nn.ModuleList(new_lstm(size, hidden_dim) for size in sizes)
        self.bridge_h = nn.Linear(encoder_dim, layers * hidden_dim)
        self.bridge_c = nn.Linear(encoder_dim, layers * hidden_dim)
        self.readout = nn.Linear(hidden_dim + vector_dim, embed_dim)
        for linear in (self.bridge_h, self.bridge_c, self.readout):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)
        self.dropout = DROPOUTS[dropout_kind](dropout)

    def start(self, encoded: EncoderOutput) -> DecoderState:
        """The state before the first target token, of N = B rows."""
        layers = len(self.layers)
        h = torch.tanh(self.bridge_h(encoded.h)).view(len(encoded.h), layers, -1)  # (B, L, H)
        c = self.bridge_c(encoded.c).view(len(encoded.h), layers, -1)  # (B, L, H)
        vector = encoded.h if self.feed_vector else encoded.h[:, :0]  # (B, D)
        return DecoderState(h.transpose(0, 1).contiguous(), c.transpose(0, 1).contiguous(), vector)

    def forward(self, tgt_in: Tensor, state: DecoderState) -> Tensor:
        """All positions at once, each given the true tokens before it (teacher forcing): tgt_in (B, T) -> (B, T, E)."""
        vector = state.vector[:, None, :].expand(-1, tgt_in.size(1), -1)  # (B, T, D)
        x = torch.cat([self.dropout(self.embedding(tgt_in) * self.embed_scale), vector], dim=-1)  # (B, T, E + D)
        for index, layer in enumerate(self.layers):
            x, _ = layer(x, (state.h[index : index + 1].contiguous(), state.c[index : index + 1].contiguous()))
            x = self.dropout(x)  # (B, T, H)
        readouts: Tensor = self.dropout(torch.tanh(self.readout(torch.cat([x, vector], dim=-1))))
        return readouts

    def step(self, prev_ids: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """One position without dropout, for search: prev_ids (N,) -> readouts (N, E), and the state after it."""
        x = torch.cat([self.embedding(prev_ids) * self.embed_scale, state.vector], dim=-1)  # (N, E + D)
        h, c = [], []
        for index, layer in enumerate(self.layers):
            x, long_term = lstm_step(x, state.h[index], state.c[index], cast(nn.LSTM, layer))  # (N, H)
            h.append(x)
            c.append(long_term)
        readout = torch.tanh(self.readout(torch.cat([x, state.vector], dim=-1)))
        return readout, DecoderState(torch.stack(h), torch.stack(c), state.vector)
