"""The folder of a training: may it be used, and what stands in it."""

import os
from fnmatch import fnmatch
from itertools import count
from pathlib import Path

from nmt.checkpoint import Checkpoints
from nmt.errors import OutputError
from nmt.run_dir import LOCK, RECIPE, TEMPORARY


def what_is_left(run: Path) -> str:
    """Words for whoever stopped a training at a moment at which it could not save."""
    steps = Checkpoints(run, keep_last=1).steps()
    if not steps:
        return "nothing was saved yet: run the same command again to begin"
    return f"{run} goes on after step {steps[0]}: run the same command again, without --fresh"


def move_aside(run: Path) -> Path:
    """Rename a run folder and put an empty one in its place; the new name of the old one."""
    names = (run.with_name(f"{run.name}.old{number}") for number in count(1))
    aside = next(path for path in names if not path.exists())
    try:
        run.rename(aside)
        run.mkdir()
    except OSError as error:
        raise OutputError(
            f"{run}: cannot be moved aside to {aside}: {error.strerror}; name another folder with --run-dir"
        ) from error
    return aside


def check_folder(run: Path) -> None:
    """Make the run folder, and refuse one that cannot be written or holds something else than a run."""
    try:
        run.mkdir(parents=True, exist_ok=True)
        names = {file.name for file in run.iterdir() if not fnmatch(file.name, TEMPORARY)} - {LOCK}
    except OSError as error:
        raise OutputError(f"{run}: cannot be the run folder: {error.strerror}") from error
    if names and RECIPE not in names:
        raise OutputError(f"{run}: a folder with other things in it; name an empty or a new one with --run-dir")
    if not os.access(run, os.W_OK):
        raise OutputError(f"{run}: cannot be written; name another folder with --run-dir")
