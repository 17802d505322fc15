"""What a search is given (a state and a step function) and what it gives back (hypotheses)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from torch import Tensor

from nmt.errors import NonsenseError
from nmt.search.penalty import LengthPenalty
from nmt.search.scores import Scores


class State(Protocol):
    """All that a decoder remembers between two steps, one row for each hypothesis under way."""

    def select(self, rows: Tensor) -> Self:
        """The state whose row i is row `rows[i]` of this one; rows (N',) int64, repeats allowed.

        The rows of one sentence stay contiguous, and every sentence keeps equally many of them, before and after; the
        sentences keep their order. So a state may hold what all beams of a sentence share only once a sentence.
        """
        ...


StateT = TypeVar("StateT", bound=State)

# One position: (prev_ids (N,) int64, state) -> (log_probs (N, V) or what stands for them, the state after it).
# Natural logarithms, at most 0.
Step = Callable[[Tensor, StateT], tuple[Tensor | Scores, StateT]]


@dataclass(frozen=True)
class Hypothesis:
    """One way to translate a sentence, and how probable the model holds it to be.

    `ids` leave out eos; `token_log_probs` count it, so they are one longer. `log_prob` is their sum, and `score` is
    that sum divided by the length penalty. `truncated` says that the length limit forced the end: without it eos
    would not have been among the best candidates.
    """

    ids: tuple[int, ...]
    token_log_probs: tuple[float, ...]
    log_prob: float
    score: float
    truncated: bool

    @classmethod
    def scored(
        cls, ids: list[int], token_log_probs: list[float], *, truncated: bool, penalty: LengthPenalty
    ) -> "Hypothesis":
        """Sum up and normalise; the last of `token_log_probs` is that of eos, which counts as a token."""
        log_prob = math.fsum(token_log_probs)
        score = log_prob / penalty(len(token_log_probs))
        return cls(tuple(ids), tuple(token_log_probs), log_prob, score, truncated)


def impossible(sentence: int) -> NonsenseError:
    """The error for a sentence of the batch all of whose hypotheses have probability 0."""
    return NonsenseError(
        f"sentence {sentence} of the batch: the model gives every translation within the length limit a probability "
        "of 0, and at least one must have more; the model is damaged or its training diverged: use another checkpoint"
    )
