"""What training minimises."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

ROWS = 512  # positions whose logits are there at a time: products of fewer rows are slower
CACHED_VALUES = 2**21  # logits that are gone over at a time: 8 MB, which stay in the caches of most machines
SUMS = (1e-20, 1e30)  # of exponentials, that 32 bits hold without loss


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
    log_probs = _log_softmax(logits)
    nll = functional.nll_loss(log_probs, tgt, reduction="sum")
    total = nll
    if label_smoothing > 0.0:
        total = (1.0 - label_smoothing) * nll - label_smoothing * log_probs.mean(dim=-1).sum()
    return Loss(total, nll.detach(), tgt.numel())


def _log_softmax(logits: Tensor) -> Tensor:
    """In float32 at least, also where autocast made the logits in 16 bits."""
    return functional.log_softmax(logits, dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))


def full_loss(readouts: Tensor, tgt: Tensor, weight: Tensor, bias: Tensor, *, label_smoothing: float) -> Loss:
    """What `smoothed_loss` gives for the logits of an output layer, faster.

    readouts (n, E) and tgt (n,) at real positions only; weight (V, E), bias (V,).
    """
    return _output_loss(readouts, weight, bias, tgt, torch.ones_like(bias), label_smoothing=label_smoothing)


def sampled_loss(
    readouts: Tensor, tgt: Tensor, weight: Tensor, bias: Tensor, *, samples: int, label_smoothing: float
) -> Loss:
    """The smoothed loss over the batch's own types and `samples` others of the vocabulary (Jean et al. 2015).

    readouts (n, E) and tgt (n,) at real positions only; weight (V, E), bias (V,). The others are drawn evenly without
    replacement, from torch's global random generator; each stands for (V - types) / samples others like it, so that
    log of that is added to its logit (the log-q correction; Bengio & Senecal 2008) and the sums over the vocabulary are
    estimates without bias, whose logarithms come out a little low. Where no others are left to leave out, this is the
    smoothed loss itself.
    """
    vocab_size = len(bias)
    types = tgt.new_zeros(vocab_size, dtype=torch.bool)
    types[tgt] = True
    others = (~types).nonzero().squeeze(1)
    drawn = others[torch.randperm(len(others), device=others.device)[:samples]]
    stands_for = len(others) / max(1, len(drawn))
    kept = torch.cat([types.nonzero().squeeze(1), drawn])  # (C,)
    counts = bias.new_ones(len(kept))
    counts[len(kept) - len(drawn) :] = stands_for
    places = torch.empty(vocab_size, dtype=torch.int64, device=tgt.device)
    places[kept] = torch.arange(len(kept), device=tgt.device)
    weight, bias = weight.index_select(0, kept), bias.index_select(0, kept)
    return _output_loss(readouts, weight, bias, places[tgt], counts, label_smoothing=label_smoothing)


def _output_loss(
    readouts: Tensor, weight: Tensor, bias: Tensor, tgt: Tensor, counts: Tensor, *, label_smoothing: float
) -> Loss:
    """The smoothed loss of an output layer whose column c stands for counts[c] types of the vocabulary, all like it.

    readouts (n, E), weight (C, E), bias (C,), tgt (n,) columns, counts (C,).
    """
    bias = bias + counts.log()
    if readouts.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
        total, nll = _OutputLoss.apply(  # type: ignore[no-untyped-call]
            readouts, weight, bias, tgt, counts, label_smoothing
        )
        return Loss(total, nll, tgt.numel())
    log_probs = _log_softmax(functional.linear(readouts, weight, bias))  # (n, C)
    nll = functional.nll_loss(log_probs, tgt, reduction="sum")
    means = ((log_probs - counts.log()) * counts).sum(-1) / counts.sum()  # (n,), of all types; a product may be 16 bits
    return Loss((1.0 - label_smoothing) * nll - label_smoothing * means.sum(), nll.detach(), tgt.numel())


class _OutputLoss(torch.autograd.Function):
    """The formula of `_output_loss`, with its gradients made at once.

    The logits are the largest tensor of a training step. Here they are never there as a whole: `ROWS` positions at a
    time become their own gradient, a part at a time while it is in the cache, and go into the products of the others.
    """

    @staticmethod
    def forward(
        ctx: Any, readouts: Tensor, weight: Tensor, bias: Tensor, tgt: Tensor, counts: Tensor, label_smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """As `_output_loss` -> total and nll, ()."""
        shares = counts * (label_smoothing / counts.sum())  # (C,), of the target mass that smoothing spreads
        missed = readouts.new_full((len(tgt),), label_smoothing - 1.0)
        log_sums, hits = torch.empty_like(missed), torch.empty_like(missed)
        readouts_grad, weight_grad, bias_grad = (torch.empty_like(x) for x in (readouts, weight, bias))
        bias_grad.zero_().index_add_(0, tgt, missed)
        scratch = readouts.new_empty(min(ROWS, len(tgt)), len(bias))
        by_rows = (torch.split(x, ROWS) for x in (readouts, readouts_grad, tgt, missed, log_sums, hits))
        for index, (x, x_grad, ids, miss, log_sum, hit) in enumerate(zip(*by_rows, strict=True)):
            logits = torch.mm(x, weight.t(), out=scratch[: len(x)])  # (n, C), without the bias; becomes the gradient
            torch.gather(logits, 1, ids[:, None], out=hit[:, None])
            _softmax_less(logits, x, weight, bias, shares, log_sum, bias_grad)
            logits.scatter_add_(1, ids[:, None], miss[:, None])
            torch.mm(logits, weight, out=x_grad)
            torch.addmm(weight_grad, logits.t(), x, beta=min(1, index), out=weight_grad)
        spread = weight @ readouts.sum(0) + len(tgt) * bias
        nll = (log_sums - hits - bias[tgt]).sum()
        smoothed = shares @ spread - log_sums.sum() * shares.sum() - len(tgt) * (shares @ counts.log())
        total = (1.0 - label_smoothing) * nll - smoothed
        ctx.save_for_backward(readouts_grad, weight_grad, bias_grad)
        ctx.mark_non_differentiable(nll)
        return total, nll

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, total_grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """total_grad () -> the gradients of readouts, weight and bias."""
        readouts_grad, weight_grad, bias_grad = ctx.saved_tensors
        # in place: they are large; a second backward pass over the same graph is refused by autograd
        return *(grad.mul_(total_grad) for grad in (readouts_grad, weight_grad, bias_grad)), None, None, None


def _softmax_less(
    logits: Tensor, x: Tensor, weight: Tensor, bias: Tensor, shares: Tensor, log_sums: Tensor, bias_grad: Tensor
) -> None:
    """logits (n, C), made of x (n, E) without the bias, become softmax - shares, and are added up in bias_grad (C,).

    log_sums (n,) become the logarithms of the sums of exponentials. These are taken of the logits as they are: only
    where a sum comes near what a number can hold are logits made anew, and the largest subtracted before.
    """
    rows, less = max(1, CACHED_VALUES // len(bias)), -shares
    for part, of_part, out in zip(*(torch.split(y, rows) for y in (logits, x, log_sums)), strict=True):
        sums = part.add_(bias).exp_().sum(dim=1, keepdim=True)
        if ((sums > SUMS[0]) & (sums < SUMS[1])).all():
            torch.log(sums, out=out[:, None])
        else:
            tops = torch.mm(of_part, weight.t(), out=part).add_(bias).amax(dim=1, keepdim=True)
            sums = part.sub_(tops).exp_().sum(dim=1, keepdim=True)
            torch.add(sums.log(), tops, out=out[:, None])
        bias_grad += torch.addcmul(less, part, sums.reciprocal(), out=part).sum(dim=0)
