"""Text cut into subwords at random, anew in each epoch, a window at a time."""

from collections.abc import Callable, Iterator

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from nmt.data.ids import IdTable, Sentences
from nmt.data.tokenizer import TokenizerPair

WINDOW_PAIRS = 2**17  # few: a window's ids are held in memory
LINES_TOGETHER = 10_000  # have one seed
_BLOCKS = -(-WINDOW_PAIRS // LINES_TOGETHER)

Rows = Callable[[int, int], NDArray[np.integer]]  # (window, windows)


class SampledSide:
    """One side of an epoch. How a line is cut depends on the seed, the epoch, the side and the line's place in it."""

    def __init__(
        self, pairs: Dataset, tokenizers: TokenizerPair, rows: Rows, *, side: str, alpha: float, seed: int, epoch: int
    ) -> None:
        """rows: which of the pairs a window has. seed: of the training."""
        self._pairs, self._tokenizers, self._rows = pairs, tokenizers, rows
        self._side, self._alpha, self._seed, self._epoch = side, alpha, seed, epoch

    def __len__(self) -> int:
        return len(self._pairs)

    def window(self, number: int, windows: int) -> Sentences:
        """As `Table` has it."""
        return IdTable(ids for block in self._blocks(number, self._rows(number, windows)) for ids in block)

    def _blocks(self, window: int, rows: NDArray[np.integer]) -> Iterator[list[list[int]]]:
        for number, begin in enumerate(range(0, len(rows), LINES_TOGETHER), start=window * _BLOCKS):
            pairs = self._pairs[rows[begin : begin + LINES_TOGETHER]]
            src, tgt = self._tokenizers.mask_pairs(pairs["src"], pairs["tgt"])
            lines, tokenizer = (src, self._tokenizers.src) if self._side == "src" else (tgt, self._tokenizers.tgt)
            seed = np.random.SeedSequence([self._seed, self._epoch, self._side == "src", number]).generate_state(1)[0]
            yield tokenizer.sample_batch(lines, alpha=self._alpha, seed=int(seed))
