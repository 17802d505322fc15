"""The shortlist that a training leaves: that it is there whatever comes between, and can be made afterwards."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
from datasets import Dataset
from rich.console import Console
from toy_run import Killed, TinyRun, phrasebook, train, write_recipe

from nmt import run_dir
from nmt.data.tokenizer import EOS_ID, TokenizerSpec, train_tokenizers
from nmt.engine.shortlist import Shortlist
from nmt.errors import CheckpointError, RecipeError
from nmt.loading import load
from nmt.run_dir import MANIFEST, SHORTLIST, has_shortlist, load_model, save_model, save_shortlist, sha256, sole_writer
from nmt.train import run as training
from nmt.train import shortlist as shortlists
from nmt.train.shortlist import build_shortlist, learn_shortlist

QUIET = Console(quiet=True)
QUICK = {"train.max_steps": 4, "train.warmup_steps": 1}


@pytest.fixture
def run(tiny: TinyRun, tmp_path: Path) -> Path:
    """A copy of the tiny run, to be changed."""
    return Path(shutil.copytree(tiny.run, tmp_path / "run"))


def take_away(run: Path) -> bytes:
    """Make of a run one of the time before shortlists; the content of the one that it had."""
    content = (run / SHORTLIST).read_bytes()
    (run / SHORTLIST).unlink()
    manifest = json.loads((run / MANIFEST).read_bytes())
    del manifest["files"][SHORTLIST]
    (run / MANIFEST).write_text(json.dumps(manifest))
    return content


def test_a_training_leaves_a_shortlist_that_its_manifest_lists(tiny: TinyRun) -> None:
    assert json.loads((tiny.run / MANIFEST).read_bytes())["files"][SHORTLIST] == sha256(tiny.run / SHORTLIST)
    sources = tiny.sources[:60]
    full, short = (load(tiny.run, shortlist=shortlist).translate(sources) for shortlist in (False, True))
    assert sum(ours == theirs for ours, theirs in zip(short, full, strict=True)) > 30


def test_a_piece_may_become_what_it_is_in_the_pairs_that_have_it(tiny: TinyRun) -> None:
    tokenizers = load_model(tiny.run).tokenizers
    size = tokenizers.src.vocab_size
    found = Shortlist.from_file(tiny.run / SHORTLIST, src_vocab_size=size, tgt_vocab_size=size)
    wanted = [tokenizers.tgt.encode_batch([tgt])[0] for _, tgt in tiny.pairs]
    sources = [tokenizers.src.encode_batch([src])[0] for src in tiny.sources]
    allowed = [{int(one) for piece in ids for one in found.table[piece]} for ids in sources]
    tokens = sum(map(len, wanted))
    assert sum(one in own for ids, own in zip(wanted, allowed, strict=True) for one in ids) > 0.95 * tokens


def test_a_run_that_was_killed_before_its_shortlist_makes_it(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, phrasebook(60))
    train(recipe, tmp_path / "whole", QUICK)
    with mock.patch.object(training, "learn_shortlist", side_effect=Killed), pytest.raises(Killed):
        train(recipe, tmp_path / "run", QUICK)
    assert not has_shortlist(tmp_path / "run")
    train(recipe, tmp_path / "run", QUICK)
    assert (tmp_path / "run" / SHORTLIST).read_bytes() == (tmp_path / "whole" / SHORTLIST).read_bytes()
    with mock.patch.object(training, "learn_shortlist", side_effect=Killed):
        train(recipe, tmp_path / "run", QUICK)  # it is not made again


def test_a_run_of_before_gets_the_same_one_afterwards(run: Path) -> None:
    wanted = take_away(run)
    assert not has_shortlist(run)
    assert build_shortlist(run, QUIET) == run / SHORTLIST
    assert (run / SHORTLIST).read_bytes() == wanted
    assert has_shortlist(run)
    load(run, shortlist=True)


def test_a_run_that_is_being_trained_is_left_alone(run: Path) -> None:
    with sole_writer(run), pytest.raises(CheckpointError, match="another training is writing here"):
        build_shortlist(run, QUIET)


def test_a_model_that_cannot_use_one_has_none(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, phrasebook(60))
    train(recipe, tmp_path / "run", QUICK | {"model.input_feeding": "true"})
    assert not (tmp_path / "run" / SHORTLIST).exists()
    with pytest.raises(RecipeError, match=r"run: its model has no shortlist: that is for .* translate without one"):
        build_shortlist(tmp_path / "run", QUIET)


def test_of_a_large_text_a_part_is_looked_at_evenly_spread(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def learn(src: list[Any], _tgt: list[Any], **_options: object) -> Shortlist:
        seen.append(len(src))
        return Shortlist.from_file(run / SHORTLIST, src_vocab_size=360, tgt_vocab_size=360)

    monkeypatch.setattr(shortlists, "learn", learn)
    for most in (1000, 200, 199, 60):
        monkeypatch.setattr(shortlists, "MAX_PAIRS", most)
        build_shortlist(run, QUIET)
    assert seen == [200, 200, 100, 50]


def killed_at(call: int, name: str) -> Callable[..., Any]:
    """The function `name` of run_dir, which is killed the `call`-th time, before it does anything."""
    real, calls = getattr(run_dir, name), iter(range(1, 1000))

    def work(*args: Any) -> Any:
        if next(calls) == call:
            raise Killed
        return real(*args)

    return work


@pytest.mark.parametrize("name", ["write_bytes", "write_json", "sync_file"])
@pytest.mark.parametrize("call", [1, 2, 3, 4])
@pytest.mark.parametrize("had", [True, False])
def test_a_kill_at_any_moment_leaves_a_folder_that_loads(
    run: Path, monkeypatch: pytest.MonkeyPatch, name: str, call: int, had: bool
) -> None:
    content = (run / SHORTLIST).read_bytes() if had else take_away(run)
    other = Shortlist.from_file(run / SHORTLIST, src_vocab_size=360, tgt_vocab_size=360) if had else None
    if other is not None:
        content = Shortlist(other.table, other.frequent[:5]).to_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(run_dir, name, killed_at(call, name))
        try:
            save_shortlist(run, content)
        except Killed:
            load(run)
    save_shortlist(run, content)
    assert has_shortlist(run)
    load(run, shortlist=True)


def test_a_new_model_keeps_the_shortlist_in_the_manifest(run: Path) -> None:
    save_model(run, load_model(run).model.weights())
    assert has_shortlist(run)
    load_model(run)


def test_the_symbols_of_placeholders_are_always_allowed() -> None:
    lines = [f"Das ist {number}." for number in range(40)]
    tokenizers = train_tokenizers(lines, lines, TokenizerSpec(vocab_size=340, placeholders=("numbers",)))
    corpus = SimpleNamespace(pairs=Dataset.from_dict({"src": lines, "tgt": lines}))
    found = learn_shortlist(corpus, tokenizers, per_piece=1, frequent=1)  # type: ignore[arg-type]
    allowed = found.allowed(torch.tensor([[EOS_ID]]), torch.tensor([1]), tokenizers.tgt.vocab_size)
    assert allowed[0, list(tokenizers.symbol_ids)].all()
