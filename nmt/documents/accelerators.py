"""The letter of a label that a key press chooses: `_File` (GTK), `&File` (Qt, Windows), `~File` (LibreOffice).

A text alone does not tell "Show _all" from "The _id field"; its catalogue does: in one that has accelerators, there are
labels that begin with the mark.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

# What may stand before it: markup, and the context that old catalogues have in the msgid, as in "menu|_File".
_BEGINS = re.compile(r"(?:<[^<>]+>|\|?[\w-]+\|)?([_&](?=[^\W_])|~(?=[A-Z]\w))(?!\w+;)")
_AT_A_WORD = {
    "_": re.compile(r"(?<!\w)_(?=[^\W_])"),
    "&": re.compile(r"(?<![\w&])&(?=[^\W_])(?!\w+;)"),
    "~": re.compile(r"(?<![\w~/])~(?=[^\W\d_]{2})"),  # "~A" is a place for a value in Lisp
}
_IN_A_WORD = re.compile(r"(?<!\S)[^\W\d_]+([_&~])(?=[^\W\d_]+(?:\.{3}|[…:,])?(?!\S))")  # not in file_name.txt
_WORD = re.compile(r"[^\W_]+")
_LONGEST = 80  # characters of a label
_MOST_WORDS = 6  # of a label with a mark in a word that may be a name, as "file_name" is
_SURE = 3  # so many labels that begin with a mark and a small letter are as good as one with a capital


class Accelerator(NamedTuple):
    """mark: what stands before the letter; word: that it is in; at: where."""

    mark: str
    word: str
    at: int

    def put_back(self, text: str, markup: re.Pattern[str]) -> str:
        """The text with the mark in the same word, or before the same letter, best the first of a word, or any.

        Where no key has its letters, as in Chinese, or where the mark stands there already, it is left out.
        """
        bare = _without(text, markup)
        if self.mark in bare:
            return text
        letter = self.word[self.at].lower()
        words = re.finditer(rf"(?<![^\W_]){re.escape(self.word)}(?![^\W_])", bare)
        places = [at for at, char in enumerate(bare) if _is_key(char)]
        same = [at for at in places if bare[at].lower() == letter]
        begins = [at for at in same if at == 0 or not text[at - 1].isalnum()]
        for at in (*(word.start() + self.at for word in words), *begins, *same, *places):
            return f"{text[:at]}{self.mark}{text[at:]}"
        return text


def accelerator_marks(labels: Iterable[str], markup: re.Pattern[str]) -> frozenset[str]:
    """The marks that stand before letters in a catalogue with these messages."""
    found: defaultdict[str, list[bool]] = defaultdict(list)  # of each label that begins with the mark: is it a capital?
    for label in set(labels):
        begun = _BEGINS.match(label)
        if begun and len(label) <= _LONGEST and _without(label, markup).count(begun[1]) == 1:
            found[begun[1]].append(label[begun.end()].isupper())
    return frozenset(mark for mark, capitals in found.items() if any(capitals) or len(capitals) >= _SURE)


def find_accelerator(text: str, marks: Iterable[str], markup: re.Pattern[str]) -> tuple[str, Accelerator | None]:
    """A label without the mark of its accelerator, and that one; a text that has none, or several, as it is."""
    if len(text) > _LONGEST:
        return text, None
    bare = _without(text, markup)
    for mark in sorted(marks):
        at = _place(bare, mark) if bare.count(mark) == 1 else -1
        if at < 0 or not _is_key(bare[at + 1]):
            continue
        rest, bare_rest = text[:at] + text[at + 1 :], bare[:at] + bare[at + 1 :]
        if _without(rest, markup) == bare_rest:  # it makes no markup, as "%_s" would
            word = next(match for match in _WORD.finditer(bare_rest) if match.end() > at)
            return rest, Accelerator(mark, word[0], at - word.start())
    return text, None


def _without(text: str, markup: re.Pattern[str]) -> str:
    """The text with all its markup blotted out."""
    return markup.sub(lambda match: "\0" * len(match[0]), text)


def _is_key(char: str) -> bool:
    return char.lower() != char.upper() or char.isdecimal()


def _place(bare: str, mark: str) -> int:
    """Where it marks a letter; -1: nowhere."""
    if found := _AT_A_WORD[mark].search(bare):
        return found.start()
    within = next((match for match in _IN_A_WORD.finditer(bare) if match[1] == mark), None)
    if within is None or not bare[within.end()].islower():
        return -1
    in_capitals = within[0][0].isupper()
    is_label = bare[:1].isupper() and len(bare.split()) <= _MOST_WORDS and not re.search(r"\0|(?<!\.)\.\s*\Z|: ", bare)
    return within.end() - 1 if in_capitals or is_label else -1
