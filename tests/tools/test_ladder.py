"""The ladder's rows are recipes, each another one."""

import pytest
from ladder import COMMON, KIT, KIT_COMMON, ROWS, THREE_SEEDS

from nmt.recipe_file import load_recipe


@pytest.mark.parametrize("row", [COMMON | row for row in ROWS.values()] + [KIT_COMMON | row for row in KIT.values()])
def test_every_row_is_a_recipe(row: dict[str, str]) -> None:
    load_recipe("multi30k-de-en", [f"{key}={value}" for key, value in row.items()])


@pytest.mark.parametrize("table", [ROWS, KIT], ids=["ladder", "kit"])
def test_no_two_rows_are_the_same_recipe(table: dict[str, dict[str, str]]) -> None:
    loaded = [load_recipe("multi30k-de-en", [f"{k}={v}" for k, v in row.items()]).recipe for row in table.values()]
    assert len({recipe.model_dump_json() for recipe in loaded}) == len(table)


def test_rows_with_three_seeds_are_rows() -> None:
    assert set(THREE_SEEDS) <= ROWS.keys()
