"""Words laid out over the cues of subtitles, and over the lines of one."""

import re
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

from nmt.documents.pieces import Mark, Piece, Words

LINE_CHARACTERS = 42

_PAUSE = re.compile(r"[.,;:!?…。，、！？]['\"’”»)]*\Z")


class Atom(NamedTuple):
    """A word with the marks on it. depth: how many marks are open after it. size: without marks."""

    raw: str
    size: int
    depth: int
    pause: bool


def atoms_of(pieces: Sequence[Piece], encode: Callable[[str], str], blank: str) -> tuple[list[Atom], str]:
    """Words, or with no `blank` characters, each with the marks on it; and what stands between them."""
    atoms: list[Atom] = []
    raw, said, depth = "", "", 0
    for piece in pieces:
        if isinstance(piece, Mark):
            raw += raw_of([piece])
            depth += {"open": 1, "close": -1}.get(piece.kind, 0)
            if not blank and piece.kind == "close" and atoms and not said:
                atoms[-1] = atoms[-1]._replace(raw=atoms[-1].raw + raw, depth=depth)
                raw = ""
            continue
        for index, word in enumerate(piece.text.split(" ") if blank else piece.text):
            if (index or not blank) and said:
                atoms.append(Atom(raw, len(said), depth, bool(_PAUSE.search(said))))
                raw, said = "", ""
            elif index and raw:  # a mark between blanks goes with the next word
                raw += blank
            raw, said = raw + encode(word), said + word
    if said or not atoms:
        atoms.append(Atom(raw, len(said), depth, bool(_PAUSE.search(said))))
    else:
        atoms[-1] = atoms[-1]._replace(raw=atoms[-1].raw + raw)
    return atoms, blank


def cuts_of(atoms: Sequence[Atom], sizes: Sequence[int], between: int) -> list[int]:
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


def _cost(atoms: Sequence[Atom], ends: Sequence[int], at: int, wanted: float, usual: float) -> float:
    if at > len(atoms):
        return 0.0
    before = atoms[at - 1]
    return abs(ends[at - 1] - wanted) + usual * (2 * before.depth - 0.4 * before.pause)


def lines_of(atoms: Sequence[Atom], blank: str, *, most: int, width: int) -> list[str]:
    """One line where all fits, else two as even as may be, better after a pause."""
    if not atoms:
        return [""]
    ends = list(accumulate(atom.size + len(blank) for atom in atoms))
    if most == 1 or ends[-1] - len(blank) <= LINE_CHARACTERS or len(atoms) == 1:
        return [blank.join(atom.raw for atom in atoms)]

    def cost(at: int) -> float:
        longest = max(ends[at - 1], ends[-1] - ends[at - 1])
        return longest + 10 * max(0, longest - width) - 0.2 * ends[-1] * atoms[at - 1].pause

    at = min(range(1, len(atoms)), key=cost)
    return [blank.join(atom.raw for atom in some) for some in (atoms[:at], atoms[at:])]


def raw_of(pieces: Sequence[Piece]) -> str:
    """The characters of the document; a mark of subtitles holds no texts."""
    parts = ((piece.raw or "",) if isinstance(piece, Words) else piece.parts for piece in pieces)
    return "".join(part for some in parts for part in some if isinstance(part, str))
