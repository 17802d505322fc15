"""The kill test: it finds a difference wherever one is, and a training that is killed makes none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import kill_test
import pytest
from click.testing import CliRunner
from toy_run import phrasebook, read, saved_state, train, write_recipe

from nmt.checkpoint import Checkpoints, TrainingState


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(write_recipe(folder, phrasebook(60)), folder / "run", {"train.max_steps": 2})
    return folder / "run"


def change_state(run: Path, key: str) -> None:
    state = saved_state(run)
    values = json.loads(json.dumps(state.values))
    tensors = dict(state.tensors)
    if key in tensors:
        tensors[key] = tensors[key].flip(0)
    else:
        values["progress"][key] = 77
    Checkpoints(run, keep_last=1).save(2, TrainingState(tensors, values))


def change_line(run: Path, key: str) -> None:
    path = run / "metrics.jsonl"
    [first, *others] = path.read_text().split("\n")
    path.write_text("\n".join([json.dumps(json.loads(first) | {key: 77}), *others]))


def change_scores(run: Path) -> None:
    path = run / "scores.json"
    path.write_text(path.read_text().replace('"score": ', '"score": 1'))


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (lambda run: None, []),
        (lambda run: change_line(run, "loss"), ["metrics.jsonl differs"]),
        (lambda run: change_line(run, "elapsed_seconds"), []),
        (lambda run: change_state(run, "rank.0.random"), ["rank.0.random differs in the last checkpoint"]),
        (lambda run: change_state(run, "lr_waited"), ["the values of the last checkpoints differ"]),
        (lambda run: change_state(run, "seconds"), []),
        (change_scores, ["scores.json differs"]),
        (lambda run: (run / "model.safetensors").write_bytes(b""), ["model.safetensors differs"]),
    ],
)
def test_what_differs_is_found_but_for_times(
    run: Path, tmp_path: Path, change: Callable[[Path], object], faults: list[str]
) -> None:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    change(other)
    assert kill_test.compare(run, other) == faults


def test_the_recipe_has_all_that_makes_going_on_hard(tmp_path: Path) -> None:
    recipe = read(kill_test.write_recipe(tmp_path, 40))
    assert 0 < recipe.train.warmup_steps < 40
    assert (recipe.train.schedule, recipe.train.accumulate > 1, recipe.train.ema_decay > 0) == ("plateau", True, True)
    assert recipe.train.sampled_softmax * recipe.train.sampled_share * recipe.model.dropout * recipe.model.word_dropout
    assert (len(recipe.data.train), recipe.data.temperature, recipe.tokenizer.sampling > 0) == (3, 3.0, True)
    sizes = [len((tmp_path / f"{name}.en").read_text().splitlines()) for name in recipe.data.train]
    assert len(set(sizes)) == 3


@pytest.mark.slow
def test_a_training_that_is_killed_eight_times_comes_to_the_same_end() -> None:
    result = CliRunner().invoke(kill_test.main, ["--kills", "8", "--seed", "3"])
    assert result.exit_code == 0, result.output
    assert "kills: 8 of 8: " in result.output
    assert " 0 damaged checkpoints" in result.output
    assert "the same to the last bit" in result.output
