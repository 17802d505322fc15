"""Writes the phrasebook: a German-English corpus that our own grammar makes, the one the quickstart trains on.

    python tools/make_phrasebook.py [--out recipes/phrasebook] [--seed 1] [--pairs 20000]

It writes train, valid and test, each as a .de and an .en file of one sentence a line. Every German sentence and
every English one occurs once, in one of the six files. A pair belongs to a split by the set of its content words (its
key), so the combination of words of a test sentence is never seen in training; each word of it is.
The same seed and size write the same bytes.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import click
from phrasebook import places, sayings, sentences
from phrasebook.sentences import Pair

# What share of the draws each template gets. A template that runs dry leaves its share to the others.
TEMPLATES: dict[Callable[[Random], Pair], int] = {
    sentences.statement: 20,
    sentences.fronted_time: 8,
    sentences.negation: 8,
    sentences.yes_no_question: 8,
    sentences.when_question: 3,
    sentences.why_question: 3,
    sentences.what_question: 3,
    sentences.that_clause: 6,
    sentences.whether_clause: 3,
    sentences.because_clause: 5,
    sentences.if_clause: 4,
    sentences.purpose_clause: 4,
    sentences.liking: 3,
    sayings.where_is: 3,
    sayings.but_too: 2,
    sayings.comparison: 3,
    sayings.clock_time: 5,
    sayings.calendar: 4,
    sayings.price: 3,
    sayings.age: 1,
    sayings.order: 2,
    sayings.polite_request: 3,
    places.way: 3,
    places.next_to: 3,
    places.since: 3,
    places.ownership: 3,
}
HELD_OUT_PERCENT = 10  # of all keys, for valid and for test each
PAIRS_PER_HELD_OUT_PAIR = 40  # 20,000 pairs to train on: 500 to validate and 500 to test
DRAWS_PER_PAIR = 30  # give up beyond: the grammar has run out of new pairs


def split_of(key: tuple[str, ...], seed: int) -> str:
    """The split that every pair with this key belongs to, by a stable hash. A lone word is no combination: train."""
    if len(key) < 2:
        return "train"
    bucket = int.from_bytes(hashlib.sha256(repr((seed, key)).encode()).digest()[:8]) % 100
    return "test" if bucket < HELD_OUT_PERCENT else "valid" if bucket < 2 * HELD_OUT_PERCENT else "train"


def words_of(pair: Pair) -> set[str]:
    """The words of both sentences as they stand, without the punctuation at their edges, each with its language."""
    return {f"{lang} {word.strip('.,?')}" for lang, text in (("de", pair.de), ("en", pair.en)) for word in text.split()}


def new_pairs(rng: Random, most: int) -> Iterator[Pair]:
    """Up to `most` draws from the templates, less those that repeat a sentence in either language.

    `most` bounds the loop, because a grammar that has run dry only repeats itself.
    """
    templates, weights = list(TEMPLATES), list(TEMPLATES.values())
    seen: set[str] = set()
    for _ in range(most):
        drawn = rng.choices(templates, weights)[0](rng)
        sides = {f"de {drawn.de}", f"en {drawn.en}"}
        if not sides & seen:
            seen |= sides
            yield drawn


def draw_splits(seed: int, pairs: int) -> dict[str, list[Pair]]:
    """The pairs of each split; the held-out ones use no word that train lacks.

    Raises click.UsageError when the grammar runs out of new pairs.
    """
    splits: dict[str, list[Pair]] = {"train": [], "valid": [], "test": []}
    for drawn in new_pairs(Random(seed), DRAWS_PER_PAIR * pairs):
        splits[split_of(drawn.key, seed)].append(drawn)
        if len(splits["train"]) == pairs:
            break
    known = set().union(*map(words_of, splits["train"]))
    held_out = pairs // PAIRS_PER_HELD_OUT_PAIR
    for name in ("valid", "test"):
        splits[name] = [drawn for drawn in splits[name] if words_of(drawn) <= known][:held_out]
    if len(splits["train"]) < pairs or min(len(splits["valid"]), len(splits["test"])) < held_out:
        found = ", ".join(f"{len(rows)} for {name}" for name, rows in splits.items())
        raise click.UsageError(
            f"--pairs {pairs}: {DRAWS_PER_PAIR * pairs} draws from the grammar gave only {found}, where {pairs} are "
            f"wanted for train and {held_out} for each of the others; ask for fewer pairs"
        )
    return splits


def write_splits(splits: dict[str, list[Pair]], out: Path) -> None:
    """Writes `NAME.de` and `NAME.en` of every split into the folder `out`, made where it is missing."""
    out.mkdir(parents=True, exist_ok=True)
    for name, pairs in splits.items():
        (out / f"{name}.de").write_text("".join(f"{pair.de}\n" for pair in pairs), encoding="utf-8", newline="\n")
        (out / f"{name}.en").write_text("".join(f"{pair.en}\n" for pair in pairs), encoding="utf-8", newline="\n")


@click.command()
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("recipes/phrasebook"), show_default=True
)
@click.option("--seed", default=1, show_default=True)
@click.option("--pairs", type=click.IntRange(min=2000), default=20_000, show_default=True, help="Pairs to train on.")
def main(out: Path, seed: int, pairs: int) -> None:
    """Write the generated German-English phrasebook: train, valid and test."""
    splits = draw_splits(seed, pairs)
    try:
        write_splits(splits, out)
    except OSError as error:
        raise click.FileError(str(error.filename or out), error.strerror) from error
    click.echo(f"{out}: " + ", ".join(f"{len(rows)} pairs in {name}" for name, rows in splits.items()))


if __name__ == "__main__":
    main()
