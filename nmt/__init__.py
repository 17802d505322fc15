"""Recurrent neural machine translation: raw text to a scored translator.

import nmt
nmt.load("runs/quickstart").translate(["Guten Morgen!"])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmt.loading import load, load_ensemble

__all__ = ["load", "load_ensemble"]


def __getattr__(name: str) -> Any:
    """Import torch only when something is loaded, so that `nmt --help` is instant."""
    if name in __all__:
        return getattr(import_module("nmt.loading"), name)
    raise AttributeError(f"module 'nmt' has no attribute {name!r}")
