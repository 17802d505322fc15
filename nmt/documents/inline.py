"""Texts with markup in them: short numbered tags stand for it while they are translated.

`<x1>`, `</x1>` and `<x2/>` look to nmt.data.placeholders like any tag, so a model that has them keeps them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import count

from nmt.data.files import refuse_utf16
from nmt.documents.markup import between, same_markup
from nmt.documents.pieces import Mark, Part, Piece, Slot, Told, Words
from nmt.errors import DataError
from nmt.translator import Translation

_BLANK_RUN = re.compile("[ \t\r\n\f]+")


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

    def pieces(self, translation: str, markup: re.Pattern[str]) -> list[Piece] | None:
        """A translation in pieces; None where the text stays as it was: it is the same, blank, or lacks its markup."""
        if translation == self.text or not translation.strip() or not same_markup(self.text, translation, markup):
            return None
        parts = between(translation, markup)
        return [self.tags[part] if at % 2 else Words(part) for at, part in enumerate(parts) if part]


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
            if isinstance(part, Slot):
                yield self._of_slot(part, texts)
            elif isinstance(part, Told):
                yield part.was if texts == self.texts else part.new
            else:
                yield part

    def _of_slot(self, slot: Slot, texts: Sequence[str]) -> str:
        index = self._index[id(slot)]
        assert self.markup is not None
        core = self._numbered[index].pieces(texts[index], self.markup)
        if core is None:
            return "".join(self._word(piece, texts).raw or "" for piece in (*slot.head, *slot.core, *slot.tail))
        return slot.write([self._word(piece, texts) for piece in (*slot.head, *core, *slot.tail)])

    def _word(self, piece: Piece, texts: Sequence[str]) -> Words:
        return piece if isinstance(piece, Words) else Words(piece.name, "".join(self._written(piece.parts, texts)))


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
    refuse_utf16(content[:512], name)
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


def _slots(parts: Iterable[Part]) -> Iterator[Slot]:
    for part in parts:
        if isinstance(part, Slot):
            yield part
            for piece in (*part.head, *part.core, *part.tail):
                yield from () if isinstance(piece, Words) else _slots(piece.parts)
