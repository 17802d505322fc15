"""A trainer at work in a run folder: reports, validates, keeps the best model, saves, stops when asked to."""

import math
import signal as signals
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.checkpoint import Checkpoints, TrainingState
from nmt.errors import Interrupted, TrainingError
from nmt.run_dir import HYPOTHESES, save_model, write_lines
from nmt.train.interrupts import stop_wish
from nmt.train.progress import Display, Sink, Values
from nmt.train.trainer import Divergence, Trainer
from nmt.train.validation import Validation

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
                    trainer.update()
                except Divergence as fault:
                    self._roll_back(fault)
                    continue
                stop = trainer.team.any(wish.signal is not None)
                self._after_step(stop)
                if stop and not trainer.finished:
                    name = "another process" if wish.signal is None else wish.signal.name
                    raise Interrupted(
                        f"stopped by {name} after step {trainer.progress.step}; saved in {self.run}. "
                        "Run the same command again, without --fresh, to go on.",
                        signal_number=wish.signal or signals.SIGTERM,
                    )

    def _after_step(self, stop: bool) -> None:
        """Whatever is due after a step."""
        section, trainer = self.trainer.section, self.trainer
        step = trainer.progress.step
        last = step == section.max_steps
        self.display.advance(step)
        if last or step % section.log_every == 0:
            self._report()
        bleu = self._validate() if last or step % section.validate_every == 0 else None
        sound = trainer.progress.lost == 0  # a state to go back to
        if trainer.finished or stop or (sound and step % section.save_every == 0):
            self._save(bleu)

    def _save(self, bleu: float | None) -> None:
        """Write the training state; `bleu` is that of a validation at this very step."""
        state = self.trainer.state()
        if self.trainer.team.leads:
            full = TrainingState(state.tensors, {**state.values, **self.constants})
            self.checkpoints.save(self.trainer.progress.step, full, bleu=bleu)
        self.failures = 0

    def _roll_back(self, fault: Divergence) -> None:
        """Go back to the last saved state, with half of the learning rate, twice in a row with a quarter, and so on."""
        trainer = self.trainer
        saved = self.checkpoints.newest()
        self.failures += 1
        if saved is None or Trainer.saved_rollbacks(saved) + self.failures > MAX_ROLLBACKS:
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
        values = self.trainer.report()
        self.display.report(values, self.trainer.progress.best_bleu)
        self._write(values)

    def _validate(self) -> float:
        begin = time.perf_counter()
        with self.trainer.validation_weights() as weights:
            validation = self.validate()
            better = self.trainer.validated(validation.bleu)
            if better and self.trainer.team.leads:
                save_model(self.run, weights)
                write_lines(self.run / HYPOTHESES / f"valid.hyp.{self.tgt_lang}", validation.hypotheses)
        seconds = time.perf_counter() - begin
        self.trainer.progress.seconds += seconds
        values: Values = {
            "event": "valid",
            "step": self.trainer.progress.step,
            "bleu": validation.bleu,
            "ppl": math.exp(min(validation.nll, 100.0)),
            "best_bleu": self.trainer.progress.best_bleu or 0.0,
            "seconds": seconds,
            "elapsed_seconds": self.trainer.progress.seconds,
        }
        self.display.validated(values, validation.samples, better=better)
        self._write(values)
        return validation.bleu

    def _write(self, values: Values) -> None:
        for sink in self.sinks:
            sink.write(values)
