"""What training minimises."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional


class Loss(NamedTuple):
    """Sums over real target tokens, in natural log units: divide by `tokens` for a mean.

    total: what is minimised, label smoothing included, with its gradient.
    nll: the plain negative log-likelihood, without a gradient.
    """

    total: Tensor
    nll: Tensor
    tokens: int


def smoothed_loss(logits: Tensor, tgt: Tensor, *, label_smoothing: float) -> Loss:
    """Cross-entropy with a share of the target mass spread evenly over the vocabulary (Szegedy et al. 2016, section 7).

    logits (n, V) and tgt (n,) at real positions only.
    """
    log_probs = functional.log_softmax(logits, dim=-1)  # (n, V)
    nll = functional.nll_loss(log_probs, tgt, reduction="sum")
    total = nll
    if label_smoothing > 0.0:
        total = (1.0 - label_smoothing) * nll - label_smoothing * log_probs.mean(dim=-1).sum()
    return Loss(total, nll.detach(), tgt.numel())
