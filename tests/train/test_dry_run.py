"""What a recipe would do, without doing it."""

import re
from pathlib import Path

import pytest
from toy_run import Result, nmt, phrasebook, write_recipe

from nmt.recipe_keys import keys


@pytest.fixture(scope="module")
def dry(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("dry" * 30)
    recipe = write_recipe(folder, phrasebook(30))
    (folder / "child.toml").write_text(f'extends = "{recipe.name}"\n[train]\nmax_steps = 7\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = nmt("train", "child.toml", "--dry-run", "--set", "model.dropout=0.25")
    assert result.code == 0, result.err
    assert sorted(file.name for file in folder.iterdir() if file.is_dir()) == []  # no run
    return result


def row(dry: Result, key: str) -> list[str]:
    """The cells of a key's row."""
    [line] = [line for line in dry.lines if line.split()[:1] == [key]]
    return re.split(r" {2,}", line.strip())


@pytest.mark.parametrize(
    ("key", "value", "origin"),
    [
        ("model.dropout", "0.25", "--set"),
        ("train.max_steps", "7", "child.toml"),
        ("train.warmup_steps", "5", "toy.toml"),
        ("train.clip_norm", "1.0", "default"),
        ("data.train", '["train"]', "toy.toml"),
    ],
)
def test_a_value_is_shown_with_where_it_comes_from(dry: Result, key: str, value: str, origin: str) -> None:
    assert row(dry, key) == [key, value, origin]


def test_every_key_of_a_recipe_has_its_row(dry: Result) -> None:
    for key in keys():
        assert len(row(dry, key)) == 3


def test_long_values_are_shown_in_full(dry: Result) -> None:
    [_, folder, _] = row(dry, "data.folder")
    assert len(folder) > 80  # a terminal's width
    assert (Path(folder.strip('"')) / "toy.toml").exists()


def test_the_sizes_of_model_and_text_are_shown(dry: Result) -> None:
    assert "train: 30 pairs of 30 read" in dry.lines
    assert "valid: 20 pairs" in dry.lines
    assert any(re.fullmatch(r"model: [\d,]+ parameters.* 360 .*", line) for line in dry.lines)
    assert "warning: 20 source sentences of valid are in train too: its score will flatter" in dry.lines


def test_a_dry_run_finds_the_same_faults(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, phrasebook(5))
    (tmp_path / "valid.en").unlink()
    result = nmt("train", recipe, "--dry-run")
    assert (result.code, "valid: only" in result.err) == (1, True)
