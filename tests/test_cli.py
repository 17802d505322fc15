"""The command line as a process and as a user meets it: exit codes, words, pipes, Ctrl-C."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from toy_ensemble import sibling, stranger
from toy_run import Result, TinyRun, nmt, phrasebook

from nmt.cli import nmt as commands
from nmt.decoding import TOKENS
from nmt.loading import load_ensemble
from nmt.search.ensemble import COMBINATIONS

PROCESS_SECONDS = 60  # more than any of these takes on a busy machine
NMT = [sys.executable, "-m", "nmt"]


def assert_fault(result: Result, code: int, *words: str) -> None:
    """Left with this code and these words on standard error, without a traceback."""
    assert result.code == code, result.err
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err


def wait_until(condition: object, process: "subprocess.Popen[bytes]") -> None:
    assert callable(condition)
    end = time.monotonic() + PROCESS_SECONDS
    while not condition():
        assert process.poll() is None, "ended too early"
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)


@pytest.mark.parametrize("command", [[], ["train"], ["translate"], ["evaluate"], ["distill"], ["inspect"]])
def test_help_is_printed_and_leaves_with_0(command: list[str]) -> None:
    for option in ("--help", "-h"):
        result = nmt(*command, option)
        assert (result.code, result.err) == (0, "")
        assert result.text.startswith("Usage: ")


def test_the_version_is_printed() -> None:
    result = nmt("--version")
    assert result.code == 0
    assert result.text.split()[-1][0].isdigit()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["Commands:"]),
        (["tranlate"], ["No such command 'tranlate'"]),
        (["train"], ["Missing argument 'RECIPE'"]),
        (["train", "nowhere.toml"], ["nowhere.toml: no such recipe file"]),
        (["train", "quickstart", "--set", "model.layers"], ["--set model.layers: wanted section.key=value"]),
        (["train", "quickstart", "--set", "train.max_step=5"], ["train.max_step", "did you mean train.max_steps?"]),
        (["translate"], ["Missing argument 'RUN'"]),
        (["translate", "RUN", "--beam", "3"], ["No such option", "--beam-size"]),
        (["translate", "RUN", "--beam-size", "0"], ["'--beam-size'", "0 is not in the range x>=1"]),
        (["translate", "RUN", "--batch-size", "x"], ["'x' is not a valid integer"]),
        (["translate", "RUN", "--n-best", "4"], ["--n-best 4", "--beam-size 4"]),
        (["translate", "RUN", "--resume"], ["--resume goes with --output"]),
        (["translate", "RUN", "-o", "x", "--resume", "--n-best", "2"], ["only as --json"]),
        (["translate", "RUN", "--combination", "linear"], ["--combination goes with --ensemble"]),
        (["translate", "RUN", "--ensemble", "RUN", "--combination", "mean"], ["'linear', 'log_linear'"]),
        (["translate", "RUN", "--length-alpha", "0.5"], ["--length-alpha goes with --length-penalty gnmt"]),
        (["translate", "RUN", "--diverse-strength", "1"], ["--diverse-strength goes with --diverse-groups 2 or more"]),
        (["translate", "RUN", "--beam-size", "2", "--sample"], ["--beam-size goes without --sample"]),
        (["translate", "RUN", "--beam-size", "2", "--mbr-samples", "2"], ["--beam-size goes without --sample"]),
        (["evaluate", "RUN", "--ensemble", "RUN"], ["--ensemble goes with --output FOLDER"]),
        (["distill", "RUN"], ["Missing argument 'OUT'"]),
        (["inspect"], ["Missing argument 'RUN'"]),
        (["distill", "RUN", "."], ["OUT is '.', but wanted is the beginning of two file names"]),
        (["translate", "RUN", "--errors", "ignore"], ["'ignore' is not one of 'strict', 'replace'"]),
    ],
)
def test_what_cannot_be_meant_leaves_with_2_and_says_what_is_wanted(
    tiny: TinyRun, arguments: list[str], words: list[str]
) -> None:
    arguments = [str(tiny.run) if word == "RUN" else word for word in arguments]
    assert_fault(nmt(*arguments, stdin=b"Er kommt.\n"), 2, *words)


@pytest.mark.parametrize("command", [["translate"], ["evaluate"], ["distill"], ["inspect"]])
def test_an_unknown_run_leaves_with_1_and_says_so(command: list[str], tmp_path: Path) -> None:
    out = [tmp_path / "out"] if command == ["distill"] else []
    assert_fault(nmt(*command, "runs/nowhere", *out), 1, "runs/nowhere: there is no such run folder", "nmt train")


@pytest.mark.parametrize("file", ["model.safetensors", "recipe.toml", "tokenizer/joint.model", "manifest.json"])
@pytest.mark.parametrize("command", ["translate", "evaluate"])
def test_a_damaged_run_leaves_with_1_and_names_the_file(tiny: TinyRun, tmp_path: Path, command: str, file: str) -> None:
    broken = Path(shutil.copytree(tiny.run, tmp_path / "run")) / file
    broken.write_bytes(broken.read_bytes()[:-7])
    assert_fault(nmt(command, tmp_path / "run", stdin=b"Er kommt.\n"), 1, str(broken))


def test_a_missing_or_badly_encoded_input_leaves_with_1_and_says_where(tiny: TinyRun, tmp_path: Path) -> None:
    assert_fault(nmt("translate", tiny.run, tmp_path / "nowhere.de"), 1, "nowhere.de: there is no such file")
    latin = nmt("translate", tiny.run, stdin="Er kommt.\nIch könnte.\n".encode("latin-1"))
    assert_fault(latin, 1, "standard input:2:6: byte 0xF6 is not UTF-8")
    replaced = nmt("translate", tiny.run, "--errors", "replace", stdin="Ich könnte.\n".encode("latin-1"))
    assert (replaced.code, len(replaced.lines)) == (0, 1)


def test_options_go_over_the_recipes_search(tiny: TinyRun) -> None:
    lines = "".join(f"{line}\n" for line in tiny.sources[:5]).encode()
    plain = nmt("translate", tiny.run, stdin=lines)
    assert nmt("translate", tiny.run, "--batch-size", 1, "--threads", 1, stdin=lines).out == plain.out
    wide = nmt("translate", tiny.run, "--beam-size", 4, "--n-best", 4, stdin=lines)
    assert len(wide.lines) == 20
    for options in (
        ["--length-penalty", "gnmt", "--length-alpha", 0.5],
        ["--diverse-groups", 3, "--diverse-strength", 1.0],
        ["--sample", "--n-best", 4],
    ):
        assert nmt("translate", tiny.run, *options, stdin=lines).code == 0


@pytest.mark.parametrize("combination", [None, "linear", "log_linear"])
def test_several_runs_translate_together(tiny: TinyRun, tmp_path: Path, combination: str | None) -> None:
    other = sibling(tiny.run, tmp_path / "sibling")
    lines = "".join(f"{line}\n" for line in tiny.sources[:40]).encode()
    options = ["--combination", combination] if combination else []
    found = nmt("translate", tiny.run, "--ensemble", other, "--ensemble", tiny.run, *options, stdin=lines)
    assert found.code == 0, found.err
    runs = [tiny.run, other, tiny.run]
    assert found.lines == load_ensemble(runs, combination=combination or "linear").translate(tiny.sources[:40])  # type: ignore[arg-type]
    assert found.out != nmt("translate", tiny.run, stdin=lines).out


@pytest.mark.parametrize("command", ["translate", "distill", "evaluate"])
def test_runs_that_cannot_decode_together_leave_with_1_and_both_names(
    tiny: TinyRun, tmp_path: Path, command: str
) -> None:
    other = stranger(tiny.run, tmp_path / "other")
    arguments = {"translate": [], "distill": [tmp_path / "out"], "evaluate": ["-o", tmp_path / "out"]}[command]
    result = nmt(command, tiny.run, *arguments, "--ensemble", other, stdin=b"Er kommt.\n")
    assert_fault(result, 1, str(tiny.run), str(other), "cannot decode together")
    assert list(tmp_path.iterdir()) == [other]


def test_the_combinations_offered_are_those_there_are() -> None:
    [option] = [param for param in commands.commands["translate"].params if param.name == "combination"]
    assert list(option.type.choices) == list(COMBINATIONS)  # type: ignore[attr-defined]


def test_translations_that_were_cut_off_are_warned_of(tiny: TinyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TOKENS, "eos_id", 4)  # this model has another end: none of its translations comes to it
    result = nmt("translate", tiny.run, "--beam-size", 1, stdin=b"Er kommt.\n\nSie kommt.\n")
    assert result.code == 0
    assert "warning: translations that reached the length limit and were cut off: 2 (lines 1, 3)" in result.err


def test_a_reader_that_has_seen_enough_ends_the_command_with_141_and_in_silence(tiny: TinyRun, tmp_path: Path) -> None:
    many = tmp_path / "many.de"
    many.write_text("".join(f"{line}\n" for line in tiny.sources * 8))
    command = shlex.join([*NMT, "translate", str(tiny.run), str(many), "--beam-size", "1", "--batch-size", "4"])
    script = f"{command} | head -3; echo ${{PIPESTATUS[0]}} >&2"
    ended = subprocess.run(["bash", "-c", script], capture_output=True, timeout=PROCESS_SECONDS, check=True)
    assert ended.stdout.count(b"\n") == 3
    assert ended.stderr.decode() == "141\n"


def test_ctrl_c_leaves_with_130_and_resume_makes_the_output_that_an_uninterrupted_run_makes(
    tiny: TinyRun, tmp_path: Path
) -> None:
    source, out, part = tmp_path / "many.de", tmp_path / "out.en", tmp_path / "out.en.part"
    lines = [f"{line}\n" for line in tiny.sources * 4]
    source.write_text("".join(lines))
    options = ["--beam-size", "1", "--batch-size", "4"]
    command = [*NMT, "translate", str(tiny.run), "-", "-o", str(out), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write("".join(lines[:700]).encode())
        process.stdin.flush()  # and no end of the input: it cannot be through with it
        wait_until(lambda: part.exists() and part.stat().st_size > 0, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(PROCESS_SECONDS) == 130
        told = process.stderr.read()
        assert b"Traceback" not in told
        assert f"{part}: the same command with --resume".encode() in told
    assert not out.exists()
    assert 0 < part.read_bytes().count(b"\n") < len(lines)
    assert nmt("translate", tiny.run, source, "-o", out, "--resume", *options).code == 0
    assert out.read_bytes() == nmt("translate", tiny.run, source, *options).out


def test_the_command_is_the_module_and_starts_without_torch() -> None:
    script = (
        "import sys; sys.argv[1:] = ['--version']; from nmt.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    )
    script += "assert 'torch' not in sys.modules"
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    subprocess.run([sys.executable, "-c", script], check=True, timeout=PROCESS_SECONDS, env=environment)


def test_an_exported_folder_translates_as_its_run_does(tiny: TinyRun, tmp_path: Path) -> None:
    assert nmt("export", tiny.run, tmp_path / "model").text == f"{tmp_path / 'model'}\n"
    text = "".join(f"{src}\n" for src in tiny.sources[:20]).encode()
    assert nmt("translate", tmp_path / "model", stdin=text).out == nmt("translate", tiny.run, stdin=text).out


@pytest.mark.parametrize("command", ["translate", "evaluate", "distill"])
def test_the_engine_that_is_asked_for_decodes(tiny: TinyRun, tmp_path: Path, command: str) -> None:
    """What is printed would not show it: the engines agree."""
    kinds: list[str] = []

    def noted(*args: Any, engine: str, **rest: Any) -> Any:
        kinds.append(engine)
        return load_ensemble(*args, engine=engine, **rest)  # type: ignore[arg-type]

    extra = {"translate": [], "evaluate": [], "distill": [tmp_path / "out"]}[command]
    run = shutil.copytree(tiny.run, tmp_path / "run")
    with mock.patch("nmt.loading.load_ensemble", noted):
        for option in ([], ["--engine", "exact"], ["--engine", "int8"]):
            result = nmt(command, run, *extra, *option, stdin=b"Er kommt.\n")
            assert result.code == 0, result.err
            for file in tmp_path.glob("out.*"):
                file.unlink()
    assert kinds == ["fast", "exact", "int8"]


def test_text_in_another_language_is_warned_of(tiny: TinyRun) -> None:
    """Text that is in the target language already, say."""
    english = [tgt for _, tgt in phrasebook(400, longest=60) if len(tgt) > 35][:40]
    assert len(english) == 40
    result = nmt("translate", tiny.run, "--beam-size", 1, stdin="".join(f"{line}\n" for line in english).encode())
    assert len(result.lines) == 40
    warned = re.search(r"warning: source lines that are surely in another language.*: (\d+) \(lines? (\d+)", result.err)
    assert warned is not None
    assert int(warned[1]) > 20
    german = [src for src, _ in phrasebook(400, longest=60) if len(src) > 35][:40]
    result = nmt("translate", tiny.run, "--beam-size", 1, stdin="".join(f"{line}\n" for line in german).encode())
    assert "another language" not in result.err
