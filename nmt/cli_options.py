"""Options that several commands have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

_DECODING = [
    click.option(
        "--ensemble",
        multiple=True,
        metavar="RUN2",
        type=click.Path(path_type=Path),
        help="Another run, of the same tokenizer, that decodes together with RUN; repeatable.",
    ),
    click.option(
        "--combination",
        type=click.Choice(["linear", "log_linear"]),
        help="What they average: probabilities, or log-probabilities.  [default: linear]",
    ),
    click.option(
        "--beam-size", type=click.IntRange(min=1), help="Hypotheses kept a step; 1: greedy.  [default: the recipe's]"
    ),
    click.option(
        "--batch-size", type=click.IntRange(min=1), help="Sentences decoded together.  [default: the recipe's]"
    ),
    click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: one a core]"),
]


def decoding_options(command: Command) -> Command:
    """Which runs decode, and how: ensemble, combination, beam_size, batch_size, threads."""
    for option in reversed(_DECODING):
        command = option(command)
    return command
