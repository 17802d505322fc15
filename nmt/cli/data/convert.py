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

    from nmt.corpora.forms import Entry, Report
    from nmt.corpora.table import Watch
    from nmt.data.lines import DecodeErrors

_PATH = click.Path(path_type=Path)
_FORMS = ("lines", "tsv", "json", "tmx", "po", "mo", "xliff")


@click.command()
@click.argument("source", metavar="IN", type=_PATH)
@click.argument("output", metavar="OUT", type=_PATH)
@click.option("--src-lang", required=True, help="The source language: `de`, which finds de-DE too.")
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
    written and what was left out.
    """
    from rich.console import Console

    from nmt.corpora.records import written

    with needing("documents", "`nmt data convert`"):
        from nmt.corpora.convert import find_form, output_files, read, write
        from nmt.corpora.forms import FormRules

    if src_lang == tgt_lang:
        raise click.UsageError(f"--src-lang and --tgt-lang are both {src_lang}; name two languages")
    columns = tuple(tsv_columns.split(",")) if tsv_columns else None
    rules = FormRules(src_lang=src_lang, tgt_lang=tgt_lang, fuzzy=fuzzy, tsv_columns=columns, errors=errors)
    form = write_as or find_form(output)
    files = output_files(output, form, rules)
    entries = read(source, read_as or find_form(source), rules)
    with bars() as watch, written(files) as streams, _packed(files, streams) as packed:
        report = write(_watched(entries, watch), form, packed, rules)
    _show(report, files, Console())


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
    for column in table.columns[:2]:
        column.no_wrap = True
    table.columns[2].overflow = "fold"  # or a long path would be cut
    table.add_row("units read", str(report.units))
    if report.plurals:
        table.add_row("more forms of plurals", str(report.plurals))
    for reason, tally in report.left_out.items():
        table.add_row(f"left out: {reason}", str(tally.times), tally.first)
    table.add_row("pairs written", str(report.written), " and ".join(map(str, files)))
    for what, tally in report.changed.items():
        table.add_row(f"changed: {what}", str(tally.times), tally.first)
    console.print(table)
