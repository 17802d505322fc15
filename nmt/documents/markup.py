"""Markup in a text that was translated: is all of it there, and are the spaces around it?"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

_TAG = re.compile(r"<(/?)([A-Za-z0-9][\w:.-]*)[^<>]*?(/?)>", re.DOTALL)
_CLOSES = re.compile("[.,;:!?)]")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff]")  # Thai, Chinese ...


def same_markup(source: str, translation: str, markup: re.Pattern[str]) -> bool:
    """Has a translation all markup of its source, no other, and, where the source has, each tag's end behind it?"""
    theirs, ours = (matches(text, markup) for text in (source, translation))
    return Counter(theirs) == Counter(ours) and (theirs == ours or not _nested(theirs) or _nested(ours))


def matches(text: str, markup: re.Pattern[str]) -> list[str]:
    """The markup of a text, in order."""
    return [match[0] for match in markup.finditer(text) if match[0]]


def between(line: str, markup: re.Pattern[str]) -> list[str]:
    """Text, markup, text, markup ... text; texts may be empty."""
    parts, end = [], 0
    for match in markup.finditer(line):
        if match[0]:
            parts += [line[end : match.start()], match[0]]
            end = match.end()
    return [*parts, line[end:]]


def pairs(markup: Sequence[str]) -> dict[int, int]:
    """Where tags that have an end begin -> where they end: well nested; a tag without a partner is in no pair."""
    found: dict[int, int] = {}
    opened: list[tuple[int, str]] = []
    names: Counter[str] = Counter()  # of what is open
    for at, text in enumerate(markup):
        match = _TAG.fullmatch(text)
        if match is None or match[3]:
            continue
        if not match[1]:
            opened.append((at, match[2]))
            names[match[2]] += 1
        while match[1] and names[match[2]]:
            begin, name = opened.pop()
            names[name] -= 1
            if name == match[2]:
                found[begin] = at
                break
    return found


def respaced(source: str, translation: str, markup: re.Pattern[str]) -> str:
    """The translation with spaces around its markup as the source has them.

    What begins or ends something in the source, a tag or what clings to the word behind or before it, does so in the
    translation, and where it is no part of a word there, it is none here: a model that sees markup as symbols now and
    then forgets on which side of it a space belongs.
    """
    theirs, ours = between(source, markup), between(translation, markup)
    begun = {2 * opened + 1 for opened in pairs(theirs[1::2])}
    places: defaultdict[str, list[int]] = defaultdict(list)
    for at in range(1, len(theirs), 2):
        places[theirs[at]].append(at)
    for at in range(1, len(ours), 2):
        if not places[ours[at]]:
            continue
        there = places[ours[at]].pop(0)
        before, after = theirs[there - 1][-1:], theirs[there + 1][:1]
        begins = there in begun if _is_tag(ours[at]) else before.isspace() and after.isalnum()
        ends = ours[at].startswith("</") if _is_tag(ours[at]) else before.isalnum() and not after.isalnum()
        if begins and not after.isspace():
            ours[at + 1] = ours[at + 1].lstrip(" ")
        if ends and not before.isspace():
            ours[at - 1] = ours[at - 1].rstrip(" ")
        last, following = ours[at - 1][-1:], ours[at + 1][:1]
        if not ends and ((_is_spaced(last) and not before.isalnum()) or (_CLOSES.match(last) and before.isspace())):
            ours[at - 1] += " "
        if not begins and ((_is_spaced(following) and not after.isalnum()) or (following == "(" and after.isspace())):
            ours[at + 1] = " " + ours[at + 1]
    return "".join(ours)


def _is_spaced(char: str) -> bool:
    """Of a word, in a script that parts words."""
    return char.isalnum() and not _UNSPACED.match(char)


def _is_tag(mark: str) -> bool:
    """One of a pair."""
    match = _TAG.fullmatch(mark)
    return match is not None and not match[3]


def _nested(markup: Sequence[str]) -> bool:
    """Does each end of a tag belong to the last one that is open? Tags that nothing ends may stand anywhere."""
    tags = [match.groups() for text in markup if (match := _TAG.fullmatch(text))]
    ended = {name for end, name, _ in tags if end}
    opened: list[str] = []
    for end, name, alone in tags:
        if end and (not opened or opened.pop() != name):
            return False
        if name in ended and not end and not alone:
            opened.append(name)
    return not opened
