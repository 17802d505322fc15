"""Run folders to translators: one model, or several that decode together."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nmt.data.glossary import Glossary
from nmt.data.tokenizer import TokenizerPair
from nmt.engine.engines import EngineKind, engine_for
from nmt.engine.shortlist import Shortlist
from nmt.errors import CheckpointError, RecipeError
from nmt.recipe_file import with_search
from nmt.run_dir import SHORTLIST, SavedModel, load_language_model, load_model, same_vocabulary
from nmt.search.ensemble import Combination, Ensemble, StepModel
from nmt.search.fusion import Fusion
from nmt.search_file import searched
from nmt.translator import NO_GLOSSARY, Translator


def load(
    run: str | Path,
    *,
    device: str = "cpu",
    engine: EngineKind = "fast",
    shortlist: bool = False,
    search: Mapping[str, Any] = MappingProxyType({}),
    glossary: Glossary = NO_GLOSSARY,
    keep: Sequence[re.Pattern[str]] = (),
    fusion: tuple[str | Path, float] | None = None,
) -> Translator:
    """The translator of a run folder, or of an exported one.

    engine: "fast" gives the translations of "exact", the model itself; "int8" nearly those. shortlist: choose only from
    what the run's lexical shortlist allows, which is sooner and changes little too. search: keys of the recipe's
    [search] section that are to be other than it has them. glossary, keep: what a translation must have
    (`PassageMaker`). fusion: the run of a language model, and the weight of its say.
    Raises CheckpointError where a folder is missing or damaged, RecipeError for search options out of range.
    """
    return load_ensemble(
        [run],
        device=device,
        engine=engine,
        shortlist=shortlist,
        search=search,
        glossary=glossary,
        keep=keep,
        fusion=fusion,
    )


def load_ensemble(
    runs: Sequence[str | Path],
    *,
    combination: Combination = "linear",
    device: str = "cpu",
    engine: EngineKind = "fast",
    shortlist: bool = False,
    search: Mapping[str, Any] = MappingProxyType({}),
    glossary: Glossary = NO_GLOSSARY,
    keep: Sequence[re.Pattern[str]] = (),
    fusion: tuple[str | Path, float] | None = None,
) -> Translator:
    """The translator of several runs that decode together, under the search options of the first; else as `load`.

    Raises CheckpointError where a folder is missing or damaged, or where languages or tokenizers are not the same.
    """
    if isinstance(runs, str | Path) or not runs:
        raise TypeError("load_ensemble takes a list of run folders: load_ensemble([run, another])")
    first, *others = saved = [load_model(Path(run)) for run in runs]
    options = with_search(searched(Path(runs[0]), first.recipe), search).search
    demands = glossary.terms or (keep and not first.tokenizers.placeholders)
    if demands and shortlist:
        raise RecipeError("a shortlist may lack the words that a glossary or what is kept demands: take one of them")
    if demands and options.draws:
        raise RecipeError("a glossary, and what is kept, is for a search, not for drawing at random: take one of them")
    if demands and options.diverse_groups > 1:
        raise RecipeError(
            "a glossary, and what is kept, is for a whole beam, not for one cut into groups: take one of them "
            "(search.diverse_groups = 1 leaves it whole)"
        )
    for run, other in zip(runs[1:], others, strict=True):
        _check_fit(runs[0], first, run, other)
    models: list[StepModel[Any]] = []
    for run, one in zip(runs, saved, strict=True):
        candidates = _shortlist(Path(run), one.tokenizers) if shortlist else None
        models.append(engine_for(one.model.to(device), engine, shortlist=candidates))
    exact: list[StepModel[Any]] = [one.model for one in saved]
    model, scorer = (Ensemble(each, combination=combination) if others else each[0] for each in (models, exact))
    if fusion is not None:
        run, weight = fusion
        language_model = load_language_model(Path(run), beside=first)
        model = Fusion(model, language_model.model.to(device), weight=weight)
    return Translator(model, first.tokenizers, options, scorer=scorer, glossary=glossary, keep=keep)


def _shortlist(run: Path, tokenizers: TokenizerPair) -> Shortlist:
    path = run / SHORTLIST
    if not path.is_file():
        raise CheckpointError(f"{run}: has no shortlist ({SHORTLIST}): `nmt shortlist {run}` makes one")
    return Shortlist.from_file(path, src_vocab_size=tokenizers.src.vocab_size, tgt_vocab_size=tokenizers.tgt.vocab_size)


def _check_fit(run: str | Path, saved: SavedModel, other_run: str | Path, other: SavedModel) -> None:
    """Only models that give the same ids the same meaning can agree on the next one."""
    same = {
        "source languages": saved.recipe.data.src_lang == other.recipe.data.src_lang,
        "target languages": saved.recipe.data.tgt_lang == other.recipe.data.tgt_lang,
        "source tokenizers": same_vocabulary(saved.tokenizers.src, other.tokenizers.src),
        "target tokenizers": same_vocabulary(saved.tokenizers.tgt, other.tokenizers.tgt),
    }
    if different := [name for name, is_same in same.items() if not is_same]:
        raise CheckpointError(
            f"{run} and {other_run} cannot decode together: their {' and '.join(different)} differ; leave one out, or "
            "train both on the same text with the same [tokenizer] section: only [model] and [train] may differ"
        )
