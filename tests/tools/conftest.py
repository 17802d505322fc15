"""A tool is a program, not an installed package: its folder goes on the path, as `python tools/NAME.py` has it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
