"""The training loop: batches to weights, one optimizer step after the other, able to stop and go on anywhere."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from nmt.checkpoint import TrainingState
from nmt.data.batches import BatchStream, Position
from nmt.errors import Divergence
from nmt.model.build import AnyModel
from nmt.model.loss import Loss
from nmt.recipe import TrainSection
from nmt.train.distributed import ALONE, Team
from nmt.train.gradients import Gradients
from nmt.train.optim import LearningRate, MovingAverage, build_optimizer
from nmt.train.progress import Values, mean_report

LOST_STEPS = 10  # in a row with a loss beyond all guessing are a divergence


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
    lost: int = 0  # steps in a row with a loss beyond all guessing
    rollbacks: int = 0
    validation_due: bool = False  # after this step, and not done yet
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
        team: Team = ALONE,
    ) -> None:
        """`stream` gives the batches from a position on; `saved` is what an earlier trainer's `state()` was.

        Of a team, all begin with the same model and the same `saved`. Raises RecipeError for a precision that this
        machine does not have.
        """
        self.section = section
        self.model = model
        self.team = team
        self._parameters = list(model.parameters())
        self.device = self._parameters[0].device
        self.gradients = Gradients(section, model, team)
        self.optimizer = build_optimizer(section, self._parameters)
        self.progress = Progress()
        self.average = None
        if section.ema_decay > 0:
            self.average = MovingAverage(model.weights(), decay=section.ema_decay)
        self._stream = stream
        self._hopeless = 2 * math.log(model.output.out_features)  # nll: twice that of guessing evenly
        if saved is not None:
            self.restore(saved)
        else:
            self._begin()
            self._seed_followers()

    def _begin(self) -> None:
        """Go on from where `progress` says."""
        self.rate = LearningRate(self.section, factor=self.progress.lr_factor, waited=self.progress.lr_waited)
        self._batches = iter(self._stream(self.progress.position))

    def update(self) -> Loss:
        """One optimizer step on the next batch; the loss of all of it, without a gradient.

        Raises Divergence where the gradient is not finite, or the loss was beyond all guessing for LOST_STEPS.
        """
        begin = time.perf_counter()
        if not self.model.training:
            self.model.train()
        position, batch = next(self._batches)
        learning_rate = self.rate.at(self.progress.step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        loss = self.gradients(batch, sampled=self._samples_softmax)
        norm = self._step()
        self.progress.step += 1
        self.progress.position = position
        if self.average is not None:
            self.average.update(self.model.weights(), self.progress.step)
        self._count(loss, norm, time.perf_counter() - begin)
        self.progress.lost = self.progress.lost + 1 if float(loss.nll) > self._hopeless * loss.tokens else 0
        if self.progress.lost == LOST_STEPS:
            raise Divergence(
                f"step {self.progress.step}: the loss is beyond that of guessing for {LOST_STEPS} steps: training "
                f"diverged at learning rate {learning_rate:g}"
            )
        return loss

    def _step(self) -> float:
        """Clip the gradient (Pascanu et al. 2013) and follow it; its norm. One that overflowed in fp16 is left out."""
        scaler = self.gradients.scaler
        scaler.unscale_(self.optimizer)
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        # of rows first: those are shared among threads
        total_norm = get_total_norm([torch.linalg.vector_norm(gradient, dim=-1) for gradient in gradients])
        norm = float(total_norm)
        if not math.isfinite(norm) and scaler.get_scale() <= 1.0:  # 1: without fp16, or as small as it gets
            raise Divergence(
                f"step {self.progress.step + 1}: the gradient is {norm}: training diverged at learning rate "
                f"{self.rate.at(self.progress.step):g}"
            )
        if self.section.clip_norm and norm > self.section.clip_norm:
            clip_grads_with_norm_(self._parameters, self.section.clip_norm, total_norm)
        scaler.step(self.optimizer)
        scaler.update()
        return norm if math.isfinite(norm) else 0.0

    @property
    def _samples_softmax(self) -> bool:
        section = self.section
        return section.sampled_softmax > 0 and self.progress.step < section.sampled_share * section.max_steps

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
        """All steps are done and validated, or patience has run out."""
        out_of_patience = 0 < self.section.patience <= self.progress.since_best
        return (self.progress.step >= self.section.max_steps and not self.progress.validation_due) or out_of_patience

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
        """All that another trainer needs to go on as this one would. Of a team, all call it together."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.weights().items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in values.items() if tensor is not None}
        if self.average is not None:
            tensors |= {f"average.{name}": tensor for name, tensor in self.average.weights.items()}
        for rank, states in enumerate(self.team.gather(self._own_states())):
            tensors |= {f"rank.{rank}.{kind}": state for kind, state in states.items()}
        copies = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        return TrainingState(
            copies, {"progress": self.progress.as_json(), "scaler": self.gradients.scaler.state_dict()}
        )

    @staticmethod
    def saved_progress(saved: TrainingState) -> Progress:
        """How far the training of a saved state had come."""
        return Progress.from_json(saved.values["progress"])

    def restore(self, saved: TrainingState, *, slower: float = 1.0) -> None:
        """Go on from a saved state, with `slower` times its learning rate."""
        self.model.load_weights(_under("model.", saved.tensors))
        optimizer = self.optimizer.state_dict()
        states: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimizer.", saved.tensors).items():
            index, _, key = name.partition(".")
            states.setdefault(int(index), {})[key] = tensor.clone()  # torch would take it as it is, and change it
        self.optimizer.load_state_dict({**optimizer, "state": states})
        if self.average is not None:
            averages = _under("average.", saved.tensors)
            self.average.weights = {name: tensor.to(self.device, copy=True) for name, tensor in averages.items()}
        self.gradients.scaler.load_state_dict(saved.values["scaler"])
        self.progress = self.saved_progress(saved)
        self.progress.lr_factor *= slower
        self._begin()
        self._set_own_states(_under(f"rank.{self.team.rank}.", saved.tensors))

    def _own_states(self) -> dict[str, Tensor]:
        """What differs between the processes of a team."""
        states = {"random": torch.get_rng_state(), "halvings": torch.tensor(self.gradients.halvings)}
        if self.device.type == "cuda":
            states["random_cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def _set_own_states(self, states: Mapping[str, Tensor]) -> None:
        """Of a process that was not in the team when the state was saved, there are none."""
        if not states:
            self._seed_followers()
            return
        torch.set_rng_state(states["random"])
        self.gradients.halvings = int(states["halvings"])
        if self.device.type == "cuda" and "random_cuda" in states:
            torch.cuda.set_rng_state(states["random_cuda"], self.device)

    def _seed_followers(self) -> None:
        """Another dropout in each process; the first goes on in the sequence that drew the weights."""
        if not self.team.leads:
            entropy = [self.section.seed, self.progress.step, self.team.rank]
            torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))

    def _count(self, loss: Loss, norm: float, seconds: float) -> None:
        counted = {
            "tokens": loss.tokens,
            "loss": float(loss.total),
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
