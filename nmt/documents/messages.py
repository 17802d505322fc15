"""The lines of a PO file: where each message's keywords stand, so that they can be replaced and all else stays.

The translate-toolkit's writer wraps and orders anew what nobody touched; here it unquotes what was read.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from translate.storage.pypo import unquotefrompo

from nmt.data.files import refuse_utf16
from nmt.data.stores import NO_CHARSET, po_text
from nmt.errors import DataError

_KEYWORD = re.compile(r'(msgctxt|msgid_plural|msgid|msgstr(?:\[\d+\])?)\s*(?=")')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


class Edit(NamedTuple):
    """Lines from `begin` to before `end` that become others."""

    begin: int
    end: int
    lines: list[str]


class Field(NamedTuple):
    """A keyword's lines, from `begin` to before `end`, and its text."""

    begin: int
    end: int
    text: str


@dataclass
class Message:
    """comments: their lines. fields: of each keyword."""

    comments: dict[int, str] = field(default_factory=dict)
    fields: dict[str, Field] = field(default_factory=dict)

    def text(self, keyword: str) -> str:
        """What is quoted after a keyword; nothing where it is not there."""
        return self.fields[keyword].text if keyword in self.fields else ""

    @property
    def begin(self) -> int:
        """Its first line that is no comment."""
        return min(each.begin for each in self.fields.values())

    @property
    def strings(self) -> list[Field]:
        """Its translations, by the order of their forms."""
        return [field for keyword, field in self.fields.items() if keyword.startswith("msgstr")]

    @property
    def is_header(self) -> bool:
        """Is it what tells of the file?"""
        return not self.text("msgid") and "msgctxt" not in self.fields


class PoLines:
    """A PO file as lines. messages: all but the obsolete ones; header: its fields, names in small letters."""

    def __init__(self, content: bytes, name: str) -> None:
        """Raises DataError, with the line, for what is no PO file, and for another charset than it says."""
        self.name = name
        self._mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
        refuse_utf16(content[:512], name)
        text, self.charset = po_text(content, name)
        self._codec = "utf-8" if self.charset == NO_CHARSET else self.charset
        self.lines = text.split("\n")
        self._end = "\r" if self.lines[0].endswith("\r") else ""
        self.messages = list(_messages(self.lines, name))
        self.about = next((message for message in self.messages if message.is_header), None)
        told = self.about.text("msgstr") if self.about else ""
        pairs = (line.partition(":") for line in told.split("\n"))
        self.header = {key.strip().lower(): value.strip() for key, _, value in pairs}

    def edited(self, edits: Iterable[Edit]) -> bytes:
        """The file with its lines replaced; of two edits at the same place, the later one comes first in it.

        Raises DataError where the charset lacks a character.
        """
        lines = list(self.lines)
        for begin, end, new in sorted(edits, key=lambda edit: edit[:2], reverse=True):
            lines[begin:end] = [line + self._end for line in new]
        text = "\n".join(lines)
        try:
            return self._mark + text.encode(self._codec)
        except UnicodeEncodeError as fault:
            raise DataError(
                f"{self.name}: its header says charset={self.charset}, which lacks {text[fault.start]!r} of a "
                f"translation; make it UTF-8 first: msgconv --to-code=UTF-8 {self.name}"
            ) from fault


def _messages(lines: list[str], name: str) -> Iterator[Message]:
    message, keyword = Message(), ""
    for number, raw in enumerate(lines):
        line = raw.strip()
        found = _KEYWORD.match(line)
        comment = line.startswith("#")
        starts = comment or not line or (found is not None and found[1] in ("msgctxt", "msgid"))
        if starts and any(one.startswith("msgstr") for one in message.fields):
            yield message
            message, keyword = Message(), ""
        if comment:
            message.comments[number] = line
        elif line:
            quoted = line[found.end() :] if found else line
            keyword = found[1] if found else keyword
            if not keyword or not _QUOTED.fullmatch(quoted) or (found and keyword in message.fields):
                raise DataError(f"{name}:{number + 1}: {line[:60]!r} is no line of a PO file here; mend it (msgfmt -c)")
            before = message.fields.get(keyword, Field(number, number, ""))
            message.fields[keyword] = Field(before.begin, number + 1, before.text + unquotefrompo([quoted]))
        elif not message.fields:
            message = Message()  # comments that stand alone
        _check_order(message, name, number)
    if message.fields:
        if not message.strings:
            raise DataError(f"{name}: the last msgid has no msgstr; is the file cut off?")
        yield message


def _check_order(message: Message, name: str, number: int) -> None:
    if message.strings and "msgid" not in message.fields:
        raise DataError(f"{name}:{number + 1}: a msgstr, but no msgid before it; mend it (msgfmt -c)")
    forms = [keyword for keyword in message.fields if keyword.startswith("msgstr[")]
    if forms != [f"msgstr[{form}]" for form in range(len(forms))]:
        raise DataError(f"{name}:{number + 1}: {forms[-1]} does not stand in its order; mend it (msgfmt -c)")
