"""A lexical shortlist: for each source piece the few target pieces that it may become (Jean et al. 2015, section 3.3).

Learned by IBM model 1 (Brown et al. 1993, section 4.1) on the ids of the training text. A sentence chooses from, and is
normalised over, what its own pieces allow and what is frequent anyway: never what its batch mates allow.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as tensor_bytes
from torch import Tensor
from torch.nn import functional

from nmt.engine.output import BLOCK, best_of_blocks, log_sum_exp
from nmt.engine.product import Pack, Product
from nmt.errors import CheckpointError
from nmt.search.scores import Ways

Ids = NDArray[np.int64]

MAX_LINKS = 30_000_000  # pairs of a source and a target token that are looked at: 600 MB at most while learning
ITERATIONS = 4
PER_PIECE, FREQUENT = 40, 600  # Multi30k, valid, mean of 5 runs: BLEU 0.09 lower than without; 20 and 200: 0.24


@dataclass(frozen=True)
class Shortlist:
    """table (source V, k): target ids that each source piece may become, best first, -1: no more. frequent (f,)."""

    table: Tensor
    frequent: Tensor

    def allowed(self, src: Tensor, src_lengths: Tensor, vocab_size: int) -> Tensor:
        """src (B, S), src_lengths (B,) -> (B, V) bool, which target ids each sentence may use."""
        real = torch.arange(src.size(1)) < src_lengths[:, None]
        found = self.table[src].masked_fill(~real[:, :, None], -1).flatten(1)  # (B, S * k)
        allowed = torch.zeros(len(src), vocab_size + 1, dtype=torch.bool)
        allowed.scatter_(1, found + (found < 0) * (vocab_size + 1), True)  # -1 -> a last column that is cut off
        allowed[:, self.frequent] = True
        return allowed[:, :vocab_size]

    def to_bytes(self) -> bytes:
        """As `from_file` reads it."""
        return tensor_bytes({"table": self.table.to(torch.int32), "frequent": self.frequent.to(torch.int32)})

    @classmethod
    def from_file(cls, path: Path, *, src_vocab_size: int, tgt_vocab_size: int) -> "Shortlist":
        """Raises CheckpointError where the file is damaged or belongs to other vocabularies."""
        try:
            found = {name: tensor.long() for name, tensor in parse_tensors(path.read_bytes()).items()}
            table, frequent = found["table"], found["frequent"]
            largest = int(max(table.max(), frequent.max()))
            sound = table.dim() == 2 and len(table) == src_vocab_size and largest < tgt_vocab_size
            if not sound or int(table.min()) < -1 or int(frequent.min()) < 0:
                raise ValueError("its ids are not those of the tokenizer beside it")
        except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{path}: not a shortlist for this model: {error}") from error
        return cls(table, frequent)


def build_shortlist(
    src: Sequence[Ids],
    tgt: Sequence[Ids],
    *,
    src_vocab_size: int,
    tgt_vocab_size: int,
    eos_id: int,
    never: Sequence[int],
    per_piece: int = PER_PIECE,
    frequent: int = FREQUENT,
    copies: bool = False,
) -> Shortlist:
    """Learn from sentence pairs, ids without bos and eos. `never`: target ids that search does not produce.

    `per_piece` and `frequent` are how many to keep. `copies` says that the vocabularies are one: each piece may stay
    what it is. Of a text with more than MAX_LINKS links, pairs evenly spread over it are taken.
    """
    chosen = _within_bounds(src, tgt)
    src_of, tgt_of, token_of = _links([src[i] for i in chosen], [tgt[i] for i in chosen], eos_id)
    keys, link_keys = np.unique(src_of * tgt_vocab_size + tgt_of, return_inverse=True)
    sources, targets = keys // tgt_vocab_size, keys % tgt_vocab_size
    probabilities = np.ones(len(keys))
    for _ in range(ITERATIONS):
        shares = probabilities[link_keys]
        shares /= np.bincount(token_of, weights=shares)[token_of]
        counts = np.bincount(link_keys, weights=shares, minlength=len(keys))
        probabilities = counts / np.bincount(sources, weights=counts, minlength=src_vocab_size)[sources]
    usable = ~np.isin(targets, never)
    table = _best_of_each(sources[usable], targets[usable], probabilities[usable], src_vocab_size, per_piece)
    if copies:
        own = np.arange(src_vocab_size)
        table = np.column_stack([table, np.where(np.isin(own, never), -1, own)])
    occurrences = np.bincount(np.concatenate([*tgt, np.zeros(0, np.int64)]).astype(np.int64), minlength=tgt_vocab_size)
    occurrences[list(never)] = -1
    occurrences[eos_id] = len(tgt) + int(occurrences.sum()) + len(never) + 1  # always the first
    ranked = np.argsort(-occurrences, kind="stable")[: frequent + 1]
    return Shortlist(torch.from_numpy(table), torch.from_numpy(ranked[occurrences[ranked] >= 0].copy()))


def _within_bounds(src: Sequence[Ids], tgt: Sequence[Ids]) -> range:
    links = sum((len(one) + 1) * len(other) for one, other in zip(src, tgt, strict=True))
    return range(0, len(src), max(1, -(-links // MAX_LINKS)))


def _links(src: Sequence[Ids], tgt: Sequence[Ids], eos_id: int) -> tuple[Ids, Ids, Ids]:
    """Each target token with each token of its source, eos among them, which stands for no word at all.

    -> source ids, target ids and numbers of target tokens, all (links,).
    """
    sources = [np.append(one, eos_id).astype(np.int64) for one in src]
    src_of = [np.tile(one, len(other)) for one, other in zip(sources, tgt, strict=True)]
    tgt_of = [np.repeat(other, len(one)).astype(np.int64) for one, other in zip(sources, tgt, strict=True)]
    widths = np.concatenate([np.full(len(other), len(one)) for one, other in zip(sources, tgt, strict=True)])
    return np.concatenate(src_of), np.concatenate(tgt_of), np.repeat(np.arange(len(widths)), widths)


def _best_of_each(sources: Ids, targets: Ids, probabilities: NDArray[np.float64], size: int, count: int) -> Ids:
    """(size, count) the most probable targets of each source, -1 where there are no more."""
    order = np.lexsort((-probabilities, sources))
    sources, targets = sources[order], targets[order]
    begins = np.searchsorted(sources, np.arange(size))
    ranks = np.arange(len(sources)) - begins[sources]
    table = np.full((size, count), -1, dtype=np.int64)
    kept = ranks < count
    table[sources[kept], ranks[kept]] = targets[kept]
    return table


class ShortOutput:
    """An output layer over shortlists: its product is made over all that a batch allows, once a batch."""

    def __init__(self, weight: Tensor, bias: Tensor, pack: Pack, shortlist: Shortlist, *, small: bool) -> None:
        """weight (V, E), bias (V,). small: as `log_sum_exp` wants it."""
        self._weight, self._bias = weight.detach().clone(), bias.detach().clone()
        self._pack, self._shortlist, self._small = pack, shortlist, small

    def scope(self, src: Tensor, src_lengths: Tensor) -> "ShortScope":
        """What these sentences, (B, S), allow."""
        vocab_size = len(self._bias)
        allowed = self._shortlist.allowed(src, src_lengths, vocab_size)
        union = allowed.any(dim=0).nonzero().squeeze(1)  # (U,)
        product = self._pack(self._weight.index_select(0, union), self._bias.index_select(0, union))
        sentence, column = allowed.index_select(1, union).nonzero().unbind(1)
        counts = torch.bincount(sentence, minlength=len(src))
        slot = torch.arange(len(sentence)) - (counts.cumsum(0) - counts)[sentence]
        widest = -(-int(counts.max()) // BLOCK) * BLOCK
        columns = torch.zeros(len(src), widest, dtype=torch.int64)
        columns[sentence, slot] = column
        missing = torch.full(columns.shape, -torch.inf)
        missing[sentence, slot] = 0.0
        return ShortScope(product, columns, union[columns], missing[:, None], vocab_size, self._small)


class Barred(NamedTuple):
    """What a search does not let sentences take: ids (S,), places (B, 1, C) where they stand, eos (B,) the eos's."""

    ids: Tensor
    places: Tensor
    eos: Tensor


@dataclass(frozen=True)
class ShortScope:
    """What each of B sentences may use: its columns (B, C) of the product, their ids (B, C), padding (B, 1, C) -inf.

    C is a multiple of BLOCK. last: what was barred when it was last asked.
    """

    product: Product
    columns: Tensor
    ids: Tensor
    missing: Tensor
    vocab_size: int
    small: bool
    last: list[Barred] = field(default_factory=list)

    def select(self, sentences: Tensor) -> "ShortScope":
        columns, ids, missing = (x.index_select(0, sentences) for x in (self.columns, self.ids, self.missing))
        last = [
            Barred(known.ids, known.places.index_select(0, sentences), known.eos.index_select(0, sentences))
            for known in self.last
        ]
        return ShortScope(self.product, columns, ids, missing, self.vocab_size, self.small, last)

    def barred(self, ids: Tensor, eos_id: int) -> Barred:
        """A search asks for the same at each step: it is looked for once."""
        if not self.last or self.last[0].ids is not ids:
            eos = (self.ids == eos_id).byte().argmax(dim=1)
            self.last[:] = [Barred(ids, torch.isin(self.ids, ids)[:, None], eos)]
        return self.last[0]

    def __call__(self, readouts: Tensor) -> "ShortScores":
        return ShortScores(self, readouts)

    def logits(self, readouts: Tensor) -> Tensor:
        """readouts (N, E) -> (B, R, C)"""
        every = self.product(readouts)  # (N, U)
        every = every.view(len(self.columns), -1, every.size(1))
        return every.gather(2, self.columns[:, None].expand(-1, every.size(1), -1)).add_(self.missing)


@dataclass(frozen=True)
class ShortScores:
    """Scores over what each sentence may use; readouts (N, E)."""

    scope: ShortScope
    readouts: Tensor

    def ways(self, so_far: Tensor, *, width: int, eos_id: int, barred: Tensor) -> Ways:
        """As `Scores` has it."""
        known = self.scope.barred(barred, eos_id)
        logits = self.scope.logits(self.readouts)  # (B, R, C)
        log_sums = self._log_sums(logits)
        ends = logits.gather(2, known.eos[:, None, None].expand(-1, logits.size(1), 1)).squeeze(2) - log_sums
        logits.masked_fill_(known.places, -torch.inf)
        ids = self.scope.ids
        if width > ids.size(1):  # a beam wider than the shortlist
            missing = -(-width // BLOCK) * BLOCK - ids.size(1)
            logits, ids = functional.pad(logits, (0, missing), value=-torch.inf), functional.pad(ids, (0, missing))
        ways = best_of_blocks(logits.flatten(0, 1), log_sums, so_far, width=width, ends=ends)
        return ways._replace(ids=ids.gather(1, ways.ids))

    def log_probs(self) -> Tensor:
        """(N, V), -inf for what a sentence may not use."""
        logits = self.scope.logits(self.readouts)
        own = logits - self._log_sums(logits)[:, :, None]  # (B, R, C)
        every = own.new_full((*own.shape[:2], self.scope.vocab_size), -torch.inf)
        # What is missing has id of column 0 and -inf: it must not overwrite that column's own value.
        every.scatter_reduce_(2, self.scope.ids[:, None].expand_as(own), own, "amax")
        return every.flatten(0, 1)

    def _log_sums(self, logits: Tensor) -> Tensor:
        """logits (B, R, C) -> (B, R)"""
        return log_sum_exp(logits.flatten(0, 1), small=self.scope.small).view(logits.shape[:2])
