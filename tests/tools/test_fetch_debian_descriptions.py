"""Package descriptions: what is paired, what is left out and why, from made-up indexes."""

import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_archive import FakeArchive
from fetch_debian_descriptions import Description, Pairing, blocks_of, main, read_index

ENGLISH = """\
Package: one
Description-md5: 11
Description-en: viewer of images
 It shows images of all kinds and prints
 them. It is easy to use.
 .
 Features:
  * reads large
    files;
  * writes them
 .
   viewer --all
   viewer --none

Package: two
Description-md5: 22
Description-en: library for tests
 It is one paragraph.
"""
GERMAN = """\
Package: one
Description-md5: 11
Description-de: Betrachter für Bilder
 Er zeigt Bilder jeder Art an und druckt sie. Er ist
 einfach zu bedienen.
 .
 Merkmale:
  - liest große Dateien,
  - schreibt sie
 .
   betrachter --alle

Package: two
Description-md5: 22
Description-de: Bibliothek für Tests
 Hier sind es
 .
 zwei Absätze.

Package: two
Description-md5: 21
Description-de: von einem älteren Text
 Es ist ein Absatz.
"""


def description(short: str = "", *lines: str) -> Description:
    return Description("p", "0", short, lines)


def body_pairs(ours: list[str], theirs: list[str]) -> tuple[list[tuple[str, str]], dict[str, int]]:
    pairing = Pairing(usual=0.0)
    found = [pair[1:] for pair in pairing.pairs(description("a b", *ours), description("a c", *theirs))]
    return found[1:], dict(pairing.dropped)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeArchive:
    return FakeArchive(tmp_path / "fake", monkeypatch)


def test_the_indexes_are_joined_by_md5_and_paired_by_structure(fake: FakeArchive, tmp_path: Path) -> None:
    for suite in ("sid", "stable"):  # the same texts in two releases are one
        fake.add_index("en", ENGLISH, suite=suite)
        fake.add_index("de", GERMAN, suite=suite)
    out = tmp_path / "de.jsonl"
    result = CliRunner().invoke(main, ["de", str(out)])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [(row["part"], row["translation"]["de"], row["translation"]["en"]) for row in rows] == [
        ("short", "Betrachter für Bilder", "viewer of images"),
        ("paragraph", "Er zeigt Bilder jeder Art an und druckt sie.", "It shows images of all kinds and prints them."),
        ("paragraph", "Er ist einfach zu bedienen.", "It is easy to use."),
        ("paragraph", "Merkmale:", "Features:"),
        ("bullet", "liest große Dateien", "reads large files"),
        ("bullet", "schreibt sie", "writes them"),
        ("short", "Bibliothek für Tests", "library for tests"),
    ]
    assert {key: rows[0][key] for key in ("source", "package", "suite")} == {
        "source": "debian_descriptions",
        "package": "one",
        "suite": "sid",
    }
    assert "long description of another structure: 1" in result.output
    assert (tmp_path / ".apt").is_dir()
    before = out.read_bytes()
    CliRunner().invoke(main, ["de", str(out)])
    assert out.read_bytes() == before


def test_each_description_of_an_index_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "index").write_text(f"\n{GERMAN}\n\n".replace("\n\nPackage", "\n\n\nPackage"), encoding="utf-8")
    found = list(read_index(tmp_path / "index", "de"))
    assert [(one.package, one.md5, len(one.lines)) for one in found] == [
        ("one", "11", 8),
        ("two", "22", 3),
        ("two", "21", 1),
    ]


@pytest.mark.parametrize(
    ("lines", "blocks"),
    [
        (["a", "b"], [[("paragraph", "a b")]]),
        (["a", ".", ".", "b"], [[("paragraph", "a")], [("paragraph", "b")]]),
        (["a:", " * b", "   c", "d"], [[("paragraph", "a:"), ("bullet", "b c"), ("paragraph", "d")]]),
        (["- b", "c", "- d"], [[("bullet", "b c"), ("bullet", "d")]]),
        (["1. b", "2) c", " (a) d"], [[("bullet", "b"), ("bullet", "c"), ("bullet", "d")]]),
        (["  x = 1", "  y = 2", "a"], [[("verbatim", ""), ("paragraph", "a")]]),
        (["   * b", " x = 1", "    y = 2"], [[("bullet", "b"), ("verbatim", "")]]),
        (["read-", "only and ein-", "und ausgehend"], [[("paragraph", "read-only and ein- und ausgehend")]]),
        (["⋅un type⋅: a⋅;"], [[("bullet", "un type : a")]]),
        (["最下", "部 の", "x"], [[("paragraph", "最下部 の x")]]),
    ],
)  # fmt: skip
def test_lines_become_blocks(lines: list[str], blocks: list[list[tuple[str, str]]]) -> None:
    assert blocks_of(tuple(lines)) == blocks


def test_what_is_set_as_it_is_parts_texts_and_is_never_paired() -> None:
    ours = ["So geht es:", "  Betrachter --alle Bilder", "  Betrachter --kein Bild", "Es ist einfach."]
    theirs = ["This is how:", "  viewer --all images", "It is easy."]
    assert body_pairs(ours, theirs) == ([("So geht es:", "This is how:"), ("Es ist einfach.", "It is easy.")], {})
    assert body_pairs(ours[1:3], theirs[1:2]) == ([], {})


def test_only_the_section_that_differs_is_left_out() -> None:
    found, dropped = body_pairs(["Eins.", ".", " * zwei", ".", "Drei."], ["One.", ".", "two", ".", "Three."])
    assert found == [("Eins.", "One."), ("Drei.", "Three.")]
    assert dropped == {"section of another structure": 1}


def test_sentences_are_cut_only_where_they_are_as_many_and_of_like_lengths() -> None:
    long, longer = "Das ist ein recht langer Satz über Dinge.", "This is a rather long sentence about some things."
    assert body_pairs([f"{long} Ja."], [f"{longer} Yes."])[0] == [(long, longer), ("Ja.", "Yes.")]
    other = [(f"{long} Und noch einer.", f"{longer.removesuffix('.')}, and one more.")]
    assert body_pairs([other[0][0]], [other[0][1]])[0] == other
    crossed = [(f"Ja. {long} {long}", f"{longer} {longer} Yes.")]
    assert body_pairs([crossed[0][0]], [crossed[0][1]])[0] == crossed


def test_what_cannot_be_a_translation_by_its_length_or_cannot_be_cut_is_left_out() -> None:
    assert body_pairs(["kurz und gut"], ["long " * 20]) == ([], {"lengths do not fit": 1})
    many = " ".join(["Wort"] * 61)
    assert body_pairs([many], [many]) == ([], {"too long, and not to be cut alike": 1})
    wide = "长" * 401
    assert body_pairs([wide], [wide]) == ([], {"too long, and not to be cut alike": 1})
    assert body_pairs(["1 2 3"], ["1 2 4"]) == ([], {"no word in it": 1})


def test_lengths_are_judged_by_what_the_language_usually_makes_of_them_and_leniently_where_they_are_short() -> None:
    twice = Pairing(usual=math.log(2))
    assert twice.fits("b" * 250, "a" * 100)
    assert not twice.fits("b" * 80, "a" * 100)
    assert Pairing(usual=0.0).fits("Ja", "Yes, of course")
    assert not Pairing(usual=0.0).fits("Ja" * 10, "Yes, of course" * 10)


def test_faults_are_words(fake: FakeArchive, tmp_path: Path) -> None:
    said = CliRunner().invoke(main, ["en", str(tmp_path / "o")])
    assert (said.exit_code, "LANG is the other language than English" in said.output) == (2, True)
    said = CliRunner().invoke(main, ["eo", str(tmp_path / "o")])
    assert (said.exit_code, "has descriptions in 'eo'" in said.output) == (1, True)
    fake.add_index("en", ENGLISH)
    fake.add_index("de", "").write_bytes(b"Package: \xff\n")
    said = CliRunner().invoke(main, ["de", str(tmp_path / "o")])
    assert (said.exit_code, "sid_Translation-de:1:10: byte 0xFF" in said.output) == (1, True)
    assert not (tmp_path / "o").exists()
