"""Odd text and odd settings, as `nmt train` meets them."""

from itertools import count
from pathlib import Path
from unittest import mock

import pytest
import torch
from toy_run import Pair, metrics, nmt, phrasebook, saved_state, train, write_recipe

from nmt.loading import load
from nmt.train.trainer import Trainer

PAIRS = phrasebook(60)
SHORT = {"train.max_steps": 6, "train.validate_every": 3, "train.save_every": 3}


@pytest.mark.parametrize("count", [1, 2])
def test_a_corpus_of_one_or_two_pairs_trains(tmp_path: Path, count: int) -> None:
    recipe = write_recipe(tmp_path, PAIRS[:count])
    printed = train(recipe, tmp_path / "run", SHORT | {"tokenizer.vocab_size": 8000})
    assert f"train: {count} pairs of {count} read" in printed
    assert "test: BLEU = " in printed
    assert len(load(tmp_path / "run").translate(["Er kommt."])) == 1


def test_a_corpus_all_filtered_away_names_the_filter(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, PAIRS)
    printed = train(recipe, tmp_path / "run", {"data.max_chars": 5}, code=1)
    assert "all 60 pairs were dropped (too long 60)" in printed
    assert not (tmp_path / "run" / "recipe.toml").exists()


def test_a_corpus_that_was_refused_leaves_a_folder_to_try_again_in(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, PAIRS)
    train(recipe, tmp_path / "run", {"data.max_chars": 5}, code=1)
    train(recipe, tmp_path / "run", {"train.max_steps": 1})


def test_a_batch_budget_below_every_sentence_makes_batches_of_one(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, PAIRS[:5])
    train(recipe, tmp_path / "run", {"train.max_steps": 5, "train.batch_tokens": 4, "train.log_every": 1})
    lines = [line for line in metrics(tmp_path / "run") if line["event"] == "train"]
    tokenizer = load(tmp_path / "run").tokenizers.tgt
    assert sorted(line["tokens"] for line in lines) == sorted(len(tokenizer.encode(tgt)) + 1 for _, tgt in PAIRS[:5])


def test_overlap_of_train_and_other_sets_is_warned_of_with_its_count(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, PAIRS[:40], valid=PAIRS[33:45], test=PAIRS[45:])
    printed = train(recipe, tmp_path / "run", {"train.max_steps": 1})
    assert "warning: 7 source sentences of valid are in train too" in printed
    assert "of test are in train" not in printed


def test_a_sentence_of_100000_tokens_is_dropped_with_a_count(tmp_path: Path) -> None:
    giant: list[Pair] = [("eins " * 100_000, "one " * 100_000), ("kurz", "short " * 100)]
    recipe = write_recipe(tmp_path, [*PAIRS, *giant, PAIRS[0]], test=PAIRS[:5])
    printed = train(recipe, tmp_path / "run", {"train.max_steps": 1})
    assert "train: 60 pairs of 63 read (dropped: 1 too long, 1 length ratio, 1 duplicate)" in printed


def test_a_giant_validation_sentence_is_translated_in_pieces(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, PAIRS, valid=[("eins " * 2000, "one " * 2000), *PAIRS[:2]])
    train(recipe, tmp_path / "run", {"train.max_steps": 1})
    assert (tmp_path / "run/hypotheses/valid.hyp.en").read_bytes().count(b"\n") == 3


def test_blank_validation_and_test_lines_keep_their_place(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, PAIRS, valid=[("", ""), PAIRS[0]], test=[PAIRS[1], (" ", "x"), PAIRS[2]])
    train(recipe, tmp_path / "run", {"train.max_steps": 1})
    assert (tmp_path / "run/hypotheses/valid.hyp.en").read_text().startswith("\n")
    assert (tmp_path / "run/hypotheses/test.hyp.en").read_text().split("\n")[1] == ""


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (1e38, ["step 5: the gradient is ", "back to step 0, with 0.5 times the learning rate"]),  # in a step
        (1e30, ["log-probabilities hold NaN", "back to step 0, with 0.5 times the", "for all that lower rates were"]),
    ],
)
def test_a_learning_rate_that_blows_up_is_said(tmp_path: Path, rate: float, words: list[str]) -> None:
    """The smaller one leaves the weights finite, and a validation cannot decode with them."""
    recipe = write_recipe(tmp_path, PAIRS)
    wild = {"train.optimizer": "sgd", "train.learning_rate": rate, "train.clip_norm": 0, "train.warmup_steps": 0}
    printed = train(recipe, tmp_path / "run", wild, code=1)
    for word in ["training diverged", *words]:
        assert word in printed


def test_what_was_saved_before_training_diverged_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, run = write_recipe(tmp_path, PAIRS), tmp_path / "run"
    update = Trainer.update

    def poisoned(self: Trainer) -> object:
        if self.progress.step == 5:
            with torch.no_grad():
                next(self.model.parameters()).fill_(float("nan"))
        return update(self)

    monkeypatch.setattr(Trainer, "update", poisoned)
    assert "step 6: the gradient is nan" in train(recipe, run, SHORT, code=1)
    state = saved_state(run)
    assert Trainer.saved_progress(state).step == 3
    assert all(tensor.isfinite().all() for tensor in state.tensors.values())
    assert nmt("translate", run, stdin=b"Er kommt.\n").code == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.train": "nowhere"}, "nowhere: nothing found"),
        ({"data.test": '["test", "test"]'}, "scores go by name"),
        ({"tokenizer.vocab_size": 20}, "tokenizer.vocab_size is 20"),
    ],
)
def test_what_cannot_be_trained_is_said_before_the_run_is_set_up(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    recipe = write_recipe(tmp_path, PAIRS)
    result = nmt("train", recipe, "--run-dir", tmp_path / "run", *(f"--set={k}={v}" for k, v in changes.items()))
    assert result.code in (1, 2)
    assert words in result.err
    assert [file.name for file in (tmp_path / "run").iterdir()] == [".lock"]


def test_a_clock_that_jumps_changes_no_duration(tmp_path: Path) -> None:
    """An hour back at each look, as when summer time ends again and again."""
    recipe, hours = write_recipe(tmp_path, phrasebook(40)), count()
    with mock.patch("time.time", lambda: 1e9 - 3600 * next(hours)):
        train(recipe, tmp_path / "run", {"train.max_steps": 12, "train.log_every": 3, "train.validate_every": 6})
    reports = metrics(tmp_path / "run")
    elapsed = [report["elapsed_seconds"] for report in reports]
    assert elapsed == sorted(elapsed)
    assert 0 < elapsed[0] <= elapsed[-1] < 600
    assert all(report["tokens_per_second"] > 0 for report in reports if report["event"] == "train")
    assert all(0 < report["seconds"] < 600 for report in reports if report["event"] == "valid")
