"""What `nmt data check` concludes: what would make a training fail, and what would make it worse."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

from nmt.errors import NmtError

if TYPE_CHECKING:
    from nmt.corpora.check import Findings
    from nmt.recipe import Recipe

# A vocabulary is built for trial where there is less text than this for each piece, or where special tokens, bytes and
# different characters may fill it.
_FEW_CHARS = 100
_NO_CHARACTERS = 300
_MANY_DROPPED = 0.1  # share of pairs
_MANY = {  # share of pairs from which on a suspicion is a warning
    "wrong language": 0.02,
    "wrong script": 0.02,
    "identical sides": 0.02,
    "length ratio": 0.02,
    "placeholders": 0.02,
    "broken encoding (Ã¼)": 0.001,
    "replacement character U+FFFD": 0.001,
    "control characters": 0.01,
}


@dataclass
class Verdict:
    """In words. overlap: pairs of each set whose source training sees."""

    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    overlap: dict[str, int] = field(default_factory=dict)


def judge(findings: "Sequence[Findings]", *, errors: str = "strict") -> Verdict:
    """What shows in the text alone."""
    verdict = Verdict()
    unreadable = verdict.failures if errors == "strict" else verdict.warnings
    for found in findings:
        for bad in found.bad_bytes:
            mixed = f"mixed encodings: beside {bad.utf8_lines:,} lines of UTF-8 there are" if bad.utf8_lines else "has"
            text = (
                f"{bad.first[0].rsplit(':', 2)[0]}: {mixed} {bad.lines:,} lines that are not UTF-8, first at "
                f"{', '.join(bad.first)} (line:byte); {bad.guess}; convert them, or train with data.errors=replace"
            )
            unreadable.append(text)
        if found.half_pairs:
            unreadable.append(
                f"{found.first_half_pairs[0].rsplit(':', 1)[0]}: {found.half_pairs:,} lines have half of a surrogate "
                f"pair (\\uD800 to \\uDFFF), first at {', '.join(found.first_half_pairs)}; mend them, or train with "
                "data.errors=replace"
            )
        if found.failure:
            verdict.failures.append(found.failure)
        elif found.role not in ("train", "text") and found.dropped["columns"]:
            verdict.failures.append(f"{found.name}: {found.dropped['columns']:,} rows hold no pair; mend them")
        for stretch in found.shifts:
            verdict.warnings.append(
                f"{found.name}: shifted from line {stretch.first} to line {stretch.last}: there, line N of the source "
                f"fits line N{stretch.offset:+d} of the target; a line was lost or came in shortly before line "
                f"{stretch.first}"
            )
        for name, least in _MANY.items():
            count = found.problems.get(name, 0)
            if count > least * found.lines:
                verdict.warnings.append(f"{found.name}: {name}: {count:,} of {found.lines:,} pairs")
        verdict.warnings.extend(_lost(found))
    trained = [found for found in findings if found.role in ("train", "text")]
    if trained and not any(found.failure for found in trained) and not sum(found.kept for found in trained):
        verdict.failures.append("no training pair is left: the filters drop them all; loosen them, or mend the text")
    if find_spec("py3langid") is None:
        verdict.warnings.append('languages were not looked at: pip install "nmt[language]" for that')
    return verdict


def _lost(found: "Findings") -> Iterator[str]:
    """What there is too little of in the end, and what is kept though it is nothing."""
    faults = {reason: count for reason, count in found.dropped.items() if count and reason != "duplicate"}
    if found.role in ("train", "text") and sum(faults.values()) > _MANY_DROPPED * found.lines:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in faults.items())
        yield f"{found.name}: {sum(faults.values()):,} of {found.lines:,} pairs would be dropped: {reasons}"
    if found.duplicates > _MANY_DROPPED * found.lines:
        yield f"{found.name}: {found.duplicates:,} of {found.lines:,} pairs are duplicates"
    if found.role not in ("train", "text") and (empty := sum(side.empty for side in found.sides)):
        yield f"{found.name}: {empty:,} empty lines, which are scored too: of a set like this nothing is dropped"


def try_recipe(recipe: "Recipe", findings: "Sequence[Findings]", verdict: Verdict) -> Verdict:
    """Adds what shows when the recipe's text is read as a training reads it."""
    if recipe.data.errors == "replace":
        verdict = judge(findings, errors="replace")
    if verdict.failures:
        return verdict
    from nmt.train.prepare import new_tokenizers, open_corpora

    try:
        corpora = open_corpora(recipe.data)
        verdict.overlap = corpora.overlaps
        sides = [side for found in findings if found.role == "train" for side in found.sides]
        few = sum(side.chars.total for side in sides) < _FEW_CHARS * recipe.tokenizer.vocab_size
        different = len(set().union(*(side.letters for side in sides)))
        if (few or different + _NO_CHARACTERS > recipe.tokenizer.vocab_size) and not recipe.tokenizer.run:
            tokenizers = new_tokenizers(recipe.tokenizer, corpora.train)
            built = min(tokenizers.src.vocab_size, tokenizers.tgt.vocab_size)
            if built < recipe.tokenizer.vocab_size:
                verdict.warnings.append(
                    f"tokenizer.vocab_size is {recipe.tokenizer.vocab_size}, but the training text gives {built} "
                    "pieces only: is there more text?"
                )
    except NmtError as fault:
        verdict.failures.append(str(fault))
    for name, count in verdict.overlap.items():
        if count:
            verdict.warnings.append(f"{name}: {count:,} of its source sentences are in the training text too")
    return verdict
