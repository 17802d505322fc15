import os
import threading
import time
from pathlib import Path

import pytest
from toy_pairs import LOOSE, PAIRS, TWO, cached, pairs_of, write

from nmt.data import corpus
from nmt.data.cache import default_cache_dir
from nmt.data.corpus import REASONS, Filters, open_corpus
from nmt.data.sources import SourceRules
from nmt.errors import OutputError


def test_sources_follow_one_another_in_the_order_of_their_names(folder, load):
    write(folder, TWO | {"u.tsv": "vier\tfour\n"})
    assert pairs_of(load("u.tsv", "t")) == [("vier", "four"), *PAIRS]
    assert load("u.tsv", "t").sources == (f"{folder}/u.tsv", f"{folder}/t.de + {folder}/t.en")


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


DAY_SECONDS = 24 * 3600


def set_age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_what_a_killed_build_left_is_cleared_after_a_week(tmp_path, folder, load):
    write(folder, {"t.tsv": "a\tb\n"})
    workspace = tmp_path / "cache" / "building-killed"
    workspace.mkdir(parents=True)
    (workspace / "arrow").write_bytes(b"half")
    set_age(workspace, 7 * DAY_SECONDS - 60)
    load("t.tsv")
    assert workspace.is_dir()
    set_age(workspace, 7 * DAY_SECONDS + 60)
    load("t.tsv")
    assert not workspace.exists()


def test_what_is_no_folder_of_a_build_is_neither_cleared_nor_a_fault(tmp_path, folder, load):
    write(folder, {"t.tsv": "a\tb\n"})
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "building-link").symlink_to(folder)
    (tmp_path / "cache" / "building-file").write_text("text")
    for path in (folder, tmp_path / "cache" / "building-file"):
        set_age(path, 9 * DAY_SECONDS)
    load("t.tsv")
    assert {"building-link", "building-file"} < set(cached(tmp_path))
    assert (folder / "t.tsv").exists()


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
    assert len(list((tmp_path / "own").glob("*.*"))) == 2


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
