"""gettext's catalogues (PO): what is untranslated is filled and marked fuzzy; every other byte stays."""

import gettext
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from translate.lang import factory
from translate.storage.pypo import PoWrapper, quoteforpo

from nmt.data.placeholders import PATTERNS, differences
from nmt.data.stores import NO_CHARSET, same_language
from nmt.documents.accelerators import Accelerator, accelerator_marks, find_accelerator
from nmt.documents.document import Wanted
from nmt.documents.messages import Edit, Message, PoLines
from nmt.errors import DataError
from nmt.flags import CHECKED
from nmt.translator import Translation

DIFFERS = "# nmt: placeholders differ"
MARKUP = re.compile("|".join(f"(?:{PATTERNS[kind]})" for kind in PATTERNS if kind in CHECKED), re.VERBOSE)

_SOURCES = ("msgid", "msgid_plural")
_PLURALS = re.compile(r"nplurals\s*=\s*(\d+)\s*;\s*plural\s*=\s*([^;]+)")
_NUMBERS = range(200)  # that a rule for plural forms is tried on
_MOST_FORMS = 6  # that any language has
_UNWRAPPED = PoWrapper(-1)


class Plurals(NamedTuple):
    """How many forms there are, which one the number 1 takes, and whether it shares that with other numbers."""

    forms: int
    of_one: int
    shared: bool


class _Ask(NamedTuple):
    """A msgid, and as it is translated: without its accelerator."""

    source: str
    text: str
    accelerator: Accelerator | None

    def finished(self, translation: str) -> str:
        """With the accelerator, and with line ends at the start and the end as in the msgid: gettext wants that."""
        text = translation.strip("\n")
        if self.accelerator:
            text = self.accelerator.put_back(text, MARKUP)
        core = self.source.strip("\n")
        return self.source.replace(core, "\0", 1).replace("\0", text)


class Catalogue:
    """A PO file; texts: the msgid, and the msgid_plural, of each message that is to be filled."""

    def __init__(self, content: bytes, name: str, wanted: Wanted) -> None:
        """Raises DataError where the file is damaged, in another charset than it says, or of another language."""
        self.markup: re.Pattern[str] | None = MARKUP
        self._content, self._wanted = content, wanted
        self._po = PoLines(content, name)
        said = self._po.header.get("language", "")
        if said and not same_language(said, wanted.tgt_lang) and not same_language(wanted.tgt_lang, said):
            raise DataError(
                f'{name}: its header says "Language: {said}", but the translation is into {wanted.tgt_lang}; take the '
                "catalogue of that language, or mend the header"
            )
        self._open = [message for message in self._po.messages if self._is_open(message)]
        self._plurals = _plurals(self._po.header.get("plural-forms", ""), wanted.tgt_lang, name)
        marks = accelerator_marks(
            (message.text(keyword) for message in self._po.messages for keyword in _SOURCES), MARKUP
        )
        self._asks = [_asks(message, marks) for message in self._open]
        self.texts: Sequence[str] = [ask.text for asks in self._asks for ask in asks]

    def filled(self, translations: Sequence[Translation]) -> bytes:
        """The catalogue with these translations, each message that has a new one marked fuzzy."""
        if not translations:
            return self._content
        found = iter(translations)
        edits: list[Edit] = []
        for message, asks in zip(self._open, self._asks, strict=True):
            edits += self._edits(message, asks, [ask.finished(next(found).text) for ask in asks])
        return self._po.edited([*edits, *self._header_edits()])

    def _is_open(self, message: Message) -> bool:
        if message.is_header or not message.text("msgid").strip():
            return False
        return self._wanted.everything or not all(each.text for each in message.strings)

    def _edits(self, message: Message, asks: Sequence[_Ask], texts: Sequence[str]) -> Iterator[Edit]:
        strings = message.strings
        if "msgid_plural" in message.fields:
            of_forms = [texts[self._source_of(form, asks)] for form in range(self._plurals.forms)]
            lines = []
            for form, text in enumerate(of_forms):
                kept = "" if self._wanted.everything or form >= len(strings) else strings[form].text
                lines += _quoted(f"msgstr[{form}]", kept or text)
        else:
            lines = _quoted("msgstr", texts[0])
        yield Edit(strings[0].begin, strings[-1].end, lines)
        differs = any(_differ(ask.source, text) for ask, text in zip(asks, texts, strict=True))
        yield from _comments(message, differs=differs)

    def _source_of(self, form: int, asks: Sequence[_Ask]) -> int:
        """Is a plural form made from the singular (0) or from the plural (1)?"""
        if len(asks) == 1 or form != self._plurals.of_one:
            return len(asks) - 1
        # "One file" would be wrong for 21, where that takes the same form.
        return int(self._plurals.shared and _differ(asks[1].source, asks[0].source))

    def _header_edits(self) -> Iterator[Edit]:
        """What the header leaves open is told once something is filled."""
        if self._po.about is None:
            return
        begin, end, text = self._po.about.fields["msgstr"]
        language = factory.getlanguage(self._wanted.tgt_lang)
        rule = f"nplurals={language.nplurals}; plural={language.pluralequation};"
        counted = language.nplurals and any("msgid_plural" in message.fields for message in self._open)
        new = {
            "Language": "" if self._po.header.get("language") else self._wanted.tgt_lang,
            "Content-Type": "text/plain; charset=UTF-8" if self._po.charset == NO_CHARSET else "",
            "Plural-Forms": rule if counted and not _PLURALS.search(self._po.header.get("plural-forms", "")) else "",
        }
        for name, value in new.items():
            written = quoteforpo(f"{name}: {value}\n", _UNWRAPPED)
            there = [at for at in range(begin, end) if self._po.lines[at].startswith(f'"{name}:')]
            if value and there:
                yield Edit(there[0], there[0] + 1, written)
            elif value and text.endswith("\n"):
                yield Edit(end, end, written)


def read_po(content: bytes, name: str, wanted: Wanted) -> Catalogue:
    """A PO file; as `Catalogue` has it."""
    return Catalogue(content, name, wanted)


def _asks(message: Message, marks: frozenset[str]) -> list[_Ask]:
    sources = [text for keyword in _SOURCES if (text := message.text(keyword)).strip()]
    return [_Ask(source, *find_accelerator(source, marks, MARKUP)) for source in sources]


def _quoted(keyword: str, text: str) -> list[str]:
    first, *others = quoteforpo(text)
    return [f"{keyword} {first}", *others]


def _differ(source: str, translation: str) -> bool:
    return differences(source, translation, CHECKED) != ((), ())


def _comments(message: Message, *, differs: bool) -> Iterator[Edit]:
    """They stand in gettext's order: "# " by translators, "#." and "#:" by programs, "#," flags, "#|" the old msgid."""
    flags = next((at for at, line in message.comments.items() if line.startswith("#,")), None)
    if flags is None:
        old = [at for at, line in message.comments.items() if line.startswith("#|")]
        at = min(old, default=message.begin)
        yield Edit(at, at, ["#, fuzzy"])
    elif "fuzzy" not in (flag.strip() for flag in message.comments[flags][2:].split(",")):
        yield Edit(flags, flags + 1, [f"#, fuzzy, {message.comments[flags][2:].strip()}"])
    if differs and DIFFERS not in message.comments.values():
        ours = [at + 1 for at, line in message.comments.items() if line == "#" or line.startswith("# ")]
        at = max(ours, default=min([*message.comments, message.begin]))
        yield Edit(at, at, [DIFFERS])


def _plurals(said: str, tgt_lang: str, name: str) -> Plurals:
    """The header's rule or, where it has none, that of the language."""
    found = _PLURALS.search(said)
    language = factory.getlanguage(tgt_lang)
    forms, rule = (language.nplurals, str(language.pluralequation)) if language.nplurals else (2, "n != 1")
    if found:
        forms, rule = int(found[1]), found[2]
    if not 1 <= forms <= _MOST_FORMS:
        raise DataError(f"{name}: its header says nplurals={forms}, but languages have 1 to {_MOST_FORMS}; mend it")
    try:
        form_of = gettext.c2py(rule)
        taken = [int(form_of(number)) for number in _NUMBERS]
    except (ValueError, ArithmeticError, RecursionError) as fault:
        raise DataError(
            f"{name}: its header's Plural-Forms cannot be read: plural={rule} ({fault}); mend it"
        ) from fault
    return Plurals(forms, taken[1] if forms > 1 else -1, taken.count(taken[1]) > 1)
