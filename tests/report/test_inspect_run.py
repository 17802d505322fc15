"""`nmt inspect`: what it leaves, what it says, and of which sentences."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from toy_run import TinyRun, nmt, read

from nmt.data.tokenizer import TokenizerPair
from nmt.loading import load
from nmt.report import inspect_run
from nmt.run_dir import load_model, save_model, save_setup
from nmt.train.run import new_model

PNG = b"\x89PNG"
LAYERS = ["encoder-1-ahead", "encoder-1-back", "decoder-1"]


@pytest.fixture
def _unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take a second each; where only the rest matters, they stay empty."""
    monkeypatch.setattr(inspect_run, "png", lambda figure: PNG)


def untrained(tiny: TinyRun, folder: Path, **changes: object) -> Path:
    """A run folder of the tiny run's text and tokenizers with another, untrained model."""
    recipe = read(tiny.recipe, **changes)
    tokenizers = TokenizerPair.load(tiny.run / "tokenizer")
    save_setup(folder, recipe, tokenizers)
    save_model(folder, new_model(recipe, tokenizers).weights())
    return folder


def report(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def png_names(folder: Path) -> set[str]:
    files = list(folder.iterdir())
    assert all(file.read_bytes().startswith(PNG) for file in files if file.suffix == ".png")
    return {file.name for file in files} - {"report.json"}


def test_it_writes_plots_and_numbers_into_the_run_and_shows_both_ends_of_each_layer(
    tiny: TinyRun, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(tiny.run, tmp_path / "run"))
    result = nmt("inspect", run)
    assert (result.code, result.err) == (0, "")
    folder = run / "report"
    assert png_names(folder) == {"gradients.png", "layers.png", "attention.png", *(f"gates-{x}.png" for x in LAYERS)}
    found = report(folder)
    assert set(found["files"]) == png_names(folder)
    assert all(name in result.lines[-1] for name in [str(folder), *found["files"], "report.json"])
    rows = [line.split() for line in result.lines[1:-1]]
    for row, states in zip(rows, found["states"], strict=True):
        assert " ".join(row[:-4]) == states["layer"]
        assert row[-4:-1] == [states["state"], f"{states['first']:.3g}", f"{states['last']:.3g}"]
        assert float(row[-1]) == pytest.approx(states["first"] / states["last"], rel=1e-2)
    assert load_model(run)  # the folder is still a run


@pytest.mark.usefixtures("_unpainted")
def test_without_a_text_it_looks_at_longer_sentences_of_the_validation_set(tiny: TinyRun, tmp_path: Path) -> None:
    assert nmt("inspect", tiny.run, "-o", tmp_path / "out").code == 0
    found = report(tmp_path / "out")
    tokenizers = load_model(tiny.run).tokenizers
    valid = tiny.pairs[:20]
    assert found["sentences"] == len(valid)  # there are no 32
    lengths = sorted(len(tokenizers.tgt.encode(tgt)) + 1 for _, tgt in valid)
    [decoder, *_] = [states for states in found["states"] if states["layer"] == "decoder 1"]
    expected = [sum(length > step for length in lengths) for step in range(lengths[-1])]
    assert decoder["sentences_by_step"] == expected


@pytest.mark.usefixtures("_unpainted")
def test_of_many_sentences_it_takes_some_of_like_length(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect_run, "SENTENCES", 4)
    assert nmt("inspect", tiny.run, "-o", tmp_path / "out").code == 0
    tokenizers = load_model(tiny.run).tokenizers
    lengths = sorted(len(tokenizers.tgt.encode(tgt)) + 1 for _, tgt in tiny.pairs[:20])
    [decoder, *_] = [states for states in report(tmp_path / "out")["states"] if states["layer"] == "decoder 1"]
    taken = lengths[15:19]
    assert decoder["sentences_by_step"] == [sum(length > step for length in taken) for step in range(taken[-1])]


@pytest.mark.usefixtures("_unpainted")
def test_a_text_is_looked_at_with_the_models_own_translation(tiny: TinyRun, tmp_path: Path) -> None:
    text = tiny.sources[3]
    assert nmt("inspect", tiny.run, "--text", text, "--last-only", "-o", tmp_path / "out").code == 0
    found = report(tmp_path / "out")
    assert found["loss"] == "last"
    tokenizers = load_model(tiny.run).tokenizers
    [translation] = load(tiny.run).translate([text])
    src, tgt = tokenizers.src, tokenizers.tgt
    example = found["example"]
    assert example["src"] == [*src.tokens(src.encode(text)), "</s>"]
    assert example["tgt"] == [*tgt.tokens(tgt.encode(translation)), "</s>"]
    assert [len(row) for row in example["attention"]] == [len(example["src"])] * len(example["tgt"])
    assert example["gates"]["encoder 1 back"]["tokens"] == example["src"][::-1]
    assert example["gates"]["decoder 1"]["tokens"] == ["<s>", *example["tgt"][:-1]]
    assert len(example["gates"]["decoder 1"]["f"]["mean"]) == len(example["tgt"])
    assert found["sentences"] == 1


def test_the_last_tokens_loss_leaves_less_for_the_first_step(tiny: TinyRun) -> None:
    saved = load_model(tiny.run)
    firsts = []
    for last_only in (False, True):
        found = inspect_run.look_into(saved, tiny.pairs[:5], last_only=last_only)
        assert (found.sentences, found.last_only) == (5, last_only)
        firsts.append(next(norms.first for norms in found.states if norms.layer == "decoder 1"))
    assert firsts[1] < firsts[0]


@pytest.mark.usefixtures("_unpainted")
@pytest.mark.parametrize(
    ("changes", "plots", "words"),
    [
        ({"model.attention": "none", "model.cell": "rnn"}, [], ["no attention.png", "no gates-*.png"]),
        (
            {"model.attention": "none", "model.cell": "gru"},
            [f"gates-{layer}.png" for layer in LAYERS],
            ["no attention.png"],
        ),
        ({"model.encoder": "convolutional"}, ["gates-decoder-1.png", "attention.png"], []),
        ({"model.architecture": "read_along", "model.attention": "none"}, ["gates-layer-1.png"], ["no attention.png"]),
    ],
    ids=["rnn", "gru", "convolutional", "read along"],
)
def test_what_a_model_does_not_have_is_said(
    tiny: TinyRun, tmp_path: Path, changes: dict[str, object], plots: list[str], words: list[str]
) -> None:
    run = untrained(tiny, tmp_path / "run", **changes)
    result = nmt("inspect", run, "-o", tmp_path / "out")
    assert result.code == 0, result.err
    assert png_names(tmp_path / "out") == {"gradients.png", "layers.png", *plots}
    for word in ("no attention.png", "no gates-*.png"):
        assert (word in result.text) == (word in words)


def test_a_blank_text_leaves_with_1_and_says_what_is_wanted(tiny: TinyRun, tmp_path: Path) -> None:
    result = nmt("inspect", tiny.run, "--text", " ", "-o", tmp_path / "out")
    assert (result.code, result.text) == (1, "")
    assert "--text: blank; give a sentence" in result.err
    assert not (tmp_path / "out").exists()


def test_without_matplotlib_it_leaves_with_1_and_says_how_to_get_it(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("nmt.report.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = nmt("inspect", tiny.run, "-o", tmp_path / "out")
    assert (result.code, result.text) == (1, "")
    assert "pip install matplotlib" in result.err


@pytest.mark.usefixtures("_unpainted")
def test_a_folder_that_cannot_be_written_is_a_fault_in_words(tiny: TinyRun, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = nmt("inspect", tiny.run, "-o", tmp_path / "file")
    assert result.code == 1
    assert "cannot be written" in result.err
