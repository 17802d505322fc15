"""Random cuts of one word into subwords: what `Tokenizer.sample_batch` draws from."""

import heapq
import math
from bisect import bisect
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate

import numpy as np
from sentencepiece import SentencePieceProcessor

_UNKNOWN_PENALTY = 10.0  # SentencePiece's: an unknown character scores this much below the worst piece
_CACHED_WORDS = 2**16


def uniform(seed: int) -> Iterator[float]:
    """Endless numbers in [0, 1)."""
    generator = np.random.Generator(np.random.PCG64(seed))
    while True:
        yield from generator.random(4096).tolist()


def join_unknown(ids: list[int], unk_id: int) -> list[int]:
    """A run of unknown characters is one unk, as SentencePiece has it."""
    return [i for i, before in zip(ids, [None, *ids], strict=False) if i != unk_id or before != unk_id]


class _Pieces:
    """The pieces of a model that text may be cut into: ids and scores; and what stands for any other character."""

    def __init__(self, processor: SentencePieceProcessor) -> None:
        self._processor = processor
        self._byte_fallback = processor.is_byte(processor.piece_to_id("<0x00>"))
        every = range(len(processor))
        plain = [i for i in every if not (processor.is_control(i) or processor.is_unknown(i) or processor.is_byte(i))]
        self.scores = {processor.id_to_piece(i): processor.get_score(i) for i in plain}
        self.ids = {processor.id_to_piece(i): (i,) for i in plain}
        self.longest = max(map(len, self.ids))

    def ids_of(self, text: str) -> tuple[int, ...]:
        """Of a piece, or of a single character that is none: its bytes, or unk."""
        if text in self.ids:
            return self.ids[text]
        if self._byte_fallback:
            return tuple(self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in text.encode())
        return (self._processor.unk_id(),)


class UnigramSampler:
    """Draws a segmentation of a word with probability proportional to P(segmentation) ** alpha, from all there are.

    Forward filtering, backward sampling (Kudo 2018, section 3.3, with l = infinity).
    """

    def __init__(self, processor: SentencePieceProcessor, alpha: float) -> None:
        self._pieces = _Pieces(processor)
        self._alpha = alpha
        self._unknown_score = min(self._pieces.scores.values()) - _UNKNOWN_PENALTY
        self._lattice_of = lru_cache(_CACHED_WORDS)(self._lattice)

    def draw(self, word: str, uniform: Iterator[float]) -> list[int]:
        lattice = self._lattice_of(word)
        end, backwards = len(word), []
        while end:
            cumulative, arcs = lattice[end - 1]
            end, ids = arcs[bisect(cumulative, next(uniform) * cumulative[-1], 0, len(arcs) - 1)]
            backwards.append(ids)
        return [i for ids in reversed(backwards) for i in ids]

    def _lattice(self, word: str) -> list[tuple[list[float], list[tuple[int, tuple[int, ...]]]]]:
        """For each end of a prefix: its last pieces as (start, ids), and their cumulative weights."""
        log_total = [0.0]  # of each prefix: log of the summed weights of its segmentations
        lattice = []
        for end in range(1, len(word) + 1):
            arcs, log_weights = [], []
            for start in range(max(0, end - self._pieces.longest), end):
                score = self._pieces.scores.get(word[start:end], self._unknown_score if start == end - 1 else None)
                if score is not None:
                    arcs.append((start, self._pieces.ids_of(word[start:end])))
                    log_weights.append(log_total[start] + self._alpha * score)
            top = max(log_weights)
            cumulative = list(accumulate(math.exp(weight - top) for weight in log_weights))
            log_total.append(top + math.log(cumulative[-1]))
            lattice.append((cumulative, arcs))
        return lattice


class BpeDropout:
    """Merges a word's characters best pair first, and leaves out each merge with probability alpha."""

    def __init__(self, processor: SentencePieceProcessor, alpha: float) -> None:
        self._pieces = _Pieces(processor)
        self._log_keep = math.log1p(-alpha)
        self._merge_of = lru_cache(_CACHED_WORDS)(self._merge)

    def draw(self, word: str, uniform: Iterator[float]) -> list[int]:
        """Draws how many merges pass before the next is left out (geometric): mostly all, and the cache knows those."""
        dropped: tuple[int, ...] = ()
        ids, merges = self._merge_of(word, dropped)
        turn = int(math.log1p(-next(uniform)) / self._log_keep)
        while turn < merges:
            dropped += (turn,)
            ids, merges = self._merge_of(word, dropped)
            turn += 1 + int(math.log1p(-next(uniform)) / self._log_keep)
        return ids

    def _merge(self, word: str, dropped: tuple[int, ...]) -> tuple[list[int], int]:
        """The ids when the merges whose turns are `dropped` are left out for good, and how many turns there were."""
        parts = list(word)
        before, after = list(range(-1, len(word) - 1)), list(range(1, len(word) + 1))
        agenda: list[tuple[float, int, int, str]] = []

        def propose(left: int, right: int) -> None:
            if left >= 0 and right < len(parts) and (merged := parts[left] + parts[right]) in self._pieces.scores:
                heapq.heappush(agenda, (-self._pieces.scores[merged], left, right, merged))

        for right in range(1, len(parts)):
            propose(right - 1, right)
        turn = 0
        while agenda:
            _, left, right, merged = heapq.heappop(agenda)
            if not parts[left] or not parts[right] or parts[left] + parts[right] != merged:
                continue  # one of the two has merged with another since
            turn += 1
            if turn - 1 in dropped:
                continue
            parts[left], parts[right] = merged, ""
            after[left] = after[right]
            if after[left] < len(parts):
                before[after[left]] = left
            propose(before[left], left)
            propose(left, after[left])
        return [i for part in parts if part for i in self._pieces.ids_of(part)], turn


SAMPLERS: dict[str, type[UnigramSampler] | type[BpeDropout]] = {"unigram": UnigramSampler, "bpe": BpeDropout}
