"""Translations that need no model: the text as it is, in capitals, or with its markup out of order."""

from collections.abc import Callable

from nmt.documents.document import Document, Wanted
from nmt.translator import Translation

GERMAN_TO_ENGLISH = Wanted(src_lang="de", tgt_lang="en")


def same(document: Document) -> bytes:
    return document.filled([Translation(text) for text in document.texts])


def outside_markup(document: Document, change: Callable[[str], str]) -> bytes:
    """The document with all words changed, and its markup as it was."""
    assert document.markup is not None
    translations = []
    for text in document.texts:
        done, end = "", 0
        for match in document.markup.finditer(text):
            done += change(text[end : match.start()]) + match[0]
            end = match.end()
        translations.append(Translation(done + change(text[end:])))
    return document.filled(translations)


def shouted(document: Document) -> bytes:
    return outside_markup(document, str.upper)
