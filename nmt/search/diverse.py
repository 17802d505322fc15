"""Diverse beam search: groups of beams, each of which keeps away from the words that those before it chose."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor

from nmt.errors import RecipeError
from nmt.search.beam import BeamOptions, beam_search
from nmt.search.history import History
from nmt.search.hypothesis import Hypothesis, StateT, Step, impossible
from nmt.search.penalty import LengthPenalty
from nmt.search.scores import LogProbs, Ways, as_scores


@dataclass(frozen=True)
class _Live:
    """The B' sentences under way, G groups each of R beams: 1 at first, then K / G.

    sentences (B',): their places in the input. log_probs (B', G, R): the model's of the beams so far, and augmented:
    with what diversity cost them; -inf: no such beam. max_lengths, max_penalties (B',).
    finished (B', G): how many hypotheses have ended. best_scores (B', G, n): of those, best first.
    """

    sentences: Tensor
    log_probs: Tensor
    augmented: Tensor
    max_lengths: Tensor
    max_penalties: Tensor
    finished: Tensor
    best_scores: Tensor

    @classmethod
    def start(cls, max_lengths: Tensor, groups: int, n_best: int, penalty: LengthPenalty) -> Self:
        batch, device = len(max_lengths), max_lengths.device
        nothing = torch.zeros(batch, groups, 1, device=device)
        penalties = [penalty(length + 1) for length in max_lengths.tolist()]
        return cls(
            sentences=torch.arange(batch, device=device),
            log_probs=nothing,
            augmented=nothing,
            max_lengths=max_lengths,
            max_penalties=torch.tensor(penalties, dtype=torch.float32, device=device),
            finished=max_lengths.new_zeros(batch, groups),
            best_scores=torch.full((batch, groups, n_best), -torch.inf, device=device),
        )

    def select(self, rows: Tensor) -> Self:
        """Those of them, (B'',), in input order."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))


@torch.no_grad()
def diverse_beam_search(
    step: Step[StateT],
    state: StateT,
    *,
    max_lengths: Tensor,
    options: BeamOptions,
    groups: int,
    strength: float,
    bos_id: int,
    eos_id: int,
    suppress_ids: Sequence[int],
) -> list[list[Hypothesis]]:
    """Vijayakumar et al. 2018, algorithm 1, with Hamming diversity; arguments, results and errors as of `beam_search`.

    Each of `groups` groups has its share of the beams and searches for itself. At each position the groups take turns,
    and a token costs `strength` for each beam of an earlier group that goes on with it; the cost stays with the beam.
    It only chooses: log-probabilities and scores are the model's. eos costs nothing, since it would make the later
    groups longer and not otherwise.

    The n best are the best of each group, then their second ones, and so on, each text once (so there may be fewer).

    Raises RecipeError unless groups divide the beam_size and strength is 0 or more.
    """
    check(options, groups, strength)
    assert eos_id not in suppress_ids
    if groups == 1 or len(max_lengths) == 0:  # one group has nobody to differ from
        return beam_search(
            step,
            state,
            max_lengths=max_lengths,
            options=options,
            bos_id=bos_id,
            eos_id=eos_id,
            suppress_ids=suppress_ids,
        )
    batch, longest, beams = len(max_lengths), int(max_lengths.max()), options.beam_size // groups
    search = _Groups(beams, options, strength, eos_id, max_lengths.new_tensor([*suppress_ids, eos_id]))
    history = History(batch * groups, beams, longest, max_lengths.device)  # a group is a sentence to it
    n_each = min(options.n_best, beams)
    live = _Live.start(max_lengths, groups, n_each, options.penalty)
    prev_ids = torch.full_like(max_lengths, bos_id)
    for position in range(longest + 1):
        found, state = step(prev_ids, state)
        log_probs = as_scores(found).log_probs().float()
        ways, live, going = search.advance(log_probs, position, live, history)
        if len(going) == 0:
            break
        own = torch.arange(groups, device=going.device) * (beams if position > 0 else 0)  # the first row of each group
        each = len(prev_ids) // len(live.sentences)
        first = torch.arange(0, len(prev_ids), each, device=going.device)
        rows = (ways.rows + own[:, None] + first[:, None, None]).flatten(1)
        live, ways, rows = live.select(going), Ways(*(x[going] for x in ways)), rows[going]
        state = state.select(rows.flatten())
        history.extend(position, _as_sentences(live.sentences, groups), *(x.flatten(0, 1) for x in ways[1:4]))
        prev_ids = ways.ids.flatten()
    if bool((none := history.scores.amax(dim=(0, 2)) == -torch.inf).any()):
        raise impossible(int(none.nonzero()[0]) // groups)
    by_group = history.best(n_each, options.penalty)
    return [merged(by_group[at : at + groups], options.n_best) for at in range(0, batch * groups, groups)]


def check(options: BeamOptions, groups: int, strength: float) -> None:
    """Raises RecipeError for groups and a strength that make no sense."""
    if groups < 1 or options.beam_size % groups:
        raise RecipeError(
            f"beam_size is {options.beam_size} and the number of groups {groups}, but groups must divide the beam "
            "equally; choose a beam_size that is a multiple of the groups"
        )
    if not 0 <= strength < math.inf:
        raise RecipeError(f"diversity strength is {strength}, but it must be a number of 0 or more")


@dataclass(frozen=True)
class _Groups:
    """One position of the search; beams: those of a group; barred (S,): ids not taken, eos too."""

    beams: int
    options: BeamOptions
    strength: float
    eos_id: int
    barred: Tensor

    def advance(self, log_probs: Tensor, position: int, live: _Live, history: History) -> tuple[Ways, _Live, Tensor]:
        """log_probs (N, V) -> the ways of all groups (B', G, R), what has become of the sentences, and which go on."""
        groups = live.log_probs.size(1)
        by_row = log_probs.view(len(live.sentences), -1, log_probs.size(1))
        counts = torch.zeros_like(by_row[:, 0])  # (B', V) how often earlier groups took a token
        at_limit = live.max_lengths == position
        turns: list[tuple[Tensor, ...]] = []
        for group in range(groups):
            own = by_row if position == 0 else by_row[:, group * self.beams : (group + 1) * self.beams]
            so_far = live.augmented[:, group]
            costly = LogProbs((own - self.strength * counts[:, None]).flatten(0, 1))
            ways = costly.ways(so_far, width=self.beams, eos_id=self.eos_id, barred=self.barred)
            ends = own[:, :, self.eos_id]
            totals = so_far + ends
            bar = torch.cat([ways.totals, totals], dim=1).topk(self.beams, dim=1).values[:, -1:]
            good = totals >= bar
            scores = (live.log_probs[:, group] + ends) / self.options.penalty(position + 1)
            scores = torch.where(good | at_limit[:, None], scores, -torch.inf)
            history.end(position, live.sentences * groups + group, scores, ends, ~good)

            finished = live.finished[:, group] + (scores > -torch.inf).sum(1)
            over = (at_limit | (finished >= self.beams))[:, None]
            ways = ways._replace(totals=ways.totals.masked_fill(over, -torch.inf))
            counts.scatter_add_(1, ways.ids, (ways.totals > -torch.inf).float())
            token_log_probs = own.flatten(1).gather(1, ways.rows * own.size(2) + ways.ids)
            model = live.log_probs[:, group].gather(1, ways.rows) + token_log_probs
            model = model.masked_fill(ways.totals == -torch.inf, -torch.inf)
            n_best = torch.cat([live.best_scores[:, group], scores], 1).topk(live.best_scores.size(2), dim=1).values
            turns.append((*ways._replace(token_log_probs=token_log_probs, ends=ends), model, finished, n_best))
        *of_all, model, finished, n_best = (torch.stack(each, dim=1) for each in zip(*turns, strict=True))
        ways = Ways(*of_all)
        after = replace(live, log_probs=model, augmented=ways.totals, finished=finished, best_scores=n_best)
        return ways, after, (~self.is_done(after)).nonzero().squeeze(1)

    def is_done(self, live: _Live) -> Tensor:
        """(B',): does no group need another position?

        A group whose n best are certain goes on as long as others do: later ones must keep away from it, whether or not
        the search may stop early.
        """
        best = live.log_probs.amax(dim=2)  # (B', G)
        done = best == -torch.inf
        if self.options.stop_early:
            done |= live.best_scores[:, :, -1] > best / live.max_penalties[:, None]
        return done.all(dim=1)


def _as_sentences(sentences: Tensor, groups: int) -> Tensor:
    """(B',) -> (B' * G,): the places of their groups in the history."""
    return (sentences[:, None] * groups + torch.arange(groups, device=sentences.device)).flatten()


def merged(by_group: Sequence[Sequence[Hypothesis]], n_best: int) -> list[Hypothesis]:
    """The best of each group, then their second ones, and so on, until there are n; each once, sorted by score."""
    ranked = sorted(
        ((rank, hypothesis) for found in by_group for rank, hypothesis in enumerate(found)),
        key=lambda pair: (pair[0], -pair[1].score),
    )
    distinct = {hypothesis.ids: hypothesis for _, hypothesis in reversed(ranked)}
    order = dict.fromkeys(hypothesis.ids for _, hypothesis in ranked)
    return sorted((distinct[ids] for ids in list(order)[:n_best]), key=lambda hypothesis: -hypothesis.score)
