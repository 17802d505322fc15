"""An XML file by the places of its elements, so that some are replaced and every other byte stays as it is."""

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr, unescape

from nmt.errors import DataError

_NAME = r"[\w:.-]+"
_ATTRIBUTES = rf"""(?:\s+{_NAME}\s*=\s*(?:"[^"<]*"|'[^'<]*'))*\s*"""
TAG = rf"</?{_NAME}{_ATTRIBUTES}/?>"
_CODES = "ph|bpt|ept|it|ut"  # whose content is code, in XLIFF and TMX
_WITH_CONTENT = rf"<((?:\w+:)?(?:{_CODES}))\b{_ATTRIBUTES}(?<!/)>.*?</\1\s*>"
INLINE = re.compile(rf"(?s:{_WITH_CONTENT}|{TAG}|<!--.*?-->|<\?.*?\?>)")

_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_ENTITIES = {"&quot;": '"', "&apos;": "'"}
_NUMBERED = re.compile(r"&#(?:x([0-9A-Fa-f]+)|([0-9]+));")
_DECLARED = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([\w.-]+)["']""")
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_TO_ITS_END = re.compile(rb"""(?:[^"'>]|"[^"]*"|'[^']*')*>""")
_ATTRIBUTE = r"""\s+{}\s*=\s*(?:"[^"]*"|'[^']*')"""
_DEEPEST = 200  # elements within each other
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Edit(NamedTuple):
    """Bytes from `begin` to before `end`, of the text in UTF-8, that become others."""

    begin: int
    end: int
    text: str


@dataclass
class Element:
    """An element and where it stands, in bytes: from `begin`; what is in it from `inside` to `close`; up to `end`."""

    name: str
    attributes: dict[str, str]
    begin: int
    line: int
    parent: "Element | None" = field(repr=False)
    inside: int = 0
    close: int = 0
    end: int = 0
    children: list["Element"] = field(default_factory=list)

    def child(self, name: str) -> "Element | None":
        """The first of that name."""
        return next((child for child in self.children if child.name == name), None)

    def walk(self) -> Iterator["Element"]:
        """All within it, in order, itself first."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting += reversed(element.children)


class SplicedXml:
    """root: its outermost element; names are without their namespaces' prefixes."""

    def __init__(self, content: bytes, name: str, *, root: str) -> None:
        """Raises DataError, with the line, where it is broken, of another root, or declares or refers to entities."""
        self.name = name
        self._mark, self._codec = _encoding(content)
        try:
            text = content.removeprefix(self._mark).decode(self._codec)
        except (LookupError, UnicodeDecodeError) as fault:
            raise DataError(f"{name}: not in the encoding {self._codec} that it says it is in ({fault})") from fault
        self.bytes = text.encode("utf-8")
        self.root = _Reading(self.bytes, name).root
        if self.root.name != root:
            raise DataError(
                f"{name}: the outermost element is <{self.root.name}>, but <{root}> is wanted; is its suffix the right "
                "one?"
            )

    def raw(self, begin: int, end: int) -> str:
        """The XML from one place to another."""
        return self.bytes[begin:end].decode("utf-8")

    def content(self, element: Element) -> str:
        """The XML within an element."""
        return self.raw(element.inside, element.close)

    def start_tag(self, element: Element) -> str:
        """`<name attribute="value">`"""
        return self.raw(element.begin, element.inside)

    def gap(self, element: Element) -> str:
        """The white space before an element."""
        at = element.begin
        while at and self.bytes[at - 1 : at].isspace():
            at -= 1
        return self.raw(at, element.begin)

    def edited(self, edits: Iterable[Edit]) -> bytes:
        """The file with these edits, in the encoding that it had; of two at one place the first comes first."""
        pieces, end = [], 0
        for edit in sorted(edits, key=lambda edit: (edit.begin, edit.end)):
            pieces += [self.bytes[end : edit.begin], edit.text.encode("utf-8")]
            end = edit.end
        text = b"".join([*pieces, self.bytes[end:]]).decode("utf-8")
        return self._mark + text.encode(self._codec, "xmlcharrefreplace")


class _Reading:
    """One pass of expat, which tells the byte where each tag begins."""

    def __init__(self, content: bytes, name: str) -> None:
        self._content, self._name = content, name
        self._open: list[Element] = []
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.EntityDeclHandler = self._declared
        self._parser.SkippedEntityHandler = self._skipped
        self._found: list[Element] = []
        try:
            self._parser.Parse(content, True)
        except expat.ExpatError as fault:
            raise DataError(
                f"{name}:{fault.lineno}: broken XML ({expat.ErrorString(fault.code)}); mend it, or fetch the file "
                "again if it is cut off"
            ) from fault
        self.root = self._found[0]

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        parser = self._parser
        parent = self._open[-1] if self._open else None
        local = name.rpartition(":")[2]
        element = Element(local, attributes, parser.CurrentByteIndex, parser.CurrentLineNumber, parent)
        element.inside = _tag_end(self._content, element.begin)
        if len(self._open) >= _DEEPEST:
            raise DataError(f"{self._name}:{element.line}: more than {_DEEPEST} elements within each other")
        if parent:
            parent.children.append(element)
        self._open.append(element)
        self._found.append(element)

    def _end(self, _name: str) -> None:
        element = self._open.pop()
        if self._content[element.inside - 2 : element.inside] == b"/>":
            element.close = element.end = element.inside
        else:
            element.close = self._parser.CurrentByteIndex
            element.end = _tag_end(self._content, element.close)

    def _declared(self, name: str, *_: object) -> None:
        raise DataError(
            f"{self._name}: its DOCTYPE declares the entity {name}, which may stand for anything, other files and "
            "gigabytes among it; take what stands between [ and ] out of the DOCTYPE, if you trust the file"
        )

    def _skipped(self, name: str, _parameter: object) -> None:
        raise DataError(
            f"{self._name}:{self._parser.CurrentLineNumber}: the entity &{name}; is none of XML's own; write the "
            "character itself, or its number (&#160; for &nbsp;)"
        )


def _tag_end(content: bytes, begin: int) -> int:
    """Behind the > of the tag that begins there; one may stand in an attribute."""
    found = _TO_ITS_END.match(content, begin)
    assert found, "expat saw a whole tag"
    return found.end()


def _encoding(content: bytes) -> tuple[bytes, str]:
    for mark, codec in _MARKS.items():
        if content.startswith(mark):
            return mark, codec
    declared = _DECLARED.match(content)
    return b"", declared[1].decode("ascii") if declared else "utf-8"


def with_attributes(tag: str, attributes: Mapping[str, str]) -> str:
    """A start tag that says these, whatever it said of them before, and with an end tag to follow."""
    for name in attributes:
        tag = re.sub(_ATTRIBUTE.format(re.escape(name)), "", tag)
    said = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    return f"{tag.removesuffix('>').removesuffix('/').rstrip()}{said}>"


def text_of(inner: str) -> str:
    """What stands in an element as it is translated: inline elements as they are, all else without its escapes."""
    inner = _CDATA.sub(lambda match: escape(match[1]), inner)
    pieces, end = [], 0
    for match in INLINE.finditer(inner):
        pieces += [_plain(inner[end : match.start()]), match[0]]
        end = match.end()
    return "".join([*pieces, _plain(inner[end:])])


def xml_of(translation: str, source: str) -> str:
    """A translation as it stands in an element; its inline elements are those of the source, given as XML.

    The source itself, where it has not all of those in an order that is XML.
    """
    source = _CDATA.sub(lambda match: escape(match[1]), source)
    left = Counter(match[0] for match in INLINE.finditer(source))
    pieces, end = [], 0
    for match in INLINE.finditer(translation):
        if left[match[0]] > 0:
            left[match[0]] -= 1
            pieces += [_escaped(translation[end : match.start()]), match[0]]
            end = match.end()
    pieces.append(_escaped(translation[end:]))
    return "".join(pieces) if not left.total() and _is_xml("".join(pieces)) else source


def _plain(text: str) -> str:
    text = _NUMBERED.sub(lambda match: escape(chr(int(match[1], 16) if match[1] else int(match[2]))), text)
    return unescape(text, _ENTITIES)


def _escaped(text: str) -> str:
    return escape(_NOT_XML.sub("", text))


def _is_xml(inner: str) -> bool:
    try:
        expat.ParserCreate("utf-8").Parse(f"<all>{inner}</all>".encode(), True)
    except expat.ExpatError:
        return False
    return True
