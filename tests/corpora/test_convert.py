import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.cli.data.convert import _FORMS
from nmt.corpora.convert import SUFFIXES, find_form, find_overwritten, output_files, write
from nmt.corpora.forms import LINE_FORMS, Entry, FormRules, Report
from nmt.corpora.forms_po import PO_FORMS
from nmt.corpora.forms_xml import XML_FORMS
from nmt.errors import DataError, OutputError

FORMS = LINE_FORMS | PO_FORMS | XML_FORMS
RULES = FormRules(src_lang="de", tgt_lang="en")
WRITTEN = [name for name, form in FORMS.items() if form.write]
KEEP_EMPTY = ["lines", "tsv", "json", "tmx"]
Pair = tuple[str, str]

LETTERS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=20)
PIECES = st.sampled_from(
    [
        "<b>",
        "&amp;",
        "&",
        "]]>",
        '"',
        "'",
        "\\n",
        "\\",
        " ",
        "%s",
        "שלום",
        "👩‍👧",
        "\u2028",
        "\x85",
        "\ufeff",
        "_:",
        "#~",
    ]
)
TEXTS = st.lists(LETTERS | PIECES, max_size=4).map("".join)
BREAKS = st.lists(LETTERS | st.sampled_from(["\n", "\r\n", "\r", "\t", "\n\n", "\\n"]), max_size=4).map("".join)


def entries(pairs: Sequence[Pair]) -> list[Entry]:
    return [Entry(f"given:{number}", *pair) for number, pair in enumerate(pairs, start=1)]


def through(given_entries: Sequence[Entry], form: str, folder: Path, rules: FormRules = RULES) -> list[Entry]:
    """What is read again from a file that they were written to."""
    write_into(given_entries, form, folder, rules)
    return list(FORMS[form].read(folder / "file", rules))


def write_into(given_entries: Sequence[Entry], form: str, folder: Path, rules: FormRules = RULES) -> Report:
    files = output_files(folder / "file", form, rules)
    streams = [io.BytesIO() for _ in files]
    report = write(iter(given_entries), FORMS[form], streams, rules)
    for file, stream in zip(files, streams, strict=True):
        file.write_bytes(stream.getvalue())
    return report


def pairs_of(found: Sequence[Entry]) -> list[Pair]:
    return [(entry.src, entry.tgt) for entry in found if not entry.fault]


def holdable(pair: Pair) -> bool:
    """By any form."""
    return all(pair) and not any(side.startswith("_:") for side in pair)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS).filter(holdable), max_size=4))
def test_any_form_and_any_other_after_it_give_the_pairs_back(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[Pair]
) -> None:
    folder = tmp_path_factory.mktemp("there")
    for form in WRITTEN:
        there = through(entries(pairs), form, folder)
        assert pairs_of(there) == pairs
        for other in WRITTEN:
            back = through(through(there, other, folder), form, folder)
            assert pairs_of(back) == pairs, (form, other)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
def test_empty_texts_are_kept_or_counted(tmp_path_factory: pytest.TempPathFactory, pairs: list[Pair]) -> None:
    folder = tmp_path_factory.mktemp("empty")
    for form in KEEP_EMPTY:
        assert pairs_of(through(entries(pairs), form, folder)) == pairs
    if all(map(holdable, pairs)):
        return
    for form in ("po", "xliff"):
        try:
            report = write_into(entries(pairs), form, folder)
        except DataError:  # none of them could be written
            continue
        kept = Report()
        list(kept.pairs(FORMS[form].read(folder / "file", RULES)))
        assert report.units == len(pairs) == report.written + sum(each.times for each in report.left_out.values())
        assert kept.units == report.written == kept.written + sum(each.times for each in kept.left_out.values())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(BREAKS, BREAKS).filter(all), min_size=1, max_size=4))
def test_breaks_and_tabs_stay_or_become_spaces_and_are_counted(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[Pair]
) -> None:
    folder = tmp_path_factory.mktemp("breaks")
    for form in ("json", "tmx", "po", "xliff"):
        assert pairs_of(through(entries(pairs), form, folder)) == pairs
    flat = [tuple(side.replace("\r\n", " ").replace("\r", " ").replace("\n", " ") for side in pair) for pair in pairs]
    assert pairs_of(through(entries(pairs), "lines", folder)) == flat
    report = write_into(entries(pairs), "tsv", folder)
    assert pairs_of(list(FORMS["tsv"].read(folder / "file", RULES))) == [
        (src.replace("\t", " "), tgt.replace("\t", " ")) for src, tgt in flat
    ]
    tabs = sum("\t" in src + tgt for src, tgt in pairs)
    assert ("tab made a space" in report.changed) == (tabs > 0)
    assert not tabs or report.changed["tab made a space"].times == tabs
    assert ("line break made a space" in report.changed) == any(set("\r\n") & set(src + tgt) for src, tgt in pairs)


@pytest.mark.parametrize("form", ["tmx", "po", "xliff"])
def test_what_xml_cannot_hold_is_dropped_and_counted(tmp_path: Path, form: str) -> None:
    pairs = [("a\x00b\x1b", "c\ufffe"), ("d", "e"), ("\x0cf", "g")]
    report = write_into(entries(pairs), form, tmp_path)
    assert pairs_of(list(FORMS[form].read(tmp_path / "file", RULES))) == [("ab", "c"), ("d", "e"), ("f", "g")]
    assert report.changed["control character dropped"] == (3, "given:1")


@pytest.mark.parametrize("form", WRITTEN)
def test_the_same_pairs_give_the_same_bytes(tmp_path: Path, form: str) -> None:
    pairs = entries([("a", "b"), ("a", "c")])
    write_into(pairs, form, tmp_path)
    first = [file.read_bytes() for file in output_files(tmp_path / "file", form, RULES)]
    write_into(pairs, form, tmp_path)
    assert [file.read_bytes() for file in output_files(tmp_path / "file", form, RULES)] == first
    assert not re.search(rb"\b20\d\d\b", first[0]), "a date"


@pytest.mark.parametrize("form", ["json", "tmx", "xliff"])
def test_what_else_is_known_of_a_pair_is_kept(tmp_path: Path, form: str) -> None:
    fields = {"context": "menu <1>", "location": "a.c:3 b.c:4", "id": "seven", "source": "debian"}
    assert through([Entry("here", "a", "b", fields=fields)], form, tmp_path)[0].fields == fields


def test_po_keeps_context_and_locations(tmp_path: Path) -> None:
    fields = {"context": "menu", "location": "a.c:3 b.c:4"}
    assert through([Entry("here", "a", "b", fields={**fields, "id": "x"})], "po", tmp_path)[0].fields == fields


def test_json_keeps_all_fields(tmp_path: Path) -> None:
    fields = {"score": 0.5, "tags": ["x"], "context": None}
    assert through([Entry("here", "a", "b", fields=fields)], "json", tmp_path)[0].fields == fields
    assert through([Entry("here", "a", "b", fields=fields)], "tmx", tmp_path)[0].fields == {}


def test_a_source_that_comes_again_is_told_apart_in_po(tmp_path: Path) -> None:
    twice = [Entry("x:1", "a", "b"), Entry("x:2", "a", "c"), Entry("x:3", "a", "c", fields={"context": "k"})]
    assert write_into(twice, "po", tmp_path).changed == {"source again, told apart by a context": (1, "x:2")}
    found = list(FORMS["po"].read(tmp_path / "file", RULES))
    assert pairs_of(found) == [("a", "b"), ("a", "c"), ("a", "c")]
    assert [entry.fields.get("context", "") for entry in found] == ["", "#2", "k"]


def test_every_unit_is_counted_once() -> None:
    report = Report()
    given_entries = [
        Entry("x:1", "a", "b"),
        Entry("x:1", "c", "d", form=1),
        Entry("x:2", fault="fuzzy", chosen=("no pair",)),
        Entry("x:3", fault="untranslated", form=1),
        Entry("x:4", fault="fuzzy"),
        Entry("x:5", "e", "f", chosen=("en-US for en",)),
        Entry("x:6", "g", "h", chosen=("en-US for en", "de-DE for de")),
    ]
    assert pairs_of(list(report.pairs(given_entries))) == [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")]
    assert (report.units, report.plurals, report.written) == (5, 2, 4)
    assert report.chosen == {"en-US for en": (2, "x:5"), "de-DE for de": (1, "x:6")}
    assert report.left_out == {"fuzzy": (2, "x:2"), "untranslated": (1, "x:3")}


def test_no_pair_at_all_is_said() -> None:
    with pytest.raises(DataError, match=r"no pair in 2 units: 2 fuzzy \(first x:2\); are these the languages"):
        write([Entry("x:2", fault="fuzzy"), Entry("x:3", fault="fuzzy")], FORMS["tsv"], [io.BytesIO()], RULES)


def test_an_empty_file_is_converted_to_one(tmp_path: Path) -> None:
    for form in WRITTEN:
        assert through([], form, tmp_path) == []


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a/train", "lines"),
        ("a.tsv/train", "lines"),
        ("train.v1", "lines"),
        ("x.TSV", "tsv"),
        ("x.po.gz", "po"),
        ("X.PO.GZ", "po"),
        ("x.jsonl", "json"),
        ("x.json.gz", "json"),
        ("x.tmx.gz", "tmx"),
        ("x.pot", "po"),
        ("x.mo", "mo"),
        ("x.xliff", "xliff"),
    ],
)
def test_the_suffix_tells_the_form(name: str, form: str) -> None:
    assert find_form(Path(name)) == form


def test_each_form_has_a_name_suffixes_and_a_reader() -> None:
    assert list(_FORMS) == list(SUFFIXES)
    assert set(SUFFIXES) == set(FORMS)
    assert [name for name, form in FORMS.items() if form.write is None] == ["mo"]


def test_line_files_are_named_as_in_a_recipe() -> None:
    assert output_files(Path("a/train.v1"), "lines", RULES) == [Path("a/train.v1.de"), Path("a/train.v1.en")]


def test_mo_is_only_read() -> None:
    with pytest.raises(DataError, match=r"x\.mo: mo is read, and not written; the forms to write are lines, tsv, json"):
        output_files(Path("x.mo"), "mo", RULES)


def test_json_is_written_as_the_other_tools_write_it(tmp_path: Path) -> None:
    write_into([Entry("x", "ä\n", "b", fields={"source": "s"})], "json", tmp_path)
    text = (tmp_path / "file").read_text(encoding="utf-8")
    assert text == '{"translation": {"de": "ä\\n", "en": "b"}, "source": "s"}\n'
    assert json.loads(text)["translation"]["de"] == "ä\n"


@pytest.mark.parametrize(
    ("source", "form", "output", "rules", "said"),
    [
        ("a.tsv", "tsv", "b.tsv", RULES, None),
        ("a.tsv", "tsv", "a.tsv", RULES, ""),
        ("a.tsv", "tsv", "link.tsv", RULES, ""),
        ("lines", "lines", "lines.en", RULES, ""),
        ("lines", "lines", "lines.fr", RULES, None),
        ("a.tsv", "po", "b.po", RULES, None),
        ("a.tsv", "po", "a.tsv", RULES, "may hold more than is written: other languages, notes"),
        ("a.tsv", "json", "a.tsv", RULES, "may hold more than is written"),
        ("a.tsv", "tsv", "a.tsv", replace(RULES, tsv_columns=("en", "de", "fr")), "may hold more than is written"),
        ("a.tsv", "tsv", "a.tsv", replace(RULES, tsv_columns=("en", "de")), ""),
        ("a.tsv", "tsv", "a.tsv", replace(RULES, errors="replace"), "bytes that are no text; give another name"),
        ("b.tsv.part", "tsv", "b.tsv", RULES, "b.tsv has this name until it is whole; give another name"),
    ],
)
def test_what_is_read_is_written_over_only_where_no_more_than_pairs_is_in_it(
    tmp_path: Path, source: str, form: str, output: str, rules: FormRules, said: str | None
) -> None:
    for name in ("a.tsv", "lines.de", "lines.en", "b.tsv.part"):
        (tmp_path / name).write_text("a\tb\n")
    (tmp_path / "link.tsv").symlink_to("a.tsv")
    if said:
        with pytest.raises(OutputError, match=said):
            find_overwritten(tmp_path / source, form, [tmp_path / output], rules)
    else:
        found = find_overwritten(tmp_path / source, form, [tmp_path / "new", tmp_path / output], rules)
        assert found == (None if said is None else tmp_path / output)
