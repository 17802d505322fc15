"""1000 sentences of Multi30k: engines and batches give the same translations. No training: a run is read."""

import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from nmt.engine.engines import EngineKind, engine_for
from nmt.engine.shortlist import Shortlist, build_shortlist
from nmt.loading import load
from nmt.passages import Request
from nmt.run_dir import SHORTLIST, SavedModel, load_model
from nmt.train.prepare import open_train, open_valid
from nmt.translator import Translation, Translator
from nmt.workers import pooled

RUN = Path(os.environ.get("NMT_REAL_RUN", "runs/multi30k-de-en"))
TIE = 1e-5
BOTH: tuple[EngineKind, EngineKind] = ("fast", "exact")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (RUN / "model.safetensors").is_file(), reason=f"no trained run in {RUN} (NMT_REAL_RUN)"),
]


@pytest.fixture(scope="module")
def saved() -> SavedModel:
    return load_model(RUN)


@pytest.fixture(scope="module")
def lines(saved: SavedModel) -> list[str]:
    folder = Path(saved.recipe.data.folder)
    if not any(folder.glob("val.*")):
        pytest.skip(f"no validation text in {folder}")
    found = list(open_valid(saved.recipe.data).pairs["src"])[:1000]
    assert len(found) == 1000
    return found


@pytest.fixture(scope="module")
def shortlist(saved: SavedModel) -> Shortlist:
    pairs, both = open_train(saved.recipe.data).pairs, saved.tokenizers
    return build_shortlist(
        both.src.encode_batch(pairs["src"][:5000]),  # type: ignore[arg-type]
        both.tgt.encode_batch(pairs["tgt"][:5000]),  # type: ignore[arg-type]
        src_vocab_size=both.src.vocab_size,
        tgt_vocab_size=both.tgt.vocab_size,
        eos_id=3,
        never=(0, 1, 2),
        copies=True,
    )


def best(
    saved: SavedModel,
    lines: Sequence[str],
    *,
    kind: EngineKind,
    beam_size: int,
    batch_size: int = 64,
    shortlist: Shortlist | None = None,
) -> list[Translation]:
    search = saved.recipe.search.model_copy(update={"beam_size": beam_size, "batch_size": batch_size})
    translator = Translator(engine_for(saved.model, kind, shortlist=shortlist), saved.tokenizers, search)
    return [one for [one] in translator.translations(lines)]


def assert_same(found: Sequence[Translation], wanted: Sequence[Translation]) -> None:
    """The same texts; two that differ must tie: their scores are less than TIE apart.

    Where the length limit cut both off, two beams may have tied hundreds of tokens before: ten times that.
    """
    for ours, theirs in zip(found, wanted, strict=True):
        runaway = "truncated" in ours.flags and "truncated" in theirs.flags
        assert ours.text == theirs.text or abs(ours.score - theirs.score) < (10 * TIE if runaway else TIE)


@pytest.mark.parametrize("beam_size", [1, 5])
def test_the_fast_engine_translates_as_the_model_itself(saved: SavedModel, lines: list[str], beam_size: int) -> None:
    found, wanted = (best(saved, lines, kind=kind, beam_size=beam_size) for kind in BOTH)
    assert_same(found, wanted)


@pytest.mark.parametrize("order", ["given", "sorted", "shuffled"])
@pytest.mark.parametrize("beam_size", [1, 5])
@pytest.mark.parametrize(
    ("kind", "short"), [("exact", False), ("fast", False), ("fast", True), ("int8", False), ("int8", True)]
)
def test_batch_size_and_order_change_no_translation(
    saved: SavedModel, lines: list[str], shortlist: Shortlist, kind: EngineKind, short: bool, beam_size: int, order: str
) -> None:
    """In batches of 7 and of 64, and each line alone; the reference is the order of the file in batches of 64."""
    places = {
        "given": list(range(len(lines))),
        "sorted": sorted(range(len(lines)), key=lambda place: (len(lines[place]), lines[place])),
        "shuffled": random.Random(1).sample(range(len(lines)), len(lines)),
    }[order]
    chosen = shortlist if short else None
    wanted = best(saved, lines, kind=kind, beam_size=beam_size, shortlist=chosen)
    in_order = [lines[place] for place in places]
    for batch_size in (1, 7, 64) if order == "given" else (7, 64):  # alone, a line has no order
        found = best(saved, in_order, kind=kind, beam_size=beam_size, batch_size=batch_size, shortlist=chosen)
        assert_same(found, [wanted[place] for place in places])


@pytest.mark.parametrize("short", [False, True])
def test_several_processes_translate_as_one_does(lines: list[str], short: bool) -> None:
    """With the run's own shortlist too, as the command has it."""
    if short and not (RUN / SHORTLIST).is_file():
        pytest.skip(f"{RUN} has no shortlist: `nmt shortlist {RUN}` makes one")
    translator = load(RUN, shortlist=short)
    wanted = list(translator.translations(lines))
    with pooled(translator, 2) as pool:
        requests = (Request(line, number) for number, line in enumerate(lines))
        found = list(pool.translations(requests, n_best=1, read_ahead=None, alignments=False))
    assert [[one.text for one in of_line] for of_line in found] == [[one.text for one in of_line] for of_line in wanted]
