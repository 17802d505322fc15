"""Text of a document in pieces: words, and the marks among them that are to stay."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple, TypeAlias

Kind = Literal["open", "close", "single"]
_BLANKS = " \t\r\n\f"
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


class Told(NamedTuple):
    """Characters of the document that tell of its language, and those that do once it is translated."""

    was: str
    new: str


Part: TypeAlias = str | Slot | Told


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
