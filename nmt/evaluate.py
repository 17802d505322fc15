"""A test set to scores: translate, write down what came out, and score that; of a language model, its perplexity."""

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.table import Table

from nmt.errors import CheckpointError, DataError, OutputError
from nmt.metrics import Score, score
from nmt.recipe import BATCHING, DataSection
from nmt.run_dir import HYPOTHESES, MODEL, RECIPE, SCORES, SavedModel, sha256, write_json, write_lines
from nmt.scoring import score_ids
from nmt.translator import Translator

METRICS_BY_DEFAULT = ("bleu", "chrf")
PERPLEXITY = "ppl"
SYSTEM = "system.json"  # what the scores of a folder that is not a run are the scores of


@dataclass(frozen=True)
class TestSet:
    """Lines to translate and their references, by the name under which scores are reported."""

    __test__ = False  # not a test of pytest's

    name: str
    src: Sequence[str]
    references: Sequence[str]


@dataclass(frozen=True)
class ScoredTestSet:
    """One row of `scores.json`; beam_size 0: nothing was translated. search: all options that the search was under."""

    test_set: str
    metric: str
    score: float
    signature: str
    beam_size: int
    sentences: int
    seconds: float
    search: Mapping[str, Any] = field(default_factory=dict)


_ROW_FIELDS = tuple(one.name for one in fields(ScoredTestSet))


@dataclass(frozen=True)
class Evaluation:
    """What came out of a test set."""

    hypotheses: list[str]
    rows: list[ScoredTestSet]


def evaluate(
    translator: Translator,
    test_set: TestSet,
    *,
    metrics: Sequence[str] = METRICS_BY_DEFAULT,
    tgt_lang: str,
) -> Evaluation:
    """Translate the source lines and score the result; `seconds` are those of translating alone.

    Raises DataError, before any work, where there is not one reference a line.
    """
    if len(test_set.src) != len(test_set.references):
        raise DataError(
            f"{test_set.name}: {len(test_set.src)} source lines, but {len(test_set.references)} references; "
            "they must pair up line by line"
        )
    begin = time.monotonic()
    hypotheses = translator.translate(test_set.src)
    seconds = time.monotonic() - begin
    rows = [
        ScoredTestSet(
            test_set=test_set.name,
            metric=found.name,
            score=found.value,
            signature=found.signature,
            beam_size=translator.search.beam_size,
            sentences=len(hypotheses),
            seconds=round(seconds, 3),
            search=translator.search.model_dump(exclude=set(BATCHING)),  # which changes nothing
        )
        for found in score(metrics, hypotheses, test_set.references, tgt_lang=tgt_lang)
    ]
    return Evaluation(hypotheses, rows)


def save_evaluation(folder: Path, test_set: TestSet, evaluation: Evaluation, data: DataSection) -> None:
    """Leave source, translation and reference behind, line by line, so that any other scorer can check the numbers."""
    files = {
        f"{test_set.name}.src.{data.src_lang}": test_set.src,
        f"{test_set.name}.hyp.{data.tgt_lang}": evaluation.hypotheses,
        f"{test_set.name}.ref.{data.tgt_lang}": test_set.references,
    }
    for name, lines in files.items():
        write_lines(folder / HYPOTHESES / name, lines)


def claim_folder(
    folder: Path, runs: Sequence[Path], *, combination: str | None, besides: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Say in `folder` which models its scores will be of, so that they are never mixed with those of others.

    besides: what else has a say in the translations.
    Raises OutputError for a run folder, and for one that holds scores of other models.
    """
    models = [{"run": str(run.resolve()), "sha256": sha256(run / MODEL)} for run in runs]
    system = {"models": models, "combination": combination, **({"besides": dict(besides)} if besides else {})}
    if (folder / RECIPE).exists():
        raise OutputError(f"{folder}: a run folder, and its scores are those of its own model; name another folder")
    path = folder / SYSTEM
    try:
        same = json.loads(path.read_bytes()) == system
    except (OSError, ValueError):
        same = False
    if (folder / SCORES).exists() and not same:
        raise OutputError(
            f"{folder}: {SCORES} there is not of these models as they are now ({SYSTEM} says of which); "
            "name another folder, or delete this one"
        )
    write_json(path, system)


def evaluate_run(
    folder: Path,
    translator: Translator,
    test_sets: Iterable[TestSet],
    *,
    metrics: Sequence[str],
    data: DataSection,
    console: Console,
) -> list[ScoredTestSet]:
    """Score on test sets, leave what came out in the folder (the run's own), show the table; the new rows.

    `scores.json` stays true to the translations in the folder: rows of a test set that was translated under
    other search options go out with them, those of other metrics and other test sets stay.
    """
    rows: list[ScoredTestSet] = []
    for test_set in test_sets:
        with console.status(f"translating {test_set.name}"):
            evaluation = evaluate(translator, test_set, metrics=metrics, tgt_lang=data.tgt_lang)
        save_evaluation(folder, test_set, evaluation, data)
        rows += evaluation.rows
    _record(folder, rows, console)
    return rows


def evaluate_language_model(
    folder: Path, saved: SavedModel, test_sets: Iterable[TestSet], *, console: Console
) -> list[ScoredTestSet]:
    """The perplexity of each test set's lines, put into the folder's `scores.json` and shown; the new rows.

    It is per token of the model's own vocabulary, the end of each line counted: only models of one tokenizer compare.
    """
    rows = []
    tokenizer = saved.tokenizers.tgt
    for test_set in test_sets:
        begin = time.monotonic()
        _, tgts = saved.tokenizers.encode_pairs(test_set.references, test_set.references)
        found = score_ids(saved.model, [()] * len(tgts), tgts)
        tokens = sum(len(one.token_log_probs) for one in found)
        nll = -math.fsum(one.log_prob for one in found)
        row = ScoredTestSet(
            test_set=test_set.name,
            metric=PERPLEXITY,
            score=math.exp(min(nll / tokens, 100.0)),
            signature=f"tokens:{tokens}|eos:yes|tok:{tokenizer.kind}-{tokenizer.vocab_size}|nmt:{version('nmt')}",
            beam_size=0,
            sentences=len(tgts),
            seconds=round(time.monotonic() - begin, 3),
        )
        rows.append(row)
    _record(folder, rows, console)
    return rows


def _record(folder: Path, rows: Sequence[ScoredTestSet], console: Console) -> None:
    """Put rows into the folder's `scores.json`, and show them."""
    path = folder / SCORES
    searches = {row.test_set: row.search for row in rows}
    kept = [row for row in _stored_rows(path) if searches.get(row["test_set"], row["search"]) == row["search"]]
    old = {(row["test_set"], row["metric"]): row for row in kept}
    new = {(row.test_set, row.metric): asdict(row) for row in rows}
    write_json(path, list({**old, **new}.values()))
    if rows:
        show_scores(rows, console)


def _stored_rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        rows = [{"search": {}, **row} for row in json.loads(path.read_bytes())]  # of before rows had one
        return [{name: row[name] for name in _ROW_FIELDS} for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: damaged: not a list of scores ({error}); delete it and score again") from error


def show_scores(rows: Sequence[ScoredTestSet], console: Console) -> None:
    """The rows as a person reads them: a table, and each score with its signature in full."""
    table = Table("test set", "metric", "score", "beam", "sentences", "seconds", "sentences/s", box=None)
    for column in table.columns[2:]:
        column.justify = "right"
    for row in rows:
        speed = row.sentences / max(row.seconds, 1e-9)
        beam, seconds = str(row.beam_size or "-"), f"{row.seconds:.1f}"
        numbers = f"{row.score:.2f}", beam, str(row.sentences), seconds, f"{speed:.0f}"
        table.add_row(row.test_set, row.metric, *numbers)
    console.print(table)
    for row in rows:
        line = f"{row.test_set}: {Score(row.metric, row.score, row.signature)}"
        console.print(line, soft_wrap=True, highlight=False, markup=False)
