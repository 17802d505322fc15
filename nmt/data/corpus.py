"""Any parallel source to one `datasets.Dataset` of pairs: faults as path:line, and every dropped pair counted.

Sources are read once, in order, into an Arrow stream file in the cache; later calls map that file into memory. The
cache is keyed by what the sources hold, not by their names or dates.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import datasets
import pyarrow as pa

from nmt.data.lines import TextFile, copy_pipes
from nmt.data.sources import Row, Source, SourceRules, find_source
from nmt.errors import DataError, OutputError

# A part of the cache key: raise it whenever the same bytes come to be read as other pairs.
READER_VERSION = 1
REASONS = ("columns", "empty side", "too long", "length ratio", "duplicate")

_SCHEMA = pa.schema({"src": pa.string(), "tgt": pa.string()})
_BATCH_PAIRS = 10_000
_BATCH_CHARS = 16 << 20
_WORKSPACE = "building-"
_STALE_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What training data must satisfy. Lengths are in characters, without the spaces around a side.

    A pair is asked in the order of `REASONS` and counted under the first that it fails; an empty side always fails.
    drop_duplicates: costs 91 to 109 bytes of memory for each pair kept (measured at 0.1 to 5 million pairs).
    """

    max_chars: int
    max_ratio: float
    drop_duplicates: bool


@dataclass(frozen=True)
class Corpus:
    """`pairs` has string columns `src` and `tgt`; `dropped` has each of `REASONS`, or nothing without filters.

    fingerprint: SHA-256 (hex) over what the sources hold and all that decides how it is read and filtered.
    """

    pairs: datasets.Dataset
    read: int
    dropped: dict[str, int]
    sources: tuple[str, ...]
    fingerprint: str


def open_corpus(
    names: Sequence[str], rules: SourceRules, *, filters: Filters | None, cache_dir: Path | None = None
) -> Corpus:
    """The pairs of all named sources, one after the other.

    A name stands for what `find_source` says. Line breaks inside a JSON text become spaces. Training data has
    `filters`; with None every line is kept, and a row that holds no pair is refused instead of dropped.

    Raises:
        DataError: a source is missing, damaged, unpaired or changing while it is read; or no pair is left.
        OutputError: the cache cannot be written.
    """
    if not names:
        raise DataError("no sources are named; name at least one, as NAME of NAME.de and NAME.en, or a .tsv file")
    cache = cache_dir or default_cache_dir()
    found = [find_source(name, rules) for name in names]
    with _workspace(cache) as workspace:
        sources = _copy_pipes(found, workspace)
        stamps = [source.stamps() for source in sources]
        key = _fingerprint(sources, rules, filters)
        arrow, sidecar = cache / f"{key}.arrow", cache / f"{key}.json"
        counts = _load_counts(arrow, sidecar)
        if counts is None:
            counts = _Counts(0, dict.fromkeys(REASONS, 0) if filters else {})
            rows = chain.from_iterable(source.rows(rules) for source in sources)
            _write_arrow(workspace / "arrow", _kept(rows, filters, counts))
            _check_unchanged(sources, stamps)
            _check_any_left(sources, counts)
            (workspace / "json").write_text(json.dumps({**asdict(counts), "seal": _seal(workspace / "arrow", counts)}))
            (workspace / "arrow").replace(arrow)
            (workspace / "json").replace(sidecar)
        pairs = datasets.Dataset.from_file(str(arrow))
    return Corpus(pairs, counts.read, counts.dropped, tuple(source.shown for source in sources), key)


def count_overlap(train: Corpus, other: Corpus) -> int:
    """How many pairs of `other` have a source side that occurs in `train`, runs of white space taken as one space.

    The source alone decides: a model that saw the sentence in training has an unfair start whatever the reference says.
    Blank sources do not count. Memory grows with `other` only.
    """
    wanted = set(_source_hashes(other)) - {_hash("")}
    seen = {digest for digest in _source_hashes(train) if digest in wanted}
    return sum(digest in seen for digest in _source_hashes(other))


def default_cache_dir() -> Path:
    """$NMT_CACHE, or else $XDG_CACHE_HOME/nmt, or else ~/.cache/nmt."""
    if own := os.environ.get("NMT_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nmt"


@dataclass
class _Counts:
    read: int
    dropped: dict[str, int]


def _kept(rows: Iterable[Row], filters: Filters | None, counts: _Counts) -> Iterator[tuple[str, str]]:
    seen: set[bytes] = set()
    for counts.read, row in enumerate(rows, start=1):
        if filters is None and row.fault:
            raise DataError(f"{row.where}: {row.fault}; nothing may be dropped here, so mend this row")
        reason = _reason_to_drop(row, filters, seen) if filters else None
        if reason:
            counts.dropped[reason] += 1
        else:
            yield row.src, row.tgt


def _reason_to_drop(row: Row, filters: Filters, seen: set[bytes]) -> str | None:
    """One of REASONS. Of each pair let through, `seen` keeps 128 bits of hash in place of the text."""
    if row.fault:
        return "columns"
    short, long = sorted((len(row.src.strip()), len(row.tgt.strip())))
    if not short:
        return "empty side"
    if long > filters.max_chars:
        return "too long"
    if long > filters.max_ratio * short:
        return "length ratio"
    if filters.drop_duplicates:
        digest = _hash(f"{row.src}\n{row.tgt}")  # no line break can be in either
        if digest in seen:
            return "duplicate"
        seen.add(digest)
    return None


def _hash(text: str) -> bytes:
    """128 bits: among 10^9 texts, the chance that any two collide is about 10^-21."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _source_hashes(corpus: Corpus) -> Iterator[bytes]:
    for batch in corpus.pairs.select_columns("src").iter(batch_size=_BATCH_PAIRS):
        yield from (_hash(" ".join(src.split())) for src in batch["src"])


def _copy_pipes(sources: list[Source], workspace: Path) -> list[Source]:
    """The sources, with a copy in place of each pipe: it can be read once only, but the key takes a reading too."""
    copies = copy_pipes([file.path for source in sources for file in source.files], workspace)
    return [
        source._replace(files=tuple(TextFile(copies.get(path, path), shown) for path, shown in source.files))
        for source in sources
    ]


def _fingerprint(sources: Sequence[Source], rules: SourceRules, filters: Filters | None) -> str:
    reading = {
        "version": READER_VERSION,
        "languages": [rules.src_lang, rules.tgt_lang],
        "tsv_columns": rules.tsv_columns,
        "errors": rules.errors,
        "filters": asdict(filters) if filters else None,
        "kinds": [source.kind for source in sources],
    }
    total = hashlib.sha256(json.dumps(reading, sort_keys=True).encode())
    for content in chain.from_iterable(source.contents(rules) for source in sources):
        part = hashlib.sha256()
        for block in content:
            part.update(block)
        total.update(part.digest())
    return total.hexdigest()


@contextmanager
def _workspace(cache: Path) -> Iterator[Path]:
    """A folder that goes away again, on the file system of the cache so that files can be moved there in one step."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _clear_stale(cache)
        with tempfile.TemporaryDirectory(dir=cache, prefix=_WORKSPACE) as folder:
            yield Path(folder)
    except OSError as fault:
        raise OutputError(
            f"{cache}: the corpus cannot be cached here ({fault}); make room, or set NMT_CACHE to another folder"
        ) from fault


def _clear_stale(cache: Path) -> None:
    """Removes what builds that were killed left behind, long after any build can still be running."""
    for folder in cache.glob(f"{_WORKSPACE}*"):
        with suppress(OSError):  # gone by now, or not ours to remove: neither keeps this build from going on
            if not folder.is_symlink() and time.time() - folder.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(folder)


def _load_counts(arrow: Path, sidecar: Path) -> _Counts | None:
    """The counts of a cached corpus; None where it is absent, half written or damaged, so that it is built again."""
    try:
        stored = json.loads(sidecar.read_bytes())
        counts = _Counts(stored["read"], stored["dropped"])
        return counts if stored["seal"] == _seal(arrow, counts) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _seal(arrow: Path, counts: _Counts) -> str:
    """SHA-256 over the counts and the Arrow file: a flipped byte in either would go unnoticed otherwise."""
    with arrow.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
    digest.update(json.dumps(asdict(counts)).encode())
    return digest.hexdigest()


def _write_arrow(path: Path, pairs: Iterable[tuple[str, str]]) -> None:
    """In record batches bounded in pairs and in characters, so that memory stays flat and offsets fit 32 bits."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, _SCHEMA) as writer:
        batch: list[tuple[str, str]] = []
        chars = 0
        for pair in pairs:
            batch.append(pair)
            chars += len(pair[0]) + len(pair[1])
            if len(batch) == _BATCH_PAIRS or chars > _BATCH_CHARS:
                writer.write_batch(_record_batch(batch))
                batch, chars = [], 0
        if batch:
            writer.write_batch(_record_batch(batch))


def _record_batch(batch: list[tuple[str, str]]) -> pa.RecordBatch:
    return pa.record_batch([list(side) for side in zip(*batch, strict=True)], schema=_SCHEMA)


def _check_unchanged(sources: Sequence[Source], stamps: list[list[tuple[int, int]]]) -> None:
    for source, before in zip(sources, stamps, strict=True):
        if source.stamps() != before:
            raise DataError(f"{source.shown}: changed while it was read; wait until it is written, then start again")


def _check_any_left(sources: Sequence[Source], counts: _Counts) -> None:
    shown = ", ".join(source.shown for source in sources)
    if not counts.read:
        raise DataError(f"{shown}: holds no lines; name a source that has some")
    if counts.read == sum(counts.dropped.values()):
        reasons = ", ".join(f"{reason} {count}" for reason, count in counts.dropped.items() if count)
        raise DataError(
            f"{shown}: all {counts.read} pairs were dropped ({reasons}); loosen the filters, or mend the data"
        )
