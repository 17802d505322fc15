"""Arrow stream files, read from end to end in little memory."""

import mmap
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa


class MappedFile:
    """One, mapped into memory, none of which counts as ours for long."""

    def __init__(self, arrow: Path) -> None:
        with arrow.open("rb") as stream:
            self._mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self.bytes = len(self._mapped)
        self.batches = iter(pa.ipc.open_stream(pa.py_buffer(self._mapped)))

    def let_go(self) -> None:
        """Gives back the memory of what was read; whoever reads it again finds it in the system's cache, or on disk."""
        if hasattr(self._mapped, "madvise"):
            self._mapped.madvise(mmap.MADV_DONTNEED)


def record_batches(arrow: Path, begin: int = 0, end: int | None = None) -> Iterator[pa.RecordBatch]:
    """Those of a file in the cache, in order; memory holds each only while it is looked at."""
    file = MappedFile(arrow)
    for batch in islice(file.batches, begin, end):
        yield batch
        file.let_go()
