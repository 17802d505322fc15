"""Translators that need no model, for tests of documents."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from nmt.passages import Request
from nmt.translator import Translation


@dataclass
class Fake:
    """Translates by a rule on the text; asked: every text that it was given."""

    rule: Callable[[str], str]
    asked: list[str] = field(default_factory=list)

    def translations(
        self, lines: Iterable[Request], *, n_best: int, read_ahead: int | None, alignments: bool
    ) -> Iterator[list[Translation]]:
        """As `Translator.translations`."""
        for request in lines:
            self.asked.append(request.text)
            yield [Translation(self.rule(request.text))]


def shout(text: str) -> str:
    """In capitals, but what looks like markup."""
    words = re.compile(r"<[^<>]*>|%(?:\(\w+\))?[sd]|\{\w*\}|(\w+)")
    return words.sub(lambda match: match[0].upper() if match[1] else match[0], text)


def drop(text: str) -> str:
    """In capitals, without any mark of markup: it is lost."""
    return re.sub(r"<[^<>]*>|%(?:\(\w+\))?[sd]|\{\w*\}", "", text).upper()


def reverse(text: str) -> str:
    """Word by word from the end; tags keep their words within."""
    return " ".join(reversed(re.findall(r"<[^<>]*>|[^\s<>]+", text)))


def invent(text: str) -> str:
    """With markup that nobody asked for."""
    return f"{text.upper()} <b> %s {{x}}"
