"""Files and streams: the forms of the output, what an interruption leaves, and how it goes on."""

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_part import interrupted
from toy_run import TinyRun, nmt

from nmt.decoding import TOKENS
from nmt.errors import DataError, Interrupted, OutputError
from nmt.translate_file import as_n_best, as_text, output_file, requests, translate_stream
from nmt.translator import Translator

FIRST = b"Eins.\n"  # so that nothing drawn stands where the kind of a file is told, by its first bytes
ODD = ["\u2028", "\u0085", "\0", "\r", "\n", "\r\n", "\t", "\x0c", "\ufeff", " ", "Er", "kommt", "?", "\x1a", "\x1b[1m"]
text = st.lists(st.sampled_from(ODD) | st.characters(exclude_categories=["Cs"]), max_size=20).map("".join)


def to_bytes(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


@pytest.fixture(scope="session")
def wanted(tiny: TinyRun) -> list[str]:
    """What `nmt translate` prints for the sources of the tiny run."""
    return nmt("translate", tiny.run, stdin=to_bytes(tiny.sources)).lines


@pytest.fixture
def source(tiny: TinyRun, tmp_path: Path) -> Path:
    path = tmp_path / "source.de"
    path.write_bytes(to_bytes(tiny.sources))
    return path


@settings(deadline=None, max_examples=30)
@given(text)
def test_n_lines_in_n_lines_out_and_blank_to_blank(tiny: TinyRun, text: str) -> None:
    result = nmt("translate", tiny.run, "--beam-size", 1, stdin=FIRST + text.encode())
    assert result.code == 0, result.err
    lines = text.split("\n")
    lines = lines[:-1] if lines[-1] == "" else lines  # a last line without an end counts
    assert result.out.count(b"\n") == 1 + len(lines)
    assert result.out.endswith(b"\n")
    for line, found in zip(lines, result.lines[1:], strict=True):
        assert found == "" or line.split() != []


@pytest.mark.parametrize(
    ("stdin", "wanted"), [(b"", b""), (b"\n", b"\n"), (b" ", b"\n"), (b"\r\n \n\t\n\xc2\x85\n", b"\n\n\n\n")]
)
def test_an_empty_input_gives_an_empty_output_and_blank_lines_blank_ones(
    tiny: TinyRun, stdin: bytes, wanted: bytes
) -> None:
    assert nmt("translate", tiny.run, stdin=stdin).out == wanted


def test_a_file_gives_the_same_as_standard_input_and_goes_to_the_output_file(
    tiny: TinyRun, wanted: list[str], source: Path, tmp_path: Path
) -> None:
    assert nmt("translate", tiny.run, source).lines == wanted
    result = nmt("translate", tiny.run, source, "-o", tmp_path / "out.en")
    assert (result.code, result.out) == (0, b"")
    assert (tmp_path / "out.en").read_bytes() == to_bytes(wanted)
    assert not (tmp_path / "out.en.part").exists()


def test_json_lines_hold_the_plain_text_and_log_probs_that_make_the_score(
    tiny: TinyRun, wanted: list[str], source: Path
) -> None:
    result = nmt("translate", tiny.run, source, "--json")
    found = [json.loads(line) for line in result.lines]
    assert [one["text"] for one in found] == wanted
    for one in found:
        assert one["score"] == pytest.approx(sum(one["token_log_probs"]) / len(one["token_log_probs"]), abs=1e-9)
        assert len(one["tokens"]) == len(one["token_log_probs"]) - 1
        assert one["flags"] == []


def test_json_of_a_blank_line_is_an_object_too(tiny: TinyRun) -> None:
    [found] = nmt("translate", tiny.run, "--json", stdin=b"\n").lines
    blank = {"text": "", "score": 0.0, "tokens": [], "token_log_probs": [], "flags": [], "alignment": []}
    assert json.loads(found) == blank


def test_n_best_lines_are_number_text_score_best_first_and_begin_with_the_plain_text(
    tiny: TinyRun, wanted: list[str], source: Path
) -> None:
    rows = [line.split(" ||| ") for line in nmt("translate", tiny.run, source, "--n-best", 3).lines]
    assert [int(number) for number, _, _ in rows] == [index for index in range(len(wanted)) for _ in range(3)]
    for index, best in enumerate(wanted):
        (_, first, _), *_ = line = rows[3 * index : 3 * index + 3]
        assert first == best
        scores = [float(score) for _, _, score in line]
        assert scores == sorted(scores, reverse=True)


def test_n_best_in_json_holds_the_same_under_its_own_name(tiny: TinyRun, source: Path) -> None:
    plain = [line.split(" ||| ")[1:] for line in nmt("translate", tiny.run, source, "--n-best", 2).lines]
    found = [json.loads(line) for line in nmt("translate", tiny.run, source, "--n-best", 2, "--json").lines]
    assert [[one["text"], f"{one['score']:.6f}"] for line in found for one in line["n_best"]] == plain
    assert all({**line["n_best"][0], "n_best": line["n_best"]} == line for line in found)


@pytest.mark.parametrize("done", [0, 1, 77, 199, 200])
def test_resume_goes_on_after_the_whole_lines_of_the_part(
    tiny: TinyRun, wanted: list[str], source: Path, tmp_path: Path, done: int
) -> None:
    out, part = tmp_path / "out.en", tmp_path / "out.en.part"
    interrupted(tiny.run, "-o", out, at=done, stdin=to_bytes([*tiny.sources, "Er kommt."]))
    assert part.read_bytes() == to_bytes(wanted[:done])
    marked = [f"done before: {line}" for line in wanted[:done]]  # to see that they are not translated again
    part.write_bytes(to_bytes(marked))
    result = nmt("translate", tiny.run, source, "-o", out, "--resume")
    assert result.code == 0, result.err
    assert out.read_text(encoding="utf-8").split("\n")[:-1] == marked + wanted[done:]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.en", "source.de"]


@pytest.mark.parametrize("bytes_left", [1, 5, 12])
def test_resume_does_a_line_again_that_was_cut(
    tiny: TinyRun, wanted: list[str], source: Path, tmp_path: Path, bytes_left: int
) -> None:
    cut = to_bytes(wanted[:50]) + wanted[50].encode()[:bytes_left]
    interrupted(tiny.run, source, "-o", tmp_path / "out.en", at=51)
    (tmp_path / "out.en.part").write_bytes(cut)
    assert nmt("translate", tiny.run, source, "-o", tmp_path / "out.en", "--resume").code == 0
    assert (tmp_path / "out.en").read_bytes() == to_bytes(wanted)


def test_resume_without_a_part_begins_at_the_first_line(
    tiny: TinyRun, wanted: list[str], source: Path, tmp_path: Path
) -> None:
    assert nmt("translate", tiny.run, source, "-o", tmp_path / "out.en", "--resume").code == 0
    assert (tmp_path / "out.en").read_bytes() == to_bytes(wanted)


def test_without_resume_an_old_part_is_not_gone_on_with(
    tiny: TinyRun, wanted: list[str], source: Path, tmp_path: Path
) -> None:
    (tmp_path / "out.en.part").write_text("something else\n")
    assert nmt("translate", tiny.run, source, "-o", tmp_path / "out.en").code == 0
    assert (tmp_path / "out.en").read_bytes() == to_bytes(wanted)


def test_resume_with_a_shorter_input_is_refused_and_the_part_kept(tiny: TinyRun, tmp_path: Path) -> None:
    part = tmp_path / "out.en.part"
    interrupted(tiny.run, "-o", tmp_path / "out.en", at=3, stdin=b"Er kommt.\n" * 4)
    before = part.read_bytes()
    result = nmt("translate", tiny.run, "-o", tmp_path / "out.en", "--resume", stdin=b"Er kommt.\n")
    assert result.code == 1
    assert "--resume: 3 lines are translated already, but the input has only 1" in result.err
    assert part.read_bytes() == before
    assert not (tmp_path / "out.en").exists()


def test_an_output_that_is_there_stays_whole_until_the_new_one_is(translator: Translator, tmp_path: Path) -> None:
    out = tmp_path / "out.en"
    out.write_text("of before\n")
    with output_file(out, resume=False) as (stream, _):
        for _ in translate_stream(translator, requests(["Er kommt.", "Sie kommt."]), stream, form=as_text):
            stream.flush()
            assert out.read_text() == "of before\n"
    assert len(out.read_text().split("\n")) == 3


def test_an_interruption_leaves_the_lines_so_far_in_the_part_and_the_output_as_it_was(
    translator: Translator, tmp_path: Path
) -> None:
    out = tmp_path / "out.en"
    out.write_text("of before\n")
    with pytest.raises(Interrupted, match="--resume goes on"), output_file(out, resume=False) as (stream, _):
        for number, _ in enumerate(translate_stream(translator, requests(["Er kommt."] * 5), stream, form=as_text)):
            if number == 2:
                raise KeyboardInterrupt
    assert out.read_text() == "of before\n"
    assert (tmp_path / "out.en.part").read_bytes().count(b"\n") == 3


def test_a_fault_in_the_input_half_way_leaves_the_lines_before_it_in_the_part(tiny: TinyRun, tmp_path: Path) -> None:
    source = tmp_path / "bad.de"
    source.write_bytes(b"Er kommt.\nSie kommt.\nIch k\xf6nnte.\n")
    result = nmt("translate", tiny.run, source, "-o", tmp_path / "out.en")
    assert (result.code, f"{source}:3:6" in result.err) == (1, True)
    assert "read on with --errors replace" in result.err
    assert not (tmp_path / "out.en").exists()
    assert (tmp_path / "out.en.part").read_bytes().count(b"\n") == 2
    replaced = nmt("translate", tiny.run, source, "-o", tmp_path / "out.en", "--errors", "replace", "--resume")
    assert replaced.code == 0
    assert (tmp_path / "out.en").read_bytes().count(b"\n") == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_a_fault_in_the_input_is_told_when_all_before_it_is_answered(
    tiny: TinyRun, wanted: list[str], workers: int
) -> None:
    stdin = to_bytes(tiny.sources[:1]) + b"Ich k\xf6nnte.\n" + to_bytes(tiny.sources)
    result = nmt("translate", tiny.run, "--workers", workers, stdin=stdin)
    assert (result.code, result.lines) == (1, wanted[:1])
    assert "standard input:2:6: byte 0xF6 is not UTF-8" in result.err


def test_the_output_minus_is_standard_output(
    tiny: TinyRun, wanted: list[str], source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert nmt("translate", tiny.run, source, "-o", "-").lines == wanted
    assert [path.name for path in tmp_path.iterdir()] == [source.name]
    result = nmt("translate", tiny.run, source, "-o", "-", "--resume")
    assert (result.code, "--resume goes with --output" in result.err) == (2, True)


def test_what_looks_wrong_is_told_of_an_interrupted_translation_too_and_where_it_goes_on(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TOKENS, "eos_id", 4)  # this model has another end: none of its translations comes to it
    out, stdin = tmp_path / "out.en", b"Er kommt.\n" * 5
    truncated = "warning: translations that reached the length limit and were cut off: "
    assert f"{truncated}2 (lines 1, 2)\n" in interrupted(tiny.run, "-o", out, at=2, stdin=stdin).err
    result = nmt("translate", tiny.run, "-o", out, "--resume", stdin=stdin)
    assert result.err.startswith(f"{truncated}3 (lines 3, 4, 5)\n")
    assert "lines 1 to 2 were translated before; what looked wrong there was told then" in result.err
    failed = nmt("translate", tiny.run, "-o", out, stdin=b"Er kommt.\n\xff\n")
    assert failed.err.startswith(f"{truncated}1 (line 1)\nerror: standard input:2:1")


def test_a_full_disk_is_said_and_the_part_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(OutputError, match=r"No space left on device; what was done is in out\.en\.part.*--resume"),
        output_file(tmp_path / "out.en", resume=False) as (stream, _),
    ):
        stream.write(b"one\n")
    assert (tmp_path / "out.en.part").read_bytes() == b"one\n"
    assert not (tmp_path / "out.en").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is of Linux")
def test_standard_output_that_takes_nothing_is_said_with_exit_code_1(tiny: TinyRun) -> None:
    with Path("/dev/full").open("wb") as full:
        result = nmt("translate", tiny.run, stdin=b"Er kommt.\n", stdout=full)
    assert result.code == 1
    assert result.err == "error: standard output: cannot be written: No space left on device\n"


def test_an_output_in_a_folder_that_is_not_there_is_said_with_exit_code_1(tiny: TinyRun, tmp_path: Path) -> None:
    result = nmt("translate", tiny.run, "-o", tmp_path / "nowhere" / "out.en", stdin=b"Er kommt.\n")
    assert result.code == 1
    assert "out.en: cannot be written: No such file or directory; nothing was translated" in result.err


@pytest.mark.parametrize("output", ["/dev/null", "."])
def test_an_output_that_is_no_file_is_refused_and_never_replaced(output: str, tmp_path: Path) -> None:
    before = Path(output).stat()
    with pytest.raises(OutputError, match="not a file"), output_file(Path(output), resume=False):
        raise AssertionError("opened")
    assert Path(output).stat().st_ino == before.st_ino


@pytest.mark.parametrize("option", ["FILE", "--prefixes", "--glossary", "part"])
def test_what_is_read_is_never_the_output(tiny: TinyRun, source: Path, tmp_path: Path, option: str) -> None:
    read = tmp_path / "out.en.part" if option == "part" else tmp_path / "read"
    content = "Hund\tdog\n" if option == "--glossary" else "\n" * len(tiny.sources)
    read.write_text(content)
    given = [read] if option in ("FILE", "part") else [source, option, read]
    result = nmt("translate", tiny.run, *given, "-o", tmp_path / "out.en" if option == "part" else read)
    assert (result.code, result.out) == (1, b"")
    assert result.err == f"error: {read}: is what is read, and would be overwritten; give another name\n"
    assert read.read_text() == content


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="/dev/stdin is of Unix")
def test_a_file_that_standard_input_comes_from_is_not_the_output(tiny: TinyRun, tmp_path: Path) -> None:
    read = tmp_path / "a.de"
    read.write_text("Er kommt.\n")
    command = [sys.executable, "-m", "nmt", "translate", str(tiny.run), "-o", str(read)]
    with read.open("rb") as stream:
        done = subprocess.run(command, stdin=stream, capture_output=True, text=True, check=False)
    assert (done.returncode, f"{read}: is what is read" in done.stderr) == (1, True)
    assert read.read_text() == "Er kommt.\n"


def test_an_output_that_is_no_file_is_told_as_such_where_standard_input_is_it_too(tiny: TinyRun) -> None:
    result = nmt("translate", tiny.run, "-o", "/dev/stdin", stdin=b"Er kommt.\n")  # of pytest: /dev/null
    assert (result.code, "not a file" in result.err) == (1, True)


def test_lines_are_numbered_from_the_first_of_the_input_also_after_those_passed_over(translator: Translator) -> None:
    out = io.BytesIO()
    list(translate_stream(translator, requests(["a", "b", "c", "d"]), out, form=as_n_best, done=2))
    assert [line.split(b" ||| ")[0] for line in out.getvalue().splitlines()] == [b"2", b"3"]


def test_an_input_shorter_than_what_is_done_is_refused(translator: Translator) -> None:
    with pytest.raises(DataError, match="has only 2"):
        list(translate_stream(translator, requests(["a", "b"]), io.BytesIO(), form=as_text, done=3))
