"""Run folders that go together with the tiny run, or do not, without any training."""

import shutil
from pathlib import Path

import torch

from nmt.data.tokenizer import TokenizerSpec, train_tokenizers
from nmt.recipe import Recipe
from nmt.run_dir import load_model, save_model, save_setup
from nmt.train.run import new_model


def sibling(run: Path, folder: Path, *, noise: float = 0.15) -> Path:
    """A run of the same text and tokenizers, whose model has come to other weights."""
    shutil.copytree(run, folder)
    torch.manual_seed(5)
    weights = load_model(run).model.weights()
    save_model(folder, {name: tensor + noise * torch.randn_like(tensor) for name, tensor in weights.items()})
    return folder


def stranger(run: Path, folder: Path) -> Path:
    """A run of the same recipe, whose tokenizers come from another text."""
    recipe, spec = load_model(run).recipe, TokenizerSpec(vocab_size=300)
    tokenizers = train_tokenizers(["Ein anderer Text."], ["Another text."], spec)
    save_setup(folder, recipe, tokenizers)
    save_model(folder, new_model(recipe, tokenizers).weights())
    return folder


def with_recipe(run: Path, folder: Path, **sections: dict[str, object]) -> Path:
    """The same model under a recipe in which keys differ, as in `with_recipe(run, folder, search={"beam_size": 1})`."""
    saved = load_model(run)
    values = saved.recipe.model_dump()
    for section, changes in sections.items():
        values[section] |= changes
    save_setup(folder, Recipe.model_validate(values), saved.tokenizers)
    save_model(folder, saved.model.weights())
    return folder
