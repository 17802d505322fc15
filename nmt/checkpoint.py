"""Checkpoints: numbered folders, each with the whole state of a training after a step. Never pickle.

RUN/checkpoints/00000500/
    state.safetensors    weights, optimizer, random states
    state.json           plain values: the position, and the validation of this very step
    manifest.json        SHA-256 of both and of itself; format; version of nmt

A kill or a full disk at any moment harms no checkpoint of before: a folder gets its name when all of it is on the disk.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nmt.errors import CheckpointError, OutputError
from nmt.run_dir import CHECKPOINTS, TEMPORARY, check_format, sha256, sync_file

FORMAT = 1  # of a checkpoint; a reader refuses a newer one
TENSORS, VALUES, MANIFEST = "state.safetensors", "state.json", "manifest.json"
_BEFORE = ".before"  # ends the name of a checkpoint that another one of its step replaces


@dataclass(frozen=True)
class TrainingState:
    """Everything a training needs to go on: tensors by name, and the rest as JSON values."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run folder, which has one writer; any number may read."""

    def __init__(self, run: Path, *, keep_last: int, keep_best: int = 0) -> None:
        """`keep_last` of the newest are kept, and `keep_best` of those with the best validation."""
        self.folder = run / CHECKPOINTS
        self.warnings: list[str] = []  # of the last `newest`: which ones it passed over, and why
        self._keep_last = keep_last
        self._keep_best = keep_best

    def save(self, step: int, state: TrainingState, *, bleu: float | None = None, sound: bool = True) -> None:
        """Store the state after `step`, then drop what no limit keeps; `bleu` is of a validation after this very step.

        One that is not `sound` is no place to go back to; the newest that is always stays.

        Checkpoints of later steps go too: that future was given up. Raises OutputError where the disk is full or the
        like; every checkpoint of before is then still there.
        """
        name = f"{step:08d}"
        with _told(self.folder / name):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._tidy()
            temporary = self.folder / f".{name}.{os.getpid()}.tmp"
            try:
                _write(temporary, state, bleu, sound=sound)
                self._publish(temporary, self.folder / name)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            self._drop(step)

    def newest(self, *, sound: bool = False) -> TrainingState | None:
        """The newest state that is not damaged, or None; `warnings` has a line for each that was passed over.

        `sound`: only of those that were saved as such.

        Raises CheckpointError where none is sound, or where the newest comes from a newer nmt.
        """
        self.warnings = []
        faults: list[str] = []
        for step, folder in self._found():
            if sound and not _stored(folder, "sound"):
                continue
            try:
                state = _read(folder)
            except _DamagedError as fault:
                faults.append(f"{folder}: damaged: {fault}")
                continue
            self.warnings = [f"{fault}; going on from {step:08d}" for fault in faults]
            return state
        if faults:
            raise CheckpointError(
                "\n".join([*faults, f"{self.folder}: no checkpoint is sound; begin anew with --fresh"])
            )
        return None

    def steps(self) -> list[int]:
        """The steps there are checkpoints of, the newest first, sound or not."""
        return [step for step, _ in self._found()]

    def _found(self) -> list[tuple[int, Path]]:
        """Steps and folders, the newest first; a kill in the middle of a replacement may have left only the old one."""
        names = {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set()
        either: dict[int, str] = {}
        for name in sorted(names):  # "." sorts before the digits: the new one of a step wins
            step = name.removeprefix(".").removesuffix(_BEFORE)
            if step.isdecimal() and name in (f"{int(step):08d}", f".{int(step):08d}{_BEFORE}"):
                either[int(step)] = name
        return [(step, self.folder / either[step]) for step in sorted(either, reverse=True)]

    def _tidy(self) -> None:
        """Put right what kills left behind."""
        for stray in self.folder.glob(TEMPORARY):
            shutil.rmtree(stray, ignore_errors=True)
        for before in self.folder.glob(f".*{_BEFORE}"):
            path = self.folder / before.name.removeprefix(".").removesuffix(_BEFORE)
            if path.exists():
                shutil.rmtree(before)
            else:
                before.rename(path)

    def _publish(self, temporary: Path, path: Path) -> None:
        """Give a checkpoint its name; where there is one of this step already, one of both is found at every moment."""
        before = path.with_name(f".{path.name}{_BEFORE}")
        if path.exists():
            path.rename(before)
        temporary.rename(path)
        sync_file(self.folder)
        if before.exists():
            shutil.rmtree(before)

    def _drop(self, step: int) -> None:
        """Remove what comes after `step`, and what neither limit keeps."""
        steps = [found for found in self.steps() if found <= step]
        scores = {found: float(bleu) for found in steps if (bleu := _stored(self._path(found), "bleu")) is not None}
        best = sorted(scores, key=lambda found: (-scores[found], found))[: self._keep_best]
        sound = next((found for found in steps if _stored(self._path(found), "sound")), step)
        kept = {*steps[: self._keep_last], *best, sound}
        for found in self.steps():
            if found not in kept:
                doomed = self.folder / f".{found:08d}.{os.getpid()}.tmp"  # half a checkpoint must not look like one
                self._path(found).rename(doomed)
                shutil.rmtree(doomed)

    def _path(self, step: int) -> Path:
        return self.folder / f"{step:08d}"


class _DamagedError(Exception):
    """What is wrong with a checkpoint."""


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say what could not be written, and how to go on."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error  # safetensors has it in its own words
        raise OutputError(
            f"{path}: cannot be written: {reason}; the checkpoints of before are unharmed: "
            "mend that, and run the same command again to go on"
        ) from error


def _write(folder: Path, state: TrainingState, bleu: float | None, *, sound: bool) -> None:
    """Write and sync a whole checkpoint."""
    folder.mkdir()
    tensors = {name: tensor.contiguous().cpu() for name, tensor in state.tensors.items()}
    save_file(tensors, folder / TENSORS)
    values = {"format": FORMAT, "bleu": bleu, "sound": sound, "values": state.values}
    (folder / VALUES).write_bytes((json.dumps(values, indent=1) + "\n").encode("utf-8"))
    manifest = {
        "format": FORMAT,
        "nmt": version("nmt"),
        "files": {name: sha256(folder / name) for name in (TENSORS, VALUES)},
    }
    (folder / MANIFEST).write_bytes(_sealed(manifest))
    for name in (TENSORS, VALUES, MANIFEST):
        sync_file(folder / name)
    sync_file(folder)


def _sealed(manifest: dict[str, Any]) -> bytes:
    """A manifest with its own SHA-256, as the bytes of its file."""
    seal = hashlib.sha256(json.dumps(manifest).encode("utf-8")).hexdigest()
    return (json.dumps({**manifest, "sha256": seal}, indent=1) + "\n").encode("utf-8")


def _read(folder: Path) -> TrainingState:
    """Check and load one. Raises _DamagedError, and CheckpointError where it comes from a newer nmt."""
    try:
        manifest = _manifest(folder)
        check_format(folder / MANIFEST, manifest.get("format"), readable=FORMAT)
        for name in (TENSORS, VALUES):
            if sha256(folder / name) != manifest["files"].get(name):
                raise _DamagedError(f"{name}'s SHA-256 is not the one in {MANIFEST}")
        values = json.loads((folder / VALUES).read_bytes())["values"]
        with safe_open(folder / TENSORS, framework="pt") as stored:
            # A copy of its own: memory that is mapped may be gone with the file, and lies where it lies, not where
            # torch would put it, on which the last bit of a product can depend.
            tensors = {name: stored.get_tensor(name).clone() for name in stored.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _DamagedError(str(getattr(error, "strerror", None) or error)) from error
    return TrainingState(tensors, values)


def _manifest(folder: Path) -> dict[str, Any]:
    if missing := [name for name in (MANIFEST, TENSORS, VALUES) if not (folder / name).is_file()]:
        raise _DamagedError(f"{missing[0]} is missing")
    content = (folder / MANIFEST).read_bytes()
    manifest = dict(json.loads(content))
    manifest.pop("sha256", None)
    if content != _sealed(manifest):
        raise _DamagedError(f"{MANIFEST} does not have its own SHA-256")
    return manifest


def _stored(folder: Path, name: str) -> Any:
    """What a checkpoint says of itself; None where it cannot be read."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return json.loads((folder / VALUES).read_bytes())[name]
    return None
