"""The texts of a document to translations: line by line, equal ones once, and no markup is ever lost."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nmt.documents.document import Document
from nmt.documents.markup import between, matches, pairs, respaced, same_markup
from nmt.documents.placing import placed, without_markup
from nmt.passages import Request
from nmt.translate_file import Translates
from nmt.translator import Translation, Translator

Watch = Callable[[Iterator[list[Translation]], int], Iterable[list[Translation]]]  # (what comes, how many come) -> it

MOST_MARKS = 100  # of a line whose markup is put back: that takes their number times that of the words

_BREAK = re.compile(r"([\n\r\t\v\f\x1c-\x1e\x85\u2028\u2029]+)")  # no translation may hold one


@dataclass(frozen=True)
class Translated:
    """A translated document; texts: how many were translated; flags: for each, the numbers from 0 of its texts."""

    content: bytes
    texts: int
    flags: Mapping[str, Sequence[int]]


def unwatched(found: Iterator[list[Translation]], _total: int) -> Iterator[list[Translation]]:
    """What is found as it comes, with no bar."""
    return found


def keeping(translator: Translator, markup: re.Pattern[str] | None) -> Translator:
    """The same translator, which hides a document's markup behind placeholders, if it was trained with them."""
    if markup is None or not translator.tokenizers.placeholders:
        return translator
    return translator.under(translator.search, keep=[markup])


def translate_document(translator: Translates, document: Document, *, watch: Watch = unwatched) -> Translated:
    """The document with all its texts translated.

    A text is translated line by line, each with the white space around it; one without a letter is copied. Where a
    translation has not the markup of its line, that often and as well nested, or has words between tags as they were
    (which models are apt to copy), the line is translated without it, and it is put back by which word was made of
    which; where that fails too, the text between is translated piece by piece.
    """
    markup = document.markup
    lines = {text: _lines(text, markup) for text in document.texts}
    known = _translated(translator, (line for parts in lines.values() for line in parts[::2]), markup, watch)
    if markup is not None:
        spoilt = [line for line, found in known.items() if not same_markup(line, found.text, markup)]
        copied = [line for line, found in known.items() if _copies(line, found.text, markup)]
        whole = _as_wholes(translator, list(dict.fromkeys([*spoilt, *copied])), markup)
        known |= whole
        known |= _by_pieces(translator, [line for line in spoilt if line not in whole], markup)
        known = {line: replace(found, text=respaced(line, found.text, markup)) for line, found in known.items()}
    translations = [_whole(text, lines[text], known, markup) for text in document.texts]
    flags: dict[str, list[int]] = {}
    for number, found in enumerate(translations):
        for flag in found.flags:
            flags.setdefault(flag, []).append(number)
    return Translated(document.filled(translations), len(translations), flags)


def has_letters(text: str) -> bool:
    """Is there anything to translate?"""
    return any(map(str.isalpha, text))


def _copies(line: str, translation: str, markup: re.Pattern[str]) -> bool:
    """Was a line translated, but for what stands between some pair of its tags? It has no other markup."""
    if line == translation or not all(mark.startswith("<") for mark in matches(line, markup)):
        return False
    ours, theirs = (set(_inside_tags(text, markup)) for text in (translation, line))
    return any(map(has_letters, ours & theirs))


def _inside_tags(text: str, markup: re.Pattern[str]) -> list[str]:
    """What each pair of tags holds."""
    parts = between(text, markup)
    return ["".join(parts[2 * begin + 2 : 2 * end + 1]).strip() for begin, end in pairs(parts[1::2]).items()]


def _as_wholes(translator: Translates, lines: Sequence[str], markup: re.Pattern[str]) -> dict[str, Translation]:
    """Lines translated without their markup, which is then put back; those where it finds no place are left out."""
    bare = {line: without_markup(line, markup) for line in lines if len(matches(line, markup)) <= MOST_MARKS}
    known = _translated(translator, (one.text for one in bare.values()), markup, unwatched, alignments=True)
    done = {}
    for line, one in bare.items():
        found = known.get(one.text)
        text = found and placed(one, found.text, found.alignment)
        if found and text and same_markup(line, text, markup):
            done[line] = Translation(text, flags=tuple(flag for flag in found.flags if flag != "placeholders"))
    return done


def _by_pieces(translator: Translates, lines: Sequence[str], markup: re.Pattern[str]) -> dict[str, Translation]:
    """Lines whose markup stays where it is, and the text between it is translated piece by piece."""
    pieces = {line: between(line, markup) for line in lines}
    known = _translated(translator, (text for parts in pieces.values() for text in parts[::2]), markup, unwatched)
    return {line: _joined(parts, known, markup) for line, parts in pieces.items()}


def _joined(parts: Sequence[str], known: Mapping[str, Translation], markup: re.Pattern[str]) -> Translation:
    """Translated pieces with the markup between them; one whose translation makes up markup stays as it was."""
    texts = list(parts)
    flags: dict[str, None] = {}
    for at in range(0, len(parts), 2):
        found = known.get(parts[at])
        if found is not None:
            texts[at] = parts[at] if matches(found.text, markup) else found.text
            flags.update(dict.fromkeys(flag for flag in found.flags if flag != "placeholders"))
    if not same_markup("".join(parts), "".join(texts), markup):  # two pieces made one where they met
        texts = list(parts)
    return Translation("".join(texts), flags=tuple(flags))


def _translated(
    translator: Translates,
    lines: Iterable[str],
    markup: re.Pattern[str] | None,
    watch: Watch,
    *,
    alignments: bool = False,
) -> dict[str, Translation]:
    """Each line's translation, with the white space around it; those with nothing to translate are left out."""
    stripped = {line: line.strip() for line in lines}
    wanted = [
        core for core in dict.fromkeys(stripped.values()) if has_letters(markup.sub("", core) if markup else core)
    ]
    asked = (Request(core, number) for number, core in enumerate(wanted))
    found = watch(translator.translations(asked, n_best=1, read_ahead=None, alignments=alignments), len(wanted))
    of_core = dict(zip(wanted, (best for best, *_ in found), strict=True))
    return {line: _around(line, core, of_core[core]) for line, core in stripped.items() if core in of_core}


def _around(line: str, core: str, found: Translation) -> Translation:
    """The translation of what is in a line, with the line's own white space around it."""
    at = line.index(core)
    return replace(found, text=line[:at] + found.text.strip() + line[at + len(core) :])


def _lines(text: str, markup: re.Pattern[str] | None) -> list[str]:
    """Line, what ends it, line, ... line; an end within markup is none."""
    if not _BREAK.search(text):
        return [text]
    inside = [match.span() for match in markup.finditer(text)] if markup else []
    parts, end = [], 0
    for match in _BREAK.finditer(text):
        if not any(begin < match.end() and match.start() < after for begin, after in inside):
            parts += [text[end : match.start()], match[0]]
            end = match.end()
    return [*parts, text[end:]]


def _whole(
    text: str, lines: Sequence[str], known: Mapping[str, Translation], markup: re.Pattern[str] | None
) -> Translation:
    """A text of one or more lines."""
    if len(lines) == 1:
        return known.get(text, Translation(text))
    found = [known.get(line, Translation(line)) for line in lines]
    parts = [one.text if at % 2 == 0 else end for at, (one, end) in enumerate(zip(found, lines, strict=True))]
    if markup is not None and not same_markup(text, "".join(parts), markup):  # two lines made one where they met
        return Translation(text)
    flags = dict.fromkeys(flag for one in found[::2] for flag in one.flags)
    return Translation("".join(parts), flags=tuple(flags))
