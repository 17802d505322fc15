"""`nmt data check`."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from nmt.cli.data.check_verdict import Verdict
    from nmt.corpora.check import Findings
    from nmt.data.sources import Source, SourceRules
    from nmt.recipe import Recipe

_SUFFIXES = (".tsv", ".jsonl", ".json")


@click.command()
@click.argument("what", metavar="RECIPE|FILES...", nargs=-1, required=True)
@click.option("--src-lang", metavar="LANG", help="Language of the source side, of FILES.  [default: as SRC ends]")
@click.option("--tgt-lang", metavar="LANG", help="Language of the target side, of FILES.  [default: as TGT ends]")
@click.option("--tsv-columns", metavar="LANG,LANG,...", help="Languages of the columns of a TSV file among FILES.")
@click.option("--set", "overrides", metavar="SECTION.KEY=VALUE", multiple=True, help="Change a key of RECIPE.")
@click.option(
    "--examples", type=click.IntRange(min=0), default=2, show_default=True, help="Pairs shown of each suspicion."
)
@click.option("--json", "as_json", is_flag=True, help="All that was found as one JSON object.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: one a core]")
def check(
    what: Sequence[str],
    src_lang: str | None,
    tgt_lang: str | None,
    tsv_columns: str | None,
    overrides: Sequence[str],
    examples: int,
    as_json: bool,
    workers: int | None,
) -> None:
    """Look at parallel text before training on it.

    RECIPE is a .toml file, or the name of a recipe that comes with nmt: all of its data is looked at, under its
    filters, and read as a training would. FILES are two files of lines, SRC TGT, or .tsv and .jsonl files.

    Leaves with 1 where a training would fail: text that cannot be read, sides of unequal length, no pairs left, a
    vocabulary without room for the text's characters. What would only make it worse is a warning, and the exit code 0.
    """
    from rich.console import Console

    from nmt.cli.data.check_show import show
    from nmt.cli.data.check_verdict import judge, try_recipe

    if len(what) == 1 and not what[0].removesuffix(".gz").endswith(_SUFFIXES):
        from nmt.recipe_file import load_recipe

        recipe = load_recipe(what[0], overrides).recipe
        given = [name for name, value in (("--src-lang", src_lang), ("--tgt-lang", tgt_lang)) if value]
        if given or tsv_columns:
            raise click.UsageError(f"{(given or ['--tsv-columns'])[0]} goes with FILES; a recipe says it itself")
        findings = _look_at_recipe(recipe, examples, workers)
        verdict = judge(findings)
        verdict = try_recipe(recipe, findings, verdict)
        languages = (recipe.data.src_lang, recipe.data.tgt_lang)
    else:
        if overrides:
            raise click.UsageError("--set goes with a recipe")
        languages = _languages(what, src_lang, tgt_lang)
        findings = _look_at_files(what, languages, tsv_columns, examples, workers)
        verdict = judge(findings)
    if as_json:
        click.echo(json.dumps(_as_json(findings, verdict, languages), ensure_ascii=False))
    else:
        show(findings, verdict, languages, Console())
    if verdict.failures:
        raise SystemExit(1)


def _languages(files: Sequence[str], src_lang: str | None, tgt_lang: str | None) -> tuple[str, str]:
    ends = [re.search(r"\.([a-z]{2,3})$", file.removesuffix(".gz")) for file in files[:2]]
    if len(files) == 2 and not any(file.removesuffix(".gz").endswith(_SUFFIXES) for file in files):
        src_lang, tgt_lang = src_lang or (ends[0] and ends[0][1]), tgt_lang or (ends[1] and ends[1][1])
    if not src_lang or not tgt_lang:
        raise click.UsageError("the languages are not known: give --src-lang and --tgt-lang")
    if src_lang == tgt_lang:
        raise click.UsageError(f"both sides would be {src_lang}: give --src-lang and --tgt-lang")
    return src_lang, tgt_lang


def _look_at_files(
    files: Sequence[str], languages: tuple[str, str], columns: str | None, examples: int, workers: int | None
) -> "list[Findings]":
    from nmt.data.lines import TextFile
    from nmt.data.sources import FileSource, SourceRules
    from nmt.recipe import DataSection

    single = [file for file in files if file.removesuffix(".gz").endswith(_SUFFIXES)]
    texts = [TextFile(Path(file), file) for file in files]
    if len(single) == len(files):
        kinds = ["tsv" if file.removesuffix(".gz").endswith(".tsv") else "json" for file in files]
        sources = [FileSource(kind, (text,)) for kind, text in zip(kinds, texts, strict=True)]
    elif not single and len(files) == 2:
        sources = [FileSource("two files", tuple(texts))]
    else:
        raise click.UsageError("wanted are a recipe, or two files of lines: SRC TGT, or .tsv and .jsonl files")
    section = DataSection(src_lang=languages[0], tgt_lang=languages[1], train=("train",), valid=("valid",))
    rules = SourceRules(
        folder=Path(),
        hub={},
        src_lang=languages[0],
        tgt_lang=languages[1],
        tsv_columns=tuple(columns.split(",")) if columns else None,
    )
    return _look({"text": list(sources)}, rules, section, examples, workers)


def _look_at_recipe(recipe: "Recipe", examples: int, workers: int | None) -> "list[Findings]":
    from nmt.corpora.check import Findings
    from nmt.data.sources import find_source
    from nmt.errors import DataError
    from nmt.train.prepare import source_rules

    data = recipe.data
    rules = source_rules(data)
    sources: dict[str, list[Source]] = {"train": [], "valid": [], "test": []}
    missing = []
    for role, names in (("train", data.train), ("valid", data.valid), ("test", data.test)):
        for name in names:
            try:
                sources[role].append(find_source(name, rules))
            except DataError as fault:
                missing.append(Findings(role, name, failure=str(fault)))
    return [*missing, *_look(sources, rules, data, examples, workers)]


def _look(
    sources: "dict[str, list[Source]]", rules: "SourceRules", section: Any, examples: int, workers: int | None
) -> "list[Findings]":
    from nmt.cli.data.reading import bars
    from nmt.corpora.check import Checker
    from nmt.corpora.check_text import Looking
    from nmt.corpora.rules import Limits
    from nmt.data.cache import Cache
    from nmt.data.corpus import Filters
    from nmt.data.encode import cores

    filters = Filters(max_chars=section.max_chars, max_ratio=section.max_ratio, drop_duplicates=section.drop_duplicates)
    sets = [(role, members) for role, members in sources.items() if role != "test"]
    sets += [("test", [source]) for source in sources.get("test", ())]  # each is scored alone
    looking = Looking(Limits(src_lang=rules.src_lang, tgt_lang=rules.tgt_lang), _other_language())
    findings = []
    with bars() as watch:
        for role, members in sets:
            checker = Checker(
                rules,
                filters=filters if role in ("train", "text") else None,
                looking=looking,
                examples=examples,
                workers=workers or cores(),
                watch=watch,
            )
            for source in members:
                with Cache().workspace() as folder:
                    findings.append(checker.look(role, source, folder))
    return findings


def _other_language() -> Any:
    """The test of a text's language, or None where the extra is not installed."""
    try:
        from nmt.corpora.language import other_language
    except ImportError:
        return None
    return other_language


def _as_json(findings: "list[Findings]", verdict: "Verdict", languages: tuple[str, str]) -> dict[str, Any]:
    return {
        "src_lang": languages[0],
        "tgt_lang": languages[1],
        "sources": [found.as_json() for found in findings],
        "overlap": verdict.overlap,
        "warnings": verdict.warnings,
        "failures": verdict.failures,
    }
