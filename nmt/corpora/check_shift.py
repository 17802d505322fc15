"""Stretches of a corpus where lines fit the other side's neighbours better than their own partners.

For each offset, a cumulative sum (Page, 1954) of how much better line i fits line i + offset than line i: by length,
as Gale and Church (1993), by numbers and words that both sides share, and by how they end.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.corpora.check_text import SKETCH_WORDS

OFFSETS = (1, -1, 2, -2, 3, -3)
ALARM = 25.0
MIN_LINES = 20
MIN_GAIN = 0.2  # a line, on average

_BITS = 64 * SKETCH_WORDS
_REACH = 3
# Mean |log ratio| of the lengths of two sides, about its median: in a translation, and between any two lines.
_CLOSE, _FAR = 0.22, 0.6
_WORST_LENGTH = -3.0
_WORD_GAIN = 1.2  # of a shared word
_WORD_LIMITS = (-1.0, 4.0)
_END_GAIN = 0.5

Columns = Mapping[str, NDArray[Any]]


class Stretch(NamedTuple):
    """Lines `first` to `last`, from 1, whose source fits the target `offset` lines further on. gain: by how much."""

    first: int
    last: int
    offset: int
    gain: float


def find_shifts(batches: Iterable[Columns], *, usual: float) -> list[Stretch]:
    """The stretches, none overlapping a better one. usual: the median log ratio of target to source lengths."""
    sums = {offset: _Sum(offset) for offset in OFFSETS}
    held: dict[str, NDArray[Any]] = {}
    begin = 0  # the row that held starts with
    for batch in _plus_padding(batches):
        held = {name: np.concatenate([held[name], column]) if held else column for name, column in batch.items()}
        ready = len(held["src_chars"]) - _REACH
        if ready <= _REACH:
            continue
        rows = np.arange(_REACH if begin else 0, ready)
        own = _fit(held, rows, 0, usual)
        for offset, total in sums.items():
            total.add(begin + int(rows[0]), _fit(held, rows, offset, usual) - own)
        held = {name: column[ready - _REACH :] for name, column in held.items()}
        begin += ready - _REACH
    return _best([stretch for total in sums.values() for stretch in total.end()])


def _plus_padding(batches: Iterable[Columns]) -> Iterable[Columns]:
    last = None
    for last in batches:
        yield last
    if last is not None:
        yield {name: np.zeros(_REACH, dtype=column.dtype) for name, column in last.items()}


def _fit(held: Columns, rows: NDArray[np.int64], offset: int, usual: float) -> NDArray[np.float64]:
    """How well each source fits the target so many rows on: about a log likelihood ratio against any other line."""
    facing = np.clip(rows + offset, 0, len(held["src_chars"]) - 1)
    src, tgt = held["src_chars"][rows].astype(float), held["tgt_chars"][facing].astype(float)
    misfit = np.abs(np.log((1 + tgt) / (1 + src)) - usual)
    fit = np.maximum(np.log(_FAR / _CLOSE) - misfit * (1 / _CLOSE - 1 / _FAR), _WORST_LENGTH)
    shared, of_src, of_tgt = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows))
    for word in range(SKETCH_WORDS):
        one, other = held[f"src_sketch{word}"][rows], held[f"tgt_sketch{word}"][facing]
        shared += np.bitwise_count(one & other)
        of_src += np.bitwise_count(one)
        of_tgt += np.bitwise_count(other)
    fit += np.clip(_WORD_GAIN * (shared - of_src * of_tgt / _BITS), *_WORD_LIMITS)
    fit += _END_GAIN * (held["src_end"][rows] == held["tgt_end"][facing])
    found: NDArray[np.float64] = np.where((src == 0) | (tgt == 0), 0.0, fit)
    return found


class _Sum:
    """One offset's sum: it never falls below nothing, and a stretch ends where it has fallen by ALARM."""

    def __init__(self, offset: int) -> None:
        self._offset = offset
        self._found: list[Stretch] = []
        self._sum = self._best = 0.0
        self._first = self._last = 0

    def add(self, begin: int, gains: NDArray[np.float64]) -> None:
        """The gains of rows `begin` and on."""
        for row, gain in enumerate(gains.tolist(), start=begin):
            self._sum += gain
            if self._sum > self._best:
                self._best, self._last = self._sum, row
            elif self._sum <= 0 or self._sum < self._best - ALARM:
                self._close()
                self._restart(row + 1)

    def end(self) -> list[Stretch]:
        """All stretches, the last too."""
        self._close()
        self._restart(0)
        return self._found

    def _restart(self, row: int) -> None:
        self._sum = self._best = 0.0
        self._first = self._last = row

    def _close(self) -> None:
        lines = self._last - self._first + 1
        if self._best > ALARM and lines >= MIN_LINES and self._best > MIN_GAIN * lines:
            self._found.append(Stretch(self._first + 1, self._last + 1, self._offset, round(self._best, 1)))


def _best(found: list[Stretch]) -> list[Stretch]:
    kept: list[Stretch] = []
    for stretch in sorted(found, key=lambda stretch: -stretch.gain):
        if all(stretch.last < other.first or stretch.first > other.last for other in kept):
            kept.append(stretch)
    return sorted(kept)
