"""`nmt tune`."""

from pathlib import Path

import click

from nmt.cli.options import THREADS, settle_process


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--src", type=click.Path(path_type=Path), help="Source lines, with --ref.  [default: the validation set]")
@click.option("--ref", type=click.Path(path_type=Path), help="Their references.")
@click.option(
    "--metric", type=click.Choice(["bleu", "chrf"]), default="bleu", show_default=True, help="What is to be highest."
)
@click.option("--beam-sizes", default="1,2,3,5,8", show_default=True, help="Those to try.")
@THREADS
def tune(run: Path, src: Path | None, ref: Path | None, metric: str, beam_sizes: str, threads: int | None) -> None:
    """Find the beam size and the length penalty that score best, and write them into the folder RUN.

    They stand in RUN/search.toml from then on, and go over the recipe's own wherever RUN is loaded; delete the file to
    undo it. Never tune on a test set: its score would flatter.
    """
    from rich.console import Console

    from nmt.evaluate import TestSet
    from nmt.loading import load
    from nmt.run_dir import load_stored_recipe
    from nmt.scoring import open_pairs
    from nmt.train.prepare import as_test_set, open_valid
    from nmt.tune import tune as tune_run

    if (src is None) != (ref is None):
        raise click.UsageError("--src and --ref go together")
    sizes = beam_sizes.split(",")
    if not all(size.strip().isdecimal() and int(size) > 0 for size in sizes):
        raise click.UsageError(f"--beam-sizes {beam_sizes!r}: wanted whole numbers with commas between them: 1,3,5")
    settle_process(threads)
    data = load_stored_recipe(run).data
    if src is not None and ref is not None:
        with open_pairs(src, ref) as opened:
            pairs = list(opened)
        test_set = TestSet(src.name, [line for line, _ in pairs], [reference for _, reference in pairs])
    else:
        test_set = as_test_set("valid", open_valid(data))
    tune_run(
        run,
        load(run),
        test_set,
        metric=metric,
        beam_sizes=[int(size) for size in sizes],
        tgt_lang=data.tgt_lang,
        console=Console(),
    )
