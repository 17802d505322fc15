"""`nmt data convert`."""

import gzip
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from nmt.cli.data.reading import bars
from nmt.cli.extras import needing

if TYPE_CHECKING:
    from rich.console import Console

    from nmt.corpora.forms import Entry, Form, Report
    from nmt.corpora.table import Watch
    from nmt.data.lines import DecodeErrors

_PATH = click.Path(path_type=Path)
_FORMS = ("lines", "tsv", "json", "tmx", "po", "mo", "xliff")


@click.command()
@click.argument("source", metavar="IN", type=_PATH)
@click.argument("output", metavar="OUT", type=_PATH)
@click.option("--src-lang", required=True, help="The source language: `de`, which finds de-DE or de-AT.")
@click.option("--tgt-lang", required=True, help="The target language.")
@click.option("--from", "read_as", type=click.Choice(_FORMS), help="The form of IN.  [default: by its suffix]")
@click.option("--to", "write_as", type=click.Choice(_FORMS), help="The form of OUT.  [default: by its suffix]")
@click.option("--tsv-columns", metavar="LANG,LANG,...", help="Languages of the columns of a TSV that is read.")
@click.option("--fuzzy", is_flag=True, help="Unfinished translations of PO and XLIFF too.")
@click.option(
    "--errors",
    type=click.Choice(["strict", "replace"]),
    default="strict",
    help="What to do with invalid UTF-8 in lines, TSV and JSON.",
)
def convert(
    source: Path,
    output: Path,
    src_lang: str,
    tgt_lang: str,
    read_as: str | None,
    write_as: str | None,
    tsv_columns: str | None,
    fuzzy: bool,
    errors: "DecodeErrors",
) -> None:
    """Write the parallel text of IN into OUT, in another form.

    A suffix tells the form: .tsv, .jsonl, .tmx, .po, .mo (which is only read) or .xlf, and .gz may follow it. Any other
    name stands for two files of lines, as in a recipe: NAME for NAME.de and NAME.en. It ends with a table of what was
    written, what was left out and, where a TMX has text for several regions of a language, which one was chosen. OUT
    may be IN only where nothing of it is lost. TMX, PO, MO and XLIFF need `pip install "nmt[documents]"`.
    """
    from rich.console import Console

    from nmt.corpora.convert import check_pairs_kept, find_form, find_overwritten, output_files, write
    from nmt.corpora.forms import FormRules
    from nmt.corpora.records import written

    if src_lang == tgt_lang:
        raise click.UsageError(f"--src-lang and --tgt-lang are both {src_lang}; name two languages")
    columns = tuple(tsv_columns.split(",")) if tsv_columns else None
    rules = FormRules(src_lang=src_lang, tgt_lang=tgt_lang, fuzzy=fuzzy, tsv_columns=columns, errors=errors)
    read_as, write_as = read_as or find_form(source), write_as or find_form(output)
    files = output_files(output, write_as, rules)
    read_form, write_form = _forms(read_as, write_as)
    overwritten = find_overwritten(source, read_as, files, rules)
    entries = read_form.read(source, rules)
    with bars() as watch, written(files) as streams, _packed(files, streams) as packed:
        report = write(_watched(entries, watch), write_form, packed, rules)
        if overwritten:
            check_pairs_kept(overwritten, report)
    _show(report, files, Console())


def _forms(*names: str) -> "list[Form]":
    """The forms of these names. Those that need no extra are had without it."""
    from nmt.corpora.forms import LINE_FORMS

    forms = dict(LINE_FORMS)
    if others := [name for name in names if name not in forms]:
        with needing("documents", f"`nmt data convert` with {' and '.join(others)}"):
            from nmt.corpora.forms_po import PO_FORMS
            from nmt.corpora.forms_xml import XML_FORMS
        forms |= PO_FORMS | XML_FORMS
    return [forms[name] for name in names]


def _watched(entries: "Iterable[Entry]", watch: "Watch") -> "Iterator[Entry]":
    for number, entry in enumerate(entries):
        if number % 1000 == 0:
            watch("units", number, 0)
        yield entry


@contextmanager
def _packed(files: Sequence[Path], streams: Sequence[BinaryIO]) -> Iterator[list[BinaryIO]]:
    """The streams, those of names in .gz packed, with neither time nor name in them: same text, same bytes."""
    with ExitStack() as stack:
        yield [
            cast(BinaryIO, stack.enter_context(gzip.GzipFile("", "wb", fileobj=stream, mtime=0)))
            if file.suffix == ".gz"
            else stream
            for file, stream in zip(files, streams, strict=True)
        ]


def _show(report: "Report", files: Sequence[Path], console: "Console") -> None:
    from rich.table import Table

    table = Table("", "count", "first", box=None)
    table.columns[1].justify = "right"
    table.columns[1].no_wrap = True
    for column in table.columns[::2]:
        column.overflow = "fold"  # or a long path would be cut, and what has no room at all left out
    table.add_row("units read", str(report.units))
    if report.plurals:
        table.add_row("more forms of plurals", str(report.plurals))
    for reason, tally in report.left_out.items():
        table.add_row(f"left out: {reason}", str(tally.times), tally.first)
    table.add_row("pairs written", str(report.written), " and ".join(map(str, files)))
    for label, tallies in (("changed", report.changed), ("chosen", report.chosen)):
        for what, tally in tallies.items():
            table.add_row(f"{label}: {what}", str(tally.times), tally.first)
    console.print(table)
