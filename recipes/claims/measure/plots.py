"""The plots of the page, from the same rows as its tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from measure.gradients import CELLS as GRADIENT_CELLS
from measure.numbers import Curve, Training, running_mean
from measure.recall import VARIANTS
from measure.store import Row
from measure.task import CHANCE
from measure.translate import CELLS
from measure.verdicts import titled

COLOURS = {  # of Okabe & Ito, told apart by colour-blind people too; one for a kind of model
    "rnn": "#d55e00",
    "rnn-slow": "#e69f00",
    "gru": "#009e73",
    "lstm": "#0072b2",
    "lnlstm": "#cc79a7",
    "attention": "#000000",
    "convolution": "#56b4e9",
}
WIDTHS = {"attention": 6.0, "gru": 3.5}  # others lie on top of them
Norms = Mapping[tuple[str, str, str], Sequence[float]]


def new_figure(columns: int, rows: int = 1, *, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    """A figure and its axes, row after row."""
    figure = Figure(figsize=(4.6 * columns, height * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for each in axes:
        each.grid(visible=True, alpha=0.3)
    return figure, axes


def save(figure: Figure, path: Path) -> None:
    """As a PNG of all its colours; its bytes depend on the figure alone."""
    figure.set_dpi(100)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    Image.fromarray(pixels).convert("RGB").save(path, optimize=True)


def plot_recall(curves: Mapping[str, Curve], path: Path, *, speed: bool) -> None:
    """Recall by length, the range of the seeds as bars; with `speed`, beside it how long learning took."""
    figure, axes = new_figure(2 if speed else 1, height=4.4)
    for index, (name, curve) in enumerate(curves.items()):
        lengths = [steps for steps in curve if curve[steps].tried]
        colour, title, width = COLOURS[name], VARIANTS[name].title, WIDTHS.get(name, 1.5)
        shift = 1 + 0.04 * (index - (len(curves) - 1) / 2)  # so that lines on top of each other are still seen
        at = [steps * shift for steps in lengths]
        means = [100 * curve[steps].mean for steps in lengths]
        low = [mean - 100 * min(curve[steps].shares) for mean, steps in zip(means, lengths, strict=True)]
        high = [100 * max(curve[steps].shares) - mean for mean, steps in zip(means, lengths, strict=True)]
        axes[0].errorbar(
            at,
            means,
            yerr=[low, high],
            capsize=2,
            color=colour,
            marker="o",
            markersize=4,
            linewidth=width,
            zorder=3 - width / 10,
            label=title,
        )
        if speed:
            updates = {steps: curve[steps].updates_to_90 for steps in lengths}
            reached = {steps: count for steps, count in updates.items() if count is not None}
            reached_at = [steps * shift for steps in reached]
            axes[1].plot(reached_at, list(reached.values()), color=colour, marker="o", markersize=4)
    axes[0].axhline(100 * CHANCE, color="grey", linestyle=":", label="chance")
    axes[0].set(ylim=(0, 104), ylabel="first symbol recalled (%)")
    if speed:
        axes[1].set(ylim=(0, None), ylabel="updates until 90 % are recalled")
    for each in axes:
        _lengths_axis(each, sorted({steps for curve in curves.values() for steps in curve}))
    figure.legend(loc="outside lower center", ncols=3 if speed else 1, fontsize=8)
    save(figure, path)


def plot_reading_along(runs: Mapping[str, Training], path: Path) -> None:
    """BLEU by wait, and those that read the whole sentence first."""
    figure, [axes] = new_figure(1)
    waits = sorted(int(name.rpartition("-")[2]) for name in runs if name.startswith("read-along-"))
    bleus = [runs[f"read-along-{wait}"].mean for wait in waits]
    axes.plot(waits, bleus, marker="o", color=COLOURS["rnn"], label="one network, translating while it reads")
    for name, colour, title in (
        ("vector-lstm", COLOURS["lstm"], "encoder-decoder, vector alone"),
        ("attention-lstm", COLOURS["attention"], "encoder-decoder with attention"),
    ):
        axes.axhline(runs[name].mean, color=colour, linestyle="--", label=title)
    axes.set(xlabel="wait (tokens that writing lags behind reading)", ylabel="BLEU", ylim=(0, None))
    figure.legend(loc="outside lower center", fontsize=8)
    save(figure, path)


def plot_convergence(runs: Mapping[str, Training], path: Path) -> None:
    """Validation perplexity by steps and by time, without and with attention."""
    figure, axes = new_figure(2, 2, height=3.2)
    kinds = (("vector", "sentence vector alone"), ("attention", "with attention"))
    for row, (kind, title) in enumerate(kinds):
        for column, (key, label) in enumerate((("step", "steps"), ("seconds", "seconds of training"))):
            each = axes[2 * row + column]
            for cell, name in CELLS.items():
                run = runs[f"{kind}-{cell}"]
                each.plot(run.valid(key), run.valid("ppl"), color=COLOURS[cell], label=name, marker=".", markersize=5)
            each.set(title=title, xlabel=label, ylabel="validation perplexity", yscale="log")
            _plain_log_labels(each)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    save(figure, path)


def plot_reversal(runs: Mapping[str, Training], path: Path) -> None:
    """BLEU by source length, source read forward and reversed."""
    figure, axes = new_figure(2)
    for each, kind, title in zip(
        axes, ("vector", "attention"), ("sentence vector alone", "with attention"), strict=True
    ):
        for way, colour, shift in (("forward", COLOURS["lstm"], -0.2), ("reversed", COLOURS["rnn-slow"], 0.2)):
            found = runs[f"{way}-{kind}"].by_length()
            at = [index + shift for index in range(len(found))]
            each.bar(at, [bleu for _, bleu in found.values()], width=0.38, color=colour, label=f"source {way}")
            each.set_xticks(range(len(found)), list(found))
        each.set(title=title, xlabel="words of the source", ylabel="BLEU")
        each.grid(visible=False, axis="x")
    top = max(each.get_ylim()[1] for each in axes)
    for each in axes:
        each.set_ylim(0, top)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    save(figure, path)


def plot_gradients(norms: Norms, updates: int, path: Path) -> None:
    """Gradient norms on their way back: by initialisation for each cell, and after so many updates of training."""
    figure, axes = new_figure(3, 2, height=3.2)
    *fresh, trained, legends = axes
    ways = {
        "library": ("ours (orthogonal; forget bias 1)", "-"),
        "torch": ("torch's", "--"),
        "large": ("too large", ":"),
    }
    for each, (cell, title) in zip(fresh, GRADIENT_CELLS.items(), strict=True):
        for way, (_, dashes) in ways.items():
            each.plot(_relative(norms["fresh", cell, way]), color=COLOURS[cell], linestyle=dashes)
        each.set(title=f"{title}, fresh")
        trained.plot(_relative(norms["trained", cell, "library"]), color=COLOURS[cell], label=title)
    trained.set(title=f"trained {updates} updates")
    for each in (*fresh, trained):
        each.set(xlabel="steps before the end", ylabel="gradient norm (end: 1)", yscale="log", ylim=(1e-30, 1e6))
    legends.axis("off")
    handles = [Line2D([], [], color="black", ls=dashes, label=title) for title, dashes in ways.values()]
    legends.add_artist(legends.legend(handles=handles, title="initialisation", loc="upper center", fontsize=9))
    legends.legend(*trained.get_legend_handles_labels(), title="cell", loc="lower center", fontsize=9)
    save(figure, path)


def plot_clipping(rows: Sequence[Row], path: Path) -> None:
    """Loss and gradient norm by update, a column an optimizer; a line a seed."""
    optimizers = sorted({row["identity"]["optimizer"] for row in rows}, reverse=True)
    figure, axes = new_figure(len(optimizers), 2, height=2.9)
    titles = {"free": ("without clipping", COLOURS["rnn"]), "clipped": ("clipped to 1", COLOURS["lstm"])}
    for row in rows:
        column = optimizers.index(row["identity"]["optimizer"])
        title, colour = titles[row["identity"]["gradient"]]
        label = title if row["identity"]["seed"] == 1 else None
        axes[column].plot(running_mean(row["losses"], 20), color=colour, label=label, linewidth=1)
        axes[len(optimizers) + column].plot(_largest(row["norms"], 10), color=colour, linewidth=1)
    for column, optimizer in enumerate(optimizers):
        axes[column].set(title=titled(optimizer), ylabel="loss (mean of 20 updates)", yscale="log")
        _plain_log_labels(axes[column])
        below = axes[len(optimizers) + column]
        below.set(xlabel="updates", ylabel="gradient norm (largest of 10)", yscale="log")
        _plain_log_labels(below)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    save(figure, path)


def _relative(norms: Sequence[float]) -> list[float]:
    return [norm / norms[0] for norm in norms]


def _largest(values: Sequence[float], width: int) -> list[float]:
    return [max(values[max(0, end - width) : end]) for end in range(1, len(values) + 1)]


def _lengths_axis(axes: Axes, lengths: Sequence[int]) -> None:
    axes.set(xscale="log", xlim=(lengths[0] / 1.2, lengths[-1] * 1.2))
    axes.set_xticks(lengths, [str(steps) for steps in lengths])
    axes.minorticks_off()
    axes.set_xlabel("steps after the first symbol")


def _plain_log_labels(axes: Axes) -> None:
    """1, 2, 5, 10 ... in place of powers, unless they would be too few or too many."""
    low, high = axes.get_ylim()
    ticks = [digit * 10.0**power for power in range(-3, 7) for digit in (1, 2, 5)]
    inside = [tick for tick in ticks if low <= tick <= high]
    if 2 <= len(inside) <= 7:
        axes.set_yticks(inside, [f"{tick:g}" for tick in inside])
        axes.minorticks_off()
