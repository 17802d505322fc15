"""Any parallel source to one `datasets.Dataset` of pairs: faults as path:line, and every dropped pair counted.

Sources are read once, in order, into an Arrow stream file in the cache; later calls map that file into memory. The
cache is keyed by what the sources hold, not by their names or dates.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, compress
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa

from nmt.data.arrow import record_batches
from nmt.data.cache import Cache, Stamp, settled
from nmt.data.duplicates import DigestSet, digests
from nmt.data.lines import TextFile, copy_pipes
from nmt.data.sources import Row, Source, SourceRules, find_source
from nmt.errors import DataError

# A part of the cache key: raise it whenever the same bytes come to be read as other pairs.
READER_VERSION = 1
REASONS = ("columns", "empty side", "too long", "length ratio", "duplicate")

_SCHEMA = pa.schema({"src": pa.string(), "tgt": pa.string()})
_BATCH_PAIRS = 10_000
_BATCH_CHARS = 16 << 20

Pair = tuple[str, str]
Watch = Callable[[int, int], None]  # (done, of how many; 0: no one knows)


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What training data must satisfy. Lengths are in characters, without the spaces around a side.

    A pair is asked in the order of `REASONS` and counted under the first that it fails; an empty side always fails.
    drop_duplicates: goes by 64 bits of hash a pair (`DigestSet` has the odds of an error, and what memory it costs).
    """

    max_chars: int
    max_ratio: float
    drop_duplicates: bool


@dataclass(frozen=True)
class Corpus:
    """`pairs` has string columns `src` and `tgt`; `dropped` has each of `REASONS`, or nothing without filters.

    kept: how many of the pairs came from each source, in order.
    fingerprint: SHA-256 (hex) over what the sources hold and all that decides how it is read and filtered.
    """

    pairs: datasets.Dataset
    read: int
    dropped: dict[str, int]
    kept: tuple[int, ...]
    sources: tuple[str, ...]
    fingerprint: str

    @property
    def arrow(self) -> Path:
        """The file in the cache."""
        return Path(self.pairs.cache_files[0]["filename"])


def open_corpus(
    names: Sequence[str],
    rules: SourceRules,
    *,
    filters: Filters | None,
    cache_dir: Path | None = None,
    watch: Watch | None = None,
) -> Corpus:
    """The pairs of all named sources, one after the other.

    A name stands for what `find_source` says. Line breaks inside a JSON text become spaces. Training data has
    `filters`; with None every line is kept, and a row that holds no pair is refused instead of dropped. `watch` is told
    how many pairs were read, where they are read and not found in the cache.

    Raises:
        DataError: a source is missing, damaged, unpaired or changing while it is read; or no pair is left.
        OutputError: the cache cannot be written.
    """
    if not names:
        raise DataError("no sources are named; name at least one, as NAME of NAME.de and NAME.en, or a .tsv file")
    cache = Cache(cache_dir)
    found = [find_source(name, rules) for name in names]
    with cache.workspace() as workspace:
        sources = _copy_pipes(found, workspace)
        stamps = [source.stamps() for source in sources]
        key = _fingerprint(sources, rules, filters, cache)
        arrow = cache.folder / f"{key}.arrow"
        with cache.lock(key):
            counts = _counts(cache.facts(arrow))
            if counts is None:
                counts = _Counts(0, dict.fromkeys(REASONS, 0) if filters else {}, [0] * len(sources))
                _write_arrow(workspace / "arrow", _kept(sources, rules, filters, counts), counts, watch)
                _check_unchanged(sources, stamps)
                _check_any_left(sources, counts)
                cache.store(workspace / "arrow", arrow, asdict(counts))
        pairs = datasets.Dataset.from_file(str(arrow))
    shown = tuple(source.shown for source in sources)
    return Corpus(pairs, counts.read, counts.dropped, tuple(counts.kept), shown, key)


def lines(corpus: Corpus, side: str) -> Iterator[list[str]]:
    """The lines of the side "src" or "tgt", a record batch at a time."""
    for batch in record_batches(corpus.arrow):
        yield batch.column(side).to_pylist()


@dataclass
class _Counts:
    read: int
    dropped: dict[str, int]
    kept: list[int]


def _counts(stored: dict[str, Any] | None) -> _Counts | None:
    """Of a corpus in the cache; None where it is absent or damaged, so that it is built again."""
    if not stored or stored.keys() != {"read", "dropped", "kept"}:
        return None
    return _Counts(**stored)


def _kept(
    sources: Sequence[Source], rules: SourceRules, filters: Filters | None, counts: _Counts
) -> Iterator[list[Pair]]:
    """The pairs that pass, in batches."""
    seen = DigestSet() if filters and filters.drop_duplicates else None
    for number, source in enumerate(sources):
        for pairs in _bounded(_sound(source.rows(rules), filters, counts)):
            new = pairs
            if seen is not None:
                # no line break can be in either side
                new = list(compress(pairs, seen.add(digests(f"{src}\n{tgt}" for src, tgt in pairs)).tolist()))
                counts.dropped["duplicate"] += len(pairs) - len(new)
            counts.kept[number] += len(new)
            yield new


def _sound(rows: Iterable[Row], filters: Filters | None, counts: _Counts) -> Iterator[Pair]:
    """The pairs that pass all filters but that of duplicates."""
    for row in rows:
        counts.read += 1
        if filters is None and row.fault:
            raise DataError(f"{row.where}: {row.fault}; nothing may be dropped here, so mend this row")
        reason = _reason_to_drop(row, filters) if filters else None
        if reason:
            counts.dropped[reason] += 1
        else:
            yield row.src, row.tgt


def _reason_to_drop(row: Row, filters: Filters) -> str | None:
    """One of REASONS."""
    if row.fault:
        return "columns"
    short, long = sorted((len(row.src.strip()), len(row.tgt.strip())))
    if not short:
        return "empty side"
    if long > filters.max_chars:
        return "too long"
    if long > filters.max_ratio * short:
        return "length ratio"
    return None


def _bounded(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    """Batches bounded in pairs and in characters, so that memory stays flat and offsets fit 32 bits."""
    batch: list[Pair] = []
    chars = 0
    for pair in pairs:
        batch.append(pair)
        chars += len(pair[0]) + len(pair[1])
        if len(batch) == _BATCH_PAIRS or chars > _BATCH_CHARS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def _copy_pipes(sources: list[Source], workspace: Path) -> list[Source]:
    """The sources, with a copy in place of each pipe: it can be read once only, but the key takes a reading too."""
    copies = copy_pipes([file.path for source in sources for file in source.files], workspace)
    return [
        source._replace(files=tuple(TextFile(copies.get(path, path), shown) for path, shown in source.files))
        for source in sources
    ]


def _fingerprint(sources: Sequence[Source], rules: SourceRules, filters: Filters | None, cache: Cache) -> str:
    reading = {
        "version": READER_VERSION,
        "languages": [rules.src_lang, rules.tgt_lang],
        "tsv_columns": rules.tsv_columns,
        "errors": rules.errors,
        "filters": asdict(filters) if filters else None,
        "kinds": [source.kind for source in sources],
    }
    total = hashlib.sha256(json.dumps(reading, sort_keys=True).encode())
    for source in sources:
        for digest in _content_hashes(source, rules, cache):
            total.update(bytes.fromhex(digest))
    return total.hexdigest()


def _content_hashes(source: Source, rules: SourceRules, cache: Cache) -> list[str]:
    """SHA-256 of each content of a source: read, or remembered from when its files had the stamps they have now."""
    key, stamps = source.identity(rules), source.stamps()
    known = cache.recall(key, stamps) if stamps else None
    if known is not None:
        return list(known)
    found = []
    for content in source.contents(rules):
        digest = hashlib.sha256()
        for block in content:
            digest.update(block)
        found.append(digest.hexdigest())
    if stamps and settled(stamps) and source.stamps() == stamps:
        cache.remember(key, found, stamps)
    return found


def _write_arrow(path: Path, batches: Iterable[list[Pair]], counts: _Counts, watch: Watch | None) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, _SCHEMA) as writer:
        for batch in _bounded(chain.from_iterable(batches)):
            writer.write_batch(pa.record_batch([list(side) for side in zip(*batch, strict=True)], schema=_SCHEMA))
            if watch:
                watch(counts.read, 0)


def _check_unchanged(sources: Sequence[Source], stamps: list[list[Stamp]]) -> None:
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
