"""What a step tells a search of the next token: its log-probabilities, or a cheaper way to the few that count."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from nmt.errors import NonsenseError

# log_softmax and averages of it may end a rounding error above 0; what is above this is no log-probability.
ROUNDING = 1e-3


class Ways(NamedTuple):
    """The W best ways of each of B sentences to go on without ending, best first; R rows each; and the ways to end.

    totals (B, W): their log_prob with all that came before, -inf: no such way. rows (B, W): which of the sentence's
    rows each continues. ids (B, W), token_log_probs (B, W): the token that it takes. ends (B, R): log_prob of eos.
    """

    totals: Tensor
    rows: Tensor
    ids: Tensor
    token_log_probs: Tensor
    ends: Tensor


class Scores(Protocol):
    """What is known of the next token in N = B * R rows."""

    def ways(self, so_far: Tensor, *, width: int, eos_id: int, barred: Tensor) -> Ways:
        """The best of all rows of a sentence; so_far (B, R): each row's log_prob; barred (S,): ids not taken, eos too.

        All in float32. Raises NonsenseError where the log-probabilities hold NaN or a value above 0.
        """
        ...

    def log_probs(self) -> Tensor:
        """(N, V), -inf: never."""
        ...


class LogProbs:
    """Log-probabilities of the whole vocabulary, (N, V)."""

    def __init__(self, log_probs: Tensor) -> None:
        self._log_probs = log_probs

    def ways(self, so_far: Tensor, *, width: int, eos_id: int, barred: Tensor) -> Ways:
        """As `Scores` has it."""
        values, ids = top_tokens(self._log_probs, width, barred)  # (N, width + S)
        ends = self._log_probs[:, eos_id].float().view_as(so_far)
        return best_ways(values, so_far, width=width, ends=ends, ids=ids)

    def log_probs(self) -> Tensor:
        """(N, V)"""
        return self._log_probs


def as_scores(found: Tensor | Scores) -> Scores:
    """What a step gave, as scores: a plain model gives the tensor of its log_probs (N, V)."""
    return LogProbs(found) if isinstance(found, Tensor) else found


def best_ways(values: Tensor, so_far: Tensor, *, width: int, ends: Tensor, ids: Tensor | None = None) -> Ways:
    """The best of the candidates: values (N, C) log_probs, so_far and ends (B, R) -> the ways.

    ids (N, C), or (B, C) where all rows of a sentence have the same candidates, or none where they are 0 .. C - 1.
    """
    batch, columns = len(so_far), values.size(1)
    totals = (values.view(batch, -1, columns) + so_far[:, :, None]).flatten(1)  # (B, R*C)
    totals, index = totals.topk(width, dim=1)
    values = values.view(batch, -1)
    tokens = index if ids is not None and ids.numel() == values.numel() else index % columns
    if ids is not None:
        tokens = ids.view(batch, -1).gather(1, tokens)
    return Ways(totals, index.div(columns, rounding_mode="floor"), tokens, values.gather(1, index), ends)


def top_tokens(log_probs: Tensor, width: int, suppressed: Tensor) -> tuple[Tensor, Tensor]:
    """The best tokens of each row that are not suppressed, in no promised order.

    log_probs (N, V), suppressed (S,) ids -> log_probs (N, width + S) float32 and ids (N, width + S). The `width` best
    are among them; what is suppressed, or was added because V is smaller, has log-probability -inf.

    Raises NonsenseError if a row's log-probabilities hold NaN or a value above 0.
    """
    columns = width + len(suppressed)
    values, ids = log_probs.topk(min(columns, log_probs.size(1)), dim=1)
    values = values.float()
    refuse_nonsense(values[:, 0])
    # Suppressed ids are masked here and not in (N, V): that would copy the table or write into what the step returned.
    values = values.masked_fill(torch.isin(ids, suppressed), -torch.inf)
    missing = columns - values.size(1)
    if missing > 0:
        values = torch.nn.functional.pad(values, (0, missing), value=-torch.inf)
        ids = torch.nn.functional.pad(ids, (0, missing))
    return values, ids


def refuse_nonsense(best: Tensor) -> None:
    """best (N,) the largest value of each row. A maximum ranks NaN above all numbers, so a NaN anywhere is here.

    Raises NonsenseError for NaN and for values above 0.
    """
    sound = best <= ROUNDING
    if bool(sound.all()):
        return
    raise NonsenseError(
        f"decoding: {int((~sound).sum())} of {len(best)} rows of log-probabilities hold NaN or a value above 0, and "
        "all must be numbers of at most 0; the model is damaged or its training diverged: use an earlier checkpoint, "
        "or train again with a smaller learning rate"
    )
