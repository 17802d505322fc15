"""Figures of gradients, gates and attention. The only place that needs matplotlib, an optional extra.

Figures are made without pyplot, which keeps a global state and may look for a screen.
"""

import io
import warnings
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font_names
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from torch import Tensor

from nmt.report.gates import GATES, GateSummary
from nmt.report.gradients import StepNorms

DPI = 130
INCHES_A_LABEL, MOST_LABELS = 0.27, 120
# Matplotlib's own font has no Chinese, Japanese or Korean; one of these, where it is installed, takes over for them.
FURTHER_FONTS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "Source Han Sans", "WenQuanYi Zen Hei", "PingFang SC")
STYLES = {"h": "-", "c": "--"}
LOSS_WORDS = {False: "the whole sentence's loss", True: "the last target token's loss"}
CLOSED, BETWEEN, OPEN = "#3b5b92", "#d9d9d9", "#e08e45"


def png(figure: Figure) -> bytes:
    """The figure as a PNG file; a sign that no font has becomes a box."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        FigureCanvasAgg(figure)  # becomes the figure's own
        figure.savefig(content, format="png")
    return content.getvalue()


def gradients_by_step(layers: Sequence[StepNorms], *, last_only: bool) -> Figure:
    """Gradient norm of the states by step, a line a layer and state, encoder and decoder side by side.

    Steps that fewer than half of the sentences have are left out: their mean is over too few.
    """
    rooms = list(dict.fromkeys(layer.layer.split(" ")[0] for layer in layers))
    figure = _figure(1.5 + 4.8 * len(rooms), 4.8)
    panels = figure.subplots(1, len(rooms), sharey=True, squeeze=False)[0]
    positive = torch.cat([layer.by_step[layer.by_step > 0.0] for layer in layers])
    many_decades = len(positive) > 0 and float(positive.max() / positive.min()) > 1e5
    for room, axes in zip(rooms, panels, strict=True):
        inside = [layer for layer in layers if layer.layer.split(" ")[0] == room]
        names = list(dict.fromkeys(layer.layer for layer in inside))
        for layer in inside:
            kept = layer.by_step[layer.sentences * 2 >= len(layer.lengths)].numpy()
            values = np.where(kept > 0.0, kept, np.nan)  # a logarithm knows no 0
            steps = np.arange(1, len(values) + 1)
            color = f"C{names.index(layer.layer)}"
            axes.plot(
                steps, values, STYLES[layer.state], color=color, marker=".", label=f"{layer.layer}, {layer.state}"
            )
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if many_decades else (1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("step, in the order in which the layer reads")
        axes.set_title(room, fontsize="medium")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    panels[0].set_ylabel("norm of the gradient (nats per unit of state)")
    sentences = len(layers[0].lengths)
    mean = f", mean over {sentences} sentences" if sentences > 1 else ""
    figure.suptitle(f"How strongly a state at each step bears on\n{LOSS_WORDS[last_only]}{mean}")
    return figure


def gradients_by_layer(norms: Mapping[str, float], *, last_only: bool) -> Figure:
    """Gradient norm of the weights, a bar a layer, from the source's side on top to the output."""
    figure = _figure(8.0, 1.3 + 0.32 * len(norms))
    axes = figure.subplots()
    bars = axes.barh(list(norms), list(norms.values()), color=CLOSED)
    axes.bar_label(bars, fmt="%.3g", padding=3, fontsize="small")
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("norm of the gradient of the mean loss a token (nats per unit of weight)")
    axes.set_title(f"Gradient of {LOSS_WORDS[last_only]} for the weights of each layer")
    return figure


def gates_of_layer(layer: str, gates: Sequence[GateSummary], tokens: Sequence[str]) -> Figure:
    """For each gate of a layer: how its units spread at each step, and how many of them stand near either end."""
    figure = _figure(2 * (2.2 + _length(tokens)), 1.6 + 1.9 * len(gates))
    panels = figure.subplots(len(gates), 2, sharex=True, squeeze=False)
    most = max(float(gate.histogram.max()) for gate in gates)
    for gate, (spread, ends) in zip(gates, panels, strict=True):
        _spread(spread, gate, most)
        _ends(ends, gate)
    for axes in panels[-1]:
        _label(axes.xaxis, tokens, rotation=90)
    figure.colorbar(panels[0][0].images[0], ax=panels[:, 0], label="share of the units", shrink=0.7)
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower left", fontsize="small")
    figure.legend(*panels[0][1].get_legend_handles_labels(), loc="outside lower right", ncols=3, fontsize="small")
    figure.suptitle(f"Gates of {layer}, token by token in the order in which it reads")
    return figure


def _spread(axes: Axes, gate: GateSummary, most: float) -> None:
    kind = GATES[gate.name]
    extent = (-0.5, len(gate.mean) - 0.5, kind.least, 1.0)
    axes.imshow(gate.histogram.numpy(), origin="lower", aspect="auto", extent=extent, cmap="Greys", vmin=0.0, vmax=most)
    axes.plot(gate.mean.numpy(), color=OPEN, marker=".", label="mean of the units")
    axes.set_ylim(kind.least, 1.0)
    axes.set_ylabel(f"activation of {gate.name}")
    axes.set_title(f"{gate.name}, {kind.meaning}", fontsize="medium")


def _ends(axes: Axes, gate: GateSummary) -> None:
    least = GATES[gate.name].least
    tenth = (1.0 - least) / 10
    below, above = gate.near_least.numpy(), gate.near_most.numpy()
    steps = np.arange(len(below))
    axes.bar(steps, below, color=CLOSED, label="within a tenth of the least")
    axes.bar(steps, 1.0 - below - above, bottom=below, color=BETWEEN, label="between")
    axes.bar(steps, above, bottom=1.0 - above, color=OPEN, label="within a tenth of the most")
    axes.set_ylim(0.0, 1.0)
    axes.set_ylabel("share of the units")
    axes.set_title(f"{gate.name} below {least + tenth:g}, between, above {1.0 - tenth:g}", fontsize="medium")


def attention_map(shares: Tensor, src_tokens: Sequence[str], tgt_tokens: Sequence[str]) -> Figure:
    """Where each target token's context comes from: shares (T, S)."""
    figure = _figure(2.5 + _length(src_tokens), 1.8 + _length(tgt_tokens))
    axes = figure.subplots()
    image = axes.imshow(shares.numpy(), cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    _label(axes.xaxis, src_tokens, rotation=90)
    _label(axes.yaxis, tgt_tokens, rotation=0)
    axes.set_xlabel("source token, read")
    axes.set_ylabel("target token, written")
    axes.set_title("Attention: where a token's context comes from")
    figure.colorbar(image, label="share of the context")
    return figure


def _figure(width: float, height: float) -> Figure:
    """Sizes in inches."""
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def _length(tokens: Sequence[str]) -> float:
    """Inches of an axis with a label for each token, or for every second, third ... of very many."""
    return max(3.0, INCHES_A_LABEL * min(len(tokens), MOST_LABELS))


def _label(axis: Axis, tokens: Sequence[str], *, rotation: int) -> None:
    labelled = range(0, len(tokens), -(-len(tokens) // MOST_LABELS))
    axis.set_ticks(
        labelled,
        [tokens[index] for index in labelled],
        rotation=rotation,
        fontsize="small",
        fontfamily=_fonts(),
        parse_math=False,  # a "$" in a text is a dollar
    )


@cache
def _fonts() -> list[str]:
    installed = set(get_font_names())
    return ["DejaVu Sans", *(name for name in FURTHER_FONTS if name in installed)]
