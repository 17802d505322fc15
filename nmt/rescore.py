"""N-best rescoring: what several models think of one model's translations, weighed together."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest

from nmt.errors import DataError, RecipeError
from nmt.scoring import ScoringModel, score_pairs

BAR = " ||| "
LISTS_TOGETHER = 256  # read ahead, so that batch mates are of like length
_NUMBER = re.compile("[0-9]{1,18}")


@dataclass(frozen=True)
class Candidate:
    """One translation of sentence `number`, counted from 0."""

    number: int
    text: str
    score: float

    def __str__(self) -> str:
        """As `read_n_best` reads it."""
        return f"{self.number}{BAR}{self.text}{BAR}{self.score:.6f}"


def read_n_best(lines: Iterable[str], name: str) -> Iterator[list[Candidate]]:
    """The candidates of each sentence from lines `number ||| text ||| score`, as `nmt translate --n-best` writes them.

    A text may hold bars itself. Raises DataError, with the line, for one that has not these three parts, and where a
    sentence is missing or out of order: `name` is what faults call the lines.
    """
    candidates: list[Candidate] = []
    for line_number, line in enumerate(lines, start=1):
        found = _parse(line, f"{name}:{line_number}")
        following = candidates[-1].number + 1 if candidates else 0
        if candidates and found.number == candidates[-1].number:
            candidates.append(found)
            continue
        if found.number != following:
            raise DataError(
                f"{name}:{line_number}: sentence {found.number}, but wanted is {following}"
                f"{f' or one more of {following - 1}' if candidates else ''}: sentences count from 0 and leave none "
                "out; give the whole list as nmt translate --n-best wrote it"
            )
        if candidates:
            yield candidates
        candidates = [found]
    if candidates:
        yield candidates


def _parse(line: str, where: str) -> Candidate:
    number, _, rest = line.partition(BAR)
    text, bar, score = rest.rpartition(BAR)
    if not bar or not _NUMBER.fullmatch(number):
        raise DataError(
            f"{where}: found {line[:60]!r}, but wanted is `number ||| text ||| score`, as nmt translate --n-best "
            "writes it"
        )
    try:
        value = float(score)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: the score is {score[:30]!r}, but it must be a number; is the line cut off?")
    return Candidate(int(number), text, value)


def rescore(
    lists: Iterable[Sequence[Candidate]],
    sources: Iterable[str],
    scorers: Sequence[ScoringModel],
    weights: Sequence[float],
    *,
    batch_size: int = 64,
) -> Iterator[list[Candidate]]:
    """Each sentence's candidates, best first, under the weighted sum of their own scores and those of the scorers.

    weights: of their own score, then of each scorer's, which is the log_prob of the text under the length penalty of
    the scorer's recipe. The scorers need no tokenizer in common, with each other or with what made the lists. A tie
    leaves the order as it was.
    Raises RecipeError unless there is a finite weight for each; DataError where there are more or fewer lists than
    source lines.
    """
    if len(weights) != len(scorers) + 1 or not all(map(math.isfinite, weights)):
        raise RecipeError(
            f"weights: found {', '.join(map(str, weights)) or 'none'}, but wanted are {len(scorers) + 1} numbers: "
            "one for the scores in the list, and one for each model"
        )
    paired = _paired(lists, sources)
    while window := list(islice(paired, LISTS_TOGETHER)):
        totals = [weights[0] * one.score for candidates, _ in window for one in candidates]
        for scorer, weight in zip(scorers, weights[1:], strict=True):
            pairs = ((source, one.text) for candidates, source in window for one in candidates)
            for index, scored in enumerate(score_pairs(scorer, pairs, batch_size=batch_size)):
                totals[index] += weight * scored.score
        following = iter(totals)
        for candidates, _ in window:
            rescored = [replace(one, score=next(following)) for one in candidates]
            yield sorted(rescored, key=lambda one: -one.score)


def _paired(lists: Iterable[Sequence[Candidate]], sources: Iterable[str]) -> Iterator[tuple[Sequence[Candidate], str]]:
    for number, (candidates, source) in enumerate(zip_longest(lists, sources)):
        if candidates is None or source is None:
            ended, more = ("list", "source lines") if candidates is None else ("source", "lists")
            raise DataError(
                f"n-best rescoring: the {ended} ends after {number} sentences, but there are more {more}; give the "
                "very lines that were translated"
            )
        yield candidates, source
