"""The ids of many sentences: in memory, or in an Arrow file that is mapped and read where it lies."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nmt.data.arrow import MappedFile

_HELD_BYTES = 1 << 30  # of a larger file, not all that was read stays: 0.5 ms more a batch, where 1000 tokens are one
_READS_TOGETHER = 4096  # each brings 64 KiB around it into memory: at most 256 MiB a side

Ids = Sequence[int] | NDArray[np.integer]


class Sentences(Protocol):
    """Ids by number, without bos and eos."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> NDArray[np.integer]: ...

    @property
    def lengths(self) -> NDArray[np.integer]:
        """Tokens of each sentence."""
        ...

    def lengths_of(self, rows: NDArray[np.integer]) -> NDArray[np.integer]:
        """Tokens of these sentences."""
        ...


class Table(Protocol):
    """The sentences of one side of an epoch."""

    def __len__(self) -> int: ...

    def window(self, number: int, windows: int) -> Sentences:
        """Every `windows`-th sentence, from sentence `number` on."""
        ...


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

    def lengths_of(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """As `Sentences` has it."""
        found: NDArray[np.int64] = self.offsets[rows + 1] - self.offsets[rows]
        return found

    def window(self, number: int, windows: int) -> Sentences:
        """As `Table` has it."""
        return self if windows == 1 else Chosen(self, np.arange(number, len(self), windows))


class MappedIds:
    """One side of a file of ids: nothing is held but where each record batch lies."""

    def __init__(self, arrow: Path, side: str) -> None:
        """side: "src" or "tgt"."""
        self._file, self._reads = MappedFile(arrow), 0
        columns = [batch.column(side) for batch in self._file.batches]
        self._flat = [column.values.to_numpy() for column in columns]
        self._offsets = [column.offsets.to_numpy() for column in columns]
        self._starts = np.cumsum([0, *map(len, columns)]).tolist()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> NDArray[np.integer]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        self._reads += 1
        if self._reads % _READS_TOGETHER == 0 and self._file.bytes > _HELD_BYTES:
            self._file.let_go()
        batch = bisect_right(self._starts, index) - 1
        begin, end = self._offsets[batch][index - self._starts[batch] :][:2]
        found: NDArray[np.integer] = self._flat[batch][begin:end]
        return found

    @property
    def lengths(self) -> NDArray[np.int32]:
        """Tokens of each sentence, without bos and eos."""
        found = np.concatenate([np.diff(offsets) for offsets in self._offsets])
        self._file.let_go()
        return found

    def lengths_of(self, rows: NDArray[np.integer]) -> NDArray[np.int32]:
        """As `Sentences` has it; only what is asked for is held."""
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        cuts = np.searchsorted(ordered, self._starts)
        found = np.empty(len(rows), dtype=np.int32)
        for offsets, start, begin, end in zip(self._offsets, self._starts, cuts, cuts[1:], strict=False):
            places = ordered[begin:end] - start
            found[order[begin:end]] = offsets[places + 1] - offsets[places]
        self._file.let_go()
        return found

    def window(self, number: int, windows: int) -> Sentences:
        """As `Table` has it."""
        return self if windows == 1 else Chosen(self, np.arange(number, len(self), windows, dtype=np.int32))


class Chosen:
    """Some rows of a table, in an order of their own."""

    def __init__(self, table: Sentences, rows: NDArray[np.integer]) -> None:
        self._table, self._rows = table, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> NDArray[np.integer]:
        if index < 0:
            raise IndexError(index)
        return self._table[int(self._rows[index])]

    @property
    def lengths(self) -> NDArray[np.integer]:
        """Tokens of each sentence, without bos and eos."""
        return self._table.lengths_of(self._rows)

    def lengths_of(self, rows: NDArray[np.integer]) -> NDArray[np.integer]:
        """As `Sentences` has it."""
        return self._table.lengths_of(self._rows[rows])
