"""The recall task: a symbol, n more, and then the first one is to be named; and a model that learns it.

All symbols are drawn from the same few, so that nothing but its place marks the first. House letters: B batch.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from nmt.data.batches import Batch
from nmt.data.tokenizer import BOS_ID, EOS_ID
from nmt.model.build import build_model
from nmt.model.layers import RecurrentLayer
from nmt.model.loss import smoothed_loss
from nmt.model.model import real_positions
from nmt.model.seq2seq import Seq2Seq
from nmt.recipe import ModelSection, TrainSection
from nmt.train.optim import LearningRate, build_optimizer

SYMBOLS = 8
FIRST_ID = 4  # pad, unk, bos, eos come before
VOCAB_SIZE = FIRST_ID + SYMBOLS
CHANCE = 1 / SYMBOLS
TEST_SEED = 1_000_000  # added to a seed: sequences that are never trained on


class Sequences:
    """Endless fresh sequences; the same seed gives the same."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def batch(self, size: int, steps: int) -> Batch:
        """B = size sequences of a symbol and `steps` more; the target is the first symbol."""
        symbols = torch.randint(FIRST_ID, VOCAB_SIZE, (size, 1 + steps), generator=self.generator)
        first, ends = symbols[:, :1], torch.full((size, 1), EOS_ID)
        return Batch(
            src=symbols,
            src_lengths=torch.full((size,), 1 + steps),
            tgt_in=torch.cat([torch.full((size, 1), BOS_ID), first], dim=1),
            tgt_out=torch.cat([first, ends], dim=1),
            tgt_lengths=torch.full((size,), 2),
        )

    def length(self, longest: int) -> int:
        """1 to `longest`, all as likely."""
        return int(torch.randint(1, longest + 1, (), generator=self.generator))


def _library(layer: RecurrentLayer) -> None:
    """Leaves what `nmt` drew: recurrent weights orthogonal, an LSTM's forget bias 1."""


def _torch_default(layer: RecurrentLayer) -> None:
    """All weights and biases uniform within 1 / sqrt(H), as torch draws them: a forget bias about 0."""
    for weight in layer.fused.all_weights[0]:  # what `reset_parameters` does, which would spoil normalisations too
        nn.init.uniform_(weight, -(layer.hidden_dim**-0.5), layer.hidden_dim**-0.5)


def _too_large(layer: RecurrentLayer) -> None:
    """Gaussian recurrent weights with a spectral radius of about 2."""
    nn.init.normal_(layer.fused.all_weights[0][1], std=2.0 * layer.hidden_dim**-0.5)


INITIALISATIONS: dict[str, Callable[[RecurrentLayer], None]] = {
    "library": _library,
    "torch": _torch_default,
    "large": _too_large,
}


def new_model(section: ModelSection, *, initialisation: str, seed: int) -> Seq2Seq:
    """A fresh model of the recall task."""
    torch.manual_seed(seed)
    model = build_model(section, src_vocab_size=VOCAB_SIZE, tgt_vocab_size=VOCAB_SIZE)
    assert isinstance(model, Seq2Seq)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, RecurrentLayer):
                INITIALISATIONS[initialisation](module)
    return model


@dataclass
class Learner:
    """A model that learns to recall over `steps` steps; every other batch has fewer, drawn from 1 to `steps`."""

    model: Seq2Seq
    section: TrainSection
    steps: int
    seed: int

    def __post_init__(self) -> None:
        self.updates = 0
        self.cpu_seconds = 0.0
        self._rate = LearningRate(self.section)
        self._optimizer = build_optimizer(self.section, self.model.parameters())
        self._train, self._test = Sequences(self.seed), Sequences(self.seed + TEST_SEED)

    def update(self) -> tuple[float, float]:
        """One update: the loss before it, and the gradient's norm before it is clipped."""
        begin = time.process_time()
        self.model.train()
        steps = self._train.length(self.steps) if self.updates % 2 == 1 else self.steps
        batch = self._train.batch(self.section.batch_tokens // 2, steps)
        logits = self.model(batch.src, batch.src_lengths, batch.tgt_in, batch.tgt_lengths)
        tgt = real_positions(batch.tgt_out, batch.tgt_lengths)
        loss = smoothed_loss(logits, tgt, label_smoothing=0.0)
        mean = loss.total / loss.tokens
        self._optimizer.zero_grad()
        mean.backward()  # type: ignore[no-untyped-call]
        norm = clip_grad_norm_(self.model.parameters(), self.section.clip_norm or torch.inf)
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate.at(self.updates)
        self._optimizer.step()
        self.updates += 1
        self.cpu_seconds += time.process_time() - begin
        return float(mean.detach()), float(norm)

    @torch.no_grad()
    def recall(self, sequences: int) -> float:
        """The share of so many fresh sequences, all of full length, whose first symbol the model names."""
        self.model.eval()
        batch = self._test.batch(sequences, self.steps)
        logits = self.model(batch.src, batch.src_lengths, batch.tgt_in, batch.tgt_lengths)  # (2 B, V)
        named = logits[::2].argmax(dim=-1)  # (B,)
        return float((named == batch.src[:, 0]).float().mean())
