"""`train.threads`: how many cores one process trains on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy_run import metrics, phrasebook, train, write_recipe

CLOCKS = ("tokens_per_second", "seconds", "elapsed_seconds")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe"), phrasebook(120))


@pytest.mark.parametrize(("threads", "told"), [(0, []), (1, [1]), (2, [2])])
def test_the_threads_of_a_recipe_are_those_of_torch(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int, told: list[int]
) -> None:
    """Before there is any work for them; 0 leaves them as they are."""
    found: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", found.append)
    train(recipe, tmp_path / "run", {"train.threads": threads, "data.train": "nowhere"}, code=1)
    assert found == told


def test_another_number_of_threads_changes_rounding_alone(recipe: Path, tmp_path: Path) -> None:
    keys: dict[str, object] = {"train.max_steps": 12, "train.validate_every": 12, "train.samples": 0}
    train(recipe, tmp_path / "one", keys)
    options = [f"--set={key}={value}" for key, value in (keys | {"train.threads": 2}).items()]
    subprocess.run(
        [sys.executable, "-m", "nmt", "train", str(recipe), "--run-dir", str(tmp_path / "two"), *options],
        env={**os.environ, "GOMP_SPINCOUNT": "0"},  # or two threads that are not let run at once wait for each other
        check=True,
        capture_output=True,
    )
    curves = [
        [
            {key: value for key, value in line.items() if key not in (*CLOCKS, "event")}
            for line in metrics(tmp_path / run)
        ]
        for run in ("one", "two")
    ]
    assert len(curves[0]) == 4
    for one, two in zip(*curves, strict=True):
        assert one == pytest.approx(two, rel=1e-4)
