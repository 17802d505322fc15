"""How good a model is in mid-training: BLEU of its translations, if it translates, and perplexity of the references."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch

from nmt.data.batches import IdTable, collate, plan_batches
from nmt.data.tokenizer import TokenizerPair
from nmt.errors import Divergence, NonsenseError
from nmt.evaluate import TestSet
from nmt.metrics import score
from nmt.model.build import AnyModel
from nmt.model.loss import smoothed_loss
from nmt.model.model import real_positions
from nmt.recipe import Recipe
from nmt.train.distributed import ALONE, Team
from nmt.train.progress import Sample
from nmt.translator import Translator


class Criterion(NamedTuple):
    """Which of a validation's scores tells the best model; sign: 1 where more is better, -1 where less is."""

    name: Literal["bleu", "ppl"]
    sign: float


BLEU, PPL = Criterion("bleu", 1.0), Criterion("ppl", -1.0)


@dataclass(frozen=True)
class Validation:
    """One look at the validation set; nll: natural logarithm, mean over its target tokens, eos counted.

    bleu: None of a language model, which has no hypotheses and no samples either.
    """

    bleu: float | None
    nll: float
    hypotheses: list[str]
    samples: list[Sample]

    @property
    def scores(self) -> dict[str, float]:
        """By name, as reports have them."""
        ppl = {"ppl": math.exp(min(self.nll, 100.0))}
        return ppl if self.bleu is None else {"bleu": self.bleu, **ppl}


class Validator:
    """Translates the validation set as `nmt translate` would, and scores that; also forces the references.

    Of a language model the latter alone. A team shares out sentences and batches; all of it get the whole result.
    """

    def __init__(
        self, model: AnyModel, tokenizers: TokenizerPair, recipe: Recipe, valid: TestSet, team: Team = ALONE
    ) -> None:
        search = recipe.search.plain(recipe.train.validate_beam_size)
        self._model = model
        self._team = team
        translates = recipe.model.translates
        self._translator = Translator(model, tokenizers, search) if translates else None
        self._valid = valid
        # what training has memory for
        self._batch_tokens = max(1, recipe.train.batch_tokens // (team.size * recipe.train.accumulate))
        self._tgt_lang = recipe.data.tgt_lang
        count = recipe.train.samples
        self._shown = [index * len(valid.src) // max(count, 1) for index in range(count)]
        src, tgt = tokenizers.encode_pairs(valid.src, valid.references)
        self._tgt = IdTable(tgt)
        self._src = IdTable(src if translates else [[]] * len(tgt))  # a language model reads none

    def __call__(self) -> Validation:
        """The model must be in evaluation mode. Raises Divergence where it gives no finite log-probabilities."""
        valid = self._valid
        nll = self._mean_nll()
        if not math.isfinite(nll):
            raise Divergence(f"the loss on the validation set is {nll}: training diverged")
        if self._translator is None:
            return Validation(None, nll, [], [])
        hypotheses = self._translate(self._translator, valid.src)
        [bleu] = score(["bleu"], hypotheses, valid.references, tgt_lang=self._tgt_lang)
        samples = [Sample(valid.src[i], hypotheses[i], valid.references[i]) for i in self._shown]
        return Validation(bleu.value, nll, hypotheses, samples)

    def _translate(self, translator: Translator, src: Sequence[str]) -> list[str]:
        team = self._team
        hypotheses = [""] * len(src)
        own: list[str] | None = None
        fault = None
        try:
            own = translator.translate(src[team.rank :: team.size])
        except NonsenseError as error:
            fault = error
        for rank, share in enumerate(team.gather(own)):  # all learn of it together: nobody may wait for one who left
            if share is None:
                raise Divergence(
                    "log-probabilities hold NaN or a value above 0 in a validation: training diverged"
                ) from fault
            hypotheses[rank :: team.size] = share
        return hypotheses

    @torch.no_grad()
    def _mean_nll(self) -> float:
        src, tgt, team = self._src, self._tgt, self._team
        device = next(self._model.parameters()).device
        total, tokens = 0.0, 0
        batches = plan_batches(src.lengths, tgt.lengths, batch_tokens=self._batch_tokens, seed=0, epoch=0)
        for rows in batches[team.rank :: team.size]:
            batch = collate([src[i] for i in rows], [tgt[i] for i in rows]).to(device)
            readouts = self._model.readouts(batch.src, batch.src_lengths, batch.tgt_in, batch.tgt_lengths)
            out = real_positions(batch.tgt_out, batch.tgt_lengths)
            loss = smoothed_loss(self._model.output(readouts), out, label_smoothing=0.0)
            total += float(loss.nll)
            tokens += loss.tokens
        totals = team.gather((total, tokens))
        return sum(total for total, _ in totals) / sum(tokens for _, tokens in totals)
