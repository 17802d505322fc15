"""Length penalties: what a log-probability is divided by, so that short hypotheses do not win for being short."""

from collections.abc import Callable
from dataclasses import dataclass

from nmt.errors import RecipeError


def _none(_length: int, _alpha: float) -> float:
    return 1.0


def _average(length: int, _alpha: float) -> float:
    return float(length)


def _gnmt(length: int, alpha: float) -> float:
    return float(((5 + length) / 6) ** alpha)


# name -> penalty(length, alpha). Each must be positive and never fall with length: beam search relies on it to stop.
LENGTH_PENALTIES: dict[str, Callable[[int, float], float]] = {
    "none": _none,
    "average": _average,
    "gnmt": _gnmt,
}


@dataclass(frozen=True)
class LengthPenalty:
    """The score of a hypothesis is its log_prob / penalty(length); `length` counts its tokens, eos among them.

    "none" is 1; "average" is the length, so that a score is the mean log-probability of a token; "gnmt" is
    ((5 + length) / 6) ** alpha (Wu et al. 2016, equation 14), the only one that reads `alpha`.

    Raises RecipeError for an unknown name or a negative alpha.
    """

    name: str
    alpha: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in LENGTH_PENALTIES:
            raise RecipeError(
                f"length penalty: found {self.name!r}; choose one of {', '.join(map(repr, LENGTH_PENALTIES))}"
            )
        if not self.alpha >= 0:
            raise RecipeError(f"length penalty: alpha is {self.alpha}, but it must be 0 or more; 0 switches it off")

    def __call__(self, length: int) -> float:
        return LENGTH_PENALTIES[self.name](length, self.alpha)
