"""Claims 1 and 2 on the page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from measure import plots, verdicts
from measure.markdown import MISSING, image, table
from measure.numbers import Curve, Recall, fails_at, keeps, recalls
from measure.recall import GIVE_UP_AFTER, LOST, VARIANTS, recall_recipe
from measure.store import Row
from measure.verdicts import percent

NEAR, FAR = ("rnn", "rnn-slow", "gru", "lstm"), ("gru", "lstm", "attention", "convolution")

RECALL = """## 1. A simple RNN forgets the start of a sequence; LSTM and GRU keep it longer, and learn faster

Measured: the encoder reads one of eight symbols, then n more, drawn at random from the same eight. The decoder, which
sees nothing but the encoder's last state, is to name the first. Only its place marks it; chance is 12.5 %.

Sizes and learning are those of [recall.toml](recall.toml), the same for all: fresh sequences in each update, every
other batch of fewer than n steps, at most {updates} updates, an earlier end when 99 % are recalled twice in a row. So
this is a measure of what is learned within these updates as well as of what is kept: a model whose updates are used
up counts as it stood then.

Recall is that of 512 other sequences of n steps, mean over {seeds} (in brackets the least and the most, where they
differ). A seed that had recalled less than {lost} at {lengths} shorter lengths is given up: it counts as chance and is
marked. "Keeps" is the longest length up to which mean recall is at least 90 %, "fails at" the first with less than
50 %. Updates and CPU seconds until 90 % are the median of the seeds. In the plots the points of one length stand a
little apart.
"""

DISTANCE = """## 2. Even an LSTM struggles past about 100 steps; attention and a convolutional encoder do not

Measured: the same task and the same LSTM decoder, which now may look back at the source. The convolutional encoder has
two layers, of three positions each, and knows a symbol's place by its position embedding.
"""


def recall_sections(rows: Sequence[Row], folder: Path) -> list[str]:
    """Both claims, and their plots in `folder`."""
    updates = recall_recipe().train.max_steps
    found = recalls(rows, most_updates=updates)
    curves = {name: found[name] for name in VARIANTS if name in found}
    near, far = ({name: curves[name] for name in names if name in curves} for names in (NEAR, FAR))
    sections = [RECALL.format(updates=f"{updates:,}", seeds=_seeds(curves), lost=percent(LOST), lengths=GIVE_UP_AFTER)]
    if set(NEAR) <= near.keys():
        plots.plot_recall(near, folder / "recall.png", speed=True)
        sections += [_shares(near), _given_up(near), _speeds(near)]
        sections += [image("recall by length, and updates it takes", "recall.png"), str(verdicts.forgetting(near))]
    else:
        sections += [MISSING]
    sections += [DISTANCE]
    if set(FAR) <= far.keys():
        plots.plot_recall(far, folder / "distance.png", speed=False)
        sections += [_shares(far), _given_up(far)]
        sections += [image("recall by length", "distance.png"), str(verdicts.distance(far))]
    else:
        sections += [MISSING]
    return [section for section in sections if section]


def _seeds(curves: Mapping[str, Curve]) -> str:
    """How many, and where they are others than elsewhere."""
    cells = {(name, steps): found.seeds for name, curve in curves.items() for steps, found in curve.items()}
    every = sorted({seed for seeds in cells.values() for seed in seeds})
    fewer = [
        f"{VARIANTS[name].title} over {steps} steps: seeds {', '.join(map(str, seeds))} alone"
        for (name, steps), seeds in cells.items()
        if seeds != every
    ]
    return "; ".join([f"{len(every) or 'several'} seeds", *fewer])


def _given_up(curves: Mapping[str, Curve]) -> str:
    said = [
        f"{VARIANTS[name].title} over {steps}: {found.given_up} of {len(found.seeds)} seeds"
        for name, curve in curves.items()
        for steps, found in curve.items()
        if found.given_up
    ]
    return f"† given up, counted as chance: {'; '.join(said)}." if said else ""


def _shares(curves: Mapping[str, Curve]) -> str:
    lengths = sorted({steps for curve in curves.values() for steps in curve})
    head = ["recall (%) after", *(f"{steps}" for steps in lengths), "keeps", "fails at"]
    body = []
    for name, curve in curves.items():
        shares = [_share(curve[steps]) if steps in curve else "" for steps in lengths]
        body.append([VARIANTS[name].title, *shares, str(keeps(curve) or "none"), str(fails_at(curve) or "none")])
    return table(head, body)


def _share(recall: Recall) -> str:
    mean, low, high = (f"{100 * share:.0f}" for share in (recall.mean, min(recall.shares), max(recall.shares)))
    return mean + (f" ({low}–{high})" if low != high else "") + ("†" if recall.given_up else "")


def _speeds(curves: Mapping[str, Curve]) -> str:
    lengths = sorted({steps for curve in curves.values() for steps in curve})
    head = ["updates (CPU seconds) until 90 %", *(f"{steps}" for steps in lengths)]
    body = []
    for name, curve in curves.items():
        found = [curve.get(steps) for steps in lengths]
        body.append([VARIANTS[name].title, *(_speed(recall) if recall else "" for recall in found)])
    return table(head, body)


def _speed(recall: Recall) -> str:
    if recall.updates_to_90 is None:
        return "never"
    return f"{recall.updates_to_90:,.0f} ({recall.cpu_seconds_to_90:,.1f})"
