"""Markup put back into the translation of a text without it, by which word was made of which.

A pair of tags goes around what was made of the words that it is around in the source; any other mark goes to what was
made of the word beside it. Attention is no alignment: where it leads to no sound place, nothing is placed.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from nmt.documents.markup import between, pairs

Alignment = Sequence[tuple[int, int]]  # (source word, target word), words by white space

_Kind: TypeAlias = Literal["text", "open", "close", "loose"]

_WORD = re.compile(r"\S+")
_WITHIN = re.compile(r"[^\W_](?:.*[^\W_])?", re.DOTALL)  # a word without the signs around it
_CLOSING = re.compile(r"[.,;:!?…)\]}»”’。，、！？）]")


class _Mark(NamedTuple):
    """Markup, and where it stood. loose: no tag of a pair; before, after: the characters of text beside it."""

    kind: _Kind
    text: str
    place: int
    before: str
    after: str


class Bare(NamedTuple):
    """A text without its markup, and that."""

    text: str
    marks: Sequence[_Mark]


class _Word(NamedTuple):
    """begin, end: its place; within: that of what is no sign at its edges."""

    text: str
    begin: int
    end: int
    within: tuple[int, int]


def without_markup(line: str, markup: re.Pattern[str]) -> Bare:
    """A text as if it had never had any: no blank twice, none before a full stop."""
    items = _items(line, markup)
    text, was = "", ""
    marks: list[_Mark] = []
    for at, (kind, content) in enumerate(items):
        if kind == "text":
            if was == "loose" and text[-1:].isalnum() and content[:1].isalnum():
                text += " "
            elif was == "loose" and _CLOSING.match(content):
                text = text.rstrip(" ")
                marks = [mark._replace(place=min(mark.place, len(text))) for mark in marks]
            text += content.lstrip(" ") if text.endswith(" ") or (was == "loose" and not text) else content
        else:
            after = next((other[:1] for what, other in items[at + 1 :] if what == "text"), "")
            marks.append(_Mark(kind, content, len(text), text[-1:], after))
        was = kind
    text = text.rstrip(" ") if was == "loose" else text
    return Bare(text, [mark._replace(place=min(mark.place, len(text))) for mark in marks])


def placed(bare: Bare, translation: str, alignment: Alignment) -> str | None:
    """The translation of a bare text with the markup of that; None where there is no sound place for all of it.

    It is sound if each mark stands between the same tags as in the source, and marks that are no tags in their order.
    """
    words = _Words(bare.text, translation, alignment)
    if not words.src or not words.tgt:
        return None
    spots: dict[int, tuple[int, str]] = {}
    for opened, closed in _pairs(bare.marks).items():
        span = words.span(bare.text, bare.marks[opened].place, bare.marks[closed].place)
        if span is None:
            return None
        spots |= {at: (spot, bare.marks[at].text) for at, spot in zip((opened, closed), span, strict=True)}
    for at, mark in enumerate(bare.marks):
        if mark.kind == "loose":
            found = words.spot(mark)
            if found is None:
                return None
            spots[at] = found
    order = sorted(spots, key=lambda at: (spots[at][0], at))
    if not _is_sound(bare.marks, order):
        return None
    text, end = "", 0
    for at in order:
        spot, mark_text = spots[at]
        text += translation[end:spot] + mark_text
        end = spot
    return text + translation[end:]


class _Words:
    """Those of a text and of its translation. made: of each word of the text, the words of the translation."""

    def __init__(self, src: str, tgt: str, alignment: Alignment) -> None:
        self.src, self.tgt = list(_words(src)), list(_words(tgt))
        self.made: list[list[int]] = [[] for _ in self.src]
        for one, other in alignment:
            if one < len(self.src) and other < len(self.tgt):
                self.made[one].append(other)

    def span(self, text: str, begin: int, end: int) -> tuple[int, int] | None:
        """Where what was made of some of the text stands; None where it is too far apart."""
        first = bisect_right(self.src, begin, key=lambda word: word.end)
        last = bisect_left(self.src, end, key=lambda word: word.begin) - 1
        made = {word for words in self.made[first : last + 1] for word in words}
        if first == 0 and last == len(self.src) - 1:
            made = {0, len(self.tgt) - 1}
        elif made and 2 * self._strangers(made, first, last) > len(made):
            made = self._longest_run(made, first, last)
        if not made:
            return None
        one, other = self.tgt[min(made)], self.tgt[max(made)]
        inside = text[begin:end].strip()
        starts = one.within[0] if inside[0].isalnum() else one.begin
        ends = other.within[1] if inside[-1].isalnum() else other.end
        if _same(one, self.src[first]):
            starts = one.begin + max(0, begin - self.src[first].begin)
        if _same(other, self.src[last]):
            ends = other.end - max(0, self.src[last].end - end)
        return (starts, ends) if starts < ends else None

    def _strangers(self, made: set[int], first: int, last: int) -> int:
        """How many words among those that were made of some were made of others."""
        return sum(min(made) < word < max(made) for word in self._others(made, first, last))

    def _others(self, made: set[int], first: int, last: int) -> set[int]:
        return {word for words in (*self.made[:first], *self.made[last + 1 :]) for word in words} - made

    def _longest_run(self, made: set[int], first: int, last: int) -> set[int]:
        """Where words are far apart: the most that stand together; none where it is not clear which do."""
        others = self._others(made, first, last)
        runs: list[list[int]] = [[]]
        for word in sorted(made | others):
            if word in others:
                runs.append([])
            else:
                runs[-1].append(word)
        *_, second, best = sorted(runs, key=len)
        return set(best) if len(best) > len(second) else set()

    def spot(self, mark: _Mark) -> tuple[int, str] | None:
        """Where a mark that is no tag of a pair goes, and it, with a blank; None where the words beside it are lost."""
        following = bisect_right(self.src, mark.place, key=lambda word: word.end)  # or the one that it stands in
        before = bisect_left(self.src, mark.place, key=lambda word: word.begin) - 1
        clings = mark.before and not mark.before.isspace() and not mark.after.isalnum()
        if following < len(self.src) and not clings and not _CLOSING.match(mark.after):
            made = [0] if following == 0 else self.made[following]
            if made:
                word = self.tgt[min(made)]
                spot = word.within[0] if mark.place > self.src[following].begin else word.begin
                return spot, mark.text + (" " if mark.after.isspace() else "")
        if before < 0:
            return None
        made = [len(self.tgt) - 1] if before == len(self.src) - 1 else self.made[before]
        if not made:
            return None
        word = self.tgt[max(made)]
        spot = word.within[1] if mark.place < self.src[before].end else word.end
        return spot, (" " if mark.before.isspace() else "") + mark.text


def _items(line: str, markup: re.Pattern[str]) -> list[tuple[_Kind, str]]:
    """Text and markup in order. A pair of tags around no word, or around the number of a note, is loose as a whole."""
    parts = between(line, markup)
    ends = {2 * opened + 1: 2 * closed + 1 for opened, closed in pairs(parts[1::2]).items()}
    closes = set(ends.values())
    items: list[tuple[_Kind, str]] = []
    at = 0
    while at < len(parts):
        end = at + 1
        if at % 2 == 0:
            kind: _Kind = "text"
        elif at in ends:
            inside = "".join(parts[at + 1 : ends[at] : 2])
            is_note = parts[at - 1][-1:].isalpha() and not parts[ends[at] + 1][:1].isalnum()
            is_loose = not any(map(str.isalpha if is_note else str.isalnum, inside))
            kind, end = ("loose", ends[at] + 1) if is_loose else ("open", end)
        else:
            kind = "close" if at in closes else "loose"
        content = "".join(parts[at:end])
        if kind == "loose" and len(items) > 1 and items[-2][0] == kind and not items[-1][1].strip():
            content = items.pop(-2)[1] + items.pop()[1] + content
        items.append((kind, content))
        at = end
    return [item for item in items if item[1]]


def _words(text: str) -> Iterator[_Word]:
    for match in _WORD.finditer(text):
        within = _WITHIN.search(match[0])
        begin, end = within.span() if within else (0, len(match[0]))
        yield _Word(match[0], *match.span(), (match.start() + begin, match.start() + end))


def _same(word: _Word, other: _Word) -> bool:
    return len(word.text) == len(other.text) and word.text.casefold() == other.text.casefold()


def _pairs(marks: Sequence[_Mark]) -> dict[int, int]:
    found: dict[int, int] = {}
    opened: list[int] = []
    for at, mark in enumerate(marks):
        if mark.kind == "open":
            opened.append(at)
        elif mark.kind == "close":
            found[opened.pop()] = at
    return found


def _is_sound(marks: Sequence[_Mark], order: Sequence[int]) -> bool:
    loose = [at for at in order if marks[at].kind == "loose"]
    return loose == sorted(loose) and _parents(marks, order) == _parents(marks, range(len(marks)))


def _parents(marks: Sequence[_Mark], order: Iterable[int]) -> dict[int, int]:
    """The tag that each mark stands in, in this order; where tags cross, the first to end seems to end in itself."""
    parents: dict[int, int] = {}
    opened = [-1]
    for at in order:
        if marks[at].kind == "close":
            opened.pop()
        parents[at] = opened[-1]
        if marks[at].kind == "open":
            opened.append(at)
    return parents
