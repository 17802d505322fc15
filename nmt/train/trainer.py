"""The training loop: batches to weights, one optimizer step after the other, able to stop and go on anywhere."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from nmt.data.batches import Batch, BatchStream, Position
from nmt.errors import TrainingError
from nmt.model.build import AnyModel
from nmt.model.loss import Loss, agreement_loss, sampled_loss, smoothed_loss
from nmt.model.model import real_positions
from nmt.recipe import TrainSection
from nmt.run_dir import TrainingState
from nmt.train.optim import LearningRate, MovingAverage, build_optimizer
from nmt.train.progress import Values, mean_report


@dataclass
class Progress:
    """How far a training has come; all of it is saved with the weights."""

    step: int = 0
    position: Position = field(default_factory=lambda: Position(0, 0))
    best_bleu: float | None = None
    best_step: int = 0
    since_best: int = 0  # validations
    lr_factor: float = 1.0
    lr_waited: int = 0
    totals: dict[str, float] = field(default_factory=dict)  # since the last report
    seconds: float = 0.0  # of training and validating, interruptions left out

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> "Progress":
        """What `as_json` gave."""
        progress = cls(**values)  # type: ignore[arg-type]
        progress.position = Position(**progress.position)  # type: ignore[arg-type]
        return progress


class Trainer:
    """One model in training. Everything that decides how it goes on is in `state()`."""

    def __init__(
        self,
        *,
        section: TrainSection,
        model: AnyModel,
        stream: Callable[[Position], BatchStream],
        saved: TrainingState | None = None,
    ) -> None:
        """`stream` gives the batches from a position on; `saved` is what an earlier trainer's `state()` was."""
        self.section = section
        self.model = model
        self.device = next(model.parameters()).device
        self.optimizer = build_optimizer(section, model.parameters())
        self.progress = Progress()
        self.average = None
        if section.ema_decay > 0:
            self.average = MovingAverage(model.weights(), decay=section.ema_decay)
        if saved is not None:
            self._restore(saved)
        self.rate = LearningRate(section, factor=self.progress.lr_factor, waited=self.progress.lr_waited)
        self._batches = iter(stream(self.progress.position))

    def update(self) -> Loss:
        """One optimizer step on the next batch. Raises TrainingError where the gradient is not finite."""
        begin = time.perf_counter()
        self.model.train()
        position, batch = next(self._batches)
        learning_rate = self.rate.at(self.progress.step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        loss = self._loss(batch.to(self.device))
        self.optimizer.zero_grad()
        (loss.total / loss.tokens).backward()  # type: ignore[no-untyped-call]
        norm = clip_grad_norm_(self.model.parameters(), self.section.clip_norm or math.inf)
        if not math.isfinite(norm):
            raise TrainingError(
                f"step {self.progress.step + 1}: the gradient is {float(norm)}: training diverged; what was saved "
                f"before is unharmed: begin anew with --fresh and a lower train.learning_rate than {learning_rate:g}"
            )
        self.optimizer.step()
        self.progress.step += 1
        self.progress.position = position
        if self.average is not None:
            self.average.update(self.model.weights(), self.progress.step)
        self._count(loss, float(norm), time.perf_counter() - begin)
        return loss

    def report(self) -> Values:
        """Means since the last report."""
        epoch = self.progress.position.epoch
        learning_rate = self.rate.at(self.progress.step - 1)
        values = mean_report(self.progress.step, epoch, self.progress.totals, learning_rate)
        values["elapsed_seconds"] = self.progress.seconds
        self.progress.totals = {}
        return values

    def validated(self, bleu: float) -> bool:
        """Take note of a validation; True if it is the best so far."""
        progress = self.progress
        better = progress.best_bleu is None or bleu > progress.best_bleu
        if better:
            progress.best_bleu, progress.best_step = bleu, progress.step
        progress.since_best = 0 if better else progress.since_best + 1
        self.rate.validated(better=better)
        progress.lr_factor, progress.lr_waited = self.rate.factor, self.rate.waited
        return better

    @property
    def finished(self) -> bool:
        """All steps are done, or patience has run out."""
        out_of_patience = 0 < self.section.patience <= self.progress.since_best
        return self.progress.step >= self.section.max_steps or out_of_patience

    @contextmanager
    def validation_weights(self) -> Iterator[dict[str, Tensor]]:
        """The model in evaluation mode, with averaged weights where there are any; yields its weights."""
        trained = {name: tensor.clone() for name, tensor in self.model.weights().items()}
        self.model.eval()
        try:
            if self.average is not None:
                self.model.load_weights(self.average.weights)
            yield self.model.weights()
        finally:
            self.model.load_weights(trained)

    def state(self) -> TrainingState:
        """All that another trainer needs to go on as this one would."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.weights().items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in values.items() if tensor is not None}
        if self.average is not None:
            tensors |= {f"average.{name}": tensor for name, tensor in self.average.weights.items()}
        tensors["random"] = torch.get_rng_state()
        copies = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        return TrainingState(copies, {"progress": self.progress.as_json()})

    @staticmethod
    def saved_step(saved: TrainingState) -> int:
        """How many steps a saved state has behind it."""
        return Progress.from_json(saved.values["progress"]).step

    def _restore(self, saved: TrainingState) -> None:
        self.model.load_weights(_under("model.", saved.tensors))
        optimizer = self.optimizer.state_dict()
        states: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimizer.", saved.tensors).items():
            index, _, key = name.partition(".")
            states.setdefault(int(index), {})[key] = tensor
        self.optimizer.load_state_dict({**optimizer, "state": states})
        if self.average is not None:
            self.average.weights = {k: t.to(self.device) for k, t in _under("average.", saved.tensors).items()}
        torch.set_rng_state(saved.tensors["random"])
        self.progress = Progress.from_json(saved.values["progress"])

    def _loss(self, batch: Batch) -> Loss:
        section = self.section
        if section.agreement > 0:
            batch = batch.twice()
        readouts = self.model.readouts(batch.src, batch.src_lengths, batch.tgt_in, batch.tgt_lengths)
        tgt = real_positions(batch.tgt_out, batch.tgt_lengths)
        smoothing = section.label_smoothing
        if section.agreement > 0:
            logits = self.model.output(readouts)
            return agreement_loss(logits, tgt.chunk(2)[0], label_smoothing=smoothing, weight=section.agreement)
        if section.sampled_softmax > 0 and self.progress.step < section.sampled_share * section.max_steps:
            samples = section.sampled_softmax
            return sampled_loss(readouts, tgt, self.model.output, samples=samples, label_smoothing=smoothing)
        return smoothed_loss(self.model.output(readouts), tgt, label_smoothing=smoothing)

    def _count(self, loss: Loss, norm: float, seconds: float) -> None:
        counted = {
            "tokens": loss.tokens,
            "loss": float(loss.total.detach()),
            "nll": float(loss.nll),
            "gradient_norm": norm,
            "steps": 1,
            "seconds": seconds,
        }
        self.progress.seconds += seconds
        totals = self.progress.totals
        self.progress.totals = {name: totals.get(name, 0.0) + value for name, value in counted.items()}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
