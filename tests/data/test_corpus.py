import gzip
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import datasets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmt.data import corpus
from nmt.data.corpus import REASONS, Corpus, Filters, SourceRules, count_overlap, default_cache_dir, open_corpus
from nmt.errors import DataError, OutputError

LOOSE = Filters(max_chars=1000, max_ratio=100.0, drop_duplicates=False)
PAIRS = [("eins", "one"), ("", ""), ("drei", "three")]


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def load(folder, tmp_path):
    def load(*names: str, filters: Filters | None = None, **changes) -> Corpus:
        rules = SourceRules(**({"folder": folder, "hub": {}, "src_lang": "de", "tgt_lang": "en"} | changes))
        return open_corpus(names, rules, filters=filters, cache_dir=tmp_path / "cache")

    return load


@pytest.fixture
def fault_of(load):
    def fault_of(*names: str, **options) -> str:
        with pytest.raises(DataError) as caught:
            load(*names, **options)
        return str(caught.value)

    return fault_of


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def pairs_of(found: Corpus) -> list[tuple[str, str]]:
    assert found.pairs.column_names == ["src", "tgt"]
    return [(pair["src"], pair["tgt"]) for pair in found.pairs]


def as_json(record) -> str:
    return json.dumps(record) + "\n"


TWO = {"t.de": "eins\n\ndrei\n", "t.en": "one\n\nthree\n"}
TSV = "eins\tone\n\t\ndrei\tthree\n"
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


def test_sources_follow_one_another_in_the_order_of_their_names(folder, load):
    write(folder, TWO | {"u.tsv": "vier\tfour\n"})
    assert pairs_of(load("u.tsv", "t")) == [("vier", "four"), *PAIRS]
    assert load("u.tsv", "t").sources == (f"{folder}/u.tsv", f"{folder}/t.de + {folder}/t.en")


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


def test_each_filter_drops_whole_pairs_under_its_own_reason(folder, load):
    rows = ["gut\tgood", "x", " \tblank", "blank\t\u2003", "l" * 21 + "\tlong", "a\tratio", "gut\tgood", "gut\tfine"]
    write(folder, {"t.tsv": "".join(row + "\n" for row in rows)})
    found = load("t.tsv", filters=Filters(max_chars=20, max_ratio=4.0, drop_duplicates=True))
    assert pairs_of(found) == [("gut", "good"), ("gut", "fine")]
    assert found.read == 8
    assert list(found.dropped.items()) == [(reason, 2 if reason == "empty side" else 1) for reason in REASONS]
    assert load("t.tsv", filters=Filters(max_chars=20, max_ratio=4.0, drop_duplicates=False)).dropped["duplicate"] == 0


def test_what_just_meets_a_limit_is_kept(folder, load):
    write(folder, {"t.tsv": " " * 9 + "a" * 20 + "\t" + "b" * 5 + "\n"})
    assert len(load("t.tsv", filters=Filters(max_chars=20, max_ratio=4.0, drop_duplicates=True)).pairs) == 1


def test_duplicates_are_found_across_sources_and_never_by_moving_words_between_the_sides(folder, load):
    write(folder, {"t.tsv": "a b\tc\na\tb c\n", "u.tsv": "a b\tc\n"})
    found = load("t.tsv", "u.tsv", filters=Filters(max_chars=9, max_ratio=9.0, drop_duplicates=True))
    assert (pairs_of(found), found.dropped["duplicate"]) == ([("a b", "c"), ("a", "b c")], 1)


def test_a_huge_line_is_dropped_and_counted(folder, load):
    write(folder, {"t.tsv": "wort " * 100_000 + "\tword\na\tb\n"})
    assert load("t.tsv", filters=LOOSE).dropped["too long"] == 1


def test_when_nothing_is_left_the_filters_are_named(folder, fault_of):
    write(folder, {"t.tsv": "a\tb\nx\nlang\tlong\n\t\n"})
    fault = fault_of("t.tsv", filters=Filters(max_chars=0, max_ratio=9.0, drop_duplicates=True))
    assert "t.tsv: all 4 pairs were dropped (columns 1, empty side 1, too long 2); loosen the filters" in fault


def test_an_empty_source_and_no_source_at_all_are_refused(folder, fault_of):
    write(folder, {"t.de": "", "t.en": ""})
    for filters in (None, LOOSE):
        assert "t.en: holds no lines; name a source that has some" in fault_of("t", filters=filters)
    assert "no sources are named" in fault_of()


def test_one_pair_is_a_corpus(folder, load):
    write(folder, {"t.de": "eins", "t.en": "one"})
    assert pairs_of(load("t", filters=LOOSE)) == [("eins", "one")]


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
    assert "did you mean test.tsv.gz?" in fault_of("tset.tsv.gz")
    assert "did you mean multi30k?" in fault_of("multi30", hub={"multi30k": "a/b:c"})
    assert fault_of("xyz").endswith("check the name, data.folder and the languages")
    assert f"there is no folder {folder}/sub; looked for {folder}/sub/x.de or" in fault_of("sub/x")
    assert fault_of("n" * 300).startswith(f"{folder}/{'n' * 300}.de: cannot be looked up")


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


@pytest.mark.parametrize("spec", ["owner/name", "name:train", "owner/name:", "a/b/c/d:train", "/name:train", ""])
def test_a_hub_entry_of_another_form_is_refused(spec, hub, fault_of):
    assert fault_of("t", hub={"t": spec}).startswith(f"data.hub: {spec!r} is not of the form owner/name:split or")
    assert hub["calls"] == []


OFFLINE = """
import socket, sys
from pathlib import Path
def refuse(*args, **options): raise OSError("no network in this test")
socket.socket.connect = socket.getaddrinfo = refuse
from nmt.data.corpus import SourceRules, open_corpus
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


def cached(tmp_path: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in (tmp_path / "cache").iterdir()}


def test_a_second_call_maps_the_same_file_and_tells_the_same_counts(tmp_path, folder, load, monkeypatch):
    write(folder, {"t.tsv": "a\tb\nx\n"})
    first = load("t.tsv", filters=LOOSE)
    entries = cached(tmp_path)
    assert sorted(entries) == [f"{first.fingerprint}.arrow", f"{first.fingerprint}.json"]
    monkeypatch.setattr(corpus, "_write_arrow", None)  # it would fail if it built anything
    second = load("t.tsv", filters=LOOSE)
    assert pairs_of(first) == pairs_of(second)
    assert (second.read, second.dropped, second.fingerprint) == (first.read, first.dropped, first.fingerprint)
    assert list(second.dropped) == list(REASONS)
    assert cached(tmp_path) == entries
    assert second.pairs.cache_files == [{"filename": str(tmp_path / "cache" / f"{first.fingerprint}.arrow")}]


def test_whatever_decides_on_the_pairs_is_in_the_fingerprint(folder, load, monkeypatch):
    write(folder, {"t.tsv": "a\tb\n", "u.tsv": "a\tc\n", "t.de": "a\n", "t.en": "b\n"})
    prints = [
        load("t.tsv").fingerprint,
        load("u.tsv").fingerprint,
        load("t").fingerprint,
        load("t.tsv", "u.tsv").fingerprint,
        load("u.tsv", "t.tsv").fingerprint,
        load("t.tsv", filters=LOOSE).fingerprint,
        load("t.tsv", filters=Filters(max_chars=9, max_ratio=100.0, drop_duplicates=False)).fingerprint,
        load("t.tsv", src_lang="en", tgt_lang="de").fingerprint,
        load("t.tsv", tsv_columns=("en", "de")).fingerprint,
        load("t.tsv", errors="replace").fingerprint,
    ]
    record = '{"de": "a", "en": "b"}\t\n'  # JSON, and a row of two columns too
    write(folder, {"both.tsv": record, "both.jsonl": record})
    prints += [load("both.tsv").fingerprint, load("both.jsonl").fingerprint]
    (folder / "t.tsv").rename(folder / "renamed.tsv")
    assert load("renamed.tsv").fingerprint == prints[0]
    monkeypatch.setattr(corpus, "READER_VERSION", 0)
    prints.append(load("renamed.tsv").fingerprint)
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize("suffix", [".arrow", ".json"])
@pytest.mark.parametrize("damage", [b"", None, b"{}", b"[]", "cut", "flip"])
def test_a_damaged_cache_entry_is_built_again(suffix, damage, tmp_path, folder, load):
    write(folder, {"t.tsv": "".join(f"wort {n}\tword {n}\n" for n in range(50))})
    first = load("t.tsv", filters=LOOSE)
    entry = tmp_path / "cache" / f"{first.fingerprint}{suffix}"
    sound = entry.read_bytes()
    entry.unlink()
    if damage is not None:
        flipped = sound.replace(b"50", b"51").replace(b"wort 7", b"wort 8")
        entry.write_bytes({"cut": sound[:-20], "flip": flipped}.get(damage, damage))
        assert entry.read_bytes() != sound
    second = load("t.tsv", filters=LOOSE)
    assert (pairs_of(second), second.read, entry.read_bytes()) == (pairs_of(first), first.read, sound)


def test_a_failed_build_leaves_nothing_in_the_cache(tmp_path, folder, fault_of):
    write(folder, {"t.tsv": "a\tb\n" * 20_000 + "x\n"})
    fault_of("t.tsv")
    assert cached(tmp_path) == {}


def test_a_cache_that_cannot_be_written_is_told(folder, tmp_path, load):
    write(folder, {"t.tsv": "a\tb\n"})
    (tmp_path / "cache").write_text("a file in its place")
    with pytest.raises(
        OutputError, match=r"cache: the corpus cannot be cached here .* set NMT_CACHE to another folder"
    ):
        load("t.tsv")


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("NMT_CACHE", raising=False)
    assert default_cache_dir() == Path("/home/someone/.cache/nmt")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_cache_dir() == Path("/xdg/nmt")
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "own"))
    (tmp_path / "t.tsv").write_text("a\tb\n")
    rules = SourceRules(folder=tmp_path, hub={}, src_lang="de", tgt_lang="en")
    open_corpus(["t.tsv"], rules, filters=None)
    assert len(list((tmp_path / "own").iterdir())) == 2


def truncate_unseen(path: Path) -> None:
    """As a second write does within one tick of the file system's clock."""
    before = path.stat()
    os.truncate(path, 1)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [lambda path: os.utime(path, ns=(1, 1)), truncate_unseen])
def test_a_file_that_changes_while_it_is_read_is_refused_and_not_cached(
    change, tmp_path, folder, fault_of, monkeypatch
):
    write(folder, {"t.tsv": "a\tb\n"})
    reason_to_drop = corpus._reason_to_drop

    def change_and_go_on(*args):
        change(folder / "t.tsv")
        return reason_to_drop(*args)

    monkeypatch.setattr(corpus, "_reason_to_drop", change_and_go_on)
    fault = fault_of("t.tsv", filters=LOOSE)
    assert fault.endswith("t.tsv: changed while it was read; wait until it is written, then start again")
    assert cached(tmp_path) == {}


def test_pipes_are_sources_like_any_other(tmp_path, folder, load, fault_of):
    def fill(contents):
        def run():
            for name, content in contents.items():
                (folder / name).write_text(content)

        threading.Thread(target=run, daemon=True).start()

    write(folder, TWO)
    as_files = load("t")
    for name in TWO:
        (folder / name).unlink()
        os.mkfifo(folder / name)
    fill(TWO)
    as_pipes = load("t")
    assert (pairs_of(as_pipes), as_pipes.fingerprint, as_pipes.sources) == (
        PAIRS,
        as_files.fingerprint,
        as_files.sources,
    )
    fill({"t.de": "a\n" * 3, "t.en": "b\n"})
    assert f"{folder}/t.de has 3 lines, but {folder}/t.en has 1" in fault_of("t")
    assert len(cached(tmp_path)) == 2


def test_batches_are_bounded_in_pairs_and_in_characters(folder, load, monkeypatch):
    monkeypatch.setattr(corpus, "_BATCH_PAIRS", 4)
    monkeypatch.setattr(corpus, "_BATCH_CHARS", 100)
    rows = ["a\tb"] * 9 + ["c" * 90 + "\t" + "d" * 20] * 2 + ["e\tf"]
    write(folder, {"t.tsv": "".join(row + "\n" for row in rows)})
    chunks = load("t.tsv").pairs.data.column("src").chunks
    assert [len(chunk) for chunk in chunks] == [4, 4, 2, 1, 1]


def test_overlap_counts_pairs_by_their_source_whatever_the_spaces_and_the_target(folder, load):
    write(
        folder,
        {"train.tsv": "ein  Satz\tone\n\t\nzwei\ttwo\n", "valid.tsv": " ein Satz\tother\nein Satz\to\n\t\nneu\ttwo\n"},
    )
    assert count_overlap(load("train.tsv"), load("valid.tsv")) == 2
    assert count_overlap(load("valid.tsv"), load("train.tsv")) == 1
