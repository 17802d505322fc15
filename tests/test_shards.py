"""A file in ranges, each translated by itself, perhaps elsewhere."""

import json
from pathlib import Path

import pytest
from toy_run import TinyRun, nmt

from nmt.translate_file import is_done, mark_done, marker_of, shard_of, shard_range


@pytest.mark.parametrize(("lines", "shards"), [(10, 3), (3, 5), (0, 2), (8, 8), (7, 1)])
def test_the_ranges_are_the_whole_in_order_and_of_like_size(lines: int, shards: int) -> None:
    ranges = [shard_range([""] * lines, shard, shards) for shard in range(1, shards + 1)]
    assert [number for begin, end in ranges for number in range(begin, end)] == list(range(lines))
    sizes = [end - begin for begin, end in ranges]
    assert max(sizes) - min(sizes) <= 1


def test_the_names_of_shards_sort_in_their_order() -> None:
    names = [shard_of(Path("out.en"), shard, 12).name for shard in range(1, 13)]
    assert names == sorted(names)
    assert len(set(names)) == 12


def test_a_marker_speaks_of_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "out.en.1-of-2"
    assert not is_done(path)
    path.write_bytes(b"one\ntwo\n")
    assert not is_done(path)
    mark_done(path, 2, wanted=2)
    assert is_done(path)
    assert json.loads(marker_of(path).read_bytes())["lines"] == 2
    path.write_bytes(b"one\n")
    assert not is_done(path)
    marker_of(path).write_bytes(b"[")
    assert not is_done(path)


@pytest.mark.parametrize("options", [[], ["--sample"], ["--json"]])
def test_shards_together_are_the_translation_of_the_file(tiny: TinyRun, tmp_path: Path, options: list[str]) -> None:
    source = tmp_path / "in.de"
    source.write_text("".join(f"{line}\n" for line in [*tiny.sources[:9], "", tiny.sources[10]]), encoding="utf-8")
    whole = nmt("translate", tiny.run, source, *options).out
    out = tmp_path / "out.en"
    for shard in (2, 1, 3):
        assert nmt("translate", tiny.run, source, "-o", out, "--shard", f"{shard}/3", *options).code == 0
    parts = sorted(path for path in tmp_path.glob("out.en.*") if not path.name.endswith(".done"))
    assert [path.name for path in parts] == ["out.en.1-of-3", "out.en.2-of-3", "out.en.3-of-3"]
    assert b"".join(path.read_bytes() for path in parts) == whole
    assert not out.exists()


def test_a_shard_that_is_done_is_not_done_again(tiny: TinyRun, tmp_path: Path) -> None:
    source, out = tmp_path / "in.de", tmp_path / "out.en"
    source.write_text("Er kommt.\nSie kommt.\n", encoding="utf-8")
    first = nmt("translate", tiny.run, source, "-o", out, "--shard", "2/2")
    again = nmt("translate", tmp_path / "no run is read", source, "-o", out, "--shard", "2/2")
    assert (first.err, again.code) == ("", 0)
    assert "out.en.2-of-2: done already" in again.err


def test_an_interrupted_shard_goes_on_at_its_line(tiny: TinyRun, tmp_path: Path) -> None:
    source, out = tmp_path / "in.de", tmp_path / "out.en"
    source.write_text("".join(f"{line}\n" for line in tiny.sources[:8]), encoding="utf-8")
    wanted = nmt("translate", tiny.run, source).lines[4:]
    (tmp_path / "out.en.2-of-2.part").write_text("one\ntwo\nthr", encoding="utf-8")
    assert nmt("translate", tiny.run, source, "-o", out, "--shard", "2/2", "--resume").code == 0
    lines = (tmp_path / "out.en.2-of-2").read_text(encoding="utf-8").splitlines()
    assert lines == ["one", "two", *wanted[2:]]
    assert json.loads((tmp_path / "out.en.2-of-2.done").read_bytes())["lines"] == 4


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "1/0", "a/b", "1/2/3"])
def test_what_is_no_shard_is_refused(tiny: TinyRun, tmp_path: Path, shard: str) -> None:
    result = nmt("translate", tiny.run, tmp_path / "in.de", "-o", tmp_path / "out", "--shard", shard)
    assert result.code == 2
    assert f"'{shard}' is no shard; wanted I/N" in result.err


def test_a_shard_of_a_stream_is_refused(tiny: TinyRun) -> None:
    result = nmt("translate", tiny.run, "--shard", "1/2", stdin=b"Er kommt.\n")
    assert result.code == 2
    assert "--shard goes with --output and with a FILE" in result.err
