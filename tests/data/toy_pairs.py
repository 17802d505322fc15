"""Small corpora on disk, and what the tests of corpora ask of them."""

import json
from pathlib import Path

from nmt.data.corpus import Corpus, Filters

LOOSE = Filters(max_chars=1000, max_ratio=100.0, drop_duplicates=False)
PAIRS = [("eins", "one"), ("", ""), ("drei", "three")]
TWO = {"t.de": "eins\n\ndrei\n", "t.en": "one\n\nthree\n"}
TSV = "eins\tone\n\t\ndrei\tthree\n"


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def pairs_of(found: Corpus) -> list[tuple[str, str]]:
    assert found.pairs.column_names == ["src", "tgt"]
    return [(pair["src"], pair["tgt"]) for pair in found.pairs]


def as_json(record) -> str:
    return json.dumps(record) + "\n"


def cached(tmp_path: Path) -> dict[str, int]:
    """What the cache holds beside its locks and what it remembers."""
    entries = {path.name: path.stat().st_ino for path in (tmp_path / "cache").iterdir()}
    return {name: inode for name, inode in entries.items() if name not in ("locks", "known")}
