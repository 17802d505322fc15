"""What an exported folder holds, and that it translates as its run does."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from toy_run import TinyRun, flip

from nmt.engine.shortlist import Shortlist
from nmt.errors import CheckpointError, OutputError
from nmt.export import export
from nmt.loading import load
from nmt.recipe_file import load_resolved
from nmt.run_dir import load_model, save_model, save_shortlist, sha256
from nmt.search_file import save_search


@pytest.fixture
def run(tiny: TinyRun, tmp_path: Path) -> Path:
    """A copy of the tiny run, with a shortlist."""
    run = Path(shutil.copytree(tiny.run, tmp_path / "run"))
    size = load(run).tokenizers.src.vocab_size
    shortlist = Shortlist(torch.randint(4, size, (size, 5)), torch.arange(3, 40))
    save_shortlist(run, shortlist.to_bytes())
    return run


def files_in(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("shortlist", [False, True])
def test_an_exported_folder_translates_as_its_run(tiny: TinyRun, run: Path, tmp_path: Path, shortlist: bool) -> None:
    out = export(run, tmp_path / "deep" / "out")
    wanted = load(run, shortlist=shortlist).translate(tiny.sources[:30])
    assert load(out, shortlist=shortlist).translate(tiny.sources[:30]) == wanted


def test_it_holds_all_that_translating_needs_under_a_manifest_and_nothing_of_training(
    run: Path, tmp_path: Path
) -> None:
    out = export(run, tmp_path / "out")
    tokenizer = ["tokenizer/joint.model", "tokenizer/tokenizer.json"]
    wanted = ["README.md", "config.json", "manifest.json", "model.safetensors", "recipe.toml", "shortlist.safetensors"]
    assert files_in(out) == wanted + tokenizer
    listed = json.loads((out / "manifest.json").read_text())["files"]
    assert listed == {name: sha256(out / name) for name in files_in(out) if name != "manifest.json"}
    weights = load_file(out / "model.safetensors")
    assert sum(tensor.numel() for tensor in weights.values()) == sum(
        tensor.numel()
        for tensor in load(run, engine="exact").model.weights().values()  # type: ignore[attr-defined]
    )


def test_its_recipe_names_no_folder_of_this_machine(tiny: TinyRun, run: Path, tmp_path: Path) -> None:
    assert str(tiny.recipe.parent) in (run / "recipe.toml").read_text()
    out = export(run, tmp_path / "out")
    assert "/" not in (out / "recipe.toml").read_text()
    assert load_resolved(out / "recipe.toml").data.train == ("train",)


def test_a_search_that_was_tuned_is_that_of_the_export(tiny: TinyRun, run: Path, tmp_path: Path) -> None:
    save_search(run, {"beam_size": 2, "length_penalty": "none"})
    out = export(run, tmp_path / "out")
    assert load(out).search == load(run).search
    assert load(out).search != load(tiny.run).search


def test_the_config_says_what_the_model_is(run: Path, tmp_path: Path) -> None:
    found = json.loads((export(run, tmp_path / "out") / "config.json").read_text())
    assert (found["src_lang"], found["tgt_lang"], found["format"]) == ("de", "en", 1)
    assert found["model"]["decoder_dim"] == 48
    assert found["tokenizer"]["vocab_size"] == 360


def test_the_model_card_shows_each_score_of_the_run_with_its_signature(run: Path, tmp_path: Path) -> None:
    rows = json.loads((run / "scores.json").read_text())
    card = (export(run, tmp_path / "out") / "README.md").read_text()
    assert "de to en" in card
    assert len(rows) == 2
    for row in rows:
        assert f"| {row['test_set']} | {row['metric']} | {row['score']:.2f} |" in card
        assert f"`{row['signature']}`" in card
    (run / "scores.json").unlink()
    assert "Not measured: `nmt evaluate` scores it." in (export(run, tmp_path / "other") / "README.md").read_text()


@pytest.mark.parametrize("file", ["README.md", "config.json", "model.safetensors", "shortlist.safetensors"])
def test_what_was_changed_afterwards_is_refused_by_name(run: Path, tmp_path: Path, file: str) -> None:
    out = export(run, tmp_path / "out")
    flip(out / file, 10)
    with pytest.raises(CheckpointError, match=f"{file}: damaged: its SHA-256"):
        load(out)


def test_an_export_over_an_earlier_one_replaces_it(run: Path, tmp_path: Path) -> None:
    out = export(run, tmp_path / "out")
    weights = load_model(run).model.weights()
    (run / "shortlist.safetensors").unlink()
    save_model(run, weights)  # which lists what is there
    export(run, out)
    assert "shortlist.safetensors" not in files_in(out)
    load(out)


def test_a_folder_with_anything_else_in_it_is_left_alone(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "tokenizer").mkdir(parents=True)
    (out / "tokenizer" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"out: holds tokenizer/mine\.txt, which is no part of an export; name a new"):
        export(run, out)
    assert files_in(out) == ["tokenizer/mine.txt"]
    with pytest.raises(OutputError, match=r"mine\.txt: is a file; name a folder"):
        export(run, out / "tokenizer" / "mine.txt")


def test_a_run_cannot_be_exported_into_itself(run: Path) -> None:
    before = files_in(run)
    with pytest.raises(OutputError, match="which is no part of an export"):
        export(run, run)
    assert files_in(run) == before


def test_scores_that_cannot_be_read_are_a_fault(run: Path, tmp_path: Path) -> None:
    (run / "scores.json").write_text('[{"test_set": "x"}]')
    with pytest.raises(CheckpointError, match=r"scores\.json: damaged: 'metric'; `nmt evaluate"):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()
