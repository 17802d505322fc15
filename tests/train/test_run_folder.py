"""Which run a folder holds: what may go on in it, and what is refused before any work."""

import os
import re
import shutil
import signal
from contextlib import nullcontext
from pathlib import Path

import pytest
from toy_run import (
    flip,
    killed_before_saving,
    metrics,
    nmt,
    phrasebook,
    signals_after,
    train,
    write_pairs,
    write_recipe,
)

from nmt.data.tokenizer import TokenizerPair
from nmt.train import run as run_module
from nmt.train.run import HARMLESS

PAIRS = phrasebook(60)
SHORT = {"train.max_steps": 6}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "text"
    folder.mkdir()
    return write_recipe(folder, PAIRS)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever begins to read text has begun to work."""

    def read(*_: object) -> None:
        raise AssertionError("work was begun")

    monkeypatch.setattr(run_module, "open_corpora", read)


@pytest.mark.parametrize("killed", [True, False])
def test_another_recipe_is_refused_with_each_key_and_both_values(recipe: Path, run: Path, killed: bool) -> None:
    """Whether the run has saved a state or was killed before it could."""
    with killed_before_saving() if killed else nullcontext():
        nmt("train", recipe, "--run-dir", run, "--set", "train.max_steps=6")
    before = (run / "recipe.toml").read_bytes()
    printed = train(recipe, run, {"train.max_steps": 7, "model.dropout": 0.3, "search.beam_size": 2}, code=2)
    assert f"{run} holds a run of another recipe:" in printed
    for line in (
        "train.max_steps: 6 there, 7 now",
        "model.dropout: 0.1 there, 0.3 now",
        "search.beam_size: 3 there, 2",
    ):
        assert line in printed
    assert "--fresh" in printed
    assert "--run-dir" in printed
    assert "learning_rate" not in printed
    assert (run / "recipe.toml").read_bytes() == before


def test_keys_that_change_no_weight_may_change(recipe: Path, run: Path) -> None:
    with signals_after(3, signal.SIGINT):
        train(recipe, run, SHORT, code=130)
    moved = recipe.parent.rename(recipe.parent.with_name("elsewhere")) / "other-name.toml"
    (moved.parent / recipe.name).rename(moved)
    harmless = {"train.samples": 0, "train.save_every": 3, "train.tensorboard": "false", "train.threads": 0}
    harmless |= {"train.keep_last": 5, "train.keep_best": 1, "train.accumulate": 2}
    assert {*harmless, "name", "data.folder"} == set(HARMLESS)
    assert "going on in" in train(moved, run, SHORT | harmless)


def test_a_run_under_way_takes_a_harmless_change_of_threads_without_other_weights(recipe: Path, run: Path) -> None:
    train(recipe, run, SHORT)
    train(recipe, run.with_name("saved-often"), SHORT | {"train.save_every": 1, "train.samples": 2})
    models = [(folder / "model.safetensors").read_bytes() for folder in (run, run.with_name("saved-often"))]
    assert models[0] == models[1]


@pytest.mark.parametrize("name", ["train", "valid"])
def test_changed_text_is_refused(recipe: Path, run: Path, name: str) -> None:
    with signals_after(3, signal.SIGINT):
        train(recipe, run, SHORT, code=130)
    file = recipe.parent / f"{name}.en"
    file.write_text(file.read_text().replace("i", "j", 1))
    printed = train(recipe, run, SHORT, code=1)
    kind = {"train": "training", "valid": "validation"}[name]
    shown = " + ".join(str(recipe.parent / f"{name}.{lang}") for lang in ("de", "en"))
    assert f"the {kind} text ({shown}) is not what this run began with, byte for byte" in printed
    assert "--fresh" in printed


def test_text_that_changed_before_anything_was_saved_is_learned_anew(recipe: Path, run: Path) -> None:
    """Tokenizer too: characters that only the new text has must get pieces."""
    with killed_before_saving():
        nmt("train", recipe, "--run-dir", run, "--set", "train.max_steps=6", "--set", "tokenizer.byte_fallback=false")
    write_pairs(recipe.parent, "train", [(f"ж {src}", tgt) for src, tgt in PAIRS])
    train(recipe, run, SHORT | {"tokenizer.byte_fallback": "false"})
    tokenizer = TokenizerPair.load(run / "tokenizer").src
    assert tokenizer.decode(tokenizer.encode("ж")) == "ж"


def test_fresh_begins_anew_and_keeps_every_run_of_before_beside_it(recipe: Path, run: Path) -> None:
    train(recipe, run, SHORT)
    first = (run / "model.safetensors").read_bytes()
    for number in (1, 2):
        result = nmt("train", recipe, "--run-dir", run, "--fresh", "--set", f"train.max_steps={number}")
        assert result.code == 0, result.err
        assert f"the run of before is kept in {run}.old{number}" in result.text
        assert metrics(run)[-1]["step"] == number
    assert (run.with_name("run.old1") / "model.safetensors").read_bytes() == first


def test_fresh_works_in_the_folder_one_stands_in(recipe: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(recipe, run, SHORT)
    monkeypatch.chdir(run)
    result = nmt("train", recipe, "--run-dir", ".", "--fresh", "--set", "train.max_steps=1")
    assert result.code == 0, result.err
    assert (run.with_name("run.old1") / "model.safetensors").exists()


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("fresh", [[], ["--fresh"]])
def test_a_folder_that_holds_other_things_is_refused_and_never_moved(recipe: Path, run: Path, fresh: list[str]) -> None:
    run.mkdir()
    (run / "thesis.doc").write_text("years of work")
    result = nmt("train", recipe, "--run-dir", run, *fresh)
    assert result.code == 1
    assert "a folder with other things in it" in result.err
    assert (run / "thesis.doc").read_text() == "years of work"


def test_what_a_kill_in_the_very_first_write_left_is_no_other_thing(recipe: Path, run: Path) -> None:
    run.mkdir()
    (run / ".recipe.toml.4711.tmp").write_text("[da")
    train(recipe, run, {"train.max_steps": 1})


@pytest.mark.usefixtures("no_work")
def test_a_run_folder_that_cannot_be_made_is_refused(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder, words in ((tmp_path / "file", "File exists"), (tmp_path / "file" / "run", "Not a directory")):
        result = nmt("train", recipe, "--run-dir", folder)
        assert (result.code, f"cannot be the run folder: {words}" in result.err) == (1, True)


@pytest.mark.usefixtures("no_work")
def test_a_run_folder_that_cannot_be_written_is_refused(
    recipe: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.mkdir(mode=0o500)
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK)  # root may write anywhere
    result = nmt("train", recipe, "--run-dir", run)
    assert result.code == 1
    assert re.search(r"cannot be written; name another folder with --run-dir", result.err)


def test_the_run_folder_is_runs_and_the_name_by_default(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert nmt("train", recipe, "--set", "train.max_steps=1").code == 0
    assert (tmp_path / "runs" / "toy" / "model.safetensors").exists()


def test_a_run_with_a_damaged_recipe_does_not_go_on(recipe: Path, run: Path) -> None:
    with signals_after(3, signal.SIGINT):
        train(recipe, run, SHORT, code=130)
    flip(run / "recipe.toml", 200)
    printed = train(recipe, run, SHORT, code=1)
    assert f"{run / 'recipe.toml'}: " in printed
    assert "put it back as it was, use another --run-dir, or --fresh to begin anew" in printed


def test_a_damaged_checkpoint_is_passed_over_to_the_same_end(recipe: Path, run: Path) -> None:
    whole = run.with_name("whole")
    train(recipe, whole, SHORT)
    with signals_after(4, signal.SIGINT):
        train(recipe, run, SHORT | {"train.save_every": 2}, code=130)
    flip(run / "checkpoints/00000004/state.safetensors", -1)
    printed = train(recipe, run, SHORT)
    assert "checkpoints/00000004: damaged: state.safetensors's SHA-256 is not the one in manifest.json;" in printed
    assert "; going on from 00000002" in printed
    assert "after step 2 of 6" in printed
    assert (run / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_damaged_lines_of_metrics_are_told_once_and_left_out(recipe: Path, run: Path) -> None:
    with signals_after(5, signal.SIGINT):
        train(recipe, run, SHORT | {"train.log_every": 1}, code=130)
    flip(run / "metrics.jsonl", 3)
    told = f"warning: {run / 'metrics.jsonl'}: 1 of its lines were damaged, and are left out"
    assert told in train(recipe, run, SHORT | {"train.log_every": 1})
    assert [line["step"] for line in metrics(run) if line["event"] == "train"] == [2, 3, 4, 5, 6]
    assert "warning" not in train(recipe, run, SHORT | {"train.log_every": 1}).replace(
        "warning: 20 source sentences", ""
    )


def test_a_run_whose_checkpoints_are_all_damaged_does_not_go_on(recipe: Path, run: Path) -> None:
    train(recipe, run, SHORT)
    for file in run.glob("checkpoints/*/state.json"):
        flip(file, 5)
    printed = train(recipe, run, SHORT, code=1)
    assert "no checkpoint is sound; begin anew with --fresh" in printed


def test_a_trained_model_without_checkpoints_is_never_trained_over(recipe: Path, run: Path) -> None:
    train(recipe, run, SHORT)
    shutil.rmtree(run / "checkpoints")
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file() and file.name != ".lock"}
    printed = train(recipe, run, SHORT, code=1)
    assert f"error: {run / 'model.safetensors'}: a trained model, but {run / 'checkpoints'} holds nothing" in printed
    assert "put the checkpoints back, use another --run-dir, or --fresh to begin anew" in printed
    assert {file: file.read_bytes() for file in before} == before
    assert nmt("train", recipe, "--run-dir", run, "--fresh", "--set", "train.max_steps=1").code == 0
    assert (run.with_name("run.old1") / "model.safetensors").read_bytes() == before[run / "model.safetensors"]


def test_what_kills_left_behind_is_cleared_and_never_becomes_part_of_the_model(recipe: Path, run: Path) -> None:
    """A copy of the run without its hidden files is then a whole one."""
    with signals_after(3, signal.SIGINT):
        train(recipe, run, SHORT, code=130)
    strays = [run / name for name in (".model.safetensors.99.tmp", "tokenizer/.joint.model.99.tmp")]
    for stray in strays:
        stray.write_bytes(b"half of it")
    train(recipe, run, SHORT)
    assert not any(stray.exists() for stray in strays)
    assert ".tmp" not in (run / "manifest.json").read_text()
