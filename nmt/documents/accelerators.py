"""The letter of a label that a key press chooses: `_File` (GTK), `&File` (Qt, Windows), `~File` (LibreOffice)."""

import re
from typing import NamedTuple

# At the start of a word, or within one that is written like "E_xit": not in file_name, AT&T or ~user.
_MARKED = {
    "_": re.compile(r"(?<!\w)_(?=[^\W_])|(?<=[A-Z])_(?=[a-z])|(?<=[A-Z][a-z])_(?=[a-z])"),
    "&": re.compile(r"(?<![\w&])&(?=\w)(?![A-Za-z]+;)|(?<=[A-Z])&(?=[a-z])|(?<=[A-Z][a-z])&(?=[a-z])"),
    "~": re.compile(r"(?<![\w~/])~(?=[A-Z])|(?<=[A-Z])~(?=[a-z])|(?<=[A-Z][a-z])~(?=[a-z])"),
}
_LONGEST = 80  # characters of a label


class Accelerator(NamedTuple):
    """mark: what stands before the letter."""

    mark: str
    letter: str

    def put_back(self, text: str, markup: re.Pattern[str]) -> str:
        """The text with the mark before the same letter, best at the start of a word, or else its first letter.

        Where no key has its letters, as in Chinese, or where the mark stands there already, it is left out.
        """
        if self.mark in text:
            return text
        hidden = [match.span() for match in markup.finditer(text)]
        places = [
            at
            for at, letter in enumerate(text)
            if (letter.lower() != letter.upper() or letter.isdecimal())
            and not any(begin <= at < end for begin, end in hidden)
        ]
        same = [at for at in places if text[at].lower() == self.letter.lower()]
        begins = [at for at in same if at == 0 or not text[at - 1].isalnum()]
        for at in (*begins, *same, *places):
            return f"{text[:at]}{self.mark}{text[at:]}"
        return text


def find_accelerator(text: str, markup: re.Pattern[str]) -> tuple[str, Accelerator | None]:
    """A label without the mark of its accelerator, and that one; a text that has none, or several, as it is."""
    if len(text) > _LONGEST:
        return text, None
    bare = markup.sub(lambda match: "\0" * len(match[0]), text)
    for mark, pattern in _MARKED.items():
        if bare.count(mark) == 1 and (found := pattern.search(bare)):
            at = found.start()
            return text[:at] + text[at + 1 :], Accelerator(mark, text[at + 1])
    return text, None
