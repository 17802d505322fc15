"""The ladder's rows are recipes, each another one."""

import itertools

import pytest
from ladder import COMMON, KIT, KIT_COMMON, ROWS, THREE_SEEDS, TIMED_STEPS, cpu_minutes

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


def test_minutes_are_those_of_all_steps_by_the_clock_of_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr("ladder.time.process_time", lambda: float(next(ticks)))  # every round takes a second
    tiny = {"model.embed_dim": "8", "model.encoder_dim": "4", "model.decoder_dim": "8", "tokenizer.vocab_size": "400"}
    table = {"short": {"train.max_steps": "60"}, "long": {"train.max_steps": "120"}}
    found = cpu_minutes(table, "quickstart", tiny)
    assert found == {"short": pytest.approx(1 / TIMED_STEPS), "long": pytest.approx(2 / TIMED_STEPS)}
