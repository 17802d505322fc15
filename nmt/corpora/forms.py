"""What every form of parallel text is read into, and the forms that have a pair a line: line files, TSV, JSON lines.

A reader is `(path, rules) -> entries`; a writer `(entries, streams, rules, report)` takes those that hold a pair. None
here needs the extra `documents`.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple

from nmt.data.lines import DecodeErrors, TextFile, read_lines
from nmt.data.sources import FileSource, SourceRules, find_source, json_record
from nmt.errors import DataError

NO_FIELDS: Mapping[str, Any] = MappingProxyType({})

_LINE_BREAK = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, kw_only=True)
class FormRules:
    """What is wanted of a file.

    fuzzy: unfinished translations too. tsv_columns: the language of each column; None means source, then target.
    errors: for text that is not UTF-8, in the forms that have a pair a line.
    """

    src_lang: str
    tgt_lang: str
    fuzzy: bool = False
    tsv_columns: tuple[str, ...] | None = None
    errors: DecodeErrors = "strict"


class Entry(NamedTuple):
    """A pair and where it stands or, with a `fault`, a unit of the file that gives none.

    fields: what else is known of it: "context", "id" and "location" where the form has them; of JSON all there is.
    form: which plural form of its unit it is. chosen: what was taken of several that could be meant.
    """

    where: str
    src: str = ""
    tgt: str = ""
    fault: str = ""
    fields: Mapping[str, Any] = NO_FIELDS
    form: int = 0
    chosen: tuple[str, ...] = ()


class Tally(NamedTuple):
    """How often, and where first."""

    times: int
    first: str


@dataclass
class Report:
    """What became of all units. left_out, changed, chosen: reason -> how often.

    units + plurals (the forms of a unit beside its first) = written + all that was left out.
    """

    units: int = 0
    plurals: int = 0
    written: int = 0
    left_out: dict[str, Tally] = field(default_factory=dict)
    changed: dict[str, Tally] = field(default_factory=dict)
    chosen: dict[str, Tally] = field(default_factory=dict)

    def pairs(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Those that hold a pair; all are counted."""
        for entry in entries:
            self.units += entry.form == 0
            self.plurals += entry.form > 0
            if entry.fault:
                self.leave_out(entry.fault, entry.where)
                continue
            self.written += 1
            for what in entry.chosen:
                _count(self.chosen, what, entry.where)
            yield entry

    def refuse(self, reason: str, entry: Entry) -> None:
        """Counts a pair as left out that `pairs` gave."""
        self.written -= 1
        self.leave_out(reason, entry.where)

    def leave_out(self, reason: str, where: str) -> None:
        """Counts a unit that gives no pair."""
        _count(self.left_out, reason, where)

    def change(self, what: str, where: str) -> None:
        """Counts a pair that was not written just as it was read."""
        _count(self.changed, what, where)


class Form(NamedTuple):
    """How a form is read and, if it can be, written."""

    read: Callable[[Path, FormRules], Iterator[Entry]]
    write: Callable[[Iterable[Entry], Sequence[BinaryIO], FormRules, Report], None] | None


def _count(tallies: dict[str, Tally], reason: str, where: str) -> None:
    times, first = tallies.get(reason, Tally(0, where))
    tallies[reason] = Tally(times + 1, first)


def read_line_files(path: Path, rules: FormRules) -> Iterator[Entry]:
    """The lines of NAME.src_lang and NAME.tgt_lang, as a recipe names them."""
    return _rows(find_source(str(path), _source_rules(rules)), rules)


def line_files(path: Path, rules: FormRules) -> list[Path]:
    """The two files that are read. Raises DataError where one is not there."""
    return [file.path for file in find_source(str(path), _source_rules(rules)).files]


def read_tsv(path: Path, rules: FormRules) -> Iterator[Entry]:
    """The columns of a file with tabs between them."""
    return _rows(FileSource("tsv", (TextFile(path, str(path)),)), rules)


def _rows(source: Any, rules: FormRules) -> Iterator[Entry]:
    return (Entry(*row) for row in source.rows(_source_rules(rules)))


def _source_rules(rules: FormRules) -> SourceRules:
    return SourceRules(
        folder=Path(),
        hub={},
        src_lang=rules.src_lang,
        tgt_lang=rules.tgt_lang,
        tsv_columns=rules.tsv_columns,
        errors=rules.errors,
    )


def read_json(path: Path, rules: FormRules) -> Iterator[Entry]:
    """Objects {"translation": {lang: text, ...}, ...} or {lang: text, ...}, one a line; line breaks stay in a text."""
    langs = rules.src_lang, rules.tgt_lang
    for number, line in enumerate(read_lines(path, errors=rules.errors), start=1):
        where = f"{path}:{number}"
        record = json_record(line, where, first=number == 1)
        try:
            text = json.dumps(record, ensure_ascii=False)
            text.encode()
        except RecursionError as fault:
            raise DataError(
                f"{where}: nested too deep to be written again; one flat object a line is wanted"
            ) from fault
        except UnicodeEncodeError as fault:
            if rules.errors == "strict":
                raise DataError(
                    f"{where}: half of a surrogate pair (\\uD800 to \\uDFFF); mend it, or read on with errors=replace"
                ) from fault
            record = json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
        record = record if isinstance(record, dict) else {}
        nested = isinstance(record.get("translation"), dict)
        texts = record["translation"] if nested else record
        missing = [lang for lang in langs if not isinstance(texts.get(lang), str)]
        if missing:
            yield Entry(where, fault=f"no text in {missing[0]}")
            continue
        fields = {key: value for key, value in record.items() if key not in ("translation", *langs)}
        yield Entry(where, texts[langs[0]], texts[langs[1]], fields=fields)


def write_line_files(entries: Iterable[Entry], streams: Sequence[BinaryIO], rules: FormRules, report: Report) -> None:
    """A line a text into a file a side; a line break becomes a space."""
    first = True
    for entry in entries:
        for stream, text in zip(streams, (entry.src, entry.tgt), strict=True):
            line = _flat(text, entry, report)
            # A reader takes one byte order mark off the start of a file.
            stream.write(f"{_mark(line) if first else ''}{line}\n".encode())
        first = False


def write_tsv(entries: Iterable[Entry], streams: Sequence[BinaryIO], rules: FormRules, report: Report) -> None:
    """Two columns; a tab or a line break in a text becomes a space."""
    first = True
    for entry in entries:
        sides = [_flat(text, entry, report) for text in (entry.src, entry.tgt)]
        if any("\t" in side for side in sides):
            report.change("tab made a space", entry.where)
        line = "\t".join(side.replace("\t", " ") for side in sides)
        streams[0].write(f"{_mark(line) if first else ''}{line}\n".encode())
        first = False


def write_json(entries: Iterable[Entry], streams: Sequence[BinaryIO], rules: FormRules, report: Report) -> None:
    """Objects {"translation": {lang: text, ...}}, and the fields after it."""
    for entry in entries:
        record = {"translation": {rules.src_lang: entry.src, rules.tgt_lang: entry.tgt}, **entry.fields}
        streams[0].write(f"{json.dumps(record, ensure_ascii=False)}\n".encode())


def _flat(text: str, entry: Entry, report: Report) -> str:
    line, breaks = _LINE_BREAK.subn(" ", text)
    if breaks:
        report.change("line break made a space", entry.where)
    return line


def _mark(line: str) -> str:
    return "\ufeff" if line.startswith("\ufeff") else ""


LINE_FORMS = {
    "lines": Form(read_line_files, write_line_files),
    "tsv": Form(read_tsv, write_tsv),
    "json": Form(read_json, write_json),
}
