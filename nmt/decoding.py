"""From source ids to target ids as a recipe's [search] section wants it: batches, limits, and the way to search."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import torch
from torch import Tensor

from nmt.data.batches import collate_src
from nmt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from nmt.recipe import SearchSection
from nmt.scoring import rerank_by_coverage
from nmt.search.beam import BeamOptions, beam_search
from nmt.search.constrained import constrained_beam_search
from nmt.search.controls import Controls, under
from nmt.search.diverse import diverse_beam_search
from nmt.search.ensemble import StepModel
from nmt.search.greedy import greedy_search
from nmt.search.hypothesis import Hypothesis, StateT, Step
from nmt.search.penalty import LengthPenalty
from nmt.search.sampling import SamplingOptions, line_uniforms, sample

PHRASE_BEAM = 5  # at least: with fewer, phrases are placed as soon as possible, whatever they mean there
MOST_PIECES = 2**20  # that a line is cut into
SUPPRESSED = (PAD_ID, UNK_ID, BOS_ID)


class TokenIds(TypedDict):
    """What every search is told of the vocabulary."""

    bos_id: int
    eos_id: int
    suppress_ids: Sequence[int]


TOKENS = TokenIds(bos_id=BOS_ID, eos_id=EOS_ID, suppress_ids=SUPPRESSED)


@dataclass(frozen=True)
class Job:
    """A piece of text to translate, and what its translation must keep to.

    number: decides what is drawn for it at random. prefix: the translation begins so. phrases: each must occur.
    allowance: the reserved ids that may be produced, and how often.
    """

    ids: Sequence[int]
    number: tuple[int, int] = (0, 0)  # its line's, its own within the line
    prefix: Sequence[int] = ()
    phrases: Sequence[Sequence[int]] = ()
    allowance: Mapping[int, int] = field(default_factory=dict)


class Searcher:
    """A model under search options. It keeps no state between calls."""

    def __init__(
        self,
        model: StepModel[Any],
        search: SearchSection,
        *,
        scorer: StepModel[Any],
        reserved_ids: Sequence[int] = (),
        glued_ids: Sequence[int] = (),
        gap_ids: Sequence[int] = (),
    ) -> None:
        """scorer: the model as it was trained, which the coverage penalty asks. reserved_ids: see `Job.allowance`.

        glued_ids: tokens that go on with a word, and so with no phrase. gap_ids: a space, that stands for itself.
        """
        self.model = model
        self.search = search
        self.scorer = scorer
        self.penalty = LengthPenalty(search.length_penalty, search.length_alpha)
        self.reserved_ids = tuple(reserved_ids)
        self.gap_ids = tuple(gap_ids)
        self.glued_ids = frozenset(glued_ids)
        self.device = next(model.parameters()).device

    def __call__(self, jobs: Sequence[Job], n_best: int = 1) -> list[list[Hypothesis]]:
        """The n best hypotheses of each job, best first; where they are drawn, n of them as they came.

        Raises RecipeError where the beam does not hold n, and where options do not go together.
        """
        results: list[list[Hypothesis]] = [[] for _ in jobs]
        for rows in self._batches(jobs):
            for row, found in zip(rows, self._search([jobs[row] for row in rows], n_best), strict=True):
                results[row] = found
        return results

    def _batches(self, jobs: Sequence[Job]) -> Iterator[list[int]]:
        """Jobs of like length together, the longest first; those with phrases apart, as they are slower."""
        order = sorted(range(len(jobs)), key=lambda row: (len(jobs[row].phrases) > 0, -len(jobs[row].ids)))
        free = sum(not job.phrases for job in jobs)
        begin = 0
        while begin < len(order):
            fit = self.search.batch_tokens // (len(jobs[order[begin]].ids) + 1)  # eos counted
            end = min(begin + max(1, min(self.search.batch_size, fit)), free if begin < free else len(order))
            yield order[begin:end]
            begin = end

    @torch.no_grad()
    def _search(self, jobs: Sequence[Job], n_best: int) -> list[list[Hypothesis]]:
        src, src_lengths = (x.to(self.device) for x in collate_src([list(job.ids) for job in jobs]))
        max_lengths = torch.tensor([self._limit(job) for job in jobs], dtype=torch.int64, device=self.device)
        state = self.model.start(src, src_lengths)
        step, state = under(
            self._controls(jobs),
            self.model.step,
            state,
            eos_id=EOS_ID,
            rows=len(jobs),
            max_lengths=max_lengths,
            suppress_ids=SUPPRESSED,
        )
        if self.search.draws:
            return self._draw(jobs, step, state, max_lengths, max(n_best, self.search.mbr_samples))
        if self.search.coverage_penalty == 0:
            return self._best(jobs, step, state, max_lengths, n_best)
        found = self._best(jobs, step, state, max_lengths, self.search.beam_size)
        srcs, beta = [job.ids for job in jobs], self.search.coverage_penalty
        return [hypotheses[:n_best] for hypotheses in rerank_by_coverage(self.scorer, srcs, found, beta=beta)]

    def _limit(self, job: Job) -> int:
        """The most tokens of its translation: its own, so that batch mates do not matter."""
        limit = int(self.search.max_length_ratio * len(job.ids)) + self.search.max_length_offset
        wanted = len(job.prefix) + sum(map(len, job.phrases)) + 2 * sum(job.allowance.values())  # with a gap each
        return max(limit, self.search.min_length) + wanted

    def _controls(self, jobs: Sequence[Job]) -> Controls:
        prefixed = any(job.prefix for job in jobs)
        return Controls(
            min_length=self.search.min_length,
            block_ngrams=self.search.block_ngrams,
            repetition_penalty=self.search.repetition_penalty,
            prefixes=[job.prefix for job in jobs] if prefixed else (),
            allowances=[job.allowance for job in jobs] if self.reserved_ids else (),
            reserved_ids=self.reserved_ids,
            gap_ids=self.gap_ids,
            exempt=[[token for phrase in job.phrases for token in phrase] for job in jobs],
        )

    def _best(
        self, jobs: Sequence[Job], step: Step[StateT], state: StateT, max_lengths: Tensor, n_best: int
    ) -> list[list[Hypothesis]]:
        options = BeamOptions(self.search.beam_size, self.penalty, n_best)
        if any(job.phrases for job in jobs):
            phrases = [job.phrases for job in jobs]
            options = BeamOptions(max(options.beam_size, PHRASE_BEAM), self.penalty, n_best)
            return constrained_beam_search(
                step,
                state,
                max_lengths=max_lengths,
                options=options,
                phrases=phrases,
                glued_ids=self.glued_ids,
                **TOKENS,
            )
        if self.search.diverse_groups > 1:
            groups, strength = self.search.diverse_groups, self.search.diverse_strength
            return diverse_beam_search(
                step, state, max_lengths=max_lengths, options=options, groups=groups, strength=strength, **TOKENS
            )
        if options.beam_size == 1:
            greedy = greedy_search(step, state, max_lengths=max_lengths, penalty=self.penalty, **TOKENS)
            return [[hypothesis] for hypothesis in greedy]
        return beam_search(step, state, max_lengths=max_lengths, options=options, **TOKENS)

    def _draw(
        self, jobs: Sequence[Job], step: Step[StateT], state: StateT, max_lengths: Tensor, count: int
    ) -> list[list[Hypothesis]]:
        options = SamplingOptions(self.search.temperature, self.search.top_k, self.search.top_p)
        longest = int(max_lengths.max()) + 1
        drawn = []
        for number in range(count):
            uniforms = torch.stack([self._uniforms(job, number, longest) for job in jobs])
            drawn.append(
                sample(
                    step,
                    state,
                    max_lengths=max_lengths,
                    uniforms=uniforms,
                    options=options,
                    penalty=self.penalty,
                    **TOKENS,
                )
            )
        return [list(found) for found in zip(*drawn, strict=True)]

    def _uniforms(self, job: Job, number: int, longest: int) -> Tensor:
        """What decides sample `number` of a job: no other job, sample or batch mate has a part in it."""
        line, place = job.number
        return line_uniforms(self.search.seed, line, number * MOST_PIECES + place, longest)
