"""How good a model is in mid-training: BLEU of its translations, perplexity of the references."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from nmt.data.batches import IdTable, collate, plan_batches
from nmt.data.tokenizer import TokenizerPair
from nmt.errors import Divergence
from nmt.evaluate import TestSet
from nmt.metrics import score
from nmt.model.build import AnyModel
from nmt.model.loss import smoothed_loss
from nmt.model.model import real_positions
from nmt.recipe import Recipe
from nmt.train.distributed import ALONE, Team
from nmt.train.progress import Sample
from nmt.translator import Translator


@dataclass(frozen=True)
class Validation:
    """One look at the validation set; nll: natural logarithm, mean over its target tokens, eos counted."""

    bleu: float
    nll: float
    hypotheses: list[str]
    samples: list[Sample]


class Validator:
    """Translates the validation set as `nmt translate` would, and scores that; then forces the references.

    A team shares out sentences and batches; all of it get the whole result.
    """

    def __init__(
        self, model: AnyModel, tokenizers: TokenizerPair, recipe: Recipe, valid: TestSet, team: Team = ALONE
    ) -> None:
        search = recipe.search.model_copy(update={"beam_size": recipe.train.validate_beam_size})
        self._model = model
        self._team = team
        self._translator = Translator(model, tokenizers, search)
        self._valid = valid
        # what training has memory for
        self._batch_tokens = max(1, recipe.train.batch_tokens // (team.size * recipe.train.accumulate))
        self._tgt_lang = recipe.data.tgt_lang
        count = recipe.train.samples
        self._shown = [index * len(valid.src) // max(count, 1) for index in range(count)]
        self._src = IdTable(tokenizers.src.encode_batch(valid.src))
        self._tgt = IdTable(tokenizers.tgt.encode_batch(valid.references))

    def __call__(self) -> Validation:
        """The model must be in evaluation mode. Raises Divergence where it gives no finite log-probabilities."""
        valid = self._valid
        nll = self._mean_nll()
        if not math.isfinite(nll):
            raise Divergence(f"the loss on the validation set is {nll}: training diverged")
        hypotheses = self._translate(valid.src)
        [bleu] = score(["bleu"], hypotheses, valid.references, tgt_lang=self._tgt_lang)
        samples = [Sample(valid.src[i], hypotheses[i], valid.references[i]) for i in self._shown]
        return Validation(bleu.value, nll, hypotheses, samples)

    def _translate(self, src: Sequence[str]) -> list[str]:
        team = self._team
        hypotheses = [""] * len(src)
        for rank, share in enumerate(team.gather(self._translator.translate(src[team.rank :: team.size]))):
            hypotheses[rank :: team.size] = share
        return hypotheses

    @torch.no_grad()
    def _mean_nll(self) -> float:
        src, tgt = self._src, self._tgt
        device = next(self._model.parameters()).device
        total, tokens = 0.0, 0
        batches = plan_batches(src.lengths, tgt.lengths, batch_tokens=self._batch_tokens, seed=0, epoch=0)
        for rows in batches[self._team.rank :: self._team.size]:
            batch = collate([src[i] for i in rows], [tgt[i] for i in rows]).to(device)
            readouts = self._model.readouts(batch.src, batch.src_lengths, batch.tgt_in, batch.tgt_lengths)
            out = real_positions(batch.tgt_out, batch.tgt_lengths)
            loss = smoothed_loss(self._model.output(readouts), out, label_smoothing=0.0)
            total += float(loss.nll)
            tokens += loss.tokens
        totals = self._team.gather((total, tokens))
        return sum(total for total, _ in totals) / sum(tokens for _, tokens in totals)
