"""What the README tells people to type is there to be typed. (Running it all is the business of CI.)"""

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from toy_run import ROOT

from nmt.cli import nmt
from nmt.errors import RecipeError
from nmt.recipe_file import load_recipe

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT_FOLDERS = ("nmt", "recipes", "tests", "tools")  # runs/ and the reader's own files are not there yet


def commands(text: str) -> list[list[str]]:
    """The commands of its ```sh blocks, as words; pipes and && join several on a line."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").split("\n")
    return [words for line in lines for words in _between_joints(line) if words]


def _between_joints(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if set(word) <= set("|&;"):
            yield words
            words = []
        else:
            words.append(word)
    yield words


def check(words: list[str]) -> None:
    """Raises where a command has an option that is not, or names a file of the project that is not."""
    if words[0] == "nmt":
        command: click.Command = nmt
        parsed, rest = click.Context(nmt), words[1:]
        while isinstance(command, click.Group):
            found = command.get_command(parsed, rest[0])
            assert found is not None, f"no command {rest[0]}"
            command, name, rest = found, rest[0], rest[1:]
            group = isinstance(command, click.Group)
            parsed = command.make_context(name, [] if group else list(rest), parent=parsed, resilient_parsing=group)
        if words[1] == "train":
            load_recipe(parsed.params["recipe"], parsed.params["overrides"])
    for word in words[1:]:
        if word.split("/")[0] in PROJECT_FOLDERS and "/" in word:
            path = ROOT / word  # or NAME of NAME.de and NAME.en
            assert path.exists() or path.with_name(f"{path.name}.de").exists(), f"no file {word}"


@pytest.mark.parametrize("words", commands(README), ids=" ".join)
def test_a_command_of_the_readme_exists_with_its_options_and_files(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    check(words)


@pytest.mark.parametrize("command", ["train", "translate", "evaluate", "distill", "inspect"])
def test_the_readme_shows_every_command(command: str) -> None:
    assert any(words[:2] == ["nmt", command] for words in commands(README))


def test_every_long_option_in_the_prose_is_one_of_some_command() -> None:
    options = {option for command in nmt.commands.values() for param in command.params for option in param.opts}
    prose = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"(?<=`)--[a-z][a-z-]*", prose)) <= options | {"--help", "--version"}


@pytest.mark.parametrize(
    "line",
    [
        "nmt tranlate runs/x",
        "nmt translate runs/x --beam 3",
        "nmt translate runs/x recipes/nowhere.de",
        "nmt train recipes/nowhere.toml",
        "nmt train quickstart --set train.max_step=5",
        "echo x | nmt evaluate",
        "nmt data clean recipes/phrasebook/nowhere -o runs/x",
        "nmt data wash recipes/phrasebook/train",
        "pip install nmt && python tools/nowhere.py",
    ],
)
def test_a_readme_with_a_mistake_would_be_found(line: str) -> None:
    with pytest.raises((AssertionError, click.UsageError, RecipeError)):
        for words in commands(f"text\n```sh\ntrue\n{line}\n```\n"):
            check(words)
