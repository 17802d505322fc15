"""A model without encoder and decoder: one recurrent network that translates while it reads."""

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
class ReadAlongState:
    """All that the next step needs; a value, never changed in place.

    recurrent: h and c (L, N, H), c (L, N, 0) where the cell has none. src (N, S), src_lengths (N,): what each row
    translates; ids are so small beside h and c that each row has its own. position: the next to be read, in all rows.
    """

    recurrent: LayerState
    src: Tensor
    src_lengths: Tensor
    position: int

    def select(self, rows: Tensor) -> Self:
        """The states of `rows` (N',), in that order; a row may come several times or not at all."""
        recurrent = LayerState(self.recurrent.h[:, rows], self.recurrent.c[:, rows])
        return type(self)(recurrent, self.src[rows], self.src_lengths[rows], self.position)


class ReadAlong(Model):
    """One recurrent network that writes a target token for each source token it reads.

    The idea of Press & Smith 2018 with nothing but a fixed delay: theirs is trained on aligned targets, which empty
    tokens were put into, and may write those.

    At time t it reads source token t, joined with the target token written last, and writes target token t - wait. So
    target token j knows the source tokens 0 .. j + wait and no others: a fixed delay, the wait-k of Ma et al. 2019 with
    k = wait + 1. While it waits, the token written last is bos; after the source's end it reads eos, the last token of
    each source, again and again. It begins in zeros. The readout is tanh(W h), as in the decoder.
    """

    def __init__(
        self,
        *,
        src_embedder: Embedder,
        tgt_embedder: Embedder,
        stack: Stack,
        output: nn.Linear,
        wait: int,
        dropout: float,
        dropout_kind: str,
    ) -> None:
        """`stack` reads the features of both embedders; `output` maps readouts (N, E) to logits (N, V)."""
        super().__init__()
        self.src_embedder = src_embedder
        self.tgt_embedder = tgt_embedder
        self.stack = stack
        self.readout = new_linear(stack.hidden_dim, output.in_features)
        self.output = output
        self.wait = wait
        self.dropout = DROPOUTS[dropout_kind](dropout)

    def readouts(self, src: Tensor, src_lengths: Tensor, tgt_in: Tensor, tgt_lengths: Tensor) -> Tensor:
        """All times at once.

        src (B, S), src_lengths (B,), tgt_in (B, T), tgt_lengths (B,) -> (sum of tgt_lengths, E).
        """
        times = torch.arange(self.wait + tgt_in.size(1), device=src.device)
        read = src.gather(1, torch.minimum(times, src_lengths[:, None] - 1))  # (B, wait + T)
        written = torch.cat([tgt_in[:, :1].expand(-1, self.wait), tgt_in], dim=1)  # (B, wait + T)
        x = torch.cat([self.src_embedder(read), self.tgt_embedder(written)], dim=-1)
        outputs, _ = self.stack(x, self.start(src, src_lengths).recurrent)  # (B, wait + T, H)
        readouts = self.dropout(torch.tanh(self.readout(outputs[:, self.wait :])))  # (B, T, E)
        return real_positions(readouts, tgt_lengths)

    def start(self, src: Tensor, src_lengths: Tensor) -> ReadAlongState:
        """src (B, S), src_lengths (B,), each at least 1 -> the state before anything is read, N = B rows."""
        h = self.readout.weight.new_zeros(len(self.stack.layers), len(src), self.stack.hidden_dim)  # (L, B, H)
        recurrent = LayerState(h, h if self.stack.long_term else h[:, :, :0])
        return ReadAlongState(recurrent, src, src_lengths, position=0)

    def step(self, prev_ids: Tensor, state: ReadAlongState) -> tuple[Tensor, ReadAlongState]:
        """One position. prev_ids (N,) -> log_probs (N, V), and the state after it.

        The first step is where the waiting is done: its prev_ids are bos.
        """
        while state.position < self.wait:
            _, state = self._read(prev_ids, state)
        output, state = self._read(prev_ids, state)
        readout = torch.tanh(self.readout(output))  # (N, E)
        return functional.log_softmax(self.output(readout), dim=-1), state

    def _read(self, prev_ids: Tensor, state: ReadAlongState) -> tuple[Tensor, ReadAlongState]:
        """One source token: prev_ids (N,) -> output (N, H), and the state after it."""
        index = (state.src_lengths - 1).clamp(max=state.position)  # (N,)
        read = state.src.gather(1, index[:, None]).squeeze(1)  # (N,)
        x = torch.cat([self.src_embedder.step(read), self.tgt_embedder.step(prev_ids)], dim=-1)
        output, recurrent = self.stack.step(x, state.recurrent)
        return output, ReadAlongState(recurrent, state.src, state.src_lengths, state.position + 1)
