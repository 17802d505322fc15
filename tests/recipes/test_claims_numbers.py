"""recipes/claims: from measurements to numbers, and from numbers to verdicts."""

from collections.abc import Mapping

import pytest
from measure import verdicts
from measure.numbers import Curve, Recall, Training, fails_at, keeps, reaches, recalls
from measure.store import Row
from measure.task import CHANCE


def curve(**shares: float | list[float]) -> Curve:
    """curve(n10=0.9) recalls 90 % after 10 steps."""
    lists = {int(name[1:]): share if isinstance(share, list) else [share] for name, share in shares.items()}
    return {steps: Recall(found, True, 100.0 if min(found) >= 0.9 else None, 1.0) for steps, found in lists.items()}


def test_lengths_kept_and_failed() -> None:
    found = curve(n10=1.0, n25=[0.99, 0.85], n50=0.6, n100=0.49, n200=0.95)
    assert keeps(found) == 25  # the mean counts, and nothing after the first gap
    assert fails_at(found) == 100
    assert keeps(curve(n10=0.89)) == 0
    assert fails_at(curve(n10=1.0, n25=0.5)) is None


def test_what_was_given_up_counts_as_chance_and_what_never_came_has_no_time() -> None:
    def row(seed: int, share: float | None, updates: int | None) -> Row:
        identity = {"variant": "rnn", "steps": 50, "seed": seed}
        return {"identity": identity, "recall": share, "updates_to_90": updates, "cpu_seconds_to_90": updates}

    [found] = recalls([row(1, None, None), row(2, 0.5, None), row(3, 1.0, 150)])["rnn"].values()
    assert found.mean == pytest.approx((CHANCE + 0.5 + 1.0) / 3)
    assert found.tried
    assert found.updates_to_90 is None
    [found] = recalls([row(1, 1.0, 100), row(2, 0.5, None), row(3, 1.0, 150)])["rnn"].values()
    assert found.updates_to_90 == 150
    assert not recalls([row(1, None, None)])["rnn"][50].tried


def training(bleu: float, *ppls: float, pace: float = 1.0) -> Training:
    points = [{"step": 10 * n, "seconds": pace * n, "ppl": ppl, "bleu": 1.0} for n, ppl in enumerate(ppls, start=1)]
    return Training([bleu], [{"valid": points}])


def test_when_a_perplexity_is_reached() -> None:
    found = training(20.0, 9.0, 7.0, 5.0, 6.0, pace=3.0)
    assert reaches(found, 7.0, "step") == 20
    assert reaches(found, 6.0, "seconds") == 9.0
    assert reaches(found, 4.0, "step") is None


# --- verdicts ---

GOOD, BAD = curve(n10=1.0, n25=1.0, n200=1.0), curve(n10=0.95, n25=0.2, n200=0.1)


@pytest.mark.parametrize(
    ("curves", "word"),
    [
        ({"rnn": BAD, "rnn-slow": curve(n10=0.2), "gru": GOOD, "lstm": GOOD}, verdicts.IN_PART),  # all learn as fast
        ({"rnn": curve(n10=0.2), "rnn-slow": curve(n10=0.2), "gru": GOOD, "lstm": GOOD}, verdicts.HOLDS),
        ({"rnn": curve(n10=0.2), "rnn-slow": GOOD, "gru": GOOD, "lstm": BAD}, verdicts.FALSE),
    ],
)
def test_verdict_on_forgetting(curves: Mapping[str, Curve], word: str) -> None:
    assert verdicts.forgetting(curves).word == word


@pytest.mark.parametrize(
    ("lstm", "other", "word"),
    [(BAD, GOOD, verdicts.HOLDS), (GOOD, GOOD, verdicts.IN_PART), (GOOD, BAD, verdicts.FALSE)],
)
def test_verdict_on_distance(lstm: Curve, other: Curve, word: str) -> None:
    assert verdicts.distance({"lstm": lstm, "attention": other, "convolution": other}).word == word


@pytest.mark.parametrize(
    ("waits", "word"),
    [((10.0, 20.0), verdicts.HOLDS), ((10.0, 24.5), verdicts.IN_PART), ((24.4, 26.0), verdicts.FALSE)],
)
def test_verdict_on_reading_along(waits: tuple[float, float], word: str) -> None:
    runs = {f"read-along-{wait}": training(bleu, 5.0) for wait, bleu in enumerate(waits)}
    assert verdicts.reading_along({"vector-lstm": training(25.0, 5.0), **runs}).word == word


@pytest.mark.parametrize(("pace", "word"), [(0.9, verdicts.HOLDS), (2.0, verdicts.IN_PART)])
def test_verdict_on_convergence_looks_at_steps_and_at_time(pace: float, word: str) -> None:
    runs = {}
    for kind in ("vector", "attention"):
        runs[f"{kind}-rnn"], runs[f"{kind}-rnn-slow"] = training(9.0, 9.0, 8.0, 7.0), training(9.0, 9.0, 9.0, 9.0)
        runs[f"{kind}-lstm"] = training(9.0, 8.0, 6.0, 5.0, pace=pace)
    assert verdicts.convergence(runs).word == word


@pytest.mark.parametrize(
    ("vector", "attention", "word"),
    [(1.0, 0.1, verdicts.HOLDS), (1.0, 1.0, verdicts.IN_PART), (0.1, 1.0, verdicts.FALSE)],
)
def test_verdict_on_reversal(vector: float, attention: float, word: str) -> None:
    forward = {"forward-vector": training(20.0, 5.0), "forward-attention": training(30.0, 5.0)}
    turned = {"reversed-vector": training(20.0 + vector, 5.0), "reversed-attention": training(30.0 + attention, 5.0)}
    assert verdicts.reversal(forward | turned).word == word
