"""How often the language detector of `nmt data` errs on real text: a JSON object.

`python tools/language_errors.py TEXT de en` reads lines, or JSON lines of translations, that are German: how many are
taken for another language when German is asked for, and how many are told when English is.
"""

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import click

from nmt.corpora.language import other_language
from nmt.data.lines import read_lines


def texts_of(path: Path, lang: str) -> Iterable[str]:
    """All lines, or the `lang` side of all pairs."""
    lines = read_lines(path)
    return (json.loads(line)["translation"][lang] for line in lines) if path.suffix == ".jsonl" else lines


@click.command()
@click.argument("text", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("lang")
@click.argument("other")
@click.option("--count", default=1000, show_default=True, help="so many texts")
@click.option("--every", default=1, show_default=True, help="one of so many, from the first on")
def main(text: Path, lang: str, other: str, count: int, every: int) -> None:
    """Measure on TEXT, which is in LANG."""
    texts = list(islice(texts_of(text, lang), 0, count * every, every))
    found = {"texts": len(texts)}
    for asked in (lang, other):
        found[f"not {asked}"] = sum(other_language(one, asked) is not None for one in texts)
    click.echo(json.dumps(found))


if __name__ == "__main__":
    main()
