"""From rows of measurements to the numbers that tables, plots and verdicts share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

from measure.store import Row
from measure.task import CHANCE

KEPT, FAILED = 0.9, 0.5  # mean recall from which on a length is kept, under which it is failed
SPREAD = 0.19  # BLEU; standard deviation of three seeds: multi30k-de-en with 4,000 steps, recipes/README.md
NOISE = 0.5  # BLEU; what two single runs differ by one time in twenty: 2 * sqrt(2) * SPREAD


@dataclass(frozen=True)
class Recall:
    """One variant at one length, over seeds."""

    shares: list[float]  # a seed that was given up counts as chance
    seeds: list[int]
    given_up: int  # how many of the seeds
    unfinished: int  # how many used up their updates before 99 % came twice in a row
    updates_to_90: float | None  # median; None where most seeds never came there
    cpu_seconds_to_90: float | None

    @property
    def mean(self) -> float:
        return fmean(self.shares)

    @property
    def tried(self) -> bool:
        """With any seed?"""
        return self.given_up < len(self.shares)


Curve = dict[int, Recall]  # by length


def recalls(rows: Iterable[Row], *, most_updates: int) -> dict[str, Curve]:
    """By variant and length, lengths in order."""
    grouped: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        grouped.setdefault((row["identity"]["variant"], row["identity"]["steps"]), []).append(row)
    found: dict[str, Curve] = {}
    for (variant, steps), group in sorted(grouped.items()):
        shares = [CHANCE if row["recall"] is None else row["recall"] for row in group]
        seeds = sorted(row["identity"]["seed"] for row in group)
        given_up = sum(row["recall"] is None for row in group)
        unfinished = sum(row.get("updates") == most_updates for row in group)
        updates, seconds = (_median([row.get(key) for row in group]) for key in ("updates_to_90", "cpu_seconds_to_90"))
        found.setdefault(variant, {})[steps] = Recall(shares, seeds, given_up, unfinished, updates, seconds)
    return found


def keeps(curve: Curve) -> int:
    """The longest length that is kept, as all shorter ones are; 0 if none."""
    longest = 0
    for steps in sorted(curve):
        if curve[steps].mean < KEPT:
            break
        longest = steps
    return longest


def fails_at(curve: Curve) -> int | None:
    """The shortest length that is failed; None if none is."""
    return min((steps for steps, recall in curve.items() if recall.mean < FAILED), default=None)


@dataclass(frozen=True)
class Training:
    """One of the translation runs, over seeds."""

    bleus: list[float]
    rows: list[Row]

    @property
    def mean(self) -> float:
        return fmean(self.bleus)

    def __str__(self) -> str:
        """The mean, and the standard deviation where there are several seeds."""
        return f"{self.mean:.1f}" + (f" ± {stdev(self.bleus):.1f}" if len(self.bleus) > 1 else "")

    def valid(self, key: str) -> list[float]:
        """A value of the validations, mean over seeds, in their order."""
        return [fmean(points) for points in zip(*([at[key] for at in row["valid"]] for row in self.rows), strict=False)]

    def by_length(self) -> dict[str, tuple[int, float]]:
        """Source words -> sentences, and BLEU, mean over seeds."""
        bins = [{found["words"]: found for found in row["by_length"]} for row in self.rows]
        return {
            words: (found["sentences"], fmean(row[words]["bleu"] for row in bins)) for words, found in bins[0].items()
        }


def trainings(rows: Iterable[Row]) -> dict[str, Training]:
    """By the name of the run."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row["identity"]["run"], []).append(row)
    return {name: Training([row["bleu"] for row in group], group) for name, group in grouped.items()}


def reaches(training: Training, ppl: float, key: str) -> float | None:
    """At which step, or after how many seconds, validation perplexity is first at most `ppl`."""
    points = zip(training.valid(key), training.valid("ppl"), strict=True)
    return next((at for at, found in points if found <= ppl), None)


def better(cells: Mapping[str, Training], one: str, other: str) -> str:
    """Whichever of the two ends with the lower perplexity."""
    return min((one, other), key=lambda name: min(cells[name].valid("ppl")))


def running_mean(values: Sequence[float], width: int) -> list[float]:
    """The mean of each value and those before it, `width` in all."""
    return [fmean(values[max(0, end - width) : end]) for end in range(1, len(values) + 1)]


def _median(values: Sequence[float | None]) -> float | None:
    reached = sorted(float("inf") if value is None else value for value in values)
    middle = median(reached)
    return None if middle == float("inf") else middle
