"""Several corpora in shares other than their sizes: which row each draw of an epoch is.

Nothing is drawn in advance or remembered: the order of a source's rows is a permutation that is computed row by row,
so any part of any epoch can be asked for.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmt.data.ids import Chosen, Sentences
from nmt.errors import DataError

_ROUNDS = 4


def tempered(sizes: Sequence[int], temperature: float) -> list[float]:
    """Shares in proportion to size ** (1 / temperature): 1 keeps the sizes, infinity makes all alike."""
    return [size ** (1.0 / temperature) for size in sizes]


class Mixture:
    """An epoch has as many draws as there are rows, shared out among the sources; each source's share is constant.

    A source's rows are drawn without repetition until all were seen, then in another order, across epochs.
    """

    def __init__(self, sizes: Sequence[int], weights: Sequence[float], *, seed: int) -> None:
        """Rows and weight of each source. Raises DataError where one that has a weight has no rows."""
        for number, (size, weight) in enumerate(zip(sizes, weights, strict=True), start=1):
            if weight > 0 and not size:
                raise DataError(
                    f"data.weights: source {number} of data.train has no pairs left to draw; take it out, or loosen "
                    "the filters"
                )
        self._sizes, self._seed, self._total = tuple(sizes), seed, sum(sizes)
        self.draws = _shared_out(self._total, weights)
        self._last: tuple[tuple[int, int, int], NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        """Draws of an epoch."""
        return self._total

    def rows(self, epoch: int, window: int, windows: int) -> NDArray[np.int64]:
        """The rows that every `windows`-th draw of the epoch is, from the draw `window` on."""
        asked = (epoch, window, windows)
        if self._last is None or self._last[0] != asked:  # each side of a window asks
            self._last = None
            self._last = (asked, self._rows(*asked))
        return self._last[1]

    def _rows(self, epoch: int, window: int, windows: int) -> NDArray[np.int64]:
        parts = []
        first_draw = first_row = 0
        for source, (size, draws) in enumerate(zip(self._sizes, self.draws, strict=True)):
            begin = (window - first_draw) % windows
            turns = np.arange(begin, draws, windows, dtype=np.uint64) + np.uint64(epoch * draws)
            if len(turns):
                seen, place = np.divmod(turns, np.uint64(size))
                parts.append(first_row + permuted(place, size, self._keys(source, seen)).astype(np.int64))
            first_draw, first_row = first_draw + draws, first_row + size
        return np.concatenate(parts)

    def _keys(self, source: int, seen: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """A key for each time that all rows of a source were seen."""
        [key] = np.random.SeedSequence([self._seed, source]).generate_state(1, np.uint64)
        return _mixed(seen + key)


class Drawn:
    """One side of an epoch of a mixture."""

    def __init__(self, table: Sentences, mixture: Mixture, epoch: int) -> None:
        self._table, self._mixture, self._epoch = table, mixture, epoch

    def __len__(self) -> int:
        return len(self._mixture)

    def window(self, number: int, windows: int) -> Sentences:
        """As `Table` has it."""
        return Chosen(self._table, self._mixture.rows(self._epoch, number, windows))


def permuted(places: NDArray[np.uint64], size: int, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each place of 0 .. size - 1 goes to another, no two of one key to the same.

    A Feistel network (Luby & Rackoff 1988) on the next power of 4, walked until it is back in the range (Black &
    Rogaway 2002).
    """
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    mask = (np.uint64(1) << half) - np.uint64(1)
    found = places.copy()
    outside = np.arange(len(places))
    while len(outside):
        left, right, key = found[outside] >> half, found[outside] & mask, keys[outside]
        for number in range(_ROUNDS):
            left, right = right, left ^ (_mixed(right + key + np.uint64(number << 48)) & mask)
        found[outside] = (left << half) | right
        outside = outside[found[outside] >= size]
    return found


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014); overflow is part of it."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _shared_out(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers that sum up to `total`, as near to the shares as can be, and at least 1 for each with a weight.

    What rounding down leaves goes to the largest remainders.
    """
    exact = [total * weight / sum(weights) for weight in weights]
    counts = [max(int(share), int(share > 0)) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda number: counts[number] - exact[number])
    for number in by_remainder[: max(0, total - sum(counts))]:
        counts[number] += 1
    counts[int(np.argmax(counts))] -= max(0, sum(counts) - total)  # those that were raised to 1
    return counts
