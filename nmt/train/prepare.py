"""What a training needs before its first step: corpora, tokenizers, ids."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from pathlib import Path, PurePath

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nmt.data import batches, sampled
from nmt.data.batches import BatchStream, Position
from nmt.data.corpus import Corpus, Filters, Watch, lines, open_corpus
from nmt.data.encode import cores, encoded
from nmt.data.ids import MappedIds, Table
from nmt.data.mixing import Drawn, Mixture, tempered
from nmt.data.overlap import count_overlaps
from nmt.data.sampled import SampledSide
from nmt.data.sources import SourceRules
from nmt.data.tokenizer import TokenizerPair, TokenizerSpec, train_tokenizers
from nmt.data.unread import Unread
from nmt.errors import RecipeError
from nmt.evaluate import TestSet
from nmt.recipe import DataSection, Recipe, TokenizerSection

BATCHES_AHEAD = 4


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
        return count_overlaps(self.train, {"valid": self.valid, **self.tests})


def open_corpora(section: DataSection, console: Console | None = None) -> Corpora:
    """Read all text of a recipe, with a bar on the console where that takes a while.

    Raises DataError where it is missing or damaged, RecipeError for two test sets of one name.
    """
    return Corpora(train=open_train(section, console), valid=open_valid(section), tests=_open_tests(section))


def open_train(section: DataSection, console: Console | None = None) -> Corpus:
    """The training text alone, filtered. Raises as `open_corpora` does."""
    filters = Filters(max_chars=section.max_chars, max_ratio=section.max_ratio, drop_duplicates=section.drop_duplicates)
    with _bar(console, "reading pairs") as watch:
        return open_corpus(section.train, source_rules(section), filters=filters, watch=watch)


def open_valid(section: DataSection) -> Corpus:
    """The validation text alone. Raises as `open_corpora` does."""
    return open_corpus(section.valid, source_rules(section), filters=None)


def open_test_sets(section: DataSection) -> list[TestSet]:
    """The test sets alone. Raises as `open_corpora` does, and RecipeError where the recipe names none."""
    if not section.test:
        raise RecipeError("data.test: the recipe names no test set; give your own lines with --src and --ref")
    return [as_test_set(name, corpus) for name, corpus in _open_tests(section).items()]


def _open_tests(section: DataSection) -> dict[str, Corpus]:
    valid, *names = set_names(section)
    if len({valid, *names}) <= len(names):
        raise RecipeError(f"data.test: scores go by name, and these are not distinct: valid, {', '.join(names)}")
    rules = source_rules(section)
    return {name: open_corpus([source], rules, filters=None) for name, source in zip(names, section.test, strict=True)}


def source_rules(section: DataSection) -> SourceRules:
    """How the text that a recipe names is read."""
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


def new_tokenizers(section: TokenizerSection, train: Corpus, sides: Sequence[str] = ("src", "tgt")) -> TokenizerPair:
    """Tokenizers trained on the training text, or on one side of it; the same text and section give the same."""
    spec = TokenizerSpec(
        kind=section.kind,
        vocab_size=section.vocab_size,
        joint=section.joint,
        byte_fallback=section.byte_fallback,
        character_coverage=section.character_coverage,
        normalization=section.normalization,
        placeholders=section.placeholders,
    )
    src, tgt = (chain.from_iterable(lines(train, side)) if side in sides else () for side in ("src", "tgt"))
    return train_tokenizers(src, tgt, spec)


class Examples:
    """The training text, epoch by epoch: the same ids every time or, with subword sampling, cut anew.

    Without a mixture an epoch has each pair once.
    """

    def __init__(
        self,
        train: Corpus,
        tokenizers: TokenizerPair,
        *,
        sampling: float,
        seed: int,
        mixture: Mixture | None = None,
        reads_source: bool = True,
        threads: int = 1,
        watch: Watch | None = None,
    ) -> None:
        """`sampling` is the tokenizer section's; 0 means none. threads: to encode with; 0: one a core.

        reads_source: without, all source sentences are empty.
        """
        self._train, self._tokenizers, self._mixture = train, tokenizers, mixture
        self._sampling, self._seed, self._reads_source = sampling, seed, reads_source
        self._tables: tuple[MappedIds, MappedIds] | None = None
        if sampling == 0:
            self._tables = encoded(train, tokenizers, threads=threads, watch=watch)

    def __call__(self, epoch: int) -> tuple[Table, Table]:
        """Source and target ids of an epoch."""
        tgt = self._side("tgt", epoch)
        return (self._side("src", epoch) if self._reads_source else Unread(len(tgt), partial(self._rows, epoch))), tgt

    def _side(self, side: str, epoch: int) -> Table:
        if self._tables is None:
            return self._sampled(side, epoch)
        table = self._tables[side == "tgt"]
        return table if self._mixture is None else Drawn(table, self._mixture, epoch)

    def _rows(self, epoch: int, window: int, windows: int) -> NDArray[np.integer]:
        """Which of the pairs a window has."""
        if self._mixture is not None:
            return self._mixture.rows(epoch, window, windows)
        return np.arange(window, len(self._train.pairs), windows)

    def _sampled(self, side: str, epoch: int) -> SampledSide:
        rows = partial(self._rows, epoch)
        pairs, alpha, seed = self._train.pairs, self._sampling, self._seed
        return SampledSide(pairs, self._tokenizers, rows, side=side, alpha=alpha, seed=seed, epoch=epoch)


@dataclass(frozen=True)
class StreamMaker:
    """Batches of the training text from any position on."""

    examples: Examples
    batch_tokens: int
    seed: int
    window_pairs: int = batches.WINDOW_PAIRS
    ahead: int = 0
    pin: bool = False

    def __call__(self, start: Position) -> BatchStream:
        """The stream that begins at `start`."""
        return BatchStream(
            self.examples,
            batch_tokens=self.batch_tokens,
            seed=self.seed,
            start=start,
            window_pairs=self.window_pairs,
            ahead=self.ahead,
            pin=self.pin,
        )


def make_stream(
    recipe: Recipe, train: Corpus, tokenizers: TokenizerPair, console: Console | None = None
) -> StreamMaker:
    """The batches that a recipe asks for; the console shows a bar where encoding takes a while."""
    seed, sampling, threads = recipe.train.seed, recipe.tokenizer.sampling, recipe.train.threads
    mixture = _mixture(recipe.data, train, seed)
    with _bar(console, "encoding pairs") as watch:
        examples = Examples(
            train,
            tokenizers,
            sampling=sampling,
            seed=seed,
            mixture=mixture,
            reads_source=recipe.model.translates,
            threads=threads,
            watch=watch,
        )
    gpu = torch.cuda.is_available()
    return StreamMaker(
        examples,
        recipe.train.batch_tokens,
        seed,
        window_pairs=sampled.WINDOW_PAIRS if sampling > 0 else batches.WINDOW_PAIRS,
        # with one core there is no one else to make them
        ahead=BATCHES_AHEAD if gpu or (threads or cores()) != 1 else 0,
        pin=gpu,
    )


def _mixture(section: DataSection, train: Corpus, seed: int) -> Mixture | None:
    """How the sources are mixed; None: each pair once an epoch."""
    if section.weights:
        return Mixture(train.kept, section.weights, seed=seed)
    if section.temperature != 1.0:
        return Mixture(train.kept, tempered(train.kept, section.temperature), seed=seed)
    return None


@contextmanager
def _bar(console: Console | None, what: str) -> Iterator[Watch | None]:
    """Something that shows on a terminal how far the work is, from the first time that it is told."""
    if console is None or not console.is_terminal:
        yield None
        return
    columns = (TextColumn(what), MofNCompleteColumn(), BarColumn(bar_width=20), TimeRemainingColumn(compact=True))
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(what, total=None, start=False)

    def watch(done: int, total: int) -> None:
        bar.start()
        bar.start_task(task)
        bar.update(task, completed=done, total=total or None)

    try:
        yield watch
    finally:
        bar.stop()


def describe(corpora: Corpora) -> list[str]:
    """Sizes, what was dropped and why, and warnings of overlap, a line each."""
    train = corpora.train
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in train.dropped.items() if count)
    told = [f"train: {len(train.pairs):,} pairs of {train.read:,} read" + (f" (dropped: {dropped})" if dropped else "")]
    told += [f"{name}: {len(other.pairs):,} pairs" for name, other in {"valid": corpora.valid, **corpora.tests}.items()]
    told += [
        f"warning: {count:,} source sentences of {name} are in train too: its score will flatter"
        for name, count in corpora.overlaps.items()
        if count
    ]
    return told
