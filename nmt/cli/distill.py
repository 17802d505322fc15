"""`nmt distill`."""

from pathlib import Path

import click

from nmt.cli.options import Decoding, Sectioned, decoding_options, load


@click.command(cls=Sectioned)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--src", type=click.Path(path_type=Path), help="Lines to translate.  [default: RUN's training text]")
@click.option("--resume", is_flag=True, help="Go on with OUT.part, which an interrupted run left.")
@decoding_options
def distill(
    run: Path,
    out: Path,
    src: Path | None,
    resume: bool,
    decoding: Decoding,
) -> None:
    """Translate training text with the model in the folder RUN, for another model to learn from.

    Writes each distinct source line and its translation to OUT.SRC_LANG and OUT.TGT_LANG, line by line. With OUT in
    its data.folder, a recipe can say train = ["train", "OUT"]. Translations cut at the length limit are left out.
    """
    from rich.console import Console

    from nmt.data.lines import read_lines
    from nmt.distill import distill as distill_lines
    from nmt.distill import system_of
    from nmt.run_dir import load_stored_recipe
    from nmt.train.prepare import open_train

    if not out.name:
        raise click.UsageError(f"OUT is {str(out)!r}, but wanted is the beginning of two file names")
    translator = load(run, decoding)
    data = load_stored_recipe(run).data
    lines = read_lines(src, errors=data.errors) if src else open_train(data).pairs["src"]
    system = system_of(decoding.runs(run), decoding.combination, decoding.engine, translator.search, decoding.besides())
    console = Console(stderr=True)
    found = distill_lines(translator, lines, out, data=data, system=system, console=console, resume=resume)
    click.echo(
        f"{out}.{data.src_lang}, {out}.{data.tgt_lang}: {found.pairs:,} pairs; left out: "
        f"{found.truncated:,} that reached the length limit, {found.empty:,} with an empty translation"
    )
