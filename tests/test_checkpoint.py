"""Checkpoints under damage, kills, full disks and malice."""

import errno
import json
import os
import pickle
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from toy_run import flip

from nmt import checkpoint
from nmt.checkpoint import MANIFEST, TENSORS, VALUES, Checkpoints, TrainingState
from nmt.errors import CheckpointError, OutputError

FILES = (TENSORS, VALUES, MANIFEST)
FLIPS = 60  # of each file


class Killed(BaseException):
    """Stands for a SIGKILL: what is on the disk stays as it is."""


def new_state(number: float) -> TrainingState:
    tensors = {
        "model.weight": torch.full((3, 4), number),
        "average.weight": torch.full((2, 3), number, dtype=torch.float64),
        "optimizer.0.step": torch.tensor(number),
        "random": torch.get_rng_state()[:64],
        "none": torch.empty(0, 5),
    }
    return TrainingState(tensors, {"progress": {"step": int(number), "best_bleu": None, "text": "ä"}, "data": "abc"})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


def checkpoints(run: Path, keep_last: int = 2, keep_best: int = 0) -> Checkpoints:
    return Checkpoints(run, keep_last=keep_last, keep_best=keep_best)


def save(run: Path, *steps: int) -> None:
    for step in steps:
        checkpoints(run).save(step, new_state(step))


def number_of(run: Path) -> int:
    """What the newest state was made with; all of it must be of that state."""
    state = checkpoints(run).newest()
    assert state is not None
    number = int(state.values["progress"]["step"])
    assert (state.tensors["model.weight"] == number).all()
    return number


def names_in(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


# --- saving and loading ---


def test_a_state_comes_back_as_it_was(run: Path) -> None:
    state = new_state(7)
    checkpoints(run).save(7, state)
    found = checkpoints(run).newest()
    assert found is not None
    assert found.values == state.values
    assert found.tensors.keys() == state.tensors.keys()
    for name, tensor in state.tensors.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)


def test_where_nothing_was_saved_there_is_nothing(run: Path) -> None:
    assert checkpoints(run).newest() is None
    assert checkpoints(run).steps() == []


def test_a_checkpoint_is_a_numbered_folder_of_three_files(run: Path) -> None:
    save(run, 500)
    assert sorted(file.relative_to(run).as_posix() for file in run.rglob("*") if file.is_file()) == [
        "checkpoints/00000500/manifest.json",
        "checkpoints/00000500/state.json",
        "checkpoints/00000500/state.safetensors",
    ]


def test_what_was_loaded_does_not_change_with_the_files(run: Path) -> None:
    """A tensor that is mapped into memory would."""
    save(run, 7)
    state = checkpoints(run).newest()
    assert state is not None
    (run / "checkpoints/00000007" / TENSORS).write_bytes(bytes(4096))
    assert (state.tensors["model.weight"] == 7).all()


def test_the_newest_by_number_is_loaded_beyond_eight_digits_too(run: Path) -> None:
    save(run, 99_999_999, 100_000_000)
    assert number_of(run) == 100_000_000
    assert checkpoints(run).steps() == [100_000_000, 99_999_999]


# --- which are kept ---


def test_the_last_ones_are_kept(run: Path) -> None:
    for step in range(1, 6):
        checkpoints(run, keep_last=3).save(step, new_state(step))
    assert checkpoints(run).steps() == [5, 4, 3]


def test_the_best_ones_are_kept_too_the_earlier_of_equals(run: Path) -> None:
    scores = {1: 5.0, 2: 9.0, 3: None, 4: 9.0, 5: 7.0, 6: 1.0, 7: None, 8: 2.0}
    for step, bleu in scores.items():
        checkpoints(run, keep_last=1, keep_best=2).save(step, new_state(step), bleu=bleu)
    assert checkpoints(run).steps() == [8, 4, 2]
    checkpoints(run, keep_last=1, keep_best=1).save(9, new_state(9))
    assert checkpoints(run).steps() == [9, 2]


def test_limits_that_were_raised_keep_more_from_then_on(run: Path) -> None:
    save(run, 1, 2, 3)
    checkpoints(run, keep_last=4).save(4, new_state(4))
    assert checkpoints(run).steps() == [4, 3, 2]


def test_checkpoints_of_a_future_that_was_given_up_go(run: Path) -> None:
    """Else a damaged one that was passed over would take the place of a sound one."""
    save(run, 10, 20)
    flip(run / "checkpoints/00000020" / TENSORS, -1)
    save(run, 15)
    assert checkpoints(run).steps() == [15, 10]


def test_nothing_but_checkpoints_is_dropped(run: Path) -> None:
    save(run, 1)
    for name in ("notes", "123", "00000001-copy"):
        (run / "checkpoints" / name).mkdir()
    save(run, 2, 3, 4)
    assert names_in(run) == ["00000001-copy", "00000003", "00000004", "123", "notes"]


# --- damage ---


@pytest.mark.parametrize("name", FILES)
def test_one_byte_changed_anywhere_is_detected_and_the_one_before_is_used(run: Path, name: str) -> None:
    save(run, 500, 1000)
    choose = random.Random(name)
    folder = run / "checkpoints/00001000"
    content = (folder / name).read_bytes()
    for offset in {0, len(content) - 1, *(choose.randrange(len(content)) for _ in range(FLIPS))}:
        flip(folder / name, offset, choose.randrange(1, 256))
        found = checkpoints(run)
        state = found.newest()
        assert state is not None and state.values["progress"]["step"] == 500
        [warning] = found.warnings
        assert warning.startswith(f"{folder}: damaged: ")
        assert warning.endswith("; going on from 00000500")
        (folder / name).write_bytes(content)
    assert number_of(run) == 1000


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_or_missing_is_detected(run: Path, name: str) -> None:
    save(run, 500, 1000)
    file = run / "checkpoints/00001000" / name
    content = file.read_bytes()
    for kept in (len(content) - 1, len(content) // 2, 10, 0):
        file.write_bytes(content[:kept])
        assert number_of(run) == 500
    file.unlink()
    assert number_of(run) == 500


def test_a_warning_says_what_is_wrong(run: Path) -> None:
    save(run, 500, 1000)
    flip(run / "checkpoints/00001000" / TENSORS, -1)
    found = checkpoints(run)
    found.newest()
    assert found.warnings == [
        f"{run}/checkpoints/00001000: damaged: state.safetensors's SHA-256 is not the one in manifest.json; "
        "going on from 00000500"
    ]
    shutil.rmtree(run / "checkpoints/00001000")
    found.newest()
    assert found.warnings == []


def test_where_all_are_damaged_each_is_told_and_what_to_do(run: Path) -> None:
    save(run, 500, 1000)
    flip(run / "checkpoints/00000500" / VALUES, 3)
    (run / "checkpoints/00001000" / MANIFEST).unlink()
    with pytest.raises(CheckpointError) as caught:
        checkpoints(run).newest()
    assert str(caught.value).split("\n") == [
        f"{run}/checkpoints/00001000: damaged: manifest.json is missing",
        f"{run}/checkpoints/00000500: damaged: state.json's SHA-256 is not the one in manifest.json",
        f"{run}/checkpoints: no checkpoint is sound; begin anew with --fresh",
    ]


def test_a_newer_format_is_refused_with_both_named_and_no_older_one_used(run: Path) -> None:
    save(run, 500)
    with mock.patch.object(checkpoint, "FORMAT", 2):
        save(run, 1000)
    with pytest.raises(CheckpointError, match=r"manifest\.json: written in format 2; nmt .* reads up to 1: update nmt"):
        checkpoints(run).newest()


@pytest.mark.parametrize("content", [b"[]", b"5", b"{}", b"\xff", b"[" * 100_000, b'{"files": 5}'])
def test_a_manifest_of_another_shape_is_damage(run: Path, content: bytes) -> None:
    save(run, 500, 1000)
    (run / "checkpoints/00001000" / MANIFEST).write_bytes(content)
    assert number_of(run) == 500


# --- malice ---


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, int]]:
        return os.mkdir, (str(self.path), 0o777)


@pytest.mark.parametrize("protocol", [0, 2, 5, "torch"])
def test_a_pickle_bomb_is_refused_and_not_executed_whoever_vouches_for_it(
    run: Path, tmp_path: Path, protocol: int | str
) -> None:
    save(run, 500)
    folder = run / "checkpoints/00000500"
    bomb = Bomb(tmp_path / "exploded")
    if protocol == "torch":
        torch.save(bomb, folder / TENSORS)
    else:
        (folder / TENSORS).write_bytes(pickle.dumps(bomb, protocol=int(protocol)))
    manifest = json.loads((folder / MANIFEST).read_bytes())
    del manifest["sha256"]
    manifest["files"][TENSORS] = checkpoint.sha256(folder / TENSORS)
    (folder / MANIFEST).write_bytes(checkpoint._sealed(manifest))
    with pytest.raises(CheckpointError, match=r"00000500: damaged: .*(?i:header)"):
        checkpoints(run).newest()
    assert not bomb.path.exists()
    pickle.loads(pickle.dumps(bomb))
    assert bomb.path.exists(), "the bomb itself works"


# --- kills and full disks ---


@contextmanager
def fault_at(number: int, fault: BaseException) -> Iterator[list[str]]:
    """The `number`th call that changes the disk, or waits for it, fails; yields the names of those before."""
    done: list[str] = []
    calls = {
        (Path, "mkdir"): Path.mkdir,
        (Path, "rename"): Path.rename,
        (Path, "write_bytes"): Path.write_bytes,
        (checkpoint, "save_file"): checkpoint.save_file,
        (checkpoint, "sync_file"): checkpoint.sync_file,
        (shutil, "rmtree"): shutil.rmtree,
    }

    def failing(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def call_or_fail(*arguments: Any, **options: Any) -> Any:
            if isinstance(fault, Killed) and len(done) >= number:
                raise fault  # nothing is done after a kill
            if name != "rmtree" or isinstance(fault, Killed):
                done.append(name)
                if len(done) > number:
                    raise fault
            return call(*arguments, **options)

        return call_or_fail

    with pytest.MonkeyPatch.context() as patch:
        for (owner, name), call in calls.items():
            patch.setattr(owner, name, failing(name, call))
        yield done


def stages(run: Path, step: int) -> int:
    """How many calls a save of `step` makes."""
    copy = Path(shutil.copytree(run, run.with_name("counted")))
    with fault_at(10_000, Killed()) as done:
        save(copy, step)
    shutil.rmtree(copy)
    return len(done)


@pytest.mark.parametrize("step", [1000, 500])
def test_a_kill_at_each_stage_leaves_the_old_state_or_the_new_and_the_next_save_cleans_up(run: Path, step: int) -> None:
    """A new step, and one that is there already."""
    save(run, 400, 500)
    state = new_state(7)
    found = set()
    for stage in range(stages(run, step)):
        copy = Path(shutil.copytree(run, run.with_name(f"stage{stage}")))
        with pytest.raises(Killed), fault_at(stage, Killed()):
            checkpoints(copy).save(step, state)
        reader = checkpoints(copy)
        number = number_of(copy)
        assert reader.newest() is not None and reader.warnings == []
        assert number in (500, 7)
        found.add(number)
        save(copy, 1500)
        assert names_in(copy) == [f"{step:08d}" if number == 7 else "00000500", "00001500"]
    assert found == {500, 7}


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_full_disk_or_a_signal_at_each_stage_leaves_all_that_was_there(run: Path, fault: BaseException) -> None:
    save(run, 400, 500)
    for stage in range(12):
        copy = Path(shutil.copytree(run, run.with_name(f"stage{stage}")))
        try:
            with fault_at(stage, fault):
                save(copy, 1000)
        except OutputError as error:
            assert str(error).startswith(f"{copy}/checkpoints/00001000: cannot be written: No space left on device; ")
            assert str(error).endswith("run the same command again to go on")
        except KeyboardInterrupt:
            assert isinstance(fault, KeyboardInterrupt)
        assert number_of(copy) in (500, 1000)
        assert not [name for name in names_in(copy) if name.endswith(".tmp") and not name.startswith(".00000400")]
        assert "00000500" in names_in(copy)


def test_a_checkpoint_has_its_name_only_when_all_of_it_is_on_the_disk(run: Path) -> None:
    with fault_at(10_000, Killed()) as done:
        save(run, 1)
    written = done[done.index("save_file") :]
    assert written[:9] == ["save_file", *["write_bytes"] * 2, *["sync_file"] * 4, "rename", "sync_file"]


def test_strays_are_no_checkpoints_and_go_with_the_next_save(run: Path) -> None:
    save(run, 5)
    stray = Path(shutil.copytree(run / "checkpoints/00000005", run / "checkpoints/.00000009.4711.tmp"))
    (stray / TENSORS).write_bytes(b"half")
    assert number_of(run) == 5
    save(run, 6)
    assert names_in(run) == ["00000005", "00000006"]


def test_saving_a_step_again_replaces_it(run: Path) -> None:
    save(run, 5)
    checkpoints(run).save(5, new_state(6))
    assert number_of(run) == 6
    assert names_in(run) == ["00000005"]


def test_the_newest_sound_one_can_be_asked_for_and_always_stays(run: Path) -> None:
    """What was saved in the middle of a divergence is only for going on there."""
    saved = checkpoints(run, keep_last=1)
    for step, sound in ((1, True), (2, True), (3, False), (4, False)):
        saved.save(step, new_state(step), sound=sound)
    assert saved.steps() == [4, 2]
    newest, back = saved.newest(), saved.newest(sound=True)
    assert newest is not None
    assert back is not None
    assert (float(newest.tensors["model.weight"][0, 0]), float(back.tensors["model.weight"][0, 0])) == (4.0, 2.0)
