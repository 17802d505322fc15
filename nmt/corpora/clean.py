"""`nmt data clean`: what is good of a corpus, and what was dropped for which reason."""

import heapq
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nmt.corpora.records import Writer, written
from nmt.corpora.rules import REASONS, RULES, Limits, twin_key
from nmt.corpora.table import Mapped, Table, Watch
from nmt.data.duplicates import DigestSet, digests
from nmt.errors import DataError

KEPT = "kept"

LanguageTest = Callable[[str, str], bool]  # (source, target) -> whether one is in another language
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """What to drop. rules: those of REASONS that are on. max_targets: most targets of one source key."""

    rules: frozenset[str]
    limits: Limits
    max_targets: int = 0
    wrong_language: LanguageTest | None = None


class Sample(NamedTuple):
    """A pair, and where it stands."""

    where: str
    src: str
    tgt: str


@dataclass
class Report:
    """What was found. kept: how many of each source; dropped, samples: by reason, `samples` those kept too."""

    read: dict[str, int]
    kept: dict[str, int]
    dropped: dict[str, int]
    samples: dict[str, list[Sample]] = field(default_factory=dict)


def clean(
    table: Table,
    files: Sequence[Path],
    *,
    cleaning: Cleaning,
    dropped: Path | None = None,
    samples: int = 5,
    workers: int = 1,
    watch: Watch | None = None,
) -> Report:
    """Writes the records that pass to `files`, as of `output_files`, and the others to `dropped` as JSON lines.

    Raises OutputError where the disk does not take them, and DataError where no record passes; then nothing is written.
    """
    features = {"reason": "int16", "exact": "uint64", "near": "uint64", "source_key": "uint64"}
    mapped = table.map(partial(judge, cleaning=cleaning), features, name="judging", workers=workers, watch=watch)
    names = [source.shown for source in table.sources]
    report = Report(dict.fromkeys(names, 0), dict.fromkeys(names, 0), dict.fromkeys(REASONS, 0))
    with ExitStack() as stack:
        streams = stack.enter_context(written(files))
        writer = Writer(streams)
        log = stack.enter_context(written([dropped]))[0] if dropped else None
        sampler = _Sampler(samples)
        done = 0
        for records, reasons, columns in _decided(mapped, cleaning):
            kept = reasons == len(REASONS)
            writer.write(records.filter(pa.array(kept)))
            _count(report, names, records, reasons)
            sampler.take(records, reasons, columns["exact"])
            if log:
                _log(log, table, records, reasons)
            done += len(records)
            if watch:
                watch("writing", done, table.rows)
        report.samples = sampler.samples(table)
        _refuse_nothing(report)
    return report


def judge(src: list[str], tgt: list[str], fault: list[str], *, cleaning: Cleaning) -> dict[str, Any]:
    """The reason against each pair that shows in the pair itself, as its place in REASONS, and digests to compare."""
    keys = [(twin_key(one), twin_key(other)) for one, other in zip(src, tgt, strict=True)]
    return {
        "reason": [_reason(*row, cleaning) for row in zip(src, tgt, fault, strict=True)],
        # no line break can be in either side
        "exact": digests(f"{one}\n{other}" for one, other in zip(src, tgt, strict=True)),
        "near": digests(f"{one}\n{other}" for one, other in keys),
        "source_key": digests(one for one, _ in keys),
    }


def _reason(src: str, tgt: str, fault: str, cleaning: Cleaning) -> int:
    src, tgt = src.strip(), tgt.strip()
    if fault:
        return REASONS.index("columns")
    if not src or not tgt:
        return REASONS.index("empty")
    for name, rule in RULES.items():
        if name in cleaning.rules and rule(src, tgt, cleaning.limits):
            return REASONS.index(name)
    if cleaning.wrong_language and cleaning.wrong_language(src, tgt):
        return REASONS.index("language")
    return len(REASONS)


def _decided(
    mapped: Mapped, cleaning: Cleaning
) -> Iterator[tuple[pa.RecordBatch, NDArray[np.int16], dict[str, NDArray[Any]]]]:
    """Batches of records, the reason against each, and its digests."""
    seen = {"duplicate": [DigestSet()], "near_duplicate": [DigestSet()]}
    seen["many_targets"] = [DigestSet() for _ in range(cleaning.max_targets)]
    columns_of = {"duplicate": "exact", "near_duplicate": "near", "many_targets": "source_key"}
    for records, columns in mapped:
        reasons = columns["reason"]
        for name, sets in seen.items():
            if name in cleaning.rules:
                passing = np.flatnonzero(reasons == len(REASONS))
                again = _seen_before(columns[columns_of[name]][passing], sets)
                reasons[passing[again]] = REASONS.index(name)
        yield records, reasons, columns


def _seen_before(found: NDArray[np.uint64], sets: Sequence[DigestSet]) -> Flags:
    """True where a digest has come as often as there are sets: it goes into the first that lacks it."""
    waiting = np.arange(len(found))
    for digest_set in sets:
        waiting = waiting[~digest_set.add(found[waiting])]
    again = np.zeros(len(found), dtype=bool)
    again[waiting] = True
    return again


def _count(report: Report, names: Sequence[str], records: pa.RecordBatch, reasons: NDArray[np.int16]) -> None:
    sources = records.column("source").to_numpy()
    for place, name in enumerate(names):
        report.read[name] += int((sources == place).sum())
        report.kept[name] += int(((sources == place) & (reasons == len(REASONS))).sum())
    for number, reason in enumerate(REASONS):
        report.dropped[reason] += int((reasons == number).sum())


def _refuse_nothing(report: Report) -> None:
    """Raises DataError, with what took them, where no pair is left."""
    if any(report.kept.values()):
        return
    reasons = []
    for name, count in report.dropped.items():
        place = f" (as {report.samples[name][0].where})" if name in report.samples else ""
        reasons += [f"{name} {count:,}{place}"] if count else []
    raise DataError(
        f"{', '.join(report.read)}: none of {sum(report.read.values()):,} pairs is left: {', '.join(reasons)}; "
        "nothing was written: loosen or leave out the rules that took them"
    )


class _Sampler:
    """For each reason the pairs whose digests are the lowest: from all over the corpus, the same each time."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._lowest: dict[str, list[tuple[int, int, int, str, str]]] = {name: [] for name in (*REASONS, KEPT)}

    def take(self, records: pa.RecordBatch, reasons: NDArray[np.int16], order: NDArray[np.uint64]) -> None:
        """Looks at a batch."""
        for number, name in enumerate(self._lowest):
            rows = np.flatnonzero(reasons == number)
            rows = rows[np.argsort(order[rows], kind="stable")[: self._count]]
            chosen = records.select(["source", "number", "src", "tgt"]).take(pa.array(rows)).to_pylist()
            found = [(int(order[row]), *pair.values()) for row, pair in zip(rows, chosen, strict=True)]
            self._lowest[name] = heapq.nsmallest(self._count, [*self._lowest[name], *found])

    def samples(self, table: Table) -> dict[str, list[Sample]]:
        """By reason, in the order of the corpus."""
        in_order = {name: sorted(found, key=lambda item: item[1:3]) for name, found in self._lowest.items()}
        return {
            name: [Sample(table.where(source, number), src, tgt) for _, source, number, src, tgt in found]
            for name, found in in_order.items()
            if found
        }


def _log(log: BinaryIO, table: Table, records: pa.RecordBatch, reasons: NDArray[np.int16]) -> None:
    rows = np.flatnonzero(reasons < len(REASONS))
    for reason, record in zip(reasons[rows], records.take(pa.array(rows)).to_pylist(), strict=True):
        fields = {
            "reason": REASONS[reason],
            "where": table.where(record["source"], record["number"]),
            "src": record["src"],
            "tgt": record["tgt"],
        }
        fields |= {"fault": record["fault"]} if record["fault"] else {}
        fields |= {"raw": record["raw"]} if record["fault"] else {}
        log.write((json.dumps(fields, ensure_ascii=False) + "\n").encode())
