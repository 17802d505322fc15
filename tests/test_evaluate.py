"""Scores: what is printed, what is stored, and what is left behind to check them by."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from toy_ensemble import sibling
from toy_run import TinyRun, nmt, write_pairs

from nmt.errors import DataError
from nmt.evaluate import TestSet, evaluate
from nmt.loading import load_ensemble
from nmt.run_dir import sha256
from nmt.translator import Translator

FIELDS = ["test_set", "metric", "score", "signature", "beam_size", "sentences", "seconds", "search"]


@pytest.fixture
def run(tiny: TinyRun, tmp_path: Path) -> Path:
    """A copy of the tiny run, to score."""
    return Path(shutil.copytree(tiny.run, tmp_path / "run"))


@pytest.fixture
def own(tiny: TinyRun, tmp_path: Path) -> list[object]:
    """Options that name test lines of one's own, ten of them."""
    write_pairs(tmp_path, "own", tiny.pairs[60:70])
    return ["--src", tmp_path / "own.de", "--ref", tmp_path / "own.en"]


def scores(run: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((run / "scores.json").read_bytes())
    return rows


def without_seconds(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_the_stored_and_the_printed_scores_are_those_of_the_sacrebleu_command_on_the_files_left(tiny: TinyRun) -> None:
    folder = tiny.run / "hypotheses"
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "sacrebleu",
        folder / "test.ref.en",
        "-i",
        folder / "test.hyp.en",
    ]
    shown = subprocess.run([*command, "-m", "bleu", "chrf", "-w", "6"], check=True, capture_output=True).stdout
    wanted = {row["name"]: row for row in json.loads(shown)}
    assert 5 < wanted["BLEU"]["score"] < 99  # neither of which could be right by chance
    for row in scores(tiny.run):
        assert row["score"] == pytest.approx(wanted[row["metric"]]["score"], abs=1e-6)
        assert row["signature"] == wanted[row["metric"]]["signature"]
        assert f"test: {row['metric']} = {row['score']:.2f} ({row['signature']})" in tiny.printed.split("\n")
    assert [row["metric"] for row in scores(tiny.run)] == ["BLEU", "chrF2"]


def test_a_row_says_what_was_scored_and_how(tiny: TinyRun) -> None:
    for row in scores(tiny.run):
        assert list(row) == FIELDS
        assert (row["test_set"], row["beam_size"], row["sentences"]) == ("test", 3, 40)
        assert 0 < row["seconds"] < 60
        assert row["search"]["beam_size"] == 3
        assert "batch_size" not in row["search"]


def test_the_files_left_are_the_test_set_and_what_nmt_translate_makes_of_it(tiny: TinyRun) -> None:
    left = {name: (tiny.run / "hypotheses" / name).read_text() for name in ("test.src.de", "test.ref.en")}
    assert left == {
        f"test.{side}": (tiny.recipe.parent / f"test.{side[-2:]}").read_text() for side in ("src.de", "ref.en")
    }
    translated = nmt("translate", tiny.run, tiny.run / "hypotheses" / "test.src.de").out
    assert (tiny.run / "hypotheses" / "test.hyp.en").read_bytes() == translated


def test_scoring_again_gives_the_same_rows(run: Path) -> None:
    before = scores(run)
    result = nmt("evaluate", run)
    assert result.code == 0, result.err
    assert without_seconds(scores(run)) == without_seconds(before)


def test_lines_of_ones_own_add_rows_and_replace_only_those(run: Path, own: list[object]) -> None:
    before = scores(run)
    for _ in range(2):
        assert nmt("evaluate", run, *own).code == 0
        assert scores(run)[:2] == before
        assert [(row["test_set"], row["sentences"]) for row in scores(run)[2:]] == [("own", 10)] * 2
    assert sorted(file.name for file in (run / "hypotheses").glob("own.*")) == [
        "own.hyp.en",
        "own.ref.en",
        "own.src.de",
    ]


def test_a_metric_is_added_beside_the_others(run: Path) -> None:
    before = scores(run)
    assert nmt("evaluate", run, "--metric", "ter").code == 0
    assert scores(run)[:2] == before
    assert [(row["metric"], row["beam_size"]) for row in scores(run)] == [("BLEU", 3), ("chrF2", 3), ("TER", 3)]


@pytest.mark.parametrize("change", [("--beam-size", 1), ("--length-penalty", "none")])
def test_scores_of_translations_that_are_gone_go_too(run: Path, own: list[object], change: tuple[object, ...]) -> None:
    """Another search writes other translations: rows of the old ones could not be checked any more."""
    nmt("evaluate", run, *own)
    assert nmt("evaluate", run, "--metric", "bleu", *change).code == 0
    found = {(row["test_set"], row["metric"]) for row in scores(run)}
    assert found == {("test", "BLEU"), ("own", "BLEU"), ("own", "chrF2")}


def test_another_batch_size_keeps_the_rows(run: Path) -> None:
    """It changes no translation."""
    assert nmt("evaluate", run, "--metric", "bleu", "--batch-size", 7).code == 0
    assert [row["metric"] for row in scores(run)] == ["BLEU", "chrF2"]


def test_rows_of_a_folder_from_before_they_had_their_search_are_read(run: Path) -> None:
    old = [{key: value for key, value in row.items() if key != "search"} for row in scores(run)]
    (run / "scores.json").write_text(json.dumps(old))
    assert nmt("evaluate", run, "--metric", "ter").code == 0
    assert [row["metric"] for row in scores(run)] == ["TER"]


def test_scores_of_an_ensemble_go_to_a_folder_of_their_own_and_leave_the_runs_as_they_were(
    run: Path, own: list[object], tmp_path: Path
) -> None:
    other, out = sibling(run, tmp_path / "other"), tmp_path / "together"
    before = {file: sha256(file) for folder in (run, other) for file in folder.rglob("*") if file.is_file()}
    options = ["--ensemble", other, "--combination", "log_linear", "-o", out]
    for lines in ([], own):
        result = nmt("evaluate", run, *options, *lines)
        assert result.code == 0, result.err
    assert {file: sha256(file) for folder in (run, other) for file in folder.rglob("*") if file.is_file()} == before
    assert [row["test_set"] for row in scores(out)] == ["test", "test", "own", "own"]
    source = (out / "hypotheses" / "test.src.de").read_text().split("\n")[:-1]
    wanted = load_ensemble([run, other], combination="log_linear").translate(source)
    assert (out / "hypotheses" / "test.hyp.en").read_text().split("\n")[:-1] == wanted
    system = json.loads((out / "system.json").read_bytes())
    assert system["combination"] == "log_linear"
    assert [model["run"] for model in system["models"]] == [str(run), str(other)]
    sums = [sha256(folder / "model.safetensors") for folder in (run, other)]
    assert [model["sha256"] for model in system["models"]] == sums


def test_a_run_alone_is_scored_into_another_folder_too(run: Path, tmp_path: Path) -> None:
    before = (run / "scores.json").read_bytes()
    assert nmt("evaluate", run, "--beam-size", 1, "-o", tmp_path / "greedy").code == 0
    assert (run / "scores.json").read_bytes() == before
    assert [row["beam_size"] for row in scores(tmp_path / "greedy")] == [1, 1]


def test_scores_of_different_models_never_stand_in_one_folder(run: Path, tmp_path: Path) -> None:
    other, out = sibling(run, tmp_path / "other"), tmp_path / "together"
    assert nmt("evaluate", run, "--ensemble", other, "-o", out).code == 0
    before = (out / "scores.json").read_bytes(), (out / "system.json").read_bytes()
    for options in ([], ["--ensemble", run], ["--ensemble", other, "--combination", "log_linear"]):
        result = nmt("evaluate", run, *options, "-o", out)
        assert result.code == 1
        assert f"{out}: scores.json there is not of these models" in result.err
    sibling(run, tmp_path / "another", noise=0.3)
    shutil.copytree(tmp_path / "another", other, dirs_exist_ok=True)  # trained on
    assert nmt("evaluate", run, "--ensemble", other, "-o", out).code == 1
    assert before == ((out / "scores.json").read_bytes(), (out / "system.json").read_bytes())


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_folder_that_does_not_say_whose_scores_it_holds_is_refused(
    run: Path, tmp_path: Path, content: str | None
) -> None:
    out = tmp_path / "out"
    assert nmt("evaluate", run, "-o", out).code == 0
    (out / "system.json").unlink()
    if content is not None:
        (out / "system.json").write_text(content)
    result = nmt("evaluate", run, "-o", out)
    assert result.code == 1
    assert "name another folder, or delete this one" in result.err


def test_scores_of_an_ensemble_never_go_into_a_run_folder(run: Path, tmp_path: Path) -> None:
    other = sibling(run, tmp_path / "other")
    before = (other / "scores.json").read_bytes()
    result = nmt("evaluate", run, "--ensemble", other, "-o", other)
    assert result.code == 1
    assert f"{other}: a run folder" in result.err
    assert (other / "scores.json").read_bytes() == before


@pytest.mark.parametrize("name", ["test", "valid"])
def test_lines_of_ones_own_never_take_the_name_of_a_set_of_the_recipe(run: Path, own: list[object], name: str) -> None:
    result = nmt("evaluate", run, *own, "--name", name)
    assert result.code == 2
    assert f"{name} is a set of the recipe's own" in result.err


def test_a_test_set_goes_by_the_name_given(run: Path, own: list[object]) -> None:
    result = nmt("evaluate", run, *own, "--name", "news")
    assert re.search(r"^news: BLEU = ", result.text, re.MULTILINE)
    assert (run / "hypotheses" / "news.hyp.en").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--src", "own.de"], "--src and --ref go together"),
        (["--ref", "own.en"], "--src and --ref go together"),
        (["--name", "x"], "--name goes with --src"),
        (["--src", "own.de", "--ref", "own.en", "--name", "../x"], "plain name"),
        (["--metric", "meteor"], "'meteor' is not one of 'bleu', 'chrf', 'ter'"),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(tiny: TinyRun, options: list[str], words: str) -> None:
    result = nmt("evaluate", tiny.run, *options)
    assert result.code == 2
    assert words in result.err


def test_references_that_do_not_pair_up_are_refused_before_any_line_is_translated(translator: Translator) -> None:
    class Untouched(Translator):
        def translations(self, *args: object, **options: object) -> Iterator[Any]:
            raise AssertionError("translated")

    untouched = Untouched(translator.model, translator.tokenizers, translator.search)
    with pytest.raises(DataError, match="own: 3 source lines, but 2 references"):
        evaluate(untouched, TestSet("own", ["a", "b", "c"], ["a", "b"]), tgt_lang="en")


def test_lines_and_references_that_do_not_pair_up_are_told_with_the_line_where_they_part(
    run: Path, tiny: TinyRun, own: list[object], tmp_path: Path
) -> None:
    before = (run / "scores.json").read_bytes()
    long = "word " * 50
    write_pairs(tmp_path, "own", [*tiny.pairs[60:70], *[(long, long), ("a", "b")] * 20])
    lines = (tmp_path / "own.en").read_text().split("\n")
    (tmp_path / "own.en").write_text("\n".join(lines[:12] + lines[13:]))
    result = nmt("evaluate", run, *own)
    assert result.code == 1
    assert f"{tmp_path / 'own.de'} has 50 lines, but {tmp_path / 'own.en'} has 49" in result.err
    assert "looks shifted from line 13 on" in result.err
    assert (run / "scores.json").read_bytes() == before


def test_a_recipe_without_test_sets_asks_for_lines_of_ones_own(run: Path) -> None:
    recipe = run / "recipe.toml"
    recipe.write_text(re.sub(r"(?m)^test = .*", "test = []", recipe.read_text()))
    manifest = json.loads((run / "manifest.json").read_bytes())
    manifest["files"]["recipe.toml"] = sha256(recipe)
    (run / "manifest.json").write_text(json.dumps(manifest))
    result = nmt("evaluate", run)
    assert result.code == 2
    assert "data.test: the recipe names no test set" in result.err
    assert "--src and --ref" in result.err


def test_a_damaged_table_of_scores_is_said_by_name(run: Path) -> None:
    (run / "scores.json").write_text('[{"test_set": ')
    result = nmt("evaluate", run)
    assert result.code == 1
    assert "scores.json: damaged" in result.err
    assert "delete it" in result.err
