"""The table of a recipe's keys: complete, and the one that is shipped."""

from pathlib import Path

from make_keys import keys_table

from nmt.recipe_keys import keys


def test_keys_md_is_what_the_recipe_says() -> None:
    stored = Path(__file__).parents[2] / "recipes" / "KEYS.md"
    assert stored.read_text(encoding="utf-8") == keys_table(), "run: python tools/make_keys.py"


def test_the_table_has_a_row_for_every_key_under_its_section_with_five_bars() -> None:
    section, found = "", []
    for line in keys_table().splitlines():
        if line.startswith("## ["):
            section = line[4:-1]
        elif line.startswith("| `"):
            found.append(f"{section}.{line.split('`')[1]}")
            assert line.replace("\\|", "").count("|") == 5, line
    assert ["name", *found] == list(keys())
