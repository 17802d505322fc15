"""recipes/claims: from measurements to numbers, and from numbers to verdicts."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from measure import verdicts
from measure.numbers import Curve, Recall, Training, fails_at, keeps, reaches, recalls
from measure.recall_page import NEAR, recall_sections
from measure.store import Row
from measure.task import CHANCE


def curve(**shares: float | list[float]) -> Curve:
    """curve(n10=0.9) recalls 90 % after 10 steps."""
    lists = {int(name[1:]): share if isinstance(share, list) else [share] for name, share in shares.items()}
    return {
        steps: Recall(found, [1, 2, 3][: len(found)], 0, 0, 100.0 if min(found) >= 0.9 else None, 1.0)
        for steps, found in lists.items()
    }


def test_lengths_kept_and_failed() -> None:
    found = curve(n10=1.0, n25=[0.99, 0.85], n50=0.6, n100=0.49, n200=0.95)
    assert keeps(found) == 25  # the mean counts, and nothing after the first gap
    assert fails_at(found) == 100
    assert keeps(curve(n10=0.89)) == 0
    assert fails_at(curve(n10=1.0, n25=0.5)) is None


def test_what_was_given_up_counts_as_chance_and_what_never_came_has_no_time() -> None:
    def row(seed: int, share: float | None, updates: int | None) -> Row:
        identity = {"variant": "rnn", "steps": 50, "seed": seed}
        used = None if share is None else 600 if updates else 1500
        times = {"updates_to_90": updates, "cpu_seconds_to_90": updates}
        return {"identity": identity, "recall": share, "updates": used, **times}

    def curves(*rows: Row) -> dict[str, Curve]:
        return recalls(rows, most_updates=1500)

    [found] = curves(row(1, None, None), row(2, 0.5, None), row(3, 1.0, 150))["rnn"].values()
    assert found.mean == pytest.approx((CHANCE + 0.5 + 1.0) / 3)
    assert found.tried
    assert (found.seeds, found.given_up, found.unfinished) == ([1, 2, 3], 1, 1)
    assert found.updates_to_90 is None
    [found] = curves(row(1, 1.0, 100), row(2, 0.5, None), row(3, 1.0, 150))["rnn"].values()
    assert found.updates_to_90 == 150
    assert not curves(row(1, None, None))["rnn"][50].tried


def training(test: float, *ppls: float, pace: float = 1.0, bleu: float = 1.0) -> Training:
    points = [{"step": 10 * n, "seconds": pace * n, "ppl": ppl, "bleu": bleu} for n, ppl in enumerate(ppls, start=1)]
    return Training([test], [{"valid": points}])


def test_when_a_perplexity_is_reached() -> None:
    found = training(20.0, 9.0, 7.0, 5.0, 6.0, pace=3.0)
    assert reaches(found, 7.0, "step") == 20
    assert reaches(found, 6.0, "seconds") == 9.0
    assert reaches(found, 4.0, "step") is None


# --- the page ---


def test_the_page_says_where_seeds_are_fewer_and_where_they_were_given_up(tmp_path: Path) -> None:
    def row(variant: str, steps: int, seed: int, share: float | None) -> Row:
        return {"identity": {"variant": variant, "steps": steps, "seed": seed}, "recall": share}

    rows = [row(name, steps, seed, 0.5) for name in NEAR for steps in (10, 25) for seed in (1, 2, 3)]
    assert "mean over 3 seeds (in" in recall_sections(rows, tmp_path)[0]
    fewer = [found for found in rows if found["identity"] != {"variant": "lstm", "steps": 25, "seed": 3}]
    assert "mean over 3 seeds; LSTM over 25 steps: seeds 1, 2 alone (in" in recall_sections(fewer, tmp_path)[0]
    given_up = [*rows[:-1], row("lstm", 25, 3, None)]
    _, shares, note, *_ = recall_sections(given_up, tmp_path)
    assert "| LSTM | 50 | 38 (12–50)† |" in shares
    assert note.endswith("LSTM over 25: 1 of 3 seeds.")


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
    [((10.0, 20.0), verdicts.HOLDS), ((10.0, 24.5), verdicts.IN_PART), ((24.6, 26.0), verdicts.FALSE)],
)
def test_verdict_on_reading_along(waits: tuple[float, float], word: str) -> None:
    runs = {f"read-along-{wait}": training(bleu, 5.0) for wait, bleu in enumerate(waits)}
    assert verdicts.reading_along({"vector-lstm": training(25.0, 5.0), **runs}).word == word


def test_what_translates_while_it_reads_is_chosen_by_validation_and_perplexity_is_said() -> None:
    runs = {"read-along-0": training(30.0, 9.0), "read-along-1": training(29.0, 8.0, bleu=2.0)}
    why = verdicts.reading_along({"vector-lstm": training(25.0, 8.5), **runs}).why
    assert "with a wait of 1, 29.0." in why
    assert "(8.50) beats 1 of the 2 waits (the best: wait 1, 8.00)" in why


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


@pytest.mark.parametrize(("pace", "tie"), [(1.3, False), (1.4, True), (1.6, True), (1.7, False)])
def test_a_time_less_than_a_tenth_apart_is_a_tie(pace: float, tie: bool) -> None:
    runs = {
        f"{kind}-{cell}": training(9.0, 9.0, 8.0, 7.0)
        for kind in ("vector", "attention")
        for cell in ("rnn", "rnn-slow")
    }
    runs |= {f"{kind}-lstm": training(9.0, 9.0, 7.0, pace=pace) for kind in ("vector", "attention")}
    assert ("(RNN 3, a tie)" in verdicts.convergence(runs).why) is tie


def clipping_rows(free: list[float], clipped: list[float]) -> list[Row]:
    return [
        {"identity": {"optimizer": "sgd 1", "gradient": kind, "seed": seed}, "losses": [end] * 60}
        for kind, ends in (("free", free), ("clipped", clipped))
        for seed, end in enumerate(ends)
    ]


@pytest.mark.parametrize(
    ("free", "clipped", "word", "learns"),
    [
        ([1.2, 1.3, 400.0], [0.1, 0.2, 0.3], verdicts.HOLDS, True),
        ([3.0, 5.0, 400.0], [2.2, 2.3, 2.4], verdicts.FALSE, False),  # lower, but worse than guessing
        ([0.1, 0.2, 400.0], [0.2, 0.2, 0.2], verdicts.FALSE, True),  # one seed that exploded is no median
    ],
)
def test_verdict_on_clipping(free: list[float], clipped: list[float], word: str, learns: bool) -> None:
    verdict = verdicts.clipping(clipping_rows(free, clipped))
    assert verdict.word == word
    assert ("neither learns" not in verdict.why) is learns


@pytest.mark.parametrize(
    ("ours", "torchs", "word"),
    [(0.99, 0.5, verdicts.HOLDS), (0.8, 0.5, verdicts.IN_PART), (0.5, 0.5, verdicts.FALSE)],
)
def test_verdict_on_initialisation_tells_more_from_enough(ours: float, torchs: float, word: str) -> None:
    factors = {
        ("fresh", "library"): ours,
        ("fresh", "torch"): torchs,
        ("fresh", "large"): 1.0,
        ("trained", "library"): 0.5,
    }
    cells = ("rnn", "gru", "lstm")
    norms = {
        (what, cell, way): [factor**n for n in range(101)] for (what, way), factor in factors.items() for cell in cells
    }
    trained = {cell: {"recall": 0.25, "updates": 400} for cell in cells}
    verdict = verdicts.initialisation(norms, trained)
    assert verdict.word == word
    assert "Trained 400 updates: simple RNN 8e-31 (recalls 25 %)" in verdict.why
