"""A trainer at work in a run folder: reports, validates, keeps the best model, saves, stops when asked to."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.errors import Interrupted
from nmt.run_dir import HYPOTHESES, TrainingState, save_model, save_training, write_lines
from nmt.train.interrupts import stop_wish
from nmt.train.progress import Display, Sink, Values
from nmt.train.trainer import Trainer
from nmt.train.validation import Validation


@dataclass
class TrainingLoop:
    """Drives one trainer."""

    trainer: Trainer
    run: Path
    display: Display
    sinks: Sequence[Sink]
    validate: Callable[[], Validation]
    tgt_lang: str
    constants: Mapping[str, object]  # saved with the training state, to recognise the data by

    def run_to_the_end(self) -> None:
        """Train until all steps are done or patience runs out. Raises Interrupted after a signal, everything saved."""
        section, trainer = self.trainer.section, self.trainer
        with stop_wish() as wish, self.display:
            while not trainer.finished:
                trainer.update()
                step = trainer.progress.step
                last = step == section.max_steps
                self.display.advance(step)
                if last or step % section.log_every == 0:
                    self._report()
                if last or step % section.validate_every == 0:
                    self._validate()
                if trainer.finished or wish.signal is not None or step % section.save_every == 0:
                    self.save()
                if wish.signal is not None and not trainer.finished:
                    raise Interrupted(
                        f"stopped by {wish.signal.name} after step {step}; saved in {self.run}. "
                        "Run the same command again, without --fresh, to go on.",
                        signal_number=wish.signal,
                    )

    def save(self) -> None:
        """Write the training state."""
        state = self.trainer.state()
        save_training(self.run, TrainingState(state.tensors, {**state.values, **self.constants}))

    def _report(self) -> None:
        values = self.trainer.report()
        self.display.report(values, self.trainer.progress.best_bleu)
        self._write(values)

    def _validate(self) -> None:
        begin = time.perf_counter()
        with self.trainer.validation_weights() as weights:
            validation = self.validate()
            better = self.trainer.validated(validation.bleu)
            if better:
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

    def _write(self, values: Values) -> None:
        for sink in self.sinks:
            sink.write(values)
