"""What the shares of attention say of a pair: which words go together, and how much of the source was looked at.

House letters: T target, S source positions. Attention is no alignment: it was trained to predict, not to align. It may
look at a neighbour, at the end of the sentence or at nothing in particular, and it is the sharper the better trained.
Here it is read after the recurrence (Luong et al. 2015), from the very state that predicts a token, so that the row of
a token is its own and not, as with attention before the recurrence, that of the next one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.data.tokenizer import META_SPACE

SMALLEST_SHARE = 1e-30  # stands for 0, which has no logarithm


def align(attention: Tensor, src_tokens: Sequence[str], tgt_tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Word alignments (source word, target word), both counted from 0: each target word with its best source word.

    attention (T, S): what comes after the tokens in it, eos, is passed over. A word is what stands between spaces. It
    has the sum of its source tokens' shares, and the mean of its target tokens' (Clark et al. 2019, section 4.1). A tie
    goes to the first. An unk counts as part of the word before it.
    """
    src_words, tgt_words = _words(src_tokens), _words(tgt_tokens)
    if not src_words or not tgt_words:
        return []
    by_src_word = torch.stack([attention[:, word].sum(dim=1) for word in src_words], dim=1)
    by_word = torch.stack([by_src_word[word].mean(dim=0) for word in tgt_words])
    return [(src, tgt) for tgt, src in enumerate(by_word.argmax(dim=1).tolist())]


def pharaoh(alignment: Sequence[tuple[int, int]]) -> str:
    """As other tools read it: "0-0 1-2", source word first."""
    return " ".join(f"{src}-{tgt}" for src, tgt in alignment)


def coverage_penalty(attention: Tensor, beta: float) -> float:
    """beta * sum over source positions of log(min(sum over target positions of their shares, 1)); attention (T, S).

    cp of Wu et al. 2016, equation 14: at most 0, which is where all of the source has been looked at.
    """
    looked_at = attention.sum(dim=0).clamp(min=SMALLEST_SHARE, max=1.0)
    return beta * float(looked_at.double().log().sum())


def _words(tokens: Sequence[str]) -> list[slice]:
    """Where each word's tokens stand. A space sign alone is no word: it belongs to the tokens that follow."""
    starts: list[int] = []
    open_word = True  # has it nothing but space signs yet?
    for index, token in enumerate(tokens):
        if not starts or (token.startswith(META_SPACE) and not open_word):
            starts.append(index)
            open_word = True
        open_word = open_word and not token.strip(META_SPACE)
    if open_word:
        starts = starts[:-1]
    ends = [*starts[1:], len(tokens)]
    return [slice(start, end) for start, end in zip(starts, ends, strict=False)]
