"""The encoder-decoder rebuilt for search: `start`, `step` and `select` as the model has them, in fewer operations.

What depends on one token or on one sentence alone is made once:

    input sums       W_ih x + b, for every token of the target vocabulary
    keys             of the source, scaled
    folded memory    readout = tanh(W_h h + b + sum_s a_s (W_c m_s)): W_c m_s

An engine has its own copy of the weights, as they were when it was made.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, cast

import torch
from torch import Tensor
from torch.nn import functional

from nmt.engine.output import Output, OutputLayer, Scope, is_small
from nmt.engine.product import FloatProduct, Pack
from nmt.engine.recurrence import RECURRENCES, InputSums
from nmt.engine.shortlist import Shortlist, ShortOutput
from nmt.model.attention import (
    Attention,
    DotAttention,
    GeneralAttention,
    LocalAttention,
    MLPAttention,
    NoAttention,
    Source,
)
from nmt.model.cells import LayerState
from nmt.model.layers import RecurrentLayer
from nmt.model.seq2seq import Seq2Seq
from nmt.search.scores import Scores

SHORTEST = 16  # source positions; softmax over fewer adds up in another order than over padded ones


class Memory(NamedTuple):
    """What is known of B source sentences.

    keys (B, S, A), values (B, S, E): as attention makes them, the values folded. bias (B, 1, S): 0, -inf at padding.
    sums (B, G * H): what the sentence adds to the first layer's sums; (B, 0) for nothing. mask (B, S).
    """

    keys: Tensor
    values: Tensor
    bias: Tensor
    sums: Tensor
    mask: Tensor


@dataclass(frozen=True)
class FastState:
    """A value, never changed in place. layers: h and c (N, H) of each. memory: of B sentences, N / B rows each."""

    layers: tuple[LayerState, ...]
    memory: Memory
    scope: Scope

    def select(self, rows: Tensor) -> Self:
        """As `State` has it: `rows` (N',), equally many of each sentence that is left."""
        layers = tuple(
            LayerState(h.index_select(0, rows), c.index_select(0, rows) if c.size(1) else c[: len(rows)])
            for h, c in self.layers
        )
        before = len(self.memory.bias)
        if before == 1 and len(rows) > 0:
            return type(self)(layers, self.memory, self.scope)
        each = len(self.layers[0].h) // max(1, before)
        kept = torch.unique_consecutive(rows.div(each, rounding_mode="floor"))
        if len(kept) == before:
            return type(self)(layers, self.memory, self.scope)
        memory = Memory(*(x.index_select(0, kept) for x in self.memory))
        return type(self)(layers, memory, self.scope.select(kept))


class FastEngine:
    """To be used as the model that it was made from; it never changes afterwards."""

    def __init__(
        self,
        model: Seq2Seq,
        *,
        pack: Pack = FloatProduct,
        brief_pack: Pack = FloatProduct,
        shortlist: Shortlist | None = None,
    ) -> None:
        """`pack` makes the products of gates and output, `brief_pack` those of a shortlist. Ask `supports` before."""
        model = deepcopy(model).requires_grad_(False)
        decoder = model.decoder
        stack = [cast(RecurrentLayer, layer) for layer in decoder.stack.layers]
        self._encode = model.encoder
        self._decoder = decoder
        self._layers = [RECURRENCES[type(layer.cell)](layer.fused, pack) for layer in stack]
        weight, bias = self._layers[0].inputs
        embed_dim = decoder.embedder.dim
        embedding = decoder.embedder.embedding.weight.detach() * decoder.embedder.scale
        self._inputs = InputSums(embedding, weight[:, :embed_dim], bias)
        self._of_vector = weight[:, embed_dim:].contiguous()  # (G * H, F)
        self._upper = [FloatProduct(*layer.inputs) for layer in self._layers[1:]]
        hidden_dim = decoder.stack.hidden_dim
        readout = decoder.readout.weight.detach()
        self._readout = FloatProduct(readout[:, :hidden_dim], decoder.readout.bias)
        self._fold = readout[:, hidden_dim:].contiguous()  # (E, C)
        self._shares = SHARES[type(decoder.attention)]
        self.output: OutputLayer = Output(model.output.weight, model.output.bias, pack)
        if shortlist is not None:
            small = is_small(model.output.weight, model.output.bias)
            self.output = ShortOutput(model.output.weight, model.output.bias, brief_pack, shortlist, small=small)

    @torch.no_grad()
    def start(self, src: Tensor, src_lengths: Tensor) -> FastState:
        """src (B, S), src_lengths (B,) -> the state before the first target token, N = B rows."""
        encoded = self._encode(src, src_lengths)
        before = self._decoder.start(encoded)
        layers = tuple(LayerState(h, c) for h, c in zip(*before.recurrent, strict=True))
        return FastState(layers, self._memory(before.source), self.output.scope(src, src_lengths))

    @torch.no_grad()
    def step(self, prev_ids: Tensor, state: FastState) -> tuple[Scores, FastState]:
        """One position. prev_ids (N,) -> what log_probs (N, V) would say, and the state after it."""
        memory = state.memory
        sentences = len(memory.bias)
        sums = self._inputs(prev_ids)
        if memory.sums.size(1):
            sums.view(sentences, -1, sums.size(1)).add_(memory.sums[:, None])
        after = [self._layers[0].step(sums, state.layers[0])]
        x = after[0].h
        for layer, product, before in zip(self._layers[1:], self._upper, state.layers[1:], strict=True):
            after.append(layer.step(product(x), before))
            x = x + after[-1].h if self._decoder.stack.residual else after[-1].h
        shares = self._shares(self._decoder.attention, x.view(sentences, -1, x.size(1)), memory)  # (B, R, S)
        readouts = self._readout(x).view(sentences, -1, memory.values.size(2))
        readouts = torch.baddbmm(readouts, shares, memory.values).tanh_().flatten(0, 1)  # (N, E)
        return state.scope(readouts), FastState(tuple(after), memory, state.scope)

    def parameters(self) -> Iterator[Tensor]:
        """Something on the device that all of it is on."""
        return iter([self._fold])

    def _memory(self, source: Source) -> Memory:
        keys, values = source.keys, functional.linear(source.values, self._fold)
        if self._shares is _by_products:
            keys = keys * keys.size(2) ** -0.5
        alone = type(self._decoder.attention) is NoAttention
        missing = 0 if alone else max(0, SHORTEST - source.mask.size(1))
        sums = functional.linear(source.vector, self._of_vector) if source.vector.size(1) else source.vector
        mask = functional.pad(source.mask, (0, missing))
        bias = torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, -torch.inf)[:, None]
        keys, values = (functional.pad(x, (0, 0, 0, missing)) for x in (keys, values))
        return Memory(keys, values, bias, sums, mask)


def supports(model: Any) -> bool:
    """Can an engine be made from this model, where it is?"""
    return is_plain(model) and next(model.parameters()).device.type == "cpu"


def is_plain(model: Any) -> bool:
    """Is it an encoder-decoder that an engine can be made from, whatever its encoder and its sizes?"""
    if not isinstance(model, Seq2Seq):
        return False
    decoder = model.decoder
    cells = {type(cast(RecurrentLayer, layer).cell) for layer in decoder.stack.layers}
    known = cells <= RECURRENCES.keys() and type(decoder.attention) in SHARES
    return known and not decoder.input_feeding


def _by_products(_attention: Attention, query: Tensor, memory: Memory) -> Tensor:
    """query (B, R, H) -> shares (B, R, S), the keys scaled."""
    return torch.baddbmm(memory.bias, query, memory.keys.transpose(1, 2)).softmax(dim=2)


def _as_trained(attention: Attention, query: Tensor, memory: Memory) -> Tensor:
    return attention.weights(query, Source(memory.keys, memory.values, memory.mask, memory.sums))


SHARES: dict[type[Attention], Callable[[Attention, Tensor, Memory], Tensor]] = {
    NoAttention: _as_trained,
    DotAttention: _by_products,
    GeneralAttention: _by_products,
    MLPAttention: _as_trained,
    LocalAttention: _as_trained,
}
