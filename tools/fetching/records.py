"""The file of pairs that a fetching tool leaves behind, and the note beside it of where they came from."""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

Record = dict[str, Any]


class Taken(NamedTuple):
    """One thing that was fetched: a package or an index file."""

    name: str
    version: str
    licence: str
    sha256: str


def record(source: str, translation: Mapping[str, str], **fields: str) -> Record:
    """A line of the file: `translation` has the two sides by language code."""
    return {"translation": dict(translation), "source": source, **fields}


def write_records(
    path: Path,
    pairs: Iterable[Record],
    *,
    taken: Sequence[Taken],
    by: str = "source",
    dropped: Counter[str] | None = None,
) -> int:
    """Writes the pairs as JSON lines, in the order given, and `PATH.provenance.json`; prints both as tables.

    Each text becomes one line in NFC. Pairs with an empty side, with two equal sides, or seen before are left out and
    counted in `dropped`, beside what the caller counted there. The table counts the pairs by their field `by`. The
    file appears when it is whole.
    """
    dropped = Counter() if dropped is None else dropped
    counts: Counter[str] = Counter()
    part = path.with_name(f"{path.name}.part")
    note = path.with_name(f"{path.name}.provenance.json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", newline="\n") as out:
            for row in _sound(pairs, dropped):
                counts[str(row.get(by, ""))] += 1
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
        if not counts:
            part.unlink()
            raise click.ClickException(f"{path}: not one pair was found, so nothing is written ({_listed(dropped)})")
        origin = {
            "pairs": counts.total(),
            f"by_{by}": dict(counts),
            "dropped": dict(sorted(dropped.items())),
            "taken": [thing._asdict() for thing in taken],
        }
        note.write_text(json.dumps(origin, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise click.FileError(str(error.filename or path), error.strerror) from error
    _print(path, counts, dropped, taken, by)
    return counts.total()


def progress() -> Progress:
    """A bar on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def one_line(text: str) -> str:
    """The text in NFC, each run of white space one space; without soft hyphens and zero-width marks at its ends."""
    return " ".join(unicodedata.normalize("NFC", text).replace("\u00ad", "").split()).strip("\ufeff\u200b ")


def _sound(pairs: Iterable[Record], dropped: Counter[str]) -> Iterator[Record]:
    seen: set[tuple[str, ...]] = set()
    for row in pairs:
        sides = {language: one_line(text) for language, text in row["translation"].items()}
        key = tuple(sides.values())
        if not all(sides.values()):
            dropped["a side is empty"] += 1
        elif len(set(key)) < len(key):
            dropped["both sides are equal"] += 1
        elif key in seen:
            dropped["seen before"] += 1
        else:
            seen.add(key)
            yield {**row, "translation": sides}


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason}: {count:,}" for reason, count in sorted(counts.items())) or "none dropped"


def _print(path: Path, counts: Counter[str], dropped: Counter[str], taken: Sequence[Taken], by: str) -> None:
    console = Console()
    table = Table(by, "pairs")
    table.columns[1].justify = "right"
    for name, count in sorted(counts.items()):
        table.add_row(name, f"{count:,}")
    table.add_section()
    table.add_row("all", f"{counts.total():,}")
    console.print(table)
    # not a table: a SHA-256 that is cut to the width of a terminal is of no use
    for line in (
        f"{path}: {counts.total():,} pairs",
        f"left out: {_listed(dropped)}",
        *(f"taken: {thing.name} {thing.version}, SHA-256 {thing.sha256}" for thing in taken),
        *(f"licence: {licence}" for licence in dict.fromkeys(thing.licence for thing in taken)),
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
