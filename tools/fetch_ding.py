"""Writes German-English phrases and sentences from the dictionary of Ding, in Debian's package trans-de-en.

    python tools/fetch_ding.py de build/de/ding.jsonl

A line of the dictionary is `German :: English`; on both sides " | " parts entries that translate each other one by
one, and ";" parts synonyms, of which the first ones are paired. Marks of grammar, field and region go, explanations
in brackets too. Single words and patterns ("jdm. etw. geben") are left out: a dictionary's, not a translator's.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
from fetching.apt import Archive
from fetching.command import fetching, work_folder
from fetching.records import Record, Taken, one_line, progress, record, write_records

from nmt.data.lines import read_lines
from nmt.errors import NmtError

SOURCE = "ding"
PACKAGE = "trans-de-en"
DICTIONARY = Path("usr/share/trans/de-en")

_MARKS = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]|<[^<>]*>|(?<!\S)/[^/|;]+/(?!\w)")
_EXPLANATION = re.compile(r"\([^()]*\)")
_PATTERN = re.compile(
    r"\b(?:(?:jd|jmd)[mns]?\.|(?:etw|sb|sth|smb|sbd|o\.s)\.|(?:sb|sth)\b)|[~/|{}\[\]<>()=]", re.IGNORECASE
)
_VERB = re.compile(r"\{v[tir]?\}")
_SENTENCE = re.compile(r"^\W*[A-ZÄÖÜ0-9].*[.!?]\W*$")
_WORD = re.compile(r"\w[\w'’.-]*")


def synonyms(entry: str) -> list[str]:
    """The synonyms of one entry, without their marks; a semicolon within an explanation parts none."""
    bare = _MARKS.sub(" ", entry)
    while (shorter := _EXPLANATION.sub(" ", bare)) != bare:
        bare = shorter
    return [one_line(re.sub(r"\s+([.,!?;:])", r"\1", synonym)) for synonym in bare.split(";")]


def line_pairs(line: str, dropped: Counter[str]) -> Iterator[tuple[str, str, str]]:
    """Kind, German and English of each pair in a line of the dictionary."""
    sides = line.split(" :: ")
    if line.startswith("#") or len(sides) != 2:
        dropped["no entry"] += 1
        return
    german, english = (side.split(" | ") for side in sides)
    if len(german) != len(english):
        dropped["entries do not pair up"] += 1
        return
    heads = synonyms(english[0]) if _VERB.search(german[0]) else []
    for entry, translation in zip(german, english, strict=True):
        ours, theirs = synonyms(entry)[0], synonyms(translation)[0]
        if any(map(_PATTERN.search, (ours, theirs))):
            dropped["a pattern, or one of several forms"] += 1
        elif "…" in ours + theirs or "..." in ours + theirs:
            dropped["left open"] += 1
        elif min(_words(ours), _words(theirs.removeprefix("to "))) < 2:
            dropped["a single word"] += 1
        elif _is_form(theirs, heads):
            dropped["a form of the verb before it"] += 1
        else:
            kind = "sentence" if _SENTENCE.match(ours) and _SENTENCE.match(theirs) else "phrase"
            yield kind, ours, theirs


def _is_form(english: str, heads: list[str]) -> bool:
    """Whether it can be a form of one of the infinitives `heads`, as "calling off" is of "to call off"."""
    return english[:1].islower() and any(
        head.startswith("to ") and not english.startswith("to ") and _words(english) == _words(head) - 1
        for head in heads
    )


def _words(text: str) -> int:
    return len(_WORD.findall(text))


def records(dictionary: Path, dropped: Counter[str]) -> Iterator[Record]:
    """The pairs of the dictionary, as they are written."""
    with progress() as bar:
        for line in bar.track(list(read_lines(dictionary)), description="lines"):
            for kind, german, english in line_pairs(line, dropped):
                yield record(SOURCE, {"de": german, "en": english}, part=kind)


@click.command()
@fetching
def main(lang: str, out: Path, work: Path | None, sources: Path | None) -> None:
    """Write OUT, JSON lines of German-English phrases and sentences from Ding's dictionary. LANG is de."""
    if lang != "de":
        raise click.ClickException(f"{lang}: Ding's dictionary has German and English only; LANG is de")
    archive = Archive(work_folder(out, work), sources)
    archive.update(["en"])
    package = archive.download(PACKAGE)
    unpacked = archive.unpack(package, archive.folder / "unpacked")
    taken = [Taken(package.name, package.version, archive.licence(unpacked, package), package.sha256)]
    dropped: Counter[str] = Counter()
    try:
        write_records(out, records(unpacked / DICTIONARY, dropped), taken=taken, by="part", dropped=dropped)
    except NmtError as error:
        raise click.ClickException(f"package {package.name} {package.version}: {error}") from error


if __name__ == "__main__":
    main()
