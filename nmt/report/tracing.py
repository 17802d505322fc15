"""A teacher-forced pass written out, to look into: states that a gradient can be asked for, gates, attention.

The model's own forward makes it, so that there is no second one to keep equal to it: while it runs, each recurrent
layer goes step by step through a cell that remembers. House letters: B batch, S source, T target positions, R the steps
of a layer (S in an encoder, T in a decoder), H its hidden size.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.data.batches import Batch
from nmt.model.build import AnyModel
from nmt.model.cells import Cell, Gates, LayerState
from nmt.model.dropout import Drop, unchanged
from nmt.model.embedding import Embedder
from nmt.model.layers import RecurrentLayer, reverse_rows
from nmt.model.model import real_positions

SIDES = {"encoder": "src", "decoder": "tgt", "src_embedder": "src", "tgt_embedder": "tgt"}  # whose ids are read
_SILENT = ("stack", "layers", "fused")  # words of a module's path that tell a reader nothing
_Kind = TypeVar("_Kind", bound=nn.Module)


@dataclass(frozen=True)
class LayerTrace:
    """One recurrent layer, its steps in the order in which it reads: of an encoder's way back, the last token first.

    name: such as "encoder 1 back". states: after each of R steps. gates by name, each (B, R, H). read: the ids (B, R)
    it read at each step, by side, "src" or "tgt". lengths (B,): the steps after these are padding.
    """

    name: str
    states: list[LayerState]
    gates: dict[str, Tensor]
    read: dict[str, Tensor]
    lengths: Tensor


@dataclass(frozen=True)
class Traced:
    """A batch's way through a model. nll: of each real target token, row after row (sum of tgt_lengths,).

    attention (B, T, S): the share of each source position in each target position's context; None without attention.
    """

    layers: list[LayerTrace]
    attention: Tensor | None
    nll: Tensor
    tgt_lengths: Tensor

    def loss(self, *, last_only: bool) -> Tensor:
        """The summed nll of all target tokens or, `last_only`, of each sentence's last, which is its eos."""
        return self.nll[self.tgt_lengths.cumsum(0) - 1].sum() if last_only else self.nll.sum()


def trace_batch(model: AnyModel, batch: Batch) -> Traced:
    """A batch's way through a model that is in evaluation mode; no other thread may use the model meanwhile."""
    assert not model.training
    with _remembering(model) as memory:
        readouts, shares = model.attended(batch.src, batch.src_lengths, batch.tgt_in, batch.tgt_lengths)
    targets = real_positions(batch.tgt_out, batch.tgt_lengths)
    return Traced(
        layers=[_layer_trace(name, cell, memory, batch) for name, cell in memory.cells.items()],
        attention=None if shares is None else shares.detach(),
        nll=functional.cross_entropy(model.output(readouts), targets, reduction="none"),
        tgt_lengths=batch.tgt_lengths,
    )


class _RememberingCell(Cell):
    """Does what another cell does, and keeps what came out."""

    def __init__(self, cell: Cell) -> None:
        self.cell, self.sums, self.long_term = cell, cell.sums, cell.long_term
        self.steps: list[tuple[LayerState, Gates]] = []

    def project(self, x: Tensor, layer: nn.RNNBase) -> Tensor:
        return self.cell.project(x, layer)

    def step(
        self, projected: Tensor, state: LayerState, layer: nn.RNNBase, drop: Drop = unchanged
    ) -> tuple[LayerState, Gates]:
        self.steps.append(self.cell.step(projected, state, layer, drop))
        return self.steps[-1]


@dataclass(frozen=True)
class _Memory:
    """By module name: what each recurrent layer did, which ids (B, R) each embedder saw."""

    cells: dict[str, _RememberingCell]
    ids: dict[str, Tensor]


@contextmanager
def _remembering(model: AnyModel) -> Iterator[_Memory]:
    memory = _Memory({}, {})
    with ExitStack() as undo:
        for name, layer in _modules(model, RecurrentLayer):
            memory.cells[name] = _RememberingCell(layer.cell)
            undo.callback(setattr, layer, "cell", layer.cell)
            layer.cell = memory.cells[name]
            undo.callback(layer.register_forward_hook(_write_out).remove)
        for name, embedder in _modules(model, Embedder):
            undo.callback(embedder.register_forward_hook(partial(_keep_ids, memory.ids, name)).remove)
        yield memory


def _modules(model: nn.Module, kind: type[_Kind]) -> list[tuple[str, _Kind]]:
    return [(name, module) for name, module in model.named_modules() if isinstance(module, kind)]


def _write_out(
    layer: RecurrentLayer, inputs: tuple[Tensor, LayerState] | tuple[Tensor], fused: object
) -> tuple[Tensor, LayerState]:
    """In place of what the fused call gave."""
    states = layer.trace(*inputs).states
    return torch.stack([state.h for state in states], dim=1), states[-1]


def _keep_ids(kept: dict[str, Tensor], name: str, embedder: Embedder, inputs: tuple[Tensor], embedded: Tensor) -> None:
    kept[name] = inputs[0]


def _layer_trace(path: str, cell: _RememberingCell, memory: _Memory, batch: Batch) -> LayerTrace:
    """`path` is the layer's place in the model: "encoder.layers.0.back"."""
    room = path.partition(".")[0]
    embedders = {name: ids for name, ids in memory.ids.items() if name.startswith(f"{room}.")} or memory.ids
    read = {SIDES[name.partition(".")[0]]: ids for name, ids in embedders.items()}
    waited = len(cell.steps) - batch.tgt_in.size(1)  # by a model that translates while it reads
    lengths = batch.src_lengths if room == "encoder" else batch.tgt_lengths + waited
    if path.endswith(".back"):
        read = {side: reverse_rows(ids, lengths) for side, ids in read.items()}
    return LayerTrace(
        name=shown_name(path),
        states=[state for state, _ in cell.steps],
        gates={name: torch.stack([gates[name] for _, gates in cell.steps], dim=1) for name in cell.steps[0][1]},
        read=read,
        lengths=lengths,
    )


def shown_name(path: str) -> str:
    """A layer's place in a model, in words: "encoder.layers.0.back" -> "encoder 1 back"."""
    words = [str(int(word) + 1) if word.isdecimal() else word for word in path.split(".") if word not in _SILENT]
    return " ".join(["layer", *words] if words[0].isdecimal() else words)
