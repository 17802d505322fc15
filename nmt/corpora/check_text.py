"""What each pair of a corpus looks like by itself: lengths, suspicions, digests, and a sketch of its words."""

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import numpy as np

from nmt.corpora.rules import (
    Limits,
    bad_ratio,
    expected_scripts,
    other_numbers,
    other_placeholders,
    other_script,
    same_sides,
)
from nmt.data.duplicates import digests
from nmt.data.lines import DecodeErrors, TextFile

OtherLanguage = Callable[[str, str], str | None]  # (text, expected language) -> which other it is surely in
Test = Callable[[str, str, "Looking"], bool]

SKETCH_WORDS = 4  # of 64 bits, for each side
ENDS = ".?!:;,)"  # each its own class, together with what other scripts have for it
FEATURES = {
    "src_chars": "int32",
    "tgt_chars": "int32",
    "src_words": "int32",
    "tgt_words": "int32",
    "problems": "int64",
    "pair": "uint64",
    "source": "uint64",
    "src_end": "int8",
    "tgt_end": "int8",
    **{f"{side}_sketch{word}": "uint64" for side in ("src", "tgt") for word in range(SKETCH_WORDS)},
}

_TOKEN = re.compile(r"\d+|[^\W\d_]{4,}")
_PREFIX = 5  # letters that related words have in common: "Kontrolle", "control" not, "Operator", "operating" not quite
_SAME_ENDS = str.maketrans("。？！：；，）؟", ".?!:;,)?")
# UTF-8 read as Latin-1 or Windows-1252: the lead byte of a letter, then a byte that no word has there.
_MOJIBAKE = re.compile("[ÃÂÐÑ][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€[\x80-\xbf™œ“”¦]|ï»¿")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")
_ZERO_WIDTH = re.compile("[\u200b\u2060\ufeff]")  # joiners and direction marks have their use


@dataclass(frozen=True)
class Looking:
    """How pairs are looked at. other_language: None where no one can tell."""

    limits: Limits
    other_language: OtherLanguage | None


def _other_language(src: str, tgt: str, looking: Looking) -> bool:
    tell = looking.other_language
    return bool(tell) and any(tell(*side) for side in zip((src, tgt), looking.limits.languages, strict=True))  # type: ignore[misc]


def _has(pattern: re.Pattern[str]) -> Test:
    return lambda src, tgt, looking: bool(pattern.search(src) or pattern.search(tgt))


def _one_in_capitals(src: str, tgt: str, looking: Looking) -> bool:
    # letters without case are no capitals: Japanese around "GTK" is not shouting
    return src.isupper() != tgt.isupper() and sum(map(str.isupper, src if src.isupper() else tgt)) > 10


def _one_without_letters(src: str, tgt: str, looking: Looking) -> bool:
    return any(map(str.isalpha, src)) != any(map(str.isalpha, tgt))


# In the order in which they are shown; all are asked, of pairs with text on both sides.
PROBLEMS: dict[str, Test] = {
    "wrong language": _other_language,
    "wrong script": lambda src, tgt, looking: other_script(src, tgt, looking.limits),
    "identical sides": lambda src, tgt, looking: same_sides(src, tgt, looking.limits),
    "length ratio": lambda src, tgt, looking: bad_ratio(src, tgt, looking.limits),
    "placeholders": lambda src, tgt, looking: other_placeholders(src, tgt, looking.limits),
    "numbers": lambda src, tgt, looking: other_numbers(src, tgt, looking.limits),
    "one side in capitals": _one_in_capitals,
    "one side without letters": _one_without_letters,
    "broken encoding (Ã¼)": _has(_MOJIBAKE),
    "replacement character U+FFFD": lambda src, tgt, looking: "\ufffd" in src or "\ufffd" in tgt,
    "control characters": _has(_CONTROL),
    "private-use characters": _has(_PRIVATE),
    "zero-width characters": _has(_ZERO_WIDTH),
}


def measure(src: list[str], tgt: list[str], fault: list[str], *, looking: Looking) -> dict[str, Any]:
    """The columns of FEATURES, for work in several processes."""
    # a training takes two pairs for one only where the spaces around them are the same too
    columns: dict[str, Any] = {
        "pair": digests(map("\n".join, zip(src, tgt, fault, strict=True))),
        "source": digests(src),
    }
    src, tgt = ([text.strip() for text in side] for side in (src, tgt))
    columns["problems"] = [_problems(*pair, looking) for pair in zip(src, tgt, strict=True)]
    for name, texts in (("src", src), ("tgt", tgt)):
        columns[f"{name}_chars"] = [len(text) for text in texts]
        columns[f"{name}_words"] = [len(text.split()) for text in texts]
        columns[f"{name}_end"] = [ENDS.find(text[-1:].translate(_SAME_ENDS)) if text else -2 for text in texts]
        sketches = np.array([_sketch(text) for text in texts], dtype=np.uint64).reshape(-1, SKETCH_WORDS)
        columns |= {f"{name}_sketch{word}": sketches[:, word] for word in range(SKETCH_WORDS)}
    return columns


def _problems(src: str, tgt: str, looking: Looking) -> int:
    if not src or not tgt:
        return 0
    return sum(1 << bit for bit, test in enumerate(PROBLEMS.values()) if test(src, tgt, looking))


def _sketch(text: str) -> list[int]:
    """A bit for each number, and for the beginning of each longer word without its accents."""
    bits = 0
    for token in _TOKEN.findall(text):
        plain = unicodedata.normalize("NFKD", token.casefold())[:_PREFIX]
        bits |= 1 << (zlib.crc32(plain.encode()) % (64 * SKETCH_WORDS))
    return [bits >> (64 * word) & 0xFFFF_FFFF_FFFF_FFFF for word in range(SKETCH_WORDS)]


@dataclass(frozen=True)
class BadBytes:
    """The lines of a file that are not UTF-8. first: path:line:byte of some; guess: what they may be, in words."""

    lines: int
    utf8_lines: int
    first: tuple[str, ...]
    guess: str


def bad_bytes(file: TextFile, *, examples: int) -> BadBytes | None:
    """Reads the whole file. None where all of it is UTF-8. Raises DataError as `read_lines` does."""
    # the reader hands the name of the error handler on; this one keeps the bytes
    escaped = cast(DecodeErrors, "surrogateescape")
    first: list[str] = []
    bad = good = western = 0
    for number, line in enumerate(file.lines(escaped), start=1):
        if line.isascii():
            continue
        raw = line.encode("utf-8", "surrogateescape")
        try:
            raw.decode()
        except UnicodeDecodeError as fault:
            bad += 1
            western += _is_western(raw)
            first += [f"{file.shown}:{number}:{fault.start + 1}"] if len(first) < examples else []
        else:
            good += 1
    if not bad:
        return None
    guess = "they look like Latin-1 or Windows-1252" if western > 0.9 * bad else "their encoding is not plain"
    return BadBytes(bad, good, tuple(first), guess)


def _is_western(raw: bytes) -> bool:
    """Whether, read as Windows-1252, what is not ASCII are some letters among others, or quotes and dashes."""
    text = raw.decode("cp1252", "replace")
    high = [char for char in text if not char.isascii()]
    usual = sum(char in "äöüßÄÖÜáàâãåæçéèêëíìîïñóòôõøúùûýÿÉÈÀÁÓÚÍÇœŒ«»„“”‘’–—…°§©®µ·½²³€\xa0¿¡" for char in high)
    plain = sum(char.isascii() and char.isalpha() for char in text)  # other alphabets have none, but for names
    return usual >= 0.8 * len(high) and len(high) <= plain


def scripts(chars: Counter[str]) -> dict[str, int]:
    """Letters by script, as Unicode names them, the most frequent first."""
    found: Counter[str] = Counter()
    for char, count in chars.items():
        if char.isalpha():
            found[unicodedata.name(char, "UNNAMED").split()[0].removesuffix("-COMPATIBILITY")] += count
    return dict(islice(sorted(found.items(), key=lambda item: (-item[1], item[0])), 8))


def foreign_scripts(found: dict[str, int], language: str) -> float:
    """The share of letters in a script that the language is not written in; 0 where that is not known."""
    expected = expected_scripts(language)
    total = sum(found.values())
    return 1 - sum(found.get(name, 0) for name in expected) / total if expected and total else 0.0
