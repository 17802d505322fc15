"""Lines of text to translations, in input order, one for each line: the only way from text to text.

Validation, `nmt translate`, `nmt evaluate` and `nmt.load` all come through here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from nmt.data.batches import collate_src
from nmt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Tokenizer, TokenizerPair
from nmt.engine.engines import EngineKind, engine_for
from nmt.engine.shortlist import Shortlist
from nmt.errors import CheckpointError, RecipeError
from nmt.recipe import SearchSection
from nmt.run_dir import SavedModel, load_model
from nmt.search.beam import BeamOptions, beam_search
from nmt.search.ensemble import Combination, Ensemble, StepModel
from nmt.search.greedy import greedy_search
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalty import LengthPenalty

BATCHES_SORTED_TOGETHER = 32  # lines are read ahead by so many batches, so that batch mates are of like length
SUPPRESSED = (PAD_ID, UNK_ID, BOS_ID)
SHORTLIST = "shortlist.safetensors"  # of a run folder, where there is one


@dataclass(frozen=True)
class Translation:
    """One translation of one line.

    score: length-normalised log-probability. tokens: the target subwords; token_log_probs: theirs, and those of the end
    of each piece. flags: "truncated" where the length limit cut it off, "split" where a long line was translated in
    pieces.
    """

    text: str
    score: float = 0.0
    tokens: tuple[str, ...] = ()
    token_log_probs: tuple[float, ...] = ()
    flags: tuple[str, ...] = ()


BLANK = Translation("")


class Translator:
    """A model and its tokenizers, under one set of search options. Thread-safe: it keeps no state between calls."""

    def __init__(self, model: StepModel[Any], tokenizers: TokenizerPair, search: SearchSection) -> None:
        """`model` must be in evaluation mode whenever this translates, and stay on its device."""
        self.model = model
        self.tokenizers = tokenizers
        self.search = search
        self.penalty = LengthPenalty(search.length_penalty, search.length_alpha)
        self.device = next(model.parameters()).device

    def translate(self, lines: Iterable[str]) -> list[str]:
        """The best translation of each line; of a blank one, a blank one. Raises TypeError for a lone text."""
        if isinstance(lines, str):
            raise TypeError("translate takes a list of lines, not one text: translate([text])")
        return [best.text for best, *_ in self.translations(lines)]

    def translations(
        self, lines: Iterable[str], *, n_best: int = 1, read_ahead: int | None = None
    ) -> Iterator[list[Translation]]:
        """For each line its best translations, best first; a blank line has one, a blank one.

        `read_ahead` lines are read before the first is answered: by default some batches, to sort them by length.
        Raises RecipeError where `n_best` exceeds the beam size.
        """
        options = BeamOptions(self.search.beam_size, self.penalty, n_best)
        source = iter(lines)
        while chunk := list(islice(source, read_ahead or self.search.batch_size * BATCHES_SORTED_TOGETHER)):
            encoded = self.tokenizers.src.encode_batch(chunk)
            pieces = [_cut(self.tokenizers.src, ids, self.search.max_src_tokens) for ids in encoded]
            flat = [piece for line in pieces for piece in line]
            hypotheses = iter(self._search_sorted(flat, options))
            for line in pieces:
                yield self._join([next(hypotheses) for _ in line], n_best)

    def _search_sorted(self, sources: Sequence[list[int]], options: BeamOptions) -> list[list[Hypothesis]]:
        """Decode in batches of like length and put the results back in order."""
        order = sorted(range(len(sources)), key=lambda index: -len(sources[index]))
        results: list[list[Hypothesis]] = [[] for _ in sources]
        for begin in range(0, len(order), self.search.batch_size):
            batch = order[begin : begin + self.search.batch_size]
            for index, found in zip(batch, self._search([sources[i] for i in batch], options), strict=True):
                results[index] = found
        return results

    @torch.no_grad()
    def _search(self, sources: Sequence[list[int]], options: BeamOptions) -> list[list[Hypothesis]]:
        src, src_lengths = collate_src(sources)
        ratio, offset = self.search.max_length_ratio, self.search.max_length_offset
        limits = [int(ratio * len(ids)) + offset for ids in sources]  # each its own: batch mates do not matter
        max_lengths = torch.tensor(limits, dtype=torch.int64, device=self.device)
        state = self.model.start(src.to(self.device), src_lengths.to(self.device))
        if options.beam_size == 1:
            found = greedy_search(
                self.model.step,
                state,
                max_lengths=max_lengths,
                bos_id=BOS_ID,
                eos_id=EOS_ID,
                suppress_ids=SUPPRESSED,
                penalty=options.penalty,
            )
            return [[hypothesis] for hypothesis in found]
        return beam_search(
            self.model.step,
            state,
            max_lengths=max_lengths,
            options=options,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            suppress_ids=SUPPRESSED,
        )

    def _join(self, pieces: Sequence[Sequence[Hypothesis]], n_best: int) -> list[Translation]:
        """The n best translations of a line from those of its pieces; a blank line has no pieces."""
        if not pieces:
            return [BLANK]
        ranks = range(max(len(piece) for piece in pieces))[:n_best]
        return [self._translation([piece[min(rank, len(piece) - 1)] for piece in pieces]) for rank in ranks]

    def _translation(self, pieces: Sequence[Hypothesis]) -> Translation:
        tgt = self.tokenizers.tgt
        token_log_probs = tuple(log_prob for piece in pieces for log_prob in piece.token_log_probs)
        flags = {
            "split": len(pieces) > 1,
            "truncated": any(piece.truncated for piece in pieces),
        }
        return Translation(
            text=" ".join(filter(None, (tgt.decode(piece.ids) for piece in pieces))),
            score=sum(token_log_probs) / self.penalty(len(token_log_probs)),
            tokens=tuple(token for piece in pieces for token in tgt.tokens(piece.ids)),
            token_log_probs=token_log_probs,
            flags=tuple(name for name, raised in flags.items() if raised),
        )


def _cut(tokenizer: Tokenizer, ids: list[int], longest: int) -> list[list[int]]:
    """Pieces of at most `longest` tokens, cut before a word where there is one in the second half of a piece."""
    pieces = []
    while len(ids) > longest:
        starts = (i for i in range(longest, longest // 2, -1) if tokenizer.starts_word(ids[i]))
        end = next(starts, longest)
        pieces.append(ids[:end])
        ids = ids[end:]
    return [*pieces, ids] if ids else pieces


def load(
    run: str | Path,
    *,
    device: str = "cpu",
    engine: EngineKind = "fast",
    shortlist: bool = False,
    beam_size: int | None = None,
    batch_size: int | None = None,
) -> Translator:
    """The translator of a run folder, or of an exported one; `beam_size` and `batch_size` go over those of its recipe.

    engine: "fast" gives the translations of "exact", the model itself; "int8" nearly those. shortlist: choose only from
    what the run's lexical shortlist allows, which is sooner and changes little too.
    Raises CheckpointError where the folder is missing or damaged.
    """
    return load_ensemble(
        [run], device=device, engine=engine, shortlist=shortlist, beam_size=beam_size, batch_size=batch_size
    )


def load_ensemble(
    runs: Sequence[str | Path],
    *,
    combination: Combination = "linear",
    device: str = "cpu",
    engine: EngineKind = "fast",
    shortlist: bool = False,
    beam_size: int | None = None,
    batch_size: int | None = None,
) -> Translator:
    """The translator of several runs that decode together, under the search options of the first; else as `load`.

    Raises CheckpointError where a folder is missing or damaged, or where languages or tokenizers are not the same.
    """
    if isinstance(runs, str | Path) or not runs:
        raise TypeError("load_ensemble takes a list of run folders: load_ensemble([run, another])")
    first, *others = saved = [load_model(Path(run)) for run in runs]
    for run, other in zip(runs[1:], others, strict=True):
        _check_fit(runs[0], first, run, other)
    models: list[StepModel[Any]] = []
    for run, one in zip(runs, saved, strict=True):
        candidates = _shortlist(Path(run), one.tokenizers) if shortlist else None
        models.append(engine_for(one.model.to(device), engine, shortlist=candidates))
    model: StepModel[Any] = Ensemble(models, combination=combination) if others else models[0]
    return Translator(model, first.tokenizers, _changed(first.recipe.search, beam_size, batch_size))


def _shortlist(run: Path, tokenizers: TokenizerPair) -> Shortlist:
    path = run / SHORTLIST
    if not path.is_file():
        raise CheckpointError(f"{run}: has no shortlist ({SHORTLIST}); translate without one")
    return Shortlist.from_file(path, src_vocab_size=tokenizers.src.vocab_size, tgt_vocab_size=tokenizers.tgt.vocab_size)


def _check_fit(run: str | Path, saved: SavedModel, other_run: str | Path, other: SavedModel) -> None:
    """Only models that give the same ids the same meaning can agree on the next one."""
    ours, theirs = (
        {
            "source languages": one.recipe.data.src_lang,
            "target languages": one.recipe.data.tgt_lang,
            "source tokenizers": _identity(one.tokenizers.src),
            "target tokenizers": _identity(one.tokenizers.tgt),
        }
        for one in (saved, other)
    )
    if different := [name for name in ours if ours[name] != theirs[name]]:
        raise CheckpointError(
            f"{run} and {other_run} cannot decode together: their {' and '.join(different)} differ; leave one out, or "
            "train both on the same text with the same [tokenizer] section: only [model] and [train] may differ"
        )


def _identity(tokenizer: Tokenizer) -> tuple[bytes, str, str]:
    """All that decides how it cuts a text."""
    return tokenizer.model, tokenizer.kind, tokenizer.normalization


def _changed(search: SearchSection, beam_size: int | None, batch_size: int | None) -> SearchSection:
    changes = {"beam_size": beam_size, "batch_size": batch_size}
    given = {name: value for name, value in changes.items() if value is not None}
    for name, value in given.items():
        if value < 1:
            raise RecipeError(f"{name} is {value}, but it must be 1 or more")
    return search.model_copy(update=given)
