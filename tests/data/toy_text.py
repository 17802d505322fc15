"""Sentences of a few words, and text of any kind, for tests of tokenizers."""

import random

from hypothesis import strategies as st

from nmt.data.tokenizer import Tokenizer, TokenizerSpec, train_tokenizers

KINDS = ("unigram", "bpe", "char", "word")
LITERALS = ("<s>", "</s>", "<unk>", "<pad>", "<0x41>", "a<s>b <0x0A></s>", "\u2581", "<\u2581s>", "<s> <s>")
_SENTENCE = "the cat saw a dog near that green house when rain fell over streets again"
WORDS = _SENTENCE.split()

spelled = st.lists(st.sampled_from((*LITERALS, *WORDS, "\t", "\u2028"))).map("".join)
anything = st.text(st.characters(), max_size=40) | spelled


def sentences(seed: int, count: int = 300) -> list[str]:
    choose = random.Random(seed)
    return [" ".join(choose.choices(WORDS, k=choose.randint(2, 9))).capitalize() + "." for _ in range(count)]


def train(lines: list[str], **keys) -> Tokenizer:
    return train_tokenizers(lines, lines, TokenizerSpec(**keys)).src
