"""The house's floors, read from the import statements."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nmt

ROOT = Path(nmt.__file__).parent
MODULES = {
    ".".join(file.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted(ROOT.rglob("*.py"))
}
FLOORS = [  # from the bottom; a name stands for the module and all below it
    {"nmt.errors", "nmt.allocator"},
    {"nmt.recipe", "nmt.recipe_rules", "nmt.recipe_keys", "nmt.recipe_file"},
    {"nmt.data", "nmt.model", "nmt.search", "nmt.metrics"},
    {"nmt.engine", "nmt.corpora"},
    {"nmt.run_dir", "nmt.checkpoint"},
    {"nmt.alignment", "nmt.flags", "nmt.mbr", "nmt.scoring"},
    {"nmt.decoding", "nmt.passages", "nmt.translator"},
    {"nmt.loading", "nmt.origin", "nmt.rescore", "nmt.search_file", "nmt.workers"},
    {"nmt.evaluate", "nmt.export", "nmt.translate_file", "nmt.distill", "nmt.tune"},
    {"nmt.train"},
    {"nmt.serve", "nmt.documents", "nmt.report", "nmt.cli.extras"},
    {"nmt.cli"},
    {"nmt", "nmt.__main__"},
]
ROOMS = ("nmt.data", "nmt.model", "nmt.search", "nmt.metrics")
BESIDES = {"nmt.model.build": {"nmt.recipe"}}  # what a file in a room imports besides its room and nmt.errors
each_module = pytest.mark.parametrize("module", MODULES)


def imports(module: str, *, inside_functions: bool = False) -> set[str]:
    """The nmt modules that a file imports, those for type checkers only left out."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    skipped = [node for node in ast.walk(tree) if _for_type_checkers(node)]
    if not inside_functions:
        skipped += [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    hidden = {id(inner) for node in skipped for inner in ast.walk(node)}
    names = {name for node in ast.walk(tree) if id(node) not in hidden for name in _names(node)}
    return {name for name in names if name in MODULES}


def _for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative imports hide which floor is meant"
        inside = [f"{node.module}.{alias.name}" for alias in node.names]
        return inside if any(name in MODULES for name in inside) else [node.module or ""]
    return []


def within(module: str, name: str) -> bool:
    return module == name or (name != "nmt" and module.startswith(name + "."))


def floor(module: str) -> int:
    return next(number for number, names in enumerate(FLOORS) if any(within(module, name) for name in names))


def room(module: str) -> str | None:
    return next((name for name in ROOMS if within(module, name)), None)


def reached(module: str) -> set[str]:
    """All that is imported by importing a module."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        for name in imports(waiting.pop()) - found:
            found.add(name)
            waiting.append(name)
    return found


def test_every_module_has_a_floor() -> None:
    assert [module for module in MODULES if not any(within(module, name) for names in FLOORS for name in names)] == []


@each_module
def test_a_file_imports_only_from_lower_floors_or_from_its_own_folder(module: str) -> None:
    folder = module if MODULES[module].stem == "__init__" else module.rpartition(".")[0]
    upward = [
        name
        for name in imports(module, inside_functions=True)
        if floor(name) > floor(module) or (floor(name) == floor(module) and name.rpartition(".")[0] != folder)
    ]
    assert upward == []


@each_module
def test_no_import_leads_back(module: str) -> None:
    """So within a folder there are earlier and later files."""
    assert module not in reached(module)


@pytest.mark.parametrize("module", [module for module in MODULES if room(module)])
def test_the_rooms_know_nothing_of_each_other(module: str) -> None:
    strangers = {name for name in imports(module, inside_functions=True) if room(name) != room(module)}
    assert strangers - {"nmt.errors"} == BESIDES.get(module, set())


@pytest.mark.parametrize("module", [module for module in MODULES if not within(module, "nmt.cli")])
def test_imports_stand_at_the_top(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    top = {id(node) for node in tree.body}
    top |= {id(inner) for node in tree.body if _for_type_checkers(node) for inner in ast.walk(node)}
    late = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in top]
    assert [ast.unparse(node) for node in late] == []


def modules_after(*arguments: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded at its end."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


@pytest.mark.parametrize("command", [["--help"], ["train", "--help"], ["translate", "--help"]])
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    loaded = modules_after("-m", "nmt", *command)
    assert "nmt.cli" in loaded
    assert loaded & {"torch", "numpy", "datasets", "sacrebleu", "sentencepiece", "pydantic", "rich"} == set()


def test_recipes_are_read_without_torch() -> None:
    loaded = modules_after("-c", "import nmt.recipe_file")
    assert "nmt.recipe" in loaded
    assert "torch" not in loaded


def test_importing_nmt_is_instant_and_load_is_there() -> None:
    code = (
        "import sys, nmt; assert 'torch' not in sys.modules; from nmt import load, load_ensemble\n"
        "print(load.__module__, load_ensemble.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "nmt.loading nmt.loading\n"
    assert nmt.__all__ == ["load", "load_ensemble"]


def test_a_name_that_nmt_lacks_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'nmt' has no attribute 'laod'"):
        nmt.laod  # noqa: B018
