"""Measurements on disk: JSON lines, one measurement each, so that what is there already is not measured again."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nmt.recipe import Recipe
from nmt.recipe_file import flat
from nmt.recipe_keys import keys as keys_of_recipes

Row = dict[str, Any]
Identity = Mapping[str, str | int]

# Keys that change no number.
INDIFFERENT = ("name", "data.folder", "data.hub", "train.threads", "train.samples", "train.save_every")


@dataclass(frozen=True)
class Store:
    """One file of measurements; several processes may add to it."""

    path: Path

    def rows(self) -> list[Row]:
        """Each measurement once: of those of one identity the latest, in the order of their identities."""
        if not self.path.exists():
            return []
        found = [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]
        latest = {json.dumps(row["identity"], sort_keys=True): row for row in found}
        return [latest[key] for key in sorted(latest)]

    def has(self, identity: Identity, settings: str) -> bool:
        """Is it measured, with the same settings?"""
        return any(row["identity"] == identity and row["settings"] == settings for row in self.rows())

    def add(self, identity: Identity, settings: str, measured: Mapping[str, Any]) -> None:
        """Append one measurement."""
        row = {"identity": dict(identity), "settings": settings, **measured, "machine": machine()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")


def digest(recipe: Recipe, *more: object) -> str:
    """What stands for all settings of a measurement: the recipe's keys that change numbers, and `more`.

    Keys at their defaults are left out, so that a key that a later version adds or deletes leaves measurements valid.
    """
    defaults = {key: field.default for key, field in keys_of_recipes().items()}
    keys = {key: value for key, value in flat(recipe).items() if key not in INDIFFERENT and value != defaults[key]}
    return hashlib.sha256(repr((sorted(keys.items()), more)).encode("utf-8")).hexdigest()[:16]


def machine() -> str:
    """The processor and torch's version, as the page names them."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.machine()
    return f"{processor}, {torch.get_num_threads()} thread(s), torch {torch.__version__}"


def rounded(values: Sequence[float], digits: int = 4) -> list[float]:
    """To so many significant digits: what a plot can show."""
    return [float(f"{value:.{digits}g}") for value in values]
