"""`nmt export`."""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def export(run: Path, out: Path) -> None:
    """Write the model in the folder RUN into the folder OUT, for others: no training state, with a model card.

    OUT is read wherever a RUN is.
    """
    from nmt.export import export as export_model

    click.echo(export_model(run, out))
