"""HTML: the text of each block, and of some attributes, in place; every other character as it stood.

The scanner follows the tokens of the HTML standard as far as places need it: a tree would lose the bytes.
"""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from nmt.data.stores import same_language
from nmt.documents.document import Document, Wanted
from nmt.documents.inline import TaggedDocument, decoded
from nmt.documents.pieces import Mark, Part, Piece, Told, Words, slot_or_parts, without_urls

_ATTRIBUTE = r"""[^\s/>=][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+))?+"""
_TAG = re.compile(rf"</?([A-Za-z][^\s/>]*+)(?:{_ATTRIBUTE}|[\s/=])*+>")
_ONE_ATTRIBUTE = re.compile(r"""([^\s/>=]++)(?:\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+))?+""")
_COMMENT = re.compile(r"<!--(?:>|->|.*?(?:--!?>|\Z))|<[!?][^>]*+(?:>|\Z)|</[^A-Za-z][^>]*+(?:>|\Z)", re.DOTALL)
_XML = re.compile(r"\s*<\?xml\b")
_XML_SUFFIXES = (".xhtml", ".xht")
_CHARSET = re.compile(rb"""<(?:meta\b[^>]*?\bcharset|\?xml\b[^>]*?\bencoding)\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)

_INLINE = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "bdi",
        "bdo",
        "big",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "img",
        "ins",
        "kbd",
        "label",
        "mark",
        "nobr",
        "q",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
        "var",
        "wbr",
    ]
)
_OPAQUE_INLINE = frozenset(["code", "kbd", "samp", "var", "tt"])
_OPAQUE = frozenset(["pre", "svg", "math", "object", "template"])
_RAW = frozenset(["script", "style", "textarea", "xmp", "iframe", "noembed", "noframes", "plaintext"])
_VOID = frozenset(
    [
        "area",
        "base",
        "basefont",
        "bgsound",
        "br",
        "col",
        "embed",
        "frame",
        "hr",
        "img",
        "input",
        "keygen",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    ]
)
_ATTRIBUTES = frozenset(["alt", "title", "placeholder", "aria-label"])
_BUTTONS = ("submit", "button", "reset")
_META_TEXTS = frozenset(["description", "og:title", "og:description", "twitter:title", "twitter:description"])


class _Token(NamedTuple):
    """A tag, a comment, or the text before one. name: of a tag, in small letters; "" otherwise."""

    raw: str
    name: str = ""
    closes: bool = False
    text: bool = False


def read_html(content: bytes, name: str, wanted: Wanted) -> Document:
    """A page in UTF-8.

    Raises:
        DataError: the bytes are not UTF-8; the message names the charset that the page says it has.
    """
    declared = _CHARSET.search(content[:4096])
    charset = declared[1].decode("ascii", "replace").lower() if declared else ""
    foreign = charset not in ("", "utf-8", "utf8")
    hint = f"; the page says it is {charset}, which is not read: convert it and mend that" if foreign else ""
    head, text = decoded(content, name, hint=hint)
    tokens = list(_tokens(text, is_xml=_XML.match(text) is not None or name.lower().endswith(_XML_SUFFIXES)))
    return TaggedDocument(_document_parts(tokens, wanted.tgt_lang), head=head, ascii_only=foreign and text.isascii())


def _tokens(text: str, *, is_xml: bool) -> Iterator[_Token]:
    """is_xml: any element may be empty, as `<script src="x"/>` is."""
    at = begin = 0  # of the search, and of the text before what it finds
    last_end = text.rfind(">")
    while 0 <= (at := text.find("<", at)) < last_end:
        match = _TAG.match(text, at) or _COMMENT.match(text, at)
        if match is None:
            at += 1
            continue
        if at > begin:
            yield _Token(text[begin:at], text=True)
        name = (match[1] or "").lower() if match.re is _TAG else ""
        closes = match[0].startswith("</")
        yield _Token(match[0], name, closes)
        at = begin = match.end()
        if name in _RAW and not closes and not (is_xml and match[0].endswith("/>")):
            end = re.compile(f"</{name}(?=[\\s/>])", re.IGNORECASE).search(text, at)
            at = end.start() if end else len(text)
            yield from _raw_tokens(name, text[begin:at])
            begin = at
    if begin < len(text):
        yield _Token(text[begin:], text=True)


def _raw_tokens(name: str, raw: str) -> Iterator[_Token]:
    """What stands in an element without elements: a field's text goes line by line, unless it shows code to copy."""
    if name != "textarea" or "<" in html.unescape(raw):
        yield _Token(raw)
        return
    for at, part in enumerate(re.split(r"(\r\n|\r|\n)", raw)):
        yield _Token(part, name="br") if at % 2 else _Token(part, text=True)


def _document_parts(tokens: Sequence[_Token], tgt_lang: str) -> Iterator[Part]:
    run: list[Piece] = []  # of the block that is open
    ends = _opaque_ends(tokens)
    index = 0
    while index < len(tokens):
        token = tokens[index]
        end = ends.get(index, index + 1)
        if token.text:
            run += without_urls(token.raw, html.unescape)
        elif index in ends and token.name in _INLINE:
            run.append(Mark("single", ("".join(one.raw for one in tokens[index:end]),)))
        elif token.name in _INLINE:
            run.append(_inline_mark(token))
        elif not token.name:
            run.append(Mark("single", (token.raw,)))
        else:
            yield from slot_or_parts(run, _write)
            run = []
            yield from (
                ("".join(one.raw for one in tokens[index:end]),) if index in ends else _tag_parts(token, tgt_lang)
            )
        index = end
    yield from slot_or_parts(run, _write)


def _opaque_ends(tokens: Sequence[_Token]) -> dict[int, int]:
    """Begin of each element that is not to be touched -> its end; an inline one that never ends is but its tag."""
    ends: dict[int, int] = {}
    opened: list[int] = []  # the element, and those of its name within it
    name = ""
    for index, token in enumerate(tokens):
        if not token.name:
            continue
        if not opened:
            if not token.closes and _is_opaque(token):
                if token.name in _VOID or token.raw.endswith("/>"):
                    ends[index] = index + 1
                else:
                    opened, name = [index], token.name
        elif token.name != name:
            if name in _INLINE and token.name not in _INLINE:
                opened = []  # a block within it: its end was forgotten
        elif not token.closes:
            opened.append(index)
        elif len(opened) == 1 or _is_opaque(tokens[opened[-1]]):
            ends[opened.pop()] = index + 1
        else:
            opened.pop()
    if opened and name not in _INLINE:
        ends[opened[0]] = len(tokens)
    return ends


def _is_opaque(token: _Token) -> bool:
    if token.name in _OPAQUE or token.name in _OPAQUE_INLINE:
        return True
    small = token.raw.lower()
    if "translate" not in small:
        return False
    values = {match[1].lower(): _value(match[2])[1].lower() for match in _attributes(token)}
    return values.get("translate") == "no" or "notranslate" in values.get("class", "").split()


def _attributes(token: _Token) -> Iterator[re.Match[str]]:
    return _ONE_ATTRIBUTE.finditer(token.raw, 1 + len(token.name), len(token.raw) - 1)


def _value(quoted: str | None) -> tuple[str, str]:
    """The quote, or "" where there is none, and what stands in it."""
    if not quoted:
        return "", ""
    return (quoted[0], quoted[1:-1]) if quoted[0] in "\"'" else ("", quoted)


def _inline_mark(token: _Token) -> Mark:
    parts = tuple(_tag_parts(token))
    if token.closes:
        return Mark("close", parts, token.name)
    if token.name in _VOID or token.raw.endswith("/>"):
        return Mark("single", parts)
    return Mark("open", parts, token.name)


def _tag_parts(token: _Token, tgt_lang: str = "") -> Iterator[Part]:
    """The tag; its attributes that a reader reads are texts, and that of the whole page tells its language."""
    if token.closes:
        yield token.raw
        return
    found = [match for match in _attributes(token) if match[2]]
    names = _names_read(token.name, {match[1].lower(): _value(match[2])[1].lower() for match in found})
    end = 0
    for match in found:
        if match[1].lower() in names and match[2][0] in "\"'":
            quote, value = _value(match[2])
            yield token.raw[end : match.start(2) + 1]
            yield from slot_or_parts(
                [Words(html.unescape(value), value)], _write_quoted if quote == '"' else _write_single
            )
            end = match.end(2) - 1
        elif tgt_lang and token.name == "html" and match[1].lower() in ("lang", "xml:lang"):
            quote, value = _value(match[2])
            if value and not same_language(tgt_lang, value):
                yield token.raw[end : match.start(2)]
                yield Told(match[2], f"{quote}{tgt_lang.replace('_', '-')}{quote}")
                end = match.end(2)
    yield token.raw[end:]


def _names_read(name: str, values: Mapping[str, str]) -> frozenset[str]:
    """The attributes of an element that a reader reads."""
    if name == "meta":
        told = {values.get("name"), values.get("property")} & _META_TEXTS
        return frozenset(["content"]) if told else frozenset()
    sent = values.get("type") == "submit" and "name" in values  # to the server, which may know this value alone
    return _ATTRIBUTES | {"value"} if name == "input" and values.get("type") in _BUTTONS and not sent else _ATTRIBUTES


def _write(words: Sequence[Words]) -> str:
    return "".join(_encoded(one.text) if one.raw is None else one.raw for one in words)


def _write_quoted(words: Sequence[Words]) -> str:
    return "".join(_encoded(one.text).replace('"', "&quot;") if one.raw is None else one.raw for one in words)


def _write_single(words: Sequence[Words]) -> str:
    return "".join(_encoded(one.text).replace("'", "&#39;") if one.raw is None else one.raw for one in words)


def _encoded(text: str) -> str:
    return html.escape(text, quote=False).replace("\xa0", "&#160;")  # XML knows no &nbsp;
