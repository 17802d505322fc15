"""What beam search writes down: a backpointer for every beam at every position, and where hypotheses ended."""

import torch
from torch import Tensor

from nmt.search.hypothesis import Hypothesis, impossible
from nmt.search.penalty import LengthPenalty


class History:
    """Backpointers of B sentences with K beams over T positions.

    Nothing in it ever moves: a position is written once, and only the hypotheses that are returned are traced back.
    At position t (0 is the first), beam k of a sentence took `tokens[t, b, k]` and came from beam `parents[t, b, k]`
    of the position before. A hypothesis of t tokens that ended has its score at `scores[t, b, k]`, where k is the
    beam that it ended in, and -inf stands where none did.
    """

    def __init__(self, batch: int, beam_size: int, longest: int, device: torch.device) -> None:
        beams, ends = (longest, batch, beam_size), (longest + 1, batch, beam_size)
        self.parents = torch.zeros(beams, dtype=torch.int64, device=device)
        self.tokens = torch.zeros(beams, dtype=torch.int64, device=device)
        self.token_log_probs = torch.zeros(beams, device=device)
        self.scores = torch.full(ends, -torch.inf, device=device)
        self.eos_log_probs = torch.zeros(ends, device=device)
        self.truncated = torch.zeros(ends, dtype=torch.bool, device=device)

    def extend(
        self, position: int, sentences: Tensor, parents: Tensor, tokens: Tensor, token_log_probs: Tensor
    ) -> None:
        """Record the tokens that the sentences (B',) under way took; the others (B', K)."""
        where = self._rows(sentences)
        self.parents[position, where] = parents
        self.tokens[position, where] = tokens
        self.token_log_probs[position, where] = token_log_probs

    def end(self, length: int, sentences: Tensor, scores: Tensor, eos_log_probs: Tensor, truncated: Tensor) -> None:
        """Record the hypotheses of `length` tokens that ended; sentences (B',), the others (B', K or fewer).

        `scores` are -inf for a beam that did not end.
        """
        beams = scores.size(1)
        where = self._rows(sentences)
        self.scores[length, where, :beams] = scores
        self.eos_log_probs[length, where, :beams] = eos_log_probs
        self.truncated[length, where, :beams] = truncated

    def _rows(self, sentences: Tensor) -> Tensor | slice:
        """All of them as a slice, which is written sooner."""
        return slice(None) if len(sentences) == self.scores.size(1) else sentences

    def best(self, n_best: int, penalty: LengthPenalty) -> list[list[Hypothesis]]:
        """The n best hypotheses of each sentence, best first; fewer where fewer ended.

        Raises NmtError if a sentence has none.
        """
        scores, slots = _by_sentence(self.scores).topk(n_best, dim=1)  # (B, n)
        beam_size = self.scores.size(2)
        found = scores > -torch.inf
        lengths = torch.where(found, slots // beam_size, 0)
        tokens, token_log_probs = (traced.tolist() for traced in self._trace(lengths, slots % beam_size))
        eos_log_probs = _by_sentence(self.eos_log_probs).gather(1, slots).tolist()
        truncated = _by_sentence(self.truncated).gather(1, slots).tolist()

        results: list[list[Hypothesis]] = [[] for _ in range(len(lengths))]
        for (sentence, rank), length in zip(found.nonzero().tolist(), lengths[found].tolist(), strict=True):
            hypothesis = Hypothesis.scored(
                tokens[sentence][rank][:length],
                [*token_log_probs[sentence][rank][:length], eos_log_probs[sentence][rank]],
                truncated=truncated[sentence][rank],
                penalty=penalty,
            )
            results[sentence].append(hypothesis)
        for sentence, hypotheses in enumerate(results):
            if not hypotheses:
                raise impossible(sentence)
            # The tensors' scores are float32 sums: two that nearly tie may stand the other way round in float64.
            hypotheses.sort(key=lambda hypothesis: -hypothesis.score)
        return results

    def _trace(self, lengths: Tensor, beams: Tensor) -> tuple[Tensor, Tensor]:
        """Follow the backpointers of all hypotheses together, from each one's own end.

        lengths, beams (B, n) -> tokens (B, n, T'), token_log_probs (B, n, T'), of which the first `lengths` count.
        """
        longest = int(lengths.max())
        came_from = lengths.new_zeros(longest, *lengths.shape)
        for position in reversed(range(longest)):
            came_from[position] = beams
            beams = torch.where(position < lengths, self.parents[position].gather(1, beams), beams)
        traced = (x[:longest].gather(2, came_from) for x in (self.tokens, self.token_log_probs))
        tokens, token_log_probs = (x.permute(1, 2, 0) for x in traced)
        return tokens, token_log_probs


def _by_sentence(ends: Tensor) -> Tensor:
    """(T + 1, B, K) -> (B, (T + 1) * K): slot t * K + k of a sentence is beam k at length t."""
    return ends.transpose(0, 1).flatten(1)
