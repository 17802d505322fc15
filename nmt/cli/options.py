"""Options that several commands have, in the sections in which their help shows them."""

import functools
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from nmt.engine.engines import EngineKind
    from nmt.recipe import SearchSection
    from nmt.search.ensemble import Combination
    from nmt.translator import Translator

Decorator = Callable[[Any], Any]


@dataclass(frozen=True)
class Decoding:
    """Which runs decode beside the one that a command names, and how all of them do; search: keys of the recipe."""

    ensemble: tuple[Path, ...]
    combination: "Combination | None"
    lm: Path | None
    lm_weight: float | None
    glossary: Path | None
    keep: tuple[str, ...]
    engine: "EngineKind"
    shortlist: bool
    threads: int | None
    search: dict[str, Any]

    def runs(self, run: Path) -> list[Path]:
        """All run folders, the named one first."""
        return [run, *self.ensemble]

    def work(self, run: Path, search: "SearchSection") -> dict[str, Any]:
        """All that decides a translation of a line, by name; search: the options as they were resolved."""
        from nmt.recipe import BATCHING
        from nmt.run_dir import MANIFEST, MODEL, sha256

        runs = {f"model {number}": run for number, run in enumerate(self.runs(run), start=1)}
        files = {name: [run / file for file in (MANIFEST, MODEL)] for name, run in runs.items()}
        return {
            **{name: " ".join(sha256(file) for file in of_run if file.is_file()) for name, of_run in files.items()},
            "combination": self.combination or "linear",
            "engine": self.engine,
            **{f"search.{key}": value for key, value in search.model_dump(exclude=set(BATCHING)).items()},
            **self.besides(),
            "keep": list(self.keep),  # besides() joins them, and two together could look like one
        }

    def besides(self) -> dict[str, str]:
        """What has a say in a translation besides the runs and the search options, none of it by default."""
        from nmt.run_dir import MODEL, sha256

        given = {
            "lm": self.lm and f"{sha256(self.lm / MODEL)} {LM_WEIGHT if self.lm_weight is None else self.lm_weight}",
            "glossary": self.glossary and sha256(self.glossary),
            "keep": " ".join(self.keep),
            "shortlist": "yes" if self.shortlist else "",
        }
        return {name: value for name, value in given.items() if value}


ENSEMBLE = click.option(
    "--ensemble",
    multiple=True,
    metavar="RUN2",
    type=click.Path(path_type=Path),
    help="Another run, of the same tokenizer, that works together with RUN; repeatable.",
)
COMBINATION = click.option(
    "--combination",
    type=click.Choice(["linear", "log_linear"]),
    help="What they average: probabilities, or log-probabilities.  [default: linear]",
)
THREADS = click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: one a core]")
MODELS = [
    ENSEMBLE,
    COMBINATION,
    click.option(
        "--lm",
        metavar="RUN3",
        type=click.Path(path_type=Path),
        help="The run of a language model with RUN's tokenizer, that has a say in each token (shallow fusion).",
    ),
    click.option(
        "--lm-weight", type=click.FloatRange(min=0.0), help="Weight of its log-probabilities.  [default: 0.1]"
    ),
]
SEARCH = [
    click.option(
        "--beam-size", type=click.IntRange(min=1), help="Hypotheses kept a step; 1: greedy.  [default: the recipe's]"
    ),
    click.option(
        "--length-penalty",
        type=click.Choice(["none", "average", "gnmt"]),
        help="Divisor of a hypothesis' log-probability: 1, its length, or ((5 + length) / 6) ** alpha.",
    ),
    click.option("--length-alpha", type=click.FloatRange(min=0.0), help="The alpha of gnmt."),
    click.option(
        "--coverage-penalty",
        type=click.FloatRange(min=0.0),
        help="Weight by which finished hypotheses lose that leave source tokens unattended; 0: off.",
    ),
    click.option(
        "--min-length", type=click.IntRange(min=0), help="Shortest translation, in tokens; it wins over the longest."
    ),
    click.option(
        "--max-length-ratio",
        type=click.FloatRange(min=0.0, min_open=True),
        help="Longest translation: this times the source's tokens ...",
    ),
    click.option("--max-length-offset", type=click.IntRange(min=0), help="... plus this."),
    click.option(
        "--block-ngrams", type=click.IntRange(min=0), help="No n-gram of so many tokens twice in a line; 0: off."
    ),
    click.option(
        "--repetition-penalty",
        type=click.FloatRange(min=1.0),
        help="Log-probabilities of tokens that the line has already times this; 1: off.",
    ),
    click.option(
        "--diverse-groups",
        type=click.IntRange(min=1),
        help="Cut the beam into so many groups, each unlike those before it: for --n-best; 1: off.",
    ),
    click.option(
        "--diverse-strength",
        type=click.FloatRange(min=0.0),
        help="What a token costs in a group for each time that an earlier group takes it.",
    ),
    click.option(
        "--max-src-tokens", type=click.IntRange(min=8), help="Longer lines are translated sentence by sentence."
    ),
]
RANDOM = [
    click.option("--sample", is_flag=True, default=None, help="Draw translations in place of searching for the best."),
    click.option(
        "--temperature",
        type=click.FloatRange(min=0.0, min_open=True),
        help="Under 1 more probable tokens, over 1 more surprising ones.",
    ),
    click.option("--top-k", type=click.IntRange(min=0), help="Draw from so many of the best tokens; 0: from all."),
    click.option(
        "--top-p",
        type=click.FloatRange(min=0.0, max=1.0, min_open=True),
        help="Draw from the best tokens that hold this probability together.",
    ),
    click.option("--seed", type=click.IntRange(min=0), help="Decides, with a line's number, what is drawn for it."),
    click.option(
        "--mbr-samples",
        type=click.IntRange(min=0),
        help="Draw so many and take the one most like the others (minimum Bayes risk, by chrF); 0: off.",
    ),
]
DEMANDS = [
    click.option(
        "--glossary",
        type=click.Path(path_type=Path),
        help="A file of `source term TAB target term`: these become those, or the line is flagged.",
    ),
    click.option("--keep", multiple=True, metavar="REGEX", help="What matches is copied, not translated; repeatable."),
]
SPEED = [
    click.option(
        "--engine",
        type=click.Choice(["exact", "fast", "int8"]),
        default="fast",
        show_default=True,
        help="exact: the model as it was trained; fast: the same translations, sooner; int8: nearly the same.",
    ),
    click.option(
        "--shortlist",
        is_flag=True,
        help="Choose only among what the training text had for these source words: sooner, and nearly the same.",
    ),
    click.option(
        "--batch-size", type=click.IntRange(min=1), help="Most sentences decoded together.  [default: the recipe's]"
    ),
    click.option(
        "--batch-tokens",
        type=click.IntRange(min=1),
        help="Most source tokens decoded together: of longer sentences fewer.  [default: the recipe's]",
    ),
    THREADS,
]
SECTIONS = {
    "Models": MODELS,
    "Search (as RUN has it, where not given)": SEARCH,
    "Drawing at random": RANDOM,
    "What a translation must have": DEMANDS,
    "Speed": SPEED,
}


class Sectioned(click.Command):
    """A command whose help shows its options in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its own options first."""
        sections: dict[str, list[tuple[str, str]]] = {title: [] for title in ("Options", *SECTIONS)}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (record := parameter.get_help_record(ctx)):
                sections[_TITLES.get(parameter.name or "", "Options")].append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def decoding_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of `Decoding`, handed to the command as `decoding`."""

    @functools.wraps(command)
    def with_decoding(**given: Any) -> None:
        own = {field.name: given.pop(field.name) for field in fields(Decoding) if field.name != "search"}
        search = {name: given.pop(name) for name in SEARCH_KEYS}
        decoding = Decoding(**own, search={name: value for name, value in search.items() if value is not None})
        command(decoding=decoding, **given)

    for options in reversed(SECTIONS.values()):
        for option in reversed(options):
            with_decoding = option(with_decoding)
    return with_decoding


def load(run: Path, decoding: Decoding) -> "Translator":
    """The translator of a run and of those that decode with it, with the options of the command line over its own."""
    from nmt.data.glossary import Glossary
    from nmt.loading import load_ensemble

    check_combination(decoding.combination, decoding.ensemble)
    if decoding.lm_weight is not None and decoding.lm is None:
        raise click.UsageError("--lm-weight goes with --lm: it is the weight of that language model")
    weight = LM_WEIGHT if decoding.lm_weight is None else decoding.lm_weight
    settle_process(decoding.threads)
    translator = load_ensemble(
        decoding.runs(run),
        combination=decoding.combination or "linear",
        engine=decoding.engine,
        shortlist=decoding.shortlist,
        search=decoding.search,
        glossary=Glossary.from_file(decoding.glossary) if decoding.glossary else Glossary(()),
        keep=[_pattern(text) for text in decoding.keep],
        fusion=None if decoding.lm is None else (decoding.lm, weight),
    )
    _check_idle(decoding.search, translator.search)
    return translator


def _check_idle(given: Collection[str], search: "SearchSection") -> None:
    """Raises UsageError for an option given on the command line that does nothing under the search that it is for."""
    idle = {}
    if search.draws:
        idle["beam_size"] = "goes without --sample and --mbr-samples: they search for nothing"
    else:
        idle |= dict.fromkeys(
            ("temperature", "top_k", "top_p", "seed"), "goes with --sample or --mbr-samples: it says how to draw"
        )
    if search.length_penalty != "gnmt":
        idle["length_alpha"] = "goes with --length-penalty gnmt: it is its alpha"
    if search.diverse_groups == 1:
        idle["diverse_strength"] = "goes with --diverse-groups 2 or more: it says how unlike they are to be"
    for name, why in idle.items():
        if name in given:
            raise click.UsageError(f"--{name.replace('_', '-')} {why}")


def check_combination(combination: str | None, ensemble: Sequence[Path]) -> None:
    """Raises UsageError where nothing is combined."""
    if combination and not ensemble:
        raise click.UsageError("--combination goes with --ensemble: it says how several runs are combined")


def settle_process(threads: int | None) -> None:
    """Have torch use so many threads, or as many as it likes, and keep its memory."""
    import torch

    from nmt.allocator import keep_freed_memory

    keep_freed_memory()
    if threads:
        torch.set_num_threads(threads)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise click.UsageError(f"--keep {text!r}: not a regular expression: {error}") from error


def _names(options: Sequence[Decorator]) -> list[str]:
    def command() -> None: ...

    for option in options:
        option(command)
    return [parameter.name or "" for parameter in command.__click_params__]  # type: ignore[attr-defined]


LM_WEIGHT = 0.1
SEARCH_KEYS = (*_names(SEARCH), *_names(RANDOM), "batch_size", "batch_tokens")
_TITLES = {name: title for title, options in SECTIONS.items() for name in _names(options)}
