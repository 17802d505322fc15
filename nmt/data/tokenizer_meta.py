"""tokenizer.json: what a tokenizer's folder says of its models, read back with every fault told."""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, get_args

from nmt.data.placeholders import PlaceholderKind
from nmt.errors import CheckpointError

FORMATS = (1, 2)  # 2: with placeholders, which a reader of 1 would not mask
META_FILE = "tokenizer.json"


def read_meta(path: Path, choices: Mapping[str, Collection[object]]) -> dict[str, Any]:
    """The object of the file; `choices` has what may stand at its keys. `placeholders` is [] where the file has none.

    Raises CheckpointError where it is missing, damaged or from a newer version.
    """
    content = _read(path)
    try:
        meta: dict[str, Any] = dict(json.loads(content))
    except (ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: damaged, no JSON object ({error}); restore it or train again") from error
    version = meta.get("version")
    if isinstance(version, int) and version > FORMATS[-1]:
        raise CheckpointError(f"{path}: format {version} is newer than {FORMATS[-1]}, the newest known; update nmt")
    for key, allowed in {"version": FORMATS, **choices}.items():
        if meta.get(key) not in allowed:
            raise CheckpointError(
                f"{path}: damaged: {key} is {meta.get(key)!r}, not one of {allowed}; restore it or train again"
            )
    kinds = get_args(PlaceholderKind)
    placeholders = meta.setdefault("placeholders", [])
    if not isinstance(placeholders, list) or any(kind not in kinds for kind in placeholders):
        raise CheckpointError(
            f"{path}: placeholders are {placeholders!r}, not some of {kinds}; restore it, update nmt or train again"
        )
    return meta


def read_model(path: Path, meta: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """A model's file and what `meta` records of it. Raises CheckpointError where it is missing or another."""
    content = _read(path)
    models = meta.get("models")
    recorded = models.get(path.name) if isinstance(models, dict) else None
    # before parsing: SentencePiece reads many a damaged model without complaint
    if not isinstance(recorded, dict) or recorded.get("sha256") != hashlib.sha256(content).hexdigest():
        raise CheckpointError(f"{path}: damaged: its SHA-256 is not the one in {META_FILE}; restore it or train again")
    return content, recorded


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); a tokenizer's folder needs it") from error
