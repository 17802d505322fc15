"""What the fetchers have in common about texts: white space, and paragraphs cut into sentences that pair up."""

import math
import re
import unicodedata

from nmt.data.sentences import split_sentences

Pair = tuple[str, str]  # a text in the language fetched, the same in English

# exp(1.1) is 3: no sentence of over a few words is three times as long as its translation
_ODD_LOG_RATIO = 1.1
_FREE_CHARS = 12  # added to both lengths, for short sentences differ more


def tidy(text: str) -> str:
    """NFC, without soft hyphens and zero-width spaces, each run of white space one space."""
    return " ".join(re.sub("[\u00ad\u200b\ufeff]", "", unicodedata.normalize("NFC", text)).split())


def sentence_pairs(text: str, english: str) -> list[Pair]:
    """The sentences of two paragraphs side by side; the paragraphs whole, where they do not seem to pair up."""
    sides = [[sentence for sentence, _ in split_sentences(side)] for side in (text, english)]
    if len(sides[0]) != len(sides[1]):
        return [(text, english)]
    pairs = list(zip(*sides, strict=True))
    return pairs if all(plausible(*pair) for pair in pairs) else [(text, english)]


def plausible(text: str, english: str) -> bool:
    """Whether two texts may translate each other, by their lengths alone."""
    lengths = [len(side) + _FREE_CHARS for side in (text, english)]
    return bool(text and english) and abs(math.log(lengths[0] / lengths[1])) <= _ODD_LOG_RATIO
