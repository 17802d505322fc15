"""A file in ranges, each translated by itself, perhaps elsewhere."""

import json
from pathlib import Path

import pytest
from toy_part import interrupted
from toy_run import TinyRun, nmt

from nmt.origin import Origin
from nmt.passages import Request
from nmt.translate_file import done_before, mark_done, marker_of, shard_of, shard_range


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
    path, origin = tmp_path / "out.en.1-of-2", Origin({"engine": "fast"})
    assert done_before(path) is None
    path.write_bytes(b"one\ntwo\n")
    assert done_before(path) is None
    lines = [Request("eins", 0), Request("zwei", 1)]
    for line in lines:
        origin.add(line)
    mark_done(path, 2, wanted=2, origin=origin)
    assert done_before(path) == Origin({"engine": "fast"}).of(lines)
    assert json.loads(marker_of(path).read_bytes())["lines"] == 2
    path.write_bytes(b"one\n")
    assert done_before(path) is None
    marker_of(path).write_bytes(b"[")
    assert done_before(path) is None


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


@pytest.fixture
def source(tiny: TinyRun, tmp_path: Path) -> Path:
    path = tmp_path / "in.de"
    path.write_text("".join(f"{line}\n" for line in tiny.sources[:8]), encoding="utf-8")
    return path


def test_a_shard_that_is_done_is_not_done_again(tiny: TinyRun, source: Path, tmp_path: Path) -> None:
    command = ["translate", tiny.run, source, "-o", tmp_path / "out.en", "--shard", "2/2"]
    first = nmt(*command)
    before = (tmp_path / "out.en.2-of-2").stat()
    again = nmt(*command, "--batch-size", 3, "--workers", 2)
    assert (first.err, again.code) == ("", 0)
    assert "out.en.2-of-2: done already" in again.err
    assert (tmp_path / "out.en.2-of-2").stat() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--beam-size", "2"], "search.beam_size 3 before, 2 now"),
        (["--json"], "form text before, json now"),
        (["--engine", "exact"], "engine fast before, exact now"),
        (["--keep", "a b"], "keep [] before, ['a b'] now"),
    ],
)
def test_a_shard_that_was_done_otherwise_is_done_anew_with_a_word(
    tiny: TinyRun, source: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    command = ["translate", tiny.run, source, "-o", tmp_path / "out.en", "--shard", "1/2"]
    assert nmt(*command).code == 0
    anew = nmt(*command, *options)
    assert anew.code == 0
    assert f"out.en.1-of-2: is the translation of something else, and done anew: {words}\n" in anew.err
    assert (tmp_path / "out.en.1-of-2").read_bytes().count(b"\n") == 4
    assert "done already" in nmt(*command, *options).err
    assert "done anew" in nmt(*command).err


def test_a_shard_of_other_lines_is_done_anew(tiny: TinyRun, source: Path, tmp_path: Path) -> None:
    command = ["translate", tiny.run, source, "-o", tmp_path / "out.en", "--shard", "2/2"]
    assert nmt(*command).code == 0
    lines = source.read_text(encoding="utf-8").split("\n")
    source.write_text("\n".join(["Ganz anders.", *lines[1:]]), encoding="utf-8")
    assert "done already" in nmt(*command).err  # that line is not of this shard
    source.write_text("\n".join([*lines[:6], tiny.sources[20], *lines[7:]]), encoding="utf-8")
    assert "done anew: another text\n" in nmt(*command).err
    wanted = nmt("translate", tiny.run, source).lines[4:]
    assert (tmp_path / "out.en.2-of-2").read_text(encoding="utf-8").split("\n")[:-1] == wanted


def test_a_shard_that_is_done_anew_has_no_marker_on_the_way(tiny: TinyRun, source: Path, tmp_path: Path) -> None:
    command = [tiny.run, source, "-o", tmp_path / "out.en", "--shard", "1/2"]
    assert nmt("translate", *command).code == 0
    interrupted(*command, "--beam-size", 1, at=2)
    assert not (tmp_path / "out.en.1-of-2.done").exists()


def test_an_interrupted_shard_goes_on_at_its_line(tiny: TinyRun, source: Path, tmp_path: Path) -> None:
    command = [tiny.run, source, "-o", tmp_path / "out.en", "--shard", "2/2"]
    wanted = nmt("translate", tiny.run, source).lines[4:]
    interrupted(*command, at=7)
    (tmp_path / "out.en.2-of-2.part").write_text("one\ntwo\nthr", encoding="utf-8")
    result = nmt("translate", *command, "--resume")
    assert (result.code, "lines 5 to 6 were translated before" in result.err) == (0, True)
    lines = (tmp_path / "out.en.2-of-2").read_text(encoding="utf-8").splitlines()
    assert lines == ["one", "two", *wanted[2:]]
    assert json.loads((tmp_path / "out.en.2-of-2.done").read_bytes())["lines"] == 4
    assert "done already" in nmt("translate", *command).err  # the text of all of it was taken, passed over or not


def test_an_interrupted_shard_that_begins_elsewhere_now_is_refused(tiny: TinyRun, tmp_path: Path) -> None:
    source = tmp_path / "in.de"
    command = [tiny.run, source, "-o", tmp_path / "out.en", "--shard", "2/2", "--sample"]
    source.write_text("Er kommt.\n" * 4)
    interrupted(*command, at=3)
    source.write_text("Er kommt.\n" * 8)
    result = nmt("translate", *command, "--resume")
    assert (result.code, "first line 3 before, 5 now" in result.err) == (1, True)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "1/0", "a/b", "1/2/3"])
def test_what_is_no_shard_is_refused(tiny: TinyRun, tmp_path: Path, shard: str) -> None:
    result = nmt("translate", tiny.run, tmp_path / "in.de", "-o", tmp_path / "out", "--shard", shard)
    assert result.code == 2
    assert f"'{shard}' is no shard; wanted I/N" in result.err


def test_a_shard_of_a_stream_is_refused(tiny: TinyRun) -> None:
    result = nmt("translate", tiny.run, "--shard", "1/2", stdin=b"Er kommt.\n")
    assert result.code == 2
    assert "--shard goes with --output and with a FILE" in result.err
