"""Spans of a text that must survive translation: found by rule, masked by reserved symbols, put back afterwards.

Names and patterns work on normalised text; `TokenizerPair` normalises before it masks, so that what is put back is
what `Tokenizer.normalize` would have made of the line.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

PlaceholderKind = Literal["braces", "printf", "tags", "urls", "emails", "numbers"]
PlaceholderKinds = tuple[PlaceholderKind, ...]

# A part of the key of encoded ids: raise it whenever the same text comes to be masked otherwise.
MASKING_VERSION = 1
SYMBOLS = tuple(f"\u27e6ph{number}\u27e7" for number in range(16))

_SYMBOL = re.compile("\u27e6ph(?:1[0-5]|[0-9])\u27e7")
_SYMBOL_ALONE = re.compile(f"({_SYMBOL.pattern})")
_SYMBOL_START = "\u27e6ph"  # a text without it has no symbol
_SPACE = re.compile(r"\s+")
_AFTER_MARK = re.compile(r"(?<=[.!?;:,])\s+|(?<=[。！？；：，、])\s*")

# In the order in which they are tried at a position. Each is linear in the text: where a run of characters may be long,
# a look-behind lets it start at its first character only.
PATTERNS: Mapping[PlaceholderKind, str] = {
    "urls": r"""(?<!\w)(?:(?:https?|ftp)://|www\.)
        (?:\([^\s()<>"'«»“”„]*\)|[^\s()<>"'«»“”„。，、！？；：（）「」『』])+(?<![.,;:!?…\]}*])""",
    "emails": r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]+(?:\.[\w-]+)+",
    "tags": r"</?[A-Za-z0-9][\w:.-]*(?:\s[^<>]*)?/?>|&(?:\#[0-9]+|\#[xX][0-9A-Fa-f]+|[A-Za-z][A-Za-z0-9]{1,31});",
    "braces": r"""\{\{[^{}]{1,200}\}\}
        |[$\#%]?\{\ ?(?:[\w.\[\]-]+(?:![rsa])?(?::[^{}\s]*)?)?\ ?\}""",
    # a letter other than d and s that begins a longer word is no conversion: "50 %ige"; nor is any after a digit: "5%d"
    "printf": r"""%%|(?<![0-9])%(?:[0-9]+\$|\([^()\s]*\))?[-+\#0]*(?:[0-9]+|\*)?(?:\.(?:[0-9]+|\*))?
        (?:hh|h|ll|l|L|q|j|z|t)?(?:[ds@]|[iouxXeEfFgGcrp](?![^\W\d_]))""",
    # no part of a word: "mp3", "B-52", "3D", "20-year-old"
    "numbers": r"""(?<!\w)(?<!\w[.,:/'’])(?<![^\W\d]-)(?:(?<![\d.,:/])[-+−])?(?>\d+(?:[.,:/'’]\d+)*)(?!\w|-[^\W\d])""",
}


class Masked(NamedTuple):
    """A text with symbols, and the span that each of them stands for: as often as in the text, in order of appearance.

    Equal spans share a symbol; the first span has the first of SYMBOLS, the next other one the second, and so on.
    """

    text: str
    spans: tuple[str, ...]


class Unmasked(NamedTuple):
    """The text with its spans; those that were missing from it, and those that it had too often.

    A symbol that stands for nothing is taken out, and counted among `extra` as it was.
    """

    text: str
    missing: tuple[str, ...]
    extra: tuple[str, ...]


Place = tuple[int, int]  # begin and end of a span in a text


def mask(text: str, kinds: Sequence[PlaceholderKind], *, keep: Sequence[re.Pattern[str]] = ()) -> Masked:
    """Symbols in place of all spans, of no more than 16 different ones: the others stay text.

    keep: patterns whose matches are spans before those of any kind. What spells a symbol is a span too, always.
    """
    places = find_spans(text, kinds, keep=keep)
    return _mask(text, _first_different(text, places, len(SYMBOLS) - len(_spelled(text))), {})


def mask_pair(src: str, tgt: str, kinds: Sequence[PlaceholderKind]) -> tuple[str, str]:
    """Both texts of a training pair, with the same symbols for the spans that both have, as often as both have them."""
    places = find_spans(src, kinds), find_spans(tgt, kinds)
    spelled = _spelled(src) | _spelled(tgt)
    if not spelled and not all(places):
        return src, tgt
    of_src, of_tgt = (Counter(_spans(text, own)) for text, own in zip((src, tgt), places, strict=True))
    kept = _first_different(src, _at_most(src, places[0], of_src & of_tgt), len(SYMBOLS) - len(spelled))
    numbers: dict[str, int] = {}  # of each span
    masked = _mask(src, kept, numbers).text
    return masked, _mask(tgt, _at_most(tgt, places[1], Counter(_spans(src, kept))), numbers).text


def mask_pairs(src: Sequence[str], tgt: Sequence[str], kinds: Sequence[PlaceholderKind]) -> tuple[list[str], list[str]]:
    """`mask_pair` of each line and its translation."""
    pairs = [mask_pair(*pair, kinds) for pair in zip(src, tgt, strict=True)]
    return [src for src, _ in pairs], [tgt for _, tgt in pairs]


def unmask(text: str, spans: Sequence[str]) -> Unmasked:
    """What `mask` hid, put back where `text`, a translation, has its symbols; `spans` are those of the source."""
    different = dict(zip(SYMBOLS, dict.fromkeys(spans), strict=False))
    produced = _SYMBOL.findall(text)
    whole = _SYMBOL.sub(lambda symbol: different.get(symbol[0], ""), text)
    if not different.keys() >= set(produced):
        whole = " ".join(whole.split())
    return Unmasked(whole, *_compared(spans, [different.get(symbol, symbol) for symbol in produced]))


def differences(
    source: str, translation: str, kinds: Sequence[PlaceholderKind], *, keep: Sequence[re.Pattern[str]] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The spans that a translation lacks, and those that it has too often; both texts as a reader has them."""
    return _compared(*(_spans(text, find_spans(text, kinds, keep=keep)) for text in (source, translation)))


def find_spans(text: str, kinds: Sequence[PlaceholderKind], *, keep: Sequence[re.Pattern[str]] = ()) -> list[Place]:
    """Where the spans are, in order; none overlaps another."""
    places = [match.span() for match in _pattern(tuple(kinds)).finditer(text)] if kinds else []
    for pattern in reversed(keep):
        own = [match.span() for match in pattern.finditer(text) if match[0]]
        places = sorted([*own, *_beside(own, places)])
    return places


def portions(
    text: str, kinds: Sequence[PlaceholderKind], *, keep: Sequence[re.Pattern[str]] = ()
) -> list[tuple[str, str]]:
    """The text in pieces of as many different spans as there are symbols for, and the space after each.

    The spans are those of the whole text. Cut after a mark where one stands between two of them, else at a space, else
    right before a span; joined again the pieces are the text.
    """
    room = max(1, len(SYMBOLS) - len(_spelled(text)))
    cuts, held, before = [(0, 0)], set[str](), 0
    for begin, end in find_spans(text, kinds, keep=keep):
        span = text[begin:end]
        if span not in held and len(held) == room:
            ways = ([match.span() for match in way.finditer(text, before, begin)] for way in (_AFTER_MARK, _SPACE))
            cuts.append(next(filter(None, ways), [(begin, begin)])[-1])
            held.clear()
        held.add(span)
        before = end
    cuts.append((len(text), len(text)))
    return [(text[begin:end], text[end:following]) for (_, begin), (end, following) in pairwise(cuts)]


def split_at_symbols(text: str) -> list[str]:
    """The text in pieces, none of them empty: symbols, and what stands between them."""
    return [piece for piece in _SYMBOL_ALONE.split(text) if piece] if _SYMBOL_START in text else [text]


def _mask(text: str, places: Sequence[Place], numbers: dict[str, int]) -> Masked:
    """`numbers` has the symbol of each span, and takes up those that it lacks."""
    if _SYMBOL_START in text:
        spelled = [match.span() for match in _SYMBOL.finditer(text)]
        places = sorted([*places, *_beside(places, spelled)])
    pieces, end = [], 0
    for place in places:
        number = numbers.setdefault(text[slice(*place)], len(numbers))
        pieces += [text[end : place[0]], SYMBOLS[number]]
        end = place[1]
    return Masked("".join([*pieces, text[end:]]), tuple(_spans(text, places)))


def _spans(text: str, places: Sequence[Place]) -> list[str]:
    return [text[begin:end] for begin, end in places]


def _spelled(text: str) -> set[str]:
    """The symbols that a text has of its own: they count against those that are free for spans."""
    return set(_SYMBOL.findall(text)) if _SYMBOL_START in text else set()


def _first_different(text: str, places: Sequence[Place], room: int) -> list[Place]:
    kept = set(list(dict.fromkeys(_spans(text, places)))[:room])
    return [place for place in places if text[slice(*place)] in kept]


def _at_most(text: str, places: Sequence[Place], counts: Mapping[str, int]) -> list[Place]:
    """The first places of each span, no more than its count."""
    seen: Counter[str] = Counter()
    kept = []
    for place in places:
        span = text[slice(*place)]
        seen[span] += 1
        if seen[span] <= counts.get(span, 0):
            kept.append(place)
    return kept


def _beside(own: Sequence[Place], others: Sequence[Place]) -> Iterator[Place]:
    """The others that overlap none of the own; both in order."""
    begins = [begin for begin, _ in own]
    for begin, end in others:
        before = bisect_left(begins, end)  # so many begin before this one ends; the last of them ends last
        if before == 0 or own[before - 1][1] <= begin:
            yield begin, end


def _compared(wanted: Sequence[str], found: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    of_wanted, of_found = Counter(wanted), Counter(found)
    return tuple((of_wanted - of_found).elements()), tuple((of_found - of_wanted).elements())


@lru_cache
def _pattern(kinds: tuple[PlaceholderKind, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{PATTERNS[kind]})" for kind in PATTERNS if kind in kinds), re.VERBOSE)
