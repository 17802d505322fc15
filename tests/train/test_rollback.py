"""A training that diverges goes back to the last saved state with a lower rate, and gives up in the end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from toy_run import killed_after, metrics, phrasebook, signals_after, train, write_recipe

from nmt.checkpoint import Checkpoints
from nmt.errors import Divergence, NonsenseError
from nmt.metrics import score
from nmt.model.loss import Loss
from nmt.train.loop import MAX_ROLLBACKS
from nmt.train.trainer import Trainer
from nmt.translator import Translator

KEYS = {"train.max_steps": 30, "train.save_every": 10, "train.validate_every": 30, "train.log_every": 5}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("text"), phrasebook(60))


@contextmanager
def diverging_at(step: int, *, above: float) -> Iterator[None]:
    """Step `step` diverges where the learning rate's factor is above `above`."""
    update = Trainer.update

    def update_or_diverge(self: Trainer) -> Loss:
        if self.progress.step == step - 1 and self.progress.lr_factor > above:
            raise Divergence(f"step {step}: the gradient is nan")
        return update(self)

    with mock.patch.object(Trainer, "update", update_or_diverge):
        yield


def curve(run: Path) -> list[dict[str, Any]]:
    clocks = ("tokens_per_second", "seconds", "elapsed_seconds")
    return [{key: value for key, value in report.items() if key not in clocks} for report in metrics(run)]


def last_state(run: Path) -> dict[str, Any]:
    state = Checkpoints(run, keep_last=1).newest()
    assert state is not None
    values = {key: value for key, value in state.values["progress"].items() if key not in ("seconds", "totals")}
    return {**{name: tensor.tolist() for name, tensor in state.tensors.items()}, "progress": values}


def test_it_goes_back_to_the_last_saved_step_with_half_the_rate_and_on_to_the_end(recipe: Path, tmp_path: Path) -> None:
    with diverging_at(18, above=0.5):
        printed = train(recipe, tmp_path / "run", KEYS)
    assert "warning: step 18: the gradient is nan: back to step 10, with 0.5 times the learning rate" in printed
    reports = metrics(tmp_path / "run")
    assert [report["step"] for report in reports if report["event"] == "train"] == [5, 10, 15, 20, 25, 30]
    assert [(r["step"], r["learning_rate_factor"]) for r in reports if r["event"] == "rollback"] == [(10, 0.5)]
    train(recipe, tmp_path / "other", KEYS)
    rates = [
        {r["step"]: r["learning_rate"] for r in metrics(tmp_path / run) if r["event"] == "train"}
        for run in ("run", "other")
    ]
    assert {step: rates[0][step] / rates[1][step] for step in rates[0]} == pytest.approx(
        {5: 1, 10: 1, 15: 0.5, 20: 0.5, 25: 0.5, 30: 0.5}
    )


@contextmanager
def undecodable(times: int) -> Iterator[None]:
    """So many validations find that the model, whose loss is finite, gives no log-probabilities."""
    translate, left = Translator.translate, [times]

    def nonsense(self: Translator, lines: list[str]) -> list[str]:
        left[0] -= 1
        if left[0] >= 0:
            raise NonsenseError("NaN")
        return translate(self, lines)

    with mock.patch.object(Translator, "translate", nonsense):
        yield


def test_weights_that_a_validation_cannot_decode_with_are_a_divergence_too(recipe: Path, tmp_path: Path) -> None:
    with undecodable(1):
        printed = train(recipe, tmp_path / "run", KEYS | {"train.validate_every": 15})
    assert "warning: log-probabilities hold NaN or a value above 0 in a validation: training diverged: back" in printed
    assert "back to step 10, with 0.5 times the learning rate" in printed
    assert [r["step"] for r in metrics(tmp_path / "run") if r["event"] == "valid"] == [15, 30]


def test_a_state_whose_validation_a_signal_put_off_is_not_gone_back_to(recipe: Path, tmp_path: Path) -> None:
    """That validation might be what finds it diverged, again and again."""
    keys = KEYS | {"train.validate_every": 15}
    with signals_after(15, signal.SIGTERM):
        train(recipe, tmp_path / "run", keys, code=143)
    with undecodable(1):
        printed = train(recipe, tmp_path / "run", keys)
    assert "after step 15" in printed
    assert "back to step 10" in printed


def test_twice_in_a_row_it_goes_back_to_the_same_step_with_a_quarter(recipe: Path, tmp_path: Path) -> None:
    with diverging_at(18, above=0.25):
        train(recipe, tmp_path / "run", KEYS)
    # the first one's line fell away when the second one went back beyond it
    found = [(r["step"], r["learning_rate_factor"]) for r in metrics(tmp_path / "run") if r["event"] == "rollback"]
    assert found == [(10, 0.25)]
    assert last_state(tmp_path / "run")["progress"]["rollbacks"] == 2


@pytest.mark.parametrize("killed", [14, 21])
def test_a_kill_on_the_way_changes_nothing(recipe: Path, tmp_path: Path, killed: int) -> None:
    """Before the next checkpoint: the divergence comes again. After it: it is remembered."""
    with diverging_at(18, above=0.5):
        train(recipe, tmp_path / "whole", KEYS)
        with diverging_at(18, above=0.5), killed_after(killed):
            train(recipe, tmp_path / "killed", KEYS)
        train(recipe, tmp_path / "killed", KEYS)
    assert curve(tmp_path / "whole") == curve(tmp_path / "killed")
    assert last_state(tmp_path / "whole") == last_state(tmp_path / "killed")


def test_before_the_first_saving_it_goes_back_to_the_beginning(recipe: Path, tmp_path: Path) -> None:
    with diverging_at(4, above=0.5):
        printed = train(recipe, tmp_path / "run", KEYS)
    assert "back to step 0, with 0.5 times" in printed


def test_it_gives_up_with_words_and_leaves_what_was_saved(recipe: Path, tmp_path: Path) -> None:
    with diverging_at(18, above=0.0):
        printed = train(recipe, tmp_path / "run", KEYS, code=1)
    assert printed.count(": back to step 10, ") == MAX_ROLLBACKS
    assert "error: step 18: the gradient is nan, for all that lower rates were tried" in printed
    assert "begin anew with --fresh and a lower train.learning_rate" in printed
    assert last_state(tmp_path / "run")["progress"]["step"] == 10


def test_a_rate_beyond_all_reason_is_brought_down_or_given_up_but_never_leaves_nan(
    recipe: Path, tmp_path: Path
) -> None:
    """Nothing patched: fault 19."""
    keys = KEYS | {"train.learning_rate": 1e8, "train.clip_norm": 0, "train.optimizer": "sgd", "train.warmup_steps": 0}
    printed = train(recipe, tmp_path / "run", keys, code=1)
    assert "back to step 0" in printed
    assert "error: step " in printed
    assert "nan" not in str(last_state(tmp_path / "run"))


def test_a_best_model_is_never_of_a_future_that_was_given_up(recipe: Path, tmp_path: Path) -> None:
    """Each is saved as a checkpoint too, between the others, and that is gone back to."""
    keys = KEYS | {"train.validate_every": 5, "train.save_every": 30}
    run = tmp_path / "run"
    with diverging_at(18, above=0.5):
        train(recipe, run, keys)
    best = last_state(run)["progress"]["best_step"]
    scores = {report["step"]: report["bleu"] for report in metrics(run) if report["event"] == "valid"}
    assert best == max(scores, key=lambda step: (scores[step], -step))
    # what is published is what was validated then
    hypotheses = (run / "hypotheses" / "valid.hyp.en").read_text().splitlines()
    references = (recipe.parent / "valid.en").read_text().splitlines()
    [found] = score(["bleu"], hypotheses, references, tgt_lang="en")
    assert found.value == pytest.approx(scores[best])


def test_a_state_that_was_saved_in_the_middle_of_a_divergence_is_not_gone_back_to(recipe: Path, tmp_path: Path) -> None:
    """A stop saves whatever there is; the run goes on exactly there, and then back to where all was well."""
    run = tmp_path / "run"

    def lost(self: Trainer) -> Loss:
        loss = update(self)
        self.progress.lost = self.progress.step - 15 if self.progress.step > 15 and self.progress.lr_factor == 1 else 0
        if self.progress.lost == 7:
            raise Divergence("step 22: lost")
        return loss

    update = Trainer.update
    with mock.patch.object(Trainer, "update", lost):
        train(recipe, tmp_path / "whole", KEYS)
        with signals_after(18, signal.SIGTERM):
            train(recipe, run, KEYS, code=143)
        printed = train(recipe, run, KEYS)
    assert "after step 18" in printed
    assert "back to step 10" in printed
    assert last_state(run) == last_state(tmp_path / "whole")
