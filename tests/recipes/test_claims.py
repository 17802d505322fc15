"""recipes/claims: the task is what it says, what is measured is not measured again, the page is its results' alone."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import run as program
import torch
from click.testing import CliRunner
from measure import gradients, plots, recall, translate, verdicts
from measure.gradients import decay, norms_through_time
from measure.markdown import MISSING
from measure.page import write_page
from measure.recall import QUICK, Plan, Variant, recall_recipe
from measure.store import Identity, Store, digest
from measure.task import CHANCE, TEST_SEED, Learner, Sequences, new_model
from PIL import Image
from torch import nn

from nmt.model.layers import RecurrentLayer
from nmt.model.seq2seq import Seq2Seq
from nmt.recipe_file import load_recipe

CLAIMS = Path(__file__).parents[2] / "recipes" / "claims"
RECIPES = sorted(CLAIMS.glob("*.toml"))
PLOTS = ("recall", "distance", "reading", "convergence", "reversal", "gradients", "clipping")


def nothing(text: str) -> None:
    """Hears of progress."""


def tiny(seed: int = 1, *overrides: str) -> Seq2Seq:
    section = recall_recipe(*QUICK.overrides, *overrides).model
    return new_model(section, initialisation="library", seed=seed)


# --- the task ---


def test_the_target_is_the_first_symbol_and_nothing_but_its_place_marks_it() -> None:
    batch = Sequences(1).batch(500, 6)
    assert batch.src.shape == (500, 7)
    assert torch.equal(batch.tgt_out[:, 0], batch.src[:, 0])
    assert torch.equal(batch.tgt_in[:, 1], batch.src[:, 0])
    assert set(batch.src[:, 0].tolist()) == set(batch.src[:, 1:].flatten().tolist())
    others = (batch.src[:, 1:] == batch.src[:, :1]).float().mean()
    assert abs(float(others) - CHANCE) < 0.03  # what comes after says nothing of the first


def test_sequences_are_seeded_and_always_fresh() -> None:
    one, same, other = Sequences(1), Sequences(1), Sequences(1 + TEST_SEED)
    first = one.batch(20, 5).src
    assert torch.equal(first, same.batch(20, 5).src)
    assert not torch.equal(first, one.batch(20, 5).src)
    assert not torch.equal(first, other.batch(20, 5).src)


def test_every_other_batch_is_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []
    batch = Sequences.batch

    def noting(self: Sequences, size: int, steps: int) -> object:
        lengths.append(steps)
        return batch(self, size, steps)

    monkeypatch.setattr(Sequences, "batch", noting)
    learner = Learner(tiny(), recall_recipe(*QUICK.overrides).train, 30, seed=1)
    for _ in range(20):
        learner.update()
    assert set(lengths[::2]) == {30}
    assert len(set(lengths[1::2])) > 5


def test_what_can_be_learned_is_learned() -> None:
    recipe = recall_recipe("model.cell=gru", "model.encoder_dim=32", "model.decoder_dim=32", "train.max_steps=400")
    model = new_model(recipe.model, initialisation="library", seed=1)
    found = recall.learn(Learner(model, recipe.train, 2, seed=1))
    assert found["recall"] > 0.95
    assert found["updates_to_90"] < found["updates"] < 400  # it stops as soon as it can


# --- gradients ---


def recurrent_weights(model: Seq2Seq) -> nn.Parameter:
    layer = next(module for module in model.encoder.modules() if isinstance(module, RecurrentLayer))
    weights: nn.Parameter = layer.fused.all_weights[0][1]
    return weights


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
def test_where_nothing_saturates_a_gradient_is_scaled_by_the_recurrent_weights(factor: float) -> None:
    model = tiny(1, "model.cell=rnn")
    with torch.no_grad():
        model.encoder.embedder.embedding.weight.zero_()  # so that the state stays 0, where tanh has slope 1
        recurrent_weights(model).mul_(factor)  # of an orthogonal matrix
        model.output.weight = nn.Parameter(torch.randn(model.output.weight.shape))  # it was tied to the embeddings
    norms = norms_through_time(model, 20, seed=1)
    assert len(norms) == 21
    assert norms[20] / norms[0] == pytest.approx(factor**20, rel=1e-4)
    assert decay(norms)["factor"] == pytest.approx(factor, rel=1e-4)


# --- what is measured already ---


def test_nothing_is_measured_twice_unless_its_settings_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[tuple[int, int]] = []

    def learn(learner: Learner) -> dict[str, object]:
        measured.append((learner.steps, learner.section.max_steps))
        return {"recall": 1.0}

    monkeypatch.setattr(recall, "learn", learn)
    store = Store(tmp_path / "recall.jsonl")
    recall.measure(store, Plan(lengths=(2,), seeds=(1,)), ["rnn"], nothing)
    recall.measure(store, Plan(lengths=(2, 4), seeds=(1,)), ["rnn"], nothing)
    assert measured == [(2, 1500), (4, 1500)]
    recall.measure(store, Plan(lengths=(2,), seeds=(1,), overrides=("train.max_steps=7",)), ["rnn"], nothing)
    assert measured[2:] == [(2, 7)]
    assert len(store.rows()) == 2  # the latest of each


def test_longer_ones_are_given_up_after_two_failures_of_the_same_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recall, "learn", lambda learner: {"recall": 1.0 if learner.seed == 2 else 0.13})
    monkeypatch.setattr(recall, "VARIANTS", {"rnn": Variant("simple RNN")})
    store = Store(tmp_path / "recall.jsonl")
    recall.measure(store, Plan(lengths=(1, 2, 3, 4), seeds=(1, 2)), ["rnn"], nothing)
    found = {(row["identity"]["seed"], row["identity"]["steps"]): row["recall"] for row in store.rows()}
    assert [found[1, steps] for steps in (1, 2, 3, 4)] == [0.13, 0.13, None, None]
    assert [found[2, steps] for steps in (1, 2, 3, 4)] == [1.0] * 4


def test_settings_are_all_that_changes_numbers() -> None:
    recipe = recall_recipe()
    assert digest(recipe) == digest(recall_recipe("train.threads=2", "data.folder=elsewhere"))
    assert digest(recipe) != digest(recall_recipe("train.seed=2"))
    assert digest(recipe) != digest(recipe, "torch")


# --- translations ---


def test_bins_of_source_length_hold_every_sentence_once(tmp_path: Path) -> None:
    lengths = [1, 7, 8, 10, 11, 13, 14, 17, 18, 60]
    good, bad = "a b c d e f", "x y z"
    files = {
        "src.de": [" ".join(["w"] * n) for n in lengths],
        "ref.en": [good] * 10,
        "hyp.en": [good if n <= 7 else bad for n in lengths],
    }
    for name, lines in files.items():
        (tmp_path / f"test.{name}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    found = translate.by_length(tmp_path, "test", "en")
    assert [row["words"] for row in found] == ["1-7", "8-10", "11-13", "14-17", "18 or more"]
    assert [row["sentences"] for row in found] == [2] * 5
    assert [round(row["bleu"]) for row in found] == [100, 0, 0, 0, 0]


def test_seconds_are_those_of_training_alone_at_its_undisturbed_speed() -> None:
    report = {"event": "train", "tokens": 600, "tokens_per_second": 200.0}
    slow = report | {"tokens_per_second": 20.0}
    valid = {"event": "valid", "bleu": 1.0, "ppl": 9.0, "seconds": 1000.0}
    found = translate.validations([report, slow, valid | {"step": 2}, report, valid | {"step": 3}])
    assert [(point["step"], point["seconds"]) for point in found] == [(2, 6.0), (3, 9.0)]


# --- recipes ---


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_of_the_claims_loads(path: Path) -> None:
    assert load_recipe(str(path)).recipe.name == path.stem


def test_no_two_measurements_are_of_the_same_settings() -> None:
    plan = translate.Plan(runs=Path("runs"))
    runs = {
        name: digest(load_recipe(str(CLAIMS / f"{recipe}.toml"), plan.options(name, 1)).recipe)
        for name, (recipe, _) in translate.RUNS.items()
    }
    variants = {name: digest(recall_recipe(*kind.overrides)) for name, kind in recall.VARIANTS.items()}
    for one, other in itertools.combinations((runs | variants).items(), 2):
        assert one[1] != other[1], (one[0], other[0])
    used = {recipe for recipe, _ in translate.RUNS.values()} | {recall.RECIPE.stem}
    assert used == {path.stem for path in RECIPES}


# --- the whole ---


def run(*args: object) -> str:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(CLAIMS / "run.py"), *map(str, args)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("claims")
    run("all", "--quick", "--out", folder)
    return folder


@pytest.mark.slow
def test_the_page_is_complete_and_made_of_the_results_alone(quick: Path, tmp_path: Path) -> None:
    text = (quick / "README.md").read_text(encoding="utf-8")
    assert MISSING not in text
    assert not re.search(r"\{\w*\}|\bnan\b|None", text)
    assert [name for name in PLOTS if f"({name}.png)" not in text] == []
    again = tmp_path / "again"
    again.mkdir()
    (again / "results").symlink_to(quick / "results")
    write_page(again)
    for name in ("README.md", *(f"{plot}.png" for plot in PLOTS)):
        assert (again / name).read_bytes() == (quick / name).read_bytes(), name


@pytest.mark.slow
def test_each_claim_gets_its_verdict(quick: Path) -> None:
    sections = (quick / "README.md").read_text(encoding="utf-8").split("\n## ")[1:]
    claims = {section[0]: section for section in sections if section[0].isdigit()}
    assert sorted(claims) == list("123456")
    words = (verdicts.HOLDS, verdicts.IN_PART, verdicts.FALSE)
    found = {number: sum(text.count(f"**{word}.**") for word in words) for number, text in claims.items()}
    assert found == {"1": 1, "2": 1, "3": 1, "4": 1, "5": 1, "6": 3}


@pytest.mark.slow
def test_what_is_done_is_not_done_again(quick: Path) -> None:
    before = {path: path.read_bytes() for path in (quick / "results").iterdir()}
    run("all", "--quick", "--out", quick)
    assert {path: path.read_bytes() for path in (quick / "results").iterdir()} == before


def test_the_page_kept_here_is_that_of_the_results_kept_here(tmp_path: Path) -> None:
    (tmp_path / "results").symlink_to(CLAIMS / "results")
    assert write_page(tmp_path).read_text(encoding="utf-8") == (CLAIMS / "README.md").read_text(encoding="utf-8")


def test_the_results_kept_here_are_all_that_the_script_measures_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **more: object) -> None:
        raise AssertionError("something is left to measure")

    has, asked = Store.has, []

    def noting(self: Store, identity: Identity, settings: str) -> bool:
        asked.append((self.path.name, dict(identity), settings))
        return has(self, identity, settings)

    for module, name in ((recall, "new_model"), (gradients, "new_model"), (translate, "train")):
        monkeypatch.setattr(module, name, refuse)
    for name in ("set_num_threads", "set_flush_denormal"):  # of the process, which other tests share
        monkeypatch.setattr(torch, name, lambda value: None)
    monkeypatch.setattr(Store, "has", noting)
    shutil.copytree(CLAIMS / "results", tmp_path / "results")
    result = CliRunner().invoke(program.main, ["all", "--out", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    kept = [
        (path.name, row["identity"], row["settings"])
        for path in (CLAIMS / "results").iterdir()
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())
    ]
    assert sorted(kept, key=repr) == sorted(asked, key=repr)


@pytest.mark.parametrize("plot", ["recall", "distance", "reading", "convergence", "reversal", "gradients", "clipping"])
def test_every_colour_of_a_plot_survives(plot: str) -> None:
    used = {
        "recall": ("rnn", "rnn-slow", "gru", "lstm"),
        "distance": ("gru", "lstm", "attention", "convolution"),
        "reading": ("rnn", "lstm", "attention"),
        "convergence": ("rnn", "rnn-slow", "gru", "lstm"),
        "reversal": ("lstm", "rnn-slow"),
        "gradients": ("rnn", "gru", "lstm", "lnlstm"),
        "clipping": ("rnn", "lstm"),
    }[plot]
    image = Image.open(CLAIMS / f"{plot}.png").convert("RGB")
    colours = {
        f"#{red:02x}{green:02x}{blue:02x}" for _, (red, green, blue) in image.getcolors(image.width * image.height)
    }
    assert [name for name in used if plots.COLOURS[name] not in colours] == []


def test_without_results_the_page_says_so(tmp_path: Path) -> None:
    assert write_page(tmp_path).read_text(encoding="utf-8").count(MISSING) == 7


def test_an_unknown_name_is_told_with_the_known_ones(tmp_path: Path) -> None:
    result = CliRunner().invoke(program.main, ["recall", "--only", "lsmt", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "choose from rnn, " in result.output
    assert not list(tmp_path.iterdir())
