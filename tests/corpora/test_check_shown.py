import gzip
import json
from pathlib import Path
from statistics import mean

import pytest
from datasets import Dataset
from test_check import LOOKING, PAIRS, check, sides, write
from toy_run import nmt, write_recipe

from nmt.corpora import table
from nmt.corpora.check import Checker
from nmt.corpora.check_text import bad_bytes
from nmt.data.corpus import Filters
from nmt.data.lines import TextFile
from nmt.data.sources import HubSource, SourceRules

LANGUAGES = ("--src-lang", "de", "--tgt-lang", "en")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "160")


@pytest.mark.parametrize("batch", [2, 5000])
def test_what_is_counted_is_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(table, "_BATCH_PAIRS", batch)
    pairs = [("Der Hund ", "The dog barks"), ("Ein  Мир", "World"), ("", "Nothing"), ("ja", "yes yes"), ("nun", "so")]
    path = tmp_path / "text.tsv"
    path.write_text("".join(f"{src}\t{tgt}\n" for src, tgt in pairs) + "no pair\n", encoding="utf-8")
    (found,) = check(path, *LANGUAGES)["sources"]
    for side, place, words in (("src", 0, [2, 2, 0, 1, 1]), ("tgt", 1, [3, 1, 1, 2, 1])):
        chars = [len(pair[place].strip()) for pair in pairs]
        assert (found[side]["chars"], found[side]["words"]) == (sum(chars), sum(words))
        assert found[side]["empty"] == chars.count(0)
        assert found[side]["chars_per_line"]["mean"] == round(mean(chars), 1)
        assert found[side]["words_per_line"]["longest"] == max(words)
        assert sum(found[side]["length_histogram"]) == len(pairs)
        assert found[side]["different_characters"] == len(set("".join(pair[place] for pair in pairs)))
    assert found["problems"] == {"no pair in this row": 1}  # what is empty is dropped, and no more is asked of it
    assert list(found["src"]["scripts"].items()) == [("LATIN", 15), ("CYRILLIC", 3)]
    # of 13/8, 5/8, 7/2 and 2/3
    assert found["ratios"] == [0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0, 1, 0]
    assert found["median_ratio"] == 0.75  # (1 + 2) / (1 + 3)


@pytest.mark.parametrize("batch", [7, 5000])
def test_examples_are_pairs_from_anywhere_and_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(table, "_BATCH_PAIRS", batch)
    src = [f"Zeile {line % 50}" for line in range(1, 201)]
    files = write(tmp_path, src, ["A line"] * 200)
    (found,) = check(*files, "--examples", 5)["sources"]
    assert found["problems"] == {"numbers": 200}
    examples = found["examples"]["numbers"]
    places = [int(example["where"].removeprefix(f"{files[0]}:")) for example in examples]
    assert [example["src"] for example in examples] == [src[place - 1] for place in places]
    assert len(places) == 5 and places == sorted(places) and places[4] <= 50 and places != [1, 2, 3, 4, 5]
    assert check(*files, "--examples", 0)["sources"][0]["examples"] == {}


def test_lines_that_are_no_utf_8_are_counted_on_both_sides(tmp_path: Path) -> None:
    greek, german = "Ανοίξτε την πόρτα".encode("iso8859-7"), "Öffnen Sie die Tür".encode("latin-1")
    lines = [b"a", "ä".encode(), german, german, b"b"], [b"a", greek, german, greek, "ö".encode()]
    files = write(tmp_path, *(b"\n".join(side) for side in lines))
    (found,) = check(*files, "--examples", 1, code=1)["sources"]
    assert found["lines"] == 5 and found["failure"] == ""  # all else is looked at
    src, tgt = found["bad_bytes"]
    assert (src["lines"], src["utf8_lines"], src["first"]) == (2, 1, [f"{files[0]}:3:1"])
    assert (tgt["lines"], tgt["utf8_lines"], tgt["first"]) == (3, 1, [f"{files[1]}:2:1"])
    assert "Latin-1" in src["guess"] and "Latin-1" not in tgt["guess"]
    assert f"first at {files[0]}:3:1 (" in check(*files, "--examples", 0, code=1)["failures"][0]


@pytest.mark.parametrize(
    ("text", "encoding", "western"),
    [
        ("Öffnen Sie die Tür", "latin-1", True),
        ("„Ja“ – so sagt er", "cp1252", True),
        ("Öffnen Sie die Tür", "cp850", False),
        ("Ανοίξτε την πόρτα", "iso8859-7", False),
    ],
)
def test_an_encoding_is_named_where_it_is_likely(tmp_path: Path, text: str, encoding: str, western: bool) -> None:
    path = tmp_path / "text"
    path.write_bytes(text.encode(encoding))
    bad = bad_bytes(TextFile(path, "text"), examples=1)
    assert bad is not None and ("Latin-1" in bad.guess) is western


def test_a_set_of_the_hub_is_looked_at_as_files_are(tmp_path: Path) -> None:
    rows = [{"de": "Ein Hund\n", "en": "A dog"}, {"de": "Siehe Seite 12.", "en": "See page 13."}, {"de": "nur das"}]
    source = HubSource("hub:a/b:train", Dataset.from_list([{"translation": row} for row in rows]))
    rules = SourceRules(folder=tmp_path, hub={}, src_lang="de", tgt_lang="en")
    filters = Filters(max_chars=100, max_ratio=9.0, drop_duplicates=True)
    checker = Checker(rules, filters=filters, looking=LOOKING, examples=2, workers=1)
    found = checker.look("train", source, tmp_path)
    assert (found.failure, found.lines, found.kept, found.dropped["columns"]) == ("", 3, 2, 1)
    assert found.examples["numbers"] == [("hub:a/b:train:2", "Siehe Seite 12.", "See page 13.", "")]


def test_files_are_read_by_their_names_and_languages_by_theirs_or_as_told(tmp_path: Path) -> None:
    pair, row = ("Ein Hund", "A dog"), b"x\tA dog\tEin Hund\n"
    paths = [tmp_path / f"a.{name}.gz" for name in ("de", "en", "tsv")] + [tmp_path / "a.tsv.jsonl"]
    for path, text in zip(paths, (pair[0].encode(), pair[1].encode(), row), strict=False):
        path.write_bytes(gzip.compress(text))
    paths[3].write_text(json.dumps({"en": pair[1], "de": pair[0]}))
    src, tgt, tsv, jsonl = paths
    for args, languages, first in [
        ((src, tgt), ("de", "en"), pair),
        ((src, tgt, "--src-lang", "nl"), ("nl", "en"), pair),
        ((src, tgt, "--tgt-lang", "nl"), ("de", "nl"), pair),
        ((tsv, "--tsv-columns", "fr,en,de", *LANGUAGES), ("de", "en"), pair),
        ((tsv, "--tsv-columns", "de,fr,en", *LANGUAGES), ("de", "en"), ("x", "Ein Hund")),
        ((jsonl, *LANGUAGES), ("de", "en"), pair),
    ]:
        found = check(*args)
        assert (found["src_lang"], found["tgt_lang"]) == languages
        assert [found["sources"][0][side]["chars"] for side in ("src", "tgt")] == [len(text) for text in first]


def test_all_that_is_shown_of_files(tmp_path: Path) -> None:
    long = "sehr " * 40
    src = ["Ein Hund", "Ein Hund", "Ein Hund", "", "Der Kater\u200b ist " + long, "Ein Hund"]
    tgt = ["A dog", "A dog", "A dog", "none", "The cat is " + "very " * 10, "One dog"]
    files = write(tmp_path, src, tgt)
    lines = nmt("data", "check", *files, "--workers", 1).lines
    named = [place for place, line in enumerate(lines) if line.startswith("text.de + text.en ")]
    pairs, ratios = (lines[place].split() for place in named)
    assert pairs[3:] == ["6", "3", "empty", "side", "1,", "duplicate", "2", "2", "1"]
    assert ratios[3] == "0.66"  # (1 + 5) / (1 + 8), to hundredths of its logarithm

    place = lines.index("text.de + text.en")
    for line, lang, side in zip(lines[place + 1 :], ("de", "en"), (src, tgt), strict=False):
        stripped = [text.strip() for text in side]
        chars, words = sum(map(len, stripped)), sum(len(text.split()) for text in side)
        longest = max(map(len, stripped))
        assert line.split()[:3] == [lang, str(chars), str(words)]
        assert line.split()[6] == str(longest) and line.endswith("Latin 100 %")
    assert lines[place + 1].index("|") == lines[place + 2].index("|")

    place = lines.index(f"{files[0]} + {files[1]}: worth a look")
    begin = lines.index(f"    {files[0]}:5", place)
    shown = f"Der Kater<U+200B> ist {long}"[:120]
    assert lines[begin + 1 : begin + 3] == [f"      {shown}...", "      The cat is " + "very " * 10]
    assert "  zero-width characters        1  16.7 %" in lines
    assert lines[-1] == "nothing here would make a training fail"
    assert any(line.startswith("warning: ") and line.endswith("2 of 6 pairs are duplicates") for line in lines)


def test_all_sets_of_a_recipe_are_shown_and_what_would_fail_last(tmp_path: Path) -> None:
    valid = [("Siehe Seite 12.", "See page 13."), *PAIRS[:3]]
    recipe = write_recipe(tmp_path, PAIRS[:40], valid, PAIRS[60:80])
    args = ("--set", "tokenizer.kind=unigram", "--set", "tokenizer.vocab_size=1000", "--workers", 1)
    lines = nmt("data", "check", recipe, *args).lines
    for role, pairs in (("train", PAIRS[:40]), ("valid", valid), ("test", PAIRS[60:80])):
        assert sum(line.startswith(f"{role}: {role}.de + {role}.en") for line in lines) == 3
        place = lines.index(f"{role}: {role}.de + {role}.en")
        assert lines[place + 1].split()[1] == f"{sum(len(src) for src, _ in pairs):,}"
    assert lines[-4:-2] == [
        "test: none of its source sentences is in the training text",
        "warning: tokenizer.vocab_size is 1000, but the training text gives " + lines[-3].split("gives ")[1],
    ]
    assert lines[-2].startswith("warning: valid: 3 of its source sentences are in the training text")
    assert any(line.endswith("valid.de + " + f"{tmp_path / 'valid.en'}: worth a look") for line in lines)
    (tmp_path / "test.en").unlink()
    failed = nmt("data", "check", recipe, *args)
    assert failed.code == 1 and failed.lines[-1].startswith("would fail: test: only ")
    assert "nothing" not in failed.lines[-2]


def test_a_row_without_a_pair_is_shown_with_its_fault(tmp_path: Path) -> None:
    path = tmp_path / "text.tsv"
    path.write_text("Ein Hund\tA dog\nnur eine\n", encoding="utf-8")
    lines = nmt("data", "check", path, *LANGUAGES, "--workers", 1).lines
    assert lines[lines.index(f"    {path}:2") + 1] == "      1 tab-separated columns, but 2 are wanted"


def test_letters_of_a_script_that_is_not_the_languages_own_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")  # what does not fit is not broken into columns of a few letters
    for latin, letters in ((1000, "Latin 99.9 %, Cyrillic 0.0999 %"), (3000, "Latin 100 %")):
        lines = nmt("data", "check", *write(tmp_path, ["a" * latin + "Ж"], ["b" * 990]), "--workers", 1).lines
        assert next(line for line in lines if line.startswith("  de ")).endswith(letters)


def test_sound_text_is_said_to_be_sound(tmp_path: Path) -> None:
    src, tgt = sides()
    result = nmt("data", "check", *write(tmp_path, src[:200], tgt[:200]), "--workers", 1)
    assert result.code == 0 and result.lines[-1] == "nothing wrong was found"
    assert not [line for line in result.lines if line.startswith(("warning", "would fail"))]
