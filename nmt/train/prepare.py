"""What a training needs before its first step: corpora, tokenizers, ids."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

import numpy as np
from datasets import Dataset

from nmt.data.batches import BatchStream, IdTable, Position
from nmt.data.corpus import Corpus, Filters, count_overlap, open_corpus
from nmt.data.sources import SourceRules
from nmt.data.tokenizer import Tokenizer, TokenizerPair, TokenizerSpec, train_tokenizers
from nmt.errors import RecipeError
from nmt.evaluate import TestSet
from nmt.recipe import DataSection, Recipe, TokenizerSection

LINES_TOGETHER = 10_000  # encoded in one go; subword sampling is seeded for each such block


@dataclass(frozen=True)
class Corpora:
    """What a recipe's data section names."""

    train: Corpus
    valid: Corpus
    tests: dict[str, Corpus]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all text that decides the weights, and how it was read."""
        return hashlib.sha256(f"{self.train.fingerprint} {self.valid.fingerprint}".encode()).hexdigest()

    @cached_property
    def overlaps(self) -> dict[str, int]:
        """How many pairs of the valid and each test set have a source sentence that training sees."""
        return {name: count_overlap(self.train, other) for name, other in {"valid": self.valid, **self.tests}.items()}


def open_corpora(section: DataSection) -> Corpora:
    """Read all text of a recipe.

    Raises DataError where it is missing or damaged, RecipeError for two test sets of one name.
    """
    return Corpora(train=open_train(section), valid=open_valid(section), tests=_open_tests(section))


def open_train(section: DataSection) -> Corpus:
    """The training text alone, filtered. Raises as `open_corpora` does."""
    filters = Filters(max_chars=section.max_chars, max_ratio=section.max_ratio, drop_duplicates=section.drop_duplicates)
    return open_corpus(section.train, _rules(section), filters=filters)


def open_valid(section: DataSection) -> Corpus:
    """The validation text alone. Raises as `open_corpora` does."""
    return open_corpus(section.valid, _rules(section), filters=None)


def open_test_sets(section: DataSection) -> list[TestSet]:
    """The test sets alone. Raises as `open_corpora` does, and RecipeError where the recipe names none."""
    if not section.test:
        raise RecipeError("data.test: the recipe names no test set; give your own lines with --src and --ref")
    return [as_test_set(name, corpus) for name, corpus in _open_tests(section).items()]


def _open_tests(section: DataSection) -> dict[str, Corpus]:
    valid, *names = set_names(section)
    if len({valid, *names}) <= len(names):
        raise RecipeError(f"data.test: scores go by name, and these are not distinct: valid, {', '.join(names)}")
    rules = _rules(section)
    return {name: open_corpus([source], rules, filters=None) for name, source in zip(names, section.test, strict=True)}


def _rules(section: DataSection) -> SourceRules:
    return SourceRules(
        folder=Path(section.folder),
        hub=section.hub,
        src_lang=section.src_lang,
        tgt_lang=section.tgt_lang,
        tsv_columns=section.tsv_columns or None,
        errors=section.errors,
    )


def set_names(section: DataSection) -> list[str]:
    """What scores and hypotheses of a recipe's own sets go by: `valid`, and each test set's name."""
    return ["valid", *(_set_name(source) for source in section.test)]


def _set_name(source: str) -> str:
    """`corpora/news.tsv.gz` -> `news`; `test_2016_flickr` stays."""
    path = PurePath(source)
    while path.suffix in (".gz", ".tsv", ".jsonl", ".json"):
        path = path.with_suffix("")
    return path.name


def as_test_set(name: str, corpus: Corpus) -> TestSet:
    """A corpus as lines to translate and their references."""
    return TestSet(name, list(corpus.pairs["src"]), list(corpus.pairs["tgt"]))


def new_tokenizers(section: TokenizerSection, train: Corpus) -> TokenizerPair:
    """Tokenizers trained on the training text; the same text and section give the same."""
    spec = TokenizerSpec(
        kind=section.kind,
        vocab_size=section.vocab_size,
        joint=section.joint,
        byte_fallback=section.byte_fallback,
        character_coverage=section.character_coverage,
        normalization=section.normalization,
    )
    return train_tokenizers(_lines(train.pairs, "src"), _lines(train.pairs, "tgt"), spec)


class Examples:
    """The ids of the training text, epoch by epoch: the same every time or, with subword sampling, cut anew.

    How a line is cut depends on the seed, the epoch, and the line's place in its text.
    """

    def __init__(self, train: Corpus, tokenizers: TokenizerPair, *, sampling: float, seed: int) -> None:
        """`sampling` is the tokenizer section's; 0 means none."""
        self._pairs = train.pairs
        self._tokenizers = tokenizers
        self._sampling = sampling
        self._seed = seed
        self._tables = None if sampling > 0 else (self._table("src", 0), self._table("tgt", 0))

    def __call__(self, epoch: int) -> tuple[IdTable, IdTable]:
        """Source and target ids of an epoch."""
        return self._tables or (self._table("src", epoch), self._table("tgt", epoch))

    def _table(self, side: str, epoch: int) -> IdTable:
        tokenizer = self._tokenizers.src if side == "src" else self._tokenizers.tgt
        return IdTable(ids for block in self._blocks(tokenizer, side, epoch) for ids in block)

    def _blocks(self, tokenizer: Tokenizer, side: str, epoch: int) -> Iterator[list[list[int]]]:
        for number, begin in enumerate(range(0, len(self._pairs), LINES_TOGETHER)):
            lines = self._pairs[begin : begin + LINES_TOGETHER][side]
            if self._sampling > 0:
                seed = np.random.SeedSequence([self._seed, epoch, side == "src", number]).generate_state(1)[0]
                yield tokenizer.sample_batch(lines, alpha=self._sampling, seed=int(seed))
            else:
                yield tokenizer.encode_batch(lines)


@dataclass(frozen=True)
class StreamMaker:
    """Batches of the training text from any position on."""

    examples: Examples
    batch_tokens: int
    seed: int

    def __call__(self, start: Position) -> BatchStream:
        """The stream that begins at `start`."""
        return BatchStream(self.examples, batch_tokens=self.batch_tokens, seed=self.seed, start=start)


def make_stream(recipe: Recipe, train: Corpus, tokenizers: TokenizerPair) -> StreamMaker:
    """The batches that a recipe asks for."""
    seed = recipe.train.seed
    examples = Examples(train, tokenizers, sampling=recipe.tokenizer.sampling, seed=seed)
    return StreamMaker(examples, recipe.train.batch_tokens, seed)


def _lines(pairs: Dataset, side: str) -> Iterator[str]:
    for begin in range(0, len(pairs), LINES_TOGETHER):
        yield from pairs[begin : begin + LINES_TOGETHER][side]


def describe(corpora: Corpora) -> list[str]:
    """Sizes, what was dropped and why, and warnings of overlap, a line each."""
    train = corpora.train
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in train.dropped.items() if count)
    lines = [
        f"train: {len(train.pairs):,} pairs of {train.read:,} read" + (f" (dropped: {dropped})" if dropped else "")
    ]
    lines += [
        f"{name}: {len(other.pairs):,} pairs" for name, other in {"valid": corpora.valid, **corpora.tests}.items()
    ]
    lines += [
        f"warning: {count:,} source sentences of {name} are in train too: its score will flatter"
        for name, count in corpora.overlaps.items()
        if count
    ]
    return lines
