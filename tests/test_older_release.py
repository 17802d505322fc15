"""A run folder of an older version loads, and translates as it did then.

`older/` has one for each; the name says the version and commit that trained it. That of 5970a24 has keys in its recipe
that are no more (model.deep_output, train.agreement), and rows of scores without their search.
"""

import shutil
from pathlib import Path

import pytest
from toy_run import nmt

from nmt.loading import load
from nmt.recipe_file import REMOVED

OLDER = sorted((Path(__file__).parent / "older").iterdir())


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


@pytest.mark.parametrize("run", OLDER, ids=lambda run: run.name)
def test_it_translates_as_it_did(run: Path) -> None:
    """With the engine of today, and as the model itself; its two best are at least 1e-3 apart on every line."""
    sources, wanted = lines(run / "hypotheses" / "test.src.de"), lines(run / "hypotheses" / "test.hyp.en")
    for engine in ("fast", "exact"):
        assert load(run, engine=engine).translate(sources) == wanted  # type: ignore[arg-type]


@pytest.mark.parametrize("run", OLDER, ids=lambda run: run.name)
def test_it_is_evaluated_and_exported_as_one_of_today(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    src, ref = (copy / "hypotheses" / name for name in ("test.src.de", "test.hyp.en"))
    result = nmt("evaluate", copy, "--src", src, "--ref", ref, "--name", "same")
    assert "same: BLEU = 100.00" in result.text, result.err
    assert nmt("export", copy, tmp_path / "out").code == 0
    assert load(tmp_path / "out").translate(lines(src)) == lines(ref)


def test_the_oldest_has_keys_that_are_no_more() -> None:
    """Or the folder would prove little."""
    recipe = (OLDER[0] / "recipe.toml").read_text(encoding="utf-8")
    assert [key for key in REMOVED if f"\n{key.split('.')[1]} = " in recipe] == list(REMOVED)
