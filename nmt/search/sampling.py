"""Sampling: each token is drawn from the model's distribution, or from the likely part of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor

from nmt.errors import RecipeError
from nmt.search.hypothesis import Hypothesis, StateT, Step, impossible
from nmt.search.penalty import LengthPenalty
from nmt.search.scores import as_scores, refuse_nonsense

FEW = 16  # tokens, of which a nucleus seldom has more


@dataclass(frozen=True)
class SamplingOptions:
    """temperature: log_probs are divided by it. top_k: only so many of the most probable tokens; 0: all.

    top_p: only the fewest most probable tokens that have this probability together, the nucleus (Holtzman et al. 2020);
    1: all. It is taken after temperature and top_k. Raises RecipeError for values out of range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise RecipeError(
                f"temperature is {self.temperature}, but it must be a number above 0; "
                "1 samples from the model as it is, and beam_size 1 always takes the best token"
            )
        if self.top_k < 0:
            raise RecipeError(f"top_k is {self.top_k}, but it must be 0 or more; 0 samples from all tokens")
        if not 0 < self.top_p <= 1:
            raise RecipeError(f"top_p is {self.top_p}, but it must be above 0 and at most 1; 1 samples from all tokens")


def line_uniforms(seed: int, line: int, sample: int, length: int) -> Tensor:
    """(length,) float64 in [0, 1) that depend on these numbers alone; a longer call begins with a shorter one."""
    key = int.from_bytes(sha256(f"{seed} {line} {sample}".encode()).digest()[:16], "little")
    raw = np.random.Philox(key=key).random_raw(length)  # numpy keeps these the same in all versions
    return torch.from_numpy((raw >> np.uint64(11)) * 2.0**-53)


@torch.no_grad()
def sample(
    step: Step[StateT],
    state: StateT,
    *,
    max_lengths: Tensor,
    uniforms: Tensor,
    options: SamplingOptions,
    bos_id: int,
    eos_id: int,
    suppress_ids: Sequence[int],
    penalty: LengthPenalty,
) -> list[Hypothesis]:
    """One hypothesis a sentence, drawn from left to right, in input order.

    `state` has B rows, one a sentence: for several samples, have the sentence several times in the batch, since rows
    leave one by one. max_lengths (B,) int64 counts tokens without eos, on the device of the state; where it is reached,
    eos is forced. uniforms (B, T) in [0, 1), T longer than each max_length: position t of a sentence draws by its own
    number t alone. `suppress_ids` (bos, pad, unk) are never drawn. token_log_probs are the model's, without options.
    Raises NmtError if the log-probabilities hold NaN, or if they leave a sentence no hypothesis at all.
    """
    assert eos_id not in suppress_ids
    if len(max_lengths) == 0:
        return []
    longest = int(max_lengths.max())
    assert len(uniforms) == len(max_lengths) and uniforms.size(1) > longest
    assert bool(((uniforms >= 0) & (uniforms < 1)).all())
    barred = torch.tensor(suppress_ids, dtype=torch.int64, device=max_lengths.device)
    uniforms = uniforms.to(max_lengths.device)
    ids: list[list[int]] = [[] for _ in range(len(max_lengths))]
    ids_log_probs: list[list[float]] = [[] for _ in ids]
    truncated = [False] * len(ids)

    sentences = torch.arange(len(ids), device=max_lengths.device)  # those under way, (N,)
    prev_ids = torch.full_like(max_lengths, bos_id)
    for position in range(longest + 1):
        found, state = step(prev_ids, state)
        log_probs = as_scores(found).log_probs().float()
        likely = probabilities(_possible(log_probs, barred, sentences), options)
        drawn = draw(likely, uniforms[sentences, position])
        cut = (max_lengths[sentences] == position) & (drawn != eos_id)
        drawn = drawn.masked_fill(cut, eos_id)
        values = log_probs.gather(1, drawn[:, None]).squeeze(1)
        columns = (x.tolist() for x in (sentences, drawn, values, cut))
        for sentence, token, value, forced in zip(*columns, strict=True):
            if value == -math.inf:
                raise impossible(sentence)
            ids[sentence].append(token)
            ids_log_probs[sentence].append(value)
            truncated[sentence] = forced
        going = (drawn != eos_id).nonzero().squeeze(1)
        if len(going) == 0:
            break
        if len(going) < len(sentences):
            sentences, state = sentences[going], state.select(going)
        prev_ids = drawn[going]
    return [
        Hypothesis.scored(tokens[:-1], log_probs_of, truncated=cut_off, penalty=penalty)
        for tokens, log_probs_of, cut_off in zip(ids, ids_log_probs, truncated, strict=True)
    ]


def _possible(log_probs: Tensor, barred: Tensor, sentences: Tensor) -> Tensor:
    """log_probs (N, V) -> those without the barred ids (S,). Raises NmtError for what is none, or leaves nothing."""
    refuse_nonsense(log_probs.amax(dim=1))
    possible = log_probs.index_fill(1, barred, -torch.inf)
    if bool((stuck := possible.amax(dim=1) == -torch.inf).any()):
        raise impossible(int(sentences[stuck][0]))
    return possible


def probabilities(log_probs: Tensor, options: SamplingOptions) -> Tensor:
    """log_probs (N, V), -inf: never -> what to draw from, (N, V) float64, 0: never; rows need not sum to one."""
    probs = (log_probs.double() / options.temperature).softmax(dim=1)
    if 0 < options.top_k < probs.size(1):
        best, ids = probs.topk(options.top_k, dim=1)
        probs = torch.zeros_like(probs).scatter_(1, ids, best)
    return nucleus(probs, options.top_p) if options.top_p < 1 else probs


def nucleus(probs: Tensor, top_p: float) -> Tensor:
    """probs (N, V) -> the same with 0 for all but the fewest most probable that have top_p of each row's sum.

    To sort the whole vocabulary takes longer than a step, so the best few are tried first, then more for rows in need.
    """
    found, wanted = torch.zeros_like(probs), top_p * probs.sum(dim=1, keepdim=True)
    rows, count = torch.arange(len(probs), device=probs.device), FEW
    while len(rows) > 0:
        count = min(count, probs.size(1))
        best, ids = probs[rows].topk(count, dim=1)
        before = best.cumsum(dim=1) - best
        kept = best.masked_fill(before >= wanted[rows], 0.0)
        found[rows] = torch.zeros_like(probs[rows]).scatter_(1, ids, kept)
        rows = rows[(best.sum(dim=1) < wanted[rows, 0]) & (count < probs.size(1))]
        count *= FEW
    return found


def draw(probs: Tensor, uniforms: Tensor) -> Tensor:
    """probs (N, V) float64, uniforms (N,) -> ids (N,), by the inverse of the cumulative distribution.

    In the order of the ids and not of the probabilities: two that nearly tie keep their places whatever the rounding.
    """
    cumulated = probs.cumsum(dim=1)
    total = cumulated[:, -1:]
    below = torch.nextafter(total, torch.zeros_like(total))  # rounding must not reach the total: nothing lies above it
    target = torch.minimum(uniforms[:, None].double() * total, below)
    return torch.searchsorted(cumulated, target, right=True).squeeze(1)
