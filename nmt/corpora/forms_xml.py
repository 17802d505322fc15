"""TMX and XLIFF, a unit at a time, so that a file of any size is read (TMX) and written within the same memory.

The same pairs give the same bytes: no date, no name of a machine or a user is in them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from lxml import etree

from nmt.corpora.forms import Entry, Form, FormRules, Report
from nmt.data.stores import XML_LANG, find_language, open_store, same_language, unpacked_blocks, xml_elements
from nmt.errors import DataError

# The states of XLIFF 1.2 and 2 that ask for more work; any other counts as finished.
_UNFINISHED = re.compile("new|initial|needs-.*")
_XLIFF = "urn:oasis:names:tc:xliff:document:1.2"
_XML_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT = etree.XPath("string()")  # as the toolkit has it: comments left out, what inline codes hold kept
_CODES = etree.XPath("boolean(.//*)")
_FIELDS = ("context", "location", "source")


def read_tmx(path: Path, rules: FormRules) -> Iterator[Entry]:
    """The translation units of a TMX, each language found by its tag: "de" means de-DE too.

    Of several regions of a language in one unit (en-US, en-GB) the one is taken that is just what was asked for, else
    the one that came first in the file; that is told. Variants in other scripts (zh-CN, zh-TW) must be named.

    Raises:
        DataError: as `open_store`; also where such variants of a wanted language are in one unit, or a wanted language
            is in none.
    """
    known: dict[str, str] = {}
    found = False
    for unit in xml_elements(unpacked_blocks(path), str(path), root="tmx", tag="tu"):
        where = f"{path}:{unit.sourceline}"
        segments: dict[str, list[etree._Element]] = {}
        for variant in unit.iterchildren("{*}tuv"):
            segment = variant.find("{*}seg")
            if segment is not None:
                tag = variant.get(XML_LANG) or variant.get("lang") or ""
                spelled = known.setdefault(tag.casefold().replace("_", "-"), tag)
                segments.setdefault(spelled, []).append(segment)
        in_order = {tag: segments[tag] for tag in known.values() if tag in segments}
        entry = _tmx_entry(in_order, where, rules)
        found = found or not entry.fault
        yield entry if entry.fault else entry._replace(fields=_tmx_fields(unit))
    if known and not found:
        for lang in (rules.src_lang, rules.tgt_lang):
            if not any(same_language(lang, tag) for tag in known):
                find_language(lang, list(known.values()), str(path))


def _tmx_entry(segments: dict[str, list[etree._Element]], where: str, rules: FormRules) -> Entry:
    """segments: of each language tag, in the order in which the file has them."""
    texts: list[str] = []
    chosen: list[str] = []
    for lang in (rules.src_lang, rules.tgt_lang):
        tags = [tag for tag in segments if same_language(lang, tag)]
        if not tags:
            return Entry(where, fault=f"no text in {lang}")
        tag = find_language(lang, tags, where)
        if len(tags) > 1 and not same_language(tag, lang):
            chosen.append(f"{tag} for {lang}, beside {', '.join(tags[1:])}")
        if len(segments[tag]) > 1:
            return Entry(where, fault=f"several texts in {lang}")
        texts.append(str(_TEXT(segments[tag][0])))
    return Entry(where, texts[0], texts[1], chosen=tuple(chosen))


def _tmx_fields(unit: etree._Element) -> dict[str, str]:
    props = {prop.get("type"): str(_TEXT(prop)) for prop in unit.iterchildren("{*}prop")}
    fields = {"id": tuid} if (tuid := unit.get("tuid")) else {}
    return fields | {name: props[f"x-{name}"] for name in _FIELDS if props.get(f"x-{name}")}


def read_xliff(path: Path, rules: FormRules) -> Iterator[Entry]:
    """The units of an XLIFF 1.1, 1.2 or 2.x, from whichever of its sides is the source wanted.

    Raises DataError as `open_store`, or where it holds other languages.
    """
    store: Any = open_store(path, suffix=".xlf")
    root = store.document.getroot()
    swaps = {
        swapped_sides(
            file.get("source-language", root.get("srcLang")),
            file.get("target-language", root.get("trgLang")),
            str(path),
            rules,
        )
        for file in root.iterchildren("{*}file")
    }
    if len(swaps) > 1:
        raise DataError(f"{path}: a <file> in it goes from {rules.src_lang}, and another into it; make them two files")
    for unit in store.units:
        element = unit.xmlelement
        if element.get("restype") == "x-gettext-domain-header":
            continue
        where = f"{path}:{element.sourceline}"
        fault = _xliff_fault(unit, rules)
        if fault:
            yield Entry(where, fault=fault)
            continue
        src, tgt = (unit.target, unit.source) if True in swaps else (unit.source, unit.target)
        fields = {name: text for name, text in _xliff_fields(unit).items() if text}
        yield Entry(where, str(src), str(tgt), fields=fields)


def _xliff_fault(unit: Any, rules: FormRules) -> str:
    if not unit.source or not unit.target:
        return "untranslated"
    if not unit.istranslatable():
        return "not to be translated"
    target = unit.target_dom
    state = unit.xmlelement.get("state") or (target.get("state") if target is not None else None)
    # Most programs never write "approved", so only what says that it is not is taken at its word.
    unfinished = _UNFINISHED.fullmatch(state or "") or (state is None and unit.xmlelement.get("approved") == "no")
    return "fuzzy" if unfinished and not rules.fuzzy else ""


def _xliff_fields(unit: Any) -> dict[str, str]:
    groups = unit.xmlelement.iterchildren("{*}context-group")
    contexts = {
        each.get("context-type"): str(_TEXT(each)) for group in groups for each in group.iterchildren("{*}context")
    }
    fields = {"id": unit.xmlelement.get("resname") or unit.xmlelement.get("id") or ""}
    return fields | {name: contexts.get(f"x-{name}", "") for name in _FIELDS}


def swapped_sides(src: str | None, tgt: str | None, name: str, rules: FormRules) -> bool:
    """Whether a file of one pair of languages holds the wanted source as its target; it may not say what it holds.

    Raises DataError where it says that it holds other languages.
    """
    wanted = rules.src_lang, rules.tgt_lang
    for swapped, sides in enumerate((wanted, wanted[::-1])):
        if all(not there or same_language(side, there) for side, there in zip(sides, (src, tgt), strict=True)):
            return bool(swapped)
    raise DataError(
        f"{name}: says that it goes from {src or '(not said)'} to {tgt or '(not said)'}, but {' and '.join(wanted)} "
        "are wanted; name its languages, or mend what it says"
    )


def write_tmx(entries: Iterable[Entry], streams: Sequence[BinaryIO], rules: FormRules, report: Report) -> None:
    """TMX 1.4; the fields that are texts become properties."""
    header = {
        "creationtool": "nmt", "creationtoolversion": "1", "segtype": "block", "o-tmf": "nmt", "adminlang": "en",
        "srclang": rules.src_lang, "datatype": "plaintext",
    }  # fmt: skip
    with etree.xmlfile(streams[0], encoding="utf-8") as file:
        file.write_declaration()
        file.write_doctype('<!DOCTYPE tmx SYSTEM "tmx14.dtd">')
        with file.element("tmx", version="1.4"):
            file.write("\n", etree.Element("header", header), "\n")
            with file.element("body"):
                file.write("\n")
                for entry in entries:
                    unit = etree.Element("tu")
                    fields = _fields(entry, report)
                    if "id" in fields:
                        unit.set("tuid", fields["id"])
                    for name in _FIELDS:
                        if name in fields:
                            etree.SubElement(unit, "prop", type=f"x-{name}").text = fields[name]
                    for lang, text in ((rules.src_lang, entry.src), (rules.tgt_lang, entry.tgt)):
                        variant = etree.SubElement(unit, "tuv", {XML_LANG: lang})
                        etree.SubElement(variant, "seg").text = xml_text(text, entry, report)
                    file.write(unit, "\n")
    streams[0].write(b"\n")


def write_xliff(entries: Iterable[Entry], streams: Sequence[BinaryIO], rules: FormRules, report: Report) -> None:
    """XLIFF 1.2. A pair's own id becomes `resname`, for `id` must be in it once only."""
    about = {"original": "nmt", "datatype": "plaintext"}
    about |= {"source-language": rules.src_lang, "target-language": rules.tgt_lang}
    with etree.xmlfile(streams[0], encoding="utf-8") as file:
        file.write_declaration()
        with (
            file.element(f"{{{_XLIFF}}}xliff", version="1.2", nsmap={None: _XLIFF}),
            file.element(f"{{{_XLIFF}}}file", about),
            file.element(f"{{{_XLIFF}}}body"),
        ):
            file.write("\n")
            for number, entry in enumerate(entries, start=1):
                file.write(_xliff_unit(number, entry, report), "\n")
    streams[0].write(b"\n")


def _xliff_unit(number: int, entry: Entry, report: Report) -> etree._Element:
    fields = _fields(entry, report)
    unit = etree.Element("trans-unit", {"id": str(number), _XML_SPACE: "preserve"})
    if "id" in fields:
        unit.set("resname", fields["id"])
    for side, text in (("source", entry.src), ("target", entry.tgt)):
        etree.SubElement(unit, side).text = xml_text(text, entry, report)
    contexts = [name for name in _FIELDS if name in fields]
    if contexts:
        group = etree.SubElement(unit, "context-group", purpose="information")
        for name in contexts:
            etree.SubElement(group, "context", {"context-type": f"x-{name}"}).text = fields[name]
    return unit


def _fields(entry: Entry, report: Report) -> dict[str, str]:
    return {
        name: xml_text(text, entry, report)
        for name, text in entry.fields.items()
        if name in ("id", *_FIELDS) and isinstance(text, str) and text
    }


def xml_text(text: str, entry: Entry, report: Report) -> str:
    """The text without the characters that XML cannot hold, not even by their number."""
    clean, dropped = _NOT_XML.subn("", text)
    if dropped:
        report.change("control character dropped", entry.where)
    return clean


XML_FORMS = {"tmx": Form(read_tmx, write_tmx), "xliff": Form(read_xliff, write_xliff)}
