import json
import re
from pathlib import Path
from typing import Any

import pytest
from toy_run import Result, nmt

from nmt.corpora import table
from nmt.corpora.rules import REASONS

Pair = tuple[str, str]

GOOD = ("Ein Hund läuft im Park.", "A dog runs in the park.")
ROWS: list[tuple[str, Pair]] = [
    ("kept", GOOD),
    ("empty", ("", "A dog.")),
    ("length", ("lang " * 300, "long " * 300)),
    ("ratio", ("Ja", "This says much more than that.")),
    ("identical", ("This is not German", "This is not German")),
    ("letters", ("1 2 3 4 5 6 7 8 a", "1 2 3 4 5 6 7 8 b")),
    ("script", ("Это не немецкий", "This is not German")),
    ("placeholders", ("Datei %s fehlt", "The file is missing")),
    ("duplicate", GOOD),
    ("near_duplicate", ("ein Hund läuft im Park", "A dog runs in the park!")),
    ("kept", ("ein Hund läuft im Park", "A dog is running in the park.")),
    ("kept", ("3 Hunde laufen.", "Four dogs are running.")),
    ("near_duplicate", ("4 Hunde laufen.", "Four dogs are running.")),
]


def record(pair: Pair, **fields: object) -> str:
    return json.dumps({"source": "toy", "translation": {"en": pair[1], "de": pair[0]}, **fields})


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def clean(*args: object, langs: tuple[str, str] = ("de", "en")) -> Result:
    return nmt("data", "clean", *args, "--src-lang", langs[0], "--tgt-lang", langs[1])


def cleaned(folder: Path, rows: list[str], *args: object) -> tuple[list[str], dict[str, Any]]:
    """The lines that are kept of JSON lines, and the report."""
    write(folder / "in.jsonl", rows)
    result = clean(folder / "in.jsonl", "-o", folder / "out.jsonl", "--report", folder / "report.json", *args)
    assert result.code == 0, result.err
    kept = (folder / "out.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    return kept, json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_each_pair_is_kept_as_it_was_or_counted_under_the_first_rule_that_it_breaks(tmp_path: Path) -> None:
    rows = ['{"source": "no pair", "de": "a"}', *(record(pair, id=number) for number, (_, pair) in enumerate(ROWS))]
    kept, report = cleaned(tmp_path, rows, "--dropped", tmp_path / "dropped.jsonl", "--samples", 1)
    reasons = ["columns", *(reason for reason, _ in ROWS)]
    assert kept == [row for row, reason in zip(rows, reasons, strict=True) if reason == "kept"]
    assert report["dropped"] == {reason: reasons.count(reason) for reason in REASONS}
    assert (report["read"], report["kept"]) == (len(rows), reasons.count("kept"))
    dropped = [json.loads(line) for line in (tmp_path / "dropped.jsonl").read_text().split("\n")[:-1]]
    places = [f"{tmp_path / 'in.jsonl'}:{number}" for number, reason in enumerate(reasons, 1) if reason != "kept"]
    assert [row["reason"] for row in dropped] == [reason for reason in reasons if reason != "kept"]
    assert [row["where"] for row in dropped] == places
    assert dropped[0]["raw"] == rows[0]
    assert dropped[0]["fault"].startswith('no text for "en"')
    assert list(dropped[1].items())[2:] == [("src", ""), ("tgt", "A dog.")]
    for reason, samples in report["samples"].items():
        (sample,) = samples
        line = int(sample["where"].rpartition(":")[2])
        assert reasons[line - 1] == reason


def test_blank_sides_are_empty_and_spaces_around_a_side_do_not_count(tmp_path: Path) -> None:
    blank = [("", "A dog."), ("Ein Hund.", ""), ("  ", "A dog."), ("Ein Hund.", "\t\u3000"), (" ", "\xa0")]
    good = ("   Ein Haus   ", "\u2003A house")
    kept, report = cleaned(tmp_path, [record(pair) for pair in [*blank, good]], "--max-chars", 8)
    assert report["dropped"]["empty"] == len(blank)
    assert kept == [record(good)]


def test_samples_are_from_all_over_in_order_and_the_same_in_whatever_order_the_pairs_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"{chr(97 + number % 26)}{chr(97 + number // 26)}" for number in range(150)]
    rows = [record((f"Das Haus {word} steht da", f"The house {word} is there")) for word in words]
    found = []
    for order in (rows, rows[::-1]):
        samples = cleaned(tmp_path, order, "--samples", 5)[1]["samples"]["kept"]
        lines = [int(sample["where"].rpartition(":")[2]) for sample in samples]
        assert lines == sorted(lines)
        assert max(lines) > 15
        assert [record((sample["src"], sample["tgt"])) for sample in samples] == [order[line - 1] for line in lines]
        found.append({sample["src"] for sample in samples})
        monkeypatch.setattr(table, "_BATCH_PAIRS", 10)
    assert found[0] == found[1]
    assert len(found[0]) == 5


def test_the_table_says_what_went_where_and_samples_have_their_lines(tmp_path: Path) -> None:
    write(tmp_path / "in.tsv", ["\t".join(pair) for _, pair in ROWS] + ["no pair"])
    result = clean(tmp_path / "in.tsv", "-o", tmp_path / "out.tsv")
    rows = dict(re.findall(r"^ (\w+) +([\d,]+ +[\d.]+) *$", result.text, re.MULTILINE))
    assert {name: row.split() for name, row in rows.items()} | {
        "read": ["14", "100.00"],
        "kept": ["3", "21.43"],
        "columns": ["1", "7.14"],
        "near_duplicate": ["2", "14.29"],
    } == {name: row.split() for name, row in rows.items()}
    assert len({len(line.rstrip()) for line in result.lines[: 2 + len(rows)] if line.strip()}) == 1  # it aligns
    assert f"{tmp_path / 'in.tsv'}:8\n    Datei %s fehlt\n    The file is missing" in result.text


def test_two_files_come_out_as_two_files_and_gzip_comes_out_plain(tmp_path: Path) -> None:
    for lang, side in zip(("de", "en"), zip(*(pair for _, pair in ROWS), strict=True), strict=True):
        write(tmp_path / f"in.{lang}", list(side))
    assert clean(tmp_path / "in", "-o", tmp_path / "sub" / "out").code == 0
    kept = [pair for reason, pair in ROWS if reason == "kept"]
    for lang, side in zip(("de", "en"), zip(*kept, strict=True), strict=True):
        assert (tmp_path / "sub" / f"out.{lang}").read_text(encoding="utf-8") == "".join(f"{line}\n" for line in side)


def test_twins_are_found_across_sources_and_each_is_counted(tmp_path: Path) -> None:
    names = [write(tmp_path / name, [record(GOOD)]) for name in ("a.jsonl", "b.jsonl")]
    assert clean(*names, "-o", tmp_path / "out.jsonl", "--report", tmp_path / "report.json").code == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["sources"] == {str(names[0]): {"read": 1, "kept": 1}, str(names[1]): {"read": 1, "kept": 0}}


def test_rules_are_switched_and_limits_set(tmp_path: Path) -> None:
    rows = [record(pair) for _, pair in ROWS]
    _, report = cleaned(tmp_path, rows, "--without", "near_duplicate", "--without", "duplicate", "--with", "numbers")
    assert report["dropped"]["duplicate"] == report["dropped"]["near_duplicate"] == 0
    assert report["dropped"]["numbers"] == 2


@pytest.mark.parametrize("samples", [0, 1])
def test_where_nothing_is_left_it_says_what_took_it_and_writes_nothing(tmp_path: Path, samples: int) -> None:
    path = write(tmp_path / "in.jsonl", [record(pair) for pair in [*[GOOD] * 2, ("", "A dog.")]])
    (tmp_path / "out.jsonl").write_text("before")
    outputs = ["-o", tmp_path / "out.jsonl", "--report", tmp_path / "r.json", "--dropped", tmp_path / "d.jsonl"]
    result = clean(path, *outputs, "--max-chars", 9, "--samples", samples)
    assert result.code == 1
    reasons = f"empty 1 (as {path}:3), length 2 (as {path}:1)" if samples else "empty 1, length 2"
    assert f"{path}: none of 3 pairs is left: {reasons}; nothing was written" in " ".join(result.err.split())
    assert (tmp_path / "out.jsonl").read_text() == "before"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_one_source_has_so_many_targets(tmp_path: Path) -> None:
    rows = [record(("Ein Haus steht da.", f"House {word} is there")) for word in ("one", "two", "three", "four")]
    assert cleaned(tmp_path, rows, "--max-targets", 3)[0] == rows[:3]
    assert cleaned(tmp_path, [*rows[:1], *rows], "--max-targets", 3)[0] == rows[:3]


def test_a_recipe_gives_languages_and_limits_and_options_go_over_it(tmp_path: Path) -> None:
    recipe = '[data]\nsrc_lang = "de"\ntgt_lang = "en"\ntrain = "t"\nvalid = "v"\nmax_chars = 10\nmax_ratio = 1.5\n'
    (tmp_path / "recipe.toml").write_text(recipe)
    write(tmp_path / "in.tsv", ["Ein Haus\tA house", "Ein Haus mit Dach\tA house, a roof", "Haus\tThe house"])
    args = ["data", "clean", tmp_path / "in.tsv", "-o", tmp_path / "out.tsv", "--recipe", tmp_path / "recipe.toml"]
    assert nmt(*args).code == 0
    assert (tmp_path / "out.tsv").read_text() == "Ein Haus\tA house\n"
    assert nmt(*args, "--max-chars", 20).code == 0
    assert (tmp_path / "out.tsv").read_text().count("\n") == 2


def test_the_bytes_do_not_depend_on_the_number_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "PAIRS_ALONE", 10)
    rows = [record((f"Das ist Satz {number % 40} von {pair[0]}", pair[1])) for number in range(30) for _, pair in ROWS]
    found = []
    for workers in (1, 2):
        cleaned(tmp_path, rows, "--workers", workers, "--dropped", tmp_path / "dropped.jsonl")
        found.append([(tmp_path / name).read_bytes() for name in ("out.jsonl", "dropped.jsonl", "report.json")])
    assert found[0] == found[1]
    assert all(found[0])


def test_languages_are_told_when_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("py3langid")
    english = "This sentence was surely written in the English language by somebody"
    rows = [record((english, english + " again")), record(("Dieser Satz ist auf Deutsch geschrieben worden", english))]
    assert cleaned(tmp_path, rows)[1]["kept"] == 2
    kept, report = cleaned(tmp_path, rows, "--with", "language")
    assert kept == rows[1:]
    assert report["dropped"]["language"] == 1


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["-o", "out.jsonl", "--src-lang", "de"], 2, "give --src-lang and --tgt-lang, or a --recipe"),
        (["-o", "in.jsonl", "--src-lang", "de", "--tgt-lang", "en"], 1, "in.jsonl: is what is read"),
        (["-o", "out.jsonl", "--report", "in.jsonl", "--src-lang", "de", "--tgt-lang", "en"], 1, "is what is read"),
        (["-o", "out.jsonl", "--placeholders", "tgas", "--recipe", "x"], 2, "tgas is no kind; wanted are some of"),
        (["-o", "out.jsonl", "--src-lang", "de", "--tgt-lang", "fr"], 1, "none of 1 pairs is left: columns 1"),
    ],
)
def test_what_cannot_be_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "in.jsonl", [record(GOOD)])
    result = nmt("data", "clean", "in.jsonl", *args)
    assert result.code == code
    assert said in result.err
    assert (tmp_path / "in.jsonl").read_text() == record(GOOD) + "\n"


def test_a_fault_leaves_no_output(tmp_path: Path) -> None:
    (tmp_path / "in.tsv").write_bytes(b"a\tb\n\xff\tc\n")
    result = clean(tmp_path / "in.tsv", "-o", tmp_path / "out.tsv")
    assert result.code == 1
    assert f"{tmp_path / 'in.tsv'}:2:1: byte 0xFF is not UTF-8" in result.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.tsv"]
    assert clean(tmp_path / "in.tsv", "-o", tmp_path / "out.tsv", "--errors", "replace").code == 0


def test_outputs_that_are_one_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("Ein Hund\tA dog\n")
    out = tmp_path / "b.tsv"
    for other in ("--report", "--dropped"):
        result = nmt("data", "clean", tmp_path / "a.tsv", "-o", out, other, out, "--src-lang", "de", "--tgt-lang", "en")
        assert result.code == 2
        assert "name one file twice" in result.err
        assert not out.exists()


def test_a_folder_is_no_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.tsv").write_text("Ein Hund\tA dog\n")
    monkeypatch.chdir(tmp_path)
    for command in (["clean", "a.tsv", "-o", "."], ["convert", "a.tsv", "."]):
        result = nmt("data", *command, "--src-lang", "de", "--tgt-lang", "en")
        assert (result.code, "give the name of a file in it" in result.err) == (1, True), result.err
