"""Translated words as Markdown again: no markup but that of the source, lines as wide as they were."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nmt.documents.pieces import Words

_BLOCK_START = re.compile(r"^([ \t]*)(?:(\d{1,9})([.)])|([-+*#>=~|:`_]))", re.MULTILINE)
_LIGHT = re.compile(r"([\\`*]|(?<![^\W_])_|_(?![^\W_])|<(?=[A-Za-z/!?])|&(?=#?\w+;))")
_FULL = re.compile(r"([\\`*_{}\[\]<>#!|~&])")

HEADING, PARAGRAPH, CELLS = "heading", "paragraph", "cell"
_EMPHASIS = ("em", "strong")


@dataclass(frozen=True)
class Block:
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


def tidied(words: Sequence[Words]) -> list[Words]:
    """No blanks just within emphasis, and a label for each link whose text was its label."""
    return _with_blanks_outside(_labelled(words))


def _labelled(words: Sequence[Words]) -> Iterator[Words]:
    """The end of a link tells the label, unless the text still does."""
    for index, one in enumerate(words):
        label = one.text.removeprefix("label:")
        ends = one.raw in ("]", "][]") and label != one.text
        kept = index > 1 and (words[index - 2].text, words[index - 1].text) == (one.text, label)
        yield Words(one.text, f"][{label}]") if ends and not kept else one


def _with_blanks_outside(words: Iterable[Words]) -> list[Words]:
    """Beside a sign of emphasis, blanks stand on its outer side: on the inner one it would be no sign."""
    done: list[Words] = []
    opened: list[str] = []
    for one in words:
        last = done[-1] if done else Words("")
        if one.raw is None:
            within = last.raw is not None and last.text in opened[-1:]
            blank = within and one.text.startswith(" ")
            done += [Words(" "), done.pop(), Words(one.text.lstrip(" "))] if blank else [one]
        elif one.text not in _EMPHASIS:
            done.append(one)
        elif one.text not in opened:
            opened.append(one.text)
            done.append(one)
        else:
            opened.remove(one.text)
            blank = last.raw is None and last.text.endswith(" ")
            done += [Words(done.pop().text.rstrip(" ")), one, Words(" ")] if blank else [one]
    return done


def candidates(words: Sequence[Words], block: Block) -> Iterator[str]:
    """Ways to write the words, those that change the least first."""
    for pattern in (None, _LIGHT, _FULL):
        joined = _joined(words, pattern, block)
        if block.width and block.prefixes:
            yield _wrapped(joined, block)
        yield _one_line(joined)
    starred = [Words(one.text, re.sub("_", "*", one.raw)) if one.raw in ("_", "__") else one for one in words]
    joined = _joined(starred, _FULL, block)
    yield _BLOCK_START.sub(_escaped_start, _one_line(joined))


def _joined(words: Sequence[Words], pattern: re.Pattern[str] | None, block: Block) -> list[Words]:
    """All words escaped; in a cell, pipes always are."""
    done = []
    for one in words:
        text = one.text
        if one.raw is None:
            text = pattern.sub(r"\\\1", text) if pattern else text
            if block.kind == CELLS:
                text = re.sub(r"(?<!\\)\|", r"\\|", text)
        done.append(Words(text, one.raw))
    if pattern is not None and done and block.kind == PARAGRAPH:
        first = next((index for index, one in enumerate(done) if one.text.strip() or one.raw), 0)
        if done[first].raw is None:
            done[first] = Words(_BLOCK_START.sub(_escaped_start, done[first].text, count=1))
    return done


def _escaped_start(match: re.Match[str]) -> str:
    blank, number, dot, sign = match.groups()
    return f"{blank}{number}\\{dot}" if number else f"{blank}\\{sign}"


def _one_line(words: Sequence[Words]) -> str:
    return "".join(one.text if one.raw is None else one.raw for one in words)


def _wrapped(words: Sequence[Words], block: Block) -> str:
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


def without_prefixes(written: str, block: Block) -> str:
    first, *others = re.split(r"\r\n|\r|\n", written)
    prefixes = sorted(set(block.prefixes), key=len, reverse=True)
    return "\n".join([first, *(line[len(next(filter(line.startswith, prefixes), "")) :] for line in others)])


def write_alt(words: Sequence[Words]) -> str:
    return "".join(_FULL.sub(r"\\\1", one.text) if one.raw is None else one.raw for one in words)
