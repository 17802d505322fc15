"""Texts with markup in them: short numbered tags stand for it while they are translated.

`<x1>`, `</x1>` and `<x2/>` look to nmt.data.placeholders like any tag, so a model that has them keeps them.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, count
from typing import Literal, NamedTuple, TypeAlias

from nmt.errors import DataError
from nmt.translator import Translation

Kind = Literal["open", "close", "single"]
_BLANKS = " \t\r\n\f"
_BLANK_RUN = re.compile(f"[{_BLANKS}]+")
_URL = re.compile(r"(?<!\w)(?:https?://|www\.)[^\s<>\"'“”]+(?<![.,;:!?)*_\]])")


class Words(NamedTuple):
    """Text: as a reader has it, and the characters of the document; None where it is new, to be written."""

    text: str
    raw: str | None = None


class Mark(NamedTuple):
    """Markup: the characters of the document, with places for texts among them. name: which close ends which open."""

    kind: Kind
    parts: tuple["Part", ...]
    name: str = ""


Piece: TypeAlias = Words | Mark
Writer: TypeAlias = Callable[[Sequence[Words]], str]


@dataclass(frozen=True, eq=False)
class Slot:
    """A text to translate between what stands around it. write: the pieces of its translation as characters.

    What `write` gets are words, and markup: that has `raw`, to stand as it is, and its name as `text`.
    """

    head: tuple[Piece, ...]
    core: tuple[Piece, ...]
    tail: tuple[Piece, ...]
    write: Writer


Part: TypeAlias = str | Slot


class Numbered:
    """Pieces as a text with numbered tags."""

    def __init__(self, pieces: Sequence[Piece], name: str) -> None:
        self.tags: dict[str, Mark] = {}
        texts: list[str] = []
        stack: list[int] = []
        last = 0
        for piece in pieces:
            if isinstance(piece, Words):
                texts.append(_BLANK_RUN.sub(" ", piece.text))
                continue
            if piece.kind == "close":
                tag = f"</{name}{stack.pop()}>"
            else:
                last += 1
                tag = f"<{name}{last}/>" if piece.kind == "single" else f"<{name}{last}>"
            if piece.kind == "open":
                stack.append(last)
            self.tags[tag] = piece
            texts.append(tag)
        self.text = "".join(texts)

    def placed(self, translation: str, markup: re.Pattern[str]) -> list[Piece]:
        """The pieces of a translation: each tag once, well nested, those that it lacks at its end."""
        found: list[Piece] = []
        unseen = dict.fromkeys(self.tags)
        stack: list[str] = []  # the ends of what is open
        late: set[str] = set()  # ends that came before those of what was opened later

        def end(tag: str) -> None:
            found.append(self.tags[tag])
            del unseen[tag]

        for text, tag in _split(translation, markup):
            if text:
                found.append(Words(text))
            if tag in stack:
                late.add(tag)
                while stack and stack[-1] in late:
                    end(stack.pop())
            elif tag in unseen and not tag.startswith("</"):
                end(tag)
                if self.tags[tag].kind == "open":
                    stack.append(f"</{tag[1:]}")
        while stack:
            end(stack.pop())
        for tag in list(unseen):
            found.append(self.tags[tag])
        return found


class TaggedDocument:
    """A document of characters and places for texts (a `Document`). head: bytes before its first character."""

    def __init__(self, parts: Iterable[Part], *, head: bytes = b"", ascii_only: bool = False) -> None:
        self._parts = tuple(parts)
        self._head = head
        self._errors = "xmlcharrefreplace" if ascii_only else "strict"
        self._encoding = "ascii" if ascii_only else "utf-8"
        self._slots = list(_slots(self._parts))
        name = free_name(slot.core for slot in self._slots)
        self._numbered = [Numbered(slot.core, name) for slot in self._slots]
        self._index = {id(slot): index for index, slot in enumerate(self._slots)}
        self.texts: Sequence[str] = [one.text for one in self._numbered]
        self.markup: re.Pattern[str] | None = tags_named(name)

    def filled(self, translations: Sequence[Translation]) -> bytes:
        """The document with one translation for each of `texts`; a text that comes back as it was keeps its bytes."""
        texts = [translation.text for translation in translations]
        whole = "".join(self._written(self._parts, texts))
        return self._head + whole.encode(self._encoding, self._errors)

    def _written(self, parts: Iterable[Part], texts: Sequence[str]) -> Iterator[str]:
        for part in parts:
            yield part if isinstance(part, str) else self._of_slot(part, texts)

    def _of_slot(self, slot: Slot, texts: Sequence[str]) -> str:
        index = self._index[id(slot)]
        numbered, text = self._numbered[index], texts[index]
        if text == numbered.text or not text.strip():
            return "".join(self._word(piece, texts).raw or "" for piece in (*slot.head, *slot.core, *slot.tail))
        assert self.markup is not None
        pieces = [*slot.head, *numbered.placed(text, self.markup), *slot.tail]
        return slot.write([self._word(piece, texts) for piece in pieces])

    def _word(self, piece: Piece, texts: Sequence[str]) -> Words:
        return piece if isinstance(piece, Words) else Words(piece.name, "".join(self._written(piece.parts, texts)))


def slot_or_parts(pieces: Iterable[Piece], write: Writer) -> list[Part]:
    """One slot; or, where there are no words, the characters as they stand."""
    head, core, tail = trimmed(arranged(pieces))
    if has_words(core):
        return [Slot(tuple(head), tuple(core), tuple(tail), write)]
    return [part for piece in (*head, *core, *tail) for part in _parts(piece)]


def arranged(pieces: Iterable[Piece]) -> list[Piece]:
    """The pieces with as few marks as will do, each open one with its close.

    What has no partner is single; so is what holds no words; single ones beside each other become one.
    """
    paired = _paired(_words_joined(pieces))
    lettered = list(accumulate((has_words([piece]) for piece in paired), initial=0))
    empty = {begin: end for end, begin in _begins(paired).items() if lettered[begin] == lettered[end]}
    done: list[Piece] = []
    parts: list[Part] = []  # of the single mark that is growing
    index = 0
    while index < len(paired):
        piece = paired[index]
        end = empty.get(index, index)
        if index in empty or (isinstance(piece, Mark) and piece.kind == "single"):
            for one in paired[index : end + 1]:
                parts += _parts(one)
        else:
            done += [Mark("single", tuple(parts)), piece] if parts else [piece]
            parts = []
        index = end + 1
    return [*done, Mark("single", tuple(parts))] if parts else done


def trimmed(pieces: Sequence[Piece]) -> tuple[list[Piece], list[Piece], list[Piece]]:
    """What stands before the words, they, and what stands after them: blanks, single marks, pairs around all."""
    head: list[Piece] = []
    core = deque(pieces)
    tail: deque[Piece] = deque()
    begins = _begins(pieces)
    first_at, last_at = 0, len(pieces) - 1
    while core:
        first, last = core[0], core[-1]
        if isinstance(first, Words) and (blank := _margin(first, _first_blanks)):
            head.append(Words(blank, blank))
            core[0] = _cut(first, len(blank), None)
        elif isinstance(last, Words) and (blank := _margin(last, _last_blanks)):
            tail.appendleft(Words(blank, blank))
            core[-1] = _cut(last, 0, -len(blank))
        elif _goes(first):
            head.append(core.popleft())
            first_at += 1
        elif _goes(last):
            tail.appendleft(core.pop())
            last_at -= 1
        elif begins.get(last_at) == first_at:
            head.append(core.popleft())
            tail.appendleft(core.pop())
            first_at, last_at = first_at + 1, last_at - 1
        else:
            break
    return head, list(core), list(tail)


def has_words(pieces: Iterable[Piece]) -> bool:
    """Whether there is a letter to translate."""
    return any(isinstance(piece, Words) and any(map(str.isalpha, piece.text)) for piece in pieces)


def without_urls(text: str, decode: Callable[[str], str]) -> Iterator[Piece]:
    """Characters of a document as words, the addresses among them as marks."""
    end = 0
    for match in _URL.finditer(text):
        yield Words(decode(text[end : match.start()]), text[end : match.start()])
        yield Mark("single", (match[0],))
        end = match.end()
    yield Words(decode(text[end:]), text[end:])


def free_name(texts: Iterable[Iterable[Piece]]) -> str:
    """A name of tags that none of the words has: "x", nearly always."""
    words = [piece.text for pieces in texts for piece in pieces if isinstance(piece, Words) and "x" in piece.text]
    for length in count(1):
        name = "x" * length
        # the wide sign becomes the usual one where a tokenizer normalises
        spelled = re.compile(f"[<\uff1c\ufe64]/?{name}[0-9]")
        if not any(map(spelled.search, words)):
            return name
    raise AssertionError


def tags_named(name: str) -> re.Pattern[str]:
    """Exactly the tags that `Numbered` makes."""
    return re.compile(f"</?{name}[0-9]+>|<{name}[0-9]+/>")


def decoded(content: bytes, name: str, *, hint: str = "") -> tuple[bytes, str]:
    """The byte order mark, if there is one, and the characters after it.

    Raises:
        DataError: it is not UTF-8.
    """
    mark = b"\xef\xbb\xbf" if content.startswith(b"\xef\xbb\xbf") else b""
    try:
        return mark, content[len(mark) :].decode("utf-8")
    except UnicodeDecodeError as fault:
        at = fault.start + len(mark)
        line, column = content.count(b"\n", 0, at) + 1, at - (content.rfind(b"\n", 0, at) + 1) + 1
        raise DataError(
            f"{name}:{line}:{column}: byte 0x{content[at]:02X} is not UTF-8 here{hint}; save the file as UTF-8 "
            "(`iconv -f LATIN1 -t UTF-8`, if that is what it is)"
        ) from fault


def _split(translation: str, markup: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Texts, and the tag after each; "" after the last."""
    end = 0
    for match in markup.finditer(translation):
        yield translation[end : match.start()], match[0]
        end = match.end()
    yield translation[end:], ""


def _words_joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    waiting: list[Words] = []
    for piece in pieces:
        if isinstance(piece, Words):
            waiting.append(piece)
            continue
        if waiting:
            yield _joined(waiting)
            waiting = []
        yield piece
    if waiting:
        yield _joined(waiting)


def _joined(words: Sequence[Words]) -> Words:
    return Words("".join(one.text for one in words), "".join(one.raw or "" for one in words))


def _paired(pieces: Iterable[Piece]) -> list[Piece]:
    """Opens and closes without a partner made single."""
    done: list[Piece] = []
    opened: list[tuple[int, str]] = []
    open_names: dict[str, int] = {}
    for piece in pieces:
        done.append(piece)
        if isinstance(piece, Words) or piece.kind == "single":
            continue
        if piece.kind == "open":
            opened.append((len(done) - 1, piece.name))
            open_names[piece.name] = open_names.get(piece.name, 0) + 1
        elif not open_names.get(piece.name):
            done[-1] = Mark("single", piece.parts)
        else:
            while opened:
                at, name = opened.pop()
                open_names[name] -= 1
                if name == piece.name:
                    break
                done[at] = Mark("single", _parts(done[at]))
    for at, _ in opened:
        done[at] = Mark("single", _parts(done[at]))
    return done


def _begins(pieces: Sequence[Piece]) -> dict[int, int]:
    """Where each close stands -> where its open does."""
    stack: list[int] = []
    begins: dict[int, int] = {}
    for index, piece in enumerate(pieces):
        if isinstance(piece, Mark) and piece.kind != "single":
            if piece.kind == "open":
                stack.append(index)
            else:
                begins[index] = stack.pop()
    return begins


def _goes(piece: Piece) -> bool:
    return not piece.raw if isinstance(piece, Words) else piece.kind == "single"


def _first_blanks(text: str) -> str:
    return text[: len(text) - len(text.lstrip(_BLANKS))]


def _last_blanks(text: str) -> str:
    return text[len(text.rstrip(_BLANKS)) :]


def _margin(words: Words, of: Callable[[str], str]) -> str:
    """The blanks at an edge, where the document has them as such."""
    blank = of(words.raw or "")
    return blank if blank == of(words.text) else ""


def _cut(words: Words, begin: int, end: int | None) -> Words:
    return Words(words.text[begin:end], (words.raw or "")[begin:end])


def _parts(piece: Piece) -> tuple[Part, ...]:
    return (piece.raw or "",) if isinstance(piece, Words) else piece.parts


def _slots(parts: Iterable[Part]) -> Iterator[Slot]:
    for part in parts:
        if isinstance(part, Slot):
            yield part
            for piece in (*part.head, *part.core, *part.tail):
                yield from () if isinstance(piece, Words) else _slots(piece.parts)
