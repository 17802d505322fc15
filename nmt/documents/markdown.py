"""Markdown: paragraphs, headings, list items, quotes and cells of tables, in place; every other character as it stood.

markdown-it-py tells the blocks and the inline markup; its inline rules are wrapped, so that each token knows its place.
A paragraph of one line stays one line; a longer one is wrapped anew to the width that it had, 40 at least.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from nmt.documents.document import Document, Wanted
from nmt.documents.inline import TaggedDocument, decoded
from nmt.documents.markdown_parser import Element, markdown_parser
from nmt.documents.markdown_writing import (
    CELLS,
    HEADING,
    PARAGRAPH,
    Block,
    candidates,
    tidied,
    without_prefixes,
    write_alt,
)
from nmt.documents.pieces import Kind, Mark, Part, Piece, Words, slot_or_parts, without_urls

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_FRONT_MATTER = re.compile(
    r"(---|\+\+\+)[ \t]*(?:\r\n|\r|\n)(?:.*?(?:\r\n|\r|\n))??(?:\1|\.\.\.)[ \t]*(?=[\r\n]|\Z)", re.DOTALL
)
_FOOTNOTE_OR_BOX = re.compile(r"\[\^[^\]\s]+\]|\A\[[ xX]\](?=\s)")
_HEADING_END = re.compile(r"[ \t]*#*[ \t]*\Z")
_CELL = re.compile(r"(?:[^|\\]|\\.|\\\Z)*+", re.DOTALL)
_BLANK_RUN = re.compile(r"[ \t\r\n]+")

_EMPHASIS = {"em_open": 0, "em_close": 0, "strong_open": -1, "strong_close": 1}  # where the other sign stands
_OWN_LABEL = ("]", "][]")  # how a link ends whose text is its label
_NARROWEST = 40


def read_markdown(content: bytes, name: str, _wanted: Wanted) -> Document:
    """CommonMark with tables.

    Raises:
        DataError: the bytes are not UTF-8.
    """
    head, text = decoded(content, name)
    return TaggedDocument(_Reader(text).parts(), head=head)


@dataclass(frozen=True)
class _Text:
    """Some text of a block. offset: where it begins there."""

    source: str
    block: Block
    offset: int
    text: str

    def raw(self, begin: int, end: int) -> str:
        """The characters of the document."""
        return self.source[self.block.place(self.offset + begin) : self.block.place(self.offset + end)]

    def part(self, begin: int, end: int) -> "_Text":
        """Some of it."""
        return _Text(self.source, self.block, self.offset + begin, self.text[begin:end])

    def mark(self, kind: Kind, begin: int, end: int, name: str = "") -> tuple[int, int, Mark]:
        """A mark with its place."""
        return begin, end, Mark(kind, (self.raw(begin, end),), name)

    def emphasis(self, element: Element) -> tuple[int, int, Mark]:
        """A sign of it; markdown-it places strong emphasis at the inner one of its two signs."""
        kind = element.token.type
        begin, end = sorted((element.begin + _EMPHASIS[kind], element.begin))
        return self.mark("open" if kind.endswith("open") else "close", begin, end + 1, element.token.tag)

    def link_name(self, element: Element) -> str:
        """It says which label the link needs, where that was its text."""
        own = self.text[element.begin + 1 : element.label_end]
        return f"label:{own}" if self.text[element.label_end : element.end] in _OWN_LABEL else "link"


@dataclass
class _Reader:
    source: str
    parser: MarkdownIt = field(default_factory=markdown_parser)
    env: dict[str, Any] = field(default_factory=dict)

    def parts(self) -> Iterator[Part]:
        end = 0
        for block in self._blocks():
            begin = block.place(0)
            if begin < end:  # a block that lies in another one: none is known
                continue
            yield self.source[end:begin]
            yield from self._of_block(block)
            end = block.place(len(block.text))
        yield self.source[end:]

    def _blocks(self) -> Iterator[Block]:
        lines = [match.span() for match in _LINE.finditer(self.source)]
        front = _FRONT_MATTER.match(self.source)
        begin = front.end() if front else 0
        tokens = self.parser.parse(re.sub(r"[^\r\n]", "", self.source[:begin]) + self.source[begin:], self.env)
        row: list[Token] = []
        opened = ""
        for token in tokens:
            if token.type == "inline" and token.map:
                if opened in ("th_open", "td_open"):
                    row.append(token)
                elif block := self._block(opened, token, lines[slice(*token.map)]):
                    yield block
            elif token.type == "tr_close":
                yield from self._cells(row, lines)
                row = []
            else:
                opened = token.type if token.nesting == 1 else ""
                opened = HEADING if opened == "heading_open" and token.markup.startswith("#") else opened

    def _block(self, opened: str, token: Token, places: Sequence[tuple[int, int]]) -> Block | None:
        """Of a paragraph or heading; None where its text is not found in its lines."""
        starts: list[tuple[int, int]] = []
        texts: list[str] = []
        offset = 0
        wanted = token.content.split("\n")
        for (begin, end), text in zip(places, wanted, strict=False):
            line = self.source[begin:end].rstrip("\r\n")
            core = text.strip().replace("\ufffd", "\0") if "\0" in line else text.strip()
            at = line.rfind(core)
            rest = line[at + len(core) :]
            if at < 0 or not (_HEADING_END.match(rest) if opened == HEADING else not rest.strip()):
                return None
            texts.append(core if len(texts) == len(wanted) - 1 else core + rest)
            starts.append((offset, begin + at))
            offset += len(texts[-1]) + 1
        if len(texts) != len(wanted) or not token.content.strip():
            return None
        lines = [self.source[begin:end] for begin, end in places]
        prefixes = tuple(line[: start[1] - place[0]] for line, start, place in zip(lines, starts, places, strict=False))
        return Block(
            kind=HEADING if opened == HEADING else PARAGRAPH,
            text="\n".join(texts),
            starts=tuple(starts),
            prefixes=prefixes[1:],
            newline=lines[0][len(lines[0].rstrip("\r\n")) :],
            width=max(_NARROWEST, *(len(line.rstrip()) for line in lines)) if len(texts) > 1 else 0,
            column=len(prefixes[0]),
        )

    def _cells(self, row: Sequence[Token], lines: Sequence[tuple[int, int]]) -> Iterator[Block]:
        if not row or not row[0].map:
            return
        begin, end = lines[row[0].map[0]]
        line = self.source[begin:end].rstrip("\r\n")
        cells, at = [], 0
        while at <= len(line):
            match = _CELL.match(line, at)
            assert match is not None
            cells.append((match.start(), match[0]))
            at = match.end() + 1
        wanted = [token.content for token in row]
        found = [cell.replace("\\|", "|").strip() for _, cell in cells]
        # what stands before the first pipe is a cell only where the row begins with none: containers stand there too
        first = 0 if wanted and found[0].endswith(wanted[0]) and wanted[0] and found[1:2] == wanted[1:2] else 1
        for (start, cell), text, own in zip(cells[first:], found[first:], wanted, strict=False):
            if own and (text == own or (start == 0 and text.endswith(own))):
                core = own.replace("|", "\\|")
                at = cell.rfind(core)
                if at >= 0:
                    yield Block(CELLS, own, tuple(_cell_starts(own, begin + start + at)))

    def _of_block(self, block: Block) -> Iterator[Part]:
        whole = _Text(self.source, block, 0, block.text)
        pieces = list(self._pieces(whole))
        source = whole.raw(0, len(block.text))
        known = self._signature(block.text)
        own = sum(_size(piece.text) for piece in pieces if isinstance(piece, Words))

        def write(words: Sequence[Words]) -> str:
            size = known[1] - own + sum(_size(one.text) for one in words if one.raw is None)
            for written in candidates(tidied(words), block):
                if self._signature_of(written, block) == (known[0], size):
                    return written
            return source

        yield from slot_or_parts(pieces, write)

    def _pieces(self, text: "_Text") -> Iterator[Piece]:
        end = 0
        for begin, stop, made in self._marks(text):
            if begin < end:
                continue
            yield from _words(text.text[end:begin], text.raw(end, begin), at_start=end == 0)
            yield made
            end = stop
        size = len(text.text)
        yield from _words(text.text[end:], text.raw(end, size), at_start=end == 0)

    def _marks(self, text: "_Text") -> Iterator[tuple[int, int, Piece]]:
        """What is no plain text: where each begins and ends, and it."""
        links: list[tuple[Element, str]] = []  # that are open, with their names
        skip_to = 0
        for element in self._elements(text.text):
            token, begin, end, label_end = element
            kind = token.type
            if begin < skip_to or kind == "text":
                continue
            if kind in _EMPHASIS:
                yield text.emphasis(element)
            elif kind == "link_open" and label_end >= 0 and text.text[begin + 1 : begin + 2] != "^":
                links.append((element, name := text.link_name(element)))
                yield text.mark("open", begin, begin + 1, name)
            elif kind == "link_close" and links:
                opened, name = links.pop()
                yield text.mark("close", opened.label_end, opened.end, name)
            elif kind == "image" and label_end >= 0:
                yield begin, end, self._image(text, element)
            elif kind in ("softbreak", "text_special"):
                yield begin, end, Words(" " if kind == "softbreak" else token.content, text.raw(begin, end))
            else:  # code, HTML, autolinks, hard breaks with the spaces before them
                begin = len(text.text[:begin].rstrip(" ")) if kind == "hardbreak" else begin
                skip_to = end
                yield text.mark("single", begin, end)

    def _image(self, text: "_Text", element: Element) -> Mark:
        """What it shows for those who do not see it is a text, unless that is its label too."""
        begin, end = element.begin + 2, element.label_end
        alt: list[Part] = [text.raw(begin, end)]
        if text.text[end : element.end] not in _OWN_LABEL:
            alt = slot_or_parts(self._pieces(text.part(begin, end)), write_alt)
        return Mark("single", (text.raw(element.begin, begin), *alt, text.raw(end, element.end)))

    def _elements(self, text: str) -> Iterator[Element]:
        tokens: list[Token] = []
        self.parser.inline.parse(text, self.parser, self.env, tokens)
        for token in tokens:
            if "at" in token.meta:
                yield Element(token, *token.meta["at"])

    def _signature(self, text: str) -> tuple[Mapping[tuple[str, str], int], int]:
        """The markup of a text, and how many characters of text it has, blanks aside."""
        tokens: list[Token] = []
        self.parser.inline.parse(text, self.parser, self.env, tokens)
        size = sum(_size(token.content) for token in tokens if token.type.startswith("text"))
        return Counter(map(_of_token, (one for one in tokens if one.type not in _TEXTS))), size

    def _signature_of(self, written: str, block: Block) -> tuple[Mapping[tuple[str, str], int], int] | None:
        """As `_signature`; None where what was written would be another block."""
        plain = without_prefixes(written, block)
        if block.kind == CELLS:
            return None if "\n" in plain else self._signature(plain.replace("\\|", "|"))
        whole = f"# {plain}" if block.kind == HEADING else plain
        tokens = self.parser.parse(whole, {"references": dict(self.env.get("references", {}))})
        if [token.type for token in tokens[1::2]] != ["inline"] or tokens[0].type != f"{block.kind}_open":
            return None
        return self._signature(tokens[1].content)


_TEXTS = frozenset(["text", "text_special", "softbreak"])


def _of_token(token: Token) -> tuple[str, str]:
    held = token.attrs.get("href", token.attrs.get("src", "" if token.type == "image" else token.content))
    return token.type, _BLANK_RUN.sub(" ", str(held))


def _size(text: str) -> int:
    return len("".join(text.split()))


def _cell_starts(text: str, place: int) -> Iterator[tuple[int, int]]:
    """Each pipe in a cell stands in the document with a backslash before it."""
    yield 0, place
    for extra, match in enumerate(re.finditer(r"\|", text), start=1):
        yield match.end(), place + match.end() + extra


def _words(text: str, raw: str, *, at_start: bool) -> Iterator[Piece]:
    """Words, but for addresses, marks of footnotes, and the box of a task."""
    end = 0
    if text != raw:  # pipes with backslashes, in a cell
        yield Words(text, raw)
        return
    for match in _FOOTNOTE_OR_BOX.finditer(text):
        if match[0].startswith("[^") or at_start:
            yield from without_urls(text[end : match.start()], str)
            yield Mark("single", (match[0],))
            end = match.end()
    yield from without_urls(text[end:], str)
