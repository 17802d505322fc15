"""What must hold before the first step: room on the disk for what will be written, the text that a run began with."""

import shutil
from pathlib import Path

from nmt.checkpoint import TrainingState
from nmt.errors import CheckpointError, OutputError
from nmt.model.build import AnyModel
from nmt.recipe import TrainSection
from nmt.run_dir import CHECKPOINTS
from nmt.train.prepare import Corpora


def check_room(run: Path, section: TrainSection, model: AnyModel) -> None:
    """Raises OutputError where the disk has no room for the checkpoints to come, one in the making, and a model."""
    moments = 1 if section.optimizer == "sgd" else 2
    weights_bytes = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    state_bytes = weights_bytes * (1 + moments + (section.ema_decay > 0))
    there_bytes = sum(file.stat().st_size for file in (run / CHECKPOINTS).rglob("*") if file.is_file())
    count = section.keep_last + section.keep_best
    wanted_bytes = (count + 1) * state_bytes + weights_bytes - there_bytes
    free_bytes = shutil.disk_usage(run).free
    if free_bytes < wanted_bytes:
        raise OutputError(
            f"{run}: its disk has {free_bytes / 1e6:,.1f} MB left, but this training wants "
            f"{wanted_bytes / 1e6:,.1f} MB: {count} checkpoints of {state_bytes / 1e6:,.1f} MB, one in the making, "
            "and the model; make room, name a folder on another disk with --run-dir, or keep fewer with "
            "train.keep_last and train.keep_best"
        )


def text_sums(corpora: Corpora) -> dict[str, str]:
    """SHA-256 of what decides the weights, as a training state keeps it: of each text, and how it was read."""
    return {"training": corpora.train.fingerprint, "validation": corpora.valid.fingerprint}


def check_text(run: Path, saved: TrainingState, corpora: Corpora) -> None:
    """Raises CheckpointError where the text is not what the run began with."""
    if saved.values["data"] == corpora.fingerprint:
        return
    known = saved.values.get("texts", {})  # states of nmt 0.1.0 have one sum of both texts
    names = {"training": corpora.train.sources, "validation": corpora.valid.sources}
    other = [
        f"{kind} text ({', '.join(names[kind])})"
        for kind, found in text_sums(corpora).items()
        if known.get(kind) != found
    ]
    raise CheckpointError(
        f"{run}: the {' or the '.join(other)} is not what this run began with, byte for byte (its SHA-256 differs; a "
        "file that was only packed anew is another, too): restore it, or begin anew with --fresh"
    )
