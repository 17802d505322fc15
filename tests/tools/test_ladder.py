"""The ladder's rows are recipes, each another one."""

import pytest
from ladder import COMMON, ROWS, THREE_SEEDS

from nmt.recipe_file import load_recipe


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_a_recipe(name: str) -> None:
    load_recipe("multi30k-de-en", [f"{key}={value}" for key, value in (COMMON | ROWS[name]).items()])


def test_no_two_rows_are_the_same_recipe() -> None:
    loaded = [load_recipe("multi30k-de-en", [f"{k}={v}" for k, v in row.items()]).recipe for row in ROWS.values()]
    assert len({recipe.model for recipe in loaded}) == len(ROWS)


def test_rows_with_three_seeds_are_rows() -> None:
    assert set(THREE_SEEDS) <= ROWS.keys()
