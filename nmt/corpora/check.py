"""Looks at a corpus before anything is trained on it: what is there, and what looks wrong, with its place."""

import heapq
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nmt.corpora.check_shift import Stretch, find_shifts
from nmt.corpora.check_text import FEATURES, PROBLEMS, BadBytes, Looking, bad_bytes, measure, scripts
from nmt.corpora.histogram import RATIO_BOUNDS, Lengths
from nmt.corpora.table import Mapped, Table, Watch
from nmt.data.corpus import REASONS, Filters
from nmt.data.duplicates import DigestSet
from nmt.data.lines import TextFile, copy_pipes
from nmt.data.sources import FileSource, Source, SourceRules, json_row
from nmt.errors import DataError

SIDES = ("src", "tgt")
_ROW_FAULT = "no pair in this row"
_SURROGATE = r"\\u[dD][89a-fA-F]"  # as JSON writes one, or half of one


class Example(NamedTuple):
    """A pair, and path and line of it; or a row with a `fault`."""

    where: str
    src: str
    tgt: str
    fault: str


@dataclass
class Side:
    """What was found on one side of a source."""

    chars: Lengths = field(default_factory=Lengths)
    words: Lengths = field(default_factory=Lengths)
    letters: Counter[str] = field(default_factory=Counter)  # every character
    empty: int = 0

    def as_json(self) -> dict[str, Any]:
        """All but the counts of single characters."""
        return {
            "chars": self.chars.total,
            "words": self.words.total,
            "empty": self.empty,
            "chars_per_line": self.chars.summary(),
            "words_per_line": self.words.summary(),
            "length_histogram": self.chars.histogram(),
            "scripts": scripts(self.letters),
            "different_characters": len(self.letters),
        }


@dataclass
class Findings:
    """What was found in one source. failure: why nothing, or not all of it, could be read.

    dropped: what the filters would drop, by the reasons of a training; counts are of all sources of a set before.
    problems, examples: by the names in PROBLEMS. ratios: pairs by tgt / src length, between RATIO_BOUNDS.
    half_pairs: lines of JSON with half a surrogate pair; first_half_pairs: path:line of some.
    """

    role: str
    name: str
    failure: str = ""
    bad_bytes: list[BadBytes] = field(default_factory=list)
    half_pairs: int = 0
    first_half_pairs: list[str] = field(default_factory=list)
    lines: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    sides: tuple[Side, Side] = field(default_factory=lambda: (Side(), Side()))
    ratios: list[int] = field(default_factory=lambda: [0] * (len(RATIO_BOUNDS) + 1))
    median_ratio: float = 1.0
    duplicates: int = 0
    many_targets: int = 0
    problems: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[Example]] = field(default_factory=dict)
    shifts: list[Stretch] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """All of it, in plain types."""
        plain = {name: value for name, value in vars(self).items() if name != "sides"}
        plain["bad_bytes"] = [vars(bad) for bad in self.bad_bytes]
        plain["examples"] = {name: [pair._asdict() for pair in pairs] for name, pairs in self.examples.items()}
        plain["shifts"] = [stretch._asdict() for stretch in self.shifts]
        return plain | {name: side.as_json() for name, side in zip(SIDES, self.sides, strict=True)}


class Checker:
    """Looks at the sources of one set, one after the other; a pair counts as a duplicate across all of them."""

    def __init__(
        self,
        rules: SourceRules,
        *,
        filters: Filters | None,
        looking: Looking,
        examples: int,
        workers: int,
        watch: Watch | None = None,
    ) -> None:
        self._rules = rules
        self._filters = filters
        self._looking = looking
        self._examples = examples
        self._workers = workers
        self._watch = watch
        self._pairs, self._sources = DigestSet(), DigestSet()

    def look(self, role: str, source: Source, folder: Path) -> Findings:
        """What is in a source; what cannot be read is told in the findings. `folder`: an empty one, for its own use."""
        found = Findings(role, source.shown)
        try:
            files = _in_files(source, self._rules, folder)
            bad = (bad_bytes(file, examples=max(1, self._examples)) for file in files.files)
            found.bad_bytes = [each for each in bad if each]
            mapped, table = self._measured(files, replace(self._rules, errors="replace"), folder)
            self._gather(found, mapped, table)
        except DataError as fault:
            found.failure = str(fault)
        return found

    def _measured(self, source: FileSource, rules: SourceRules, folder: Path) -> tuple[Mapped, Table]:
        table = Table([source], rules, folder, watch=self._watch)
        work = partial(measure, looking=self._looking)
        name = f"looking at {Path(source.shown).name}"
        return table.map(work, FEATURES, name=name, workers=self._workers, watch=self._watch), table

    def _gather(self, found: Findings, mapped: Mapped, table: Table) -> None:
        found.lines = table.rows
        found.dropped = dict.fromkeys(REASONS, 0)
        # of each problem the pairs with the lowest digests, each once: digest -> (line, example)
        lowest: dict[str, dict[int, tuple[int, Example]]] = {name: {} for name in (_ROW_FAULT, *PROBLEMS)}
        ratios: Counter[int] = Counter()  # by the log ratio in hundredths
        for records, columns in mapped:
            texts = {column: records.column(column).to_pylist() for column in (*SIDES, "fault")}
            fault = np.array([bool(text) for text in texts["fault"]])
            for side, name in zip(found.sides, SIDES, strict=True):
                side.chars.add(columns[f"{name}_chars"][~fault])
                side.words.add(columns[f"{name}_words"][~fault])
                side.empty += int((columns[f"{name}_chars"][~fault] == 0).sum())
                side.letters.update("".join(texts[name]))
            self._count(found, columns, fault)
            self._find_half_pairs(found, records, table)
            _count_ratios(found, columns, ratios)
            rows = {_ROW_FAULT: fault}
            rows |= {name: (columns["problems"] >> bit) & 1 == 1 for bit, name in enumerate(PROBLEMS)}
            for name, flagged in rows.items():
                found.problems[name] = found.problems.get(name, 0) + int(flagged.sum())
                chosen = np.flatnonzero(flagged)
                order, first = np.unique(columns["pair"][chosen], return_index=True)
                for digest, row in zip(order[: self._examples].tolist(), chosen[first].tolist(), strict=False):
                    number = records.column("number")[row].as_py()
                    example = Example(f"{_shown(table)}:{number}", *(texts[column][row] for column in texts))
                    lowest[name].setdefault(digest, (number, example))
                lowest[name] = dict(heapq.nsmallest(self._examples, lowest[name].items()))
        found.median_ratio = round(float(np.exp(_median(ratios) / 100)), 2)
        found.examples = {
            name: [example for _, example in sorted(chosen.values())] for name, chosen in lowest.items() if chosen
        }
        found.problems = {name: count for name, count in found.problems.items() if count}
        found.shifts = find_shifts(mapped.columns(), usual=_median(ratios) / 100)

    def _find_half_pairs(self, found: Findings, records: pa.RecordBatch, table: Table) -> None:
        """They were read as U+FFFD, or not at all in a row without a pair: reads them again as a training would."""
        if table.sources[0].kind != "json":
            return
        rules = replace(self._rules, errors="strict")
        escaped = pc.match_substring_regex(records.column("raw"), _SURROGATE)
        for record in records.select(["number", "raw"]).filter(escaped).to_pylist():
            where = f"{_shown(table)}:{record['number']}"
            try:
                json_row(record["raw"], where, rules, first=record["number"] == 1)
            except DataError:
                found.half_pairs += 1
                found.first_half_pairs += [where] if len(found.first_half_pairs) < max(1, self._examples) else []

    def _count(self, found: Findings, columns: dict[str, NDArray[Any]], fault: NDArray[np.bool_]) -> None:
        """Duplicates, and what the filters would drop: in the order of REASONS, as reading for a training does."""
        src, tgt = columns["src_chars"].astype(np.int64), columns["tgt_chars"].astype(np.int64)
        short, long = np.minimum(src, tgt), np.maximum(src, tgt)
        filters = self._filters
        tests = {"columns": fault}
        if filters:
            tests["empty side"] = short == 0
            tests |= {"too long": long > filters.max_chars, "length ratio": long > filters.max_ratio * short}
        left = np.ones(len(src), dtype=bool)
        for name, failing in tests.items():
            found.dropped[name] += int((left & failing).sum())
            left &= ~failing
        new = np.zeros(len(src), dtype=bool)
        new[left] = self._pairs.add(columns["pair"][left])
        found.duplicates += int((left & ~new).sum())
        new_source = self._sources.add(columns["source"][new])
        found.many_targets += int((~new_source).sum())
        if filters and filters.drop_duplicates:
            found.dropped["duplicate"] += int((left & ~new).sum())
            left = new
        found.kept += int(left.sum())


def _count_ratios(found: Findings, columns: dict[str, NDArray[Any]], ratios: Counter[int]) -> None:
    src, tgt = columns["src_chars"], columns["tgt_chars"]
    both = (src > 0) & (tgt > 0)
    bins = np.searchsorted(RATIO_BOUNDS, tgt[both] / src[both], side="right")
    found.ratios = (np.array(found.ratios) + np.bincount(bins, minlength=len(found.ratios))).tolist()
    hundredths = np.rint(100 * np.log((1 + tgt[both]) / (1 + src[both]))).astype(np.int64)
    values, times = np.unique(hundredths, return_counts=True)
    ratios.update(dict(zip(values.tolist(), times.tolist(), strict=True)))


def _median(counts: Counter[int]) -> int:
    seen = 0
    for value in sorted(counts):
        seen += counts[value]
        if 2 * seen >= counts.total():
            return value
    return 0


def _shown(table: Table) -> str:
    return table.sources[0].files[0].shown


def _in_files(source: Source, rules: SourceRules, folder: Path) -> FileSource:
    """The source in files that can be read more than once: pipes are copied, all else is written out."""
    if isinstance(source, FileSource):
        copies = copy_pipes([file.path for file in source.files], folder)
        return source._replace(files=tuple(TextFile(copies.get(path, path), shown) for path, shown in source.files))
    path = folder / "hub.jsonl"
    with path.open("w", encoding="utf-8") as lines:
        for row in source.rows(rules):
            pair = {} if row.fault else {rules.src_lang: row.src, rules.tgt_lang: row.tgt}
            lines.write(f"{json.dumps(pair)}\n")
    return FileSource("json", (TextFile(path, source.shown),))
