"""The laws of the cache: what is remembered of files, and how long."""

import os
import threading
import time

import pytest

from nmt.data import corpus
from nmt.data.cache import Cache, Stamp, settled
from nmt.data.sources import FileSource


@pytest.fixture
def cache(tmp_path):
    found = Cache(tmp_path / "cache")
    found.folder.mkdir(exist_ok=True)
    return found


def test_what_is_remembered_is_recalled_under_its_key_and_stamps_only(cache):
    stamps = [Stamp(1, 2, 3, 4, 5)]
    cache.remember("a", {"x": [1]}, stamps)
    assert cache.recall("a", stamps) == {"x": [1]}
    assert cache.recall("b", stamps) is None
    for changed in ([], [*stamps, *stamps], *([stamps[0]._replace(**{name: 9})] for name in Stamp._fields)):
        assert cache.recall("a", changed) is None
    cache.remember("a", 2, stamps)
    assert Cache(cache.folder).recall("a", stamps) == 2


@pytest.mark.parametrize("damage", [b"", b"[]", b"{}", b"null", None])
def test_a_damaged_memory_is_none(cache, damage):
    cache.remember("a", 12345)
    [file] = (cache.folder / "known").iterdir()
    file.write_bytes(file.read_bytes().replace(b"12345", b"12346") if damage is None else damage)
    assert cache.recall("a") is None


def test_a_file_of_the_cache_is_hashed_again_only_when_its_stamp_changed(cache, monkeypatch):
    file = cache.folder / "f"
    file.write_bytes(b"one")
    first = cache.sha256(file)
    with monkeypatch.context() as patch:
        patch.setattr("hashlib.file_digest", None)
        assert cache.sha256(file) == first
    before = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # same size, same date
    assert cache.sha256(file) != first


def test_a_file_is_settled_when_no_later_change_can_have_its_stamp():
    now = time.time_ns()
    assert not settled([Stamp(1, now, 1, 1, 1)])
    assert not settled([Stamp(1, 1, 1, 1, 1), Stamp(1, 1, now, 1, 1)])
    assert settled([Stamp(1, now - 3 * 10**9, now - 3 * 10**9, 1, 1)])


def test_one_at_a_time_holds_a_lock(cache):
    order = []

    def other():
        with cache.lock("key"):
            order.append("other")

    with cache.lock("key"):
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join(10)
    assert order == ["first", "other"]


def test_sources_are_hashed_once_while_their_files_stay_as_they_are(folder, load, monkeypatch):
    file = folder / "t.tsv"
    file.write_text("a\tb\n")
    first = load("t.tsv").fingerprint
    read = []
    contents = FileSource.contents
    monkeypatch.setattr(FileSource, "contents", lambda self, rules: read.append(1) or contents(self, rules))
    assert (load("t.tsv").fingerprint, len(read)) == (first, 1)  # just written: another change might not show
    monkeypatch.setattr(corpus, "settled", lambda stamps: True)
    assert (load("t.tsv").fingerprint, len(read)) == (first, 2)
    assert (load("t.tsv").fingerprint, len(read)) == (first, 2)
    before = file.stat()
    file.write_text("a\tc\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (load("t.tsv").fingerprint != first, len(read)) == (True, 3)
