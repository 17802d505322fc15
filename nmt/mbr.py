"""Minimum Bayes risk: of many translations drawn from a model, the one that agrees best with all of them."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nmt.errors import RecipeError
from nmt.metrics import pairwise_chrf

# name -> the utility of each text as a translation (row) where another is the right one (column)
UTILITIES: dict[str, Callable[[Sequence[str]], NDArray[np.float64]]] = {"chrf": pairwise_chrf}
_DIGITS = 9  # what is equal but for rounding is a tie


def choose(candidates: Sequence[str], *, utility: str = "chrf") -> int:
    """The place of the candidate whose mean utility over all of them is the greatest; a tie goes to the first.

    Kumar & Byrne 2004; with samples of the model as both candidates and references, Eikema & Aziz 2020. A candidate
    counts as often as it was drawn, as a reference for itself too. utility: "chrf", sacreBLEU's sentence chrF2.
    Raises RecipeError for an unknown one.
    """
    assert candidates
    if utility not in UTILITIES:
        raise RecipeError(f"utility: found {utility!r}; choose one of {', '.join(map(repr, UTILITIES))}")
    counts = Counter(candidates)  # in the order in which they come first
    if len(counts) == 1:
        return 0
    texts = list(counts)
    expected = UTILITIES[utility](texts) @ np.array(list(counts.values())) / len(candidates)
    return candidates.index(texts[int(np.round(expected, _DIGITS).argmax())])
