"""A source that no one reads: what a language model has in its place."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nmt.data.ids import Sentences


class Unread:
    """So many empty sentences, of which nothing is held; also as a side of an epoch."""

    def __init__(self, count: int, rows: Callable[[int, int], NDArray[np.integer]]) -> None:
        """rows(window, windows): those of a window on the other side, to have as many."""
        self._count, self._rows = count, rows

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        if not 0 <= index < self._count:
            raise IndexError(index)
        return np.empty(0, dtype=np.int32)

    @property
    def lengths(self) -> NDArray[np.int32]:
        """As `Sentences` has it: 0 each."""
        return np.zeros(self._count, dtype=np.int32)

    def lengths_of(self, rows: NDArray[np.integer]) -> NDArray[np.int32]:
        """As `Sentences` has it."""
        return np.zeros(len(rows), dtype=np.int32)

    def window(self, number: int, windows: int) -> Sentences:
        """As `Table` has it."""
        return Unread(len(self._rows(number, windows)), self._rows)
