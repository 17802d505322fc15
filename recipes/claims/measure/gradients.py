"""Claim 6: what becomes of a gradient on its way back through time, and of one that is too large."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean
from typing import Any, cast

import torch
from torch import Tensor, nn

from measure.recall import TEST_SEQUENCES, recall_recipe
from measure.store import Store, digest, rounded
from measure.task import Learner, Sequences, new_model
from nmt.model.encoder import EncoderOutput, RecurrentEncoder
from nmt.model.layers import Reader
from nmt.model.seq2seq import Seq2Seq

CELLS = {"rnn": "simple RNN", "gru": "GRU", "lstm": "LSTM", "lnlstm": "layer-normalised LSTM"}
INITIALISATIONS = ("library", "torch", "large")
CLIPPED = (("sgd", 0.1), ("sgd", 1.0), ("adam", 0.01))  # optimizers, each with its learning rate
SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    steps: int = 200  # of the sequences that a gradient goes back through
    learned_steps: int = 25  # of those that were learned before
    updates: int = 400  # of that learning
    clipped_steps: int = 10
    clipped_updates: int = 400

    @property
    def jobs(self) -> int:
        """How often `measure` calls `advance`."""
        return len(CELLS) * (len(INITIALISATIONS) + 1) + len(CLIPPED) * 2 * len(SEEDS)

    overrides: tuple[str, ...] = ()


QUICK = Plan(
    steps=20, learned_steps=4, updates=20, clipped_steps=4, clipped_updates=30, overrides=("model.encoder_dim=8",)
)


def measure(store: Store, plan: Plan, advance: Callable[[str], None]) -> None:
    """Whatever is not yet in the store; `advance` hears of each measurement done."""
    through_time = [(cell, initialisation, 0) for cell in CELLS for initialisation in INITIALISATIONS]
    through_time += [(cell, "library", plan.updates) for cell in CELLS]
    for cell, initialisation, updates in through_time:
        recipe = recall_recipe(f"model.cell={cell}", *plan.overrides)
        settings = digest(recipe, plan, initialisation)
        what = "trained" if updates else "fresh"
        identity: dict[str, str | int] = {"what": what, "cell": cell, "initialisation": initialisation}
        if not store.has(identity, settings):
            norms, shares = [], []
            for seed in SEEDS if not updates else SEEDS[:1]:
                model = new_model(recipe.model, initialisation=initialisation, seed=seed)
                learner = Learner(model, recipe.train, plan.learned_steps, seed)
                for _ in range(updates):
                    learner.update()
                shares.append(learner.recall(TEST_SEQUENCES))
                norms.append(norms_through_time(model, plan.steps, seed))
            learned = {"learned_steps": plan.learned_steps, "updates": updates, "recall": round(fmean(shares), 4)}
            store.add(identity, settings, {**learned, "norms": rounded(_geometric_means(norms))})
        advance(f"{what} {cell}, {initialisation}")
    _clipping(store, plan, advance)


def _clipping(store: Store, plan: Plan, advance: Callable[[str], None]) -> None:
    for (optimizer, rate), clip_norm, seed in product(CLIPPED, (0.0, 1.0), SEEDS):
        changes = (f"train.optimizer={optimizer}", f"train.learning_rate={rate}", f"train.clip_norm={clip_norm}")
        recipe = recall_recipe("model.cell=rnn", *changes, *plan.overrides)
        settings = digest(recipe, plan)
        clipped = "clipped" if clip_norm else "free"
        name = f"{optimizer} {rate:g}"
        identity: dict[str, str | int] = {"what": "clipping", "optimizer": name, "gradient": clipped, "seed": seed}
        if not store.has(identity, settings):
            model = new_model(recipe.model, initialisation="large", seed=seed)
            curve = _until_not_finite(Learner(model, recipe.train, plan.clipped_steps, seed), plan.clipped_updates)
            losses, norms = rounded([loss for loss, _ in curve]), rounded([norm for _, norm in curve])
            store.add(identity, settings, {"steps": plan.clipped_steps, "losses": losses, "norms": norms})
        advance(f"clipping, {name} {clipped}, seed {seed}")


def _until_not_finite(learner: Learner, updates: int) -> list[tuple[float, float]]:
    curve: list[tuple[float, float]] = []
    while len(curve) < updates:
        point = learner.update()
        if not all(map(math.isfinite, point)):
            break
        curve.append(point)
    return curve


def norms_through_time(model: Seq2Seq, steps: int, seed: int, sequences: int = 16) -> list[float]:
    """The norm of d loss / d state, 0, 1, 2 ... steps before the end; geometric mean over sequences.

    The loss is that of naming the first symbol. The state is the one that carries: c where the cell has one, else h.
    In double precision, so that what vanishes can still be seen.
    """
    model = model.double().eval()
    batch = Sequences(seed).batch(sequences, steps)
    encoder = cast(RecurrentEncoder, model.encoder)
    layer = cast(Reader, encoder.layers[0]).ahead
    states = layer.trace(encoder.embedder(batch.src)).states
    memory = torch.stack([state.h for state in states], dim=1)  # (B, S, H)
    encoded = EncoderOutput(memory, torch.ones_like(batch.src, dtype=torch.bool), states[-1].h)
    readouts = model.decoder(batch.tgt_in, model.decoder.start(encoded))  # (B, 2, E)
    loss = nn.functional.cross_entropy(model.output(readouts[:, 0]), batch.src[:, 0], reduction="sum")
    carried = [state.c if layer.cell.long_term else state.h for state in states]
    gradients: Sequence[Tensor] = torch.autograd.grad(loss, carried)
    norms = torch.stack([gradient.norm(dim=-1) for gradient in reversed(gradients)])  # (S, B)
    means: list[float] = norms.clamp(min=1e-300).log().mean(dim=-1).exp().tolist()
    return means


def _geometric_means(curves: Sequence[Sequence[float]]) -> list[float]:
    return [math.exp(sum(map(math.log, at)) / len(at)) for at in zip(*curves, strict=True)]


def decay(norms: Sequence[float]) -> dict[str, Any]:
    """How a gradient fades: what is left of it 100 steps back (or at the start), and the mean factor a step."""
    back = min(100, len(norms) - 1)
    left = norms[back] / norms[0]
    return {"back": back, "left": left, "factor": left ** (1 / back)}
