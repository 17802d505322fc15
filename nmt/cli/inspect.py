"""`nmt inspect`."""

from pathlib import Path

import click

from nmt.errors import NmtError


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--text", help="Look at this sentence and its translation.  [default: at some of the validation set]")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder of the plots.  [default: RUN/report]")
@click.option("--last-only", is_flag=True, help="Gradients of the last target token's loss alone.")
def inspect(run: Path, text: str | None, output: Path | None, last_only: bool) -> None:
    """Plot what goes on in the model in the folder RUN: its gradients by time step and by layer, gates, attention.

    Writes the plots, and report.json with their numbers. Needs the extra: pip install matplotlib.
    """
    from rich.console import Console

    try:
        from nmt.report.inspect_run import inspect_run
    except ModuleNotFoundError as error:
        raise NmtError(f"nmt inspect needs the extra: pip install matplotlib ({error})") from error
    inspect_run(run, output or run / "report", text=text, last_only=last_only, console=Console())
