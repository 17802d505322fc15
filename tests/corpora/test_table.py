import os
from pathlib import Path
from typing import Any

import pytest

from nmt.corpora import table
from nmt.corpora.table import Table
from nmt.data.lines import TextFile
from nmt.data.sources import FileSource, SourceRules
from nmt.errors import DataError

RULES = SourceRules(folder=Path(), hub={}, src_lang="de", tgt_lang="en")


@pytest.fixture
def source(tmp_path: Path) -> FileSource:
    path = tmp_path / "in.tsv"
    path.write_text("".join(f"Satz {number}\tline {number}\n" for number in range(40)), encoding="utf-8")
    return FileSource("tsv", (TextFile(path, str(path)),))


def lengths(src: list[str], tgt: list[str], fault: list[str]) -> dict[str, Any]:
    return {"number": [int(text.split()[1]) for text in tgt], "length": [len(text) for text in src]}


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_mapped_stands_with_its_record_whatever_the_batches(
    source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    for name, value in (("_BATCH_PAIRS", 7), ("_MAP_PAIRS", 3), ("PAIRS_ALONE", 10)):
        monkeypatch.setattr(table, name, value)
    told: list[tuple[str, int, int]] = []
    found = Table([source], RULES, tmp_path, watch=lambda *what: told.append(what))
    mapped = found.map(lengths, {"number": "int64", "length": "uint16"}, name="measuring", workers=workers, watch=None)
    rows = [
        (src, number, int(length))
        for records, columns in mapped
        for src, number, length in zip(
            records.column("src").to_pylist(), columns["number"], columns["length"], strict=True
        )
    ]
    assert rows == [(f"Satz {number}", number, len(f"Satz {number}")) for number in range(40)]
    alone = [int(number) for columns in mapped.columns() for number in columns["number"]]
    assert alone == list(range(40))
    assert [done for _, done, _ in told] == [7, 14, 21, 28, 35, 40]


def test_a_batch_is_bounded_in_characters_too(
    source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "_BATCH_CHARS", 100)
    sizes, names = [], ("src", "tgt", "raw")
    for batch in Table([source], RULES, tmp_path).batches():
        chars = [sum(map(len, row)) for row in zip(*(batch.column(name).to_pylist() for name in names), strict=True)]
        sizes.append(len(chars))
        assert sum(chars[:-1]) <= 100
    assert sum(sizes) == 40
    assert min(sizes[:-1]) > 1


def test_a_file_that_changes_while_it_is_read_is_refused(source: FileSource, tmp_path: Path) -> None:
    path = source.files[0].path

    def rewrite(*_: object) -> None:
        path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
        os.utime(path, ns=(1, 1))

    with pytest.raises(DataError, match=r"in\.tsv: changed while it was read; wait until it is written, then start"):
        Table([source], RULES, tmp_path, watch=rewrite)
