"""What `nmt translate` tells at the end of what looked wrong."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nmt.errors import NmtError

if TYPE_CHECKING:
    from nmt.passages import Request

FLAGS = {
    "truncated": "translations that reached the length limit and were cut off",
    "split": "lines too long for the model, translated in pieces",
    "language": "source lines that are surely in another language than the model was trained on",
    "untranslated": "translations that are nearly their source",
    "repeated": "translations that go round in circles",
    "length_ratio": "translations far shorter or longer than their source",
    "placeholders": "translations that lack a placeholder of their source, or have one too many",
    "glossary": "translations that lack a term of the glossary",
}
SHOWN = 5  # line numbers of a warning
FEWEST_TOLD, MOST_TOLD = 20, 2000  # lines whose language is looked at: that takes half a second to begin


class Doubts:
    """What looked wrong in which lines, counted from 1."""

    def __init__(self) -> None:
        self._flagged: dict[str, list[int]] = defaultdict(list)
        self._first: list[Request] = []

    def add(self, number: int, flags: Iterable[str]) -> None:
        """The flags of the translation of a line."""
        for flag in flags:
            self._flagged[flag].append(number)

    def noted(self, requests: "Iterator[Request]") -> "Iterator[Request]":
        """The same requests; the first ones are kept, to tell of their language."""
        for request in requests:
            if len(self._first) < MOST_TOLD:
                self._first.append(request)
            yield request

    def add_foreign(self, run: Path) -> None:
        """Flag the lines that are in another language, where that can be told (the extra "language")."""
        if len(self._first) < FEWEST_TOLD:
            return
        try:
            from nmt.corpora.language import other_language
        except ModuleNotFoundError:
            return
        from nmt.run_dir import load_stored_recipe

        language = load_stored_recipe(run).data.src_lang
        for request in self._first:
            if other_language(request.text, language):
                self.add(request.number + 1, ["language"])

    def tell(self) -> None:
        """On standard error."""
        for flag, lines in self._flagged.items():
            shown = ", ".join(map(str, lines[:SHOWN])) + (", ..." if len(lines) > SHOWN else "")
            click.echo(f"warning: {FLAGS[flag]}: {len(lines)} (line{'s' * (len(lines) > 1)} {shown})", err=True)


@contextmanager
def doubts_told(run: Path) -> Iterator[Doubts]:
    """Tells of them at the end: also of a translation that fails or is interrupted, since --resume passes over it."""
    doubts = Doubts()
    try:
        yield doubts
    except (NmtError, OSError, KeyboardInterrupt):  # nothing where a reader has seen enough
        doubts.tell()
        raise
    doubts.add_foreign(run)
    doubts.tell()
