"""A language model that helps a translation model: both judge each token, one decides how it goes on."""

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

from torch import Tensor

from nmt.errors import RecipeError
from nmt.search.ensemble import EnsembleState, StepModel
from nmt.search.scores import Scores, as_scores


class Fusion:
    """Shallow fusion (Gulcehre et al. 2015, section 4.1), to be used as a model: the score of each next token is

        log p_translation + weight * log p_language

    Both models have one vocabulary and one device. The language model judges eos like any other token: it learned from
    whole lines where they end, and if only going on cost something, every translation would end too soon. The scores
    are not made to sum to one again, as in the paper; they are at most 0, as a search wants them. Under a weight of 0
    the language model is not asked, and the scores are the translation model's own.
    """

    def __init__(self, model: StepModel[Any], language_model: StepModel[Any], *, weight: float) -> None:
        """Raises RecipeError unless the weight is a number of at least 0."""
        if not (math.isfinite(weight) and weight >= 0):
            raise RecipeError(f"the language model's weight is {weight}, but it must be 0 or more; 0 switches it off")
        self.model = model
        self.language_model = language_model
        self.weight = weight

    def start(self, src: Tensor, src_lengths: Tensor) -> EnsembleState:
        """src (B, S), src_lengths (B,) -> the state before the first target token, N = B rows; both models' states."""
        return EnsembleState((self.model.start(src, src_lengths), self.language_model.start(src, src_lengths)))

    def step(self, prev_ids: Tensor, state: EnsembleState) -> tuple[Tensor | Scores, EnsembleState]:
        """One position. prev_ids (N,) -> the fused scores (N, V), and the state after it."""
        of_translation, of_language = state.members
        found, of_translation = self.model.step(prev_ids, of_translation)
        if self.weight == 0:  # also since 0 times -inf is no number
            return found, EnsembleState((of_translation, of_language))
        judged, of_language = self.language_model.step(prev_ids, of_language)
        scores = as_scores(found).log_probs() + self.weight * as_scores(judged).log_probs()
        return scores, EnsembleState((of_translation, of_language))

    def parameters(self) -> Iterator[Tensor]:
        """Those of the translation model, then those of the language model."""
        return chain(self.model.parameters(), self.language_model.parameters())
