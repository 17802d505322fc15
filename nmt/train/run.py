"""A whole training: from a recipe to a trained, scored run folder."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import count
from pathlib import Path

import torch
from rich.console import Console

from nmt.data.tokenizer import TokenizerPair
from nmt.errors import CheckpointError, OutputError, RecipeError
from nmt.evaluate import METRICS_BY_DEFAULT, ScoredTestSet, evaluate_run
from nmt.model.build import AnyModel, build_model
from nmt.recipe import Recipe, TrainSection, toml_value
from nmt.recipe_file import differences
from nmt.run_dir import (
    METRICS,
    RECIPE,
    SCORES,
    TOKENIZER,
    TrainingState,
    load_stored_recipe,
    load_training,
    save_setup,
)
from nmt.train.loop import TrainingLoop
from nmt.train.prepare import Corpora, StreamMaker, as_test_set, describe, make_stream, new_tokenizers, open_corpora
from nmt.train.progress import Display, MetricsFile, Sink, close_all
from nmt.train.trainer import Trainer
from nmt.train.validation import Validator
from nmt.translator import load

# Keys in which a recipe may differ from that of the run it goes on with.
HARMLESS = ("name", "data.folder", "train.threads", "train.samples", "train.save_every", "train.tensorboard")
SHARE_FOR_TRAINING = 0.9  # of `max_minutes`; the rest is for validations and test sets
SPEED_SHARE = 0.03  # of `max_minutes`, to measure the speed of the first steps
TEMPORARY = ".*.tmp"  # what a kill in the middle of an atomic write leaves behind
WARM_STEPS = 5  # are slower than those after them and not measured

SinkMaker = Callable[[Path, int], Sink]  # (run folder, step to go on from)


@dataclass
class TrainingRun:
    """One training on its way through a run folder."""

    recipe: Recipe
    run: Path
    console: Console
    begin: float  # time.monotonic() when the command began: what `max_minutes` counts from
    minutes: float = 0.0  # the `max_minutes` that `max_steps` comes from

    def execute(self, extra_sinks: Sequence[SinkMaker] = ()) -> list[ScoredTestSet]:
        """Train, or go on where the run stopped, and score the test sets; the rows of `scores.json`."""
        if self.recipe.train.threads:
            torch.set_num_threads(self.recipe.train.threads)
        saved = self._saved_state()
        with self.console.status("reading the text"):
            corpora = open_corpora(self.recipe.data)
            description = describe(corpora)
        for line in description:
            self._say(line)
        self._check_data(saved, corpora)
        with self.console.status("training the tokenizer"):
            if saved is None:
                tokenizers = new_tokenizers(self.recipe.tokenizer, corpora.train)
            else:
                tokenizers = TokenizerPair.load(self.run / TOKENIZER)
            stream = make_stream(self.recipe, corpora.train, tokenizers)
        if saved is None:
            if self.recipe.train.max_minutes > 0:
                with self.console.status("measuring the speed"):
                    self._settle_steps(tokenizers, stream)
            save_setup(self.run, self.recipe, tokenizers)
        trainer = self._trainer(self.recipe.train, tokenizers, stream, saved)
        if not trainer.finished:
            (self.run / SCORES).unlink(missing_ok=True)  # of an earlier model, from an evaluation in mid-training
        self._train(trainer, tokenizers, corpora, extra_sinks)
        return self._score(corpora)

    def _say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, highlight=False, markup=False)

    def _saved_state(self) -> TrainingState | None:
        """The state to go on from, where the folder holds one. Adopts the step count that `max_minutes` came to."""
        if not (self.run / RECIPE).exists():
            return None
        stored = load_stored_recipe(self.run)
        saved = load_training(self.run)
        minutes = self.recipe.train.max_minutes
        if minutes > 0 and (saved is None or saved.values["max_minutes"] == minutes):
            train = self.recipe.train.model_copy(update={"max_minutes": 0.0, "max_steps": stored.train.max_steps})
            self.recipe = self.recipe.model_copy(update={"train": train})
        changed = {key: pair for key, pair in differences(stored, self.recipe).items() if key not in HARMLESS}
        if changed:
            lines = [f"  {key}: {toml_value(old)} there, {toml_value(new)} now" for key, (old, new) in changed.items()]
            raise RecipeError(
                "\n".join([f"{self.run} holds a run of another recipe:", *lines])
                + "\nuse another --run-dir, or --fresh to begin anew (the old run is kept beside it)"
            )
        if saved is not None:
            self.minutes = saved.values["max_minutes"]
            step = Trainer.saved_step(saved)
            self._say(f"going on in {self.run} after step {step} of {self.recipe.train.max_steps}")
        return saved

    def _check_data(self, saved: TrainingState | None, corpora: Corpora) -> None:
        if saved is not None and saved.values["data"] != corpora.fingerprint:
            raise CheckpointError(
                f"{self.run}: the training or validation text is not what this run began with (its SHA-256 differs); "
                "restore the text, or begin anew with --fresh"
            )

    def _trainer(
        self, section: TrainSection, tokenizers: TokenizerPair, stream: StreamMaker, saved: TrainingState | None
    ) -> Trainer:
        """A trainer of a new model, or of the saved one; the same seed makes the same."""
        torch.manual_seed(section.seed)
        model = new_model(self.recipe, tokenizers).to("cuda" if torch.cuda.is_available() else "cpu")
        return Trainer(section=section, model=model, stream=stream, saved=saved)

    def _settle_steps(self, tokenizers: TokenizerPair, stream: StreamMaker) -> None:
        """Turn `max_minutes` into `max_steps` by the speed of some steps, which are then thrown away.

        So a run with a time limit is, from its first step on, the same as one with that `max_steps` in its recipe.
        """
        section = self.recipe.train
        sampled = section.sampled_share if section.sampled_softmax > 0 else 0.0
        full = section.model_copy(update={"sampled_softmax": 0})
        seconds_per_step = sum(
            share * self._seconds_per_step(kind, tokenizers, stream)
            for kind, share in ((section, sampled), (full, 1.0 - sampled))
            if share > 0
        )
        left = 60 * section.max_minutes * SHARE_FOR_TRAINING - (time.monotonic() - self.begin)
        max_steps = max(1, int(left / seconds_per_step))
        self._say(
            f"{section.max_minutes:g} minutes at {1 / seconds_per_step:.1f} steps/s: train.max_steps = {max_steps}"
        )
        self.minutes = section.max_minutes
        train = section.model_copy(update={"max_minutes": 0.0, "max_steps": max_steps})
        self.recipe = self.recipe.model_copy(update={"train": train})

    def _seconds_per_step(self, section: TrainSection, tokenizers: TokenizerPair, stream: StreamMaker) -> float:
        trainer = self._trainer(section, tokenizers, stream, None)
        for _ in range(WARM_STEPS):
            trainer.update()
        begin, steps = time.monotonic(), 0
        while time.monotonic() - begin < SPEED_SHARE * 60 * section.max_minutes or steps < WARM_STEPS:
            trainer.update()
            steps += 1
        return (time.monotonic() - begin) / steps

    def _train(
        self, trainer: Trainer, tokenizers: TokenizerPair, corpora: Corpora, extra_sinks: Sequence[SinkMaker]
    ) -> None:
        section = self.recipe.train
        parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
        self._say(f"model: {parameters:,} parameters, vocabulary {tokenizers.tgt.vocab_size:,}, {trainer.device}")
        step = trainer.progress.step
        sinks = [MetricsFile(self.run / METRICS, from_step=step), *(make(self.run, step) for make in extra_sinks)]
        loop = TrainingLoop(
            trainer=trainer,
            run=self.run,
            display=Display(self.console, total_steps=section.max_steps, step=step),
            sinks=sinks,
            validate=Validator(trainer.model, tokenizers, self.recipe, as_test_set("valid", corpora.valid)),
            tgt_lang=self.recipe.data.tgt_lang,
            constants={"data": corpora.fingerprint, "max_minutes": self.minutes},
        )
        try:
            loop.run_to_the_end()
        finally:
            close_all(sinks)

    def _score(self, corpora: Corpora) -> list[ScoredTestSet]:
        """Score the best model on every test set."""
        test_sets = [as_test_set(name, corpus) for name, corpus in corpora.tests.items()]
        return evaluate_run(
            self.run,
            load(self.run),
            test_sets,
            metrics=METRICS_BY_DEFAULT,
            data=self.recipe.data,
            console=self.console,
        )


def train(
    recipe: Recipe, run: Path, console: Console, *, fresh: bool = False, sinks: Sequence[SinkMaker] = ()
) -> list[ScoredTestSet]:
    """Train a recipe in a run folder; a run that is there already goes on, one that is finished is only scored again.

    `fresh` moves an existing run aside and begins anew. Raises NmtError for all that a user can mend.
    """
    begin = time.monotonic()
    _check_folder(run)
    if fresh and (run / RECIPE).exists():
        run = run.absolute()  # "." would move along
        console.print(f"the run of before is kept in {_move_aside(run)}", soft_wrap=True, highlight=False, markup=False)
    return TrainingRun(recipe, run, console, begin).execute(sinks)


def new_model(recipe: Recipe, tokenizers: TokenizerPair) -> AnyModel:
    """A model of the recipe's shape, drawn from torch's global random generator."""
    return build_model(recipe.model, src_vocab_size=tokenizers.src.vocab_size, tgt_vocab_size=tokenizers.tgt.vocab_size)


def _move_aside(run: Path) -> Path:
    """Rename a run folder and put an empty one in its place; the new name of the old one."""
    names = (run.with_name(f"{run.name}.old{number}") for number in count(1))
    aside = next(path for path in names if not path.exists())
    try:
        run.rename(aside)
        run.mkdir()
    except OSError as error:
        raise OutputError(
            f"{run}: cannot be moved aside to {aside}: {error.strerror}; name another folder with --run-dir"
        ) from error
    return aside


def _check_folder(run: Path) -> None:
    """Make the run folder, and refuse one that cannot be written or holds something else than a run."""
    try:
        run.mkdir(parents=True, exist_ok=True)
        names = {file.name for file in run.iterdir() if not fnmatch(file.name, TEMPORARY)}
    except OSError as error:
        raise OutputError(f"{run}: cannot be the run folder: {error.strerror}") from error
    if names and RECIPE not in names:
        raise OutputError(f"{run}: a folder with other things in it; name an empty or a new one with --run-dir")
    if not os.access(run, os.W_OK):
        raise OutputError(f"{run}: cannot be written; name another folder with --run-dir")
