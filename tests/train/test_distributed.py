"""Several processes train one model: `torchrun` on this machine, over gloo."""

import os
import re
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_run import metrics, phrasebook, train, write_recipe

from nmt.checkpoint import Checkpoints
from nmt.errors import TrainingError
from nmt.run_dir import load_model
from nmt.train import board as board_module
from nmt.train import distributed as team_module
from nmt.train.board import Board
from nmt.train.distributed import PACE, PATIENCE, Team

pytestmark = pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch was built without gloo")

# Nothing is drawn at random in a step, so that however many processes there are they compute the same.
STEADY = {
    "model.dropout": 0,
    "train.max_steps": 24,
    "train.validate_every": 8,
    "train.save_every": 8,
    "train.log_every": 4,
    "train.threads": 1,
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("text"), phrasebook(120))


def start(
    recipe: Path, run: Path, processes: int, *, before: str = "", restarts: int = 0, **changes: object
) -> "subprocess.Popen[str]":
    """`nmt train` by so many processes, each of which first does what `before` says."""
    program = run.with_name("program.py")
    program.write_text(f"{before}\nfrom nmt.cli import main\nmain()\n")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command += ["--max-restarts", str(restarts), *([str(program)] if before else ["-m", "nmt"])]
    command += ["train", str(recipe), "--run-dir", str(run)]
    for key, value in (STEADY | changes).items():
        command += ["--set", f"{key}={value}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def together(recipe: Path, run: Path, processes: int, **changes: object) -> str:
    """What a training by so many processes printed; it must come to its end."""
    process = start(recipe, run, processes, **changes)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    return printed


def curve(run: Path) -> list[dict[str, Any]]:
    """The numbers of the reports, what clocks say left out."""
    clocks = ("event", "tokens_per_second", "seconds", "elapsed_seconds")
    return [{key: value for key, value in report.items() if key not in clocks} for report in metrics(run)]


def assert_same_training(run: Path, other: Path) -> None:
    assert len(curve(run)) == len(curve(other)) > 0
    for one, two in zip(curve(run), curve(other), strict=True):
        assert one == pytest.approx(two, rel=1e-5)
    weights, others = load_model(run).model.weights(), load_model(other).model.weights()
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, others[name], rtol=1e-4, atol=1e-5)


def workers(process: "subprocess.Popen[str]") -> list[int]:
    """The processes that `torchrun` started, once there are any."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for _ in range(600):
        if len(found := [int(pid) for pid in children.read_text().split()]) > 1:
            return found
        time.sleep(0.1)
    raise AssertionError("no workers")


def wait_for_checkpoint(run: Path, step: int) -> None:
    for _ in range(1200):
        if any(found >= step for found in Checkpoints(run, keep_last=1).steps()):
            return
        time.sleep(0.05)
    raise AssertionError("no checkpoint")


@pytest.fixture(scope="module")
def alone(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("alone") / "run"
    train(recipe, run, STEADY)
    return run


@pytest.mark.parametrize("memory", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_two_processes_train_as_one_does(recipe: Path, alone: Path, tmp_path: Path, memory: bool) -> None:
    """Of each batch a half: the same losses, validations and weights; and each thing is said and written once.

    With and without memory in common, of which nothing is left behind.
    """
    folder, used = tmp_path / "memory", tmp_path / "used"
    if memory:
        folder.mkdir()
    watched = (
        "from pathlib import Path\n"
        "from nmt.train import board\n"
        f"board.FOLDER = Path({str(folder)!r})\n"
        "add_up = board.Board.add_up\n"
        "def watched(*arguments):\n"
        f"    Path({str(used)!r}).touch()\n"
        "    add_up(*arguments)\n"
        "board.Board.add_up = watched\n"
    )
    printed = together(recipe, tmp_path / "run", 2, before=watched)
    assert_same_training(tmp_path / "run", alone)
    assert len(re.findall(r"^model: ", printed, re.MULTILINE)) == 1
    assert len(re.findall(r"^valid step 24 ", printed, re.MULTILINE)) == 1
    assert (tmp_path / "run" / "scores.json").read_bytes()
    assert used.exists() == memory
    assert not list(folder.glob("*"))


@pytest.mark.slow
def test_processes_without_a_share_of_a_batch_do_not_hold_up_the_others(recipe: Path, tmp_path: Path) -> None:
    """Batches of one pair, and three processes."""
    one_pair = {"train.batch_tokens": 1, "train.max_steps": 8}
    train(recipe, tmp_path / "alone", STEADY | one_pair)
    together(recipe, tmp_path / "three", 3, **one_pair)
    assert_same_training(tmp_path / "three", tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.parametrize("then", [1, 2, 3])
def test_a_stopped_training_goes_on_on_another_number_of_processes(
    recipe: Path, alone: Path, tmp_path: Path, then: int
) -> None:
    run = tmp_path / "run"
    process = start(recipe, run, 2)
    wait_for_checkpoint(run, 8)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    if then == 1:
        train(recipe, run, STEADY)
    else:
        together(recipe, run, then)
    assert_same_training(run, alone)
    assert "stopped by SIGTERM" in printed


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_dies_ends_the_others_within_a_minute_and_the_run_goes_on(
    recipe: Path, alone: Path, tmp_path: Path, rank: int
) -> None:
    run = tmp_path / "run"
    process = start(recipe, run, 2)
    pids = workers(process)
    wait_for_checkpoint(run, 8)
    killed = time.monotonic()
    os.kill(pids[rank], signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert time.monotonic() - killed < 60
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    together(recipe, run, 2)
    assert_same_training(run, alone)


@pytest.mark.slow
def test_torchrun_starts_all_again_when_one_dies_and_they_go_on(recipe: Path, alone: Path, tmp_path: Path) -> None:
    """One of them is late then, as one of several machines may be."""
    late = (
        "import os, time\n"
        "if os.environ['TORCHELASTIC_RESTART_COUNT'] == '1' and os.environ['RANK'] == '1':\n"
        "    time.sleep(5)\n"
    )
    process = start(recipe, tmp_path / "run", 2, before=late, restarts=1)
    pids = workers(process)
    wait_for_checkpoint(tmp_path / "run", 8)
    os.kill(pids[0], signal.SIGKILL)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert re.search("after step (8|16) of 24", printed)
    assert_same_training(tmp_path / "run", alone)


@pytest.mark.slow
def test_a_process_that_hangs_ends_the_others(recipe: Path, tmp_path: Path) -> None:
    """With less patience than they have."""
    pace = "from datetime import timedelta\nfrom nmt.train import distributed\ndistributed.PACE = timedelta(seconds=20)"
    process = start(recipe, tmp_path / "run", 2, before=pace, **{"train.max_steps": 1_000_000})
    leader, other = workers(process)
    wait_for_checkpoint(tmp_path / "run", 8)
    os.kill(other, signal.SIGSTOP)
    try:
        for _ in range(900):
            if not Path(f"/proc/{leader}").exists():
                break
            time.sleep(0.1)
        assert not Path(f"/proc/{leader}").exists()
    finally:
        os.kill(other, signal.SIGKILL)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "error: another process of this training does not answer; what was saved is unharmed" in printed


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_process_in_a_validation_stops_all_when_that_is_done(
    recipe: Path, alone: Path, tmp_path: Path, rank: int
) -> None:
    """Said once, and saved before anyone leaves."""
    signalled = (
        "import os, signal\n"
        "from nmt.train.validation import Validator\n"
        "call = Validator.__call__\n"
        "def signalled(self):\n"
        f"    if os.environ['RANK'] == '{rank}':\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "    return call(self)\n"
        "Validator.__call__ = signalled\n"
    )
    process = start(recipe, tmp_path / "run", 2, before=signalled)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert printed.count("stopped by ") == 1
    who = "SIGTERM" if rank == 0 else "another process"
    assert f"error: stopped by {who} after step 9; saved in {tmp_path / 'run'}" in printed
    assert "valid step 8 " in printed
    assert "after step 9 of 24" in train(recipe, tmp_path / "run", STEADY)
    assert_same_training(tmp_path / "run", alone)


def test_whoever_is_late_with_the_text_is_waited_for_with_patience_and_nobody_after_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[object] = []

    def new_group(*, backend: str, timeout: timedelta) -> str:
        told.append(timeout)
        return "of those who keep pace"

    monkeypatch.setattr(team_module, "_CONTROL", ["patient"])
    monkeypatch.setattr(torch.distributed, "all_gather_object", lambda *_, group: told.append(group))
    monkeypatch.setattr(torch.distributed, "new_group", new_group)
    Team(1, 2).keep_pace()
    Team(1, 2).meet()
    assert told == ["patient", PACE, "of those who keep pace"]
    assert PACE < timedelta(hours=1) < PATIENCE


@pytest.mark.parametrize("seen", [True, False])
def test_memory_that_one_of_them_cannot_see_is_used_by_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seen: bool
) -> None:
    """Whether or not: its name is gone at once."""
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(board_module, "FOLDER", tmp_path)
    monkeypatch.setattr(Team, "gather", lambda self, value: [value, seen])
    assert (Team(0, 2)._new_board(5) is not None) == seen
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("size", "here"), [(2, 1), (4, 2), (5, 5), (64, 64)])
def test_processes_of_several_machines_and_many_of_one_send_their_gradients(
    monkeypatch: pytest.MonkeyPatch, size: int, here: int
) -> None:
    """All at once, and nobody is asked for memory in common."""
    sent: list[int] = []

    def all_reduce(tensor: torch.Tensor) -> None:
        sent.append(tensor.numel())
        tensor.mul_(size)

    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(here))
    monkeypatch.setattr(team_module, "_BOARDS", {})
    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    tensors = [torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([5.0])]
    wanted = [size * tensor for tensor in tensors]
    Team(0, size).add_up(tensors)
    assert sent == [5]
    assert all(torch.equal(one, two) for one, two in zip(tensors, wanted, strict=True))


@pytest.mark.parametrize("exchange", ["all_reduce", "barrier", "all_gather_object"])
def test_a_process_that_is_gone_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, exchange: str
) -> None:
    fault: list[Exception] = [RuntimeError("Connection closed by peer [127.0.0.1]:4711")]

    def fail(*_: object, **__: object) -> None:
        raise fault[0]

    monkeypatch.setattr(torch.distributed, exchange, fail)
    words = (
        "^another process of this training does not answer; what was saved is unharmed: start the same command again, "
        "on as many processes as there are, to go on$"
    )
    (tmp_path / "memory").write_bytes(bytes(16))
    board = Board(tmp_path / "memory", rank=0, size=2, values=1) if exchange == "barrier" else None
    monkeypatch.setattr(team_module, "_BOARDS", {1: board})
    call = Team(0, 2).meet if exchange == "all_gather_object" else lambda: Team(0, 2).add_up([torch.ones(1)])
    with pytest.raises(TrainingError, match=words):
        call()
    fault[0] = torch.OutOfMemoryError("CUDA out of memory.")
    with pytest.raises(torch.OutOfMemoryError):
        call()


@pytest.mark.slow
def test_dropout_differs_between_processes_and_comes_back_on_resuming(recipe: Path, tmp_path: Path) -> None:
    """A run of two that was stopped and goes on is the run that never stopped, bit for bit."""
    random = {"model.dropout": 0.3, "model.word_dropout": 0.1}
    together(recipe, tmp_path / "whole", 2, **random)
    process = start(recipe, tmp_path / "stopped", 2, **random)
    wait_for_checkpoint(tmp_path / "stopped", 8)
    process.kill()
    process.communicate(timeout=60)
    time.sleep(5)  # its workers notice that torchrun is gone
    together(recipe, tmp_path / "stopped", 2, **random)
    assert curve(tmp_path / "whole") == curve(tmp_path / "stopped")
