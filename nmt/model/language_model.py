"""A language model: sequence to sequence learning without the source; each token from those before it."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.model.cells import LayerState
from nmt.model.dropout import DROPOUTS
from nmt.model.embedding import Embedder
from nmt.model.layers import Stack
from nmt.model.linear import new_linear
from nmt.model.model import Model, real_positions


@dataclass(frozen=True)
class LanguageModelState:
    """All that the next step needs; a value. recurrent: h and c (L, N, H), c (L, N, 0) where the cell has none."""

    recurrent: LayerState

    def select(self, rows: Tensor) -> Self:
        """The states of `rows` (N',), in that order; a row may come several times or not at all."""
        return type(self)(LayerState(self.recurrent.h[:, rows], self.recurrent.c[:, rows]))


class LanguageModel(Model):
    """A recurrent network that predicts its input, shifted by one position (Mikolov et al. 2010).

    Theirs is one simple cell that reads 1-of-V; here it is the decoder's stack of any cell over embeddings (with LSTMs:
    Sundermeyer et al. 2012) and its readout, tanh(W h). It begins in zeros. The source that a translation model is
    given, it is given too, since it stands where such a model stands; but it does not look at it.
    """

    def __init__(
        self, *, embedder: Embedder, stack: Stack, output: nn.Linear, dropout: float, dropout_kind: str
    ) -> None:
        """`stack` reads E features; `output` maps readouts (N, E) to logits (N, V)."""
        super().__init__()
        self.embedder = embedder
        self.stack = stack
        self.readout = new_linear(stack.hidden_dim, output.in_features)
        self.output = output
        self.dropout = DROPOUTS[dropout_kind](dropout)

    def readouts(self, src: Tensor, src_lengths: Tensor, tgt_in: Tensor, tgt_lengths: Tensor) -> Tensor:
        """All positions at once.

        src (B, S) and src_lengths (B,) are not read; tgt_in (B, T), tgt_lengths (B,) -> (sum of tgt_lengths, E).
        """
        outputs, _ = self.stack(self.embedder(tgt_in), self._zeros(len(tgt_in)))  # (B, T, H)
        return real_positions(self.dropout(torch.tanh(self.readout(outputs))), tgt_lengths)

    def start(self, src: Tensor, src_lengths: Tensor) -> LanguageModelState:
        """src (B, S), of which only B counts -> the state before the first token, N = B rows."""
        return LanguageModelState(self._zeros(len(src)))

    def step(self, prev_ids: Tensor, state: LanguageModelState) -> tuple[Tensor, LanguageModelState]:
        """One position. prev_ids (N,) -> log_probs (N, V), and the state after it."""
        output, recurrent = self.stack.step(self.embedder.step(prev_ids), state.recurrent)
        readout = torch.tanh(self.readout(output))  # (N, E)
        return functional.log_softmax(self.output(readout), dim=-1), LanguageModelState(recurrent)

    def _zeros(self, rows: int) -> LayerState:
        h = self.readout.weight.new_zeros(len(self.stack.layers), rows, self.stack.hidden_dim)  # (L, N, H)
        return LayerState(h, h if self.stack.long_term else h[:, :, :0])
