"""Writes pairs from Debian's translated package descriptions: the archive's own indexes, joined by MD5.

    python tools/fetch_debian_descriptions.py de build/de/descriptions.jsonl

A translation belongs to the English text whose MD5 it names, so it is never one of an older text. The short
description is one pair. In the long one, paragraphs and bullets are paired where both sides have the same, in the same
order, and cut into sentences where both sides have as many and each pair's lengths fit.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import click
from fetching.apt import Archive, IndexFile
from fetching.command import fetching, work_folder
from fetching.records import Record, Taken, one_line, progress, record, write_records

from nmt.data.lines import read_lines
from nmt.data.sentences import split_sentences
from nmt.errors import NmtError

SOURCE = "debian_descriptions"
LICENCE = "that of each package (its copyright file); translations by Debian's description translators"

_BULLET = re.compile(r" *(?:(?:[*+•·⋅∙‣◦●–—-]|o(?= ))+ *|\(?(?:\d{1,2}[.)]|[a-z]\)) +)(?=\S)")
# a word broken after its hyphen; not where the hyphen stands for what comes later: "ein- und ausgehend"
_BROKEN = re.compile(r"(?<=\w)-\n(?=\w)(?!(?:and|or|to|und|oder|bis|sowie|bzw|et|ou|y|o|e|en|of)\b)")
_SHOWN_SPACE = "⋅"  # in French texts, what an editor showed for a space that does not break
# Chinese and Japanese have no space where a line is wrapped
_WIDE = "\u3000-\u9fff\uf900-\ufaff\uff00-\uffef"
_WRAPPED = re.compile(rf"(?<=[{_WIDE}])\n(?=[{_WIDE}])")
_WORDY = re.compile(r"[^\W\d_]{2}")
# exp(0.8) is 2.2: no text of more than a few words is that much longer than what its language usually makes of it
_ODD_LOG_RATIO = 0.8
_FREE_CHARS = 15  # added to both lengths, since short texts differ more
_MAX_WORDS = 60
_MAX_CHARS = 400  # for languages that write no spaces


class Description(NamedTuple):
    """One stanza of an index: the short description, and the lines of the long one without their first space."""

    package: str
    md5: str
    short: str
    lines: tuple[str, ...]


class Block(NamedTuple):
    """A piece of a long description: `kind` is "paragraph", "bullet" or "verbatim", of which the text is left out."""

    kind: str
    text: str


def read_index(path: Path, language: str) -> Iterator[Description]:
    """The descriptions of an index `Translation-LANGUAGE`."""
    package = md5 = short = ""
    lines: list[str] = []
    field = f"Description-{language}: "
    for line in read_lines(path):
        if line.startswith(" "):
            lines.append(line[1:])
        elif line.startswith("Package: "):
            package, md5, short, lines = line[9:].strip(), "", "", []
        elif line.startswith("Description-md5: "):
            md5 = line[17:].strip()
        elif line.startswith(field):
            short = line[len(field) :].replace(_SHOWN_SPACE, " ")
        elif not line and package:
            yield Description(package, md5, short, tuple(lines))
            package = ""
    if package:
        yield Description(package, md5, short, tuple(lines))


def blocks_of(lines: tuple[str, ...]) -> list[list[Block]]:
    """The blocks of a long description, by the sections that its lines "." part.

    Wrapped lines are joined; a line further in is of the bullet above it, or else set as it is: verbatim.
    """
    sections: list[list[Block]] = [[]]
    depth = -1  # of the bullet that is open
    for line in lines:
        section = sections[-1]
        indent = len(line) - len(line.lstrip())
        bullet = _BULLET.match(line)
        if line.strip() in (".", ""):
            depth = -1
            if section:
                sections.append([])
        elif bullet:
            depth = indent
            section.append(Block("bullet", line[bullet.end() :].strip()))
        elif section and depth >= 0 and indent >= depth:
            section[-1] = Block("bullet", f"{section[-1].text}\n{line.strip()}")
        elif indent:
            depth = -1
            if not section or section[-1].kind != "verbatim":
                section.append(Block("verbatim", ""))
        elif section and section[-1].kind == "paragraph":
            section[-1] = Block("paragraph", f"{section[-1].text}\n{line.strip()}")
        else:
            depth = -1
            section.append(Block("paragraph", line.strip()))
    return [[Block(kind, unwrapped(text, kind)) for kind, text in section] for section in sections if section]


def unwrapped(text: str, kind: str) -> str:
    """The lines as one; a bullet without the mark that only parts it from the next."""
    text = one_line(_WRAPPED.sub("", _BROKEN.sub("-", text)).replace(_SHOWN_SPACE, " "))
    return text.rstrip(" ;,") if kind == "bullet" else text


class Pairing:
    """Pairs the texts of two descriptions; what is left out goes into `dropped` by reason.

    `usual` is the log of how many times as long a translation is as its English, in the middle.
    """

    def __init__(self, *, usual: float) -> None:
        self.usual = usual
        self.dropped: Counter[str] = Counter()

    def pairs(self, other: Description, english: Description) -> Iterator[tuple[str, str, str]]:
        """Kind, text and English text of each pair."""
        if self.fits(other.short, english.short):
            yield "short", other.short, english.short
        else:
            self.dropped["lengths do not fit"] += 1
        ours, theirs = blocks_of(other.lines), blocks_of(english.lines)
        if len(ours) != len(theirs):
            self.dropped["long description of another structure"] += 1
            return
        for section, english_section in zip(ours, theirs, strict=True):
            if [block.kind for block in section] != [block.kind for block in english_section]:
                self.dropped["section of another structure"] += 1
                continue
            for block, english_block in zip(section, english_section, strict=True):
                for text, english_text in self._cut(block.text, english_block.text):
                    yield block.kind, text, english_text

    def fits(self, text: str, english: str) -> bool:
        """Whether one can be the translation of the other, by their lengths."""
        usual = len(english) * math.exp(self.usual)
        return abs(math.log((len(text) + _FREE_CHARS) / (usual + _FREE_CHARS))) <= _ODD_LOG_RATIO

    def _cut(self, text: str, english: str) -> Iterator[tuple[str, str]]:
        """Sentence by sentence where they fit; else the whole, where it is no longer than a sentence may be."""
        if not self.fits(text, english):
            self.dropped["lengths do not fit"] += 1
            return
        ours = [sentence for sentence, _ in split_sentences(text)]
        theirs = [sentence for sentence, _ in split_sentences(english)]
        if len(ours) == len(theirs) and all(map(self.fits, ours, theirs)):
            found = list(zip(ours, theirs, strict=True))
        else:
            found = [(text, english)]
        for pair in found:
            if any(len(side.split()) > _MAX_WORDS or len(side) > _MAX_CHARS for side in pair):
                self.dropped["too long, and not to be cut alike"] += 1
            elif not all(map(_WORDY.search, pair)):
                self.dropped["no word in it"] += 1
            else:
                yield pair


def joined(ours: list[IndexFile], theirs: list[IndexFile]) -> list[tuple[IndexFile, Description, Description]]:
    """The translated descriptions of all releases, each once, with their English ones."""
    english: dict[str, Description] = {}
    for index in theirs:
        for found in read_index(index.path, index.language):
            english.setdefault(found.md5, found)
    seen: set[tuple[str, tuple[str, ...]]] = set()
    rows = []
    for index in ours:
        for found in read_index(index.path, index.language):
            if found.md5 in english and (found.md5, found.lines) not in seen:
                seen.add((found.md5, found.lines))
                rows.append((index, found, english[found.md5]))
    return rows


def records(
    rows: list[tuple[IndexFile, Description, Description]], language: str, dropped: Counter[str]
) -> Iterator[Record]:
    """The pairs of all rows, as they are written."""
    ratios = [math.log(len(ours.short) / len(theirs.short)) for _, ours, theirs in rows if ours.short and theirs.short]
    pairing = Pairing(usual=median(ratios) if ratios else 0.0)
    with progress() as bar:
        for index, ours, theirs in bar.track(rows, description="descriptions"):
            for kind, text, english in pairing.pairs(ours, theirs):
                sides = {language: text, "en": english}
                yield record(SOURCE, sides, package=ours.package, suite=index.suite, part=kind)
    dropped.update(pairing.dropped)


@click.command()
@fetching
def main(lang: str, out: Path, work: Path | None, sources: Path | None) -> None:
    """Write OUT, JSON lines of pairs from Debian's package descriptions in LANG (de, fr, pt_BR) and English."""
    archive = Archive(work_folder(out, work), sources)
    archive.update([lang, "en"])
    ours, theirs = archive.translations(lang), archive.translations("en")
    taken = [Taken(index.name, index.version, LICENCE, index.sha256) for index in (*ours, *theirs)]
    dropped: Counter[str] = Counter()
    try:
        rows = joined(ours, theirs)
    except NmtError as error:
        raise click.ClickException(str(error)) from error
    write_records(out, records(rows, lang, dropped), taken=taken, by="part", dropped=dropped)


if __name__ == "__main__":
    main()
