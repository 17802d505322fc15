"""A look into the model of a run: plots and numbers in a folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from torch import Tensor

from nmt.data.batches import Batch, collate
from nmt.data.tokenizer import TokenizerPair
from nmt.errors import DataError
from nmt.report.gates import GATES, GateSummary, summarise
from nmt.report.gradients import StepNorms, state_gradients, weight_gradients
from nmt.report.plots import attention_map, gates_of_layer, gradients_by_layer, gradients_by_step, png
from nmt.report.tracing import LayerTrace, Traced, trace_batch
from nmt.run_dir import SavedModel, load_model, write_bytes, write_json
from nmt.train.prepare import open_valid
from nmt.translator import Translator

SENTENCES = 32  # of the validation set, where there are so many
REPORT = "report.json"


@dataclass(frozen=True)
class LayerGates:
    """A layer's gates over the example's steps, and the tokens that it reads at them."""

    layer: str
    tokens: list[str]
    gates: list[GateSummary]


@dataclass(frozen=True)
class Example:
    """The sentence whose gates and attention are shown, in tokens; attention (T, S): shares, if there are any."""

    src: list[str]
    tgt: list[str]
    layers: list[LayerGates]
    attention: Tensor | None


@dataclass(frozen=True)
class Findings:
    """All that plots and report are made of; the example is one of the sentences."""

    sentences: int
    last_only: bool
    nll: float
    states: list[StepNorms]
    weights: dict[str, float]
    example: Example


def inspect_run(run: Path, folder: Path, *, text: str | None, last_only: bool, console: Console) -> None:
    """Write plots and report.json into `folder`, and show the gradient norms at both ends of each layer.

    Of `text` and its translation or, without one, of sentences of the validation set.
    Raises CheckpointError where the run cannot be read, DataError where the text is missing or blank.
    """
    saved = load_model(run)
    pairs = _validation_pairs(saved) if text is None else [(text, _translated(saved, text))]
    findings = look_into(saved, pairs, last_only=last_only)
    files = {name: png(figure) for name, figure in _figures(findings)}
    for name, content in files.items():
        write_bytes(folder / name, content)
    write_json(folder / REPORT, {"run": str(run), "files": list(files), **_as_json(findings)})
    _show(findings, console)
    console.print(f"{folder}: {', '.join([*files, REPORT])}", soft_wrap=True, highlight=False, markup=False)
    for line in _what_there_is_not(findings):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def look_into(saved: SavedModel, pairs: Sequence[tuple[str, str]], *, last_only: bool) -> Findings:
    """Gradients of all pairs, source and target text; gates and attention of the first."""
    batch = collate(*saved.tokenizers.encode_pairs([src for src, _ in pairs], [tgt for _, tgt in pairs]))
    traced = trace_batch(saved.model, batch)
    return Findings(
        sentences=len(pairs),
        last_only=last_only,
        nll=float(traced.nll.detach().mean()),
        states=state_gradients(traced, last_only=last_only),
        weights=weight_gradients(saved.model, traced, last_only=last_only),
        example=_example(traced, batch, saved.tokenizers),
    )


def _validation_pairs(saved: SavedModel) -> list[tuple[str, str]]:
    """Pairs of like length, so that means by step are over like sentences; longer than three quarters of the set."""
    pairs = open_valid(saved.recipe.data).pairs
    sentences = list(zip(pairs["src"], pairs["tgt"], strict=True))
    sentences.sort(key=lambda pair: (len(saved.tokenizers.tgt.encode(pair[1])), len(pair[0])))
    begin = max(0, min(len(sentences) * 3 // 4, len(sentences) - SENTENCES))
    return sentences[begin : begin + SENTENCES]


def _translated(saved: SavedModel, text: str) -> str:
    if not saved.tokenizers.src.encode(text):
        raise DataError("--text: blank; give a sentence to look at, or leave --text out for the validation set's")
    [translation] = Translator(saved.model, saved.tokenizers, saved.recipe.search).translate([text])
    return translation


def _example(traced: Traced, batch: Batch, tokenizers: TokenizerPair) -> Example:
    src = tokenizers.src.tokens(batch.src[0, : batch.src_lengths[0]].tolist())
    tgt = tokenizers.tgt.tokens(batch.tgt_out[0, : batch.tgt_lengths[0]].tolist())
    return Example(
        src=src,
        tgt=tgt,
        layers=[_layer_gates(layer, tokenizers) for layer in traced.layers],
        attention=None if traced.attention is None else traced.attention[0, : len(tgt), : len(src)],
    )


def _layer_gates(layer: LayerTrace, tokenizers: TokenizerPair) -> LayerGates:
    steps = int(layer.lengths[0])
    sides = {"src": tokenizers.src, "tgt": tokenizers.tgt}
    read = [sides[side].tokens(ids[0, :steps].tolist()) for side, ids in layer.read.items()]
    return LayerGates(
        layer=layer.name,
        tokens=[" ".join(tokens) for tokens in zip(*read, strict=True)],
        gates=[summarise(name, layer.gates[name][0, :steps]) for name in GATES if name in layer.gates],
    )


def _figures(findings: Findings) -> Iterator[tuple[str, Figure]]:
    """By file name."""
    example = findings.example
    yield "gradients.png", gradients_by_step(findings.states, last_only=findings.last_only)
    yield "layers.png", gradients_by_layer(findings.weights, last_only=findings.last_only)
    for layer in example.layers:
        if layer.gates:
            name = f"gates-{layer.layer.replace(' ', '-')}.png"
            yield name, gates_of_layer(layer.layer, layer.gates, layer.tokens)
    if example.attention is not None:
        yield "attention.png", attention_map(example.attention, example.src, example.tgt)


def _what_there_is_not(findings: Findings) -> Iterator[str]:
    if findings.example.attention is None:
        yield "no attention.png: this model has no attention"
    if not any(layer.gates for layer in findings.example.layers):
        yield "no gates-*.png: the cells of this model have no gates"


def _as_json(findings: Findings) -> dict[str, Any]:
    example = findings.example
    return {
        "sentences": findings.sentences,
        "loss": "last" if findings.last_only else "all",
        "nll_per_token": findings.nll,
        "states": [
            {
                "layer": norms.layer,
                "state": norms.state,
                "gradient_by_step": norms.by_step.tolist(),
                "sentences_by_step": norms.sentences.tolist(),
                "first": norms.first,
                "last": norms.last,
            }
            for norms in findings.states
        ],
        "weights": findings.weights,
        "example": {
            "src": example.src,
            "tgt": example.tgt,
            "gates": {
                layer.layer: {"tokens": layer.tokens, **{gate.name: _gate_json(gate) for gate in layer.gates}}
                for layer in example.layers
            },
            "attention": None if example.attention is None else example.attention.tolist(),
        },
    }


def _gate_json(gate: GateSummary) -> dict[str, list[float]]:
    return {
        "mean": gate.mean.tolist(),
        "near_least": gate.near_least.tolist(),
        "near_most": gate.near_most.tolist(),
    }


def _show(findings: Findings, console: Console) -> None:
    table = Table("layer", "state", "gradient, first step", "last step", "first / last", box=None)
    for column in table.columns[2:]:
        column.justify = "right"
    for norms in findings.states:
        ratio = norms.first / norms.last if norms.last > 0.0 else torch.inf
        table.add_row(norms.layer, norms.state, f"{norms.first:.3g}", f"{norms.last:.3g}", f"{ratio:.3g}")
    console.print(table)
