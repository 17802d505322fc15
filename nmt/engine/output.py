"""The output layer: from readouts to the best next tokens, without the log-probabilities of all the others.

The logarithm of the sum over the vocabulary is all that a probability needs besides its own logit. The best logits are
found by the maxima of blocks of the vocabulary: the W best are within the W blocks of the greatest maxima.
"""

import math
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nmt.engine.product import Pack
from nmt.search.scores import Scores, Ways, refuse_nonsense

BLOCK = 32  # columns
CHUNK_ROWS = 160  # at a time, so that their logits stay in the cache
LARGEST_EXP = 80.0  # exp of what is under it, and sums of those, are float32 numbers


class Scope(Protocol):
    """What B sentences may choose from."""

    def select(self, sentences: Tensor) -> Self:
        """Of those sentences, (B',), in that order."""
        ...

    def __call__(self, readouts: Tensor) -> Scores:
        """readouts (N, E), those of a sentence contiguous."""
        ...


class OutputLayer(Protocol):
    """What makes scores from readouts."""

    def scope(self, src: Tensor, src_lengths: Tensor) -> Scope:
        """src (B, S) ids, src_lengths (B,) -> what these sentences may choose from."""
        ...


class Output:
    """W r + b over the whole vocabulary, from which all sentences choose; readouts r are within -1 and 1."""

    def __init__(self, weight: Tensor, bias: Tensor, pack: Pack) -> None:
        """weight (V, E), bias (V,)."""
        self.vocab_size = len(weight)
        missing = -len(weight) % BLOCK
        self.product = pack(
            functional.pad(weight.detach(), (0, 0, 0, missing)),
            functional.pad(bias.detach(), (0, missing), value=-math.inf),
        )
        self.small = is_small(weight, bias)

    def scope(self, src: Tensor, src_lengths: Tensor) -> "Output":
        """As `OutputLayer` has it."""
        return self

    def select(self, sentences: Tensor) -> "Output":
        return self

    def __call__(self, readouts: Tensor) -> "FullScores":
        return FullScores(self, readouts)


@dataclass(frozen=True)
class FullScores:
    """Scores over the whole vocabulary, made when they are asked for; readouts (N, E)."""

    output: Output
    readouts: Tensor

    def ways(self, so_far: Tensor, *, width: int, eos_id: int, barred: Tensor) -> Ways:
        """As `Scores` has it."""
        sentences, rows = so_far.shape
        step = max(1, CHUNK_ROWS // rows)
        if sentences <= step:
            return self._ways(self.readouts, so_far, width, eos_id, barred)
        parts = [
            self._ways(self.readouts[at * rows : (at + step) * rows], so_far[at : at + step], width, eos_id, barred)
            for at in range(0, sentences, step)
        ]
        return Ways(*(torch.cat(fields) for fields in zip(*parts, strict=True)))

    def log_probs(self) -> Tensor:
        """(N, V)"""
        return self.output.product(self.readouts)[:, : self.output.vocab_size].log_softmax(dim=1)

    def _ways(self, readouts: Tensor, so_far: Tensor, width: int, eos_id: int, barred: Tensor) -> Ways:
        logits = self.output.product(readouts)  # (n * R, V), ours to write into
        log_sums = log_sum_exp(logits, small=self.output.small)
        ends = (logits[:, eos_id] - log_sums).view_as(so_far)
        logits.index_fill_(1, barred, -torch.inf)
        if width > logits.size(1):  # a beam wider than the vocabulary
            logits = functional.pad(logits, (0, -(-width // BLOCK) * BLOCK - logits.size(1)), value=-torch.inf)
        return best_of_blocks(logits, log_sums.view_as(so_far), so_far, width=width, ends=ends)


def best_of_blocks(logits: Tensor, log_sums: Tensor, so_far: Tensor, *, width: int, ends: Tensor) -> Ways:
    """As `best_ways`, from logits (N, V) whose log_probs are `log_sums` (B, R) less; V is a multiple of BLOCK.

    In numpy after the first pass: what is left are a few numbers, on which torch spends more time than they need.
    """
    sentences, rows = so_far.shape
    sums = log_sums.numpy()  # finite just where no logit is infinite or NaN
    if not np.isfinite(sums).all():
        refuse_nonsense(logits.amax(dim=1) - log_sums.flatten())
    base = so_far.numpy() - sums
    tops = logits.view(sentences, rows, -1, BLOCK).amax(dim=3).numpy() + base[:, :, None]
    per_row = tops.shape[2]
    tops = tops.reshape(sentences, -1)  # (B, R * blocks of a row)
    count = min(width, tops.shape[1])
    best = np.argpartition(tops, -count, axis=1)[:, -count:]  # (B, W) of the sentence's blocks
    sentence = np.arange(sentences)[:, None]
    assert count * BLOCK >= width, "a beam wider than the vocabulary"
    found = logits.numpy().reshape(sentences, -1, BLOCK)[sentence, best]  # (B, W, BLOCK)
    totals = (found + base[sentence, best // per_row][:, :, None]).reshape(sentences, -1)
    index = np.argpartition(totals, -width, axis=1)[:, -width:]
    index = index[sentence, np.argsort(-totals[sentence, index], axis=1)]
    block = best[sentence, index // BLOCK]  # (B, W)
    row = block // per_row
    token_log_probs = found.reshape(sentences, -1)[sentence, index] - sums[sentence, row]
    found_totals, found_ids = totals[sentence, index], block % per_row * BLOCK + index % BLOCK
    return Ways(
        torch.from_numpy(found_totals),
        torch.from_numpy(row),
        torch.from_numpy(found_ids),
        torch.from_numpy(token_log_probs),
        ends,
    )


def is_small(weight: Tensor, bias: Tensor) -> bool:
    """weight (V, E), bias (V,): is W r + b never larger than LARGEST_EXP, whatever the readout r?"""
    return float((weight.detach().abs().sum(1) + bias.detach().abs()).max()) < LARGEST_EXP


def log_sum_exp(logits: Tensor, *, small: bool) -> Tensor:
    """logits (N, V) -> (N,). `small`: none exceeds LARGEST_EXP in size, so nothing needs to be taken off before exp."""
    return logits.exp().sum(dim=1).log() if small else logits.logsumexp(dim=1)
