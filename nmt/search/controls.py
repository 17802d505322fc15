"""What a user forbids or forces, as a wrapper of a step function and its state: no search knows of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self

import torch
from torch import Tensor

from nmt.errors import NmtError, RecipeError
from nmt.search.hypothesis import StateT, Step
from nmt.search.scores import as_scores

NO_LIMIT = torch.iinfo(torch.int64).max


@dataclass(frozen=True)
class Controls:
    """min_length: so many tokens come before eos.

    block_ngrams n: no n tokens occur a second time in a row of a hypothesis (Paulus et al. 2018); 0: all may.
    repetition_penalty r: log_probs of tokens that were taken before are multiplied by r (Keskar et al. 2019, 4.1).
    prefixes: how each sentence begins, one a sentence, or none at all; the other rules do not hold inside them.
    allowances: how often a sentence must produce an id of `reserved_ids`, one mapping a sentence, or none at all; never
    more often, and ids that it does not name never. Blocking and penalty leave reserved ids alone: they are counted.
    Blocking leaves `gap_ids` alone too.
    Where a sentence would end without some that it must produce, or has no room but for those before its max_length, it
    goes on with nothing else, each after `gap_ids`, a space or nothing: a number beside another one is a third.
    exempt: the ids that blocking leaves alone, one collection a sentence, or none at all.

    Raises RecipeError for what makes no sense.
    """

    min_length: int = 0
    block_ngrams: int = 0
    repetition_penalty: float = 1.0
    prefixes: Sequence[Sequence[int]] = ()
    allowances: Sequence[Mapping[int, int]] = ()
    reserved_ids: Sequence[int] = ()
    gap_ids: Sequence[int] = ()
    exempt: Sequence[Sequence[int]] = ()

    def __post_init__(self) -> None:
        for name, least in (("min_length", "no least length"), ("block_ngrams", "no blocking")):
            if getattr(self, name) < 0:
                raise RecipeError(f"{name} is {getattr(self, name)}, but it must be 0 or more; 0 is {least}")
        if not 1 <= self.repetition_penalty < math.inf:
            raise RecipeError(
                f"repetition_penalty is {self.repetition_penalty}, but it must be a number of 1 or more; 1 is none"
            )
        for sentence, allowance in enumerate(self.allowances):
            if strangers := sorted(allowance.keys() - set(self.reserved_ids)):
                raise RecipeError(f"allowances of sentence {sentence}: {strangers} are not among the reserved ids")
            if any(times < 0 for times in allowance.values()):
                raise RecipeError(f"allowances of sentence {sentence}: {dict(allowance)}; each must be 0 or more")

    @property
    def asked(self) -> bool:
        """Is there anything to do?"""
        plain = self.min_length == 0 and self.block_ngrams == 0 and self.repetition_penalty == 1
        return not plain or any(self.prefixes) or len(self.reserved_ids) > 0


@dataclass(frozen=True)
class ControlledState(Generic[StateT]):
    """The state of the wrapped step, and row by row what was taken and what is still to come.

    taken (N, t + 1): bos and the t tokens after it, (N, 0) before the first step. prefixes (N, P), prefix_lengths (N,).
    left (N, R): how often each reserved id must still come. max_lengths (N,). exempt (N, E), -1: none.
    """

    inner: StateT
    taken: Tensor
    prefixes: Tensor
    prefix_lengths: Tensor
    left: Tensor
    max_lengths: Tensor
    exempt: Tensor

    def select(self, rows: Tensor) -> Self:
        """As `State` has it."""
        own = (self.taken, self.prefixes, self.prefix_lengths, self.left, self.max_lengths, self.exempt)
        return type(self)(self.inner.select(rows), *(x.index_select(0, rows) for x in own))


def under(
    controls: Controls,
    step: Step[StateT],
    state: StateT,
    *,
    eos_id: int,
    rows: int,
    max_lengths: Tensor | None = None,
    suppress_ids: Sequence[int] = (),
) -> tuple[Step[Any], Any]:
    """The step and the state that obey: `step` and `state` themselves where nothing is asked for.

    `state` has B = `rows` rows, one a sentence. Give max_lengths (B,) and suppress_ids as the search gets them: at its
    max_length a sentence may end whatever it lacks, and eos is also left to a row that could go on with nothing else.
    Without max_lengths, a sentence that still lacks something there is left without any hypothesis.

    A step gives log_probs (N, V) float32, -inf for what is barred; what remains is not made to sum to one again.

    Raises RecipeError for a prefix that no search could produce, or where there is not one for each sentence.
    """
    limits = torch.full((rows,), NO_LIMIT) if max_lengths is None else max_lengths
    _check(controls, eos_id, limits.tolist(), suppress_ids)
    if not controls.asked:
        return step, state
    device = limits.device
    prefixes, exempt = (
        [torch.tensor(list(ids), dtype=torch.int64) for ids in given or [()] * rows]
        for given in (controls.prefixes, controls.exempt)
    )
    allowances = controls.allowances or [{}] * rows
    left = [[allowance.get(token, 0) for token in controls.reserved_ids] for allowance in allowances]
    rules = _Rules(controls, eos_id, suppress_ids, device)

    def controlled(prev_ids: Tensor, before: ControlledState[StateT]) -> tuple[Tensor, ControlledState[StateT]]:
        found, inner = step(prev_ids, before.inner)
        after = rules.take(prev_ids, before, inner)
        return rules.obeyed(as_scores(found).log_probs().float(), after), after

    return controlled, ControlledState(
        inner=state,
        taken=torch.zeros(rows, 0, dtype=torch.int64, device=device),
        prefixes=torch.nn.utils.rnn.pad_sequence(prefixes, batch_first=True).to(device),
        prefix_lengths=torch.tensor([len(prefix) for prefix in prefixes], device=device),
        left=torch.tensor(left, dtype=torch.int64, device=device).view(rows, len(controls.reserved_ids)),
        max_lengths=limits,
        exempt=torch.nn.utils.rnn.pad_sequence(exempt, batch_first=True, padding_value=-1).to(device),
    )


def _check(controls: Controls, eos_id: int, limits: Sequence[int], suppress_ids: Sequence[int]) -> None:
    for name in ("prefixes", "allowances", "exempt"):
        if len(getattr(controls, name)) not in (0, len(limits)):
            raise RecipeError(
                f"{name}: {len(getattr(controls, name))} for {len(limits)} sentences; give one for each, or none at all"
            )
    never = {eos_id, *suppress_ids}
    for sentence, (prefix, limit) in enumerate(zip(controls.prefixes, limits, strict=False)):
        if barred := [token for token in prefix if token in never or token < 0]:
            raise RecipeError(
                f"prefix of sentence {sentence}: ids {barred} can never be produced (an unknown character, or an end); "
                "leave them out"
            )
        if len(prefix) > limit:
            raise RecipeError(
                f"prefix of sentence {sentence}: {len(prefix)} tokens, but its translation may have {limit} at most; "
                "shorten it or raise the length limit"
            )


class _Rules:
    """Controls at work, for one batch."""

    def __init__(self, controls: Controls, eos_id: int, suppress_ids: Sequence[int], device: torch.device) -> None:
        self.controls = controls
        self.eos_id = eos_id
        self.suppressed = torch.tensor(suppress_ids, dtype=torch.int64, device=device)
        self.reserved = torch.tensor(controls.reserved_ids, dtype=torch.int64, device=device)
        self.gaps = torch.tensor(controls.gap_ids, dtype=torch.int64, device=device)
        self.free = torch.cat([self.reserved, self.gaps])  # of blocking

    def take(self, prev_ids: Tensor, before: ControlledState[StateT], inner: StateT) -> ControlledState[StateT]:
        """The state after prev_ids (N,), which are bos at first."""
        return ControlledState(
            inner,
            torch.cat([before.taken, prev_ids[:, None]], dim=1),
            before.prefixes,
            before.prefix_lengths,
            before.left - (prev_ids[:, None] == self.reserved).long(),
            before.max_lengths,
            before.exempt,
        )

    def obeyed(self, model: Tensor, state: ControlledState[StateT]) -> Tensor:
        """What the model says (N, V) -> what is left of it."""
        taken = state.taken[:, 1:]
        length, penalty = taken.size(1), self.controls.repetition_penalty
        if penalty > 1:
            log_probs = penalised(model, taken, torch.where(torch.isin(taken, self.reserved), 1.0, penalty))
        else:
            log_probs = model.clone()  # what the step returned is not ours to write into
        eos = log_probs[:, self.eos_id].clone()
        if self.controls.block_ngrams > 0:
            rows, ids = repeats(taken, self.controls.block_ngrams)
            fair = ~torch.isin(ids, self.free) & (ids[:, None] != state.exempt[rows]).all(dim=1)
            log_probs[rows[fair], ids[fair]] = -torch.inf
        if len(self.reserved) > 0:
            log_probs[:, self.reserved] = log_probs[:, self.reserved].masked_fill(state.left <= 0, -torch.inf)
        log_probs[:, self.suppressed] = -torch.inf
        log_probs[:, self.eos_id] = -torch.inf
        best = log_probs.amax(dim=1)
        lacking = (state.left > 0).any(dim=1)
        early = lacking | (length < self.controls.min_length)
        early &= (length < state.max_lengths) & (best != -torch.inf)
        self.only_owed(log_probs, state, early & lacking, wished=eos >= best)
        log_probs[:, self.eos_id] = eos.masked_fill(early, -torch.inf)
        return forced(log_probs, model, state) if length < state.prefixes.size(1) else log_probs

    def only_owed(self, log_probs: Tensor, state: ControlledState[StateT], late: Tensor, *, wished: Tensor) -> None:
        """Leaves to rows that are `late` (N,) only what must still come, or the gap before it, and writes that.

        So it is where the end is `wished` (N,), all being said, and where there is room for nothing more.
        """
        owed = state.left.clamp(min=0)
        room, count = state.max_lengths - (state.taken.size(1) - 1), owed.sum(dim=1)  # (N,)
        parted = torch.isin(state.taken[:, -1], self.gaps)
        late = late & (wished | (room <= count * (2 if len(self.gaps) > 0 else 1)))
        if not bool(late.any()):
            return
        possible = log_probs > -torch.inf
        allowed, gaps = torch.zeros_like(possible), torch.zeros_like(possible)
        allowed[:, self.reserved] = owed > 0
        gaps[:, self.gaps] = (~parted & (room > count))[:, None]
        gaps &= possible
        allowed = torch.where(gaps.any(dim=1, keepdim=True), gaps, allowed & possible)
        late &= allowed.any(dim=1)
        log_probs.masked_fill_(late[:, None] & ~allowed, -torch.inf)


def penalised(log_probs: Tensor, taken: Tensor, factors: Tensor) -> Tensor:
    """log_probs (N, V) with those of the tokens taken (N, t) times factors (N, t), as a new tensor.

    Keskar et al. divide logits by the penalty, which would favour a token whose logit is negative. Log-probabilities
    are never positive, so that here it always costs, and does not hang on how the logits are centred. They sum to
    what they did before, as theirs do after the softmax: what a repetition loses goes to the others, and a hypothesis
    does not grow less probable with each word that it could have repeated and did not.
    """
    changed = log_probs.scatter(1, taken, log_probs.gather(1, taken) * factors)
    sums, before = (x.logsumexp(dim=1, keepdim=True) for x in (changed, log_probs))
    return changed + (before - sums).masked_fill(before == -torch.inf, 0.0)


def repeats(taken: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """taken (N, t) -> rows and ids (R,): what would complete an n-gram that its row already has."""
    if taken.size(1) < n:
        return taken.new_zeros(0), taken.new_zeros(0)
    ngrams = taken.unfold(1, n, 1)  # (N, t - n + 1, n)
    last = taken[:, taken.size(1) - n + 1 :]  # (N, n - 1)
    again = (ngrams[:, :, :-1] == last[:, None]).all(dim=2)
    return again.nonzero()[:, 0], ngrams[:, :, -1][again]


def forced(log_probs: Tensor, model: Tensor, state: ControlledState[StateT]) -> Tensor:
    """log_probs (N, V), but in a row that is still inside its prefix only the next token of that, as the model has it.

    Raises NmtError where the model gives that token a probability of 0: a shortlist does.
    """
    position = state.taken.size(1) - 1
    inside = position < state.prefix_lengths
    wanted = state.prefixes[:, position, None]  # (N, 1)
    values = model.gather(1, wanted)
    if bool((inside & (values == -torch.inf).squeeze(1)).any()):
        raise NmtError(
            f"token {position + 1} of a prefix is one that the model cannot produce here; "
            "translate without a shortlist, or shorten the prefix"
        )
    only = torch.full_like(log_probs, -torch.inf).scatter_(1, wanted, values)
    return torch.where(inside[:, None], only, log_probs)
