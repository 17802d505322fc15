"""Subtitles, SubRip and WebVTT: what is said in the cues, in place; every other character as it stood.

A sentence that goes on over cues is translated as one, and goes back over them in proportion to their lengths. The
reader is our own: pysubs2 loses the ids, settings and notes of WebVTT, the numbers of SubRip and the line ends.
"""

import html
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from nmt.documents.document import Document
from nmt.documents.inline import (
    Mark,
    Numbered,
    Piece,
    Words,
    arranged,
    decoded,
    free_name,
    has_words,
    tags_named,
    trimmed,
)
from nmt.errors import DataError
from nmt.translator import Translation

LINE_CHARACTERS = 42
LONGEST_GAP_SECONDS = 2.0
MOST_CUES = 5  # of one text

_LINE = re.compile(r"([^\n]*?)(\r?\n|\Z)")
_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_SRT_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?", re.DOTALL)
_VTT_TIMES = re.compile(rf"\s*{_TIME}\s+-->\s+{_TIME}(?:\s.*)?", re.DOTALL)
_VTT_HEAD = re.compile(r"WEBVTT(?=[ \t\r\n]|\Z)")
_NO_CUE = re.compile(r"(?:NOTE|STYLE|REGION)(?=\s|\Z)")
_SRT_MARK = re.compile(r"<(/?)([a-zA-Z]+)(?:\s[^<>]*)?>|\{\\[^{}]*\}|\{/?[biu]\}")
_VTT_MARK = re.compile(r"<(/?)([a-zA-Z]*)[^<>]*>")
_SENTENCE_END = re.compile(r"[.!?…。！？♪:\])]['\"’”»)\]]*\s*\Z")
_NEW_BEGIN = re.compile(r"\s*[-‐–—♪\[(#>]")
_PAUSE = re.compile(r"[.,;:!?…。，、！？]['\"’”»)]*\Z")


class _Form(NamedTuple):
    times: re.Pattern[str]
    mark: re.Pattern[str]
    decode: Callable[[str], str]
    encode: Callable[[str], str]


def _same(text: str) -> str:
    return text


def _encoded(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_SRT = _Form(_SRT_TIMES, _SRT_MARK, _same, _same)
_VTT = _Form(_VTT_TIMES, _VTT_MARK, html.unescape, _encoded)


@dataclass(frozen=True)
class _Part:
    """What one says in one cue: a place in the file, and what is there. lines: as many it may have."""

    begin: int
    end: int
    head: tuple[Piece, ...]
    core: tuple[Piece, ...]
    tail: tuple[Piece, ...]
    lines: int
    width: int
    size: int


class _Cue(NamedTuple):
    starts: float
    ends: float
    parts: list[_Part]


class _Atom(NamedTuple):
    """A word with the marks on it. depth: how many marks are open after it. size: without marks."""

    raw: str
    size: int
    depth: int
    pause: bool


def read_srt(content: bytes, name: str) -> Document:
    """SubRip in UTF-8.

    Raises:
        DataError: it is not UTF-8, a time is damaged, or there is no cue.
    """
    head, text = decoded(content, name)
    return _Subtitles(head, text, _cues(text, name, _SRT, 0), _SRT)


def read_vtt(content: bytes, name: str) -> Document:
    """WebVTT.

    Raises:
        DataError: it is not UTF-8, does not begin with WEBVTT, or a time is damaged.
    """
    head, text = decoded(content, name)
    if not _VTT_HEAD.match(text):
        raise DataError(f'{name}:1: no WebVTT: its first line must begin with "WEBVTT"; is it SubRip (--format srt)?')
    return _Subtitles(head, text, _cues(text, name, _VTT, 1), _VTT)


class _Subtitles:
    """The cues of a file (a `Document`)."""

    def __init__(self, head: bytes, text: str, cues: Sequence[_Cue], form: _Form) -> None:
        self._head = head
        self._text = text
        self._form = form
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._groups = [group for group in _groups(cues) if has_words(piece for part in group for piece in part.core)]
        pieces = [_together(group) for group in self._groups]
        name = free_name(pieces)
        self._numbered = [Numbered(one, name) for one in pieces]
        self.texts: Sequence[str] = [one.text for one in self._numbered]
        self.markup: re.Pattern[str] | None = tags_named(name)

    def filled(self, translations: Sequence[Translation]) -> bytes:
        """The file with the translations in its cues; a text that comes back as it was keeps its bytes."""
        written: list[str] = []
        changes: list[tuple[_Part, str]] = []
        for group, numbered, translation in zip(self._groups, self._numbered, translations, strict=True):
            if translation.text != numbered.text and translation.text.strip():
                changes += zip(group, self._distributed(group, numbered, translation.text), strict=True)
        end = 0
        for part, text in changes:
            written += [self._text[end : part.begin], text]
            end = part.end
        return self._head + "".join([*written, self._text[end:]]).encode()

    def _distributed(self, group: Sequence[_Part], numbered: Numbered, text: str) -> Iterator[str]:
        assert self.markup is not None
        pieces = numbered.placed(text, self.markup)
        atoms, blank = _atoms(pieces, self._form.encode, " ")
        if len(atoms) < len(group):  # a language without blanks, or very few words
            atoms, blank = _atoms(pieces, self._form.encode, "")
        cuts = _cuts(atoms, [part.size for part in group], len(blank))
        for part, begin, end in zip(group, cuts, cuts[1:], strict=False):
            lines = _lines(atoms[begin:end], part, blank)
            yield _raw(part.head) + self._newline.join(lines) + _raw(part.tail)


def _cues(text: str, name: str, form: _Form, first_block: int) -> list[_Cue]:
    cues = []
    for number, block in enumerate(_blocks(text)):
        if number < first_block or (form is _VTT and _NO_CUE.match(text, block[0][1])):
            continue
        for at, (line_number, begin, end) in enumerate(block):
            if "-->" not in text[begin:end]:
                continue
            times = form.times.fullmatch(text[begin:end])
            if times is None:
                wanted = "00:01:02,345 --> 00:01:04,000" if form is _SRT else "00:01:02.345 --> 00:01:04.000"
                raise DataError(
                    f"{name}:{line_number}: {text[begin:end].strip()[:60]!r} are no times of a cue; "
                    f"such are wanted: {wanted}"
                )
            starts, ends = _seconds(times.groups()[:4]), _seconds(times.groups()[4:])
            said = [(begin, end) for _, begin, end in _until_next(text, block[at + 1 :])]
            cues.append(_Cue(starts, ends, list(_parts(text, said, form))))
    if text.strip() and not cues and form is _SRT:
        raise DataError(f'{name}:1: no cue of SubRip in it: no line with times and "-->"; is it another form?')
    return cues


def _blocks(text: str) -> Iterator[list[tuple[int, int, int]]]:
    """Lines between blank ones: number, begin and end of each."""
    block: list[tuple[int, int, int]] = []
    for number, match in enumerate(_LINE.finditer(text), start=1):
        if match[1].strip():
            block.append((number, *match.span(1)))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _until_next(text: str, lines: Sequence[tuple[int, int, int]]) -> Sequence[tuple[int, int, int]]:
    """The lines before the next cue, where a blank line before it was forgotten."""
    for at, (_, begin, end) in enumerate(lines):
        if "-->" in text[begin:end]:
            numbered = at and text[slice(*lines[at - 1][1:])].strip().isdigit()
            return lines[: at - 1 if numbered else at]
    return lines


def _seconds(groups: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (int(group or 0) for group in groups)
    return 3600.0 * hours + minutes * 60 + seconds + fraction / 10.0 ** len(groups[3] or "0")


def _parts(text: str, lines: Sequence[tuple[int, int]], form: _Form) -> Iterator[_Part]:
    """What each one says: a dash, a bracket or a note of music at the begin of a line begins anew."""
    speeches: list[list[tuple[int, int]]] = []
    closed = True
    for begin, end in lines:
        shown = form.mark.sub("", text[begin:end])
        if closed or _NEW_BEGIN.match(shown):
            speeches.append([])
        speeches[-1].append((begin, end))
        closed = shown.rstrip().endswith(("]", ")", "♪")) and bool(_NEW_BEGIN.match(shown))
    for speech in speeches:
        begin, end = speech[0][0], speech[-1][1]
        head, core, tail = trimmed(arranged(_pieces(text[begin:end], form)))
        if core and isinstance(core[0], Words) and (dash := re.match(r"[-‐–—]\s*", core[0].text)):
            head.append(Words(dash[0], dash[0]))
            core[0] = Words(core[0].text[dash.end() :], (core[0].raw or "")[dash.end() :])
        widths = [len(form.mark.sub("", text[one:other])) for one, other in speech]
        size = sum(len(piece.text) for piece in core if isinstance(piece, Words))
        most = 2 if len(speeches) == 1 else max(1, min(2, len(speech)))
        yield _Part(begin, end, tuple(head), tuple(core), tuple(tail), most, max(LINE_CHARACTERS, *widths), size)


def _pieces(text: str, form: _Form) -> Iterator[Piece]:
    end = 0
    for match in form.mark.finditer(text):
        yield Words(form.decode(text[end : match.start()]), text[end : match.start()])
        name = (match[2] or "").lower()
        yield Mark(("close" if match[1] else "open") if name else "single", (match[0],), name)
        end = match.end()
    yield Words(form.decode(text[end:]), text[end:])


def _groups(cues: Sequence[_Cue]) -> Iterator[list[_Part]]:
    """Parts that make one text."""
    group: list[_Part] = []
    ends = 0.0
    for cue in cues:
        for number, part in enumerate(cue.parts):
            goes_on = number == 0 and -0.5 < cue.starts - ends <= LONGEST_GAP_SECONDS and len(group) < MOST_CUES
            if group and not (goes_on and _unfinished(group[-1]) and _goes_on(part)):
                yield group
                group = []
            group.append(part)
        ends = cue.ends
    if group:
        yield group


def _unfinished(part: _Part) -> bool:
    said = "".join(piece.text for piece in part.core if isinstance(piece, Words))
    return has_words(part.core) and not _SENTENCE_END.search(said)


def _goes_on(part: _Part) -> bool:
    said = "".join(piece.text for piece in (*part.head, *part.core) if isinstance(piece, Words))
    return has_words(part.core) and not _NEW_BEGIN.match(said)


def _together(group: Sequence[_Part]) -> list[Piece]:
    """The texts of a group as one, a blank between them; marks only pair up within a part."""
    pieces: list[Piece] = []
    for part in group:
        pieces += [Words(" "), *part.core] if pieces else part.core
    return pieces


def _atoms(pieces: Sequence[Piece], encode: Callable[[str], str], blank: str) -> tuple[list[_Atom], str]:
    """Words, or with no `blank` characters, each with the marks on it; and what stands between them."""
    atoms: list[_Atom] = []
    raw, said, depth = "", "", 0
    for piece in pieces:
        if isinstance(piece, Mark):
            raw += _raw([piece])
            depth += {"open": 1, "close": -1}.get(piece.kind, 0)
            if not blank and piece.kind == "close" and atoms and not said:
                atoms[-1] = atoms[-1]._replace(raw=atoms[-1].raw + raw, depth=depth)
                raw = ""
            continue
        for index, word in enumerate(piece.text.split(" ") if blank else piece.text):
            if (index or not blank) and said:
                atoms.append(_Atom(raw, len(said), depth, bool(_PAUSE.search(said))))
                raw, said = "", ""
            elif index and raw:  # a mark between blanks goes with the next word
                raw += blank
            raw, said = raw + encode(word), said + word
    if said or not atoms:
        atoms.append(_Atom(raw, len(said), depth, bool(_PAUSE.search(said))))
    else:
        atoms[-1] = atoms[-1]._replace(raw=atoms[-1].raw + raw)
    return atoms, blank


def _cuts(atoms: Sequence[_Atom], sizes: Sequence[int], between: int) -> list[int]:
    """Where each part begins among the atoms, and the end: as near to the parts' shares as words and marks allow."""
    ends = list(accumulate(atom.size + between for atom in atoms))
    total, whole = ends[-1], sum(sizes) or 1
    cuts = [0]
    for number, share in enumerate(list(accumulate(sizes))[:-1], start=1):
        left = len(sizes) - number  # so many parts are still to come
        first, last = cuts[-1] + 1, max(cuts[-1] + 1, len(atoms) - left)
        wanted = total * share / whole
        cuts.append(min(range(first, last + 1), key=lambda at: _cost(atoms, ends, at, wanted, total / len(sizes))))
    return [min(cut, len(atoms)) for cut in cuts] + [len(atoms)]


def _cost(atoms: Sequence[_Atom], ends: Sequence[int], at: int, wanted: float, usual: float) -> float:
    if at > len(atoms):
        return 0.0
    before = atoms[at - 1]
    return abs(ends[at - 1] - wanted) + usual * (2 * before.depth - 0.4 * before.pause)


def _lines(atoms: Sequence[_Atom], part: _Part, blank: str) -> list[str]:
    """One line where all fits, else two as even as may be, better after a pause."""
    if not atoms:
        return [""]
    ends = list(accumulate(atom.size + len(blank) for atom in atoms))
    if part.lines == 1 or ends[-1] - len(blank) <= LINE_CHARACTERS or len(atoms) == 1:
        return [blank.join(atom.raw for atom in atoms)]

    def cost(at: int) -> float:
        longest = max(ends[at - 1], ends[-1] - ends[at - 1])
        return longest + 10 * max(0, longest - part.width) - 0.2 * ends[-1] * atoms[at - 1].pause

    at = min(range(1, len(atoms)), key=cost)
    return [blank.join(atom.raw for atom in some) for some in (atoms[:at], atoms[at:])]


def _raw(pieces: Sequence[Piece]) -> str:
    """The characters of the document; a mark of subtitles holds no texts."""
    parts = ((piece.raw or "",) if isinstance(piece, Words) else piece.parts for piece in pieces)
    return "".join(part for some in parts for part in some if isinstance(part, str))
