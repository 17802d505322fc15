import gzip
import os
import subprocess
import sys
from pathlib import Path

import datasets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy_pairs import LOOSE, PAIRS, TSV, TWO, as_json, pairs_of, write

from nmt.errors import DataError

NESTED = "".join(as_json({"translation": {"de": de, "en": en}}) for de, en in PAIRS)


FLAT = "".join(as_json({"en": en, "de": de, "id": 7}) for de, en in PAIRS)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("t", TWO),
        ("t", {"t.de.gz": gzip.compress(TWO["t.de"].encode()), "t.en": TWO["t.en"]}),
        ("t.tsv", {"t.tsv": TSV}),
        ("t.tsv.gz", {"t.tsv.gz": gzip.compress(TSV.encode())}),
        ("t.jsonl", {"t.jsonl": NESTED}),
        ("t.json", {"t.json": FLAT}),
        ("t.jsonl.gz", {"t.jsonl.gz": gzip.compress(FLAT.encode())}),
    ],
)
def test_every_form_gives_the_same_pairs_and_without_filters_keeps_every_line(name, files, folder, load):
    write(folder, files)
    for found in (load(name), load(str(folder / name))):
        assert pairs_of(found) == PAIRS
        assert (found.read, found.dropped) == (3, {})
    assert " + ".join(str(folder / file) for file in files) == found.sources[0]


def test_named_tsv_columns_serve_both_directions(folder, load, fault_of):
    write(folder, {"t.tsv": "one\teins\tun\n"})
    columns = ("en", "de", "fr")
    assert pairs_of(load("t.tsv", tsv_columns=columns)) == [("eins", "one")]
    assert pairs_of(load("t.tsv", tsv_columns=columns, src_lang="fr", tgt_lang="de")) == [("un", "eins")]
    fault = fault_of("t.tsv", tsv_columns=("en", "fr"))
    assert fault.endswith("t.tsv: tsv_columns are en, fr, but de and en are wanted; name the language of each column")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\ufeff"))] * 2)))
def test_lines_of_any_text_come_back_as_they_were(folder, load, pairs):
    pairs = [("first", "first"), *pairs]
    write(folder, {"t.de": "".join(de + "\n" for de, _ in pairs), "t.en": "".join(en + "\n" for _, en in pairs)})
    assert pairs_of(load("t")) == pairs


def test_line_breaks_in_json_texts_become_spaces(folder, load):
    write(
        folder, {"t.jsonl": as_json({"de": "eins\r\nzwei\n", "en": "one\ntwo\r\n"}) + as_json({"de": "a\r", "en": "b"})}
    )
    assert pairs_of(load("t.jsonl")) == [("eins zwei", "one two"), ("a\r", "b")]


def test_half_a_surrogate_pair_in_json_is_refused_or_replaced(folder, load, fault_of):
    write(folder, {"t.jsonl": '{"de": "a", "en": "b"}\n{"de": "x\\ud83d", "en": "\\ud83d\\ude00"}\n'})
    assert "t.jsonl:2: half of a surrogate pair" in fault_of("t.jsonl")
    assert pairs_of(load("t.jsonl", errors="replace"))[1] == ("x\ufffd", "\U0001f600")


def test_errors_replace_reaches_the_files(folder, load, fault_of):
    write(folder, {"t.tsv": b"a\tb\n\xfcber\tover\n"})
    assert "t.tsv:2:1: byte 0xFC is not UTF-8" in fault_of("t.tsv")
    assert pairs_of(load("t.tsv", errors="replace"))[1] == ("\ufffdber", "over")
    write(folder, {"u.de": b"\xfcber\n", "u.en": b"over\n"})
    assert pairs_of(load("u", errors="replace")) == [("\ufffdber", "over")]


@pytest.mark.parametrize("line", ['{"de": "a"', "", "[" * 100_000, "9" * 5000, "["])
def test_broken_json_is_placed_by_line(line, folder, fault_of):
    write(folder, {"t.jsonl": f'{{"de": "a", "en": "b"}}\n{line}\n'})
    for filters in (None, LOOSE):
        fault = fault_of("t.jsonl", filters=filters)
        assert f"{folder}/t.jsonl:2: not JSON (" in fault
        assert fault.endswith("one object a line is wanted")


@pytest.mark.parametrize(
    "text", ['[{"de": "a", "en": "b"}]', '[{"de": "a", "en": "b"},\n{"de": "c", "en": "d"}]', " [\n"]
)
def test_a_json_array_is_told_from_json_lines(text, folder, fault_of):
    write(folder, {"t.json": f"{text}\n"})
    for filters in (None, LOOSE):
        fault = fault_of("t.json", filters=filters)
        assert fault.startswith(f"{folder}/t.json:1: a JSON array of all records, but JSON lines are wanted, an object")
        assert fault.endswith("; `jq -c '.[]' ARRAY.json > LINES.jsonl` makes them")


def test_a_row_that_is_a_list_is_no_json_array(folder, load):
    write(folder, {"t.jsonl": '[]\n{"de": "a", "en": "b"}\n[{"de": "c", "en": "d"}]\n'})
    found = load("t.jsonl", filters=LOOSE)
    assert (pairs_of(found), found.dropped["columns"]) == ([("a", "b")], 2)


@pytest.mark.parametrize("name", ["x.po", "x.PO.gz", "x.tmx", "x.xlf"])
def test_a_translation_file_is_sent_to_convert(name, folder, fault_of):
    write(folder, {name: 'msgid "a"\nmsgstr "b"\n'})
    fault = fault_of(name)
    form = Path(name.lower().removesuffix(".gz")).suffix
    assert fault.startswith(f"{name}: a {form} file is not read as it is; write its pairs into another one with")
    assert f"`nmt data convert {folder / name} NAME.jsonl`" in fault
    write(folder, {f"{name}.de": "a\n"})
    assert "is there; wanted are" in fault_of(name)


BAD_ROWS = [
    ("t.tsv", "a\tb\n", "one column only\n", "1 tab-separated columns, but 2 are wanted"),
    ("t.tsv", "a\tb\n", "a\tb\tc\n", "3 tab-separated columns, but 2 are wanted"),
    *(
        ("t.jsonl", '{"de": "a", "en": "b"}\n', as_json(row), 'no text for "en"; {"en": text} is wanted')
        for row in ({"de": "a"}, {"de": "a", "en": None}, {"de": "a", "en": 3}, {"translation": {"de": "a", "fr": "b"}})
    ),
    *(
        ("t.jsonl", '{"de": "a", "en": "b"}\n', as_json(row), 'no text for "de"; {"de": text} is wanted')
        for row in ([], "text", 1, None, {"translation": "text"})
    ),
]


@pytest.mark.parametrize(("name", "good", "bad", "words"), BAD_ROWS)
def test_rows_without_a_pair_are_counted_for_training_and_refused_otherwise(
    name, good, bad, words, folder, load, fault_of
):
    write(folder, {name: good + bad + good})
    found = load(name, filters=LOOSE)
    assert (len(found.pairs), found.read, found.dropped["columns"]) == (2, 3, 1)
    assert fault_of(name) == f"{folder}/{name}:2: {words}; nothing may be dropped here, so mend this row"


def test_unequal_files_are_refused_with_both_counts(folder, fault_of):
    write(folder, {"t.de": "eins\nzwei\n\nvier\n", "t.en": "one\ntwo\nfour\n"})
    for filters in (None, LOOSE):
        fault = fault_of("t", filters=filters)
        assert f"{folder}/t.de has 4 lines, but {folder}/t.en has 3" in fault
        assert fault.endswith("the first line whose two sides differ oddly in length is 3")


def test_what_is_not_found_is_told_with_what_was_looked_for_and_what_is_near(folder, fault_of):
    write(folder, {"train.de": "a", "train.en": "b", "test.tsv.gz": ""})
    looked = f"{folder}/trian.de or {folder}/trian.de.gz and {folder}/trian.en or {folder}/trian.en.gz"
    fault = fault_of("trian", hub={"multi": "a/b:c"})
    assert fault.startswith(f"trian: nothing found: looked for {looked}, and among the 1 names of data.hub")
    assert fault.endswith("; did you mean train?")
    assert fault_of("trian") == f"trian: nothing found: looked for {looked}; did you mean train?"
    assert "did you mean test.tsv.gz?" in fault_of("tset.tsv.gz")
    assert "did you mean multi30k?" in fault_of("multi30", hub={"multi30k": "a/b:c"})
    assert fault_of("xyz").endswith("check the name, data.folder and the languages")
    assert f"there is no folder {folder}/sub; looked for {folder}/sub/x.de or" in fault_of("sub/x")
    assert fault_of("n" * 300).startswith(f"{folder}/{'n' * 300}.de: cannot be looked up")


def test_a_folder_that_cannot_be_listed_is_a_fault_that_says_so(folder, fault_of, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    fault = fault_of("t.tsv")
    assert fault.startswith(f"t.tsv: nothing found: looked for {folder}/t.tsv; {folder} cannot be listed ([Errno 13]")
    assert fault.endswith(": check its permissions")


def test_a_side_that_is_missing_is_named_and_the_hub_does_not_step_in(folder, fault_of):
    write(folder, {"t.de": "a"})
    fault = fault_of("t", hub={"t": "owner/name:train"})
    assert f"t: only {folder}/t.de is there; wanted are {folder}/t.de or" in fault


def test_an_archive_and_a_folder_under_the_name_of_a_source_are_refused(folder, fault_of):
    (folder / "t.tsv").mkdir()
    assert "t.tsv: a folder, where a text file is wanted" in fault_of("t.tsv")
    write(folder, {"u.tsv": b"PK\x03\x04rest"})
    assert "u.tsv: this is a zip archive" in fault_of("u.tsv")


@pytest.fixture
def hub(monkeypatch):
    """Stands in for the hub: what was asked of it, and a data set that a test may set."""
    asked = {"calls": [], "rows": [{"translation": {"de": de, "en": en}} for de, en in PAIRS]}

    def load_dataset(*args, **options):
        asked["calls"].append((args, options))
        return datasets.Dataset.from_list(asked["rows"])

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


def test_a_hub_name_is_loaded_in_both_forms_of_row(hub, load):
    names = {"plain": "owner/name:train", "config": "owner/name/de-en:train[:9]"}
    assert pairs_of(load("plain", hub=names)) == PAIRS
    hub["rows"] = [{"de": "a\n", "en": "b", "id": 1}, {"de": None, "en": "c", "id": 2}]
    found = load("config", hub=names, filters=LOOSE)
    assert (pairs_of(found), found.dropped["columns"]) == ([("a", "b")], 1)
    assert found.sources == ("hub:owner/name/de-en:train[:9]",)
    assert hub["calls"] == [
        (("owner/name",), {"split": "train"}),
        (("owner/name", "de-en"), {"split": "train[:9]"}),
    ]
    with pytest.raises(DataError, match=r'^hub:owner/name/de-en:train\[:9\]:2: no text for "de"'):
        load("config", hub=names)


def test_files_in_the_folder_come_before_the_hub(hub, folder, load):
    write(folder, {"t.de": "a\n", "t.en": "b\n"})
    assert pairs_of(load("t", hub={"t": "owner/name:train"})) == [("a", "b")]
    assert hub["calls"] == []


def test_other_rows_on_the_hub_are_another_fingerprint(hub, load):
    first, again = (load("t", hub={"t": "o/n:train"}).fingerprint for _ in range(2))
    hub["rows"][0] = {"translation": {"de": "eins!", "en": "one"}}
    assert first == again != load("t", hub={"t": "o/n:train"}).fingerprint


@pytest.mark.parametrize("name", ["sub/ok.de", "sub/ok.en.gz"])
def test_one_file_of_a_pair_is_told_the_name_of_both(name, folder, fault_of):
    (folder / "sub").mkdir()
    write(folder, {"sub/ok.de": "a", "sub/ok.en.gz": "b"})
    stands = "name sub/ok, which stands for sub/ok.de and sub/ok.en"
    assert fault_of(name) == f"{name}: one file of two, where a name of both is wanted; {stands}"
    assert fault_of("sub/no.de").startswith("sub/no.de: nothing found")


@pytest.mark.parametrize("spec", ["owner/name", "name:train", "owner/name:", "a/b/c/d:train", "/name:train", ""])
def test_a_hub_entry_of_another_form_is_refused(spec, hub, fault_of):
    assert fault_of("t", hub={"t": spec}).startswith(f"data.hub: {spec!r} is not of the form owner/name:split or")
    assert hub["calls"] == []


OFFLINE = """
import socket, sys
from pathlib import Path
def refuse(*args, **options): raise OSError("no network in this test")
socket.socket.connect = socket.getaddrinfo = refuse
from nmt.data.corpus import open_corpus
from nmt.data.sources import SourceRules
from nmt.errors import DataError
folder = Path(sys.argv[1])
rules = SourceRules(folder=folder, hub={"t": "owner/name:train"}, src_lang="de", tgt_lang="en")
try:
    open_corpus(["t"], rules, filters=None, cache_dir=folder / "cache")
except DataError as fault:
    print(fault)
(folder / "t.tsv").write_text("a\\tb\\n")
print(open_corpus(["t.tsv"], rules, filters=None, cache_dir=folder / "cache").pairs[0])
"""


def test_without_a_network_the_advice_is_to_set_the_folder_and_files_still_load(folder):
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf")}
    command = [sys.executable, "-c", OFFLINE, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    fault, pair = done.stdout.splitlines()
    assert fault.startswith("owner/name:train: the Hugging Face hub did not give this data set (")
    assert fault.endswith("check its name and the network, or set data.folder to a folder that holds the files")
    assert pair == "{'src': 'a', 'tgt': 'b'}"
