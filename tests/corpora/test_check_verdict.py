import sys
from pathlib import Path
from typing import Any

import pytest
from test_check import PAIRS, check, write
from toy_run import read, write_pairs, write_recipe

from nmt.cli.data import check_verdict
from nmt.cli.data.check_verdict import judge
from nmt.corpora.check import Findings
from nmt.corpora.check_shift import Stretch
from nmt.corpora.check_text import BadBytes
from nmt.data.corpus import REASONS, Corpus
from nmt.train.prepare import open_corpora

PIECES = ("--set", "tokenizer.kind=unigram", "--set", "tokenizer.vocab_size=1000")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(check_verdict, "find_spec", lambda name: name)  # whatever is installed here


def findings(role: str = "text", name: str = "a.tsv", dropped: dict[str, int] | None = None, **found: Any) -> Findings:
    """Of 1000 lines in which nothing is wrong, but for what is given."""
    given = {"lines": 1000, "kept": 1000} | found
    return Findings(role, name, dropped=dict.fromkeys(REASONS, 0) | (dropped or {}), **given)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("wrong language", 20),
        ("wrong script", 20),
        ("identical sides", 20),
        ("length ratio", 20),
        ("placeholders", 20),
        ("broken encoding (Ã¼)", 1),
        ("replacement character U+FFFD", 1),
        ("control characters", 10),
    ],
)
def test_a_suspicion_is_a_warning_where_too_many_pairs_have_it(name: str, most: int) -> None:
    assert judge([findings(problems={name: most})]).warnings == []
    assert judge([findings(problems={name: most + 1})]).warnings == [f"a.tsv: {name}: {most + 1} of 1,000 pairs"]


def test_what_is_lost_is_a_warning_from_a_tenth_of_the_text_on() -> None:
    few = {"columns": 40, "too long": 60, "duplicate": 100}
    assert judge([findings(dropped=few, duplicates=100)]).warnings == []
    assert judge([findings(dropped=few | {"too long": 61}, duplicates=101)]).warnings == [
        "a.tsv: 101 of 1,000 pairs would be dropped: columns 40, too long 61",
        "a.tsv: 101 of 1,000 pairs are duplicates",
    ]


def test_no_pair_left_is_a_failure_where_that_is_so_of_all_training_text() -> None:
    none, some, valid = (findings("train", kept=0), findings("train", kept=1), findings("valid"))
    assert judge([none, some, valid]).failures == []
    assert "no training pair is left" in judge([none, none, valid]).failures[0]
    assert judge([none, findings("train", failure="b: cannot be read", lines=0, kept=0)]).failures == [
        "b: cannot be read"
    ]


def test_a_row_without_a_pair_is_dropped_from_training_text_and_stops_what_is_scored() -> None:
    odd = {"columns": 300}
    assert judge([findings("train", dropped=odd), findings(dropped=odd)]).failures == []
    scored = judge([findings("test", dropped=odd)])
    assert (scored.failures, scored.warnings) == (["a.tsv: 300 rows hold no pair; mend them"], [])


@pytest.mark.parametrize(("offset", "facing"), [(-1, "line N-1"), (2, "line N+2")])
def test_a_shift_is_told_with_its_first_and_last_line_and_where_the_partners_are(offset: int, facing: str) -> None:
    (warning,) = judge([findings(shifts=[Stretch(5, 90, offset, 30.0)])]).warnings
    assert "from line 5 to line 90" in warning and f"{facing} of the target" in warning
    assert warning.endswith("shortly before line 5")


def test_bad_bytes_are_failures_unless_they_are_to_be_replaced() -> None:
    found = findings(bad_bytes=[BadBytes(7, 0, ("a.tsv:2:6",), "Greek"), BadBytes(1, 2000, ("b:9:1", "b:10:1"), "odd")])
    strict, replaced = judge([found]), judge([found], errors="replace")
    assert strict.failures == replaced.warnings and strict.warnings == replaced.failures == []
    first, second = strict.failures
    assert first.startswith("a.tsv: has 7 lines that are not UTF-8, first at a.tsv:2:6 (line:byte); Greek")
    assert second.startswith("b: mixed encodings: beside 2,000 lines of UTF-8 there are 1 lines")


@pytest.mark.parametrize("setting", ["data.drop_duplicates=false", "data.max_chars=40", "data.max_ratio=1.2"])
def test_each_set_of_a_recipe_is_read_under_the_rules_of_a_training(tmp_path: Path, setting: str) -> None:
    odd = [*sorted(PAIRS[:40], key=lambda pair: len(pair[0]))[:3], ("", "Nothing"), (" ", "")]
    recipe = write_recipe(tmp_path, PAIRS[:40] + odd, PAIRS[40:60] + odd, PAIRS[60:70] + odd)
    found = check(recipe, "--set", setting, *PIECES)
    corpora = open_corpora(read(recipe, **dict([setting.split("=")])).data)

    def counts(corpus: Corpus) -> tuple[int, int, dict[str, int]]:
        return corpus.read, len(corpus.pairs), dict.fromkeys(REASONS, 0) | corpus.dropped

    assert (found["src_lang"], found["tgt_lang"]) == ("de", "en")
    told = {source["role"]: (source["lines"], source["kept"], source["dropped"]) for source in found["sources"]}
    assert told == {
        "train": counts(corpora.train), "valid": counts(corpora.valid), "test": counts(corpora.tests["test"])
    }  # fmt: skip
    assert found["overlap"] == corpora.overlaps and all(corpora.overlaps.values())
    assert sum("3 empty lines" in warning for warning in found["warnings"]) == 2


def test_what_comes_twice_in_one_set_is_a_duplicate_and_test_sets_are_scored_one_by_one(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, PAIRS[:40], PAIRS[40:60], PAIRS[60:80])
    write_pairs(tmp_path, "more", PAIRS[30:50])
    write_pairs(tmp_path, "all", PAIRS[40:80])
    sets = ("--set", 'data.train=["train", "more"]', "--set", 'data.test=["test", "all"]')
    found = check(recipe, *sets, *PIECES)
    assert [source["duplicates"] for source in found["sources"]] == [0, 10, 0, 0, 0]


def test_a_missing_set_is_told_and_all_others_are_looked_at(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, PAIRS[:40])
    (tmp_path / "test.de").unlink()
    found = check(recipe, *PIECES, code=1)
    assert [source["lines"] for source in found["sources"]] == [0, 40, 20]
    assert len(found["failures"]) == 1 and found["failures"][0].startswith("test: only ")


@pytest.mark.parametrize("errors", ["strict", "replace"])
def test_a_half_surrogate_pair_is_judged_as_a_training_under_the_recipe_takes_it(tmp_path: Path, errors: str) -> None:
    recipe = write_recipe(tmp_path, PAIRS[:40])
    (tmp_path / "odd.jsonl").write_text('{"de": "Ein Hund \\udc00", "en": "A dog"}\n')
    sets = ("--set", 'data.train=["train", "odd.jsonl"]', "--set", f"data.errors={errors}")
    found = check(recipe, *sets, *PIECES, code=int(errors == "strict"))
    told = {
        key: any("odd.jsonl: 1 lines have half of" in text for text in found[key]) for key in ("failures", "warnings")
    }
    assert told == {"failures": errors == "strict", "warnings": errors == "replace"}
    assert len(found["failures"]) == told["failures"]


def test_bytes_that_a_recipe_has_replaced_stop_nothing(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, PAIRS[:40])
    with (tmp_path / "train.de").open("ab") as src, (tmp_path / "train.en").open("ab") as tgt:
        src.write("Die Tür\n".encode("latin-1"))
        tgt.write(b"The door\n")
    assert "train.de:41:6" in check(recipe, *PIECES, code=1)["failures"][0]
    found = check(recipe, *PIECES, "--set", "data.errors=replace")
    assert found["failures"] == [] and any("train.de:41:6" in warning for warning in found["warnings"])


def test_a_vocabulary_that_gets_too_few_pieces_on_either_side_is_a_warning(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, [(src, "Yes.") for src, _ in PAIRS[:200]])
    kind = ("--set", "tokenizer.kind=unigram", "--set", "model.tie=tgt")

    def short(size: int, *options: str) -> list[str]:
        found = check(recipe, *kind, "--set", f"tokenizer.vocab_size={size}", *options)
        return [warning for warning in found["warnings"] if "pieces only" in warning]

    (warning,) = short(320, "--set", "tokenizer.joint=false")
    built = int(warning.split(" pieces")[0].split()[-1])
    assert 256 < built < 300  # the target side's
    assert short(320) == [] and len(short(1000)) == 1
    assert short(1000, "--set", "tokenizer.run=another") == []  # whose vocabulary is as it is


@pytest.mark.parametrize(
    ("src", "tgt", "many"),
    [(0, 0, False), (0, 1, True), (1, 0, True)],
)
def test_a_side_in_the_other_language_is_a_warning(tmp_path: Path, src: int, tgt: int, many: bool) -> None:
    pytest.importorskip("py3langid")
    pair = ("Ein kleiner Hund läuft über die grüne Wiese", "A small dog is running across the green grass")
    found = check(*write(tmp_path, [pair[src]], [pair[tgt ^ 1]]))
    assert any("wrong language: 1 of 1 pairs" in warning for warning in found["warnings"]) is many


def test_without_the_package_that_tells_languages_all_else_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nmt.corpora.language", None)
    monkeypatch.setattr(check_verdict, "find_spec", lambda name: None)
    found = check(*write(tmp_path, ["A small dog is running across the green grass\x07"], ["Yes, it runs across it"]))
    assert found["sources"][0]["problems"] == {"control characters": 1}
    assert any('pip install "nmt[language]"' in warning for warning in found["warnings"])
