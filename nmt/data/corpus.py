"""Any parallel source to one `datasets.Dataset` of pairs: faults as path:line, and every dropped pair counted.

Sources are read once, in order, into an Arrow stream file in the cache; later calls map that file into memory. The
cache is keyed by what the sources hold, not by their names or dates.
"""

import difflib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import pyarrow as pa

from nmt.data.lines import DecodeErrors, TextFile, copy_pipes, open_bytes, read_blocks, read_line_pairs
from nmt.errors import DataError, OutputError

# A part of the cache key: raise it whenever the same bytes come to be read as other pairs.
READER_VERSION = 1
REASONS = ("columns", "empty side", "too long", "length ratio", "duplicate")

_SCHEMA = pa.schema({"src": pa.string(), "tgt": pa.string()})
_BATCH_PAIRS = 10_000
_BATCH_CHARS = 16 << 20


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What training data must satisfy. Lengths are in characters, without the spaces around a side.

    A pair is asked in the order of `REASONS` and counted under the first that it fails; an empty side always fails.
    """

    max_chars: int
    max_ratio: float
    drop_duplicates: bool


@dataclass(frozen=True, kw_only=True)
class SourceRules:
    """Where names are looked up, and how what is found there is read.

    hub: name -> "owner/name:split" or "owner/name/config:split" on the Hugging Face hub.
    tsv_columns: the language of each column; None means source, then target.
    """

    folder: Path
    hub: Mapping[str, str]
    src_lang: str
    tgt_lang: str
    tsv_columns: tuple[str, ...] | None = None
    errors: DecodeErrors = "strict"


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


class Row(NamedTuple):
    """One pair and where it stands or, with a `fault`, a row that holds no pair."""

    where: str
    src: str = ""
    tgt: str = ""
    fault: str = ""


def open_corpus(
    names: Sequence[str], rules: SourceRules, *, filters: Filters | None, cache_dir: Path | None = None
) -> Corpus:
    """The pairs of all named sources, one after the other.

    A name is looked up in `rules.folder` (it may be absolute): as NAME.src_lang and NAME.tgt_lang, each with or without
    .gz, or as the file NAME itself if it ends in .tsv, .jsonl or .json (or these and .gz). What is not there comes from
    the hub if `rules.hub` has the name. Line breaks inside a JSON text become spaces. Training data has `filters`;
    with None every line is kept, and a row that holds no pair is refused instead of dropped.

    Raises:
        DataError: a source is missing, damaged, unpaired or changing while it is read; or no pair is left.
        OutputError: the cache cannot be written.
    """
    if not names:
        raise DataError("no sources are named; name at least one, as NAME of NAME.de and NAME.en, or a .tsv file")
    cache = cache_dir or default_cache_dir()
    found = [_resolve(name, rules) for name in names]
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


class _Files(NamedTuple):
    """A source in files: the two sides of one, or a single file of pairs."""

    kind: str
    files: tuple[TextFile, ...]

    @property
    def shown(self) -> str:
        return " + ".join(file.shown for file in self.files)

    def rows(self, rules: SourceRules) -> Iterator[Row]:
        return _READERS[self.kind](self.files, rules)

    def contents(self, rules: SourceRules) -> Iterator[Iterable[bytes]]:
        return (read_blocks(file.path, name=file.shown) for file in self.files)

    def stamps(self) -> list[tuple[int, int]]:
        found = []
        for file in self.files:
            with open_bytes(file.path, name=file.shown) as stream:
                found.append(os.fstat(stream.fileno()))
        return [(each.st_size, each.st_mtime_ns) for each in found]


class _HubRows(NamedTuple):
    """A data set of the Hugging Face hub, already on this machine."""

    shown: str
    dataset: datasets.Dataset
    kind: str = "hub"
    files: tuple[TextFile, ...] = ()

    def rows(self, rules: SourceRules) -> Iterator[Row]:
        for number, record in enumerate(self.dataset, start=1):
            yield _row(f"{self.shown}:{number}", record, rules)

    def contents(self, rules: SourceRules) -> Iterator[Iterable[bytes]]:
        yield ("\n".join(row[1:]).encode() for row in self.rows(rules))

    def stamps(self) -> list[tuple[int, int]]:
        return []


def _resolve(name: str, rules: SourceRules) -> _Files | _HubRows:
    path = rules.folder / name
    kind = _KINDS.get(Path(name.removesuffix(".gz")).suffix, "two files")
    choices = [[path]]
    if kind == "two files":
        choices = [[Path(f"{path}.{lang}{end}") for end in ("", ".gz")] for lang in (rules.src_lang, rules.tgt_lang)]
    chosen = [there[0] for choice in choices if (there := [file for file in choice if _is_there(file)])]
    if len(chosen) == len(choices):
        return _Files(kind, tuple(TextFile(file, str(file)) for file in chosen))
    if name in rules.hub and not chosen:
        return _load_from_hub(rules.hub[name])
    raise DataError(_not_found(name, rules, choices, chosen))


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be looked up ({fault}); check the name and its permissions") from fault
    return True


def _not_found(name: str, rules: SourceRules, choices: list[list[Path]], chosen: list[Path]) -> str:
    wanted = " and ".join(" or ".join(str(file) for file in choice) for choice in choices)
    if chosen:
        return f"{name}: only {chosen[0]} is there; wanted are {wanted}: add the other side"
    folder = (rules.folder / name).parent
    if not folder.is_dir():
        return f"{name}: there is no folder {folder}; looked for {wanted}; set data.folder to the folder of the data"
    entries = {entry.name for entry in folder.iterdir()}
    stems = {Path(entry.removesuffix(".gz")) for entry in entries}
    there = {stem.stem for stem in stems if stem.suffix == f".{rules.src_lang}"}
    there |= {entry for entry in entries if Path(entry.removesuffix(".gz")).suffix in _KINDS}
    near = difflib.get_close_matches(Path(name).name, sorted(there | set(rules.hub)), n=3)
    advice = f"did you mean {' or '.join(near)}?" if near else "check the name, data.folder and the languages"
    return f"{name}: nothing found: looked for {wanted}, and among the {len(rules.hub)} names of data.hub; {advice}"


def _load_from_hub(spec: str) -> _HubRows:
    path, _, split = spec.partition(":")
    parts = path.split("/")
    if len(parts) not in (2, 3) or not all(parts) or not split:
        raise DataError(f"data.hub: {spec!r} is not of the form owner/name:split or owner/name/config:split")
    try:
        dataset = datasets.load_dataset("/".join(parts[:2]), *parts[2:], split=split)
    except Exception as fault:  # the library has no common root for what it raises; nothing is lost by the translation
        raise DataError(
            f"{spec}: the Hugging Face hub did not give this data set ({fault}); check its name and the network, "
            "or set data.folder to a folder that holds the files"
        ) from fault
    return _HubRows(f"hub:{spec}", dataset)


def _read_two_files(files: tuple[TextFile, ...], rules: SourceRules) -> Iterator[Row]:
    src, tgt = files
    for number, pair in enumerate(read_line_pairs(src, tgt, errors=rules.errors), start=1):
        yield Row(f"{src.shown}:{number}", *pair)


def _read_tsv(files: tuple[TextFile, ...], rules: SourceRules) -> Iterator[Row]:
    columns = rules.tsv_columns or (rules.src_lang, rules.tgt_lang)
    if not {rules.src_lang, rules.tgt_lang} <= set(columns):
        raise DataError(
            f"{files[0].shown}: tsv_columns are {', '.join(columns)}, "
            f"but {rules.src_lang} and {rules.tgt_lang} are wanted; name the language of each column"
        )
    src, tgt = columns.index(rules.src_lang), columns.index(rules.tgt_lang)
    for number, line in enumerate(files[0].lines(rules.errors), start=1):
        where = f"{files[0].shown}:{number}"
        cells = line.split("\t")
        if len(cells) == len(columns):
            yield Row(where, cells[src], cells[tgt])
        else:
            yield Row(where, fault=f"{len(cells)} tab-separated columns, but {len(columns)} are wanted")


def _read_json(files: tuple[TextFile, ...], rules: SourceRules) -> Iterator[Row]:
    for number, line in enumerate(files[0].lines(rules.errors), start=1):
        where = f"{files[0].shown}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as fault:
            raise DataError(f"{where}: not JSON ({fault}); one object a line is wanted") from fault
        yield _row(where, record, rules)


_KINDS = {".tsv": "tsv", ".jsonl": "json", ".json": "json"}
_READERS: dict[str, Callable[[tuple[TextFile, ...], SourceRules], Iterator[Row]]] = {
    "two files": _read_two_files,
    "tsv": _read_tsv,
    "json": _read_json,
}


def _row(where: str, record: Any, rules: SourceRules) -> Row:
    """The pair in {"translation": {lang: text, ...}} or {lang: text, ...}."""
    texts = record.get("translation", record) if isinstance(record, dict) else None
    sides = []
    for lang in (rules.src_lang, rules.tgt_lang):
        text = texts.get(lang) if isinstance(texts, dict) else None
        if not isinstance(text, str):
            return Row(where, fault=f'no text for "{lang}"; {{"{lang}": text}} is wanted')
        sides.append(_one_line(text, where, rules.errors))
    return Row(where, *sides)


def _one_line(text: str, where: str, errors: DecodeErrors) -> str:
    """The text as a line that UTF-8 can hold: JSON may have line breaks in it, and halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError as fault:
        if errors == "strict":
            raise DataError(
                f"{where}: half of a surrogate pair (\\uD800 to \\uDFFF); mend it, or set errors=replace"
            ) from fault
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return re.sub(r"\r?\n", " ", re.sub(r"[\r\n]+\Z", "", text)) if "\n" in text else text


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


def _copy_pipes(sources: list[_Files | _HubRows], workspace: Path) -> list[_Files | _HubRows]:
    """The sources, with a copy in place of each pipe: it can be read once only, but the key takes a reading too."""
    copies = copy_pipes([file.path for source in sources for file in source.files], workspace)
    return [
        source._replace(files=tuple(TextFile(copies.get(path, path), shown) for path, shown in source.files))
        for source in sources
    ]


def _fingerprint(sources: Sequence[_Files | _HubRows], rules: SourceRules, filters: Filters | None) -> str:
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
        with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as folder:
            yield Path(folder)
    except OSError as fault:
        raise OutputError(
            f"{cache}: the corpus cannot be cached here ({fault}); make room, or set NMT_CACHE to another folder"
        ) from fault


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


def _check_unchanged(sources: Sequence[_Files | _HubRows], stamps: list[list[tuple[int, int]]]) -> None:
    for source, before in zip(sources, stamps, strict=True):
        if source.stamps() != before:
            raise DataError(f"{source.shown}: changed while it was read; wait until it is written, then start again")


def _check_any_left(sources: Sequence[_Files | _HubRows], counts: _Counts) -> None:
    shown = ", ".join(source.shown for source in sources)
    if not counts.read:
        raise DataError(f"{shown}: holds no lines; name a source that has some")
    if counts.read == sum(counts.dropped.values()):
        reasons = ", ".join(f"{reason} {count}" for reason, count in counts.dropped.items() if count)
        raise DataError(
            f"{shown}: all {counts.read} pairs were dropped ({reasons}); loosen the filters, or mend the data"
        )
