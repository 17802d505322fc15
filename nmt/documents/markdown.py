"""Markdown: paragraphs, headings, list items, quotes and cells of tables, in place; every other character as it stood.

markdown-it-py tells the blocks and the inline markup; its inline rules are wrapped, so that each token knows its place.
A paragraph of one line stays one line; a longer one is wrapped anew to the width that it had, 40 at least.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from nmt.documents.document import Document
from nmt.documents.inline import Mark, Part, Piece, TaggedDocument, Words, decoded, slot_or_parts, without_urls

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_FRONT_MATTER = re.compile(
    r"(---|\+\+\+)[ \t]*(?:\r\n|\r|\n)(?:.*?(?:\r\n|\r|\n))??(?:\1|\.\.\.)[ \t]*(?=[\r\n]|\Z)", re.DOTALL
)
_FOOTNOTE_OR_BOX = re.compile(r"\[\^[^\]\s]+\]|\A\[[ xX]\](?=\s)")
_HEADING_END = re.compile(r"[ \t]*#*[ \t]*\Z")
_CELL = re.compile(r"(?:[^|\\]|\\.|\\\Z)*+", re.DOTALL)
_BLANK_RUN = re.compile(r"[ \t\r\n]+")
_BLOCK_START = re.compile(r"^([ \t]*)(?:(\d{1,9})([.)])|([-+*#>=~|:`_]))", re.MULTILINE)
_LIGHT = re.compile(r"([\\`*]|(?<![^\W_])_|_(?![^\W_])|<(?=[A-Za-z/!?])|&(?=#?\w+;))")
_FULL = re.compile(r"([\\`*_{}\[\]<>#!|~&])")

_NARROWEST = 40
_HEADING, _PARAGRAPH, _CELLS = "heading", "paragraph", "cell"


class _Element(NamedTuple):
    """An inline token: its place in the text of its block, and where the text that it holds ends (-1: it has none)."""

    token: Token
    begin: int
    end: int
    label_end: int


@dataclass(frozen=True)
class _Block:
    """Some text with inline markup. starts: offsets in `text`, and where in the document each of them stands."""

    kind: str
    text: str
    starts: tuple[tuple[int, int], ...]
    prefixes: tuple[str, ...] = ()  # of all its lines but the first
    newline: str = "\n"
    width: int = 0  # of its longest line; 0: it is one line
    column: int = 0  # where its first line begins

    def place(self, offset: int) -> int:
        """Where the character at an offset of the text stands in the document."""
        begin, place = self.starts[bisect_right(self.starts, offset, key=lambda start: start[0]) - 1]
        return place + offset - begin


def read_markdown(content: bytes, name: str) -> Document:
    """CommonMark with tables.

    Raises:
        DataError: the bytes are not UTF-8.
    """
    head, text = decoded(content, name)
    return TaggedDocument(_Reader(text).parts(), head=head)


def _located(rule: Any) -> Any:
    """The rule, noting on each of its tokens where it stands."""

    def run(state: StateInline, silent: bool) -> bool:
        begin, known = state.pos, len(state.tokens)
        if not rule(state, silent):
            return False
        if not silent:
            length = state.pos - begin
            delimiters = state.src[begin] in "*_" and state.tokens and state.tokens[-1].content == state.src[begin]
            if delimiters and len(state.tokens) - known >= length:
                for index, token in enumerate(state.tokens[-length:]):
                    token.meta["at"] = (begin + index, begin + index + 1, -1)
            label = -1
            new = state.tokens[known:]
            if new and new[-1].type == "image":
                label = state.md.helpers.parseLinkLabel(state, begin + 1, False)
            elif new and new[-1].type == "link_close" and new[-1].markup != "autolink":
                label = state.md.helpers.parseLinkLabel(state, begin, True)
            for token in new:
                token.meta.setdefault("at", (begin, state.pos, label))
        return True

    return run


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.disable("inline")
    ruler = parser.inline.ruler
    for name in ruler.get_active_rules():
        if name != "text":
            ruler.at(name, _located(next(rule.fn for rule in ruler.__rules__ if rule.name == name)))
    return parser


@dataclass
class _Reader:
    source: str
    parser: MarkdownIt = field(default_factory=_parser)
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

    def _blocks(self) -> Iterator[_Block]:
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
                opened = _HEADING if opened == "heading_open" and token.markup.startswith("#") else opened

    def _block(self, opened: str, token: Token, places: Sequence[tuple[int, int]]) -> _Block | None:
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
            if at < 0 or not (_HEADING_END.match(rest) if opened == _HEADING else not rest.strip()):
                return None
            texts.append(core if len(texts) == len(wanted) - 1 else core + rest)
            starts.append((offset, begin + at))
            offset += len(texts[-1]) + 1
        if len(texts) != len(wanted) or not token.content.strip():
            return None
        lines = [self.source[begin:end] for begin, end in places]
        prefixes = tuple(line[: start[1] - place[0]] for line, start, place in zip(lines, starts, places, strict=False))
        return _Block(
            kind=_HEADING if opened == _HEADING else _PARAGRAPH,
            text="\n".join(texts),
            starts=tuple(starts),
            prefixes=prefixes[1:],
            newline=lines[0][len(lines[0].rstrip("\r\n")) :],
            width=max(_NARROWEST, *(len(line.rstrip()) for line in lines)) if len(texts) > 1 else 0,
            column=len(prefixes[0]),
        )

    def _cells(self, row: Sequence[Token], lines: Sequence[tuple[int, int]]) -> Iterator[_Block]:
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
                    yield _Block(_CELLS, own, tuple(_cell_starts(own, begin + start + at)))

    def _of_block(self, block: _Block) -> Iterator[Part]:
        pieces = list(self._pieces(block, 0, block.text))
        source = self.source[block.place(0) : block.place(len(block.text))]
        known = self._signature(block.text)
        own = sum(_size(piece.text) for piece in pieces if isinstance(piece, Words))

        def write(words: Sequence[Words]) -> str:
            size = known[1] - own + sum(_size(one.text) for one in words if one.raw is None)
            for written in _candidates(_tidied(words), block):
                if self._signature_of(written, block) == (known[0], size):
                    return written
            return source

        yield from slot_or_parts(pieces, write)

    def _pieces(self, block: _Block, offset: int, text: str) -> Iterator[Piece]:
        """The pieces of some text of the block, which begins at `offset` there."""

        def raw(begin: int, end: int) -> str:
            return self.source[block.place(offset + begin) : block.place(offset + end)]

        end = 0
        for begin, stop, made in self._marks(text, block, offset, raw):
            if begin < end:
                continue
            yield from _words(text[end:begin], raw(end, begin), at_start=end == 0)
            yield made
            end = stop
        yield from _words(text[end:], raw(end, len(text)), at_start=end == 0)

    def _marks(self, text: str, block: _Block, offset: int, raw: Any) -> Iterator[tuple[int, int, Piece]]:
        links: list[tuple[_Element, str]] = []
        skip_to = 0
        for element in self._elements(text):
            token, begin, end, label = element
            if begin < skip_to:
                continue
            kind = token.type
            if kind in ("em_open", "em_close", "strong_open", "strong_close"):
                begin -= kind == "strong_open"
                end += kind == "strong_close"
                yield begin, end, Mark("open" if kind.endswith("open") else "close", (raw(begin, end),), token.tag)
            elif kind == "link_open" and label >= 0 and text[begin + 1 : begin + 2] != "^":
                own = text[begin + 1 : label]
                name = f"label:{own}" if text[label:end] in ("]", "][]") else "link"
                links.append((element, name))
                yield begin, begin + 1, Mark("open", (raw(begin, begin + 1),), name)
            elif kind == "link_close" and links:
                link, name = links.pop()
                yield link.label_end, link.end, Mark("close", (raw(link.label_end, link.end),), name)
            elif kind == "image" and label >= 0:
                close = text[label:end]
                alt = slot_or_parts(self._pieces(block, offset + begin + 2, text[begin + 2 : label]), _write_alt)
                if close in ("]", "][]"):
                    alt = [raw(begin + 2, label)]
                yield begin, end, Mark("single", (raw(begin, begin + 2), *alt, raw(label, end)))
            elif kind == "softbreak":
                yield begin, end, Words(" ", raw(begin, end))
            elif kind == "text_special":
                yield begin, end, Words(token.content, raw(begin, end))
            elif kind != "text":  # code, HTML, autolinks, hard breaks with the spaces before them
                begin = len(text[:begin].rstrip(" ")) if kind == "hardbreak" else begin
                skip_to = end
                yield begin, end, Mark("single", (raw(begin, end),))

    def _elements(self, text: str) -> Iterator[_Element]:
        tokens: list[Token] = []
        self.parser.inline.parse(text, self.parser, self.env, tokens)
        for token in tokens:
            if "at" in token.meta:
                yield _Element(token, *token.meta["at"])

    def _signature(self, text: str) -> tuple[Mapping[tuple[str, str], int], int]:
        """The markup of a text, and how many characters of text it has, blanks aside."""
        tokens: list[Token] = []
        self.parser.inline.parse(text, self.parser, self.env, tokens)
        size = sum(_size(token.content) for token in tokens if token.type.startswith("text"))
        return Counter(map(_of_token, (one for one in tokens if one.type not in _TEXTS))), size

    def _signature_of(self, written: str, block: _Block) -> tuple[Mapping[tuple[str, str], int], int] | None:
        """As `_signature`; None where what was written would be another block."""
        plain = _without_prefixes(written, block)
        if block.kind == _CELLS:
            return None if "\n" in plain else self._signature(plain.replace("\\|", "|"))
        whole = f"# {plain}" if block.kind == _HEADING else plain
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


def _tidied(words: Sequence[Words]) -> list[Words]:
    """No blanks just within emphasis, and a label for each link whose text was its label."""
    done: list[Words] = []
    opened: list[str] = []
    for index, piece in enumerate(words):
        one, raw = piece, piece.raw
        if raw is None and done and done[-1].raw is not None and opened and done[-1].text == opened[-1]:
            if one.text[:1] == " ":
                done.insert(-1, Words(" "))
                one = Words(one.text.lstrip(" "))
        elif raw is not None and one.text in ("em", "strong"):
            if one.text in opened:
                opened.remove(one.text)
                last = done[-1]
                done.append(one)
                if last.raw is None and last.text[-1:] == " ":
                    done[-2:] = [Words(last.text.rstrip(" ")), one, Words(" ")]
                continue
            opened.append(one.text)
        elif raw in ("]", "][]") and one.text.startswith("label:"):
            label = one.text.removeprefix("label:")
            same = index > 1 and words[index - 2].text == one.text and words[index - 1].text == label
            one = one if same else Words(one.text, f"][{label}]")
        done.append(one)
    return done


def _candidates(words: Sequence[Words], block: _Block) -> Iterator[str]:
    """Ways to write the words, those that change the least first."""
    for pattern in (None, _LIGHT, _FULL):
        joined = _joined(words, pattern, block)
        if block.width and block.prefixes:
            yield _wrapped(joined, block)
        yield _one_line(joined)
    starred = [Words(one.text, re.sub("_", "*", one.raw)) if one.raw in ("_", "__") else one for one in words]
    joined = _joined(starred, _FULL, block)
    yield _BLOCK_START.sub(_escaped_start, _one_line(joined))


def _joined(words: Sequence[Words], pattern: re.Pattern[str] | None, block: _Block) -> list[Words]:
    """All words escaped; in a cell, pipes always are."""
    done = []
    for one in words:
        text = one.text
        if one.raw is None:
            text = pattern.sub(r"\\\1", text) if pattern else text
            if block.kind == _CELLS:
                text = re.sub(r"(?<!\\)\|", r"\\|", text)
        done.append(Words(text, one.raw))
    if pattern is not None and done and block.kind == _PARAGRAPH:
        first = next((index for index, one in enumerate(done) if one.text.strip() or one.raw), 0)
        if done[first].raw is None:
            done[first] = Words(_BLOCK_START.sub(_escaped_start, done[first].text, count=1))
    return done


def _escaped_start(match: re.Match[str]) -> str:
    blank, number, dot, sign = match.groups()
    return f"{blank}{number}\\{dot}" if number else f"{blank}\\{sign}"


def _one_line(words: Sequence[Words]) -> str:
    return "".join(one.text if one.raw is None else one.raw for one in words)


def _wrapped(words: Sequence[Words], block: _Block) -> str:
    """Lines no longer than the longest was, unless a word or a mark is; only blanks of the text become line ends."""
    lines, line, column = [], "", block.column
    pieces: list[str] = [""]  # words with the marks on them; blanks between them are gone
    for one in words:
        if one.raw is not None:
            pieces[-1] += one.raw
        else:
            first, *others = re.split(" +", one.text)
            pieces[-1] += first
            pieces += others
    prefix = block.prefixes[-1]
    for piece in pieces:
        if line and column + len(line) + 1 + len(piece.partition("\n")[0]) > block.width:
            lines.append(line)
            line, column = piece, len(prefix)
        else:
            line = f"{line} {piece}" if line else piece
        if "\n" in line:  # a hard break, or a mark over two lines
            before, _, line = line.rpartition("\n")
            stands = next((one for one in block.prefixes if line.startswith(one)), "")
            lines.append(f"{before}\n{stands}")
            line, column = line[len(stands) :], len(stands)
    lines.append(line)
    whole = lines[0]
    for last, line in pairwise(lines):
        broken = "\n" in last and last.rpartition("\n")[2] in ("", *block.prefixes)
        whole += line if broken else block.newline + prefix + line
    return whole


def _without_prefixes(written: str, block: _Block) -> str:
    first, *others = re.split(r"\r\n|\r|\n", written)
    prefixes = sorted(set(block.prefixes), key=len, reverse=True)
    return "\n".join([first, *(line[len(next(filter(line.startswith, prefixes), "")) :] for line in others)])


def _write_alt(words: Sequence[Words]) -> str:
    return "".join(_FULL.sub(r"\\\1", one.text) if one.raw is None else one.raw for one in words)
