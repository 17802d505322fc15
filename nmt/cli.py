"""The command line: parse, call, print. It imports inside its commands, so that `nmt --help` is instant."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from nmt.cli_options import Decoding, decoding_options
from nmt.errors import NmtError

if TYPE_CHECKING:
    from nmt.translator import Translator

# A thread with nothing to do spins so long before it sleeps. With OpenMP's own count, training on all cores falls to
# a twentieth of its speed as soon as another process wants a core; with this one to a third, and alone it costs 7 %
# (`nmt train quickstart` on two cores, alone and beside a busy process; one run each). libgomp reads it at import.
SPIN_COUNT = "5000"

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="nmt")
def nmt() -> None:
    """Recurrent neural machine translation: raw text to a scored translator."""


@nmt.command()
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


@nmt.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("file", default="-")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write here instead of to standard output.")
@click.option("--resume", is_flag=True, help="Go on with OUTPUT.part, which an interrupted translation left.")
@click.option(
    "--n-best", type=click.IntRange(min=1), default=1, help="So many translations a line, as `n ||| text ||| score`."
)
@click.option(
    "--json", "as_json", is_flag=True, help="A JSON object a line: text, score, tokens and their scores, flags."
)
@click.option(
    "--errors", type=click.Choice(["strict", "replace"]), default="strict", help="What to do with invalid UTF-8."
)
@decoding_options
def translate(
    run: Path,
    file: str,
    output: Path | None,
    resume: bool,
    n_best: int,
    as_json: bool,
    errors: Literal["strict", "replace"],
    decoding: Decoding,
) -> None:
    """Translate FILE, or standard input, with the model in the folder RUN, or with several: n lines in, n lines out.

    Lines keep their order; a blank one stays blank.
    """
    from nmt import translate_file
    from nmt.cli_streams import begun, standard_output, with_progress
    from nmt.data.lines import decode_lines, read_lines

    if resume and (output is None or (n_best > 1 and not as_json)):
        raise click.UsageError("--resume goes with --output, and with --n-best only as --json: it counts lines")
    translator = _load(run, decoding)
    if n_best > translator.search.beam_size:
        raise click.UsageError(
            f"--n-best {n_best} is more than the beam holds: add --beam-size {n_best}, or ask for fewer"
        )
    form = translate_file.as_text if n_best == 1 else translate_file.as_n_best
    if file == "-":
        lines = decode_lines(sys.stdin.buffer, "standard input", errors=errors)
    else:
        lines = begun(read_lines(Path(file), errors=errors))
    target = translate_file.output_file(output, resume=resume) if output else standard_output()
    cut = 0
    with target as (stream, done):
        translations = translate_file.translate_stream(
            translator,
            lines,
            stream,
            form=translate_file.as_json if as_json else form,
            n_best=n_best,
            read_ahead=1 if file == "-" and sys.stdin.isatty() else None,
            done=done,
        )
        for best, *_ in with_progress(translations, shown=output is not None):
            cut += "truncated" in best.flags
            if output is None and sys.stdin.isatty():
                stream.flush()
    if cut:
        click.echo(f"warning: {cut} translations reached the length limit and were cut off", err=True)


def _load(run: Path, decoding: Decoding) -> "Translator":
    """The translator of a run and of those that decode with it, with the options of the command line over its own."""
    import torch

    from nmt.translator import load_ensemble

    if decoding.combination and not decoding.ensemble:
        raise click.UsageError("--combination goes with --ensemble: it says how several runs are combined")
    if decoding.threads:
        torch.set_num_threads(decoding.threads)
    return load_ensemble(
        decoding.runs(run),
        combination=decoding.combination or "linear",
        engine=decoding.engine,
        beam_size=decoding.beam_size,
        batch_size=decoding.batch_size,
    )


@nmt.command()
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

    from nmt.data.lines import read_lines
    from nmt.evaluate import METRICS_BY_DEFAULT, TestSet, claim_folder, evaluate_run
    from nmt.run_dir import load_stored_recipe
    from nmt.train.prepare import open_test_sets, set_names

    if (src is None) != (ref is None):
        raise click.UsageError("--src and --ref go together")
    if name is not None and (src is None or Path(name).name != name):
        raise click.UsageError("--name goes with --src, and is a plain name: hypotheses are filed under it")
    if decoding.ensemble and output is None:
        raise click.UsageError("--ensemble goes with --output FOLDER here: the scores are not those of RUN alone")
    translator = _load(run, decoding)
    data = load_stored_recipe(run).data
    if src is not None and ref is not None:
        name = name or src.name.removesuffix(".gz").removesuffix(f".{data.src_lang}")
        if name in set_names(data):
            raise click.UsageError(f"{name} is a set of the recipe's own: call these lines something else with --name")
        test_sets = [TestSet(name, list(read_lines(src)), list(read_lines(ref)))]
    else:
        test_sets = open_test_sets(data)
    if output is not None:
        combination = (decoding.combination or "linear") if decoding.ensemble else None
        claim_folder(output, decoding.runs(run), combination=combination)
    metrics = metrics or METRICS_BY_DEFAULT
    evaluate_run(output or run, translator, test_sets, metrics=metrics, data=data, console=Console())


@nmt.command()
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
    translator = _load(run, decoding)
    data = load_stored_recipe(run).data
    lines = read_lines(src, errors=data.errors) if src else open_train(data).pairs["src"]
    system = system_of(decoding.runs(run), decoding.combination, decoding.engine, translator.search)
    console = Console(stderr=True)
    found = distill_lines(translator, lines, out, data=data, system=system, console=console, resume=resume)
    click.echo(
        f"{out}.{data.src_lang}, {out}.{data.tgt_lang}: {found.pairs:,} pairs; left out: "
        f"{found.truncated:,} that reached the length limit, {found.empty:,} with an empty translation"
    )


@nmt.command()
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


@nmt.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def export(run: Path, out: Path) -> None:
    """Write the model in the folder RUN into the folder OUT, for others: no training state, with a model card.

    OUT is read wherever a RUN is.
    """
    from nmt.export import export as export_model

    click.echo(export_model(run, out))


def main() -> None:
    """Run the command line; a fault that a user can mend is printed without a traceback."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    try:
        sys.exit(nmt(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (NmtError, OSError) as error:  # OSError: a full disk or the like, of which no one closer could say more
        click.echo(f"error: {error}", err=True)
        sys.exit(getattr(error, "exit_code", 1))
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
