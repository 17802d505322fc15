"""The best next tokens of each row: the one pass over the whole vocabulary that a search makes at each position."""

import torch
from torch import Tensor

from nmt.errors import NmtError

# log_softmax and averages of it may end a rounding error above 0; what is above this is no log-probability.
ROUNDING = 1e-3


def top_tokens(log_probs: Tensor, width: int, suppressed: Tensor) -> tuple[Tensor, Tensor]:
    """The best tokens of each row that are not suppressed, in no promised order.

    log_probs (N, V), suppressed (S,) ids -> log_probs (N, width + S) float32 and ids (N, width + S). The `width` best
    are among them; what is suppressed, or was added because V is smaller, has log-probability -inf.

    Raises NmtError if a row's log-probabilities hold NaN or a value above 0.
    """
    columns = width + len(suppressed)
    values, ids = log_probs.topk(min(columns, log_probs.size(1)), dim=1)
    values = values.float()
    _refuse_nonsense(values[:, 0])
    # Suppressed ids are masked here and not in (N, V): that would copy the table or write into what the step returned.
    values = values.masked_fill(torch.isin(ids, suppressed), -torch.inf)
    missing = columns - values.size(1)
    if missing > 0:
        values = torch.nn.functional.pad(values, (0, missing), value=-torch.inf)
        ids = torch.nn.functional.pad(ids, (0, missing))
    return values, ids


def _refuse_nonsense(best: Tensor) -> None:
    """best (N,) the largest value of each row. topk ranks NaN above all numbers, so a NaN anywhere in a row is here."""
    sound = best <= ROUNDING
    if bool(sound.all()):
        return
    raise NmtError(
        f"decoding: {int((~sound).sum())} of {len(best)} rows of log-probabilities hold NaN or a value above 0, and "
        "all must be numbers of at most 0; the model is damaged or its training diverged: use an earlier checkpoint, "
        "or train again with a smaller learning rate"
    )
