"""gettext's catalogues, through the translate-toolkit: PO and MO."""

import gettext
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from translate.storage.pypo import PoWrapper, pounit

from nmt.corpora.forms import Entry, Form, FormRules, Report
from nmt.corpora.forms_xml import swapped_sides, xml_text
from nmt.data.stores import open_store

_HEADER = "Language: {}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n"


def read_po(path: Path, rules: FormRules) -> Iterator[Entry]:
    """The messages of a PO file; as `read_mo` else."""
    return _read(path, rules, suffix=".po")


def read_mo(path: Path, rules: FormRules) -> Iterator[Entry]:
    """The messages of a MO file, each plural form as a pair.

    The form for the number 1, unless it is for all numbers, pairs with the singular; all others with the plural.

    Raises:
        DataError: as `open_store`; or the header's "Language" is neither of those wanted.
    """
    return _read(path, rules, suffix=".mo")


def _read(path: Path, rules: FormRules, *, suffix: str) -> Iterator[Entry]:
    store: Any = open_store(path, suffix=suffix)
    header = {name.casefold(): value for name, value in store.parseheader().items()}
    language = header.get("language", "").strip()
    swapped = swapped_sides(header.get("x-source-language"), language, str(path), rules)
    plural = header.get("plural-forms", "")
    for number, unit in enumerate(store.units, start=1):
        if unit.isheader() or unit.isblank():
            continue
        line = getattr(unit, "_line_number", None)
        where = f"{path}:{line or number}"
        fault = _fault(unit, rules)
        if fault:
            yield Entry(where, fault=fault)
            continue
        fields = {"context": unit.getcontext(), "location": " ".join(unit.getlocations())}
        fields = {name: text for name, text in fields.items() if text}
        for form, (msgid, msgstr) in enumerate(_pairs(unit, plural)):
            src, tgt = (msgstr, msgid) if swapped else (msgid, msgstr)
            fault = "" if msgid and msgstr else "untranslated"
            yield Entry(where, src, tgt, fault=fault, fields=fields, form=form)


def _fault(unit: Any, rules: FormRules) -> str:
    if unit.isobsolete():
        return "obsolete"
    if not any(_strings(unit.target)):
        return "untranslated"
    return "fuzzy" if unit.isfuzzy() and not rules.fuzzy else ""


def _pairs(unit: Any, plural: str) -> list[tuple[str, str]]:
    sources, targets = _strings(unit.source), _strings(unit.target)
    if len(sources) == 1:
        return [(sources[0], targets[0])]
    singular = _singular_form(plural, len(targets))
    return [(sources[form != singular], target) for form, target in enumerate(targets)]


def _strings(text: Any) -> list[str]:
    return [str(one) for one in getattr(text, "strings", [text])]


def _singular_form(plural: str, forms: int) -> int | None:
    """The form for the number 1, by the header's rule or as in most languages; None if there is one form for all."""
    rule = re.search(r"plural\s*=\s*([^;\n]+)", plural)
    try:
        form_of = gettext.c2py(rule[1]) if rule else (lambda number: int(number != 1))
        form = int(form_of(1))
    except (ValueError, ArithmeticError, RecursionError):
        form = 0
    return form if forms > 1 else None


def write_po(entries: Iterable[Entry], streams: Sequence[BinaryIO], rules: FormRules, report: Report) -> None:
    """A PO file without dates. A source that comes again gets a context, as no two messages may be the same."""
    wrapper = PoWrapper()
    header = pounit("", wrapper=wrapper)
    header.target = _HEADER.format(rules.tgt_lang)
    streams[0].write(str(header).encode())
    seen: dict[tuple[str, str], int] = {}
    for entry in entries:
        src, tgt = (xml_text(text, entry, report) for text in (entry.src, entry.tgt))
        if not src or src.startswith("_:"):
            report.refuse("source that PO cannot hold: empty, or begins as old comments do", entry)
            continue
        context = xml_text(str(entry.fields.get("context") or ""), entry, report)
        twins = seen[context, src] = seen.get((context, src), 0) + 1
        if twins > 1:
            report.change("source again, told apart by a context", entry.where)
            context = f"{context} #{twins}".strip()
        unit = pounit(src, wrapper=wrapper)
        unit.target = tgt
        if context:
            unit.setcontext(context)
        for place in str(entry.fields.get("location") or "").split():
            unit.addlocation(place)
        streams[0].write(f"\n{unit}".encode())


PO_FORMS = {"po": Form(read_po, write_po), "mo": Form(read_mo, None)}
