"""Long lines in sentences, and longer sentences in pieces, with all spacing kept.

By marks, closing quotes, abbreviations and the word that follows: no model and no list of a language's words. In doubt
it does not split, since two sentences together translate better than two halves of one.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import zip_longest

_MARKS = ".!?…؟।"
_CLOSING = "\"'”’“‘»«›‹)]}*_"  # a German quotation ends with what begins an English one
_OPENING = "\"'“”„‚‘»«›‹([{¿¡*_–—-"
# after it a sentence ends without a space too; a quotation that is only mentioned goes on with "to"
_CJK_SENTENCE = re.compile(r"(?<![。！？｡])[。！？｡]++[」』）”’\"》〉】]*+(?!と)")
_ROMAN = re.compile(r"(?=.)X{0,3}(?:IX|IV|V?I{0,3})")
_COMMA = re.compile(r"[,;:،؛](?=\s)|[、，；：]")
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"(\S+)(\s*)")
_JOINER = "\u200d"

# in lower case, without the last dot; none that often ends a sentence ("etc.", "usw.")
_ABBREVIATION = re.compile(
    "dr|prof|mr|mrs|ms|mx|messrs|mme|mlle|st|mt|ft|jr|sr|hr|hrn|fr|frl|gen|col|maj|capt|lt|sgt|adm|cmdr|rev|hon|gov|sen|"
    "pres|dipl|vs|cf|approx|dept|ca|vgl|bzw|bspw|evtl|ggf|inkl|exkl|zzgl|sog|geb|gest|allg|bes|insb|urspr|vorm|nachm|"
    "mio|mrd|tsd|str|hl|sra|srta|dña|ud|uds|phil|jur|rer|nat"
)
_BEFORE_NUMBERS = re.compile(
    "nos?|nrn?|núm|figs?|abb|tabl?|eq|sec|chap|kap|vol|bd|pp|art|abs|ziff|rn|§|vers?|tel|fax|"
    "jan|feb|mar|mär|apr|jun|jul|aug|sept?|o[ck]t|nov|de[cz]|max|min"
)


def split_sentences(text: str) -> list[tuple[str, str]]:
    """The sentences, each with the space after it; joined again they are the text.

    A text that begins with a space has an empty sentence before it.
    """
    found: list[tuple[str, str]] = []
    begin = len(text) - len(text.lstrip())
    if begin:
        found.append(("", text[:begin]))
    words = list(_WORD.finditer(text, begin))
    for word, following in zip_longest(words, words[1:]):
        for end in _ends_within(word[1]):
            found.append((text[begin : word.start() + end], ""))
            begin = word.start() + end
        if begin < word.end(1) and (following is None or _ends(word[1], following[1])):
            found.append((text[begin : word.end(1)], word[2]))
            begin = word.end()
        elif begin == word.end(1):  # a sentence of Chinese or Japanese ended with the word
            found[-1] = (found[-1][0], word[2])
            begin = word.end()
    return found


def split_text(text: str, *, max_chars: int) -> list[tuple[str, str]]:
    """Sentences as `split_sentences` has them, those over `max_chars` cut after commas, else at spaces, else anywhere.

    No piece is longer, and joined again they are the text.
    """
    assert max_chars > 0
    return [
        piece
        for sentence, space in split_sentences(text)
        for piece in (_pieces(sentence, space, max_chars) if len(sentence) > max_chars else [(sentence, space)])
    ]


def _ends_within(word: str) -> Iterator[int]:
    """Where sentences end that need no space after them."""
    return (match.end() for match in _CJK_SENTENCE.finditer(word))


def _ends(word: str, following: str) -> bool:
    bare = word.rstrip(_CLOSING)
    core = bare.rstrip(_MARKS)
    mark = bare[len(core) :]
    first = following.lstrip(_OPENING)[:1]
    if not mark or not first or first.islower():
        return False
    return mark != "." or not _abbreviates(core.lstrip(_OPENING), first)


def _abbreviates(word: str, first: str) -> bool:
    """Whether the dot after the word belongs to it; `first` is the first character of the next word."""
    word = re.split("[-/(]", word)[-1]
    parts = word.split(".")
    if all(len(part) <= 2 and part.isalpha() for part in parts) and (len(parts) > 1 or len(word) == 1):
        return True  # a name's first letter; "e.g", "z.B", "U.S"
    if word.isdigit():
        return len(word) <= 2  # "3. Mai"; a year ends a sentence
    lower = word.lower()
    known = [_ABBREVIATION.fullmatch(lower), first.isdigit() and _BEFORE_NUMBERS.fullmatch(lower)]
    return any(known) or _ROMAN.fullmatch(word) is not None


def _pieces(sentence: str, space: str, max_chars: int) -> Iterator[tuple[str, str]]:
    begin = 0
    while len(sentence) - begin > max_chars:
        end = _last_end(sentence, begin, max_chars)
        gap = _SPACE.match(sentence, end)
        after = gap.end() if gap else end
        yield sentence[begin:end], sentence[end:after]
        begin = after
    yield sentence[begin:], space


def _last_end(text: str, begin: int, max_chars: int) -> int:
    """Where to end a piece: after a comma in its second half, at its last space, or where a character may end."""
    limit = begin + max_chars
    commas = [match.end() for match in _COMMA.finditer(text, begin + max_chars // 2, limit + 1) if match.end() <= limit]
    if commas:
        return commas[-1]
    spaces = [match.start() for match in _SPACE.finditer(text, begin + 1, limit + 1)]
    if spaces:
        return spaces[-1]
    end = limit
    while end > begin + 1 and (unicodedata.combining(text[end]) or _JOINER in text[end - 1 : end + 1]):
        end -= 1
    return end if end > begin + 1 else limit
