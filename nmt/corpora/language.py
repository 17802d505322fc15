"""Which language a text is in, by py3langid (Lui and Baldwin, 2012; the extra `language`), asked with care.

Imported only where languages are to be told, since the package may be missing.
"""

import re
from functools import lru_cache
from typing import Any, NamedTuple

from py3langid.langid import MODEL_FILE, LanguageIdentifier

MIN_LETTERS = 20  # in words that tell; half of it where a script has no small letters
MIN_WORDS = 4
SURE = 0.9  # what the other language has of the probability that it and the expected one share

# So close that good text of the one may be taken for the other.
_KIN = (
    {"no", "nb", "nn", "da", "sv"},
    {"hr", "sr", "bs", "sl"},
    {"cs", "sk"},
    {"id", "ms", "jv"},
    {"es", "gl", "an", "pt", "ast", "ca", "oc"},
    {"hi", "mr", "ne"},
    {"ru", "uk", "be", "bg", "mk"},
    {"af", "nl"},
    {"de", "lb", "nds"},
    {"fr", "wa", "oc"},
    {"zh", "ja"},
    {"xh", "zu"},
)
_WORD = re.compile(r"[^\W\d_]+")


def other_language(text: str, language: str) -> str | None:
    """The language that a text is in, where it is surely not the expected one, such as "de" or "pt_BR".

    Numbers and names tell nothing: a text needs some words in small letters after its first, where its script has such.
    """
    language = re.split("[-_]", language.lower())[0]
    words = _WORD.findall(text)
    if language not in _identifier().labels or not _tells(words):
        return None
    shares = dict(_identifier().rank(" ".join(words)))
    best = max(shares, key=lambda name: shares[name])
    if any({best, language} <= kin for kin in _KIN):
        return None
    return best if shares[best] * (1 - SURE) > shares[language] * SURE else None


class WrongLanguage(NamedTuple):
    """(source, target) -> whether one of them is surely in another language than its own."""

    src_lang: str
    tgt_lang: str

    def __call__(self, src: str, tgt: str) -> bool:
        return bool(other_language(src, self.src_lang) or other_language(tgt, self.tgt_lang))


def _tells(words: list[str]) -> bool:
    if all(word.lower() == word.upper() for word in words):
        return 2 * sum(map(len, words)) >= MIN_LETTERS  # a script without letter case, and seldom with spaces
    small = [word for number, word in enumerate(words) if word.islower() or number == 0]
    return len(small) >= MIN_WORDS and sum(map(len, small)) >= MIN_LETTERS


@lru_cache(maxsize=1)
def _identifier() -> Any:
    """The model, read once in each process."""
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
