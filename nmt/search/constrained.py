"""Beam search under lexical constraints: phrases that must stand in the output, wherever they fit best."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nmt.errors import RecipeError
from nmt.search.beam import BeamOptions, beam_search
from nmt.search.hypothesis import Hypothesis, StateT, Step, impossible
from nmt.search.phrases import Demand, Progress
from nmt.search.scores import as_scores, best_ways, top_tokens


@dataclass(frozen=True)
class _Beam:
    """An unfinished hypothesis; row: that of its sentence which it continues. closed: its last token ends a phrase."""

    ids: tuple[int, ...]
    token_log_probs: tuple[float, ...]
    log_prob: float
    progress: Progress
    row: int = 0
    closed: bool = False

    def taking(self, token: int, log_prob: float, row: int) -> "_Beam":
        """With one token more, `row` being its own place among the beams."""
        progress = self.progress.after(token)
        closed = progress.whole > self.progress.whole
        token_log_probs = (*self.token_log_probs, log_prob)
        return _Beam((*self.ids, token), token_log_probs, self.log_prob + log_prob, progress, row, closed)


@dataclass
class _Sentence:
    """A sentence under way: its place in the input, what has ended, and its beams, best first."""

    place: int
    max_length: int
    demand: Demand
    ended: list[tuple[int, Hypothesis]] = field(default_factory=list)  # with how many tokens of whole phrases it has

    def __post_init__(self) -> None:
        self.beams = [_Beam((), (), 0.0, self.demand.start)]

    def best(self, n: int) -> list[Hypothesis]:
        """The n best of those that have met most. Raises NmtError if there are none."""
        if not self.ended:
            raise impossible(self.place)
        most = max(whole for whole, _ in self.ended)
        return sorted((found for whole, found in self.ended if whole == most), key=lambda found: -found.score)[:n]

    def is_done(self, best: float, options: BeamOptions) -> bool:
        """Does it need no further position, `best` being the log_prob of its best survivor? As in `beam_search`."""
        scores = sorted((found.score for _, found in self.ended), reverse=True)
        bound = best / options.penalty(self.max_length + 1)
        certain = options.stop_early and len(scores) >= options.n_best and scores[options.n_best - 1] > bound
        return certain or len(scores) >= options.beam_size


@torch.no_grad()
def constrained_beam_search(
    step: Step[StateT],
    state: StateT,
    *,
    max_lengths: Tensor,
    options: BeamOptions,
    phrases: Sequence[Sequence[Sequence[int]]],
    bos_id: int,
    eos_id: int,
    suppress_ids: Sequence[int],
    glued_ids: Collection[int] = (),
) -> list[list[Hypothesis]]:
    """Dynamic beam allocation (Post and Vilar 2018); arguments, results and errors as of `beam_search`.

    `phrases`: for each sentence those that must occur, as ids; no token counts for two. `glued_ids` go on with a word:
    none of them follows a phrase at once, which would make another word of its last one. A sentence without any gets
    what `beam_search` gives. At each position the candidates of a sentence are its K best, the best of each beam, and
    whatever begins a phrase or goes on with one; the K beams are shared out over banks of candidates that have met
    equally many tokens. A hypothesis that has met all ends where eos is within the share of its bank.

    At its max_length, or where no token is possible, a sentence is ended by force. Where no hypothesis has met all,
    those that have met most are returned, `truncated`; so there are fewer than n where fewer met as much.

    Raises RecipeError for a phrase that is empty, or that no search can produce.
    """
    assert eos_id not in suppress_ids
    assert len(phrases) == len(max_lengths)
    check(phrases, {eos_id, *suppress_ids})
    free, bound = ([at for at, given in enumerate(phrases) if bool(given) == wanted] for wanted in (False, True))
    results: dict[int, list[Hypothesis]] = {}
    if free:
        rows = max_lengths.new_tensor(free)
        found = beam_search(
            step,
            state.select(rows) if bound else state,
            max_lengths=max_lengths[rows],
            options=options,
            bos_id=bos_id,
            eos_id=eos_id,
            suppress_ids=suppress_ids,
        )
        results.update(zip(free, found, strict=True))
    if bound:
        sentences = [_Sentence(at, int(max_lengths[at]), Demand(phrases[at])) for at in bound]
        search = _Allocation(
            options, eos_id, max_lengths.new_tensor([*suppress_ids, eos_id]), max_lengths.new_tensor([*glued_ids])
        )
        state = state.select(max_lengths.new_tensor(bound)) if free else state
        search.run(step, state, sentences, max_lengths.new_full((len(bound),), bos_id))
        results.update((sentence.place, sentence.best(options.n_best)) for sentence in sentences)
    return [results[at] for at in range(len(phrases))]


def check(phrases: Sequence[Sequence[Sequence[int]]], never: set[int]) -> None:
    """Raises RecipeError for phrases that no output can hold; `never` (ids): what is not produced."""
    for sentence, given in enumerate(phrases):
        for phrase in given:
            if not phrase or (barred := [token for token in phrase if token in never or token < 0]):
                found = f"ids {barred} can never be produced (an unknown character, or an end)" if phrase else "empty"
                raise RecipeError(f"phrases of sentence {sentence}: {list(phrase)}: {found}; leave it out")


def shares(counts: Sequence[int], beam_size: int) -> list[int]:
    """How many of its candidates each bank keeps, `counts` being how many it has.

    Equally many, and what remains goes to the last bank. A bank that cannot fill its share leaves the rest to those
    that have more, the nearest first.
    """
    room = [beam_size // len(counts)] * len(counts)
    room[-1] += beam_size % len(counts)
    kept = [min(pair) for pair in zip(counts, room, strict=True)]
    for bank in reversed(range(len(counts))):
        spare = room[bank] - min(counts[bank], room[bank])
        if spare == 0:  # as nearly all where a sentence has more banks than beams
            continue
        for _distance, other in sorted((abs(other - bank), other) for other in range(len(counts))):
            given = min(spare, counts[other] - kept[other])
            kept[other] += given
            spare -= given
    return kept


@dataclass(frozen=True)
class _Allocation:
    """The search of sentences that all have phrases; barred (S,): ids not taken, eos too."""

    options: BeamOptions
    eos_id: int
    barred: Tensor
    glued: Tensor  # (G,)

    def run(self, step: Step[StateT], state: StateT, sentences: Sequence[_Sentence], prev_ids: Tensor) -> None:
        """Fill `ended` of each sentence; prev_ids (B,)."""
        position, rows_each, width = 0, 1, self.options.beam_size
        while True:
            found, state = step(prev_ids, state)
            log_probs = self.unglued(as_scores(found).log_probs().float(), sentences)  # (N, V)
            candidates = self.candidates(log_probs, sentences)
            ends = log_probs[:, self.eos_id].view(len(sentences), -1).tolist()
            for sentence, given, own_ends in zip(sentences, candidates, ends, strict=True):
                self.advance(sentence, given, own_ends[: len(sentence.beams)], position)
            going = [(at, sentence) for at, sentence in enumerate(sentences) if sentence.beams]
            # Every sentence keeps K rows: those that it has no beams for repeat its first one, and nobody reads them.
            beams = [(at, beam) for at, s in going for beam in [*s.beams, *[s.beams[0]] * (width - len(s.beams))]]
            if not beams:
                return
            state = state.select(prev_ids.new_tensor([at * rows_each + beam.row for at, beam in beams]))
            prev_ids = prev_ids.new_tensor([beam.ids[-1] for _, beam in beams])
            sentences, rows_each, position = [sentence for _, sentence in going], width, position + 1

    def unglued(self, log_probs: Tensor, sentences: Sequence[_Sentence]) -> Tensor:
        """log_probs (N, V) without what would go on with a phrase; a prefix may leave nothing else to a row, though."""
        each = len(log_probs) // len(sentences)
        closed = [at * each + own for at, s in enumerate(sentences) for own, beam in enumerate(s.beams) if beam.closed]
        if not closed:
            return log_probs
        rows = self.barred.new_tensor(closed)
        left = log_probs[rows].index_fill(1, self.glued, -torch.inf)
        possible = left.amax(dim=1) > -torch.inf
        return log_probs.index_copy(0, rows[possible], left[possible])

    def candidates(self, log_probs: Tensor, sentences: Sequence[_Sentence]) -> list[list[_Beam]]:
        """log_probs (N, V) -> for each sentence, its beams with a token more that are worth a thought, best first."""
        each, width, never = len(log_probs) // len(sentences), self.options.beam_size, set(self.barred.tolist())
        values, ids = top_tokens(log_probs, width, self.barred)  # (N, C)
        so_far = [[beam.log_prob for beam in s.beams] + [-math.inf] * (each - len(s.beams)) for s in sentences]
        totals = torch.tensor(so_far, device=values.device)
        ways = best_ways(values, totals, width=width, ends=totals, ids=ids)
        first = torch.arange(0, len(log_probs), each, device=values.device)[:, None]
        column = values.argmax(dim=1, keepdim=True)
        worth = list(zip((ways.rows + first).flatten().tolist(), ways.ids.flatten().tolist(), strict=True))
        worth += enumerate(ids.gather(1, column).flatten().tolist())
        for at, sentence in enumerate(sentences):
            for row, beam in enumerate(sentence.beams, at * each):
                worth += [(row, token) for token in beam.progress.next_ids]
        worth = list(dict.fromkeys(worth))  # each once
        rows, tokens = self.barred.new_tensor(worth).T
        found: list[list[_Beam]] = [[] for _ in sentences]
        for (row, token), value in zip(worth, log_probs[rows, tokens].tolist(), strict=True):
            at, own = divmod(row, each)
            if own < len(sentences[at].beams) and value > -math.inf and token not in never:
                found[at].append(sentences[at].beams[own].taking(token, value, own))
        return [sorted(beams, key=lambda beam: -beam.log_prob) for beams in found]

    def advance(self, sentence: _Sentence, candidates: Sequence[_Beam], ends: Sequence[float], position: int) -> None:
        """Its beams a position on, none where it is done, and what ends here; ends (R,): log_probs of eos."""
        before, width, tokens = sentence.beams, self.options.beam_size, sentence.demand.tokens
        banks: list[list[_Beam]] = [[] for _ in range(tokens + 1)]
        in_time = [beam for beam in candidates if position + 1 + tokens - beam.progress.met <= sentence.max_length]
        for beam in in_time or candidates:  # those that can still meet all before the limit, if there are any
            banks[beam.progress.met].append(beam)
        counts = [len(bank) for bank in banks]
        last = position == sentence.max_length or not candidates

        totals = [beam.log_prob + end for beam, end in zip(before, ends, strict=True)]
        rivals = [total for total, beam in zip(totals, before, strict=True) if beam.progress.complete]
        share = shares([*counts[:-1], counts[-1] + len(rivals)], width)[-1]
        within = sorted([*rivals, *(beam.log_prob for beam in banks[-1])], reverse=True)[:share]
        for beam, end, total in zip(before, ends, totals, strict=True):
            good = beam.progress.complete and total >= within[-1]
            if (good or last) and end > -math.inf:
                log_probs, penalty = [*beam.token_log_probs, end], self.options.penalty
                ended = Hypothesis.scored(list(beam.ids), log_probs, truncated=not good, penalty=penalty)
                sentence.ended.append((beam.progress.whole, ended))

        kept = [beam for bank, share in zip(banks, shares(counts, width), strict=True) for beam in bank[:share]]
        sentence.beams = sorted(kept, key=lambda beam: -beam.log_prob)
        if last or sentence.is_done(sentence.beams[0].log_prob, self.options):
            sentence.beams = []
