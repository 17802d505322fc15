"""The command line that all fetching tools share: LANG OUT [--work FOLDER] [--sources FILE]."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]


def language(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """LANG as it was given; no form of English."""
    if value.lower().partition("_")[0] == "en":
        raise click.BadParameter("LANG is the other language than English: de, fr, es, pt_BR, ja ...")
    return value


_OPTIONS = (
    click.argument("lang", callback=language),
    click.argument("out", type=click.Path(dir_okay=False, path_type=Path)),
    click.option(
        "--work",
        type=click.Path(file_okay=False, path_type=Path),
        help="Where apt keeps what it fetches; by default .apt beside OUT.",
    ),
    click.option(
        "--sources",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A sources.list to use in place of the machine's.",
    ),
)


def fetching(command: Command) -> Command:
    """Gives a command `lang`, `out`, `work` and `sources`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def work_folder(out: Path, work: Path | None) -> Path:
    """The folder given, or the one beside OUT."""
    return work or out.parent / ".apt"
