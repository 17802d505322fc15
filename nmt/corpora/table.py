"""Records in one Arrow file, and costly work on them in as many processes as wanted."""

import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nmt.corpora.records import Record, read_records
from nmt.data.arrow import record_batches
from nmt.data.lines import TextFile, copy_pipes
from nmt.data.sources import FileSource, SourceRules
from nmt.errors import DataError

Watch = Callable[[str, int, int], None]  # (what is done, how much of it, of how much; 0: no one knows)
Work = Callable[[list[str], list[str], list[str]], dict[str, Any]]  # src, tgt, fault -> columns

PAIRS_ALONE = 20_000  # so many are done before other processes have started

_BATCH_PAIRS = 10_000
_BATCH_CHARS = 16 << 20
_MAP_PAIRS = 1000
_POLL_SECONDS = 0.2
_SCHEMA = pa.schema(
    {
        "source": pa.int32(),
        "number": pa.int64(),
        "src": pa.string(),
        "tgt": pa.string(),
        "fault": pa.string(),
        "raw": pa.string(),
    }
)


class Table:
    """The records of some sources, in a folder that is there at least as long."""

    def __init__(
        self, sources: Sequence[FileSource], rules: SourceRules, folder: Path, *, watch: Watch | None = None
    ) -> None:
        """Raises DataError as the sources' own reader does, and where a file changes while it is read."""
        self.sources = sources
        self.folder = folder
        self.rows = 0
        copies = copy_pipes([file.path for source in sources for file in source.files], folder)
        read = [
            source._replace(files=tuple(TextFile(copies.get(path, path), shown) for path, shown in source.files))
            for source in sources
        ]
        stamps = [source.stamps() for source in read]
        with pa.OSFile(str(self._arrow), "wb") as sink, pa.ipc.new_stream(sink, _SCHEMA) as writer:
            for batch in _bounded(read_records(read, rules)):
                writer.write_batch(pa.record_batch([list(column) for column in zip(*batch, strict=True)], _SCHEMA))
                self.rows += len(batch)
                if watch:
                    watch("reading", self.rows, 0)
        for source, before in zip(read, stamps, strict=True):
            if source.stamps() != before:
                raise DataError(
                    f"{source.shown}: changed while it was read; wait until it is written, then start again"
                )
        if not self.rows:
            shown = ", ".join(source.shown for source in sources)
            raise DataError(f"{shown}: holds no lines; name a source that has some")

    @property
    def _arrow(self) -> Path:
        return self.folder / "records.arrow"

    def where(self, source: int, number: int) -> str:
        """Path and line of a record."""
        return f"{self.sources[source].files[0].shown}:{number}"

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All records in order, some thousands at a time, with the columns of `Record`."""
        return record_batches(self._arrow)

    def map(
        self, work: Work, features: dict[str, str], *, name: str, workers: int, watch: Watch | None = None
    ) -> "Mapped":
        """What `work` makes of the records, the same for any number of workers. features: column -> its type."""
        rows = datasets.Dataset.from_file(str(self._arrow))
        workers = max(1, min(workers, self.rows // PAIRS_ALONE))
        done = np.memmap(self.folder / "done", dtype=np.int64, mode="w+", shape=(workers,))
        with _quietly(), _polled(done, self.rows, name, watch):
            mapped = rows.map(
                partial(_counted, work=work, done=self.folder / "done"),
                batched=True,
                batch_size=_MAP_PAIRS,
                with_rank=True,
                input_columns=["src", "tgt", "fault"],
                remove_columns=rows.column_names,
                features=datasets.Features({column: datasets.Value(kind) for column, kind in features.items()}),
                num_proc=workers if workers > 1 else None,
                cache_file_name=str(self.folder / "mapped.arrow"),
                new_fingerprint="mapped",
                load_from_cache_file=False,
            )
        return Mapped(self, mapped.with_format("arrow"))  # "numpy" would make int64 of all whole numbers


class Mapped:
    """What some work made of a table, row by row."""

    def __init__(self, table: Table, columns: datasets.Dataset) -> None:
        self._table = table
        self._columns = columns

    def __iter__(self) -> Iterator[tuple[pa.RecordBatch, dict[str, NDArray[Any]]]]:
        """The records, and the columns made of them, a batch at a time."""
        begin = 0
        for batch in self._table.batches():
            yield batch, self._slice(begin, begin + len(batch))
            begin += len(batch)

    def columns(self) -> Iterator[dict[str, NDArray[Any]]]:
        """The columns alone."""
        for begin in range(0, self._table.rows, _BATCH_PAIRS):
            yield self._slice(begin, begin + _BATCH_PAIRS)

    def _slice(self, begin: int, end: int) -> dict[str, NDArray[Any]]:
        table = self._columns[begin:end]
        return {name: table.column(name).to_numpy().copy() for name in table.column_names}


def _bounded(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Batches bounded in records and in characters, so that memory stays flat and offsets fit 32 bits."""
    batch: list[Record] = []
    chars = 0
    for record in records:
        batch.append(record)
        chars += len(record.src) + len(record.tgt) + len(record.raw or "")
        if len(batch) == _BATCH_PAIRS or chars > _BATCH_CHARS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def _counted(
    src: list[str], tgt: list[str], fault: list[str], rank: int | None, *, work: Work, done: Path
) -> dict[str, Any]:
    """The work, and how much of it this process has done, left where the first one sees it."""
    result = work(src, tgt, fault)
    place = rank or 0
    np.memmap(done, dtype=np.int64, mode="r+", offset=8 * place, shape=(1,))[0] += len(src)
    return result


@contextmanager
def _polled(done: NDArray[np.int64], total: int, name: str, watch: Watch | None) -> Iterator[None]:
    """Tells how much is done, a few times a second."""
    ended = threading.Event()

    def poll() -> None:
        while watch and not ended.wait(_POLL_SECONDS):
            watch(name, int(done.sum()), total)

    poller = threading.Thread(target=poll, daemon=True)
    poller.start()
    try:
        yield
    finally:
        ended.set()
        poller.join()
    if watch:
        watch(name, total, total)


@contextmanager
def _quietly() -> Iterator[None]:
    """The library's own bars would stand among ours, and Python's warning of a fork that it means to make."""
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*use of fork.*", DeprecationWarning)
            yield
    finally:
        if shown:
            datasets.enable_progress_bars()
