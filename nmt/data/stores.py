"""Translation files (PO, MO, XLIFF, TMX) as stores of the translate-toolkit, read without trusting them.

The toolkit gets bytes, never a name, and XML only once it was seen here that no entity is in it: it would unfold those
that a file declares, and drop those that it does not. A DOCTYPE that names a file (TMX has one) is let through; nothing
is fetched.
"""

import codecs
import re
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from lxml import etree
from translate.storage.base import TranslationStore
from translate.storage.mo import mofile
from translate.storage.pypo import pofile
from translate.storage.tmx import tmxfile
from translate.storage.xliff import xlifffile
from translate.storage.xliff2 import Xliff2File

from nmt.data.lines import read_blocks, unpack
from nmt.errors import DataError

Store = TranslationStore[Any]

# A store takes about 20 times as much memory as its file. The largest catalogues of Debian have 5 MB.
MAX_STORE_BYTES = 128 << 20
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"

# A language, or one of its regions, which may differ in spelling and words; where they differ in script, in all.
_REGIONAL = re.compile("(?!(?:az|ku|mn|pa|sr|uz|zh)(?:[-_]|$))[a-z]{2,3}(?:[-_](?:[a-z]{2}|[0-9]{3}))?", re.IGNORECASE)

NO_CHARSET = "CHARSET"  # what the header of a PO template says

_SAFE = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}
_PO_HEADER = re.compile(rb'(?:#[^\n]*\n|\s)*msgid\s+""\s*msgstr\s+((?:"[^\n]*"\s*)+)')
_PO_CHARSET = re.compile(rb'charset=\s*([^\s\\";]+)')
_PO_MESSAGE = re.compile(rb'^(?:#~)?\s*msgid[ \t]*"', re.MULTILINE)


def open_store(
    path: str | Path, *, src_lang: str | None = None, tgt_lang: str | None = None, suffix: str | None = None
) -> Store:
    """The translation file, in the form that its suffix says: .po, .pot, .mo, .xlf, .xliff or .tmx; .gz may follow.

    suffix: the one to go by, where the file's own says nothing.
    src_lang, tgt_lang: the two languages wanted of a TMX, which may have many; "de" finds de-DE. Without them it is
    its header's source, and the first other language. All other forms hold one pair of languages, and ignore them.
    Of several regions of a language (de-AT, de-DE) it is the first in the file, and only units that have it.

    Raises:
        DataError: the file is missing, damaged, too large, of another form, or has entities; or a TMX has not one of
            the languages, or variants of it that differ in more than the region.
    """
    path = Path(path)
    suffix = suffix or Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix not in _OPENERS:
        raise DataError(f"{path}: the suffix says no form that is known; name a file with {', '.join(_OPENERS)}")
    content = b"".join(_capped(unpacked_blocks(path), str(path)))
    try:
        return _OPENERS[suffix](content, str(path), src_lang, tgt_lang)
    except DataError:
        raise
    except etree.XMLSyntaxError as fault:
        raise _broken_xml(str(path), fault.lineno, fault.msg) from fault
    except Exception as fault:  # the toolkit has no common root for what it raises, asserts and index errors among it
        line = re.search(r"on line (\d+)", str(fault))
        where = f"{path}:{line[1]}" if line else str(path)
        what = str(fault) or type(fault).__name__
        raise DataError(f"{where}: not a sound {suffix} file ({what}); mend it, or fetch it again") from fault


def unpacked_blocks(path: str | Path) -> Iterator[bytes]:
    """The bytes of a file in blocks, unpacked if it is gzip. Raises DataError, also for what grows as no text does."""
    return unpack(read_blocks(path), str(path))


def xml_elements(blocks: Iterator[bytes], name: str, *, root: str, tag: str) -> Iterator[etree._Element]:
    """The elements `tag` within `root`, in whatever namespace, each as soon as it has ended; then it is emptied.

    Raises:
        DataError: as `open_store`, with the line where it is.
    """
    parser = etree.XMLPullParser(events=("start", "end"), **_SAFE)
    checked = False
    inside = 0
    try:
        for block in blocks:
            parser.feed(block)
            # Some faults are not raised, and the parser would begin anew with the next block.
            for fatal in parser.feed_error_log.filter_from_fatals():
                raise _broken_xml(name, fatal.line, fatal.message)
            for event, element in parser.read_events():
                if not checked:
                    _refuse_declared_entities(element.getroottree(), name)
                    _refuse_other_root(element, name, tag=root)
                    checked = True
                wanted = element.tag.rpartition("}")[2] == tag
                inside += wanted and event == "start"
                if event == "start":
                    continue
                if wanted:
                    inside -= 1
                    _refuse_entities(element, name)
                    yield element
                if not inside:
                    _forget(element)
        parser.close()
    except etree.XMLSyntaxError as fault:
        raise _broken_xml(name, fault.lineno, fault.msg) from fault


def _forget(element: etree._Element) -> None:
    """Frees the memory of an element that was dealt with, and of all before it."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _refuse_entities(element: etree._Element, name: str) -> None:
    """Raises DataError if a reference such as &nbsp; stands in the element: it could not be read as text."""
    for entity in element.iter(etree.Entity):
        raise DataError(
            f"{name}:{entity.sourceline or element.sourceline}: the entity {entity.text} is none of XML's own; "
            "write the character itself, or its number (&#160; for &nbsp;)"
        )


def _refuse_other_root(root: etree._Element, name: str, *, tag: str) -> None:
    """Raises DataError if the outermost element is another one than `tag`."""
    if etree.QName(root).localname != tag:
        raise DataError(
            f"{name}: the outermost element is <{etree.QName(root).localname}>, but <{tag}> is wanted; "
            "is its suffix the right one?"
        )


def _broken_xml(name: str, line: int | None, found: str) -> DataError:
    return DataError(f"{name}:{line or 1}: broken XML ({found}); mend it, or fetch the file again if it is cut off")


def same_language(wanted: str, tag: str) -> bool:
    """Whether a language tag is the one wanted or a variant of it, whatever its letters' case: "de" means de_AT too."""
    wanted, tag = (text.casefold().replace("_", "-") for text in (wanted, tag))
    return tag == wanted or tag.startswith(f"{wanted}-")


def find_language(wanted: str, tags: list[str], name: str) -> str:
    """The one of a file's language tags that is meant: written just so, or else the first of its regions.

    Raises:
        DataError: none is; or several variants are that differ in more than the region, and none is written just so.
    """
    found = [tag for tag in tags if same_language(wanted, tag)]
    exact = [tag for tag in found if same_language(tag, wanted)]
    if not found:
        raise DataError(
            f"{name}: no text in {wanted}; there is {', '.join(tags) or 'no language at all'}: name two of these"
        )
    if not exact and len(found) > 1 and not all(map(_REGIONAL.fullmatch, found)):
        raise DataError(
            f"{name}: {wanted} could be any of {', '.join(found)}; name the one that is meant or, where the model "
            f"says the languages, put {wanted} in its place in the file"
        )
    return (exact or found)[0]


def _capped(blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
    size = 0
    for block in blocks:
        size += len(block)
        if size > MAX_STORE_BYTES:
            raise DataError(
                f"{name}: more than {MAX_STORE_BYTES >> 20} MiB, and all of it would have to be held; split it into "
                "several files"
            )
        yield block


def _refuse_declared_entities(tree: etree._ElementTree, name: str) -> None:
    # Asked of the parser and not of the bytes, so that no encoding can hide a declaration.
    dtd = tree.docinfo.internalDTD
    for declared in dtd.iterentities() if dtd is not None else ():
        raise DataError(
            f"{name}: its DOCTYPE declares the entity {declared.name}, which may stand for anything, other files and "
            "gigabytes among it; take what stands between [ and ] out of the DOCTYPE, if you trust the file"
        )


def _safe_root(content: bytes, name: str, *, tag: str) -> etree._Element:
    root = etree.fromstring(content, etree.XMLParser(**_SAFE))
    _refuse_declared_entities(root.getroottree(), name)
    _refuse_entities(root, name)
    _refuse_other_root(root, name, tag=tag)
    return root


def _open_tmx(content: bytes, name: str, src_lang: str | None, tgt_lang: str | None) -> Store:
    root = _safe_root(content, name, tag="tmx")
    # dict: in the order of the file
    tags = list(dict.fromkeys(lang for tuv in root.iter("{*}tuv") if (lang := tuv.get(XML_LANG) or tuv.get("lang"))))
    src, tgt = (lang and find_language(lang, tags, name) for lang in (src_lang, tgt_lang))
    return tmxfile(BytesIO(content), sourcelanguage=src, targetlanguage=tgt)


def _open_xliff(content: bytes, name: str, src_lang: str | None, tgt_lang: str | None) -> Store:
    root = _safe_root(content, name, tag="xliff")
    if root.find("{*}file") is None:
        raise DataError(f"{name}: no <file> in it, and so no text; is it cut off?")
    version = root.get("version") or (etree.QName(root).namespace or "").rpartition(":")[2]
    store: Store = (Xliff2File if version.startswith("2") else xlifffile)(BytesIO(content))
    return store


def po_text(content: bytes, name: str) -> tuple[str, str]:
    """The text of a PO file without a byte order mark, and the charset that its header says: NO_CHARSET in a template.

    Raises DataError where the header says none that a PO file can be in, or the text is not in it.
    """
    content = content.removeprefix(codecs.BOM_UTF8)
    header = _PO_HEADER.match(content)
    declared = _PO_CHARSET.search(header[1]) if header else None
    charset = declared[1].decode("ascii", "replace") if declared else "utf-8"
    codec = "utf-8" if charset == NO_CHARSET else charset
    try:
        plain = b"msgid".decode(codec) == "msgid"
    except (LookupError, ValueError):
        plain = False
    if not plain:
        raise DataError(f"{name}: its header says charset={charset}, which no PO file can be in; write the true one")
    try:
        return content.decode(codec), charset
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        said = "as its header says" if declared else "which holds where its header says no other charset"
        raise DataError(
            f"{name}:{line}: byte 0x{content[fault.start]:02X} is not {codec} here, {said}; "
            f'write the true charset into the header ("Content-Type: text/plain; charset=...\\n")'
        ) from fault


def _open_po(content: bytes, name: str, src_lang: str | None, tgt_lang: str | None) -> Store:
    # The toolkit would read the whole file as UTF-8, whatever its header says, and write it as its header says.
    content = po_text(content, name)[0].encode()
    store = pofile()
    store.parse(content)
    read = sum(bool(unit.msgid or unit.msgidcomments) for unit in store.units)
    there = len(_PO_MESSAGE.findall(content))
    if read != there:
        raise DataError(f"{name}: {there} msgid, but only {read} have a msgstr; is the file cut off at its end?")
    return store


def _open_mo(content: bytes, name: str, src_lang: str | None, tgt_lang: str | None) -> Store:
    _, _, _, count, *tables, _, _ = mofile.parse_header(content)
    for table in tables:
        lengths = struct.unpack_from(f"{_endian(content)}{2 * count}i", content, table)[::2]
        # A file in which all messages are the same megabytes is small, and what it unfolds to is not.
        if min(lengths, default=0) < 0 or sum(lengths) > len(content):
            raise DataError(f"{name}: its messages are longer than the file; make it again with msgfmt")
    store = mofile()
    store.parse(content)
    return store


def _endian(content: bytes) -> str:
    return str(mofile.parse_header(content)[0])


_OPENERS: dict[str, Callable[[bytes, str, str | None, str | None], Store]] = {
    ".po": _open_po,
    ".pot": _open_po,
    ".mo": _open_mo,
    ".xlf": _open_xliff,
    ".xliff": _open_xliff,
    ".tmx": _open_tmx,
}
