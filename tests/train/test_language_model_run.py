"""A language model from a recipe to its perplexity, and a tokenizer that is another run's."""

import json
import math
import shutil
from pathlib import Path
from unittest import mock

import pytest
import torch
from toy_run import killed_after, metrics, nmt, phrasebook, read, saved_state, train, write_recipe

from nmt.data.batches import Position
from nmt.data.tokenizer import BOS_ID, EOS_ID, TokenizerPair, TokenizerSpec, train_tokenizers
from nmt.errors import CheckpointError, RecipeError
from nmt.model.language_model import LanguageModel
from nmt.run_dir import SavedModel, load_any_model, load_language_model, load_stored_recipe, save_model, save_setup
from nmt.train.adopted import adopt_tokenizers
from nmt.train.prepare import make_stream, new_tokenizers, open_train
from nmt.train.run import new_model
from nmt.train.validation import Validation, Validator

LM = {"data.src_lang": "en", "data.tgt_lang": "en", "model.architecture": "language_model"}
BRIEF = LM | {"train.max_steps": 4, "train.validate_every": 2, "train.save_every": 2}
PAIRS = phrasebook(120)
VALID_FIELDS = ["event", "step", "ppl", "best_ppl", "seconds", "elapsed_seconds"]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Of the other language there is no text at all."""
    path = write_recipe(tmp_path, PAIRS, valid=PAIRS[:15], test=PAIRS[100:])
    for name in ("train", "valid", "test"):
        (tmp_path / f"{name}.de").unlink()
    return path


def lines(folder: Path, name: str) -> list[str]:
    return (folder / f"{name}.en").read_text(encoding="utf-8").split("\n")[:-1]


@torch.no_grad()
def nll_by_hand(saved: SavedModel, text: list[str]) -> tuple[float, int]:
    """Token by token, as search would ask for it."""
    log_probs = []
    for ids in saved.tokenizers.tgt.encode_batch(text):
        assert isinstance(saved.model, LanguageModel)
        state = saved.model.start(torch.tensor([[EOS_ID]]), torch.tensor([1]))
        for prev, token in zip([BOS_ID, *ids], [*ids, EOS_ID], strict=True):
            found, state = saved.model.step(torch.tensor([prev]), state)
            log_probs.append(float(found[0, token]))
    return -math.fsum(log_probs), len(log_probs)


def test_what_a_training_leaves_is_about_perplexity_alone(recipe: Path, tmp_path: Path) -> None:
    printed = train(recipe, tmp_path / "run", LM | {"train.sampled_softmax": 50, "train.sampled_share": 0.5})
    saved = load_any_model(tmp_path / "run")

    valid = [line for line in metrics(tmp_path / "run") if line["event"] == "valid"]
    assert [list(line) for line in valid] == [VALID_FIELDS] * 4
    assert valid[-1]["ppl"] < 0.7 * valid[0]["ppl"]
    for number, line in enumerate(valid, start=1):
        assert line["best_ppl"] == min(each["ppl"] for each in valid[:number])
    nll, tokens = nll_by_hand(saved, lines(tmp_path, "valid"))
    assert math.exp(nll / tokens) == pytest.approx(valid[-1]["best_ppl"], rel=1e-5)

    [row] = json.loads((tmp_path / "run" / "scores.json").read_bytes())
    nll, tokens = nll_by_hand(saved, lines(tmp_path, "test"))
    assert row["score"] == pytest.approx(math.exp(nll / tokens), rel=1e-5)
    assert (row["test_set"], row["metric"], row["sentences"], row["beam_size"]) == ("test", "ppl", 20, 0)
    assert row["signature"].startswith(f"tokens:{tokens}|eos:yes|tok:unigram-")

    assert not (tmp_path / "run" / "hypotheses").exists()
    assert "BLEU" not in printed
    assert f"valid step 40  ppl {valid[-1]['ppl']:.2f}  " in printed
    assert f"  best ppl {valid[-2]['best_ppl']:.2f}\n" in printed
    assert f"test: ppl = {row['score']:.2f} (tokens:{tokens}|" in printed


@pytest.mark.parametrize("changes", [{"tokenizer.sampling": 0.2}, {"model.cell": "gru", "train.ema_decay": 0.9}])
def test_a_run_that_was_killed_ends_as_one_that_was_not(
    recipe: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    train(recipe, tmp_path / "whole", BRIEF | changes)
    with killed_after(3):
        train(recipe, tmp_path / "run", BRIEF | changes)
    assert "after step 2 of 4" in train(recipe, tmp_path / "run", BRIEF | changes)
    whole, run = (saved_state(tmp_path / name).tensors for name in ("whole", "run"))
    assert whole.keys() == run.keys()
    assert all(torch.equal(whole[name], run[name]) for name in whole)


def test_the_best_is_the_lowest_perplexity_for_model_patience_and_checkpoints(recipe: Path, tmp_path: Path) -> None:
    nlls = iter([2.0, 1.5, 1.7, 1.6])
    patient = {"train.max_steps": 50, "train.validate_every": 1, "train.save_every": 1, "train.patience": 2}
    with mock.patch.object(Validator, "__call__", lambda self: Validation(None, next(nlls), [], [])):
        train(recipe, tmp_path / "run", LM | patient | {"train.keep_last": 1, "train.keep_best": 1})
    assert [line["best_ppl"] for line in metrics(tmp_path / "run") if line["event"] == "valid"] == pytest.approx(
        [math.exp(nll) for nll in (2.0, 1.5, 1.5, 1.5)]
    )
    kept = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert kept == ["00000002", "00000004"]


@pytest.mark.parametrize("changes", [{}, {"tokenizer.sampling": 0.3}, {"data.temperature": 2.0}])
def test_an_epoch_has_every_line_and_no_source(recipe: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    changed = read(recipe, **LM | {"train.batch_tokens": 100} | changes)
    corpus = open_train(changed.data)
    pair = new_tokenizers(changed.tokenizer, corpus, ("tgt",))
    assert pair.joint and pair.src is pair.tgt
    found = []
    for after, batch in make_stream(changed, corpus, pair)(Position(0)):
        assert torch.equal(batch.src, torch.full((len(batch.tgt_in), 1), EOS_ID))
        found += [
            pair.tgt.decode(ids[: length - 1]) for ids, length in zip(batch.tgt_out, batch.tgt_lengths, strict=True)
        ]
        if after.epoch == 1:
            break
    assert sorted(found) == sorted(set(lines(tmp_path, "train")))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.src_lang": "de"}, 'it needs data.src_lang = data.tgt_lang, which are "de" and "en"'),
        ({"tokenizer.joint": "false", "model.tie": "tgt"}, "has one vocabulary: it needs tokenizer.joint = true"),
    ],
)
def test_a_language_model_has_one_language_and_one_vocabulary(
    recipe: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(RecipeError, match=words):
        read(recipe, **LM | changes)


# --- the tokenizer of another run ---


def translation_run(folder: Path, *, joint: bool = False, vocab_size: int = 400) -> Path:
    """A run folder from German to English, with a model that no one trained, and a tokenizer of an odd kind."""
    folder.mkdir()
    tokenizer: dict[str, object] = {"tokenizer.joint": str(joint).lower(), "tokenizer.normalization": "nfkc"}
    recipe = read(write_recipe(folder, PAIRS), **{"model.tie": "tgt", "tokenizer.vocab_size": vocab_size} | tokenizer)
    spec = TokenizerSpec(vocab_size=vocab_size, joint=joint, normalization="nfkc")
    pair = train_tokenizers([src for src, _ in PAIRS], [tgt for _, tgt in PAIRS], spec)
    save_setup(folder / "run", recipe, pair)
    save_model(folder / "run", new_model(recipe, pair).weights())
    return folder / "run"


def same(pair: TokenizerPair, src: bytes, tgt: bytes) -> bool:
    return (pair.src.model, pair.tgt.model) == (src, tgt)


def test_a_run_with_another_ones_tokenizer_stands_alone_afterwards(recipe: Path, tmp_path: Path) -> None:
    there, run = translation_run(tmp_path / "there"), tmp_path / "run"
    changes = BRIEF | {"tokenizer.run": there, "tokenizer.sampling": 0.1}
    with killed_after(3):
        train(recipe, run, changes)
    wanted = TokenizerPair.load(there / "tokenizer").tgt.model
    assert same(TokenizerPair.load(run / "tokenizer"), wanted, wanted)
    stored = load_stored_recipe(run).tokenizer
    assert (stored.vocab_size, stored.normalization, stored.joint, stored.sampling) == (400, "nfkc", True, 0.1)

    (there / "tokenizer").rename(tmp_path / "kept")
    shutil.copytree(translation_run(tmp_path / "other", vocab_size=380) / "tokenizer", there / "tokenizer")
    assert f"{there} has another tokenizer now than when this run began" in train(recipe, run, changes, code=1)
    shutil.rmtree(there)
    assert "going on in" in train(recipe, run, changes)
    assert same(load_any_model(run).tokenizers, wanted, wanted)


def test_each_language_gets_its_own_tokenizer(tmp_path: Path) -> None:
    there = translation_run(tmp_path / "there")
    theirs, path = TokenizerPair.load(there / "tokenizer"), write_recipe(tmp_path, PAIRS)
    de, en = theirs.src.model, theirs.tgt.model
    options = {"tokenizer.run": there, "model.tie": "tgt"}
    for src_lang, tgt_lang, src, tgt in [("de", "en", de, en), ("en", "de", en, de), ("de", "de", de, de)]:
        languages = {"data.src_lang": src_lang, "data.tgt_lang": tgt_lang}
        adopted, pair = adopt_tokenizers(read(path, **options | languages))
        assert same(pair, src, tgt)
        assert pair.joint is adopted.tokenizer.joint is (src is tgt)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.src_lang": "fr", "model.tie": "tgt"}, 'has tokenizers of de and en, and wanted is one of "fr"'),
        ({}, r'with the tokenizer of tokenizer.run, .*model.tie = "all" shares one embedding'),
        ({"tokenizer.run": "nowhere"}, "nowhere: no run folder with a tokenizer; train that run first"),
    ],
)
def test_a_tokenizer_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    there = translation_run(tmp_path / "there")
    with pytest.raises(RecipeError, match=words):
        adopt_tokenizers(read(write_recipe(tmp_path, PAIRS), **{"tokenizer.run": there} | changes))


# --- what else there is to do with it ---


def test_a_language_model_helps_only_who_writes_with_its_tokenizer(recipe: Path, tmp_path: Path) -> None:
    there, other = (
        translation_run(tmp_path / name, vocab_size=size) for name, size in (("there", 400), ("other", 380))
    )
    run = tmp_path / "run"
    train(recipe, run, BRIEF | {"tokenizer.run": there})
    translation, another = load_any_model(there), load_any_model(other)
    assert isinstance(load_language_model(run, beside=translation).model, LanguageModel)
    with pytest.raises(CheckpointError, match=r"its tokenizer is not the one that toy writes en with: train"):
        load_language_model(run, beside=another)
    with pytest.raises(CheckpointError, match=r"there/run: a translation model; a language model is wanted"):
        load_language_model(there, beside=translation)

    (tmp_path / "text").write_text("Ja\n")
    for command in (
        ["translate", run, tmp_path / "text"],
        ["evaluate", run],
        ["export", run, tmp_path / "out"],
        ["distill", run, tmp_path / "out"],
        ["inspect", run],
    ):
        result = nmt(*command)
        assert (result.code, result.text) == (1, "")
        assert f"{run}: a language model of en, which translates nothing: name a translation model's run" in result.err
