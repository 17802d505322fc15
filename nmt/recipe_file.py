"""From a TOML file and `--set` to a checked Recipe, with every value's origin and every fault at once."""

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nmt.errors import RecipeError
from nmt.recipe import Recipe, sections
from nmt.recipe_keys import allowed, keys, toml_value
from nmt.recipe_rules import conflicts

LARGEST_RECIPE_BYTES = 1 << 20
_PACKAGE = Path(__file__).resolve().parent
_INSTALLED, _CHECKOUT = _PACKAGE / "recipes", _PACKAGE.parent / "recipes"
_SHIPPED = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
# Keys deleted since, which the run folders of before still hold, each with the value at which it did nothing.
REMOVED = {"train.agreement": 0.0, "model.deep_output": False}


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe, and for each `section.key` the file or the option that set it (`default` where none did)."""

    recipe: Recipe
    origins: dict[str, str]


def load_recipe(name: str, overrides: Sequence[str] = ()) -> LoadedRecipe:
    """Read the recipe at the path `name`, or the shipped one of that bare name, under `section.key=value` overrides.

    Raises RecipeError with all faults at once, each with its key, what was found and what is allowed.
    """
    path = find_recipe(name)
    return _load(path, [(file, _flatten(table)) for file, table in _chain(path)], overrides)


def load_resolved(path: Path) -> Recipe:
    """Read what `recipe_toml` wrote, now or in an earlier version.

    Raises RecipeError, also where it extends another: it may come from anywhere.
    """
    table = _read_toml(path)
    if "extends" in table:
        raise RecipeError(f"{path}: extends: a resolved recipe holds every key itself; no other file is read")
    values = _flatten(table)
    removed = {key: values.pop(key, idle) for key, idle in REMOVED.items()}
    if used := [f"{key} (found {_shown(value)})" for key, value in removed.items() if value != REMOVED[key]]:
        raise RecipeError(
            f"{path}: this version of nmt no longer has {' and '.join(used)}; such a model needs the version that "
            "made it"
        )
    return _load(path, [(path, values)]).recipe


def _load(path: Path, chain: Sequence[tuple[Path, dict[str, Any]]], overrides: Sequence[str] = ()) -> LoadedRecipe:
    """`chain`: the recipe at `path` and its parents, each with its values by `section.key`."""
    values: dict[str, Any] = {"name": path.stem, "data.folder": str(path.resolve().parent)}
    origins = dict.fromkeys(values, "file name") | {"data.folder": "default"}
    for file, read in reversed(chain):
        if "data.folder" in read:
            read["data.folder"] = _absolute(read["data.folder"], file.resolve().parent)
        values |= read
        origins |= dict.fromkeys(read, str(file))
    for override in overrides:
        key, value = _parse_override(override)
        values[key] = _absolute(value, Path.cwd()) if key == "data.folder" else value
        origins[key] = "--set"
    values["name"] = path.stem if values["name"] == "" else values["name"]
    return LoadedRecipe(_check(values, origins), {key: origins.get(key, "default") for key in keys()})


def find_recipe(name: str) -> Path:
    """The file at the path `name`, or the shipped recipe of that name (`quickstart`)."""
    path = Path(name)
    if _is_file(path):
        return path
    if os.path.isdir(path):  # noqa: PTH112 (as in _is_file)
        raise RecipeError(f"{path}: a folder, but a recipe is a TOML file")
    shipped = {file.stem: file for file in sorted(_SHIPPED.glob("*.toml"))}
    if name in shipped:
        return shipped[name]
    near = difflib.get_close_matches(path.stem, shipped, n=1)
    raise RecipeError(
        f"{name}: no such recipe file, nor one of that name among those shipped: {', '.join(sorted(shipped)) or 'none'}"
        + (f"; did you mean {near[0]}?" if near else "")
    )


def recipe_toml(recipe: Recipe) -> str:
    """The whole recipe as TOML, every key written out; reading it gives the same recipe."""
    lines = [f"name = {toml_value(recipe.name)}"]
    for section in sections():
        lines += ["", f"[{section}]"]
        lines += [f"{key} = {toml_value(value)}" for key, value in getattr(recipe, section).model_dump().items()]
    return "\n".join(lines) + "\n"


def flat(recipe: Recipe) -> dict[str, Any]:
    """Every value by its `section.key`."""
    return {key: _look_up(recipe, key) for key in keys()}


def with_search(recipe: Recipe, given: Mapping[str, Any], *, origin: str = "given") -> Recipe:
    """The recipe with these keys of its [search] section in place of its own.

    Raises RecipeError as `load_recipe`, where `origin` says where they come from.
    """
    changes = {f"search.{key}": value for key, value in given.items()}
    values = flat(recipe) | changes
    return _check(values, dict.fromkeys(values, recipe.name) | dict.fromkeys(changes, origin))


def differences(old: Recipe, new: Recipe) -> dict[str, tuple[Any, Any]]:
    """The keys in which two recipes differ, each with its old and its new value."""
    before, after = flat(old), flat(new)
    return {key: (before[key], after[key]) for key in before if before[key] != after[key]}


def _look_up(recipe: Recipe, key: str) -> Any:
    value: Any = recipe
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _chain(path: Path) -> list[tuple[Path, dict[str, Any]]]:
    """The recipe and its parents as read, the recipe first."""
    chain = [(path, _read_toml(path))]
    while (parent := chain[-1][1].pop("extends", None)) is not None:
        child = chain[-1][0]
        if not isinstance(parent, str):
            raise RecipeError(f"{child}: extends: found {parent!r}; allowed: the path of one other recipe")
        file = child.parent / parent
        if not _is_file(file):
            raise RecipeError(f"{child}: extends: there is no file {file}")
        if any(file.samefile(seen) for seen, _ in chain):
            circle = " -> ".join(str(seen) for seen in [*(seen for seen, _ in chain), file])
            raise RecipeError(f"{path}: extends leads back to itself: {circle}")
        chain.append((file, _read_toml(file)))
    return chain


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 (Path.is_file raises where a name is too long)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_RECIPE_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > LARGEST_RECIPE_BYTES:
        raise RecipeError(
            f"{path}: over {LARGEST_RECIPE_BYTES} bytes, so hardly a recipe; a recipe is a short TOML file"
        )
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: byte {error.start + 1} is not UTF-8; a recipe is a TOML text file") from error
    except RecursionError as error:
        raise RecipeError(f"{path}: not a recipe: nested too deep") from error
    except ValueError as error:  # of TOML, or of Python for a number of thousands of digits
        raise RecipeError(f"{path}: not valid TOML: {error}") from error


def _flatten(table: dict[str, Any]) -> dict[str, Any]:
    """Section tables to `section.key`; a section that is no table, or a key that is one, stays for the check."""
    values: dict[str, Any] = {}
    for name, content in table.items():
        if isinstance(content, dict) and name not in keys():
            values |= {f"{name}.{key}": value for key, value in content.items()}
        else:
            values[name] = content
    return values


def _absolute(folder: Any, base: Path) -> Any:
    """A relative folder as seen from `base`; what is no text stays, for the check to find."""
    try:
        return str((base / Path(folder).expanduser()).resolve()) if isinstance(folder, str) else folder
    except (RuntimeError, ValueError) as error:  # no such home folder, a circle of links; a NUL
        raise RecipeError(f"data.folder: found {_shown(folder)}: no folder can have this name: {error}") from error


def _parse_override(override: str) -> tuple[str, Any]:
    """`section.key=value`; the value as TOML reads it, or else (always, where the key wants text) as it stands."""
    key, equals, value = override.partition("=")
    key = key.strip()
    if not equals:
        raise RecipeError(f"--set {override}: wanted section.key=value")
    field = keys().get(key)
    plain = value.strip()
    if field is not None and field.annotation is str and plain[:1] not in ('"', "'"):
        return key, plain
    try:
        return key, tomllib.loads(f"value = {plain}")["value"]
    except (ValueError, RecursionError):  # as in _read_toml
        return key, plain


def _check(values: dict[str, Any], origins: dict[str, str]) -> Recipe:
    """The frozen recipe, or all faults in one RecipeError."""
    known = keys()
    faults = [_unknown(key, origins[key]) for key in values if key not in known]
    nested: dict[str, Any] = {section: {} for section in sections()}
    for key, value in values.items():
        if key in known:
            section, _, name = key.rpartition(".")
            (nested[section] if section else nested)[name] = value
    try:
        recipe = Recipe.model_validate(nested)
    except ValidationError as error:
        faults += [_fault(item, values, origins) for item in error.errors() if item["loc"]]
    faults += [f"  {fault}" for fault in conflicts({key: field.default for key, field in known.items()} | values)]
    if faults:
        count = f"{len(faults)} faults" if len(faults) > 1 else "1 fault"
        raise RecipeError("\n".join([f"the recipe has {count}:", *dict.fromkeys(faults)]))
    return recipe


def _unknown(key: str, origin: str) -> str:
    known = list(keys())
    tail = key.rpartition(".")[2]
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
    near = near or [k for k in known if k.rpartition(".")[2] == tail]  # the right key in a wrong section
    near = near or [k for match in difflib.get_close_matches(tail, [k.rpartition(".")[2] for k in known], n=1)
                    for k in known if k.endswith(f".{match}")]  # fmt: skip
    if near:
        return f"  {key} ({origin}): there is no such key; did you mean {near[0]}?"
    section = key.partition(".")[0]
    if section not in sections() and (near := difflib.get_close_matches(section, sections(), n=1)):
        return f"  {key} ({origin}): there is no section [{section}]; did you mean [{near[0]}]?"
    inside = [k for k in known if k.startswith(f"{section}.")]
    words = f"[{section}] has {', '.join(inside)}" if inside else f"sections: {', '.join(sections())}"
    return f"  {key} ({origin}): there is no such key; {words}"


def _fault(item: Any, values: dict[str, Any], origins: dict[str, str]) -> str:
    key = ".".join(str(part) for part in item["loc"][:2])
    if item["type"] == "missing":
        return f"  {key}: missing; allowed: {allowed(key)}"
    found = values[key]
    near = (
        difflib.get_close_matches(found, allowed(key).replace('"', "").split(" | "), n=1)
        if isinstance(found, str)
        else []
    )
    hint = f'; did you mean "{near[0]}"?' if near and "|" in allowed(key) else ""
    return f"  {key} ({origins[key]}): found {_shown(found)}; allowed: {allowed(key)}{hint}"


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep, or a number of thousands of digits
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= 80 else text[:77] + "..."
