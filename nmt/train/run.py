"""A whole training: from a recipe to a trained, scored run folder."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from nmt.allocator import keep_freed_memory
from nmt.checkpoint import Checkpoints, TrainingState
from nmt.data.tokenizer import TokenizerPair
from nmt.engine.fast import is_plain
from nmt.errors import CheckpointError, RecipeError
from nmt.evaluate import METRICS_BY_DEFAULT, ScoredTestSet, evaluate_language_model, evaluate_run
from nmt.loading import load
from nmt.model.build import AnyModel, build_model
from nmt.recipe import Recipe, TrainSection
from nmt.recipe_file import differences
from nmt.recipe_keys import toml_value
from nmt.run_dir import (
    CHECKPOINTS,
    METRICS,
    MODEL,
    RECIPE,
    SCORES,
    TOKENIZER,
    clear_temporary,
    has_shortlist,
    load_any_model,
    load_stored_recipe,
    save_setup,
    save_shortlist,
    sole_writer,
)
from nmt.train.adopted import adopt_tokenizers, check_still_theirs, with_keys_of
from nmt.train.checks import check_room, check_text, text_sums
from nmt.train.distributed import ALONE, Team, open_team, restarted
from nmt.train.interrupts import stopped_at_once
from nmt.train.loop import TrainingLoop
from nmt.train.prepare import Corpora, StreamMaker, as_test_set, describe, make_stream, new_tokenizers, open_corpora
from nmt.train.progress import Display, MetricsFile, Sink, close_all
from nmt.train.run_folder import check_folder, move_aside, what_is_left
from nmt.train.shortlist import learn_shortlist
from nmt.train.trainer import Trainer
from nmt.train.validation import BLEU, PPL, Validator

# Keys in which a recipe may differ from that of the run it goes on with.
HARMLESS = (
    "name",
    "data.folder",
    "train.threads",
    "train.samples",
    "train.save_every",
    "train.keep_last",
    "train.keep_best",
    "train.accumulate",
    "train.tensorboard",
)
SHARE_FOR_TRAINING = 0.9  # of `max_minutes`; the rest is for validations and test sets
SPEED_SHARE = 0.03  # of `max_minutes`, to measure the speed of the first steps
WARM_STEPS = 5  # are slower than those after them and not measured

SinkMaker = Callable[[Path, int], Sink]  # (run folder, step to go on from)


@dataclass
class TrainingRun:
    """One training on its way through a run folder."""

    recipe: Recipe
    run: Path
    console: Console
    begin: float  # time.monotonic() when the command began: what `max_minutes` counts from
    team: Team = ALONE
    minutes: float = 0.0  # the `max_minutes` that `max_steps` comes from

    def execute(self, extra_sinks: Sequence[SinkMaker] = ()) -> list[ScoredTestSet]:
        """Train, or go on where the run stopped, and score the test sets; the rows of `scores.json`."""
        if self.recipe.train.threads:
            torch.set_num_threads(self.recipe.train.threads)
        saved = self._saved_state()
        with self.team.leader_first():
            corpora = open_corpora(self.recipe.data, console=self.console)
            description = describe(corpora) if self.team.leads else []
        for line in description:
            self._say(line)
        if saved is not None:
            check_text(self.run, saved, corpora)
        with self.console.status("training the tokenizer"):
            tokenizers = self._new_tokenizers(corpora) if saved is None else self._stored_tokenizers()
        with self.team.leader_first():
            stream = make_stream(self.recipe, corpora.train, tokenizers, console=self.console)
        self.team.keep_pace()
        keep_freed_memory()  # from here on: what was freed of the text is not needed again
        if saved is None:
            if self.recipe.train.max_minutes > 0:
                with self.console.status("measuring the speed"):
                    self._settle_steps(tokenizers, stream)
            if self.team.leads:
                save_setup(self.run, self.recipe, tokenizers)
        trainer = self._trainer(self.recipe.train, tokenizers, stream, saved)
        if self.team.leads and not trainer.finished:
            check_room(self.run, self.recipe.train, trainer.model)
            (self.run / SCORES).unlink(missing_ok=True)  # of an earlier model, from an evaluation in mid-training
        self._train(trainer, tokenizers, corpora, extra_sinks)
        if self.team.leads and is_plain(trainer.model) and not has_shortlist(self.run):
            with self.console.status("learning the shortlist"):
                save_shortlist(self.run, learn_shortlist(corpora.train, tokenizers).to_bytes())
        return self._score(corpora) if self.team.leads else []

    def _new_tokenizers(self, corpora: Corpora) -> TokenizerPair:
        """Trained by the first process, for all, or taken from another run; the recipe then says what they are."""
        recipe, sides = self.recipe, ("src", "tgt") if self.recipe.model.translates else ("tgt",)
        found = None
        if self.team.leads and recipe.tokenizer.run:
            found = adopt_tokenizers(recipe)
        elif self.team.leads:
            found = recipe, new_tokenizers(recipe.tokenizer, corpora.train, sides)
        found = self.team.follow(found)
        assert found is not None
        self.recipe, pair = found
        return pair

    def _stored_tokenizers(self) -> TokenizerPair:
        pair = TokenizerPair.load(self.run / TOKENIZER)
        if self.recipe.tokenizer.run:
            check_still_theirs(self.recipe, pair)
        return pair

    def _say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, highlight=False, markup=False)

    def _checkpoints(self) -> Checkpoints:
        section = self.recipe.train
        return Checkpoints(self.run, keep_last=section.keep_last, keep_best=section.keep_best)

    def _saved_state(self) -> TrainingState | None:
        """The state to go on from, where the folder holds one. Adopts the step count that `max_minutes` came to."""
        if not (self.run / RECIPE).exists():
            return None
        try:
            stored = load_stored_recipe(self.run)
        except CheckpointError as error:
            raise CheckpointError(
                f"{error}\nput it back as it was, use another --run-dir, or --fresh to begin anew (the old run is kept "
                "beside it)"
            ) from error
        checkpoints = self._checkpoints()
        saved = checkpoints.newest()
        for warning in checkpoints.warnings:
            self._say(f"warning: {warning}")
        minutes = self.recipe.train.max_minutes
        flexible: tuple[str, ...] = HARMLESS
        if saved is None and minutes > 0:
            flexible += ("train.max_minutes", "train.max_steps")  # nothing was trained: the speed is measured anew
        elif saved is not None and minutes > 0 and saved.values["max_minutes"] == minutes:
            train = self.recipe.train.model_copy(update={"max_minutes": 0.0, "max_steps": stored.train.max_steps})
            self.recipe = self.recipe.model_copy(update={"train": train})
        if self.recipe.tokenizer.run and self.recipe.tokenizer.run == stored.tokenizer.run:
            self.recipe = with_keys_of(self.recipe, stored, joint=stored.tokenizer.joint)
        changed = {key: pair for key, pair in differences(stored, self.recipe).items() if key not in flexible}
        if changed:
            lines = [f"  {key}: {toml_value(old)} there, {toml_value(new)} now" for key, (old, new) in changed.items()]
            raise RecipeError(
                "\n".join([f"{self.run} holds a run of another recipe:", *lines])
                + "\nuse another --run-dir, or --fresh to begin anew (the old run is kept beside it)"
            )
        if saved is None and (self.run / MODEL).exists():
            raise CheckpointError(
                f"{self.run / MODEL}: a trained model, but {self.run / CHECKPOINTS} holds nothing to go on from, and a "
                "training from the first step would replace it: put the checkpoints back, use another --run-dir, or "
                "--fresh to begin anew (the old run is kept beside it)"
            )
        if saved is not None:
            self.minutes = saved.values["max_minutes"]
            step = Trainer.saved_progress(saved).step
            self._say(f"going on in {self.run} after step {step} of {self.recipe.train.max_steps}")
        return saved

    def _trainer(
        self, section: TrainSection, tokenizers: TokenizerPair, stream: StreamMaker, saved: TrainingState | None
    ) -> Trainer:
        """A trainer of a new model, or of the saved one; the same seed makes the same."""
        torch.manual_seed(section.seed)
        model = new_model(self.recipe, tokenizers).to(self.team.device)
        return Trainer(section=section, model=model, stream=stream, saved=saved, team=self.team)

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
        max_steps = self.team.follow(max(1, int(left / seconds_per_step)))
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
        end = begin + SPEED_SHARE * 60 * section.max_minutes
        while steps < WARM_STEPS or self.team.follow(time.monotonic() < end):
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
        sinks: list[Sink] = []
        if self.team.leads:
            file = MetricsFile(self.run / METRICS, from_step=step)
            if file.spoiled:
                self._say(f"warning: {self.run / METRICS}: {file.spoiled} of its lines were damaged, and are left out")
            sinks = [file, *(make(self.run, step) for make in extra_sinks)]
        loop = TrainingLoop(
            trainer=trainer,
            run=self.run,
            checkpoints=self._checkpoints(),
            display=Display(self.console, total_steps=section.max_steps, step=step),
            sinks=sinks,
            validate=Validator(trainer.model, tokenizers, self.recipe, as_test_set("valid", corpora.valid), self.team),
            tgt_lang=self.recipe.data.tgt_lang,
            constants={"data": corpora.fingerprint, "texts": text_sums(corpora), "max_minutes": self.minutes},
            criterion=BLEU if self.recipe.model.translates else PPL,
        )
        try:
            loop.run_to_the_end()
        finally:
            close_all(sinks)

    def _score(self, corpora: Corpora) -> list[ScoredTestSet]:
        """Score the best model on every test set."""
        test_sets = [as_test_set(name, corpus) for name, corpus in corpora.tests.items()]
        if not self.recipe.model.translates:
            return evaluate_language_model(self.run, load_any_model(self.run), test_sets, console=self.console)
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
    with open_team() as team, stopped_at_once(lambda: what_is_left(run)), ExitStack() as locks:
        if team.leads:
            check_folder(run)
            if fresh and not restarted() and (run / RECIPE).exists():
                run = run.absolute()  # "." would move along
                with sole_writer(run):
                    aside = move_aside(run)
                console.print(f"the run of before is kept in {aside}", soft_wrap=True, highlight=False, markup=False)
            locks.enter_context(sole_writer(run))
            clear_temporary(run)
        else:
            console = Console(quiet=True)
        team.meet()
        return TrainingRun(recipe, run, console, begin, team).execute(sinks)


def new_model(recipe: Recipe, tokenizers: TokenizerPair) -> AnyModel:
    """A model of the recipe's shape, drawn from torch's global random generator."""
    return build_model(recipe.model, src_vocab_size=tokenizers.src.vocab_size, tgt_vocab_size=tokenizers.tgt.vocab_size)
