import gzip
import json
import os
import resource
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.corpora.records import Writer, check_output, find_sources, output_files, read_records, written
from nmt.corpora.table import Table
from nmt.data.sources import SourceRules
from nmt.errors import DataError, OutputError

Pair = tuple[str, str]

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\n\t\ufeff"), max_size=12
) | st.sampled_from(
    ["a\u2028b", "a\x85b", "a\rb", "a\0b", "<s>", "</s>", "<unk>", "⟦ph0⟧", "e\u0301", "שלום", "👩‍👧", "\r", ""]
)
PAIRS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5)
FORMS = ("two files", "tsv", "json")


def rules(folder: Path, **changes: object) -> SourceRules:
    return SourceRules(folder=folder, hub={}, src_lang="de", tgt_lang="en", **changes)  # type: ignore[arg-type]


def write(folder: Path, form: str, pairs: list[Pair], name: str = "in") -> str:
    """The name of a source that holds the pairs."""
    folder.mkdir(parents=True, exist_ok=True)
    if form == "two files":
        for lang, side in zip(("de", "en"), zip(*pairs, strict=True), strict=True):
            text = "".join(f"{line}\r\n" if line.endswith("\r") else f"{line}\n" for line in side)
            (folder / f"{name}.{lang}").write_bytes(text.encode())
        return name
    suffix = {"tsv": "tsv", "json": "jsonl"}[form]
    lines = {
        "tsv": lambda src, tgt: f"{src}\t{tgt}" + ("\r" if tgt.endswith("\r") else ""),
        "json": lambda src, tgt: json.dumps({"id": 7, "translation": {"en": tgt, "de": src}, "source": "x"}),
    }
    (folder / f"{name}.{suffix}").write_bytes("".join(f"{lines[form](*pair)}\n" for pair in pairs).encode())
    return f"{name}.{suffix}"


def everything(table: Table) -> pa.RecordBatch:
    (batch,) = table.batches()
    return batch


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40)
@given(pairs=PAIRS)
def test_what_is_written_back_is_what_was_read_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, form: str, pairs: list[Pair]
) -> None:
    folder = tmp_path_factory.mktemp("records")
    sources = find_sources([write(folder, form, pairs)], rules(folder))
    table = Table(sources, rules(folder), folder)
    name = sources[0].files[0].path.name.replace("in", "out").removesuffix(".de" if form == "two files" else "")
    files = output_files(folder / name, sources, rules(folder))
    with written(files) as streams:
        Writer(streams).write(everything(table))
    assert [file.read_bytes() for file in files] == [file.path.read_bytes() for file in sources[0].files]
    assert table.rows == len(pairs)


def test_several_sources_come_one_after_the_other_each_with_its_own_lines(tmp_path: Path) -> None:
    names = [write(tmp_path, "tsv", [("a", "b"), ("c", "d")], "one"), write(tmp_path, "tsv", [("e", "f")], "two")]
    found = read_records(find_sources(names, rules(tmp_path)), rules(tmp_path))
    assert [record[:4] for record in found] == [(0, 1, "a", "b"), (0, 2, "c", "d"), (1, 1, "e", "f")]


def test_sources_of_two_forms_and_one_named_twice_are_refused(tmp_path: Path) -> None:
    names = [write(tmp_path, form, [("a", "b")]) for form in FORMS]
    with pytest.raises(DataError, match=r"in\.tsv: another form than .*in\.de \+ .*in\.en.*nmt data convert"):
        find_sources(names[:2], rules(tmp_path))
    with pytest.raises(DataError, match=r"in\.tsv: named twice"):
        find_sources([names[1], names[1]], rules(tmp_path))


@pytest.mark.parametrize(
    ("form", "output", "said"),
    [
        ("tsv", "out.jsonl", r"out\.jsonl: the input has the form \.tsv, .* name that ends in \.tsv$"),
        ("json", "out", r"out: the input has the form \.jsonl, .* name that ends in \.jsonl or \.json$"),
        (
            "json",
            "out.jsonl.gz",
            r"out\.jsonl\.gz: .* ends in \.jsonl or \.json, without \.gz: it is written unpacked$",
        ),
        ("two files", "out.tsv", r"out\.tsv: the input is two files of lines.*NAME\.de and NAME\.en"),
        ("tsv", "in.tsv", r"in\.tsv: is what is read, and would be overwritten"),
        ("two files", "in", r"in\.de: is what is read"),
        ("tsv", "folder.tsv", r"folder\.tsv: not a file"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_anything_is_read(
    tmp_path: Path, form: str, output: str, said: str
) -> None:
    (tmp_path / "folder.tsv").mkdir()
    sources = find_sources([write(tmp_path, form, [("a", "b")])], rules(tmp_path))
    with pytest.raises(OutputError, match=said):
        output_files(tmp_path / output, sources, rules(tmp_path))


def test_the_input_is_known_under_its_other_names(tmp_path: Path) -> None:
    sources = find_sources([write(tmp_path, "tsv", [("a", "b")])], rules(tmp_path))
    (tmp_path / "link.tsv").symlink_to(tmp_path / "in.tsv")
    (tmp_path / "hard.tsv").hardlink_to(tmp_path / "in.tsv")
    for name in ("link.tsv", "hard.tsv", "../" + tmp_path.name + "/in.tsv"):
        with pytest.raises(OutputError, match="is what is read"):
            check_output(tmp_path / name, sources)


def test_outputs_take_their_names_when_all_is_written_or_not_at_all(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "folder" / "new"
    old.write_text("before")
    with pytest.raises(KeyError), written([old, new]) as (stream, _):
        stream.write(b"half")
        raise KeyError
    assert old.read_text() == "before"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "old"]
    with written([old, new]) as streams:
        for stream in streams:
            stream.write(b"all")
        assert (tmp_path / "old.part").exists()
    assert old.read_text() == new.read_text() == "all"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "new", "old"]


def test_a_file_is_kept_where_the_disk_is_full_at_the_very_end(tmp_path: Path) -> None:
    """What was written may be taken by the disk only when the file is closed."""
    old = tmp_path / "old"
    old.write_text("before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OutputError, match=r"old: cannot be written .*make room"), written([old]) as (stream,):
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
            stream.write(b"after" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert old.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_a_disk_that_takes_nothing_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match=r"out: cannot be written .*make room, or give a place"),
        written([tmp_path / "file" / "out"]),
    ):
        pass


FAULTS: list[tuple[str, dict[str, bytes], str]] = [
    ("in", {"in.de": b"a\nb\n", "in.en": b"a\n"}, r"in\.de has 2 lines, but .*in\.en has 1"),
    ("in", {"in.de": b"a\n"}, r"only .*in\.de is there"),
    ("in.tsv", {"in.tsv": b"a\tb\nc\t\xe4\n"}, r"in\.tsv:2:3: byte 0xE4 is not UTF-8"),
    ("in.tsv", {"in.tsv": "a\tb\n".encode("utf-16")}, r"in\.tsv: looks like UTF-16"),
    ("in.tsv", {"in.tsv": gzip.compress(b"a\tb\n" * 99)[:-9]}, r"in\.tsv: the gzip data breaks off"),
    ("in.tsv", {"in.tsv": gzip.compress((b"a" * 9999 + b"\n") * 6000)}, r"in\.tsv: gzip data that grows over 200-fold"),
    ("in.tsv", {"in.tsv": b"PK\x03\x04rest"}, r"in\.tsv: this is a zip archive"),
    ("in.jsonl", {"in.jsonl": b'{"de": "a", "en": "b"}\n{"de": \n'}, r"in\.jsonl:2: not JSON"),
    ("in.jsonl", {"in.jsonl": b'{"de": "a", "en": "\\ud800"}\n'}, r"in\.jsonl:1: half of a surrogate pair"),
    ("in.tsv", {"in.tsv": b""}, r"in\.tsv: holds no lines"),
]


@pytest.mark.parametrize(("name", "files", "said"), FAULTS)
def test_a_fault_of_the_reader_says_where(tmp_path: Path, name: str, files: dict[str, bytes], said: str) -> None:
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError, match=said):
        Table(find_sources([name], rules(tmp_path)), rules(tmp_path), tmp_path)


def test_rows_without_a_pair_are_records_with_a_fault(tmp_path: Path) -> None:
    (tmp_path / "in.tsv").write_bytes(b"one\na\tb\tc\n\tx\n")
    (tmp_path / "in.jsonl").write_bytes(b'{"de": "a"}\n[]\n')
    found = [
        [(record.fault, record.raw) for record in read_records(find_sources([name], rules(tmp_path)), rules(tmp_path))]
        for name in ("in.tsv", "in.jsonl")
    ]
    assert found[0] == [
        ("1 tab-separated columns, but 2 are wanted", "one"),
        ("3 tab-separated columns, but 2 are wanted", "a\tb\tc"),
        ("", "\tx"),
    ]
    assert [bool(fault) for fault, _ in found[1]] == [True, True]


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in.jsonl")
    content = b'{"de": "a", "en": "b", "source": "pipe"}\n'
    writer = threading.Thread(target=(tmp_path / "in.jsonl").write_bytes, args=(content,))
    writer.start()
    folder = tmp_path / "work"
    folder.mkdir()
    table = Table(find_sources(["in.jsonl"], rules(tmp_path)), rules(tmp_path), folder)
    writer.join()
    assert everything(table).column("raw").to_pylist() == [content.decode().removesuffix("\n")]
    assert table.where(0, 1) == f"{tmp_path / 'in.jsonl'}:1"
