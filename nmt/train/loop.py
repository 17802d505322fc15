"""A trainer at work in a run folder: reports, validates, keeps the best model, saves, stops when asked to."""

import signal as signals
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from nmt.checkpoint import Checkpoints, TrainingState
from nmt.errors import Divergence, Interrupted, TrainingError
from nmt.run_dir import HYPOTHESES, save_model, write_lines
from nmt.train.gradients import is_out_of_memory
from nmt.train.interrupts import Stopped, StopWish, stop_wish
from nmt.train.progress import Display, Sink, Values
from nmt.train.trainer import Trainer
from nmt.train.validation import BLEU, Criterion, Validation

MAX_ROLLBACKS = 5  # in one training


@dataclass
class TrainingLoop:
    """Drives one trainer. Of a team, all drive theirs in step, and the first alone writes and prints."""

    trainer: Trainer
    run: Path
    checkpoints: Checkpoints
    display: Display
    sinks: Sequence[Sink]
    validate: Callable[[], Validation]
    tgt_lang: str
    constants: Mapping[str, object]  # saved with the training state, to recognise the data by
    criterion: Criterion = BLEU
    failures: int = 0  # divergences since the last saved state

    def run_to_the_end(self) -> None:
        """Train until all steps are done or patience runs out.

        Raises Interrupted after a signal, everything saved, and TrainingError where training diverges again and again.
        """
        trainer = self.trainer
        with stop_wish(repeats_act=trainer.team.size == 1) as wish, self.display:
            if trainer.progress.step == 0:
                self._save(None)  # what a divergence goes back to; and a disk that takes no checkpoint is noticed now
            while not trainer.finished:
                try:
                    if not trainer.progress.validation_due:
                        self._step()
                    stop = self._after_step(wish)
                except Divergence as fault:
                    self._roll_back(fault)
                    continue
                if stop:
                    trainer.team.meet()  # `torchrun` ends all when the first leaves: not before everything is saved
                    if not trainer.team.leads:
                        sys.exit(128 + (wish.signal or signals.SIGTERM))
                    raise Interrupted(
                        f"stopped by {'another process' if wish.signal is None else wish.signal.name} after step "
                        f"{trainer.progress.step}; saved in {self.run}. "
                        "Run the same command again, without --fresh, to go on.",
                        signal_number=wish.signal or signals.SIGTERM,
                    )

    def _step(self) -> None:
        """One step, and its report where it is due."""
        section, progress = self.trainer.section, self.trainer.progress
        self.trainer.update()
        last = progress.step == section.max_steps
        self.display.advance(progress.step)
        if last or progress.step % section.log_every == 0:
            self._report()
        progress.validation_due = last or progress.step % section.validate_every == 0

    def _after_step(self, wish: StopWish) -> bool:
        """Validate and save where it is due. True: a signal came; all is saved, and what it interrupted still due."""
        trainer, score, better = self.trainer, None, False
        stop = trainer.team.any(wish.signal is not None)
        if trainer.progress.validation_due and not stop:
            try:
                score, better = self._validate(wish)
            except Stopped:
                stop = True
        sound = trainer.progress.lost == 0
        due = trainer.progress.step % trainer.section.save_every == 0 or better  # the best model is never ahead of it
        if trainer.finished or stop or (sound and due):
            self._save(score)
        return stop

    def _save(self, score: float | None) -> None:
        """Write the training state; `score` is that of a validation at this very step."""
        state = self.trainer.state()
        progress = self.trainer.progress
        sound = progress.lost == 0 and not progress.validation_due  # which may find it diverged
        if self.trainer.team.leads:
            full = TrainingState(state.tensors, {**state.values, **self.constants})
            self.checkpoints.save(progress.step, full, bleu=score, sound=sound)
        self.failures = 0

    def _roll_back(self, fault: Divergence) -> None:
        """Go back to the last sound state, with half of the learning rate, twice in a row with a quarter, and so on."""
        trainer = self.trainer
        saved = self.checkpoints.newest(sound=True)
        self.failures += 1
        if saved is None or Trainer.saved_progress(saved).rollbacks + self.failures > MAX_ROLLBACKS:
            raise TrainingError(
                f"{fault}, for all that lower rates were tried; what was saved before is unharmed: "
                "begin anew with --fresh and a lower train.learning_rate, or with more clipping (train.clip_norm)"
            ) from fault
        trainer.restore(saved, slower=0.5**self.failures)
        trainer.progress.rollbacks += self.failures
        step = trainer.progress.step
        for sink in self.sinks:
            sink.rewind(step)
        self.display.line(
            f"warning: {fault}: back to step {step}, with {trainer.progress.lr_factor:g} times the learning rate"
        )
        self._write({"event": "rollback", "step": step, "learning_rate_factor": trainer.progress.lr_factor})

    def _report(self) -> None:
        values, best = self.trainer.report(), self.trainer.progress.best_bleu
        named = {f"best_{self.criterion.name}": None if best is None else self.criterion.sign * best}
        self.display.report(values, **named)
        self._write(values)

    def _validate(self, wish: StopWish) -> tuple[float, bool]:
        """Its score, and whether that is the best so far. Raises Stopped at a signal, nothing changed."""
        begin, criterion = time.perf_counter(), self.criterion
        alone = self.trainer.team.size == 1  # the others would wait for one that left
        with self.trainer.validation_weights() as weights:
            with wish.obeyed_at_once() if alone else nullcontext():
                validation = self._validation()
            score = criterion.sign * validation.scores[criterion.name]
            better = self.trainer.validated(score)
            self.trainer.progress.validation_due = False
            if better and self.trainer.team.leads:
                save_model(self.run, weights)
                if validation.hypotheses:
                    write_lines(self.run / HYPOTHESES / f"valid.hyp.{self.tgt_lang}", validation.hypotheses)
        seconds = time.perf_counter() - begin
        self.trainer.progress.seconds += seconds
        values: Values = {
            "event": "valid",
            "step": self.trainer.progress.step,
            **validation.scores,
            f"best_{criterion.name}": criterion.sign * (self.trainer.progress.best_bleu or 0.0),
            "seconds": seconds,
            "elapsed_seconds": self.trainer.progress.seconds,
        }
        self.display.validated(values, validation.samples, better=better)
        self._write(values)
        return score, better

    def _validation(self) -> Validation:
        try:
            return self.validate()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise TrainingError(
                "memory ran out in a validation; lower search.batch_tokens, or train.batch_tokens: what was saved is "
                "unharmed, but goes on with the same recipe only"
            ) from error

    def _write(self, values: Values) -> None:
        for sink in self.sinks:
            sink.write(values)
