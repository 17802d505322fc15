"""`nmt shortlist`."""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
def shortlist(run: Path) -> None:
    """Learn again which target words each source word may become, from the training text of the folder RUN.

    `nmt train` does so at its end; this is for a RUN that has no shortlist. `nmt translate --shortlist` uses it.
    """
    from rich.console import Console

    from nmt.train.shortlist import build_shortlist

    click.echo(build_shortlist(run, Console(stderr=True)))
