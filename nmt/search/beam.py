"""Beam search over a batch: every sentence keeps its K best unfinished hypotheses and leaves the batch when done.

What is known of a beam is a few numbers: numpy, on the CPU, works on them in a fraction of the time of torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.errors import RecipeError
from nmt.search.history import History
from nmt.search.hypothesis import Hypothesis, StateT, Step
from nmt.search.penalty import LengthPenalty
from nmt.search.scores import as_scores


@dataclass(frozen=True)
class BeamOptions:
    """How wide to search, how many hypotheses to return, and how to compare those of different lengths.

    `stop_early` ends a sentence as soon as no unfinished hypothesis can reach its n best any more. That never changes
    a result; turn it off only to measure or to test just that.

    Raises RecipeError unless 1 <= n_best <= beam_size.
    """

    beam_size: int
    penalty: LengthPenalty
    n_best: int = 1
    stop_early: bool = True

    def __post_init__(self) -> None:
        if self.beam_size < 1:
            raise RecipeError(f"beam_size is {self.beam_size}, but it must be 1 or more; 1 is greedy search")
        if not 1 <= self.n_best <= self.beam_size:
            raise RecipeError(
                f"n_best is {self.n_best}, but it must be from 1 to the beam_size, {self.beam_size}; "
                "ask for fewer or widen the beam"
            )


Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
CPU = torch.device("cpu")


@dataclass(frozen=True)
class _Live:
    """The B' sentences under way: one row each, in input order. R beams a sentence: 1 at first, then K."""

    sentences: Ints  # (B',) their places in the input
    log_probs: Floats  # (B', R) of their beams so far, best first; -inf: no such beam
    max_lengths: Ints  # (B',)
    max_penalties: Floats  # (B',) the penalty at the greatest length that they can reach
    finished: Ints  # (B',) how many hypotheses have ended
    best_scores: Floats  # (B', n) of those, best first; -inf: not that many yet

    @classmethod
    def start(cls, max_lengths: Ints, options: BeamOptions) -> Self:
        batch = len(max_lengths)
        return cls(
            sentences=np.arange(batch),
            log_probs=np.zeros((batch, 1), np.float32),
            max_lengths=max_lengths,
            max_penalties=np.array([options.penalty(int(length) + 1) for length in max_lengths], np.float32),
            finished=np.zeros(batch, np.int64),
            best_scores=np.full((batch, options.n_best), -np.inf, np.float32),
        )

    def select(self, rows: Ints) -> Self:
        """Those of them, (B'',), in input order."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))


@torch.no_grad()
def beam_search(
    step: Step[StateT],
    state: StateT,
    *,
    max_lengths: Tensor,
    options: BeamOptions,
    bos_id: int,
    eos_id: int,
    suppress_ids: Sequence[int],
) -> list[list[Hypothesis]]:
    """The n best hypotheses of each sentence, best first; the sentences in input order.

    `state` has B rows, one a sentence. max_lengths (B,) int64 counts tokens without eos, on the device of the state.
    `suppress_ids` (bos, pad, unk) are never produced. A sentence has fewer than n only where the vocabulary or its
    max_length allow no more.

    At each position, a candidate that ends in eos and is among the K best of its sentence (a tie at place K counts)
    is a finished hypothesis, and the K best that do not end live on. A sentence is done when K hypotheses have
    finished, when no live one can still enter the n best, or at its max_length, where each live one is ended by force.

    Raises NmtError if the log-probabilities hold NaN, or if they leave a sentence no hypothesis at all.
    """
    assert eos_id not in suppress_ids
    if len(max_lengths) == 0:
        return []
    longest, device = int(max_lengths.max()), max_lengths.device
    barred = torch.tensor([*suppress_ids, eos_id], dtype=torch.int64, device=device)
    history = History(len(max_lengths), options.beam_size, longest, CPU)
    live = _Live.start(max_lengths.numpy(force=True), options)
    prev_ids = torch.full_like(max_lengths, bos_id)
    for position in range(longest + 1):
        found, state = step(prev_ids, state)
        so_far = torch.from_numpy(live.log_probs).to(device)
        ways = as_scores(found).ways(so_far, width=options.beam_size, eos_id=eos_id, barred=barred)
        totals, parents, ids, token_log_probs, ends = (x.numpy(force=True) for x in ways)
        at_limit = live.max_lengths == position
        if at_limit.any() or ((live.log_probs + ends).max(axis=1) >= totals[:, -1]).any():
            live = _end(history, position, live, totals, ends, at_limit, options)
        done = at_limit | _is_done(live, totals[:, 0], options)
        if done.all():
            break
        rows = parents + np.arange(0, live.log_probs.size, live.log_probs.shape[1])[:, None]
        live = replace(live, log_probs=totals)
        if done.any():
            going = np.flatnonzero(~done)
            live = live.select(going)
            rows, parents, ids, token_log_probs = (x[going] for x in (rows, parents, ids, token_log_probs))
        state = state.select(torch.from_numpy(rows.ravel()).to(device))
        history.extend(position, *map(torch.from_numpy, (live.sentences, parents, ids, token_log_probs)))
        prev_ids = torch.from_numpy(ids.ravel()).to(device)
    return history.best(options.n_best, options.penalty)


def _end(
    history: History,
    position: int,
    live: _Live,
    going_on: Floats,
    ends: Floats,
    at_limit: Bools,
    options: BeamOptions,
) -> _Live:
    """Record the beams that end here, and what that makes of their sentences.

    going_on (B', K): the log_probs of those that do not end; ends (B', R): what eos adds to each beam's.
    """
    totals = live.log_probs + ends
    bar = _best(np.concatenate([going_on, totals], axis=1), going_on.shape[1])[:, -1:]  # of the K best, eos or not
    good = totals >= bar
    penalty = np.float32(options.penalty(position + 1))
    scores = np.where(good | at_limit[:, None], totals / penalty, np.float32(-np.inf))  # (B', R)
    history.end(position, *map(torch.from_numpy, (live.sentences, scores, ends, ~good)))
    finished = live.finished + (scores > -np.inf).sum(axis=1)
    best_scores = _best(np.concatenate([live.best_scores, scores], axis=1), options.n_best)
    return replace(live, finished=finished, best_scores=best_scores)


def _best(values: Floats, count: int) -> Floats:
    """The greatest of each row, first of all the greatest: values (B', C) -> (B', count)."""
    found: Floats = -np.sort(-values, axis=1)[:, :count]
    return found


def _is_done(live: _Live, log_prob: Floats, options: BeamOptions) -> Bools:
    """Which sentences need no further position, (B',); log_prob (B',): that of the best survivor.

    A survivor's score can never exceed log_prob / (penalty at the greatest length): log-probabilities only fall, and
    penalties only grow. The comparison is strict, so that not even a tie comes out otherwise than without it.
    """
    done: Bools = (live.finished >= options.beam_size) | (log_prob == -np.inf)
    if options.stop_early:
        done |= live.best_scores[:, -1] > log_prob / live.max_penalties
    return done
