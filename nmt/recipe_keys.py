"""The keys of a recipe in words: what each may hold, and its value as TOML has it."""

from typing import Any, get_args

from nmt.recipe import Placeholder, Recipe, sections


def keys() -> dict[str, Any]:
    """Every key a recipe may have, as `section.key`, with pydantic's description of it."""
    found = {"name": Recipe.model_fields["name"]}
    for section, kind in sections().items():
        found |= {f"{section}.{name}": field for name, field in kind.model_fields.items()}
    return found


_TYPE_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false"}
_BOUNDS = {"ge": "at least", "gt": "over", "le": "at most", "lt": "under"}


def allowed(key: str) -> str:
    """What may stand at `section.key`, in words: `whole number, at least 1`."""
    field = keys()[key]
    choices = get_args(field.annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        return " | ".join(f'"{choice}"' for choice in choices)
    if key.startswith("data.") and key.endswith("_lang"):
        return 'language code, such as "de" or "pt-BR"'
    if key == "tokenizer.placeholders":
        return "list of " + " | ".join(f'"{kind}"' for kind in get_args(Placeholder))
    if key == "data.weights":
        return "list of numbers, each over 0.0"
    if field.annotation not in _TYPE_NAMES:
        one_or_more = "one or more " if any(hasattr(item, "min_length") for item in field.metadata) else ""
        return "table of texts" if key == "data.hub" else f"text or list of {one_or_more}texts, none empty"
    bounds = [
        f"{words} {getattr(constraint, bound)}"
        for constraint in field.metadata
        for bound, words in _BOUNDS.items()
        if hasattr(constraint, bound)
    ]
    return ", ".join([_TYPE_NAMES[field.annotation], *bounds])


def toml_value(value: Any) -> str:
    """A recipe's value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = "".join(
            f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else "\\" * (c in '"\\') + c for c in value
        )
        return f'"{escaped}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml_value(key)} = {toml_value(item)}" for key, item in value.items()) + "}"
    return repr(value)
