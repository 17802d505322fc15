"""What training minimises."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Loss(NamedTuple):
    """Sums over real target tokens, in natural log units: divide by `tokens` for a mean.

    total: what is minimised, label smoothing included, with its gradient.
    nll: the negative log-likelihood without smoothing or a gradient; of `sampled_loss`, an estimate of it.
    """

    total: Tensor
    nll: Tensor
    tokens: int


def smoothed_loss(logits: Tensor, tgt: Tensor, *, label_smoothing: float) -> Loss:
    """Cross-entropy with a share of the target mass spread evenly over the vocabulary (Szegedy et al. 2016, section 7).

    logits (n, V) and tgt (n,) at real positions only.
    """
    return _smoothed(functional.log_softmax(logits, dim=-1), tgt, label_smoothing=label_smoothing)


def _smoothed(log_probs: Tensor, tgt: Tensor, *, label_smoothing: float) -> Loss:
    """log_probs (n, V), tgt (n,)"""
    nll = functional.nll_loss(log_probs, tgt, reduction="sum")
    total = nll
    if label_smoothing > 0.0:
        total = (1.0 - label_smoothing) * nll - label_smoothing * log_probs.mean(dim=-1).sum()
    return Loss(total, nll.detach(), tgt.numel())


def sampled_loss(readouts: Tensor, tgt: Tensor, output: nn.Linear, *, samples: int, label_smoothing: float) -> Loss:
    """The smoothed loss over the batch's own types and `samples` others of the vocabulary (Jean et al. 2015).

    readouts (n, E) and tgt (n,) at real positions only. The others are drawn evenly without replacement, from torch's
    global random generator; each stands for (V - types) / samples others like it, so that log of that is added to its
    logit (the log-q correction; Bengio & Senecal 2008) and the sums over the vocabulary are estimates without bias,
    whose logarithms come out a little low. Where no others are left to leave out, this is the smoothed loss itself.
    """
    vocab_size = output.out_features
    types = tgt.new_zeros(vocab_size, dtype=torch.bool)
    types[tgt] = True
    others = (~types).nonzero().squeeze(1)
    drawn = others[torch.randperm(len(others), device=others.device)[:samples]]
    stands_for = len(others) / max(1, len(drawn))
    kept = torch.cat([types.nonzero().squeeze(1), drawn])  # (C,)
    weights = torch.ones(len(kept), dtype=readouts.dtype, device=tgt.device)
    weights[len(kept) - len(drawn) :] = stands_for  # how many types each column stands for
    logits = functional.linear(readouts, output.weight[kept], output.bias[kept])  # (n, C)
    log_sums = torch.logsumexp(logits + weights.log(), dim=-1)  # (n,), of the whole vocabulary's
    places = torch.empty(vocab_size, dtype=torch.int64, device=tgt.device)
    places[kept] = torch.arange(len(kept), device=tgt.device)
    nll = (log_sums - logits.gather(1, places[tgt][:, None]).squeeze(1)).sum()
    total = nll
    if label_smoothing > 0.0:
        mean_log_probs = (logits @ weights) / vocab_size - log_sums  # (n,)
        total = (1.0 - label_smoothing) * nll - label_smoothing * mean_log_probs.sum()
    return Loss(total, nll.detach(), tgt.numel())


def agreement_loss(logits: Tensor, tgt: Tensor, *, label_smoothing: float, weight: float) -> Loss:
    """The smoothed loss of two passes, and how far they are apart under different dropout (R-Drop, Liang et al. 2021).

    logits (2n, V): those of the first pass, then those of the second; tgt (n,), at real positions only. The total is

        (loss_1 + loss_2) / 2 + weight * (KL(p_1 || p_2) + KL(p_2 || p_1)) / 4

    which is half of the paper's equation 4, so that one pass and two are minimised at the same scale.
    """
    log_probs = functional.log_softmax(logits, dim=-1)  # (2n, V)
    both = _smoothed(log_probs, tgt.repeat(2), label_smoothing=label_smoothing)
    first, second = log_probs.chunk(2)  # (n, V)
    divergences = ((first.exp() - second.exp()) * (first - second)).sum()  # of both directions
    return Loss(both.total / 2 + weight / 4 * divergences, both.nll / 2, tgt.numel())
