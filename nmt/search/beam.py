"""Beam search over a batch: every sentence keeps its K best unfinished hypotheses and leaves the batch when done."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor

from nmt.errors import RecipeError
from nmt.search.history import History
from nmt.search.hypothesis import Hypothesis, StateT, Step
from nmt.search.penalty import LengthPenalty
from nmt.search.scores import Ways, as_scores


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


@dataclass(frozen=True)
class _Live:
    """The B' sentences under way: one row each, in input order. R beams a sentence: 1 at first, then K."""

    sentences: Tensor  # (B',) their places in the input
    log_probs: Tensor  # (B', R) of their beams so far, best first; -inf: no such beam
    max_lengths: Tensor  # (B',)
    max_penalties: Tensor  # (B',) the penalty at the greatest length that they can reach
    finished: Tensor  # (B',) how many hypotheses have ended
    best_scores: Tensor  # (B', n) of those, best first; -inf: not that many yet

    @classmethod
    def start(cls, max_lengths: Tensor, options: BeamOptions) -> Self:
        batch, device = len(max_lengths), max_lengths.device
        penalties = [options.penalty(length + 1) for length in max_lengths.tolist()]
        return cls(
            sentences=torch.arange(batch, device=device),
            log_probs=torch.zeros(batch, 1, device=device),
            max_lengths=max_lengths,
            max_penalties=torch.tensor(penalties, dtype=torch.float32, device=device),
            finished=torch.zeros_like(max_lengths),
            best_scores=torch.full((batch, options.n_best), -torch.inf, device=device),
        )

    def after(self, log_probs: Tensor, finished: Tensor, best_scores: Tensor) -> Self:
        """The same sentences, a position on."""
        return replace(self, log_probs=log_probs, finished=finished, best_scores=best_scores)

    def select(self, rows: Tensor) -> Self:
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
    longest = int(max_lengths.max())
    barred = torch.tensor([*suppress_ids, eos_id], dtype=torch.int64, device=max_lengths.device)
    history = History(len(max_lengths), options.beam_size, longest, max_lengths.device)
    live = _Live.start(max_lengths, options)
    prev_ids = torch.full_like(max_lengths, bos_id)
    for position in range(longest + 1):
        found, state = step(prev_ids, state)
        ways = as_scores(found).ways(live.log_probs, width=options.beam_size, eos_id=eos_id, barred=barred)
        at_limit = live.max_lengths == position
        scores = _end(history, position, live, ways, at_limit, options.penalty)
        finished = live.finished + (scores > -torch.inf).sum(1)
        best_scores = torch.cat([live.best_scores, scores], dim=1).topk(options.n_best, dim=1).values

        done = at_limit | _is_done(finished, best_scores, ways.totals[:, 0], live, options)
        going = (~done).nonzero().squeeze(1)
        if len(going) == 0:
            break
        rows = ways.rows + torch.arange(0, live.log_probs.numel(), live.log_probs.size(1), device=done.device)[:, None]
        live = live.after(ways.totals, finished, best_scores)
        if len(going) < len(done):
            live, ways, rows = live.select(going), Ways(*(x[going] for x in ways)), rows[going]
        state = state.select(rows.flatten())
        history.extend(position, live.sentences, ways.rows, ways.ids, ways.token_log_probs)
        prev_ids = ways.ids.flatten()
    return history.best(options.n_best, options.penalty)


def _end(history: History, position: int, live: _Live, ways: Ways, at_limit: Tensor, penalty: LengthPenalty) -> Tensor:
    """Record the beams that end here; their scores (B', R), -inf where a beam goes on."""
    totals = live.log_probs + ways.ends
    beam_size = ways.totals.size(1)
    bar = torch.cat([ways.totals, totals], dim=1).topk(beam_size, dim=1).values[:, -1:]  # of the K best, eos or not
    good = totals >= bar
    scores = torch.where(good | at_limit[:, None], totals / penalty(position + 1), -torch.inf)
    history.end(position, live.sentences, scores, ways.ends, ~good)
    return scores


def _is_done(finished: Tensor, best_scores: Tensor, log_prob: Tensor, live: _Live, options: BeamOptions) -> Tensor:
    """Which sentences need no further position; finished, log_prob (that of the best survivor) and the result (B',).

    A survivor's score can never exceed log_prob / (penalty at the greatest length): log-probabilities only fall, and
    penalties only grow. The comparison is strict, so that not even a tie comes out otherwise than without it.
    """
    done = (finished >= options.beam_size) | (log_prob == -torch.inf)
    if options.stop_early:
        done |= best_scores[:, -1] > log_prob / live.max_penalties
    return done
