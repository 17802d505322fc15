"""Forced decoding: how probable a model holds given translations to be, and where it looks on the way.

All positions go through the model at once, as in training: that takes a fraction of the time of as many steps of a
search, and comes to the same log-probabilities but for rounding.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, Self

import torch
from torch import Tensor
from torch.nn import functional

from nmt.alignment import coverage_penalty
from nmt.data.batches import collate
from nmt.data.lines import DecodeErrors, TextFile, copy_pipes, read_line_pairs
from nmt.data.tokenizer import TokenizerPair
from nmt.errors import RecipeError
from nmt.model.model import Model, real_positions
from nmt.recipe import SearchSection
from nmt.search.ensemble import Ensemble, StepModel
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalty import LengthPenalty
from nmt.search.scores import refuse_nonsense

BATCHES_SORTED_TOGETHER = 16  # pairs are read ahead by so many batches, so that batch mates are of like length
MAX_CELLS = 2**18  # source times target positions of a batch, what attention takes memory for; a longer pair is alone
LOGITS = 2**18  # made at a time, so that they stay in the cache


class ScoringModel(Protocol):
    """A model with what its texts and scores are made with: any `Translator` is one.

    scorer: the model as it was trained, or an `Ensemble` of such models.
    """

    @property
    def scorer(self) -> StepModel[Any]: ...

    @property
    def tokenizers(self) -> TokenizerPair: ...

    @property
    def search(self) -> SearchSection: ...


@dataclass(frozen=True)
class ScoredIds:
    """token_log_probs: natural logarithms, that of eos too. log_prob: their sum.

    attention (T, S): the share of each source position for each target position, both with eos; None where it was not
    asked for, or where the model has none.
    """

    token_log_probs: tuple[float, ...]
    log_prob: float
    attention: Tensor | None = None


@dataclass(frozen=True)
class ScoredPair:
    """A pair's target text and its subwords; score: log_prob under the length penalty; the rest as in `ScoredIds`.

    A blank line has a blank translation by rule: that pair has log_prob 0 and no token_log_probs, not even that of eos.
    """

    text: str
    score: float
    log_prob: float
    tokens: tuple[str, ...]
    token_log_probs: tuple[float, ...]
    src_tokens: tuple[str, ...]
    attention: Tensor | None = None


@dataclass(frozen=True)
class CorpusScore:
    """Sums over pairs; tokens: of the target, eos counted."""

    sentences: int = 0
    tokens: int = 0
    log_prob: float = 0.0

    def plus(self, pair: ScoredPair) -> Self:
        """With one pair more."""
        return replace(
            self,
            sentences=self.sentences + 1,
            tokens=self.tokens + len(pair.token_log_probs),
            log_prob=self.log_prob + pair.log_prob,
        )

    @property
    def perplexity(self) -> float:
        """exp of the mean -log_prob of a token; 1 without tokens, infinite beyond what a float holds."""
        try:
            return math.exp(-self.log_prob / max(1, self.tokens))
        except OverflowError:
            return math.inf


def score_pairs(
    saved: ScoringModel, pairs: Iterable[tuple[str, str]], *, batch_size: int = 64, attention: bool = False
) -> Iterator[ScoredPair]:
    """Each source and target text, in their order; no text is ever cut, however long.

    Texts are cut into subwords in the one way of their tokenizer: where a search found another way to spell a text, the
    log_prob of its ids is another one (`score_ids`). A text for a blank source is scored like any other, and so is a
    blank text.
    """
    penalty = LengthPenalty(saved.search.length_penalty, saved.search.length_alpha)
    tokenizers, remaining = saved.tokenizers, iter(pairs)
    while window := list(islice(remaining, batch_size * BATCHES_SORTED_TOGETHER)):
        srcs, tgts = tokenizers.encode_pairs([src for src, _ in window], [tgt for _, tgt in window])
        written = [index for index in range(len(window)) if srcs[index] or tgts[index]]
        found = score_ids(
            saved.scorer,
            [srcs[index] for index in written],
            [tgts[index] for index in written],
            attention=attention,
            batch_size=batch_size,
        )
        by_index = dict(zip(written, found, strict=True))
        for index, (_, text) in enumerate(window):
            scored = by_index.get(index, ScoredIds((), 0.0))
            yield ScoredPair(
                text=text,
                score=scored.log_prob / penalty(max(1, len(scored.token_log_probs))),
                log_prob=scored.log_prob,
                tokens=tuple(tokenizers.tgt.tokens(tgts[index])),
                token_log_probs=scored.token_log_probs,
                src_tokens=tuple(tokenizers.src.tokens(srcs[index])),
                attention=scored.attention,
            )


def score_ids(
    model: StepModel[Any],
    srcs: Sequence[Sequence[int]],
    tgts: Sequence[Sequence[int]],
    *,
    attention: bool = False,
    batch_size: int = 64,
) -> list[ScoredIds]:
    """Each target for its source, in their order, all without bos and eos: what a search would report for its output.

    attention: with where the model looked; of several models, the mean of those that look.
    Raises TypeError unless the model is one as it was trained, or an ensemble of such: engines have steps only. Raises
    NmtError where it is damaged, so that log-probabilities hold NaN.
    """
    assert len(srcs) == len(tgts)
    members, combine = _members(model)
    found: dict[int, ScoredIds] = {}
    for rows in _batches([(len(tgt) + 1, len(src) + 1) for src, tgt in zip(srcs, tgts, strict=True)], batch_size):
        scored = _score_batch(
            members, combine, [srcs[row] for row in rows], [tgts[row] for row in rows], attention=attention
        )
        found.update(zip(rows, scored, strict=True))
    return [found[row] for row in range(len(srcs))]


def rerank_by_coverage(
    model: StepModel[Any], srcs: Sequence[Sequence[int]], found: Sequence[Sequence[Hypothesis]], *, beta: float
) -> list[list[Hypothesis]]:
    """Each sentence's hypotheses sorted anew, with the coverage penalty in their scores (Wu et al. 2016, equation 14).

    Every source position but that of eos counts, and every target position. GNMT prunes with the penalty too while it
    searches; here it only chooses among what has finished, and so wants all of a wide beam.
    Raises RecipeError for a model without attention, and TypeError as `score_ids`.
    """
    pairs = [(src, hypothesis) for src, ours in zip(srcs, found, strict=True) for hypothesis in ours]
    scored = score_ids(model, [src for src, _ in pairs], [hypothesis.ids for _, hypothesis in pairs], attention=True)
    reranked = []
    for (src, hypothesis), its in zip(pairs, scored, strict=True):
        if its.attention is None:
            raise RecipeError(
                "the coverage penalty reads attention, but this model has none: set it to 0, or train a model "
                "with model.attention"
            )
        penalty = coverage_penalty(its.attention[:, : len(src)], beta)
        reranked.append(replace(hypothesis, score=hypothesis.score + penalty))
    left = iter(reranked)
    return [sorted(islice(left, len(ours)), key=lambda hypothesis: -hypothesis.score) for ours in found]


@contextmanager
def open_pairs(src: Path, tgt: Path, *, errors: DecodeErrors = "strict") -> Iterator[Iterator[tuple[str, str]]]:
    """The lines of two files side by side; both have been read through once before the first pair comes.

    Raises DataError, before there is a pair, as `read_line_pairs` does: with the counts where they differ.
    """
    with TemporaryDirectory() as folder:
        copies = copy_pipes([src, tgt], Path(folder))
        src_file, tgt_file = (TextFile(copies.get(path, path), str(path)) for path in (src, tgt))
        for _ in read_line_pairs(src_file, tgt_file, errors=errors):
            pass
        yield read_line_pairs(src_file, tgt_file, errors=errors)


def _members(model: StepModel[Any]) -> tuple[list[Model], Callable[[Tensor], Tensor]]:
    """The models themselves, and how their log_probs (M, N, V) become (N, V)."""
    found, combine = (model.members, model.combine) if isinstance(model, Ensemble) else ((model,), _alone)
    members: list[Model] = []
    for member in found:
        if not isinstance(member, Model):
            raise TypeError('forced decoding wants models as they were trained, those of the engine "exact"')
        assert not member.training
        members.append(member)
    return members, combine


def _alone(log_probs: Tensor) -> Tensor:
    return log_probs[0]


def _batches(shapes: Sequence[tuple[int, int]], batch_size: int) -> Iterator[list[int]]:
    """The numbers of pairs of like shapes (T, S)."""
    order = sorted(range(len(shapes)), key=shapes.__getitem__)
    batch: list[int] = []
    longest = 0
    for row in order:
        tgt, src = shapes[row]
        longest = max(longest, src)  # of targets, this row's is the longest
        if batch and (len(batch) == batch_size or (len(batch) + 1) * tgt * longest > MAX_CELLS):
            yield batch
            batch, longest = [], src
        batch.append(row)
    if batch:
        yield batch


@torch.no_grad()
def _score_batch(
    members: Sequence[Model],
    combine: Callable[[Tensor], Tensor],
    srcs: Sequence[Sequence[int]],
    tgts: Sequence[Sequence[int]],
    *,
    attention: bool,
) -> Iterator[ScoredIds]:
    batch = collate(srcs, tgts).to(members[0].output.weight.device)
    inputs = batch.src, batch.src_lengths, batch.tgt_in, batch.tgt_lengths
    passes = [member.attended(*inputs) if attention else (member.readouts(*inputs), None) for member in members]
    targets = real_positions(batch.tgt_out, batch.tgt_lengths)
    rows = max(1, LOGITS // members[0].output.out_features)
    token_log_probs = torch.cat(
        [
            _of_targets(members, combine, [readouts[begin : begin + rows] for readouts, _ in passes], part)
            for begin, part in zip(range(0, len(targets), rows), torch.split(targets, rows), strict=True)
        ]
    )
    refuse_nonsense(token_log_probs)
    looked = [shares for _, shares in passes if shares is not None]
    mean_shares = torch.stack(looked).mean(dim=0).cpu() if looked else None  # (B, T, S)
    for row, log_probs in enumerate(torch.split(token_log_probs, batch.tgt_lengths.tolist())):
        values = tuple(log_probs.tolist())
        shares = None if mean_shares is None else mean_shares[row, : len(values), : len(srcs[row]) + 1].clone()
        yield ScoredIds(values, math.fsum(values), shares)


def _of_targets(
    members: Sequence[Model], combine: Callable[[Tensor], Tensor], readouts: Sequence[Tensor], targets: Tensor
) -> Tensor:
    """readouts (n, E) of each member, targets (n,) -> log_probs of the targets (n,)."""
    log_probs = [
        functional.log_softmax(member.output(own), dim=-1) for member, own in zip(members, readouts, strict=True)
    ]
    return combine(torch.stack(log_probs)).gather(1, targets[:, None]).squeeze(1)
