"""A tokenizer taken from another run: copied into this one, so that it stands alone afterwards."""

from dataclasses import replace
from pathlib import Path

from nmt.data.tokenizer import TokenizerPair
from nmt.errors import CheckpointError, RecipeError
from nmt.recipe import Recipe
from nmt.recipe_file import flat
from nmt.recipe_rules import conflicts
from nmt.run_dir import TOKENIZER, load_stored_recipe, same_vocabulary


def adopt_tokenizers(recipe: Recipe) -> tuple[Recipe, TokenizerPair]:
    """What `tokenizer.run` has for the recipe's languages, and the recipe with the keys that they were trained by.

    Raises RecipeError where there is no such run, where it lacks a language, or where the recipe does not go with it.
    """
    run, data = Path(recipe.tokenizer.run), recipe.data
    if not (run / TOKENIZER).is_dir():
        raise RecipeError(
            f"tokenizer.run: {run.absolute()}: no run folder with a tokenizer; train that run first or name its folder "
            "as seen from the one you are in, or leave the key empty, to train a tokenizer"
        )
    theirs, pair = load_stored_recipe(run), TokenizerPair.load(run / TOKENIZER)
    sides = {theirs.data.src_lang: pair.src, theirs.data.tgt_lang: pair.tgt}
    if missing := [lang for lang in (data.src_lang, data.tgt_lang) if lang not in sides]:
        raise RecipeError(
            f'tokenizer.run: {run} has tokenizers of {" and ".join(sides)}, and wanted is one of "{missing[0]}"; name '
            "a run of that language, or leave the key empty, to train a tokenizer"
        )
    src, tgt = sides[data.src_lang], sides[data.tgt_lang]
    adopted = with_keys_of(recipe, theirs, joint=src is tgt)
    if faults := conflicts(flat(adopted)):
        raise RecipeError(f"with the tokenizer of tokenizer.run, {run}: {'; '.join(faults)}")
    return adopted, replace(pair, src=src, tgt=tgt, joint=src is tgt)


def with_keys_of(recipe: Recipe, theirs: Recipe, *, joint: bool) -> Recipe:
    """The recipe with the [tokenizer] of `theirs`, but for what adopting it leaves to the recipe."""
    own = recipe.tokenizer
    changes = {"run": own.run, "sampling": own.sampling, "joint": joint}
    return recipe.model_copy(update={"tokenizer": theirs.tokenizer.model_copy(update=changes)})


def check_still_theirs(recipe: Recipe, pair: TokenizerPair) -> None:
    """A run that goes on has its copy, and needs the other run no more; but if that is there, it must be unchanged.

    Raises CheckpointError where it has another tokenizer by now.
    """
    if not (Path(recipe.tokenizer.run) / TOKENIZER).is_dir():
        return
    _, now = adopt_tokenizers(recipe)
    if not (same_vocabulary(pair.src, now.src) and same_vocabulary(pair.tgt, now.tgt)):
        raise CheckpointError(
            f"tokenizer.run: {recipe.tokenizer.run} has another tokenizer now than when this run began; begin anew "
            "with --fresh, or restore that run"
        )
