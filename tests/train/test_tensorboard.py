"""Event files, read back with TensorBoard's own reader."""

import signal
import warnings
from pathlib import Path
from typing import Any

import pytest
from toy_run import metrics, phrasebook, signals_after, train, write_recipe

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of protobuf's, about itself
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """The steps and values of each scalar."""
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def wanted(run: Path) -> dict[str, list[tuple[int, Any]]]:
    """The same of metrics.jsonl."""
    found: dict[str, list[tuple[int, Any]]] = {}
    for line in metrics(run):
        for name, value in line.items():
            if name not in ("event", "step"):
                found.setdefault(f"{line['event']}/{name}", []).append((line["step"], pytest.approx(value, rel=1e-6)))
    return found


def test_event_files_hold_what_metrics_hold_also_of_a_run_that_went_on(tmp_path: Path) -> None:
    recipe, run = write_recipe(tmp_path, phrasebook(60)), tmp_path / "run"
    changes: dict[str, object] = {"train.tensorboard": "true", "train.max_steps": 20}
    with signals_after(13, signal.SIGINT):
        train(recipe, run, changes, code=130)
    train(recipe, run, changes)
    assert scalars(run) == wanted(run)


def test_no_event_files_are_written_unasked(tmp_path: Path) -> None:
    train(write_recipe(tmp_path, phrasebook(20)), tmp_path / "run", {"train.max_steps": 1})
    assert not (tmp_path / "run/tensorboard").exists()
