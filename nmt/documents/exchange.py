"""XLIFF 1 and 2, TMX: what has no translation gets one, and a word that a machine made it; every other byte stays."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nmt.data.stores import find_language, same_language
from nmt.documents.catalogue import MARKUP
from nmt.documents.document import Wanted
from nmt.documents.spliced import INLINE, Edit, Element, SplicedXml, text_of, with_attributes, xml_of
from nmt.errors import DataError
from nmt.translator import Translation

_OF_1 = {"state": "needs-review-translation", "state-qualifier": "mt-suggestion"}
_OF_2 = {"state": "translated", "subState": "nmt:machine"}  # the one state between untranslated and reviewed
_OF_TMX = {"creationtool": "nmt"}
_HEADER = "x-gettext-domain-header"


class _Unit(NamedTuple):
    """A source, what stands for the unit, and its translation, if there is one, though it may be empty."""

    source: Element
    holder: Element
    target: Element | None


class _Bilingual:
    """Texts are the sources without a translation, their inline elements as XML."""

    def __init__(self, xml: SplicedXml, units: Iterator[_Unit], wanted: Wanted, content: bytes) -> None:
        self.markup: re.Pattern[str] | None = re.compile(f"{INLINE.pattern}|{MARKUP.pattern}", re.VERBOSE)
        self._xml, self._wanted, self._content = xml, wanted, content
        texts = [(unit, text_of(xml.content(unit.source))) for unit in units if self._is_open(unit)]
        self._units = [unit for unit, text in texts if text.strip()]
        self.texts: Sequence[str] = [text for _, text in texts if text.strip()]

    def filled(self, translations: Sequence[Translation]) -> bytes:
        """The file with these translations."""
        if not translations:
            return self._content
        edits = list(self._told())
        for unit, found in zip(self._units, translations, strict=True):
            edits += self._edits(unit, xml_of(found.text, self._xml.content(unit.source)))
        return self._xml.edited(edits)

    def _is_open(self, unit: _Unit) -> bool:
        return self._wanted.everything or unit.target is None or not self._xml.content(unit.target).strip()

    def _told(self) -> Iterator[Edit]:
        """What the file is to say of its languages."""
        yield from ()

    def _edits(self, unit: _Unit, inner: str) -> Iterator[Edit]:
        raise NotImplementedError

    def _saying(self, element: Element, attributes: dict[str, str]) -> Edit:
        """Its start tag, with these attributes."""
        return Edit(element.begin, element.inside, with_attributes(self._xml.start_tag(element), attributes))

    def _target(self, unit: _Unit, inner: str, attributes: dict[str, str]) -> Edit:
        """The target of an XLIFF, in its place or behind the source."""
        name = self._xml.start_tag(unit.source)[1:].split("source")[0] + "target"
        if unit.target is not None:
            start = with_attributes(self._xml.start_tag(unit.target), attributes)
            return Edit(unit.target.begin, unit.target.end, f"{start}{inner}</{name}>")
        behind = next((each for each in reversed(unit.holder.children) if each.name == "seg-source"), unit.source)
        start = with_attributes(f"<{name}>", attributes)
        return Edit(behind.end, behind.end, f"{self._xml.gap(unit.source)}{start}{inner}</{name}>")


class _Xliff1(_Bilingual):
    """https://docs.oasis-open.org/xliff/v1.2/os/xliff-core.html"""

    def _told(self) -> Iterator[Edit]:
        files = {id(file): file for unit in self._units if (file := _above(unit.holder, "file"))}
        for file in files.values():
            if "target-language" not in file.attributes:
                yield self._saying(file, {"target-language": self._wanted.tgt_lang})

    def _edits(self, unit: _Unit, inner: str) -> Iterator[Edit]:
        if unit.holder.attributes.get("approved") == "yes":
            yield self._saying(unit.holder, {"approved": "no"})
        yield self._target(unit, inner, _OF_1)


class _Xliff2(_Bilingual):
    """https://docs.oasis-open.org/xliff/xliff-core/v2.0/xliff-core-v2.0.html"""

    def _told(self) -> Iterator[Edit]:
        if "trgLang" not in self._xml.root.attributes:
            yield self._saying(self._xml.root, {"trgLang": self._wanted.tgt_lang})

    def _edits(self, unit: _Unit, inner: str) -> Iterator[Edit]:
        yield self._saying(unit.holder, _OF_2)
        yield self._target(unit, inner, {})


class _Tmx(_Bilingual):
    """https://www.gala-global.org/tmx-14b; tgt: the target language as this file has it."""

    def __init__(self, xml: SplicedXml, wanted: Wanted, content: bytes, *, tags: Sequence[str], tgt: str) -> None:
        super().__init__(xml, _tmx_units(xml, tags, wanted), wanted, content)
        self._tgt = tgt

    def _edits(self, unit: _Unit, inner: str) -> Iterator[Edit]:
        if unit.target is not None and unit.target.parent is not None:
            yield self._saying(unit.target.parent, _OF_TMX)
            yield Edit(unit.target.begin, unit.target.end, f"<seg>{inner}</seg>")
            return
        assert unit.holder.parent is not None, "a <tuv> stands in a <tu>"
        start = with_attributes("<tuv>", {"xml:lang": self._tgt, **_OF_TMX})
        last = [each for each in unit.holder.parent.children if each.name == "tuv"][-1]
        yield Edit(last.end, last.end, f"{self._xml.gap(unit.holder)}{start}<seg>{inner}</seg></tuv>")


def read_xliff(content: bytes, name: str, wanted: Wanted) -> _Bilingual:
    """An XLIFF 1.0 to 1.2, or 2.x.

    Raises DataError where it is broken, has entities or is of other languages.
    """
    xml = SplicedXml(content, name, root="xliff")
    said = xml.root.attributes
    if said.get("version", "").startswith("2"):
        _check(name, xml.root.line, wanted, said.get("srcLang"), said.get("trgLang"))
        return _Xliff2(xml, _units(xml, "segment"), wanted, content)
    for file in (element for element in xml.root.children if element.name == "file"):
        languages = file.attributes.get("source-language"), file.attributes.get("target-language")
        _check(name, file.line, wanted, *languages)
    return _Xliff1(xml, _units(xml, "trans-unit"), wanted, content)


def read_tmx(content: bytes, name: str, wanted: Wanted) -> _Bilingual:
    """A TMX; each unit that has the source language gets the target language, if it lacks it.

    Raises DataError where it is broken, has entities, or has not the source language, or variants of one.
    """
    xml = SplicedXml(content, name, root="tmx")
    variants = [element for element in xml.root.walk() if element.name == "tuv" and element.child("seg")]
    tags = list(dict.fromkeys(filter(None, map(_language, variants))))
    find_language(wanted.src_lang, tags, name)
    tgt = _meant(wanted.tgt_lang, tags, name) or wanted.tgt_lang
    return _Tmx(xml, wanted, content, tags=tags, tgt=tgt)


def _tmx_units(xml: SplicedXml, tags: Sequence[str], wanted: Wanted) -> Iterator[_Unit]:
    """tags: of the file, in its order. Of several regions of a language, each unit may have another."""
    for unit in (element for element in xml.root.walk() if element.name == "tu"):
        variants = {_language(each): each for each in unit.children if each.name == "tuv" and each.child("seg")}
        there, where = [tag for tag in tags if tag in variants], f"{xml.name}:{unit.line}"
        src, tgt = (_meant(lang, there, where) for lang in (wanted.src_lang, wanted.tgt_lang))
        if src and (source := variants[src].child("seg")):
            yield _Unit(source, variants[src], variants[tgt].child("seg") if tgt else None)


def _meant(lang: str, tags: list[str], where: str) -> str | None:
    return find_language(lang, tags, where) if any(same_language(lang, tag) for tag in tags) else None


def _units(xml: SplicedXml, holder: str) -> Iterator[_Unit]:
    """Those that may be translated."""
    for element in xml.root.walk():
        source = element.child("source") if element.name == holder else None
        if source and element.attributes.get("restype") != _HEADER and _may_be_translated(element):
            yield _Unit(source, element, element.child("target"))


def _may_be_translated(element: Element | None) -> bool:
    while element is not None and "translate" not in element.attributes:
        element = element.parent
    return element is None or element.attributes["translate"] != "no"


def _above(element: Element, name: str) -> Element | None:
    above = element.parent
    while above is not None and above.name != name:
        above = above.parent
    return above


def _language(variant: Element) -> str:
    return variant.attributes.get("xml:lang") or variant.attributes.get("lang") or ""


def _check(name: str, line: int, wanted: Wanted, *said: str | None) -> None:
    """Raises DataError where a file says that it holds other languages."""
    for what, one, other in zip(("source", "target"), said, (wanted.src_lang, wanted.tgt_lang), strict=True):
        if one and not same_language(one, other) and not same_language(other, one):
            raise DataError(
                f"{name}:{line}: says that its {what} language is {one}, but the translation is from "
                f"{wanted.src_lang} into {wanted.tgt_lang}; take the file of those, or mend what it says"
            )
