"""Ids to padded batches: grouped by length, shuffled by a seed, resumable. Only here are bos, eos and pad added."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID
from nmt.errors import DataError

Ids = Sequence[int] | NDArray[np.integer]


class IdTable:
    """The ids of many sentences in one array, 4 bytes a token. Sentence i is `flat[offsets[i] : offsets[i + 1]]`."""

    def __init__(self, sentences: Iterable[Ids]) -> None:
        flat, ends = array("i"), array("q", [0])
        for ids in sentences:
            flat.extend(ids)
            ends.append(len(flat))
        self.flat = np.array(flat, dtype=np.int32)
        self.offsets = np.array(ends, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.flat[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sentence, without bos and eos."""
        return np.diff(self.offsets)


@dataclass(frozen=True)
class Batch:
    """Sentence pairs, right-padded with pad; all int64. B pairs, S and T the longest of each side, eos counted.

    src (B, S): ids + eos. tgt_in (B, T): bos + ids. tgt_out (B, T): ids + eos, what tgt_in is to predict.
    src_lengths, tgt_lengths (B,): eos counted.
    """

    src: Tensor
    src_lengths: Tensor
    tgt_in: Tensor
    tgt_out: Tensor
    tgt_lengths: Tensor

    def twice(self) -> "Batch":
        """Every pair two times, first all of them, then all again."""
        return Batch(*(torch.cat([tensor, tensor]) for tensor in self._tensors))

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self._tensors))

    @property
    def _tensors(self) -> tuple[Tensor, ...]:
        return self.src, self.src_lengths, self.tgt_in, self.tgt_out, self.tgt_lengths


@dataclass(frozen=True)
class Position:
    """Where the next batch is read: an epoch, and a batch in that epoch's order; both count from 0."""

    epoch: int
    batch: int


def collate(src: Sequence[Ids], tgt: Sequence[Ids]) -> Batch:
    """Pads sentence pairs, at least one, each without bos and eos, into a batch."""
    assert len(src) == len(tgt)
    ids, lengths = _padded(tgt)
    bos = ids.new_full((len(tgt), 1), BOS_ID)
    src_with_eos, src_lengths = collate_src(src)
    return Batch(
        src=src_with_eos,
        src_lengths=src_lengths,
        tgt_in=torch.cat([bos, ids], dim=1),
        tgt_out=_with_eos(ids, lengths),
        tgt_lengths=lengths + 1,
    )


def collate_src(src: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    """Sentences, at least one, without eos -> (B, S) ids + eos, right-padded, and (B,) lengths, eos counted."""
    ids, lengths = _padded(src)
    return _with_eos(ids, lengths), lengths + 1


def plan_batches(
    src_lengths: NDArray[np.int64], tgt_lengths: NDArray[np.int64], *, batch_tokens: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """The batches of an epoch as arrays of sentence numbers, in the order of training; each number in exactly one.

    Sentences are sorted by target length, then source length, equal ones at random, and cut where sentences times the
    longest target, eos counted, would exceed batch_tokens. A sentence longer than that is a batch of its own.
    Same lengths, seed and epoch, same plan. Raises DataError if there are no sentences.
    """
    assert len(src_lengths) == len(tgt_lengths)
    if len(tgt_lengths) == 0:
        raise DataError("no sentence pairs to make batches of: the data is empty, or its filters drop every pair")
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch])))
    shuffled = random.permutation(len(tgt_lengths))
    key = tgt_lengths * (int(src_lengths.max()) + 1) + src_lengths  # one number: several times faster than lexsort
    order = shuffled[np.argsort(key[shuffled], kind="stable")]
    batches = _cut(order, tgt_lengths[order] + 1, batch_tokens)
    return [batches[i] for i in random.permutation(len(batches))]


class BatchStream:
    """Endless batches, epoch after epoch. From the position that came with a batch, a new stream goes on after it."""

    def __init__(
        self,
        examples: Callable[[int], tuple[IdTable, IdTable]],
        *,
        batch_tokens: int,
        seed: int,
        start: Position = Position(0, 0),
    ) -> None:
        """examples(epoch) -> that epoch's (src, tgt); another call with the same epoch must give the same.

        Raises DataError, here or between epochs, if there are no examples or if `start` is past its epoch's end.
        """
        self._examples, self._batch_tokens, self._seed = examples, batch_tokens, seed
        self._start = start
        self._read(start.epoch)
        if not 0 <= start.batch < self.batches_per_epoch:
            raise DataError(
                f"batch {start.batch} of epoch {start.epoch} was to be next, but the epoch has {self.batches_per_epoch}"
                " batches: the data or train.batch_tokens changed; restore them, or start a fresh run"
            )

    @property
    def batches_per_epoch(self) -> int:
        """Batches of the epoch that is being read; others may have a few more or fewer."""
        return len(self._plan)

    def __iter__(self) -> Iterator[tuple[Position, Batch]]:
        """From `start` on: each batch, with the position after it."""
        epoch, first = self._start.epoch, self._start.batch
        while True:
            if epoch != self._epoch:
                self._read(epoch)
            src, tgt, plan = self._src, self._tgt, self._plan
            for number in range(first, len(plan)):
                after = Position(epoch, number + 1) if number + 1 < len(plan) else Position(epoch + 1, 0)
                yield after, collate([src[i] for i in plan[number]], [tgt[i] for i in plan[number]])
            epoch, first = epoch + 1, 0

    def _read(self, epoch: int) -> None:
        self._epoch = epoch
        self._src, self._tgt = self._examples(epoch)
        self._plan = plan_batches(
            self._src.lengths, self._tgt.lengths, batch_tokens=self._batch_tokens, seed=self._seed, epoch=epoch
        )


def _padded(sentences: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    """(B, longest) int64 ids, right-padded; (B,) lengths."""
    lengths = np.array([len(ids) for ids in sentences], dtype=np.int64)
    ids = np.full((len(sentences), lengths.max()), PAD_ID, dtype=np.int64)
    real = np.arange(ids.shape[1]) < lengths[:, None]  # (B, longest)
    ids[real] = np.concatenate([np.asarray(sentence, dtype=np.int64) for sentence in sentences])
    return torch.from_numpy(ids), torch.from_numpy(lengths)


def _with_eos(ids: Tensor, lengths: Tensor) -> Tensor:
    """ids (B, longest) with eos after each sentence -> (B, longest + 1)."""
    pad = ids.new_full((ids.size(0), 1), PAD_ID)
    return torch.cat([ids, pad], dim=1).scatter_(1, lengths[:, None], EOS_ID)


def _cut(order: NDArray[np.int64], lengths: NDArray[np.int64], batch_tokens: int) -> list[NDArray[np.int64]]:
    """Cuts `order` into the longest runs that fit; lengths, ascending, are those of `order`."""
    batches = []
    start = 0
    while start < len(order):
        # no run is longer than if its first, shortest sentence filled it
        window = lengths[start : start + batch_tokens // lengths[start]]
        tokens = window * np.arange(1, len(window) + 1)
        count = max(1, int(np.searchsorted(tokens, batch_tokens, side="right")))
        batches.append(order[start : start + count])
        start += count
    return batches
