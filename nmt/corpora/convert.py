"""Parallel text from one form into another.

One process does it: nearly all the time goes into parsing one file from its start to its end, which cannot be shared.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from nmt.corpora.forms import (
    Entry,
    FormRules,
    Report,
    read_json,
    read_line_files,
    read_tsv,
    write_json,
    write_line_files,
    write_tsv,
)
from nmt.corpora.forms_po import read_mo, read_po, write_po
from nmt.corpora.forms_xml import read_tmx, read_xliff, write_tmx, write_xliff
from nmt.errors import DataError

Reader = Callable[[Path, FormRules], Iterator[Entry]]
Writer = Callable[[Iterable[Entry], Sequence[BinaryIO], FormRules, Report], None]


class Form(NamedTuple):
    """How a form is read and, if it can be, written, and the suffixes that tell it; no suffix tells line files."""

    read: Reader
    write: Writer | None
    suffixes: tuple[str, ...]


FORMS = {
    "lines": Form(read_line_files, write_line_files, ()),
    "tsv": Form(read_tsv, write_tsv, (".tsv",)),
    "json": Form(read_json, write_json, (".jsonl", ".json")),
    "tmx": Form(read_tmx, write_tmx, (".tmx",)),
    "po": Form(read_po, write_po, (".po", ".pot")),
    "mo": Form(read_mo, None, (".mo",)),
    "xliff": Form(read_xliff, write_xliff, (".xlf", ".xliff")),
}


def find_form(path: Path) -> str:
    """The form that a name's suffix tells, `.gz` aside; any other name is that of line files."""
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    return next((name for name, form in FORMS.items() if suffix in form.suffixes), "lines")


def output_files(path: Path, form: str, rules: FormRules) -> list[Path]:
    """The files that the form is written to under this name.

    Raises DataError where the form is only read.
    """
    if not path.name:
        raise DataError(f"{path}: a folder; give the name of a file in it")
    if FORMS[form].write is None:
        written = ", ".join(name for name, each in FORMS.items() if each.write)
        raise DataError(f"{path}: {form} is read, and not written; the forms to write are {written}")
    if form != "lines":
        return [path]
    return [path.with_name(f"{path.name}.{lang}") for lang in (rules.src_lang, rules.tgt_lang)]


def read(path: Path, form: str, rules: FormRules) -> Iterator[Entry]:
    """Every unit of a file, in order.

    Raises DataError where the file cannot be read or is not in the form, while it is read.
    """
    return FORMS[form].read(path, rules)


def write(entries: Iterable[Entry], form: str, streams: Sequence[BinaryIO], rules: FormRules) -> Report:
    """Every pair of the entries into the files that `output_files` names, and what became of all of them.

    Raises DataError where there are units and none gives a pair.
    """
    write_form = FORMS[form].write
    assert write_form
    report = Report()
    write_form(report.pairs(entries), streams, rules, report)
    if report.units and not report.written:
        reasons = ", ".join(
            f"{tally.times} {reason} (first {tally.first})" for reason, tally in report.left_out.items()
        )
        raise DataError(f"no pair in {report.units} units: {reasons}; are these the languages and the file meant?")
    return report
