"""What a pair must satisfy to be worth training on: one small function a rule, and the key by which texts are twins."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from nmt.data.placeholders import PlaceholderKind, differences

LETTERLESS = ""  # the script of what is no letter
ANY = "ANY"  # that of marks, which stand with letters of any

_ROOM = 10  # characters added to both sides, so that a short pair may differ more
_WIDE_CHARS = 3  # what a character of Chinese, Japanese or Korean counts as in lengths: it says about as much
_WIDE_SCRIPTS = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL"})
# What every placeholder of a kind has in it: to look for that is ten times as fast as to look for the placeholder.
PLACEHOLDER_SIGNS: dict[PlaceholderKind, str] = {
    "braces": r"\{",
    "printf": "%",
    "tags": "[<&]",
    "urls": r"://|www\.",
    "emails": "@",
    "numbers": r"\d",
}
_NUMBER = re.compile(r"\d+(?:[.,:'\u2019\u00a0\u202f]\d+)*")
_NO_DIGIT = re.compile(r"\D")
_WORD = re.compile(r"[^\W\d_]+")

# The scripts that a language is written in; of one that is not here, none is expected. LATIN_LANGUAGES has LATIN.
SCRIPTS: dict[str, frozenset[str]] = {
    **dict.fromkeys(("be", "bg", "kk", "ky", "mk", "mn", "ru", "tg", "tt", "uk"), frozenset({"CYRILLIC"})),
    **dict.fromkeys(("ar", "ckb", "fa", "ps", "ug", "ur"), frozenset({"ARABIC"})),
    **dict.fromkeys(("hi", "mr", "ne"), frozenset({"DEVANAGARI"})),
    **dict.fromkeys(("as", "bn"), frozenset({"BENGALI"})),
    **dict.fromkeys(("he", "yi"), frozenset({"HEBREW"})),
    **dict.fromkeys(("am", "ti"), frozenset({"ETHIOPIC"})),
    "el": frozenset({"GREEK"}),
    "gu": frozenset({"GUJARATI"}),
    "hy": frozenset({"ARMENIAN"}),
    "ja": frozenset({"CJK", "HIRAGANA", "KATAKANA"}),
    "ka": frozenset({"GEORGIAN"}),
    "km": frozenset({"KHMER"}),
    "kn": frozenset({"KANNADA"}),
    "ko": frozenset({"HANGUL", "CJK"}),
    "lo": frozenset({"LAO"}),
    "ml": frozenset({"MALAYALAM"}),
    "my": frozenset({"MYANMAR"}),
    "or": frozenset({"ORIYA"}),
    "pa": frozenset({"GURMUKHI", "ARABIC"}),
    "si": frozenset({"SINHALA"}),
    "sr": frozenset({"CYRILLIC", "LATIN"}),
    "ta": frozenset({"TAMIL"}),
    "te": frozenset({"TELUGU"}),
    "th": frozenset({"THAI"}),
    "zh": frozenset({"CJK"}),
}
LATIN_LANGUAGES = frozenset(
    {
        "af", "ast", "br", "bs", "ca", "cs", "cy", "da", "de", "en", "eo", "es", "et", "eu", "fi", "fo", "fr", "fy",
        "ga", "gd", "gl", "hr", "hu", "ia", "id", "is", "it", "ku", "la", "lb", "lt", "lv", "mi", "ms", "mt", "nb",
        "nds", "nl", "nn", "no", "oc", "pl", "pt", "ro", "sk", "sl", "sq", "sv", "sw", "tl", "tr", "vi", "wa", "xh",
        "zu"
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Where the rules begin to drop; lengths are in characters, without the spaces around a side.

    max_ratio: of the longer to the shorter side, as a recipe has it. max_long_ratio: the same with 10 characters
    added to both. min_letters: share of letters in what is no space. min_script: share of letters in a script of the
    side's language. same_words: sides of so many words must differ.
    """

    src_lang: str
    tgt_lang: str
    min_chars: int = 1
    max_chars: int = 1000
    max_words: int = 200
    max_ratio: float = 9.0
    max_long_ratio: float = 3.0
    same_words: int = 3
    min_letters: float = 0.3
    min_script: float = 0.4
    placeholders: tuple[PlaceholderKind, ...] = ("braces", "printf", "tags")

    @property
    def languages(self) -> tuple[str, str]:
        """Of the two sides."""
        return self.src_lang, self.tgt_lang


Rule = Callable[[str, str, Limits], bool]  # (source, target, limits) -> whether the pair is to be dropped


def bad_length(src: str, tgt: str, limits: Limits) -> bool:
    """A side is too short or too long, in characters or in words."""
    for side in (src, tgt):
        if not limits.min_chars <= len(side) <= limits.max_chars or len(side.split()) > limits.max_words:
            return True
    return False


def bad_ratio(src: str, tgt: str, limits: Limits) -> bool:
    """One side is too long for the other."""
    short, long = sorted((len(src), len(tgt)))
    if long > limits.max_ratio * short:
        return True
    weights = (_says(side, lang) for side, lang in zip((src, tgt), limits.languages, strict=True))
    short, long = sorted(weights)
    return long + _ROOM > limits.max_long_ratio * (short + _ROOM)


def same_sides(src: str, tgt: str, limits: Limits) -> bool:
    """Both sides are one text, of more than a name or two."""
    return src == tgt and len(_WORD.findall(src)) >= limits.same_words


def few_letters(src: str, tgt: str, limits: Limits) -> bool:
    """A side is mostly digits and signs."""
    for side in (src, tgt):
        wanted = limits.min_letters * sum(map(len, side.split()))
        # marks are letters too, of what is written with many; looking each character up takes longer
        if sum(map(str.isalpha, side)) < wanted > sum(map(bool, map(_SCRIPT_OF.__getitem__, side))):
            return True
    return False


def other_script(src: str, tgt: str, limits: Limits) -> bool:
    """A side is mostly in a script that its language is not written in."""
    return any(not _in_script(side, lang, limits) for side, lang in zip((src, tgt), limits.languages, strict=True))


def other_placeholders(src: str, tgt: str, limits: Limits) -> bool:
    """Variables, conversions or tags of one side are not in the other, as often."""
    signs = _signs(limits.placeholders)
    if not signs.search(src) and not signs.search(tgt):
        return False
    return differences(src, tgt, limits.placeholders) != ((), ())


def other_numbers(src: str, tgt: str, limits: Limits) -> bool:
    """The numbers of both sides differ, however their digits are grouped."""
    return _numbers(src) != _numbers(tgt)


# A pair is asked in this order, and counted under the first that it fails.
RULES: dict[str, Rule] = {
    "length": bad_length,
    "ratio": bad_ratio,
    "identical": same_sides,
    "letters": few_letters,
    "script": other_script,
    "placeholders": other_placeholders,
    "numbers": other_numbers,
}
# All reasons to drop a pair, in the order in which it is asked. The first two always hold; `clean` has the last four,
# which take a detector, or the pairs before.
REASONS = ("columns", "empty", *RULES, "language", "duplicate", "near_duplicate", "many_targets")
OFF = ("numbers", "language", "many_targets")  # unless asked for


def twin_key(text: str) -> str:
    """What a text has in common with its near twins: letter case, digits, punctuation and spaces aside.

    In NFKC, so that wide, raised and circled characters are plain ones. Taken out is what Unicode holds to be
    punctuation (P, so % & # @ * too), a space (Z) or a control, format or private-use character (C). Each run of
    digits, whatever was taken out within it, becomes one 0. All else stays: letters, accents, and symbols (S), each as
    often as it comes: + < = > | ~ ^ ` $, currencies, emoji. A text of which nothing stays is its own key.

    Splits that were made hang on it: with another key they would be cut in other places.
    """
    key = unicodedata.normalize("NFKC", text).casefold().translate(_KEY_CHARS)
    return _ZEROS.sub("0", key) or text.strip()


class _Scripts(dict[str, str]):
    """A character -> its script, in Unicode's words: LATIN, CYRILLIC, CJK ..."""

    def __missing__(self, char: str) -> str:
        category = unicodedata.category(char)
        script = ANY if category[0] == "M" else LETTERLESS
        if category[0] == "L":
            plain = unicodedata.normalize("NFKC", char)[0]  # of wide, raised and other variants of a letter
            script = ANY if category == "Lm" else unicodedata.name(plain, ANY).split()[0]
        self[char] = script
        return script


class _KeyChars(dict[int, int | None]):
    """A code point -> what stands for it in a key, for `str.translate`."""

    def __missing__(self, code: int) -> int | None:
        category = unicodedata.category(chr(code))
        kept = {"P": None, "Z": None, "C": None}.get(category[0], ord("0") if category == "Nd" else code)
        self[code] = kept
        return kept


_BEYOND_LATIN = re.compile("[^\\0-\u024f]")  # up to there all letters are Latin
_ZEROS = re.compile("0+")
_SCRIPT_OF = _Scripts()
_KEY_CHARS = _KeyChars()


def _says(text: str, lang: str) -> int:
    """The length of a text, as one of letters would have it."""
    if expected_scripts(lang).isdisjoint(_WIDE_SCRIPTS):
        return len(text)
    return len(text) + (_WIDE_CHARS - 1) * sum(_SCRIPT_OF[char] in _WIDE_SCRIPTS for char in text)


@lru_cache
def expected_scripts(lang: str) -> frozenset[str]:
    """Those of a language such as "de", "pt_BR" or "sr-Latn"; none where it is not known."""
    primary = re.split("[-_]", lang.lower())[0]
    return frozenset({"LATIN"}) if primary in LATIN_LANGUAGES else SCRIPTS.get(primary, frozenset())


@lru_cache
def _signs(kinds: tuple[PlaceholderKind, ...]) -> re.Pattern[str]:
    return re.compile("|".join(PLACEHOLDER_SIGNS[kind] for kind in kinds) or r"(?!)")


def _in_script(text: str, lang: str, limits: Limits) -> bool:
    expected = expected_scripts(lang)
    if not expected or ("LATIN" in expected and not _BEYOND_LATIN.search(text)):
        return True
    found = Counter(map(_SCRIPT_OF.__getitem__, text))
    letters = found.total() - found[LETTERLESS] - found[ANY]
    return sum(found[script] for script in expected) >= limits.min_script * letters


def _numbers(text: str) -> Counter[str]:
    return Counter(_NO_DIGIT.sub("", number) for number in _NUMBER.findall(text))
