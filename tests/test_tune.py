"""Search options chosen on the validation set."""

import io
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console
from toy_run import TinyRun, nmt

from nmt.errors import CheckpointError, DataError
from nmt.evaluate import TestSet
from nmt.loading import load
from nmt.recipe import SearchSection
from nmt.search_file import SEARCH, save_search
from nmt.tune import PENALTIES, trials, tune

SETTINGS = ("beam_size", "length_penalty", "length_alpha")


@pytest.fixture
def run(tiny: TinyRun, tmp_path: Path) -> Path:
    return shutil.copytree(tiny.run, tmp_path / "run")


@dataclass
class Scripted:
    """A translator that is right with one setting alone."""

    right: tuple[object, ...]
    search: SearchSection = field(default_factory=SearchSection)

    def under(self, search: SearchSection) -> "Scripted":
        return Scripted(self.right, search)

    def translate(self, lines: list[str]) -> list[str]:
        found = tuple(getattr(self.search, name) for name in SETTINGS)
        return [line.upper() if found == self.right else "something else" for line in lines]


def silent() -> Console:
    return Console(file=io.StringIO(), width=120)


def test_each_beam_is_tried_with_each_penalty_and_a_beam_of_one_once() -> None:
    found = list(trials(SearchSection(min_length=2), [5, 1, 5, 2]))
    assert [search.beam_size for search in found] == [1] + [2] * len(PENALTIES) + [5] * len(PENALTIES)
    assert len({search.model_dump_json() for search in found}) == len(found)
    assert all(search.min_length == 2 for search in found)


@pytest.mark.parametrize("right", [(2, "gnmt", 0.4), (5, "none", 0.6), (1, "average", 0.6)])
def test_the_best_is_found_and_written_into_the_run(run: Path, right: tuple[object, ...]) -> None:
    valid = TestSet("valid", ["one two three four five", "six seven eight nine ten"], [])
    valid = TestSet("valid", valid.src, [line.upper() for line in valid.src])
    console = silent()
    best = tune(run, Scripted(right), valid, metric="bleu", beam_sizes=[1, 2, 5], tgt_lang="en", console=console)  # type: ignore[arg-type]
    assert tuple(getattr(best.search, name) for name in SETTINGS) == right
    assert best.score.value == pytest.approx(100.0)
    search = load(run).search
    assert tuple(getattr(search, name) for name in SETTINGS) == right
    assert search.batch_size == load(run).search.batch_size
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "100.00" in shown
    assert best.score.signature in shown


def test_of_what_scores_the_same_the_smallest_beam_is_taken(run: Path) -> None:
    valid = TestSet("valid", ["one two three four"], ["something"])
    scripted = Scripted((99, "none", 0.0))
    best = tune(run, scripted, valid, metric="chrf", beam_sizes=[3, 2, 1], tgt_lang="en", console=silent())  # type: ignore[arg-type]
    assert best.search.beam_size == 1


def test_options_of_a_call_go_over_the_tuned_ones(run: Path) -> None:
    save_search(run, {"beam_size": 7, "length_alpha": 0.9})
    assert load(run, search={"beam_size": 2}).search.beam_size == 2
    assert load(run, search={"beam_size": 2}).search.length_alpha == 0.9


@pytest.mark.parametrize("content", ["beam_size = ", "beam_size = 0", "beam = 3", "\udcff"])
def test_a_damaged_file_is_told_with_what_to_do(run: Path, content: str) -> None:
    (run / SEARCH).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match=r"search\.toml: .*(?s:.)*correct it, or delete it"):
        load(run)


def test_nothing_to_translate_is_refused(run: Path) -> None:
    with pytest.raises(DataError, match="0 source lines"):
        tune(run, load(run), TestSet("x", [], []), metric="bleu", beam_sizes=[1], tgt_lang="en", console=silent())


def test_the_command_tunes_on_the_validation_set_and_training_goes_on(run: Path) -> None:
    result = nmt("tune", run, "--beam-sizes", "1,2", "--threads", 1)
    assert result.code == 0, result.err
    assert "best" in result.text
    assert (run / SEARCH).is_file()
    assert nmt("train", run / "recipe.toml", "--run-dir", run).code == 0  # the recipe is still the run's
    refused = nmt("tune", run, "--beam-sizes", "1,x")
    assert (refused.code, "wanted whole numbers" in refused.err) == (2, True)


def test_lines_and_references_that_do_not_pair_up_are_refused_with_both_counts(run: Path, tmp_path: Path) -> None:
    src, ref = tmp_path / "own.de", tmp_path / "own.en"
    src.write_text("eins\nzwei\ndrei\n")
    ref.write_text("one\ntwo\n")
    result = nmt("tune", run, "--src", src, "--ref", ref)
    assert (result.code, f"{src} has 3 lines, but {ref} has 2" in result.err) == (1, True)
