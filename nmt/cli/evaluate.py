"""`nmt evaluate`."""

from collections.abc import Sequence
from pathlib import Path

import click

from nmt.cli.options import Decoding, Sectioned, decoding_options, load


@click.command(cls=Sectioned)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--src", type=click.Path(path_type=Path), help="Source lines, with --ref.  [default: the recipe's test sets]"
)
@click.option("--ref", type=click.Path(path_type=Path), help="Their references.")
@click.option("--name", help="Name of the test set in scores.json.  [default: that of the --src file]")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice(["bleu", "chrf", "ter"]),
    help="Repeatable.  [default: bleu, chrf]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder for scores.json and hypotheses/; wanted with --ensemble.  [default: RUN]",
)
@decoding_options
def evaluate(
    run: Path,
    src: Path | None,
    ref: Path | None,
    name: str | None,
    metrics: Sequence[str],
    output: Path | None,
    decoding: Decoding,
) -> None:
    """Score the model in the folder RUN, or several together, on RUN's test sets, or on lines of your own.

    Prints each score with its sacreBLEU signature and puts it into scores.json.
    """
    from rich.console import Console

    from nmt.evaluate import METRICS_BY_DEFAULT, TestSet, claim_folder, evaluate_run
    from nmt.run_dir import load_stored_recipe
    from nmt.scoring import open_pairs
    from nmt.train.prepare import open_test_sets, set_names

    if (src is None) != (ref is None):
        raise click.UsageError("--src and --ref go together")
    if name is not None and (src is None or Path(name).name != name):
        raise click.UsageError("--name goes with --src, and is a plain name: hypotheses are filed under it")
    if decoding.ensemble and output is None:
        raise click.UsageError("--ensemble goes with --output FOLDER here: the scores are not those of RUN alone")
    translator = load(run, decoding)
    besides = decoding.besides()
    besides |= {"drawn": translator.search.model_dump_json()} if translator.search.draws else {}
    if besides and output is None:
        raise click.UsageError(f"--output FOLDER is wanted: with {', '.join(besides)} the scores are not RUN's own")
    data = load_stored_recipe(run).data
    if src is not None and ref is not None:
        name = name or src.name.removesuffix(".gz").removesuffix(f".{data.src_lang}")
        if name in set_names(data):
            raise click.UsageError(f"{name} is a set of the recipe's own: call these lines something else with --name")
        with open_pairs(src, ref) as opened:
            pairs = list(opened)
        test_sets = [TestSet(name, [line for line, _ in pairs], [reference for _, reference in pairs])]
    else:
        test_sets = open_test_sets(data)
    if output is not None:
        combination = (decoding.combination or "linear") if decoding.ensemble else None
        claim_folder(output, decoding.runs(run), combination=combination, besides=besides)
    metrics = metrics or METRICS_BY_DEFAULT
    evaluate_run(output or run, translator, test_sets, metrics=metrics, data=data, console=Console())
