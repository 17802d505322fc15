"""1000 sentences of Multi30k: engines and batches give the same translations. No training: a run is read."""

import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from nmt.engine.engines import EngineKind, engine_for
from nmt.engine.shortlist import build_shortlist
from nmt.loading import load
from nmt.passages import Request
from nmt.run_dir import SHORTLIST, SavedModel, load_model
from nmt.train.prepare import open_train, open_valid
from nmt.translator import Translation, Translator
from nmt.workers import pooled

RUN = Path(os.environ.get("NMT_REAL_RUN", "runs/multi30k-de-en"))
TIE = 1e-5
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
    return list(open_valid(saved.recipe.data).pairs["src"])[:1000]


def under(saved: SavedModel, kind: EngineKind, beam_size: int, batch_size: int, *, short: bool = False) -> Translator:
    search = saved.recipe.search.model_copy(update={"beam_size": beam_size, "batch_size": batch_size})
    shortlist = None
    if short:
        pairs, both = open_train(saved.recipe.data).pairs, saved.tokenizers
        shortlist = build_shortlist(
            both.src.encode_batch(pairs["src"][:5000]),  # type: ignore[arg-type]
            both.tgt.encode_batch(pairs["tgt"][:5000]),  # type: ignore[arg-type]
            src_vocab_size=both.src.vocab_size,
            tgt_vocab_size=both.tgt.vocab_size,
            eos_id=3,
            never=(0, 1, 2),
            copies=True,
        )
    return Translator(engine_for(saved.model, kind, shortlist=shortlist), saved.tokenizers, search)


def best_two(translator: Translator, lines: Sequence[str]) -> list[list[Translation]]:
    return list(translator.translations(lines, n_best=min(2, translator.search.beam_size)))


def assert_same(found: Sequence[Sequence[Translation]], wanted: Sequence[Sequence[Translation]]) -> None:
    """The same texts; two that differ must tie: their scores are less than TIE apart."""
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours[0].text == theirs[0].text or abs(ours[0].score - theirs[0].score) < TIE


@pytest.mark.parametrize("beam_size", [1, 5])
def test_the_fast_engine_translates_as_the_model_itself(saved: SavedModel, lines: list[str], beam_size: int) -> None:
    found, wanted = (best_two(under(saved, kind, beam_size, 64), lines) for kind in ("fast", "exact"))
    assert_same(found, wanted)


@pytest.mark.parametrize("beam_size", [1, 5])
@pytest.mark.parametrize(("kind", "short"), [("fast", False), ("fast", True), ("int8", False), ("int8", True)])
def test_batch_size_and_order_change_no_translation(
    saved: SavedModel, lines: list[str], kind: EngineKind, short: bool, beam_size: int
) -> None:
    wanted = best_two(under(saved, kind, beam_size, 64, short=short), lines)
    order = list(range(len(lines)))
    random.Random(1).shuffle(order)
    shuffled = best_two(under(saved, kind, beam_size, 64, short=short), [lines[i] for i in order])
    assert_same(shuffled, [wanted[i] for i in order])
    assert_same(best_two(under(saved, kind, beam_size, 7, short=short), lines), wanted)
    one_by_one = under(saved, kind, beam_size, 1, short=short)
    assert_same(best_two(one_by_one, lines[:200]), wanted[:200])


@pytest.mark.parametrize("shortlist", [False, True])
def test_several_processes_translate_as_one_does(lines: list[str], shortlist: bool) -> None:
    """With the run's own shortlist too, as the command has it."""
    if shortlist and not (RUN / SHORTLIST).is_file():
        pytest.skip(f"{RUN} has no shortlist: `nmt shortlist {RUN}` makes one")
    translator = load(RUN, shortlist=shortlist)
    wanted = list(translator.translations(lines))
    with pooled(translator, 2) as pool:
        requests = (Request(line, number) for number, line in enumerate(lines))
        found = list(pool.translations(requests, n_best=1, read_ahead=None, alignments=False))
    assert [[one.text for one in of_line] for of_line in found] == [[one.text for one in of_line] for of_line in wanted]
