"""Message catalogues of gettext: from .mo and .po files to pairs of plain text, each loss counted by its reason."""

import gettext
import re
import struct
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from translate.storage import mo, po
from translate.storage.base import ParseError, TranslationStore, TranslationUnit

from fetching.texts import Pair, plausible, sentence_pairs, tidy
from nmt.data.placeholders import PlaceholderKind, differences


class Message(NamedTuple):
    """A text as its catalogue has it, the English, and the context that tells it from the same English elsewhere."""

    text: str
    english: str
    context: str


_KINDS: tuple[PlaceholderKind, ...] = ("braces", "printf", "tags", "urls", "emails")
_READERS: dict[str, type[TranslationStore]] = {".mo": mo.mofile, ".gmo": mo.mofile, ".po": po.pofile}
_CREDITS = re.compile(
    r"translator.credits|\b(?:NAMES?|EMAILS?|ROLES?)[ _]OF[ _]TRANSLATORS|Your (?:names|emails)\b", re.I
)
_CHARSET = re.compile(rb"charset=([\w.:-]+)")
_WORD = re.compile(r"[^\W\d_]{2}")
_CODE = re.compile(r"\S*[^\W\d_][_./:=]+\w\S*")  # "gtk_init", "org.gnome.Shell": one word, and nothing to translate

# Where the next item of a list begins, or the next option of a program's help
_ITEM = re.compile(r"\n(?=[ \t]*(?:-{1,2}[\w?]|[-*•·] |%\w {2}|\d{1,2}[.)] ))")
_LONG_LINE = 50  # characters, from where on a line that ends within a sentence was wrapped
_MAX_WORDS = 60
# A letter to be underlined, written "_File", "&File" or "~File"; doubled, the sign stands for itself. "&amp;" is none,
# nor is "&b" in "a=1&b=2", nor "~a", which is a placeholder
_ACCELERATORS = {
    "_": re.compile(r"(?<!_)_(?=[^\W\d_])"),
    "&": re.compile(r"(?<!&)&(?=[^\W\d_])(?!\w+[;=])"),
    "~": re.compile(r"(?<!~)~(?=[^\W\d_]{2})"),
}
_LETTER_ALONE = re.compile(r"\s*\([_&~]\w\)")  # "ファイル(_F)": the letter is none of the word's


def find_catalogues(folder: Path, lang: str) -> list[Path]:
    """The catalogues of a language below a folder: LANG/LC_MESSAGES/*.mo as installed, and files called LANG.po."""
    name = locale_name(lang)
    return sorted(
        path
        for path in folder.rglob("*.*o")
        if path.suffix in _READERS
        and (path.stem == name or path.parts[-3:-1] == (name, "LC_MESSAGES"))
        and path.is_file()
        and not path.is_symlink()  # it could lead out of the package; what it leads to within is found as itself
    )


def locale_name(lang: str) -> str:
    """The name of its folder: "pt-br" -> "pt_BR"."""
    base, _, region = lang.replace("_", "-").partition("-")
    return f"{base.lower()}_{region.upper()}" if region else base.lower()


def read_catalogue(path: Path) -> list[Message]:
    """The messages of a catalogue, translated and not fuzzy; of a plural, the form for 1 and that for 2.

    Raises:
        ValueError: the file is damaged, or is no catalogue.
    """
    try:
        content = path.read_bytes()
        store = _READERS[path.suffix].parsestring(_in_utf8(content) if path.suffix == ".po" else content)
        header = {key.lower(): value for key, value in store.parseheader().items()}
        rule = _plural_rule(header.get("plural-forms", ""))
        return [message for unit in store.units if _is_translated(unit) for message in _forms(unit, rule)]
    except (ValueError, LookupError, struct.error, ParseError, AttributeError, ArithmeticError, OSError) as fault:
        raise ValueError(f"{path}: cannot be read as a catalogue of gettext ({fault})") from fault


def message_pairs(message: Message, counts: Counter[str]) -> Iterator[Pair]:
    """The texts of a message as pairs of one sentence or a few; those left out go into `counts` by reason."""
    text, english = message.text, message.english
    if _CREDITS.search(english):
        counts["credits of translators"] += 1
        return
    if english.count("|") > text.count("|"):
        counts['a context before the text ("menu|File")'] += 1
        return
    text, english = without_accelerators(text, english)
    for sides in _paragraphs(text, english):
        fault = _fault(*sides)
        if fault:
            counts[fault] += 1
        else:
            for pair in _sentences(*sides):
                if max(len(side.split()) for side in pair) > _MAX_WORDS:
                    counts[f"over {_MAX_WORDS} words"] += 1
                else:
                    yield pair


def without_accelerators(text: str, english: str) -> Pair:
    """The texts less their marks, "_Datei" -> "Datei"; a sign that belongs to a word stays, as in "file_name"."""
    for sign, pattern in _ACCELERATORS.items():
        found = [list(pattern.finditer(side)) for side in (text, english)]
        if max(map(len, found)) == 1 and not _belongs_to_word(text, english, found):
            text = _LETTER_ALONE.sub("", text)
            text, english = (pattern.sub("", side).replace(sign * 2, sign) for side in (text, english))
    return text, english


def _belongs_to_word(text: str, english: str, found: list[list[re.Match[str]]]) -> bool:
    """Whether the sign stands within a word that both sides have: "file_name", "AT&T"."""
    words = [
        {_word_at(side, match.start()) for match in matches}
        for side, matches in zip((text, english), found, strict=True)
    ]
    return any(re.search(r"\w_\w|[A-Z]&[A-Z]|\w~\w", word) is not None for word in words[0] & words[1])


def _word_at(side: str, place: int) -> str:
    begin = max(side.rfind(space, 0, place) for space in " \t\n")
    return re.split(r"\s", side[begin + 1 :], maxsplit=1)[0]


def _in_utf8(content: bytes) -> bytes:
    """A .po file's bytes from the charset that its header declares; the parser reads some lines before it knows it."""
    declared = _CHARSET.search(content)
    if declared is None or declared[1] == b"CHARSET":  # as a template has it
        return content
    return _CHARSET.sub(b"charset=UTF-8", content.decode(declared[1].decode()).encode(), count=1)


def _is_translated(unit: TranslationUnit) -> bool:
    return bool(not unit.isheader() and unit.source and unit.target and not unit.isfuzzy() and not unit.isobsolete())


def _plural_rule(header: str) -> Callable[[int], int]:
    """Which form is that of a number, by the header `Plural-Forms`; as in English, where there is none."""
    found = re.search(r"plural\s*=\s*([^;]+)", header)
    return gettext.c2py(found[1].strip()) if found else lambda number: int(number != 1)


def _forms(unit: TranslationUnit, rule: Callable[[int], int]) -> Iterator[Message]:
    english = [str(form) for form in getattr(unit.source, "strings", [unit.source])]
    texts = [str(form) for form in getattr(unit.target, "strings", [unit.target])]
    for number, form in enumerate(english[:2], start=1):
        place = rule(number) if len(english) > 1 else 0
        if place < len(texts) and texts[place]:
            yield Message(texts[place], form, unit.getcontext() or "")


def _paragraphs(text: str, english: str) -> Iterator[Pair]:
    """Pieces that pair up: paragraphs, list items, lines. Lines that do not are joined."""
    for separator in (re.compile(r"\n[ \t]*\n\s*"), _ITEM):
        sides = [separator.split(side.strip("\n")) for side in (text, english)]
        if len(sides[0]) == len(sides[1]) > 1:
            for pair in zip(*sides, strict=True):
                yield from _paragraphs(*pair)
            return
    lines = [side.strip("\n").split("\n") for side in (text, english)]
    wrapped = any(_is_wrapped(side) for side in lines)
    pairs = [(tidy(one), tidy(other)) for one, other in zip(*lines, strict=False)]
    if len(lines[0]) == len(lines[1]) and not wrapped and all(plausible(*pair) or pair == ("", "") for pair in pairs):
        yield from (pair for pair in pairs if any(pair))
        return
    yield tidy(text), tidy(english)


def _is_wrapped(lines: list[str]) -> bool:
    return any(len(line) >= _LONG_LINE and line.rstrip()[-1:] not in ".:!?;" for line in lines[:-1])


def _fault(text: str, english: str) -> str:
    """Why a pair is of no use, or nothing."""
    if not (_WORD.search(text) and _WORD.search(english)) or _CODE.fullmatch(english):
        return "no words"
    if any(unicodedata.category(char) in ("Cc", "Co", "Cn") for char in text + english) or "\ufffd" in text + english:
        return "control characters"
    if any(differences(english, text, _KINDS)):
        return "other placeholders"
    return ""


def _sentences(text: str, english: str) -> list[Pair]:
    """As `sentence_pairs`; whole, where a sentence of its own would fail."""
    pairs = sentence_pairs(text, english)
    return [(text, english)] if any(map(_fault, *zip(*pairs, strict=True))) else pairs
