"""A training from a recipe to a run folder: what it leaves, that it repeats, and that it goes on where it stopped."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_run import (
    killed_after,
    killed_before_saving,
    metrics,
    nmt,
    phrasebook,
    saved_state,
    signals_after,
    train,
    write_recipe,
)

from nmt.loading import load
from nmt.recipe import TrainSection
from nmt.run_dir import load_model
from nmt.train.loop import TrainingLoop
from nmt.train.run import TrainingRun
from nmt.train.trainer import Trainer

TIMING = ("tokens_per_second", "seconds", "elapsed_seconds")
TRAIN_FIELDS = [
    "event",
    "step",
    "epoch",
    "loss",
    "ppl",
    "learning_rate",
    "gradient_norm",
    "tokens",
    "tokens_per_second",
    "elapsed_seconds",
]
VALID_FIELDS = ["event", "step", "bleu", "ppl", "best_bleu", "seconds", "elapsed_seconds"]

KINDS: dict[str, dict[str, object]] = {
    "adam, average, locked dropout": {"train.ema_decay": 0.9},
    "adamw, unigram sampling, plateau, batches in pieces": {
        "train.accumulate": 3,
        "train.optimizer": "adamw",
        "train.weight_decay": 0.01,
        "train.schedule": "plateau",
        "train.plateau_patience": 1,
        "tokenizer.sampling": 0.2,
    },
    "sgd, BPE-dropout, plain dropout": {
        "train.optimizer": "sgd",
        "train.learning_rate": 0.2,
        "tokenizer.kind": "bpe",
        "tokenizer.sampling": 0.1,
        "model.dropout_kind": "plain",
        "train.schedule": "cosine",
    },
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe"), phrasebook(120))


def all_but_time(run: Path) -> dict[str, Any]:
    """All that a run folder holds, less what a clock put there: two runs are the same when these are."""
    state = saved_state(run)
    progress = state.values["progress"]
    totals = {name: value for name, value in progress["totals"].items() if name != "seconds"}
    rows = json.loads((run / "scores.json").read_bytes()) if (run / "scores.json").exists() else []
    return {
        "model": (run / "model.safetensors").read_bytes(),
        "tensors": {name: tensor.tolist() for name, tensor in state.tensors.items()},
        "values": state.values | {"progress": progress | {"totals": totals, "seconds": None}, "max_minutes": None},
        "metrics": [{k: v for k, v in line.items() if k not in TIMING} for line in metrics(run)],
        "hypotheses": {file.name: file.read_bytes() for file in (run / "hypotheses").iterdir()},
        "scores": [{k: v for k, v in row.items() if k not in TIMING} for row in rows],
    }


@pytest.fixture(scope="module")
def uninterrupted(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("uninterrupted") / "run"
    train(recipe, run)
    return run


def test_a_run_leaves_what_the_readme_says(uninterrupted: Path, recipe: Path) -> None:
    found = {file.relative_to(uninterrupted).as_posix() for file in uninterrupted.rglob("*") if file.is_file()}
    tests = {f"hypotheses/test.{end}" for end in ("src.de", "hyp.en", "ref.en")}
    files = {".lock", "recipe.toml", "manifest.json", "model.safetensors", "metrics.jsonl", "scores.json"}
    files |= {"shortlist.safetensors"}
    files |= {"hypotheses/valid.hyp.en", "tokenizer/joint.model", "tokenizer/tokenizer.json"}
    in_checkpoint = ("state.safetensors", "state.json", "manifest.json")
    checkpoints = {f"checkpoints/000000{step}/{file}" for step in (30, 40) for file in in_checkpoint}
    assert found == tests | files | checkpoints


def test_the_lines_of_metrics_have_the_documented_fields_step_by_step(uninterrupted: Path) -> None:
    lines = metrics(uninterrupted)
    assert [list(line) for line in lines if line["event"] == "train"] == [TRAIN_FIELDS] * 10
    assert [list(line) for line in lines if line["event"] == "valid"] == [VALID_FIELDS] * 4
    assert [line["step"] for line in lines if line["event"] == "train"] == list(range(4, 41, 4))
    assert [line["step"] for line in lines if line["event"] == "valid"] == [10, 20, 30, 40]
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    assert lines[-2]["loss"] < lines[0]["loss"]


def test_the_same_recipe_and_seed_give_the_same_run_bit_for_bit(
    recipe: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    train(recipe, tmp_path / "again")
    assert all_but_time(tmp_path / "again") == all_but_time(uninterrupted)


def test_another_seed_gives_another_model(recipe: Path, uninterrupted: Path, tmp_path: Path) -> None:
    train(recipe, tmp_path / "run", {"train.seed": 2})
    assert (tmp_path / "run/model.safetensors").read_bytes() != (uninterrupted / "model.safetensors").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_stopped_after_17_of_40_steps_goes_on_to_the_same_end_bit_for_bit(
    recipe: Path, tmp_path: Path, kind: str
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(recipe, whole, KINDS[kind])
    with signals_after(17, signal.SIGINT):
        train(recipe, parts, KINDS[kind], code=130)
    state = saved_state(parts)
    assert Trainer.saved_progress(state).step == 17
    assert state.values["progress"]["position"]["batch"] > 0  # in the middle of an epoch
    assert state.values["progress"]["totals"]["steps"] == 1  # and between two reports
    assert "going on in" in train(recipe, parts, KINDS[kind])
    assert all_but_time(parts) == all_but_time(whole)


def test_the_kinds_do_what_their_names_say(recipe: Path, tmp_path: Path) -> None:
    """Else going on would be compared without the very thing that makes it hard."""
    train(recipe, tmp_path / "run", KINDS["adamw, unigram sampling, plateau, batches in pieces"])
    rates = [line["learning_rate"] for line in metrics(tmp_path / "run") if line["event"] == "train"]
    assert rates[-1] < max(rates)  # a plateau was met
    state = saved_state(tmp_path / "run")
    assert state.values["progress"]["position"]["epoch"] > 1  # text was cut anew


@pytest.mark.parametrize("step", [3, 23, 39])
def test_a_run_killed_at_any_step_goes_on_to_the_same_end_bit_for_bit(
    recipe: Path, uninterrupted: Path, tmp_path: Path, step: int
) -> None:
    """Killed before the first saving after a step too, and between a validation and the next saving."""
    with killed_after(step):
        nmt("train", recipe, "--run-dir", tmp_path / "run")
    train(recipe, tmp_path / "run")
    assert all_but_time(tmp_path / "run") == all_but_time(uninterrupted)


def test_a_run_killed_before_its_first_saving_leaves_nothing_old_behind(recipe: Path, tmp_path: Path) -> None:
    """The tokenizer of a killed run may be cut short: the next one trains its own."""
    with killed_before_saving():
        nmt("train", recipe, "--run-dir", tmp_path / "run")
    (tmp_path / "run/tokenizer/joint.model").write_bytes(b"cut sho")
    (tmp_path / "run/.model.safetensors.123.tmp").write_bytes(b"cut sho")
    train(recipe, tmp_path / "run")
    assert load(tmp_path / "run").translate(["Er kommt."])


def test_a_finished_run_is_only_scored_again(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(recipe, tmp_path / "run", {"train.max_steps": 5})
    before = all_but_time(tmp_path / "run")
    (tmp_path / "run/scores.json").unlink()

    def update(self: Trainer) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr(Trainer, "update", update)
    printed = train(recipe, tmp_path / "run", {"train.max_steps": 5})
    assert "after step 5 of 5" in printed
    assert "test: BLEU = " in printed
    assert all_but_time(tmp_path / "run") == before


def test_a_time_limit_is_turned_into_steps_once_and_then_changes_nothing(recipe: Path, tmp_path: Path) -> None:
    timed, counted = tmp_path / "timed", tmp_path / "counted"
    printed = train(recipe, timed, {"train.max_minutes": 0.02, "tokenizer.sampling": 0.1})
    stored = (timed / "recipe.toml").read_text()
    assert "max_minutes = 0.0" in stored
    [steps] = re.findall(r"(?m)^max_steps = (\d+)$", stored)
    assert f"train.max_steps = {steps}" in printed
    train(recipe, counted, {"train.max_steps": steps, "tokenizer.sampling": 0.1})
    assert all_but_time(counted) == all_but_time(timed)
    again = train(recipe, timed, {"train.max_minutes": 0.02, "tokenizer.sampling": 0.1})  # the same command again
    assert f"after step {steps} of {steps}" in again
    other = train(recipe, timed, {"train.max_minutes": 5, "tokenizer.sampling": 0.1}, code=2)
    assert "train.max_minutes" in other


def test_a_time_limit_survives_a_kill_before_anything_was_saved(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The speed is measured anew, and then the same command goes on again and again."""
    keys = {"train.max_minutes": 0.02}
    with monkeypatch.context() as patch, pytest.raises(KilledBeforeError):
        patch.setattr(TrainingLoop, "run_to_the_end", _killed)
        train(recipe, tmp_path / "run", keys)
    assert (tmp_path / "run/recipe.toml").exists()
    for _ in range(2):
        assert "test: BLEU = " in train(recipe, tmp_path / "run", keys)


class KilledBeforeError(BaseException):
    """Stands for a SIGKILL."""


def _killed(_: object) -> None:
    raise KilledBeforeError


def test_the_time_of_a_step_is_that_of_both_losses_by_their_shares(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seconds(self: TrainingRun, section: TrainSection, *_: object) -> float:
        return 0.1 if section.sampled_softmax > 0 else 0.3

    monkeypatch.setattr(TrainingRun, "_seconds_per_step", seconds)
    limit = {"train.max_minutes": 0.5}  # of which 27 seconds are for training, less what passed before
    sampled = {"train.sampled_softmax": 50, "train.sampled_share": 0.75}
    for changes, seconds_per_step in (({}, 0.3), (sampled, 0.75 * 0.1 + 0.25 * 0.3)):
        printed = train(recipe, tmp_path / str(seconds_per_step), limit | changes)
        [steps] = map(int, re.findall(r"train\.max_steps = (\d+)", printed))
        assert 0.6 < steps * seconds_per_step / 27 <= 1.0


def test_the_model_kept_is_the_one_that_validated_best(recipe: Path, tmp_path: Path) -> None:
    """A learning rate that jumps up after the best validation spoils the weights, but not the model that is kept."""
    run = tmp_path / "run"
    rates = {120: 100.0}  # from step 120 on
    update = Trainer.update

    def spoiled(self: Trainer) -> object:
        if self.progress.step in rates:
            self.rate.factor = rates[self.progress.step]
        return update(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "update", spoiled)
        train(recipe, run, {"train.max_steps": 130, "train.clip_norm": 0, "train.schedule": "constant"})
    found = {line["step"]: line["bleu"] for line in metrics(run) if line["event"] == "valid"}
    best = max(found, key=lambda step: found[step])
    assert found[best] > found[130]
    state = saved_state(run)
    assert state.values["progress"]["best_step"] == best
    kept, last = load_model(run).model.weights(), {k.removeprefix("model."): v for k, v in state.tensors.items()}
    assert not all(torch.equal(tensor, last[name]) for name, tensor in kept.items())
    own = ["--src", recipe.parent / "valid.de", "--ref", recipe.parent / "valid.en", "--name", "own", "--beam-size", 1]
    assert f"own: BLEU = {found[best]:.2f}" in nmt("evaluate", run, *own).text


def test_patience_ends_training_and_the_end_stays_the_end(recipe: Path, tmp_path: Path) -> None:
    changes: dict[str, object] = {
        "train.patience": 2, "train.validate_every": 3, "train.learning_rate": 1e-9, "train.samples": 0,
    }  # fmt: skip
    train(recipe, tmp_path / "run", changes)
    valid = [line for line in metrics(tmp_path / "run") if line["event"] == "valid"]
    assert [line["step"] for line in valid] == [3, 6, 9]
    assert "after step 9 of 40" in train(recipe, tmp_path / "run", changes)
    assert [line for line in metrics(tmp_path / "run") if line["event"] == "valid"] == valid
