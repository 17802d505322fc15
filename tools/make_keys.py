"""Write recipes/KEYS.md, the table of a recipe's keys, from nmt/recipe.py."""

from pathlib import Path

from nmt.recipe import keys_table

if __name__ == "__main__":
    (Path(__file__).parent.parent / "recipes" / "KEYS.md").write_text(keys_table(), encoding="utf-8")
