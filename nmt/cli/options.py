"""Options that several commands have."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from nmt.engine.engines import EngineKind
    from nmt.search.ensemble import Combination
    from nmt.translator import Translator


@dataclass(frozen=True)
class Decoding:
    """Which runs decode beside the one that a command names, and how all of them do; None: as the recipe has it."""

    ensemble: tuple[Path, ...]
    combination: "Combination | None"
    engine: "EngineKind"
    beam_size: int | None
    batch_size: int | None
    threads: int | None

    def runs(self, run: Path) -> list[Path]:
        """All run folders, the named one first."""
        return [run, *self.ensemble]


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
        "--engine",
        type=click.Choice(["exact", "fast", "int8"]),
        default="fast",
        show_default=True,
        help="exact: the model as it was trained; fast: the same translations, sooner; int8: nearly the same.",
    ),
    click.option(
        "--beam-size", type=click.IntRange(min=1), help="Hypotheses kept a step; 1: greedy.  [default: the recipe's]"
    ),
    click.option(
        "--batch-size", type=click.IntRange(min=1), help="Sentences decoded together.  [default: the recipe's]"
    ),
    click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: one a core]"),
]


def decoding_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of `Decoding`, handed to the command as `decoding`."""

    @functools.wraps(command)
    def with_decoding(**given: Any) -> None:
        decoding = Decoding(**{field.name: given.pop(field.name) for field in fields(Decoding)})
        command(decoding=decoding, **given)

    for option in reversed(_DECODING):
        with_decoding = option(with_decoding)
    return with_decoding


def load(run: Path, decoding: Decoding) -> "Translator":
    """The translator of a run and of those that decode with it, with the options of the command line over its own."""
    import torch

    from nmt.translator import load_ensemble

    if decoding.combination and not decoding.ensemble:
        raise click.UsageError("--combination goes with --ensemble: it says how several runs are combined")
    if decoding.threads:
        torch.set_num_threads(decoding.threads)
    return load_ensemble(
        decoding.runs(run),
        combination=decoding.combination or "linear",
        engine=decoding.engine,
        beam_size=decoding.beam_size,
        batch_size=decoding.batch_size,
    )
