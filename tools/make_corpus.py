"""A parallel corpus of any size, to measure with: lines of the phrasebook, alone or in twos, each numbered.

    python tools/make_corpus.py 10000000 /tmp/big

writes /tmp/big.de and /tmp/big.en; the same number of pairs gives the same bytes. No two pairs are equal.
"""

import random
from pathlib import Path

import click
from rich.progress import track

PHRASEBOOK = Path(__file__).parent.parent / "recipes" / "phrasebook"
LANGUAGES = ("de", "en")


def numbered(phrases: list[str], partners: list[int], turn: int) -> list[str]:
    """One line a phrase: alone in every second turn, else with a partner; the turn's number keeps turns apart."""
    if turn % 2 == 0:
        return [f"{phrase} ({turn})\n" for phrase in phrases]
    return [f"{phrase} {phrases[partner]} ({turn})\n" for phrase, partner in zip(phrases, partners, strict=True)]


@click.command()
@click.argument("pairs", type=click.IntRange(min=1))
@click.argument("out", type=click.Path(path_type=Path))
def main(pairs: int, out: Path) -> None:
    """Write PAIRS sentence pairs to OUT.de and OUT.en."""
    sides = [(PHRASEBOOK / f"train.{language}").read_text(encoding="utf-8").split("\n")[:-1] for language in LANGUAGES]
    distinct = list(dict.fromkeys(zip(*sides, strict=True)))
    sides = [list(side) for side in zip(*distinct, strict=True)]
    choose = random.Random(1)
    partners = list(range(len(distinct)))
    out.parent.mkdir(parents=True, exist_ok=True)
    streams = [out.with_name(f"{out.name}.{language}").open("w", encoding="utf-8") for language in LANGUAGES]
    turns = range(-(-pairs // len(distinct)))
    for turn in track(turns, description="writing", transient=True):
        choose.shuffle(partners)
        left = pairs - turn * len(distinct)
        for stream, phrases in zip(streams, sides, strict=True):
            stream.writelines(numbered(phrases, partners, turn)[:left])
    for stream in streams:
        stream.close()


if __name__ == "__main__":
    main()
