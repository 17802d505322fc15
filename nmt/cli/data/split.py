"""`nmt data split`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from nmt.cli.data.reading import Reading, bars, reading_options

if TYPE_CHECKING:
    from rich.console import Console

    from nmt.corpora.split import Counts, Cut

_PATH = click.Path(path_type=Path)
_SIZE = "a number of different sources, or a share of them: 1000, 0.01 or 1%"
_DEFAULT = 1000
CUT = "split.json"

T = TypeVar("T")


def _size(_context: click.Context, _option: click.Parameter, text: str | None) -> int | float | None:
    if text is None:
        return None
    try:
        size: int | float = int(text) if text.isdecimal() else float(text.removesuffix("%"))
        size = size / 100 if text.endswith("%") else size
    except ValueError:
        size = -1
    if not (isinstance(size, int) or 0 <= size < 1) or size < 0:
        raise click.BadParameter(f"{text!r} is no size; wanted is {_SIZE}")
    return size


@click.command()
@reading_options
@click.option("-o", "--output", type=_PATH, required=True, help="Folder of the parts: NAME.train.jsonl and so on.")
@click.option("--valid", callback=_size, metavar="SIZE", help=f"Validation set: {_SIZE}.  [default: {_DEFAULT}]")
@click.option("--test", callback=_size, metavar="SIZE", help=f"Test set, likewise.  [default: {_DEFAULT}]")
@click.option("--seed", type=click.IntRange(min=0, max=2**31), help="Another seed, other parts.  [default: 1]")
@click.option("--like", type=_PATH, help=f"Cut where this {CUT} of an earlier split did: for a corpus that has grown.")
@click.option(
    "--both-sides/--source-only",
    default=None,
    help="Whether a pair with a target like a held-out one is left out of train.  [default: both-sides]",
)
@click.option(
    "--one-per-key/--all-per-key",
    default=None,
    help="Whether a held-out set has one pair of several near twins.  [default: one-per-key]",
)
def split(
    reading: Reading,
    output: Path,
    valid: int | float | None,
    test: int | float | None,
    seed: int | None,
    like: Path | None,
    both_sides: bool | None,
    one_per_key: bool | None,
) -> None:
    """Split the pairs of IN into train, valid and test, so that no near twin of a held-out sentence is trained on.

    IN is what a recipe's data.train may name: NAME of NAME.de and NAME.en, or a .tsv or .jsonl file, gzipped or not.
    Each is split by itself, into NAME.train, NAME.valid and NAME.test of its own form, but twins go to the same part
    whichever IN they come from.

    A hash of the source sentence decides, its case, digits, punctuation and spaces left aside, but not its symbols
    (+ = < > ~ $). So a corpus that has grown or changed its order is split as before, if it is cut at the same places:
    they are written to split.json in the folder, for --like.
    """
    from rich.console import Console

    from nmt.corpora.records import find_sources, written
    from nmt.corpora.split import Places, part_names, restored, stored
    from nmt.corpora.split import split as split_table
    from nmt.corpora.table import Table
    from nmt.data.cache import Cache

    given = {"valid": valid, "test": test, "seed": seed, "both_sides": both_sides, "one_per_key": one_per_key}
    if like and (names := [_flag(name) for name, value in given.items() if value is not None]):
        raise click.UsageError(f"--like {like} says all of that; leave out {', '.join(names)}")
    cut = restored(like) if like else None
    rules = reading.rules()
    read = find_sources(reading.sources, rules)
    files = part_names(read, output, rules)
    with Cache().workspace() as folder, bars() as watch:
        table = Table(read, rules, folder, watch=watch)
        places = Places(table, seed=cut.seed if cut else _or(seed, 1), workers=reading.processes(), watch=watch)
        cut = cut or places.cut(
            valid=_or(valid, _DEFAULT),
            test=_or(test, _DEFAULT),
            both_sides=_or(both_sides, True),
            one_per_key=_or(one_per_key, True),
        )
        counts = split_table(places, cut, files, watch=watch)
    with written([output / CUT]) as (stream,):
        stream.write((json.dumps(stored(cut), indent=2) + "\n").encode())
    _show(counts, cut, output / CUT, Console())


def _or(value: T | None, default: T) -> T:
    return default if value is None else value


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _show(counts: "Counts", cut: "Cut", path: Path, console: "Console") -> None:
    from rich.table import Table

    from nmt.corpora.split import PARTS

    table = Table("", *PARTS, box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, parts in counts.parts.items():
        table.add_row(name, *(f"{parts[part]:,}" for part in PARTS))
    if len(counts.parts) > 1:
        table.add_row("all", *(f"{sum(parts[part] for parts in counts.parts.values()):,}" for part in PARTS))
    console.print(table)
    for reason, count in counts.left_out.items():
        if count:
            console.print(f"left out: {count:,} ({reason})")
    shares = ", ".join(f"{name} {share:.6g}" for name, share in cut.shares().items())
    console.print(f"shares of all different sources: {shares}; --like {path} cuts at the same places", soft_wrap=True)
