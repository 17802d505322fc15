"""Whole numbers and ratios counted, in memory that does not grow with how many there were."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCKS = "▁▂▃▄▅▆▇█"
LENGTH_BOUNDS = (1, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000)  # in characters
RATIO_BOUNDS = (0.2, 0.33, 0.5, 0.67, 0.8, 0.9, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0)

_EXACT = 1 << 12  # above it, quantiles are of numbers rounded down to three digits


@dataclass
class Lengths:
    """Counts of whole numbers, exact up to 4095."""

    counts: Counter[int] = field(default_factory=Counter)
    total: int = 0
    longest: int = 0

    def add(self, values: NDArray[Any]) -> None:
        """Takes them in."""
        self.total += int(values.sum())
        self.longest = max(self.longest, int(values.max(initial=0)))
        digits = np.maximum(np.floor(np.log10(np.maximum(values, 1))) - 2, 0)
        step = np.where(values < _EXACT, 1, 10**digits).astype(np.int64)
        found, times = np.unique(values // step * step, return_counts=True)
        self.counts.update(dict(zip(found.tolist(), times.tolist(), strict=True)))

    def quantile(self, share: float) -> int:
        """The lowest number that so large a share does not exceed; 0 of none."""
        wanted, seen = share * self.counts.total(), 0
        for value in sorted(self.counts):
            seen += self.counts[value]
            if seen >= wanted:
                return value
        return 0

    def summary(self) -> dict[str, float]:
        """mean, median, p99, longest."""
        mean = self.total / self.counts.total() if self.counts else 0.0
        return {
            "mean": round(mean, 1),
            "median": self.quantile(0.5),
            "p99": self.quantile(0.99),
            "longest": self.longest,
        }

    def histogram(self) -> list[int]:
        """How many are below the first of LENGTH_BOUNDS, from it to the second, ..., and from the last on."""
        bins = [0] * (len(LENGTH_BOUNDS) + 1)
        for value, count in self.counts.items():
            bins[int(np.searchsorted(LENGTH_BOUNDS, value, side="right"))] += count
        return bins


def drawn(counts: Sequence[int]) -> str:
    """A block a bin, as high as its count; a bin that has anything is seen."""
    most = max(counts, default=0)
    return "".join(BLOCKS[min(7, -(-8 * count // most) - 1)] if count else " " for count in counts)
