"""`nmt score` and `nmt rescore`."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from nmt.cli.options import COMBINATION, ENSEMBLE, THREADS, check_combination, settle_process

if TYPE_CHECKING:
    from nmt.data.lines import DecodeErrors
    from nmt.scoring import CorpusScore, ScoredPair
    from nmt.search.ensemble import Combination

_PATH = click.Path(path_type=Path)
_BATCH_SIZE = click.option(
    "--batch-size", type=click.IntRange(min=1), default=64, show_default=True, help="Pairs scored together."
)
_ERRORS = click.option(
    "--errors", type=click.Choice(["strict", "replace"]), default="strict", help="What to do with invalid UTF-8."
)


@click.command()
@click.argument("run", type=_PATH)
@click.argument("src", type=_PATH)
@click.argument("tgt", type=_PATH)
@click.option(
    "-o",
    "--output",
    type=_PATH,
    help="Write a JSON object a pair: text, score, log_prob, tokens, token_log_probs, alignment.",
)
@click.option("--json", "as_json", is_flag=True, help="The same on standard output; the table goes to standard error.")
@ENSEMBLE
@COMBINATION
@_BATCH_SIZE
@THREADS
@_ERRORS
def score(
    run: Path,
    src: Path,
    tgt: Path,
    output: Path | None,
    as_json: bool,
    ensemble: Sequence[Path],
    combination: "Combination | None",
    batch_size: int,
    threads: int | None,
    errors: "DecodeErrors",
) -> None:
    """How probable the model in the folder RUN holds TGT to be, line by line, as a translation of SRC.

    Prints the log-probability of all of it, and its perplexity: that of a subword, eos counted, so it compares only
    models of one tokenizer. A pair of blank lines counts as a sentence without tokens.
    """
    from rich.console import Console

    from nmt.loading import load_ensemble
    from nmt.scoring import CorpusScore, open_pairs, score_pairs

    check_combination(combination, ensemble)
    if as_json and output:
        raise click.UsageError("--json goes to standard output, and --output to a file: give one of them")
    settle_process(threads)
    saved = load_ensemble([run, *ensemble], combination=combination or "linear", engine="exact")
    found = CorpusScore()
    with open_pairs(src, tgt, errors=errors) as pairs, _opened(output, wanted=as_json) as stream:
        for pair in score_pairs(saved, pairs, batch_size=batch_size, attention=stream is not None):
            found = found.plus(pair)
            if stream:
                stream.write(_as_json(pair))
    _show(found, Console(stderr=as_json))


@click.command()
@click.argument("n_best", metavar="N_BEST", type=_PATH)
@click.argument("src", type=_PATH)
@click.option(
    "--run",
    "weighted_runs",
    type=(_PATH, float),
    multiple=True,
    metavar="RUN WEIGHT",
    required=True,
    help="A run that scores, of whatever tokenizer, and what its score counts; repeatable.",
)
@click.option(
    "--own-weight", type=float, default=1.0, show_default=True, help="What the score in the list itself counts."
)
@click.option("--best", is_flag=True, help="Write the best translation of each line alone.")
@click.option("-o", "--output", type=_PATH, help="Write here instead of to standard output.")
@_BATCH_SIZE
@THREADS
@_ERRORS
def rescore(
    n_best: Path,
    src: Path,
    weighted_runs: Sequence[tuple[Path, float]],
    own_weight: float,
    best: bool,
    output: Path | None,
    batch_size: int,
    threads: int | None,
    errors: "DecodeErrors",
) -> None:
    """Sort the list N_BEST, which `nmt translate --n-best` made of the lines in SRC, by the scores of other runs too.

    What counts is the weighted sum of the score in the list and of each run's: the log-probability that it gives the
    text, under the length penalty of its recipe. Writes `n ||| text ||| score` again, best first.
    """
    from nmt.data.lines import read_lines
    from nmt.loading import load
    from nmt.rescore import read_n_best
    from nmt.rescore import rescore as rescore_lists

    settle_process(threads)
    scorers = [load(run, engine="exact") for run, _ in weighted_runs]
    weights = [own_weight, *(weight for _, weight in weighted_runs)]
    lists = read_n_best(read_lines(n_best, errors=errors), str(n_best))
    sources = read_lines(src, errors=errors)
    with _opened(output, wanted=True) as stream:
        assert stream
        for candidates in rescore_lists(lists, sources, scorers, weights, batch_size=batch_size):
            lines = [candidates[0].text] if best else map(str, candidates)
            stream.write("".join(f"{line}\n" for line in lines).encode("utf-8"))


@contextmanager
def _opened(output: Path | None, *, wanted: bool) -> Iterator[BinaryIO | None]:
    """The file, which is replaced when all is written; else standard output where it is `wanted`, or nothing."""
    from nmt.cli.streams import standard_output
    from nmt.errors import OutputError
    from nmt.run_dir import write_atomically

    if output is not None:
        if output.exists() and not output.is_file():
            raise OutputError(f"{output}: not a file, so it cannot be replaced by one; name a file")
        with write_atomically(output) as temporary, temporary.open("wb") as stream:
            yield stream
    elif wanted:
        with standard_output() as (stream, _):
            yield stream
    else:
        yield None


def _as_json(pair: "ScoredPair") -> bytes:
    from nmt.alignment import align

    fields: dict[str, Any] = {
        "text": pair.text,
        "score": pair.score,
        "log_prob": pair.log_prob,
        "tokens": pair.tokens,
        "token_log_probs": pair.token_log_probs,
    }
    if pair.attention is not None:
        fields["alignment"] = align(pair.attention, pair.src_tokens, pair.tokens)
    return (json.dumps(fields, ensure_ascii=False) + "\n").encode("utf-8")


def _show(found: "CorpusScore", console: Any) -> None:
    from rich.table import Table

    table = Table("sentences", "tokens", "log-probability", "perplexity", box=None)
    for column in table.columns:
        column.justify = "right"
    table.add_row(str(found.sentences), str(found.tokens), f"{found.log_prob:.2f}", f"{found.perplexity:.4f}")
    console.print(table)
