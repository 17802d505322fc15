"""`nmt train`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from nmt.errors import NmtError


@click.command()
@click.argument("recipe")
@click.option(
    "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Override a key of the recipe; repeatable."
)
@click.option("--run-dir", type=click.Path(path_type=Path), help="Folder of the run.  [default: runs/NAME]")
@click.option("--fresh", is_flag=True, help="Begin anew; a run that is there is moved aside.")
@click.option("--dry-run", is_flag=True, help="Print the resolved recipe and its sizes; train nothing.")
def train(recipe: str, overrides: Sequence[str], run_dir: Path | None, fresh: bool, dry_run: bool) -> None:
    """Train RECIPE (a TOML file, or the name of a shipped recipe) and score its test sets.

    A run that stopped goes on where it was when the same command is given again.
    """
    from nmt.recipe_file import load_recipe

    loaded = load_recipe(recipe, overrides)
    from nmt.train.progress import lasting_console

    console = lasting_console()
    if dry_run:
        from nmt.train.dry_run import show

        show(loaded, console)
        return
    from nmt.train.run import train as train_recipe

    sinks = [_tensorboard_sink()] if loaded.recipe.train.tensorboard else []
    train_recipe(loaded.recipe, run_dir or Path("runs", loaded.recipe.name), console, fresh=fresh, sinks=sinks)


def _tensorboard_sink() -> Any:
    try:
        from nmt.train.tensorboard import TensorBoardSink
    except ImportError as error:
        raise NmtError("train.tensorboard = true needs the extra: pip install tensorboard") from error
    return lambda run, step: TensorBoardSink(run / "tensorboard", from_step=step)
