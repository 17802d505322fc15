"""Subtitles, SubRip and WebVTT: what is said in the cues, in place; every other character as it stood.

A sentence that goes on over cues is translated as one, and goes back over them in proportion to their lengths. The
reader is our own: pysubs2 loses the ids, settings and notes of WebVTT, the numbers of SubRip and the line ends.
"""

import html
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nmt.documents.cue_lines import LINE_CHARACTERS, atoms_of, cuts_of, lines_of, raw_of
from nmt.documents.document import Document, Wanted
from nmt.documents.inline import Numbered, decoded, free_name, tags_named
from nmt.documents.pieces import Mark, Piece, Words, arranged, has_words, trimmed
from nmt.errors import DataError
from nmt.translator import Translation

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


def read_srt(content: bytes, name: str, _wanted: Wanted) -> Document:
    """SubRip in UTF-8.

    Raises:
        DataError: it is not UTF-8, a time is damaged, or there is no cue.
    """
    head, text = decoded(content, name)
    return _Subtitles(head, text, _cues(text, name, _SRT, 0), _SRT)


def read_vtt(content: bytes, name: str, _wanted: Wanted) -> Document:
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
        self._markup = tags_named(name)
        self.markup: re.Pattern[str] | None = self._markup

    def filled(self, translations: Sequence[Translation]) -> bytes:
        """The file with the translations in its cues; a text that comes back as it was keeps its bytes."""
        written: list[str] = []
        changes: list[tuple[_Part, str]] = []
        for group, numbered, translation in zip(self._groups, self._numbered, translations, strict=True):
            pieces = numbered.pieces(translation.text, self._markup)
            if pieces is not None:
                changes += zip(group, self._distributed(group, pieces), strict=True)
        end = 0
        for part, text in changes:
            written += [self._text[end : part.begin], text]
            end = part.end
        return self._head + "".join([*written, self._text[end:]]).encode()

    def _distributed(self, group: Sequence[_Part], pieces: Sequence[Piece]) -> Iterator[str]:
        atoms, blank = atoms_of(pieces, self._form.encode, " ")
        if len(atoms) < len(group):  # a language without blanks, or very few words
            atoms, blank = atoms_of(pieces, self._form.encode, "")
        cuts = cuts_of(atoms, [part.size for part in group], len(blank))
        for part, begin, end in zip(group, cuts, cuts[1:], strict=False):
            lines = lines_of(atoms[begin:end], blank, most=part.lines, width=part.width)
            yield raw_of(part.head) + self._newline.join(lines) + raw_of(part.tail)


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
