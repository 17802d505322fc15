"""The programs beside the recipes are no installed packages: their folder goes on the path, as running them has it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes" / "claims"))
