"""Claims 1 and 2: how much is left of the first symbol after n steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from measure.store import Store, digest
from measure.task import Learner, new_model
from nmt.recipe import Recipe
from nmt.recipe_file import load_recipe

RECIPE = Path(__file__).parents[1] / "recall.toml"
CHECK_EVERY = 50  # updates
CHECK_SEQUENCES, TEST_SEQUENCES = 256, 512
LEARNED, LOST = 0.9, 0.25  # recall; chance is 0.125
GIVE_UP_AFTER = 2  # lengths that a variant has LOST, with one seed: longer ones are not tried

ATTENTION = ("model.attention=general",)
CONVOLUTION = ("model.encoder=convolutional", "model.encoder_layers=2", *ATTENTION)


@dataclass(frozen=True)
class Variant:
    """One kind of model: what it is called on the page, and its `--set` options."""

    title: str
    overrides: tuple[str, ...] = ()


VARIANTS = {
    "rnn": Variant("simple RNN", ("model.cell=rnn",)),
    "rnn-slow": Variant("simple RNN, a third of the learning rate", ("model.cell=rnn", "train.learning_rate=1e-3")),
    "gru": Variant("GRU", ("model.cell=gru",)),
    "lstm": Variant("LSTM", ("model.cell=lstm",)),
    "attention": Variant("LSTM with attention", ("model.cell=lstm", *ATTENTION)),
    "convolution": Variant("convolutional encoder, attention", ("model.cell=lstm", *CONVOLUTION)),
}


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    lengths: Sequence[int] = (10, 25, 50, 100, 200, 400)
    seeds: Sequence[int] = (1, 2, 3)
    overrides: tuple[str, ...] = ()

    def jobs(self, variants: Sequence[str]) -> list[tuple[str, int, int]]:
        """(variant, seed, length), short lengths first."""
        return list(product(variants, self.seeds, self.lengths))


QUICK = Plan(
    lengths=(2, 4),
    seeds=(1,),
    overrides=("model.embed_dim=8", "model.encoder_dim=8", "model.decoder_dim=8", "train.max_steps=60"),
)


def measure(store: Store, plan: Plan, variants: Sequence[str], advance: Callable[[str], None]) -> None:
    """Whatever is not yet in the store; `advance` hears of each (variant, seed, length) done."""
    for name, seed, steps in plan.jobs(variants):
        recipe = recall_recipe(*VARIANTS[name].overrides, *plan.overrides)
        settings = digest(recipe)
        identity: dict[str, str | int] = {"variant": name, "steps": steps, "seed": seed}
        if not store.has(identity, settings):
            given_up = _given_up(store, identity, settings)
            model = new_model(recipe.model, initialisation="library", seed=seed)
            learner = Learner(model, recipe.train, steps, seed)
            store.add(identity, settings, {"recall": None} if given_up else learn(learner))
        advance(f"{name}, {steps} steps, seed {seed}")


def learn(learner: Learner) -> dict[str, Any]:
    """Train one model, until it recalls 99 % twice in a row or its updates are over, and test it."""
    learned: dict[str, Any] = {"updates_to_90": None, "cpu_seconds_to_90": None}
    perfect = 0
    while learner.updates < learner.section.max_steps and perfect < 2:
        learner.update()
        if learner.updates % CHECK_EVERY == 0:
            share = learner.recall(CHECK_SEQUENCES)
            perfect = perfect + 1 if share >= 0.99 else 0
            if share >= LEARNED and learned["updates_to_90"] is None:
                learned = {"updates_to_90": learner.updates, "cpu_seconds_to_90": round(learner.cpu_seconds, 2)}
    recall = round(learner.recall(TEST_SEQUENCES), 4)
    return {"recall": recall, "updates": learner.updates, "cpu_seconds": round(learner.cpu_seconds, 2), **learned}


def recall_recipe(*overrides: str) -> Recipe:
    """The task's recipe under `--set` options."""
    return load_recipe(str(RECIPE), list(overrides)).recipe


def _given_up(store: Store, identity: dict[str, str | int], settings: str) -> bool:
    shorter = [
        row
        for row in store.rows()
        if row["settings"] == settings
        and (row["identity"]["variant"], row["identity"]["seed"]) == (identity["variant"], identity["seed"])
        and row["identity"]["steps"] < identity["steps"]
    ]
    hopeless = sum(row["recall"] is None or row["recall"] < LOST for row in shorter)
    return bool(hopeless >= GIVE_UP_AFTER)
