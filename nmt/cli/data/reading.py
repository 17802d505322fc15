"""What the commands on corpora have in common: which text they read, on how many cores, and their bars."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from nmt.corpora.table import Watch
    from nmt.data.lines import DecodeErrors
    from nmt.data.sources import SourceRules
    from nmt.recipe import DataSection

_NAMES = ("sources", "src_lang", "tgt_lang", "recipe", "tsv_columns", "errors", "workers")
_OPTIONS = (
    click.argument("sources", metavar="IN...", nargs=-1, required=True),
    click.option("--src-lang", metavar="LANG", help="Language of the source side.  [default: the recipe's]"),
    click.option("--tgt-lang", metavar="LANG", help="Language of the target side.  [default: the recipe's]"),
    click.option("--recipe", metavar="RECIPE", help="Take from this recipe's [data] what is not given here."),
    click.option("--tsv-columns", metavar="LANG,LANG,...", help="Languages of a TSV file's columns."),
    click.option("--errors", type=click.Choice(["strict", "replace"]), help="What to do with invalid UTF-8."),
    click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: one a core]"),
)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Which text a command reads, as its options or else a recipe say, and on how many cores."""

    sources: tuple[str, ...]
    src_lang: str | None
    tgt_lang: str | None
    recipe: str | None
    tsv_columns: str | None
    errors: "DecodeErrors | None"
    workers: int | None

    def section(self) -> "DataSection | None":
        """The recipe's, if one is named."""
        from nmt.recipe_file import load_recipe

        return load_recipe(self.recipe).recipe.data if self.recipe else None

    def rules(self) -> "SourceRules":
        """How files named from here are read."""
        from nmt.data.sources import SourceRules

        section = self.section()
        src_lang = self.src_lang or (section and section.src_lang)
        tgt_lang = self.tgt_lang or (section and section.tgt_lang)
        if not src_lang or not tgt_lang:
            raise click.UsageError("the languages are not known: give --src-lang and --tgt-lang, or a --recipe")
        columns = tuple(self.tsv_columns.split(",")) if self.tsv_columns else (section.tsv_columns if section else ())
        return SourceRules(
            folder=Path(),
            hub={},
            src_lang=src_lang,
            tgt_lang=tgt_lang,
            tsv_columns=columns or None,
            errors=self.errors or (section.errors if section else "strict"),
        )

    def processes(self) -> int:
        """So many, or one for each core that this process may use."""
        from nmt.data.encode import cores

        return self.workers or cores()


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """IN... and how it is read, gathered in a `Reading`."""

    @functools.wraps(command)
    def gathered(**given: Any) -> None:
        command(reading=Reading(**{name: given.pop(name) for name in _NAMES}), **given)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered


@contextmanager
def bars() -> Iterator["Watch"]:
    """A bar for each thing that is done, on standard error where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    tasks: dict[str, Any] = {}
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def watch(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total or None)
            progress.update(tasks[name], completed=done)

        yield watch
