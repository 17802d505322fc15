"""Greedy search: the most probable token at every position. Beam search with one beam, without its bookkeeping."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.search.hypothesis import Hypothesis, StateT, Step, impossible
from nmt.search.penalty import LengthPenalty
from nmt.search.scores import as_scores


@torch.no_grad()
def greedy_search(
    step: Step[StateT],
    state: StateT,
    *,
    max_lengths: Tensor,
    bos_id: int,
    eos_id: int,
    suppress_ids: Sequence[int],
    penalty: LengthPenalty,
) -> list[Hypothesis]:
    """One hypothesis a sentence, in input order.

    `state` has B rows, one a sentence. max_lengths (B,) int64 counts tokens without eos, on the device of the state;
    where it is reached, eos is forced. `suppress_ids` (bos, pad, unk) are never produced. A tie between eos and
    another token ends the sentence.

    Raises NmtError if the log-probabilities hold NaN, or if they leave a sentence no hypothesis at all.
    """
    assert eos_id not in suppress_ids
    if len(max_lengths) == 0:
        return []
    batch, longest = len(max_lengths), int(max_lengths.max())
    barred = torch.tensor([*suppress_ids, eos_id], dtype=torch.int64, device=max_lengths.device)
    tokens = max_lengths.new_zeros(longest, batch)
    token_log_probs = tokens.new_zeros(longest, batch, dtype=torch.float32)
    eos_log_probs = tokens.new_zeros(batch, dtype=torch.float32)
    lengths = torch.zeros_like(max_lengths)
    truncated = torch.zeros_like(max_lengths, dtype=torch.bool)

    sentences = torch.arange(batch, device=max_lengths.device)  # those under way, (N,)
    prev_ids = torch.full_like(max_lengths, bos_id)
    for position in range(longest + 1):
        found, state = step(prev_ids, state)
        nothing = eos_log_probs.new_zeros(len(sentences), 1)
        ways = as_scores(found).ways(nothing, width=1, eos_id=eos_id, barred=barred)
        best, eos = ways.token_log_probs.squeeze(1), ways.ends.squeeze(1)
        chosen = eos >= best
        ended = chosen | (max_lengths[sentences] == position)

        done = sentences[ended]
        lengths[done] = position
        eos_log_probs[done] = eos[ended]
        truncated[done] = ~chosen[ended]

        going = (~ended).nonzero().squeeze(1)
        if len(going) == 0:
            break
        if len(going) < len(sentences):
            sentences, state = sentences[going], state.select(going)
        prev_ids = ways.ids.squeeze(1)[going]
        tokens[position, sentences] = prev_ids
        token_log_probs[position, sentences] = best[going]

    return _hypotheses(tokens, token_log_probs, lengths, eos_log_probs, truncated, penalty)


def _hypotheses(
    tokens: Tensor,
    token_log_probs: Tensor,
    lengths: Tensor,
    eos_log_probs: Tensor,
    truncated: Tensor,
    penalty: LengthPenalty,
) -> list[Hypothesis]:
    """tokens, token_log_probs (T, B); lengths, eos_log_probs, truncated (B,) -> B hypotheses."""
    found = []
    columns = zip(
        tokens.T.tolist(),
        token_log_probs.T.tolist(),
        lengths.tolist(),
        eos_log_probs.tolist(),
        truncated.tolist(),
        strict=True,
    )
    for sentence, (ids, ids_log_probs, length, eos, cut) in enumerate(columns):
        if eos == -torch.inf:
            raise impossible(sentence)
        found.append(Hypothesis.scored(ids[:length], [*ids_log_probs[:length], eos], truncated=cut, penalty=penalty))
    return found
