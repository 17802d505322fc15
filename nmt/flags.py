"""What looks wrong with a translation, by rules on the two texts alone: names for a reader to sort by, no verdicts."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from nmt.data.glossary import Term, missed
from nmt.data.placeholders import PlaceholderKind, differences, find_spans

# Numbers are not among them: languages write them in other ways ("1,000", "1.000", "2", "two").
CHECKED: tuple[PlaceholderKind, ...] = ("braces", "printf", "tags", "urls", "emails")
NAMES = ("untranslated", "repeated", "length_ratio", "placeholders", "glossary")

_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_]+")
_STUTTER = re.compile(r"(?<!\w)\w*?([^\W\d_]{1,6}?)\1{5,}")  # "hahahahahaha": a piece that the search ran round in


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Where the rules begin to speak.

    untranslated_words, untranslated_share: of a source with so many words in small letters, that much comes back.
    ngram, ngram_times: an n-gram of words so often; run: a word so often in a row.
    never_times: so often even if the source does.
    lowest_ratio, highest_ratio: of `length_ratio`; `usual_ratios` finds them for a corpus.
    """

    untranslated_words: int = 3
    untranslated_share: float = 0.75
    ngram: int = 4
    ngram_times: int = 3
    run: int = 4
    never_times: int = 20
    lowest_ratio: float = 0.4
    highest_ratio: float = 2.5


DEFAULT = Limits()


def flags(
    source: str,
    translation: str,
    *,
    limits: Limits = DEFAULT,
    kinds: Sequence[PlaceholderKind] = CHECKED,
    keep: Sequence[re.Pattern[str]] = (),
    terms: Sequence[Term] = (),
) -> tuple[str, ...]:
    """Those of NAMES that hold of a translation; none of a blank source.

    kinds, keep: of spans that must be as often in both, as `placeholders.mask` has them. terms: that a glossary found
    in the source.
    """
    source, translation = (" ".join(unicodedata.normalize("NFC", text).split()) for text in (source, translation))
    if not source:
        return ()
    raised = {
        "untranslated": _untranslated(source, translation, kinds, limits),
        "repeated": _repeated(source, translation, limits),
        "length_ratio": not limits.lowest_ratio <= length_ratio(source, translation) <= limits.highest_ratio,
        "placeholders": differences(source, translation, kinds, keep=keep) != ((), ()),
        "glossary": bool(missed(terms, translation)),
    }
    return tuple(name for name in NAMES if raised[name])


def length_ratio(source: str, translation: str) -> float:
    """Target by source length, each with 10 more, so that a short line may differ more; 0 where all text is lost.

    In characters; one of Chinese, Japanese or Korean counts as three, since it says about as much.
    """
    if any(map(str.isalnum, source)) and not translation.strip():
        return 0.0
    src, tgt = (len(text.strip()) + 2 * len(_WIDE.findall(text)) for text in (source, translation))
    return (tgt + 10) / (src + 10)


def usual_ratios(pairs: Iterable[tuple[str, str]], *, outside: float = 0.001) -> tuple[float, float]:
    """The lowest and the highest `length_ratio` of training text, without a share at either end, and a tenth beyond.

    Raises ValueError where there are no pairs.
    """
    ratios = sorted(length_ratio(src, tgt) for src, tgt in pairs)
    if not ratios:
        raise ValueError("no pairs to take length ratios from")
    cut = int(len(ratios) * outside)
    return ratios[cut] / 1.1, ratios[-1 - cut] * 1.1


def _untranslated(source: str, translation: str, kinds: Sequence[PlaceholderKind], limits: Limits) -> bool:
    """Most words are the source's. Names, numbers and placeholders are the same in many a good translation.

    Words in small letters are not, so it takes some of them in the source; a script without small letters has nothing
    else.
    """
    words = [_WORD.findall(_without_spans(text, kinds)) for text in (source, translation)]
    telling = [word for word in words[0] if word == word.lower() and not word.isnumeric()]
    if len(telling) < limits.untranslated_words:
        return False
    shared = (Counter(telling) & Counter(words[1])).total()
    return shared >= limits.untranslated_share * len(telling) and _overlap(*words) >= limits.untranslated_share


def _overlap(source: Sequence[str], translation: Sequence[str]) -> float:
    shared = (Counter(source) & Counter(translation)).total()
    return shared / max(len(source), len(translation), 1)


def _without_spans(text: str, kinds: Sequence[PlaceholderKind]) -> str:
    pieces, end = [], 0
    for begin, after in find_spans(text, kinds):
        pieces.append(text[end:begin])
        end = after
    return " ".join([*pieces, text[end:]])


def _repeated(source: str, translation: str, limits: Limits) -> bool:
    """An n-gram, a word or a piece of a word over and over, and more often than the source repeats any of its own.

    That is how a decoder sounds that runs in a circle. `never_times` is too much whatever the source has.
    """
    theirs, ours = (_words(text) for text in (source, translation))
    ngrams = _ngram_times(ours, limits.ngram), _ngram_times(theirs, limits.ngram), limits.ngram_times
    runs = _longest_run(ours), _longest_run(theirs), limits.run
    for times, in_source, limit in (ngrams, runs):
        if times >= limits.never_times or (times >= limit and times > in_source):
            return True
    return _STUTTER.search(translation) is not None and _STUTTER.search(source) is None


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _ngram_times(words: Sequence[str], n: int) -> int:
    """How often the most frequent n-gram occurs."""
    ngrams = Counter(tuple(words[begin : begin + n]) for begin in range(len(words) - n + 1))
    return max(ngrams.values(), default=0)


def _longest_run(words: Sequence[str]) -> int:
    """How often the same word stands in a row."""
    return max((len(list(run)) for _, run in groupby(words)), default=0)
