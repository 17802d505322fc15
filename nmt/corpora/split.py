"""`nmt data split`: training, validation and test text of which no sentence has a near twin in another part.

Where a pair goes is decided by a hash of its source's key (`twin_key`) alone: low hashes go to the test set, high ones
to the validation set, all others to training. So a corpus that grows or comes in another order is split the same way.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nmt.corpora.records import Writer, output_files, written
from nmt.corpora.rules import twin_key
from nmt.corpora.table import Mapped, Table, Watch
from nmt.data.duplicates import digests
from nmt.data.lines import read_lines
from nmt.data.sources import FileSource, SourceRules
from nmt.errors import DataError

TRAIN, VALID, TEST = PARTS = ("train", "valid", "test")
LEFT_OUT = ("no pair", "twin of a held-out target", "held out once already")
VERSION = 1  # of what decides where a pair goes

_ALL_HASHES = 1 << 64
_TYPES = {"seed": int, "valid": int, "test": int, "both_sides": bool, "one_per_key": bool, "version": int}
_LEFT = {name: len(PARTS) + place for place, name in enumerate(LEFT_OUT)}


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Where hashes are cut: those under `test` are held out to test, those of `valid` and more to validate.

    both_sides: a target like that of a held-out pair is no training text either. one_per_key: of several pairs with
    one key, a held-out set has one.
    """

    seed: int
    valid: int
    test: int
    both_sides: bool
    one_per_key: bool
    version: int = VERSION

    def shares(self) -> dict[str, float]:
        """Of all different sources, what goes to the two sets."""
        return {VALID: (_ALL_HASHES - self.valid) / _ALL_HASHES, TEST: self.test / _ALL_HASHES}


@dataclass
class Counts:
    """How many pairs of each source, by the name of its parts, went to each; how many were left out, and why."""

    parts: dict[str, dict[str, int]]
    left_out: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LEFT_OUT, 0))


class Places:
    """The hashes of a table's records."""

    def __init__(self, table: Table, *, seed: int, workers: int = 1, watch: Watch | None = None) -> None:
        features = {"place": "uint64", "target": "uint64", "exact": "uint64", "paired": "bool"}
        self.table = table
        self.seed = seed
        self.mapped: Mapped = table.map(
            partial(place, seed=seed), features, name="hashing", workers=workers, watch=watch
        )

    def cut(self, *, valid: int | float, test: int | float, both_sides: bool = True, one_per_key: bool = True) -> Cut:
        """A whole number is of different sources to hold out of these, a fraction a share of all there can be.

        Raises DataError where there are too few sources.
        """
        bounds = {}
        for name, wanted, flip in ((VALID, valid, True), (TEST, test, False)):
            bounds[name] = int(wanted * _ALL_HASHES) if isinstance(wanted, float) else self._bound(name, wanted, flip)
        if bounds[VALID] + bounds[TEST] >= _ALL_HASHES:
            raise DataError(
                f"{self._shown()}: the held-out sets would take all pairs; ask for smaller ones, or give more text"
            )
        return Cut(
            seed=self.seed,
            valid=_ALL_HASHES - bounds[VALID],
            test=bounds[TEST],
            both_sides=both_sides,
            one_per_key=one_per_key,
        )

    def _bound(self, name: str, wanted: int, flip: bool) -> int:
        """One more than the hash (counted from the top with `flip`) under which so many different ones are."""
        lowest = np.zeros(0, dtype=np.uint64)
        for columns in self.mapped.columns():
            hashes = columns["place"][columns["paired"]]
            lowest = np.unique(np.concatenate([lowest, ~hashes if flip else hashes]))[:wanted]
        if len(lowest) < wanted:
            raise DataError(
                f"{self._shown()}: has {len(lowest)} different sources, and {wanted} are wanted for {name}; ask for "
                "fewer, or give more text"
            )
        return int(lowest[-1]) + 1 if wanted else 0

    def _shown(self) -> str:
        return ", ".join(source.shown for source in self.table.sources)


def place(src: list[str], tgt: list[str], fault: list[str], *, seed: int) -> dict[str, Any]:
    """The hash that places a pair, those of its target's key and of its text, and whether it is a pair at all."""
    salt = seed.to_bytes(8, "little")
    joined = b"".join(hashlib.blake2b(twin_key(text).encode(), digest_size=8, salt=salt).digest() for text in src)
    return {
        "place": np.frombuffer(joined, dtype="<u8"),
        "target": digests(map(twin_key, tgt)),
        "exact": digests(f"{one}\n{other}" for one, other in zip(src, tgt, strict=True)),
        "paired": [
            not row[2] and bool(row[0].strip()) and bool(row[1].strip()) for row in zip(src, tgt, fault, strict=True)
        ],
    }


def part_names(sources: Sequence[FileSource], folder: Path, rules: SourceRules) -> list[dict[str, list[Path]]]:
    """The files of each source's parts: FOLDER/NAME.train.jsonl and so on, by part."""
    names = [_split_name(source) for source in sources]
    for name, _ in names:
        if sum(name == other for other, _ in names) > 1:
            raise DataError(f"two sources would both be written to {folder / name}.train; rename one of them")
    return [
        {part: output_files(folder / f"{name}.{part}{suffix}", sources, rules) for part in PARTS}
        for name, suffix in names
    ]


def split(places: Places, cut: Cut, files: Sequence[dict[str, list[Path]]], *, watch: Watch | None = None) -> Counts:
    """Writes the parts of each source, in their own form; `files` as of `part_names`.

    Raises OutputError where the disk does not take them.
    """
    names = [_split_name(source)[0] for source in places.table.sources]
    counts = Counts({name: dict.fromkeys(PARTS, 0) for name in names})
    every = [path for parts in files for part in PARTS for path in parts[part]]
    with ExitStack() as stack:
        streams = dict(zip(every, stack.enter_context(written(every)), strict=True))
        writers = [{part: Writer([streams[path] for path in parts[part]]) for part in PARTS} for parts in files]
        done = 0
        for records, parts in _decided(places, cut):
            sources = records.column("source").to_numpy()
            for number in np.unique(sources):
                for place_of, part in enumerate(PARTS):
                    chosen = (sources == number) & (parts == place_of)
                    writers[number][part].write(records.filter(pa.array(chosen)))
                    counts.parts[names[number]][part] += int(chosen.sum())
            for name, left in _LEFT.items():
                counts.left_out[name] += int((parts == left).sum())
            done += len(records)
            if watch:
                watch("writing", done, places.table.rows)
    return counts


def stored(cut: Cut) -> dict[str, Any]:
    """A cut as JSON, for `restored`."""
    return asdict(cut)


def restored(path: Path) -> Cut:
    """The cut that was written to a file. Raises DataError where the file holds none, or one of another version."""
    wanted = "name the split.json of an earlier `nmt data split`"
    text = "\n".join(read_lines(path))
    try:
        found = json.loads(text)
        cut = Cut(**found)
        sound = all(type(value) is _TYPES[name] for name, value in asdict(cut).items())
    except (ValueError, TypeError, RecursionError) as fault:
        raise DataError(f"{path}: holds no cut ({fault}); {wanted}") from fault
    if not sound or not 0 <= cut.test <= cut.valid <= _ALL_HASHES or not 0 <= cut.seed < _ALL_HASHES:
        raise DataError(f"{path}: holds no sound cut ({text[:200]}); {wanted}")
    if cut.version != VERSION:
        raise DataError(
            f"{path}: a cut of version {cut.version}, and this program's are of version {VERSION}: it would place "
            "pairs otherwise; split anew without --like"
        )
    return cut


def _decided(places: Places, cut: Cut) -> Iterator[tuple[pa.RecordBatch, NDArray[np.int8]]]:
    """Batches of records, and where each goes: a place in PARTS, or one of _LEFT."""
    chosen, targets = _held_out(places, cut)
    for records, columns in places.mapped:
        parts = _parts(columns, cut)
        for row in np.flatnonzero((parts == PARTS.index(VALID)) | (parts == PARTS.index(TEST))):
            if cut.one_per_key and chosen.get(int(columns["place"][row])) != int(columns["exact"][row]):
                parts[row] = _LEFT["held out once already"]
            elif cut.one_per_key:
                del chosen[int(columns["place"][row])]  # a pair that is there twice is held out once
        twins = (parts == PARTS.index(TRAIN)) & np.isin(columns["target"], targets)
        parts[twins] = _LEFT["twin of a held-out target"]
        yield records, parts


def _held_out(places: Places, cut: Cut) -> tuple[dict[int, int], NDArray[np.uint64]]:
    """The pair of each held-out key, by their hashes: the one whose text hashes lowest; and the keys of all targets.

    So it does not matter in which order the pairs come.
    """
    chosen: dict[int, tuple[int, int]] = {}
    targets: set[int] = set()
    for columns in places.mapped.columns():
        parts = _parts(columns, cut)
        for row in np.flatnonzero((parts == PARTS.index(VALID)) | (parts == PARTS.index(TEST))):
            key, exact, target = (int(columns[name][row]) for name in ("place", "exact", "target"))
            if not cut.one_per_key:
                targets.add(target)
            elif key not in chosen or exact < chosen[key][0]:
                chosen[key] = exact, target
    targets.update(target for _, target in chosen.values())
    if not cut.both_sides:
        targets = set()
    found = np.fromiter(targets, dtype=np.uint64, count=len(targets))
    return {key: exact for key, (exact, _) in chosen.items()}, found


def _parts(columns: dict[str, NDArray[Any]], cut: Cut) -> NDArray[np.int8]:
    """By the hash alone."""
    parts = np.full(len(columns["place"]), PARTS.index(TRAIN), dtype=np.int8)
    if cut.test:
        parts[columns["place"] <= np.uint64(cut.test - 1)] = PARTS.index(TEST)
    if cut.valid < _ALL_HASHES:
        parts[columns["place"] >= np.uint64(cut.valid)] = PARTS.index(VALID)
    parts[~columns["paired"]] = _LEFT["no pair"]
    return parts


def _split_name(source: FileSource) -> tuple[str, str]:
    """The name of a source without folder, language and suffix, and the suffix of a file of pairs."""
    name = source.files[0].path.name.removesuffix(".gz")
    stem, _, suffix = name.rpartition(".")
    return stem, f".{suffix}" if source.kind != "two files" else ""
