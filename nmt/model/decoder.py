"""Target ids and an encoded source to readouts, from which the output layer makes scores over the vocabulary."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from nmt.model.attention import Attention, Source
from nmt.model.cells import LayerState
from nmt.model.dropout import DROPOUTS
from nmt.model.embedding import Embedder
from nmt.model.encoder import EncoderOutput
from nmt.model.layers import Stack
from nmt.model.linear import new_linear


@dataclass(frozen=True)
class DecoderState:
    """All that the next step needs; a value, never changed in place.

    recurrent: h and c (L, N, H), c (L, N, 0) where the cell has none. fed (N, E): the last readout, (N, 0) without
    input feeding. source: what is known of the B sentences; rows of one sentence are contiguous, N / B each.
    """

    recurrent: LayerState
    fed: Tensor
    source: Source

    def select(self, rows: Tensor) -> Self:
        """The states of `rows` (N',), in that order, equally many of each sentence that is left."""
        recurrent = LayerState(self.recurrent.h[:, rows], self.recurrent.c[:, rows])
        before = len(self.source.mask)
        kept = torch.unique_consecutive(rows // max(1, len(self.fed) // max(1, before)))
        source = self.source if len(kept) == before else self.source.select(kept)
        return type(self)(recurrent, self.fed[rows], source)


class Decoder(nn.Module):
    """A stack of recurrent layers that begins in the sentence vector, attention, and a readout of the embeddings' size.

    The first state of every layer is a bridge from the sentence vector v: tanh(W v) for h (Cho et al. 2014, appendix A)
    and W v for c. Attention comes after the recurrence, so that training needs no loop over positions: the context c of
    the top state h gives the readout tanh(W [h; c]) (Luong et al. 2015, equation 5). With `input_feeding` the readout
    enters the next step (section 3.3 there), which needs one.
    """

    def __init__(
        self,
        *,
        embedder: Embedder,
        vector_dim: int,
        stack: Stack,
        attention: Attention,
        input_feeding: bool,
        dropout: float,
        dropout_kind: str,
    ) -> None:
        """`stack` reads E + attention.vector_dim features, and E more with `input_feeding`."""
        super().__init__()
        self.embedder = embedder
        self.stack = stack
        self.attention = attention
        self.input_feeding = input_feeding
        states = len(stack.layers) * stack.hidden_dim
        self.bridge_h = new_linear(vector_dim, states)
        self.bridge_c = new_linear(vector_dim, states) if stack.long_term else None
        self.readout = new_linear(stack.hidden_dim + attention.context_dim, embedder.dim)
        self.dropout = DROPOUTS[dropout_kind](dropout)

    def start(self, encoded: EncoderOutput) -> DecoderState:
        """What is known of the source, vector (B, D) and memory (B, S, D) -> the state before the first target token.

        It has N = B rows.
        """
        vector = encoded.vector
        h = self._by_layer(torch.tanh(self.bridge_h(vector)))
        c = h[:, :, :0] if self.bridge_c is None else self._by_layer(self.bridge_c(vector))
        fed = vector.new_zeros(len(vector), self.embedder.dim if self.input_feeding else 0)
        return DecoderState(LayerState(h, c), fed, self.attention.prepare(encoded))

    def forward(self, tgt_in: Tensor, state: DecoderState) -> Tensor:
        """All positions, each given the true tokens before it (teacher forcing): tgt_in (B, T) -> readouts (B, T, E).

        `state` is what `start` gave, one row a sentence.
        """
        return self._all(tgt_in, state)[0]

    def attended(self, tgt_in: Tensor, state: DecoderState) -> tuple[Tensor, Tensor | None]:
        """`forward`, and the share of each source position in each context (B, T, S); None without attention."""
        readouts, outputs = self._all(tgt_in, state)
        return readouts, self.attention.weights(outputs, state.source) if self.attention.looks else None

    def step(self, prev_ids: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """One position without dropout, for search: prev_ids (N,) -> readouts (N, E), and the state after it."""
        embedded, source = self.embedder.step(prev_ids), state.source
        beams = len(prev_ids) // len(source.mask)  # of a sentence
        vector = source.vector[:, None].expand(-1, beams, -1).flatten(0, 1)  # (N, F)
        output, recurrent = self.stack.step(_joined(embedded, vector, state.fed), state.recurrent)
        readout = self._read(output.view(-1, beams, output.size(1)), source).flatten(0, 1)
        return readout, DecoderState(recurrent, readout if self.input_feeding else state.fed, source)

    def _all(self, tgt_in: Tensor, state: DecoderState) -> tuple[Tensor, Tensor]:
        """tgt_in (B, T) -> readouts (B, T, E), and the outputs (B, T, H) that ask for their contexts."""
        embedded = self.embedder(tgt_in)  # (B, T, E)
        if self.input_feeding:
            return self._one_by_one(embedded, state)
        vector = state.source.vector[:, None, :].expand(-1, tgt_in.size(1), -1)  # (B, T, F)
        outputs, _ = self.stack(_joined(embedded, vector), state.recurrent)  # (B, T, H)
        return self.dropout(self._read(outputs, state.source)), outputs

    def _one_by_one(self, embedded: Tensor, state: DecoderState) -> tuple[Tensor, Tensor]:
        drops = self.stack.drops_for_steps(state.recurrent)
        drop_readout = self.dropout.for_steps(embedded[:, 0])
        recurrent, fed, source = state.recurrent, state.fed, state.source
        readouts, outputs = [], []
        for now in embedded.unbind(1):
            output, recurrent = self.stack.step(_joined(now, source.vector, fed), recurrent, drops)
            fed = drop_readout(self._read(output[:, None], source)[:, 0])
            readouts.append(fed)
            outputs.append(output)
        return torch.stack(readouts, dim=1), torch.stack(outputs, dim=1)

    def _read(self, outputs: Tensor, source: Source) -> Tensor:
        """outputs (B, Q, H) -> readouts (B, Q, E)."""
        context = self.attention(outputs, source)  # (B, Q, C)
        return torch.tanh(self.readout(_joined(outputs, context)))

    def _by_layer(self, states: Tensor) -> Tensor:
        """(B, L * H) -> (L, B, H)"""
        return states.view(len(states), len(self.stack.layers), -1).transpose(0, 1).contiguous()


def _joined(*parts: Tensor) -> Tensor:
    """Side by side, without those of no width."""
    wide = [part for part in parts if part.size(-1) > 0]
    return wide[0] if len(wide) == 1 else torch.cat(wide, dim=-1)
