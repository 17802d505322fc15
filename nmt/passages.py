"""A line of text as the passages that are translated one by one, and their translations as one line again."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from torch import Tensor

from nmt.alignment import align
from nmt.data.glossary import Glossary, Term
from nmt.data.placeholders import SYMBOLS, Masked, find_spans, portions, unmask
from nmt.data.sentences import split_sentences, split_text
from nmt.data.tokenizer import UNK_ID, Tokenizer, TokenizerPair
from nmt.decoding import Job
from nmt.errors import DataError
from nmt.search.hypothesis import Hypothesis

_LINE_END = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")  # none may stand in a translation
Alignment = list[tuple[int, int]]  # (source word, target word), both from 0


@dataclass(frozen=True)
class Request:
    """A line to translate. number: its place in the text, from 0. prefix: how its translation must begin."""

    text: str
    number: int = 0
    prefix: str = ""


@dataclass(frozen=True)
class Passage:
    """What is translated as a whole: a line, or a sentence of a long one; more jobs than one where it is longer still.

    spans: what the symbols of placeholders in it stand for. terms: what its translation must have. gap: what stands
    between it and the next passage. copied: what has no words, nothing but spans and marks, and stays as it is.
    """

    jobs: tuple[Job, ...]
    spans: tuple[str, ...]
    terms: tuple[Term, ...]
    gap: str
    copied: str = ""


class _Part(NamedTuple):
    """Some text of a line, and what stands after it there."""

    text: str
    masked: Masked
    ids: list[int]
    gap: str


@dataclass(frozen=True)
class PassageMaker:
    """How lines become passages.

    longest: in source tokens; a longer line is translated sentence by sentence. keep: what matches is to stand in the
    translation as it is: masked where the tokenizers have placeholders, else demanded of the search.
    """

    tokenizers: TokenizerPair
    longest: int
    glossary: Glossary
    keep: tuple[re.Pattern[str], ...] = ()

    def passages(self, requests: Sequence[Request]) -> list[list[Passage]]:
        """Those of each line, in order; a blank line has none."""
        parts = self._parts([(request.text, "") for request in requests])
        return [list(self._of_line(request, part)) for request, part in zip(requests, parts, strict=True)]

    def _parts(self, texts: Sequence[tuple[str, str]]) -> Iterator[_Part]:
        """Texts and the gaps after them."""
        masked = [self.tokenizers.mask_source(text, keep=self.keep) for text, _ in texts]
        encoded = self.tokenizers.src.encode_batch([one.text for one in masked])
        for (text, gap), one, ids in zip(texts, masked, encoded, strict=True):
            yield _Part(text, one, ids, _LINE_END.sub(" ", gap))

    def _of_line(self, request: Request, line: _Part) -> Iterator[Passage]:
        parts: Iterable[_Part] = [line] if line.ids else []
        if len(line.ids) > self.longest:
            sentences = self._parts(split_sentences(line.text.strip()))
            parts = chain.from_iterable(map(self._shorter, sentences))
        if not request.prefix:  # which may have spans of all of the line
            parts = chain.from_iterable(map(self._in_portions, parts))
        number = 0
        for part in parts:
            if part.masked.spans and not any(map(str.isalnum, "".join(unmask(part.masked.text, ()).text))):
                yield Passage((), (), (), part.gap, unmask(*part.masked).text)
                continue
            pieces = _cut(self.tokenizers.src, part.ids, self.longest)
            texts = [part.masked.text] if len(pieces) == 1 else [self.tokenizers.src.decode(piece) for piece in pieces]
            jobs, terms = [], []
            for piece, text in zip(pieces, texts, strict=True):
                wanted = [*(term.target for term in self.glossary.find(text)), *self._kept(text)]
                prefix = self._prefix(request, part.masked.spans) if number == 0 else ()
                phrases = [ids for ids in map(self.tokenizers.tgt.encode, wanted) if ids and UNK_ID not in ids]
                allowance = self.tokenizers.allowances(piece)
                jobs.append(Job(piece, (request.number, number), prefix, phrases, allowance))
                terms += self.glossary.find(unmask(text, part.masked.spans).text)  # one may hold a span
                number += 1
            yield Passage(tuple(jobs), part.masked.spans, tuple(terms), part.gap)

    def _shorter(self, part: _Part) -> Iterable[_Part]:
        """A sentence, or its pieces where it is too long: of about as many characters as the tokens allow."""
        if len(part.ids) <= self.longest:
            return [part]
        pieces = split_text(part.text, max_chars=max(1, self.longest * len(part.text) // len(part.ids)))
        return self._parts([*pieces[:-1], (pieces[-1][0], part.gap)])

    def _in_portions(self, part: _Part) -> Iterable[_Part]:
        """The part, or its pieces where it has more spans than there are symbols."""
        if len(set(part.masked.spans)) < len(SYMBOLS) and SYMBOLS[0][:1] not in part.text:
            return [part]
        pieces = portions(self.tokenizers.src.normalize(part.text), self.tokenizers.placeholders, keep=self.keep)
        return [part] if len(pieces) == 1 else self._parts([*pieces[:-1], (pieces[-1][0], part.gap)])

    def _kept(self, text: str) -> list[str]:
        """What is kept but cannot be masked."""
        spans = [] if self.tokenizers.placeholders else find_spans(text, (), keep=self.keep)
        return [text[begin:end] for begin, end in spans]

    def _prefix(self, request: Request, spans: Sequence[str]) -> Sequence[int]:
        """The ids that a translation begins with, where its source has these spans."""
        text = self.tokenizers.tgt.normalize(request.prefix)
        symbols = dict(zip(dict.fromkeys(spans), SYMBOLS, strict=False))
        for begin, end in reversed(find_spans(text, self.tokenizers.placeholders, keep=self.keep)):
            text = text[:begin] + symbols.get(text[begin:end], text[begin:end]) + text[end:]
        ids = self.tokenizers.tgt.encode(text)
        if UNK_ID in ids:
            raise DataError(
                f"the prefix of line {request.number + 1}, {request.prefix[:60]!r}: the model has no pieces for some "
                "of its characters, so no translation can begin with it; shorten it"
            )
        return ids


class Found(NamedTuple):
    """What a search found for a job, and where that looked: attention (T, S), if it was asked for."""

    hypothesis: Hypothesis
    attention: Tensor | None


class Joined(NamedTuple):
    """A line again; whole: it has all the spans of its source, and no other."""

    text: str
    whole: bool
    alignment: Alignment


def join(tokenizers: TokenizerPair, passages: Sequence[Passage], found: Sequence[Sequence[Found]]) -> Joined:
    """The translation of a line from those of the jobs of its passages."""
    text, gap, whole = "", "", True
    alignment: Alignment = []
    src_words = tgt_words = 0
    for passage, of_jobs in zip(passages, found, strict=True):
        masked = [tokenizers.tgt.decode(one.hypothesis.ids) for one in of_jobs]
        unmasked = unmask(" ".join(filter(None, masked)), passage.spans)
        if text and not gap:  # its first word goes on with the one before it
            src_words, tgt_words = max(0, src_words - 1), max(0, tgt_words - 1)
        text, gap = text + gap + (passage.copied or unmasked.text), passage.gap
        copied = len(passage.copied.split())
        alignment += [(src_words + word, tgt_words + word) for word in range(copied)]
        src_words, tgt_words = src_words + copied, tgt_words + copied
        whole &= not unmasked.missing and not unmasked.extra
        for job, tgt_text, one in zip(passage.jobs, masked, of_jobs, strict=True):
            if one.attention is None:  # of all jobs or of none
                continue
            src_counts = _word_counts(tokenizers.src.decode(job.ids), passage.spans)
            tgt_counts = _word_counts(tgt_text, passage.spans)
            tokens = tokenizers.src.tokens(job.ids), tokenizers.tgt.tokens(one.hypothesis.ids)
            pairs = _spread(align(one.attention, *tokens), src_counts, tgt_counts)
            alignment += [(src_words + src, tgt_words + tgt) for src, tgt in pairs]
            src_words, tgt_words = src_words + sum(src_counts), tgt_words + sum(tgt_counts)
    asked = any(one.attention is not None for of_jobs in found for one in of_jobs)
    return Joined(text, whole, alignment if asked else [])


def _word_counts(masked: str, spans: Sequence[str]) -> list[int]:
    """Of each masked word, how many words it is once its spans are back: `<a href="x">` is two."""
    return [len(unmask(word, spans).text.split()) for word in masked.split()]


def _spread(pairs: Alignment, src_counts: Sequence[int], tgt_counts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs of masked words as pairs of words: the first of one with the first of the other, and so on."""
    for src, tgt in pairs:
        if src >= len(src_counts) or tgt >= len(tgt_counts) or src_counts[src] == 0:
            continue
        src_begin, tgt_begin = sum(src_counts[:src]), sum(tgt_counts[:tgt])
        for word in range(tgt_counts[tgt]):
            yield src_begin + min(word, src_counts[src] - 1), tgt_begin + word


def _cut(tokenizer: Tokenizer, ids: list[int], longest: int) -> list[list[int]]:
    """Pieces of at most `longest` tokens, cut before a word where there is one in the second half of a piece."""
    pieces = []
    while len(ids) > longest:
        starts = (i for i in range(longest, longest // 2, -1) if tokenizer.starts_word(ids[i]))
        end = next(starts, longest)
        pieces.append(ids[:end])
        ids = ids[end:]
    return [*pieces, ids] if ids else pieces
