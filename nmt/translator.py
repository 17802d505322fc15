"""Lines of text to translations, in input order, one for each line: the only way from text to text.

Validation, `nmt translate`, `nmt evaluate` and `nmt.load` all come through here.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from nmt.data.glossary import Glossary, glued_ids
from nmt.data.placeholders import SYMBOLS
from nmt.data.tokenizer import TokenizerPair
from nmt.decoding import Job, Searcher
from nmt.errors import RecipeError
from nmt.flags import flags
from nmt.mbr import choose
from nmt.passages import Found, Passage, PassageMaker, Request, join
from nmt.recipe import SearchSection
from nmt.scoring import score_ids
from nmt.search.ensemble import StepModel
from nmt.search.hypothesis import Hypothesis

BATCHES_SORTED_TOGETHER = 32  # lines are read ahead by so many batches, so that batch mates are of like length
NO_GLOSSARY = Glossary(())


@dataclass(frozen=True)
class Translation:
    """One translation of one line.

    score: length-normalised log-probability. tokens: the target subwords; token_log_probs: theirs, and those of the end
    of each piece. flags: "truncated" where the length limit cut it off, "split" where a long line was translated in
    pieces, and what `flags` finds. alignment: (source word, target word), counted from 0, where it was asked for.
    """

    text: str
    score: float = 0.0
    tokens: tuple[str, ...] = ()
    token_log_probs: tuple[float, ...] = ()
    flags: tuple[str, ...] = ()
    alignment: tuple[tuple[int, int], ...] = ()


BLANK = Translation("")


class Translator:
    """A model and its tokenizers, under one set of search options. Thread-safe: it keeps no state between calls."""

    def __init__(
        self,
        model: StepModel[Any],
        tokenizers: TokenizerPair,
        search: SearchSection,
        *,
        scorer: StepModel[Any] | None = None,
        glossary: Glossary = NO_GLOSSARY,
        keep: Sequence[re.Pattern[str]] = (),
    ) -> None:
        """`model` must be in evaluation mode whenever this translates, and stay on its device.

        scorer: the model as it was trained, where `model` is an engine made from it: alignments and the coverage
        penalty ask it where it looks. glossary, keep: as `PassageMaker` has them.
        """
        self.model = model
        self.tokenizers = tokenizers
        self.search = search
        self.scorer = model if scorer is None else scorer
        self.glossary = glossary
        self.keep = tuple(keep)
        demands = glossary.terms or keep
        self._searcher = Searcher(
            model,
            search,
            scorer=self.scorer,
            reserved_ids=tokenizers.symbol_ids,
            gap_ids=_gap_ids(tokenizers),
            glued_ids=glued_ids(tokenizers.tgt.tokens(range(tokenizers.tgt.vocab_size))) if demands else (),
        )
        self._maker = PassageMaker(tokenizers, search.max_src_tokens, glossary, self.keep)
        self.device = self._searcher.device

    def under(self, search: SearchSection, *, keep: Sequence[re.Pattern[str]] = ()) -> "Translator":
        """The same model and demands under other search options; keep: more that is to stay as it is."""
        kept = (*self.keep, *keep)
        return Translator(self.model, self.tokenizers, search, scorer=self.scorer, glossary=self.glossary, keep=kept)

    def translate(self, lines: Iterable[str]) -> list[str]:
        """The best translation of each line; of a blank one, a blank one. Raises TypeError for a lone text."""
        if isinstance(lines, str):
            raise TypeError("translate takes a list of lines, not one text: translate([text])")
        return [best.text for best, *_ in self.translations(lines)]

    def translations(
        self,
        lines: Iterable[str | Request],
        *,
        n_best: int = 1,
        read_ahead: int | None = None,
        alignments: bool = False,
    ) -> Iterator[list[Translation]]:
        """For each line its translations, best first, or as they were drawn; a blank line has one, a blank one.

        A text without a number of its own has that of its place among the lines. `read_ahead` lines are read before the
        first is answered: by default some batches, to sort them by length.
        Raises RecipeError where `n_best` exceeds the beam size, or is asked of one choice among samples.
        """
        if n_best > 1 and self.search.mbr_samples:
            raise RecipeError("search.mbr_samples chooses one translation of a line: ask for no n best, or set it to 0")
        requests = (line if isinstance(line, Request) else Request(line, at) for at, line in enumerate(lines))
        while chunk := list(islice(requests, read_ahead or self.search.batch_size * BATCHES_SORTED_TOGETHER)):
            passages = self._maker.passages(chunk)
            jobs = [job for line in passages for passage in line for job in passage.jobs]
            found = iter(self._found(jobs, n_best, alignments=alignments))
            for request, line in zip(chunk, passages, strict=True):
                choices = [[next(found) for _ in passage.jobs] for passage in line]
                yield self._of_line(request.text, line, choices, n_best)

    def _found(self, jobs: Sequence[Job], n_best: int, *, alignments: bool) -> list[list[Found]]:
        hypotheses = self._searcher(jobs, n_best)
        if self.search.mbr_samples:
            hypotheses = [[self._most_alike(drawn)] for drawn in hypotheses]
        if not alignments:
            return [[Found(hypothesis, None) for hypothesis in of_job] for of_job in hypotheses]
        srcs = [job.ids for job, of_job in zip(jobs, hypotheses, strict=True) for _ in of_job]
        scored = iter(score_ids(self.scorer, srcs, [one.ids for found in hypotheses for one in found], attention=True))
        return [[Found(hypothesis, next(scored).attention) for hypothesis in of_job] for of_job in hypotheses]

    def _most_alike(self, drawn: Sequence[Hypothesis]) -> Hypothesis:
        """Of samples, the one with the least risk."""
        return drawn[choose([self.tokenizers.tgt.decode(hypothesis.ids) for hypothesis in drawn])]

    def _of_line(
        self, source: str, passages: Sequence[Passage], choices: Sequence[Sequence[Sequence[Found]]], n_best: int
    ) -> list[Translation]:
        """The n best translations of a line; choices: those of each job of each passage."""
        if not passages:
            return [BLANK]
        ranks = range(max((len(job) for passage in choices for job in passage), default=1))[:n_best]
        chosen = ([[job[min(rank, len(job) - 1)] for job in passage] for passage in choices] for rank in ranks)
        return [self._translation(source, passages, each) for each in chosen]

    def _translation(self, source: str, passages: Sequence[Passage], found: Sequence[Sequence[Found]]) -> Translation:
        joined = join(self.tokenizers, passages, found)
        pieces = [one.hypothesis for of_passage in found for one in of_passage]
        if not pieces:
            return Translation(joined.text)
        token_log_probs = tuple(log_prob for piece in pieces for log_prob in piece.token_log_probs)
        of_all = sum(token_log_probs) / self._searcher.penalty(len(token_log_probs))
        terms = [term for passage in passages for term in passage.terms]
        doubts = flags(source, joined.text, keep=self.keep, terms=terms)
        raised = {
            "split": len(pieces) > 1 or len(passages) > 1,
            "truncated": any(piece.truncated for piece in pieces),
            "placeholders": not joined.whole and "placeholders" not in doubts,
        }
        return Translation(
            text=joined.text,
            score=pieces[0].score if len(pieces) == 1 else of_all,
            tokens=tuple(token for piece in pieces for token in self.tokenizers.tgt.tokens(piece.ids)),
            token_log_probs=token_log_probs,
            flags=(*(name for name, up in raised.items() if up), *doubts),
            alignment=tuple(joined.alignment),
        )


def _gap_ids(tokenizers: TokenizerPair) -> list[int]:
    """The pieces before a placeholder that begins a word: a space, if the target has it as a piece of its own."""
    ids = tokenizers.tgt.encode(SYMBOLS[0]) if tokenizers.symbol_ids else []
    return [token for token in ids if token not in tokenizers.symbol_ids]
