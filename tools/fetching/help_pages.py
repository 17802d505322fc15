"""LibreOffice's help pages: the same paths in each language's package, on them the same blocks with the same ids."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lxml import html

from fetching.texts import Pair, sentence_pairs, tidy

Key = tuple[str, str, str]  # tag, class and id of a block

BLOCKS = ("p", "h1", "h2", "h3", "h4", "h5", "h6", "li", "td", "th", "dt", "dd", "caption")
_CONTENT = "DisplayArea"  # the id of what is not frame: the frame has menus and lists that a script fills
_CODE_BLOCK = re.compile(r"code|example\b")  # "code", "codeintable", "smathcode", "example"
_CODE_TAGS = ("pre", "script", "style", "noscript")
_SWITCH = "switchinline"  # a text for each system or application, of which a script shows one


def page_pairs(page: Path, english: Path, counts: Counter[str]) -> Iterator[Pair]:
    """The texts of two pages that translate each other; blocks that are left out go into `counts` by reason."""
    for text, english_text in _paired(_blocks(page), _blocks(english), counts):
        if text or english_text:  # a cell around its paragraphs has no text of its own
            yield from sentence_pairs(text, english_text)


def _paired(
    blocks: list[tuple[Key, str]], english: list[tuple[Key, str]], counts: Counter[str]
) -> Iterator[tuple[str, str]]:
    """Block by block where both pages have the same outline, since an id may return; else by ids that occur once."""
    if [key for key, _ in blocks] == [key for key, _ in english]:
        yield from ((text, other) for (_, text), (_, other) in zip(blocks, english, strict=True))
        return
    times = [Counter(key[2] for key, _ in side) for side in (blocks, english)]
    texts = {key[2]: text for key, text in blocks}
    for (_, _, name), text in english:
        if name and times[0][name] == times[1][name] == 1:
            yield texts[name], text
        else:
            counts["a block whose partner cannot be told"] += 1


def _blocks(page: Path) -> list[tuple[Key, str]]:
    parser = html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    root = html.document_fromstring(page.read_bytes(), parser=parser)
    area = root.get_element_by_id(_CONTENT, None)
    if area is None:
        return []
    return [
        ((block.tag, block.get("class", ""), block.get("id", "")), tidy("".join(_texts(block))))
        for block in area.iter(*BLOCKS)
        if not _CODE_BLOCK.search(block.get("class", ""))
    ]


def _texts(element: html.HtmlElement) -> Iterator[str]:
    """The text in an element, less that of blocks and code in it; of a switch, the text that is for any system."""
    yield element.text or ""
    children = list(element)
    if _SWITCH in element.get("class", "").split():
        children = _default(children)
    for child in children:
        if child.tag == "br":
            yield " "
        elif child.tag not in BLOCKS and child.tag not in _CODE_TAGS:
            yield from _texts(child)
        yield child.tail or ""


def _default(cases: list[html.HtmlElement]) -> list[html.HtmlElement]:
    return [case for case in cases if case.get("id", "").startswith("default")][:1] or cases[:1]
