"""Ctrl-C and SIGTERM: noted once, obeyed between two steps, obeyed at once the second time."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest
import torch
from toy_run import metrics, nmt, phrasebook, signals_after, train, write_recipe

from nmt import checkpoint
from nmt.checkpoint import Checkpoints
from nmt.errors import Interrupted
from nmt.loading import load
from nmt.train.interrupts import stop_wish, stopped_at_once
from nmt.train.validation import Validation, Validator

PROCESS_SECONDS = 60  # more than any of these takes on a busy machine
OBEYED_SECONDS = 30  # 10 where nothing else wants the cores
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
def test_where_processes_stop_together_the_first_signal_stands_and_repeats_change_nothing(
    number: signal.Signals,
) -> None:
    with stop_wish(repeats_act=False) as wish:
        signal.raise_signal(number)
        for repeated in (signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(repeated)
        assert wish.signal is number


@both
def test_at_once_is_in_words_and_with_the_shells_code(number: signal.Signals) -> None:
    words = f"stopped by {number.name} at once; nothing is lost"
    with pytest.raises(Interrupted, match=words) as caught, stopped_at_once(lambda: "nothing is lost"):
        try:
            signal.raise_signal(number)
        except Exception as error:  # whoever catches faults on the way
            raise AssertionError("a signal is no fault") from error
        raise AssertionError("went on")
    assert caught.value.exit_code == 128 + number


@both
def test_at_once_means_the_second_signal_where_the_first_is_noted(number: signal.Signals) -> None:
    with pytest.raises(Interrupted), stopped_at_once(str), stop_wish() as wish:
        signal.raise_signal(number)
        assert wish.signal is number
        signal.raise_signal(number)
        raise AssertionError("went on")


def test_other_faults_pass_and_the_handlers_of_before_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ValueError, match="own"), stopped_at_once(str):
        raise ValueError("own")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


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


def test_a_signal_in_the_last_step_leaves_validation_and_scores_to_the_next_start(recipe: Path, tmp_path: Path) -> None:
    with signals_after(3, signal.SIGINT):
        printed = train(recipe, tmp_path / "run", {"train.max_steps": 3}, code=130)
    assert "valid step 3 " not in printed
    printed = train(recipe, tmp_path / "run", {"train.max_steps": 3})
    assert "valid step 3 " in printed
    assert "test: BLEU = " in printed


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_ends_a_training_at_once_and_leaves_a_folder_that_loads(
    recipe: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """It is not saved any more: the run goes on where it was last saved."""
    run = tmp_path / "run"
    with signals_after(13, number, number):
        result = nmt("train", recipe, "--run-dir", run)
    assert result.code == code
    assert "step 13" not in result.text + result.err
    assert f"stopped by {number.name} at once; {run} goes on after step 10" in result.err
    assert len(load(run).translate(["Er kommt."])) == 1
    assert "after step 10 of 40" in train(recipe, run)


def test_a_second_signal_in_the_middle_of_saving_leaves_the_checkpoints_of_before(recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    sync_file = checkpoint.sync_file

    def signalled(path: Path) -> None:
        sync_file(path)
        if path.parent.name.startswith(".00000013"):
            signal.raise_signal(signal.SIGINT)

    with signals_after(13, signal.SIGINT), pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "sync_file", signalled)
        assert nmt("train", recipe, "--run-dir", run).code == 130
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["00000000", "00000010"]
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
    assert f"after step {Checkpoints(run, keep_last=2).steps()[0]}; saved" in errors


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_validation_is_left_at_once_and_made_up_for(
    recipe: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """What comes out is the run that was left alone."""
    keys = {"train.max_steps": 9, "train.validate_every": 5, "train.save_every": 100, "train.patience": 5}
    call = Validator.__call__

    def interrupted(self: Validator) -> Validation:
        found = call(self)
        signal.raise_signal(number)
        raise AssertionError(f"went on after the signal, with {found}")

    with mock.patch.object(Validator, "__call__", interrupted):
        printed = train(recipe, tmp_path / "run", keys, code=code)
    assert f"stopped by {number.name} after step 5; saved" in printed
    train(recipe, tmp_path / "run", keys)
    train(recipe, tmp_path / "whole", keys)
    steps = [[(report["event"], report["step"]) for report in metrics(tmp_path / run)] for run in ("run", "whole")]
    assert steps[0] == steps[1]
    kept = [(tmp_path / run / "model.safetensors").read_bytes() for run in ("run", "whole")]
    assert kept[0] == kept[1]


@pytest.mark.parametrize("where", ["_mean_nll", "_translate"])
def test_memory_that_runs_out_in_a_validation_is_told_with_advice(recipe: Path, tmp_path: Path, where: str) -> None:
    def no_memory(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with mock.patch.object(Validator, where, no_memory):
        printed = train(recipe, tmp_path / "run", {"train.max_steps": 3}, code=1)
    assert "error: memory ran out in a validation; lower search.batch_tokens" in printed
