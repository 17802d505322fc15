"""A training among other processes, full disks, readers that leave and signals; in real processes where it matters."""

import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from toy_run import TinyRun, metrics, nmt, phrasebook, saved_state, signals_after, train, write_recipe

from nmt.loading import load
from nmt.run_dir import sole_writer
from nmt.train import run as run_module
from nmt.train.run import TrainingRun

PROCESS_SECONDS = 120  # more than any of these takes on a busy machine
SHORT: dict[str, object] = {"train.max_steps": 6, "train.samples": 0}
ENDLESS = {"train.max_steps": 1_000_000, "train.save_every": 1_000_000}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe"), phrasebook(60))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


def options(changes: dict[str, object]) -> list[str]:
    return [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]


def command(recipe: Path, run: Path, changes: dict[str, object]) -> list[str]:
    return [sys.executable, "-m", "nmt", "train", str(recipe), "--run-dir", str(run), *options(changes)]


# --- one writer ---


def test_a_second_training_is_refused_with_the_pid_of_the_first_until_that_is_killed(recipe: Path, run: Path) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command(recipe, run, ENDLESS), text=True, **pipes) as first:
        assert first.stdout is not None
        assert any(line.startswith("step 4/") for line in first.stdout)
        for fresh in ([], ["--fresh"]):
            second = nmt("train", recipe, "--run-dir", run, *fresh, *options(ENDLESS))
            assert second.code == 1
            assert f"{run}: another training is writing here (pid {first.pid}); wait for it" in second.err
            assert "--run-dir" in second.err
        assert not run.with_name("run.old1").exists()
        first.send_signal(signal.SIGKILL)
        first.communicate()
    with signals_after(1, signal.SIGINT):
        assert f"going on in {run} after step 0" in train(recipe, run, ENDLESS, code=130)


def test_a_process_can_train_in_a_folder_again_and_again(recipe: Path, run: Path) -> None:
    """What holds the folder lets go of it, after a fault too."""
    train(recipe, run, {"data.train": "nowhere"}, code=1)
    for _ in range(2):
        train(recipe, run, {"train.max_steps": 1})


def test_a_folder_that_is_trained_in_is_read_all_the_same(tiny: TinyRun) -> None:
    with sole_writer(tiny.run):
        assert nmt("translate", tiny.run, stdin=b"Er kommt.\n").code == 0


# --- disks ---


@pytest.mark.parametrize(
    "keys",
    [{}, {"train.ema_decay": 0.9}, {"train.keep_last": 4, "train.keep_best": 2}, {"train.optimizer": "sgd"}],
)
def test_a_disk_without_room_for_what_training_will_write_is_told_before_the_first_step(
    recipe: Path, run: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, object]
) -> None:
    train(recipe, run, SHORT | keys)
    [*_, checkpoint] = sorted(run.glob("checkpoints/*"))
    count = int(str(keys.get("train.keep_last", 2))) + int(str(keys.get("train.keep_best", 0)))
    state_bytes = (checkpoint / "state.safetensors").stat().st_size - saved_state(run).tensors["rank.0.random"].nbytes
    needed_bytes = (count + 1) * state_bytes + (run / "model.safetensors").stat().st_size
    usage = shutil.disk_usage(run)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=int(0.8 * needed_bytes)))
    again = run.with_name("again")
    printed = train(recipe, again, SHORT | keys, code=1)
    found = re.search(r"its disk has ([\d.]+) MB left, but this training wants ([\d.]+) MB", printed)
    assert found is not None, printed
    assert [float(number) for number in found.groups()] == [
        pytest.approx(0.8 * needed_bytes / 1e6, abs=0.06),
        pytest.approx(needed_bytes / 1e6, abs=0.06),
    ]
    assert "make room" in printed
    assert "train.keep_last" in printed
    assert not (again / "metrics.jsonl").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=int(needed_bytes)))
    train(recipe, again, SHORT | keys)


def test_the_checkpoints_that_are_there_already_need_no_new_room(
    recipe: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with signals_after(3, signal.SIGINT):
        train(recipe, run, SHORT | {"train.save_every": 1}, code=130)
    usage = shutil.disk_usage(run)
    one_bytes = (run / "checkpoints/00000003/state.safetensors").stat().st_size
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=int(1.5 * one_bytes)))
    train(recipe, run, SHORT)


def test_a_disk_that_fills_while_a_checkpoint_is_written_is_told_and_training_goes_on_later(
    recipe: Path, run: Path
) -> None:
    """In a process that can write no file beyond a size, which is below that of a state with its moments."""
    whole = run.with_name("whole")
    train(recipe, whole, SHORT)
    room_bytes = (whole / "model.safetensors").stat().st_size * 2  # the state of step 0 has no moments yet

    def no_larger_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, room_bytes))

    full = subprocess.run(
        command(recipe, run, SHORT | {"train.save_every": 3}),
        preexec_fn=no_larger_files,
        capture_output=True,
        text=True,
        timeout=PROCESS_SECONDS,
        check=False,
    )
    assert full.returncode == 1
    assert f"{run}/checkpoints/00000003: cannot be written: " in full.stderr
    assert "File too large" in full.stderr
    assert "run the same command again to go on" in full.stderr
    assert "Traceback" not in full.stderr
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["00000000"]
    assert "after step 0 of 6" in train(recipe, run, SHORT)
    assert (run / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


# --- standard output ---


def test_training_goes_on_when_whoever_reads_what_it_prints_has_left(recipe: Path, run: Path) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command(recipe, run, SHORT | {"train.log_every": 1}), text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("train: ")
        process.stdout.close()
        process.wait(PROCESS_SECONDS)
        assert process.stderr.read() == ""
    assert process.returncode == 0
    assert (run / "scores.json").exists()
    assert metrics(run)[-1]["step"] == 6


@pytest.mark.parametrize("where", [">&-", ">/dev/full"])
def test_training_needs_no_standard_output(recipe: Path, run: Path, where: str) -> None:
    words = " ".join(command(recipe, run, {"train.max_steps": 2}))
    done = subprocess.run(f"{words} {where}", shell=True, capture_output=True, timeout=PROCESS_SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (run / "scores.json").exists()


# --- signals outside of the steps ---

MOMENTS = ["open_corpora", "new_tokenizers", "save_setup", "evaluate_run"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_at_any_moment_ends_in_words_and_the_same_command_goes_on(
    recipe: Path, run: Path, moment: str, number: signal.Signals, code: int
) -> None:
    at_work = getattr(run_module, moment)

    def signalled(*arguments: object, **names: object) -> object:
        signal.raise_signal(number)
        return at_work(*arguments, **names)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, moment, signalled)
        result = nmt("train", recipe, "--run-dir", run, *options(SHORT))
    assert result.code == code
    left = "goes on after step 6: run the same" if moment == "evaluate_run" else "nothing was saved yet: run the same"
    assert f"stopped by {number.name} at once; " in result.err
    assert left in result.err
    assert "test: BLEU = " in train(recipe, run, SHORT)


def test_a_signal_before_the_first_step_keeps_what_was_saved(recipe: Path, run: Path) -> None:
    with signals_after(3, signal.SIGTERM):
        train(recipe, run, SHORT, code=143)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingRun, "_trainer", lambda *_: signal.raise_signal(signal.SIGTERM))
        result = nmt("train", recipe, "--run-dir", run, *options(SHORT))
    assert result.code == 143
    assert f"{run} goes on after step 3: run the same command again, without --fresh" in result.err
    assert "after step 3 of 6" in train(recipe, run, SHORT)


def test_a_process_that_is_stopped_while_it_trains_its_tokenizer_leaves_no_half_run(recipe: Path, run: Path) -> None:
    """The signal comes while SentencePiece draws lines from a generator of ours."""
    code = (
        "import signal\n"
        "from nmt.train import prepare\n"
        "lines = prepare.lines\n"
        "def signalled(*arguments):\n"
        "    for line in lines(*arguments):\n"
        "        yield line\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "prepare.lines = signalled\n"
        "from nmt.cli import main\n"
        "main()\n"
    )
    words = [sys.executable, "-c", code, *command(recipe, run, SHORT)[3:]]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PROCESS_SECONDS, check=False)
    assert done.returncode == 143, done.stderr
    assert "stopped by SIGTERM at once; nothing was saved yet" in done.stderr
    assert "Traceback" not in done.stderr
    train(recipe, run, SHORT)
    assert load(run).translate(["Er kommt."])
