"""Which engine searches with a model."""

from typing import Any, Literal, get_args

from nmt.engine.fast import FastEngine, supports
from nmt.engine.int8 import BriefInt8Product, Int8Product
from nmt.engine.product import FloatProduct, Pack
from nmt.engine.shortlist import Shortlist
from nmt.errors import RecipeError
from nmt.search.ensemble import StepModel

EngineKind = Literal["exact", "fast", "int8"]
# For weights that stay, and for those that a shortlist puts together for a batch.
PACKS: dict[EngineKind, tuple[Pack, Pack]] = {
    "fast": (FloatProduct, FloatProduct),
    "int8": (Int8Product, BriefInt8Product),
}


def engine_for(model: Any, kind: EngineKind, *, shortlist: Shortlist | None = None) -> StepModel[Any]:
    """What a search should use in place of a model that will not change any more.

    "exact" is the model itself, "fast" gives its results within rounding, and is the model itself where no faster
    engine knows it or where it is not on the CPU; "int8" and shortlists change results a little. Raises RecipeError
    for an unknown kind, and where int8 or a shortlist is asked for a model that only "exact" knows.
    """
    if kind not in get_args(EngineKind):
        raise RecipeError(f"engine: found {kind!r}; choose one of {', '.join(get_args(EngineKind))}")
    if kind == "exact" and shortlist is not None:
        raise RecipeError('a shortlist goes with the engines "fast" and "int8"; leave it out, or choose one of them')
    if kind != "exact" and supports(model):
        pack, brief_pack = PACKS[kind]
        return FastEngine(model, pack=pack, brief_pack=brief_pack, shortlist=shortlist)
    if kind == "int8" or shortlist is not None:
        raise RecipeError(
            "this model has no int8 engine and no shortlist: they are for encoder-decoders on the CPU, with cell lstm, "
            'gru or rnn, without input feeding and attention "multihead"; use the engine "fast" alone'
        )
    found: StepModel[Any] = model
    return found
