"""Ctrl-C and SIGTERM: noted once, obeyed between two steps, obeyed at once the second time."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy_run import nmt, phrasebook, signals_after, train, write_recipe

from nmt.train.interrupts import stop_wish
from nmt.translator import load

PROCESS_SECONDS = 60  # more than any of these takes on a busy machine
OBEYED_SECONDS = 10
both = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe"), phrasebook(60))


def test_no_signal_is_no_wish() -> None:
    with stop_wish() as wish:
        assert wish.signal is None


@both
def test_the_first_signal_is_noted_and_acts_only_on_those_who_look(number: signal.Signals) -> None:
    with stop_wish() as wish:
        signal.raise_signal(number)
        assert wish.signal is number


def test_the_second_signal_acts_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), stop_wish() as wish:
        signal.raise_signal(signal.SIGINT)
        assert wish.signal is signal.SIGINT
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("went on")


@both
@pytest.mark.parametrize("signalled", [False, True])
def test_afterwards_signals_do_what_they_did_before(number: signal.Signals, signalled: bool) -> None:
    before = signal.getsignal(number)
    with stop_wish():
        if signalled:
            signal.raise_signal(number)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_training_that_is_told_to_stop_saves_and_says_how_to_go_on(
    recipe: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    run = tmp_path / "run"
    with signals_after(13, number):
        printed = train(recipe, run, code=code)
    assert f"stopped by {number.name} after step 13; saved in {run}" in printed
    assert "Run the same command again" in printed
    assert "after step 13 of 40" in train(recipe, run)


def test_a_signal_in_the_last_step_lets_the_training_end_as_ever(recipe: Path, tmp_path: Path) -> None:
    with signals_after(3, signal.SIGINT):
        assert "test: BLEU = " in train(recipe, tmp_path / "run", {"train.max_steps": 3})


def test_a_second_ctrl_c_ends_a_training_at_once_and_leaves_a_folder_that_loads(recipe: Path, tmp_path: Path) -> None:
    """It is not saved any more: the run goes on where it was last saved."""
    run = tmp_path / "run"
    with signals_after(13, signal.SIGINT, signal.SIGINT):
        result = nmt("train", recipe, "--run-dir", run)
    assert result.code == 130
    assert "step 13" not in result.text + result.err
    assert len(load(run).translate(["Er kommt."])) == 1
    assert "after step 10 of 40" in train(recipe, run)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_process_obeys_within_seconds(recipe: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    run = tmp_path / "run"
    options = ["--set", "train.max_steps=1000000", "--set", "train.save_every=1000000"]
    command = [sys.executable, "-m", "nmt", "train", str(recipe), "--run-dir", str(run), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if line.startswith("valid step 10"):
                break
        begin = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=PROCESS_SECONDS)
        assert time.monotonic() - begin < OBEYED_SECONDS
    assert process.returncode == code
    assert f"stopped by {number.name} after step" in errors
    assert "Traceback" not in errors
    assert (run / "training.safetensors").exists()
