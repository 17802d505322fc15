"""Parallel text from one form into another; the forms themselves are in forms.py, forms_po.py and forms_xml.py.

One process does it: nearly all the time goes into parsing one file from its start to its end, which cannot be shared.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from nmt.corpora.forms import Entry, Form, FormRules, Report, line_files
from nmt.data.files import same_file
from nmt.errors import DataError, OutputError

# The suffixes that tell a form; none tells line files.
SUFFIXES: dict[str, tuple[str, ...]] = {
    "lines": (),
    "tsv": (".tsv",),
    "json": (".jsonl", ".json"),
    "tmx": (".tmx",),
    "po": (".po", ".pot"),
    "mo": (".mo",),
    "xliff": (".xlf", ".xliff"),
}
READ_ONLY = ("mo",)


def find_form(path: Path) -> str:
    """The form that a name's suffix tells, `.gz` aside; any other name is that of line files."""
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    return next((name for name, suffixes in SUFFIXES.items() if suffix in suffixes), "lines")


def output_files(path: Path, form: str, rules: FormRules) -> list[Path]:
    """The files that the form is written to under this name.

    Raises DataError where the form is only read.
    """
    if not path.name:
        raise DataError(f"{path}: a folder; give the name of a file in it")
    if form in READ_ONLY:
        written = ", ".join(name for name in SUFFIXES if name not in READ_ONLY)
        raise DataError(f"{path}: {form} is read, and not written; the forms to write are {written}")
    if form != "lines":
        return [path]
    return [path.with_name(f"{path.name}.{lang}") for lang in (rules.src_lang, rules.tgt_lang)]


def find_overwritten(source: Path, form: str, outputs: Sequence[Path], rules: FormRules) -> Path | None:
    """The output that is a file of the source too, which is in this form.

    Raises OutputError where more of the source may be lost than can be told when all is read.
    """
    inputs = line_files(source, rules) if form == "lines" else [source]
    for file in outputs:
        part = file.with_name(f"{file.name}.part")
        if any(same_file(part, given) for given in inputs):
            raise OutputError(
                f"{part}: is what is read, and {file} has this name until it is whole; give another name to one of them"
            )
    overwritten = next((file for file in outputs if any(same_file(file, given) for given in inputs)), None)
    pairs_alone = form == "lines" or (form == "tsv" and len(rules.tsv_columns or ()) <= 2)
    if overwritten and (not pairs_alone or rules.errors != "strict"):
        raise OutputError(
            f"{overwritten}: is what is read, and may hold more than is written: other languages, notes, fields, bytes "
            "that are no text; give another name"
        )
    return overwritten


def check_pairs_kept(overwritten: Path, report: Report) -> None:
    """Raises OutputError where a pair was left out or changed, and would be lost."""
    for reason, tally in (report.left_out | report.changed).items():
        raise OutputError(
            f"{overwritten}: is what is read, and {tally.times} of its rows would be lost ({reason}; first "
            f"{tally.first}); nothing was written: give another name, or mend these rows"
        )


def write(entries: Iterable[Entry], form: Form, streams: Sequence[BinaryIO], rules: FormRules) -> Report:
    """Every pair of the entries into the files that `output_files` names, and what became of all of them.

    Raises DataError where there are units and none gives a pair.
    """
    assert form.write
    report = Report()
    form.write(report.pairs(entries), streams, rules, report)
    if report.units and not report.written:
        reasons = ", ".join(
            f"{tally.times} {reason} (first {tally.first})" for reason, tally in report.left_out.items()
        )
        raise DataError(f"no pair in {report.units} units: {reasons}; are these the languages and the file meant?")
    return report
