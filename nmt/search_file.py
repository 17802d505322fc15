"""search.toml of a run folder: search options that go over those of its recipe, as `nmt tune` found them."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmt.errors import CheckpointError, RecipeError
from nmt.recipe import Recipe
from nmt.recipe_file import with_search
from nmt.recipe_keys import toml_value
from nmt.run_dir import write_bytes

SEARCH = "search.toml"


def save_search(run: Path, values: Mapping[str, Any]) -> Path:
    """Write the file, in place of one that is there; gives back its path."""
    lines = [
        "# Search options that go over those of recipe.toml, found by nmt tune; without this file the recipe's hold.",
        *(f"{key} = {toml_value(value)}" for key, value in values.items()),
    ]
    write_bytes(run / SEARCH, ("\n".join(lines) + "\n").encode("utf-8"))
    return run / SEARCH


def searched(run: Path, recipe: Recipe) -> Recipe:
    """The recipe of a run with what stands in its search.toml, if it has one.

    Raises CheckpointError where that is damaged, or names what no recipe has.
    """
    path = run / SEARCH
    if not path.is_file():
        return recipe
    try:
        return with_search(recipe, tomllib.loads(path.read_text(encoding="utf-8")), origin=str(path))
    except (OSError, ValueError, RecipeError) as error:
        raise CheckpointError(f"{path}: {error}; correct it, or delete it to search as the recipe has it") from error
