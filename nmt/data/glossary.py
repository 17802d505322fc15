"""Terms whose translations a user wants: read from a file, found in a line, looked for in its translation."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.data.lines import read_lines
from nmt.errors import DataError

_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True)
class Term:
    """targets: the wanted one first, then others that count as met."""

    source: str
    targets: tuple[str, ...]

    @property
    def target(self) -> str:
        """The wanted one."""
        return self.targets[0]


class Glossary:
    """Terms to look for in a line."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Source and target terms; of several targets of one source, the first is wanted."""
        targets: dict[str, list[str]] = {}
        for source, target in pairs:
            targets.setdefault(_tidy(source), []).append(_tidy(target))
        self.terms = [Term(source, tuple(dict.fromkeys(found))) for source, found in targets.items()]
        self._exact = {term.source: term for term in self.terms}
        self._lower: dict[str, Term] = {}
        for term in self.terms:
            self._lower.setdefault(term.source.lower(), term)

    @classmethod
    def from_file(cls, path: Path) -> "Glossary":
        """From lines of source term, tab, target term. Blank lines, and those that begin with #, say nothing.

        Raises DataError as `read_lines` does, and where a line is no such pair.
        """
        return cls(
            _pair(line, f"{path}:{number}")
            for number, line in enumerate(read_lines(path, replaceable=False), start=1)
            if line.strip() and not line.lstrip().startswith("#")
        )

    def find(self, line: str) -> list[Term]:
        """The terms in the line, in order, as often as they stand there; of terms that overlap, the longest.

        As whole words; in the case of the glossary or, where there is no such term, in any.
        """
        text = _tidy(line)
        return [
            self._exact.get(text[begin:end]) or self._lower[text[begin:end].lower()]
            for begin, end in _places(text, self._lower)
        ]


def missed(terms: Sequence[Term], translation: str) -> list[Term]:
    """Those of the terms found in a line that its translation lacks, or has less often.

    Any of a term's targets will do, as whole words, in any case: a sentence may begin with one.
    """
    text = _tidy(translation)
    wanted = {target.lower(): target for term in terms for target in term.targets}
    left = Counter(text[begin:end].lower() for begin, end in _places(text, wanted))
    lacking = []
    for term in terms:
        met = next((target.lower() for target in term.targets if left[target.lower()]), None)
        if met is None:
            lacking.append(term)
        else:
            left[met] -= 1
    return lacking


def glued_ids(pieces: Iterable[str]) -> list[int]:
    """The ids of the pieces, numbered from 0, that go on with a word: after a term they would make another one of it.

    In scripts without spaces none does.
    """
    return [number for number, piece in enumerate(pieces) if _in_word(piece[0]) and not _UNSPACED.match(piece)]


def _pair(line: str, where: str) -> tuple[str, str]:
    columns = line.split("\t")
    if len(columns) != 2:
        raise DataError(f"{where}: {len(columns)} columns, not 2; write the source term, one tab, the target term")
    source, target = columns
    for name, term in {"source": source, "target": target}.items():
        if not term.strip():
            raise DataError(f"{where}: the {name} term is blank; fill it in or take the line out")
    return source, target


def _places(text: str, wanted: Mapping[str, object]) -> list[tuple[int, int]]:
    """Where the keys of `wanted`, in lower case, stand as whole words: the longest first, none overlaps."""
    if not wanted:
        return []
    edges = [i for i in range(len(text) + 1) if _is_edge(text, i)]
    ends = set(edges)
    lengths = sorted({len(term) for term in wanted}, reverse=True)
    taken: list[tuple[int, int]] = []
    covered = bytearray(len(text))
    for length in lengths:
        for begin in edges:
            end = begin + length
            if end in ends and text[begin:end].lower() in wanted and not any(covered[begin:end]):
                covered[begin:end] = b"\1" * length
                taken.append((begin, end))
    return sorted(taken)


def _is_edge(text: str, index: int) -> bool:
    """Whether a word may begin or end there; in scripts without spaces, everywhere."""
    around = text[max(0, index - 1) : index + 1]
    inside = 0 < index < len(text) and all(map(_in_word, around))
    return not inside or _UNSPACED.search(around) is not None


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")


def _tidy(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())
