"""The search options of a run, chosen on its validation set."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from nmt.errors import DataError, RecipeError
from nmt.evaluate import TestSet
from nmt.metrics import Score, score
from nmt.recipe import SearchSection
from nmt.search_file import save_search
from nmt.translator import Translator

PENALTIES: tuple[tuple[str, float], ...] = (
    ("none", 0.6),
    ("average", 0.6),
    *(("gnmt", alpha / 10) for alpha in (2, 4, 6, 8, 10, 14)),
)


@dataclass(frozen=True)
class Trial:
    """What some search options reach; seconds: of translating alone."""

    search: SearchSection
    score: Score
    seconds: float


def tune(
    run: Path,
    translator: Translator,
    valid: TestSet,
    *,
    metric: str,
    beam_sizes: Sequence[int],
    tgt_lang: str,
    console: Console,
) -> Trial:
    """Try all beam sizes with all length penalties, show what each reaches, and put the best into the run folder.

    Of several that score the same, the first: the one with the smallest beam. Everything else of the search stays.
    Raises DataError where there is nothing to translate, OutputError where the folder cannot be written.
    """
    if not valid.src or len(valid.src) != len(valid.references):
        raise DataError(
            f"{valid.name}: {len(valid.src)} source lines and {len(valid.references)} references; wanted is one "
            "reference a line, and one line at least"
        )
    if translator.search.draws or translator.search.diverse_groups > 1:
        raise RecipeError(
            f"{run}: its [search] section draws at random, or cuts the beam into groups; tuning is for a search for "
            "the best: take out sample, mbr_samples and diverse_groups"
        )
    options = list(trials(translator.search, beam_sizes))
    done = []
    for search in track(options, f"translating {valid.name}", console=console, disable=not console.is_terminal):
        begin = time.monotonic()
        hypotheses = translator.under(search).translate(valid.src)
        seconds = time.monotonic() - begin
        [found] = score([metric], hypotheses, valid.references, tgt_lang=tgt_lang)
        done.append(Trial(search, found, seconds))
    best = max(done, key=lambda trial: trial.score.value)
    _show(done, best, len(valid.src), console)
    chosen = {key: getattr(best.search, key) for key in ("beam_size", "length_penalty", "length_alpha")}
    path = save_search(run, chosen)
    before = next((trial for trial in done if trial.search == translator.search), None)
    console.print(
        f"{path}: {', '.join(f'{key} = {value}' for key, value in chosen.items())}"
        + (f" ({best.score.value - before.score.value:+.2f} {best.score.name} on {valid.name})" if before else ""),
        soft_wrap=True,
        highlight=False,
    )
    return best


def trials(search: SearchSection, beam_sizes: Sequence[int]) -> Iterator[SearchSection]:
    """The options to try, smaller beams first; a beam of one has nothing that a length penalty could choose from."""
    for beam_size in sorted(set(beam_sizes)):
        for name, alpha in PENALTIES if beam_size > 1 else [(search.length_penalty, search.length_alpha)]:
            yield search.model_copy(update={"beam_size": beam_size, "length_penalty": name, "length_alpha": alpha})


def _show(done: Sequence[Trial], best: Trial, lines: int, console: Console) -> None:
    table = Table("beam", "length penalty", "alpha", best.score.name, "lines/s", "", box=None)
    for column in ("beam", "alpha", best.score.name, "lines/s"):
        next(one for one in table.columns if one.header == column).justify = "right"
    for trial in done:
        search = trial.search
        alpha = f"{search.length_alpha:.1f}" if search.length_penalty == "gnmt" else ""
        speed = f"{lines / max(trial.seconds, 1e-9):.0f}"
        mark = "best" if trial is best else ""
        table.add_row(str(search.beam_size), search.length_penalty, alpha, f"{trial.score.value:.2f}", speed, mark)
    console.print(table)
    console.print(f"{best.score.signature}", soft_wrap=True, highlight=False, markup=False)
