"""`nmt data clean`."""

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nmt.cli.data.reading import Reading, bars, reading_options
from nmt.cli.extras import needing
from nmt.corpora.rules import OFF, REASONS, Limits

if TYPE_CHECKING:
    from rich.console import Console

    from nmt.corpora.clean import Cleaning, LanguageTest, Report
    from nmt.recipe import DataSection

_PATH = click.Path(path_type=Path)
_SWITCHED = [name for name in REASONS[2:] if name != "many_targets"]
_KINDS = ("braces", "printf", "tags", "urls", "emails", "numbers")
_COUNT, _SHARE = click.IntRange(min=0), click.FloatRange(min=0.0, max=1.0)
_LIMITS = (
    ("min_chars", _COUNT, "length: fewest characters of a side."),
    ("max_chars", _COUNT, "length: most characters of a side."),
    ("max_words", _COUNT, "length: most words of a side."),
    ("max_ratio", click.FloatRange(min=1.0), "ratio: of the longer side to the shorter, as in a recipe."),
    ("max_long_ratio", click.FloatRange(min=1.0), "ratio: the same with 10 characters added to both sides."),
    ("same_words", _COUNT, "identical: sides of so many words must differ."),
    ("min_letters", _SHARE, "letters: their share in each side, spaces aside."),
    ("min_script", _SHARE, "script: share of letters in a script of the side's language."),
)


def _limit_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gathers those that are given in a dict, `limits`."""

    @functools.wraps(command)
    def gathered(**given: Any) -> None:
        limits = {name: given.pop(name) for name, _, _ in _LIMITS}
        kinds = given.pop("placeholder_kinds")
        limits["placeholders"] = tuple(kinds.split(",")) if kinds else None
        command(limits={name: value for name, value in limits.items() if value is not None}, **given)

    option = click.option(
        "--placeholders",
        "placeholder_kinds",
        metavar="KIND,KIND,...",
        callback=_check_kinds,
        help=f"placeholders: kinds that must be equal in both sides, of {', '.join(_KINDS)}.  "
        f"[default: {','.join(Limits.placeholders)}]",
    )
    wrapped = option(gathered)
    for name, kind, text in reversed(_LIMITS):
        flag = f"--{name.replace('_', '-')}"
        wrapped = click.option(flag, type=kind, help=f"{text}  [default: {getattr(Limits, name):g}]")(wrapped)
    return wrapped


def _check_kinds(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    unknown = [kind for kind in value.split(",") if kind not in _KINDS] if value else []
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)} is no kind; wanted are some of {', '.join(_KINDS)}")
    return value


@click.command()
@reading_options
@click.option("-o", "--output", type=_PATH, required=True, help="What is kept: a file, or NAME of two files of lines.")
@click.option(
    "--dropped", type=_PATH, help="Write what is dropped here, a JSON object a line: reason, where, src, tgt."
)
@click.option("--report", type=_PATH, help="Write the counts and all samples here, as JSON.")
@click.option("--samples", type=_COUNT, default=3, show_default=True, help="Pairs shown of each reason.")
@click.option("--with", "added", type=click.Choice(OFF[:2]), multiple=True, help="A rule that is off by default.")
@click.option("--without", type=click.Choice(_SWITCHED), multiple=True, help="A rule to leave out; repeatable.")
@click.option("--max-targets", type=_COUNT, default=0, help="many_targets: of near twins of a source.  [default: any]")
@_limit_options
def clean(
    reading: Reading,
    output: Path,
    dropped: Path | None,
    report: Path | None,
    samples: int,
    added: Sequence[str],
    without: Sequence[str],
    max_targets: int,
    limits: dict[str, Any],
) -> None:
    """Drop the pairs of IN that are not worth training on, and say why.

    IN is what a recipe's data.train may name: NAME of NAME.de and NAME.en, or a .tsv or .jsonl file, gzipped or not.
    Several go into one output. What is kept is written in the form it came in, its text and its other fields untouched.

    Each pair is asked, in this order, and counted under the first rule that it breaks: columns (no pair there), empty
    (a side), length, ratio, identical (sides), letters (too few), script (of another language), placeholders, numbers
    (off), language (off; needs `pip install "nmt[language]"`), duplicate, near_duplicate (the same but for case,
    digits, punctuation and spaces, on both sides; symbols count: + = < > ~ $), many_targets (off). Where nothing is
    left, nothing is written, and it leaves with 1.
    """
    from rich.console import Console

    from nmt.corpora.clean import clean as clean_table
    from nmt.corpora.records import check_output, find_sources, output_files
    from nmt.corpora.table import Table
    from nmt.data.cache import Cache

    rules = reading.rules()
    cleaning = _cleaning(reading.section(), (rules.src_lang, rules.tgt_lang), added, without, max_targets, limits)
    read = find_sources(reading.sources, rules)
    files = output_files(output, read, rules)
    for path in (dropped, report):
        if path:
            check_output(path, read)
    outputs = [path.resolve() for path in (*files, dropped, report) if path]
    if len(set(outputs)) < len(outputs):
        raise click.UsageError("--output, --dropped and --report name one file twice; give each its own")
    with Cache().workspace() as folder, bars() as watch:
        table = Table(read, rules, folder, watch=watch)
        found = clean_table(
            table,
            files,
            cleaning=cleaning,
            dropped=dropped,
            samples=samples,
            workers=reading.processes(),
            watch=watch,
        )
    _show(found, Console())
    if report:
        _write_report(found, cleaning, report)


def _cleaning(
    section: "DataSection | None",
    languages: tuple[str, str],
    added: Sequence[str],
    without: Sequence[str],
    max_targets: int,
    limits: dict[str, Any],
) -> "Cleaning":
    from nmt.corpora.clean import Cleaning

    if section:
        limits = {"max_chars": section.max_chars, "max_ratio": section.max_ratio, **limits}
    rules = set(REASONS) - set(OFF) - set(without) | set(added) | ({"many_targets"} if max_targets else set())
    return Cleaning(
        rules=frozenset(rules),
        limits=Limits(src_lang=languages[0], tgt_lang=languages[1], **limits),
        max_targets=max_targets,
        wrong_language=_language_test(languages) if "language" in rules else None,
    )


def _language_test(languages: tuple[str, str]) -> "LanguageTest":
    with needing("language", "`--with language`"):
        from nmt.corpora.language import WrongLanguage
    return WrongLanguage(*languages).__call__  # mypy does not take a named tuple for a function


def _show(found: "Report", console: "Console") -> None:
    from rich.table import Table
    from rich.text import Text

    read, kept = sum(found.read.values()), sum(found.kept.values())
    table = Table("", "pairs", "%", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    counts = {"read": read, "kept": kept, **{name: count for name, count in found.dropped.items() if count}}
    for name, count in counts.items():
        table.add_row(name, f"{count:,}", f"{100 * count / read:.2f}")
    console.print(table)
    for name, pairs in found.samples.items():
        console.print(f"\n{name}", style="bold")
        for pair in pairs:
            console.print(Text(f"  {pair.where}\n    {pair.src}\n    {pair.tgt}"), soft_wrap=True)


def _write_report(found: "Report", cleaning: "Cleaning", path: Path) -> None:
    from dataclasses import asdict

    from nmt.corpora.records import written

    sources = {name: {"read": count, "kept": found.kept[name]} for name, count in found.read.items()}
    fields = {
        "read": sum(found.read.values()),
        "kept": sum(found.kept.values()),
        "dropped": found.dropped,
        "sources": sources,
        "rules": [name for name in REASONS if name in cleaning.rules],
        "limits": asdict(cleaning.limits) | {"max_targets": cleaning.max_targets},
        "samples": {name: [pair._asdict() for pair in pairs] for name, pairs in found.samples.items()},
    }
    with written([path]) as (stream,):
        stream.write((json.dumps(fields, ensure_ascii=False, indent=2) + "\n").encode())
