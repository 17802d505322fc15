"""The command line: parse, call, print. It imports inside its commands, so that `nmt --help` is instant."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Literal

import click

from nmt.errors import NmtError, OutputError

# A thread that has nothing to do spins for a while before it sleeps. OpenMP's own while is so long that training with
# as many threads as cores slows down to a twentieth as soon as another process wants a core; with this one, to a third.
# Undisturbed it costs 7 %. (Speeds that `nmt train quickstart` prints on two cores, with GOMP_SPINCOUNT=5000 and unset,
# alone and beside a busy process; one run each.) Read by libgomp when torch is imported.
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
    from rich.console import Console

    from nmt.recipe_file import load_recipe

    loaded = load_recipe(recipe, overrides)
    console = Console()
    if dry_run:
        from nmt.train.dry_run import show

        show(loaded, console)
        return
    from nmt.train.run import train as train_recipe

    sinks: list[Any] = []
    if loaded.recipe.train.tensorboard:
        sinks.append(_tensorboard_sink())
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
    "--beam-size", type=click.IntRange(min=1), help="Hypotheses kept a step; 1: greedy.  [default: the recipe's]"
)
@click.option(
    "--n-best", type=click.IntRange(min=1), default=1, help="So many translations a line, as `n ||| text ||| score`."
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Sentences decoded together.  [default: the recipe's]")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="A JSON object a line: text, score, tokens and their log-probabilities, flags.",
)
@click.option(
    "--errors", type=click.Choice(["strict", "replace"]), default="strict", help="What to do with invalid UTF-8."
)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: one a core]")
def translate(
    run: Path,
    file: str,
    output: Path | None,
    resume: bool,
    beam_size: int | None,
    n_best: int,
    batch_size: int | None,
    as_json: bool,
    errors: Literal["strict", "replace"],
    threads: int | None,
) -> None:
    """Translate FILE, or standard input, line by line with the model in the folder RUN.

    As many lines come out as go in, in the same order; a blank line stays blank.
    """
    from nmt import translate_file
    from nmt.data.lines import decode_lines, read_lines

    if resume and (output is None or (n_best > 1 and not as_json)):
        raise click.UsageError("--resume goes with --output, and with --n-best only as --json: it counts lines")
    translator = _load(run, threads, beam_size=beam_size, batch_size=batch_size)
    if n_best > translator.search.beam_size:
        raise click.UsageError(
            f"--n-best {n_best} is more than the beam holds: add --beam-size {n_best}, or ask for fewer"
        )
    form = translate_file.as_text if n_best == 1 else translate_file.as_n_best
    if file == "-":
        lines = decode_lines(sys.stdin.buffer, "standard input", errors=errors)
    else:
        lines = _begun(read_lines(Path(file), errors=errors))
    target = translate_file.output_file(output, resume=resume) if output else _standard_output()
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
        for best, *_ in _with_progress(translations, shown=output is not None):
            cut += "truncated" in best.flags
            if output is None and sys.stdin.isatty():
                stream.flush()
    if cut:
        click.echo(f"warning: {cut} translations reached the length limit and were cut off", err=True)


def _begun(lines: Iterator[str]) -> Iterator[str]:
    """The same lines, the first one read: what cannot be read is told before an output is touched."""
    return chain(list(islice(lines, 1)), lines)


@contextmanager
def _standard_output() -> Iterator[tuple[BinaryIO, int]]:
    """Standard output as a stream to write, with no lines in it yet.

    Leaves with 141, as a shell's own tools do, when the reader has seen enough.
    """
    try:
        yield sys.stdout.buffer, 0
        sys.stdout.buffer.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python flushes into it again at exit
        if isinstance(error, BrokenPipeError):
            sys.exit(141)
        raise OutputError(f"standard output: cannot be written: {error.strerror}") from error


def _load(run: Path, threads: int | None, **search: int | None) -> Any:
    """The run's translator, with the options of the command line over those of its recipe."""
    import torch

    from nmt.translator import Translator, load

    if threads:
        torch.set_num_threads(threads)
    loaded = load(run)
    changes = {name: value for name, value in search.items() if value is not None}
    return Translator(loaded.model, loaded.tokenizers, loaded.search.model_copy(update=changes))


def _with_progress(items: Iterable[Any], *, shown: bool) -> Iterable[Any]:
    """A line counter on standard error while the output goes to a file."""
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield from items
        return
    columns = TextColumn("{task.completed} lines"), TextColumn("{task.fields[speed]}"), TimeElapsedColumn()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=None, speed="")
        begin = time.monotonic()
        for number, item in enumerate(items, start=1):
            speed = number / (time.monotonic() - begin)
            progress.update(task, completed=number, speed=f"{speed:.0f} lines/s")
            yield item


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
    "--beam-size", type=click.IntRange(min=1), help="Hypotheses kept a step; 1: greedy.  [default: the recipe's]"
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Sentences decoded together.  [default: the recipe's]")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: one a core]")
def evaluate(
    run: Path,
    src: Path | None,
    ref: Path | None,
    name: str | None,
    metrics: Sequence[str],
    beam_size: int | None,
    batch_size: int | None,
    threads: int | None,
) -> None:
    """Score the model in the folder RUN on its recipe's test sets, or on lines of your own.

    Prints each score with its sacreBLEU signature and puts it into RUN/scores.json.
    """
    from rich.console import Console

    from nmt.data.lines import read_lines
    from nmt.evaluate import METRICS_BY_DEFAULT, TestSet, evaluate_run
    from nmt.run_dir import load_stored_recipe
    from nmt.train.prepare import open_test_sets, set_names

    if (src is None) != (ref is None):
        raise click.UsageError("--src and --ref go together")
    if name is not None and (src is None or Path(name).name != name):
        raise click.UsageError("--name goes with --src, and is a plain name: hypotheses are filed under it")
    translator = _load(run, threads, beam_size=beam_size, batch_size=batch_size)
    data = load_stored_recipe(run).data
    if src is not None and ref is not None:
        name = name or src.name.removesuffix(".gz").removesuffix(f".{data.src_lang}")
        if name in set_names(data):
            raise click.UsageError(f"{name} is a set of the recipe's own: call these lines something else with --name")
        test_sets = [TestSet(name, list(read_lines(src)), list(read_lines(ref)))]
    else:
        test_sets = open_test_sets(data)
    evaluate_run(run, translator, test_sets, metrics=metrics or METRICS_BY_DEFAULT, data=data, console=Console())


def main() -> None:
    """Run the command line; a fault that a user can mend is printed without a traceback."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    try:
        sys.exit(nmt(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except NmtError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:  # a full disk, a folder that went away: whatever no one closer could say more about
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
