"""Ids to padded batches: grouped by length, shuffled by a seed, resumable. Only here are bos, eos and pad added.

An epoch too large to be put in order as a whole is cut into windows: each has every W-th pair, so all are alike.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.ids import Ids, IdTable, Table
from nmt.data.prefetch import prefetched
from nmt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID
from nmt.errors import DataError

__all__ = ["Batch", "BatchStream", "IdTable", "Position", "collate", "collate_src", "plan_batches"]

WINDOW_PAIRS = 2**23


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

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self._tensors))

    def pinned(self) -> "Batch":
        """The same batch in memory that a GPU reads by itself."""
        return Batch(*(tensor.pin_memory() for tensor in self._tensors))

    @property
    def _tensors(self) -> tuple[Tensor, ...]:
        return self.src, self.src_lengths, self.tgt_in, self.tgt_out, self.tgt_lengths


@dataclass(frozen=True)
class Position:
    """Where the next batch is read: an epoch, a window in that epoch's order, a batch in that window's; all from 0."""

    epoch: int
    window: int = 0
    batch: int = 0


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
    src_lengths: NDArray[np.integer],
    tgt_lengths: NDArray[np.integer],
    *,
    batch_tokens: int,
    seed: int,
    epoch: int,
    window: int = 0,
) -> list[NDArray[np.integer]]:
    """The batches of a window as arrays of sentence numbers, in the order of training; each number in exactly one.

    Sentences are sorted by target length, then source length, equal ones at random, and cut where sentences times the
    longest target, eos counted, would exceed batch_tokens. A sentence longer than that is a batch of its own.
    Same lengths, seed, epoch and window, same plan. Raises DataError if there are no sentences.
    """
    assert len(src_lengths) == len(tgt_lengths)
    if len(tgt_lengths) == 0:
        raise DataError("no sentence pairs to make batches of: the data is empty, or its filters drop every pair")
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch, window])))
    order = _by_length(random.permutation(np.arange(len(tgt_lengths), dtype=np.int32)), src_lengths, tgt_lengths)
    batches = _cut(order, tgt_lengths[order] + 1, batch_tokens)
    return [batches[i] for i in random.permutation(len(batches))]


class BatchStream:
    """Endless batches, epoch after epoch. From the position that came with a batch, a new stream goes on after it."""

    def __init__(
        self,
        examples: Callable[[int], tuple[Table, Table]],
        *,
        batch_tokens: int,
        seed: int,
        start: Position = Position(0),
        window_pairs: int = WINDOW_PAIRS,
        ahead: int = 0,
        pin: bool = False,
    ) -> None:
        """examples(epoch) -> that epoch's (src, tgt); another call with the same epoch must give the same.

        window_pairs: most pairs of a window. ahead: batches made ahead in the background; pin: into pinned memory.
        Raises DataError, here or between epochs, if there are no examples or if `start` is past its epoch's end.
        """
        self._examples, self._batch_tokens, self._seed = examples, batch_tokens, seed
        self._window_pairs, self._ahead, self._pin = window_pairs, ahead, pin
        self._start = start
        self._open_epoch(start.epoch)
        if not 0 <= start.window < self.windows_per_epoch:
            raise _no_such_place(start, f"window {start.window}", f"{self.windows_per_epoch} windows")
        self._open_window(start.window)
        if not 0 <= start.batch < self.batches_per_window:
            raise _no_such_place(start, f"batch {start.batch}", f"{self.batches_per_window} batches")

    @property
    def windows_per_epoch(self) -> int:
        """Windows of the epoch that is being read."""
        return len(self._windows)

    @property
    def batches_per_window(self) -> int:
        """Batches of the window that is being read; others may have a few more or fewer."""
        return len(self._plan)

    def __iter__(self) -> Iterator[tuple[Position, Batch]]:
        """From `start` on: each batch, with the position after it. Only one iterator at a time."""
        return prefetched(self._batches(), depth=self._ahead) if self._ahead else self._batches()

    def _batches(self) -> Iterator[tuple[Position, Batch]]:
        place = self._start
        while True:
            if place.epoch != self._epoch:
                self._open_epoch(place.epoch)
            if place.window != self._window:
                self._open_window(place.window)
            rows = self._plan[place.batch].tolist()
            batch = collate([self._src[i] for i in rows], [self._tgt[i] for i in rows])
            place = self._after(place)
            yield place, batch.pinned() if self._pin else batch

    def _after(self, place: Position) -> Position:
        if place.batch + 1 < len(self._plan):
            return Position(place.epoch, place.window, place.batch + 1)
        if place.window + 1 < len(self._windows):
            return Position(place.epoch, place.window + 1)
        return Position(place.epoch + 1)

    def _open_epoch(self, epoch: int) -> None:
        self._epoch, self._window = epoch, -1
        self._tables = self._examples(epoch)
        count = max(1, -(-len(self._tables[0]) // self._window_pairs))
        order = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self._seed, epoch, 0, 1])))
        self._windows = order.permutation(count).tolist()

    def _open_window(self, window: int) -> None:
        self._plan: list[NDArray[np.integer]] = []  # not two windows in memory at a time
        self._window, number = window, self._windows[window]
        self._src, self._tgt = (table.window(number, len(self._windows)) for table in self._tables)
        self._plan = plan_batches(
            self._src.lengths,
            self._tgt.lengths,
            batch_tokens=self._batch_tokens,
            seed=self._seed,
            epoch=self._epoch,
            window=number,
        )


def _no_such_place(start: Position, place: str, there: str) -> DataError:
    inside = f"epoch {start.epoch}" + (
        f", window {start.window}," if place.startswith("batch") and start.window else ""
    )
    return DataError(
        f"{place} of {inside} was to be next, but the epoch has {there}: the data or train.batch_tokens changed; "
        "restore them, or start a fresh run"
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


def _by_length(
    shuffled: NDArray[np.integer], src_lengths: NDArray[np.integer], tgt_lengths: NDArray[np.integer]
) -> NDArray[np.integer]:
    """The numbers sorted by target, then source length, else as they stand."""
    src_longest, tgt_longest = int(src_lengths.max()), int(tgt_lengths.max())
    if (src_longest + 1) * (tgt_longest + 1) <= 1 << 16:
        keys = [tgt_lengths.astype(np.uint16) * np.uint16(src_longest + 1) + src_lengths.astype(np.uint16)]
    else:
        width = np.uint16 if max(src_longest, tgt_longest) < 1 << 16 else np.int64
        keys = [src_lengths.astype(width), tgt_lengths.astype(width)]
    for key in keys:  # numpy sorts 16 bits by radix, many times faster
        shuffled = shuffled[np.argsort(key[shuffled], kind="stable")]
    return shuffled


def _cut(order: NDArray[np.integer], lengths: NDArray[np.integer], batch_tokens: int) -> list[NDArray[np.integer]]:
    """Cuts `order` into the longest runs that fit; lengths, ascending, are those of `order`."""
    starts: list[int] = []
    start = 0
    while start < len(order):
        each = max(1, batch_tokens // int(lengths[start]))
        alike = int(np.searchsorted(lengths, lengths[start], side="right")) - start
        if alike >= each:  # many batches of one length at once
            starts += range(start, start + alike - each + 1, each)
            start += alike // each * each
            continue
        # no run is longer than if its first, shortest sentence filled it
        tokens = lengths[start : start + each].astype(np.int64) * np.arange(1, len(lengths[start : start + each]) + 1)
        starts.append(start)
        start += max(1, int(np.searchsorted(tokens, batch_tokens, side="right")))
    return [order[begin:end] for begin, end in zip(starts, [*starts[1:], len(order)], strict=True)]
