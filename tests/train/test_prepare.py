"""From a recipe's data section to ids, batches and words about them."""

import json
from pathlib import Path

import pytest
from toy_run import Pair, phrasebook, read, write_pairs, write_recipe

from nmt.data.batches import Position
from nmt.errors import DataError, RecipeError
from nmt.train.prepare import Examples, describe, make_stream, new_tokenizers, open_corpora, open_test_sets

PAIRS = phrasebook(60)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_recipe(tmp_path, PAIRS, valid=PAIRS[:5], test=PAIRS[7:9])


def ids(examples: Examples, epoch: int) -> list[list[list[int]]]:
    """Of both sides of an epoch."""
    return [[sentence.tolist() for sentence in table] for table in examples(epoch)]  # type: ignore[attr-defined]


def test_names_become_corpora_and_only_training_text_is_filtered(recipe: Path, tmp_path: Path) -> None:
    long: Pair = ("lang " * 300, "long " * 300)
    for name in ("train", "valid", "test"):
        write_pairs(tmp_path, name, [*PAIRS[:3], long, PAIRS[0]])
    corpora = open_corpora(read(recipe).data)
    counts = [len(corpus.pairs) for corpus in (corpora.train, corpora.valid, corpora.tests["test"])]
    assert counts == [3, 5, 5]


def test_every_key_about_reading_reaches_the_reader(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "both.tsv").write_text("x\tHello\tHallo\ny\tYes\tJa\ny\tYes\tJa\n")
    (tmp_path / "bad.de").write_bytes(b"caf\xe9\n")
    (tmp_path / "bad.en").write_bytes(b"coffee\n")
    keys = {"data.train": '["both.tsv"]', "data.tsv_columns": '["id", "en", "de"]'}
    rows = open_corpora(read(recipe, **keys, **{"data.drop_duplicates": "false"}).data).train.pairs
    assert list(zip(rows["src"], rows["tgt"], strict=True)) == [("Hallo", "Hello"), ("Ja", "Yes"), ("Ja", "Yes")]
    assert len(open_corpora(read(recipe, **keys).data).train.pairs) == 2
    assert len(open_corpora(read(recipe, **keys, **{"data.max_chars": 4}).data).train.pairs) == 1
    assert open_corpora(read(recipe, **{"data.train": "bad", "data.errors": "replace"}).data).train.pairs["src"] == [
        "caf\ufffd"
    ]
    with pytest.raises(DataError, match="byte 0xE9 is not UTF-8"):
        open_corpora(read(recipe, **{"data.train": "bad"}).data)


def test_the_fingerprint_is_of_the_text_that_decides_the_weights_and_of_no_other(recipe: Path, tmp_path: Path) -> None:
    def fingerprint(**changes: object) -> str:
        found: str = open_corpora(read(recipe, **changes).data).fingerprint
        return found

    first = fingerprint()
    write_pairs(tmp_path, "test", PAIRS[3:5])
    assert fingerprint() == first
    assert fingerprint(**{"data.max_chars": 999}) != first
    write_pairs(tmp_path, "valid", PAIRS[:6])
    second = fingerprint()
    assert second != first
    write_pairs(tmp_path, "train", PAIRS[:59])
    assert fingerprint() not in (first, second)


def test_test_sets_go_by_their_file_names_without_ends(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "web.tsv").write_text("Hallo\tHello\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "news.jsonl").write_text(json.dumps({"de": "Ja", "en": "Yes"}) + "\n")
    sets = open_test_sets(read(recipe, **{"data.test": '["test", "web.tsv", "deep/news.jsonl"]'}).data)
    assert [found.name for found in sets] == ["test", "web", "news"]
    assert (sets[2].src, sets[2].references) == (["Ja"], ["Yes"])
    assert list(zip(sets[0].src, sets[0].references, strict=True)) == PAIRS[7:9]


@pytest.mark.parametrize("names", ['["test", "test"]', '["test", "deep/test.tsv"]', '["valid"]'])
def test_two_sets_of_one_name_are_refused(recipe: Path, names: str) -> None:
    with pytest.raises(RecipeError, match="scores go by name"):
        open_test_sets(read(recipe, **{"data.test": names}).data)


def test_no_test_sets_is_said(recipe: Path) -> None:
    with pytest.raises(RecipeError, match=r"names no test set.*--src and --ref"):
        open_test_sets(read(recipe, **{"data.test": "[]"}).data)


def test_the_description_counts_what_was_read_dropped_and_shared(recipe: Path, tmp_path: Path) -> None:
    write_pairs(tmp_path, "train", [*PAIRS[:4], PAIRS[0], ("kurz", "long " * 30)])
    assert describe(open_corpora(read(recipe).data)) == [
        "train: 4 pairs of 6 read (dropped: 1 length ratio, 1 duplicate)",
        "valid: 5 pairs",
        "test: 2 pairs",
        "warning: 4 source sentences of valid are in train too: its score will flatter",
    ]


def test_tokenizers_are_what_the_recipe_wants_and_the_same_every_time(recipe: Path) -> None:
    section = read(recipe, **{"tokenizer.joint": "false", "model.tie": "tgt", "tokenizer.kind": "char"}).tokenizer
    corpora = open_corpora(read(recipe).data)
    first, second = (new_tokenizers(section, corpora.train) for _ in range(2))
    assert (first.joint, first.src.kind) == (False, "char")
    assert (first.src.model, first.tgt.model) == (second.src.model, second.tgt.model)
    assert first.src.model != first.tgt.model


def test_without_sampling_every_epoch_has_the_same_ids_and_they_spell_the_text(recipe: Path) -> None:
    corpora = open_corpora(read(recipe).data)
    tokenizers = new_tokenizers(read(recipe).tokenizer, corpora.train)
    src, tgt = ids(Examples(corpora.train, tokenizers, sampling=0.0, seed=1), 3)
    assert [tokenizers.src.decode(sentence) for sentence in src] == [pair[0] for pair in PAIRS]
    assert [tokenizers.tgt.decode(sentence) for sentence in tgt] == [pair[1] for pair in PAIRS]


def test_sampling_cuts_each_epoch_and_side_in_its_own_way_and_the_same_again(recipe: Path, tmp_path: Path) -> None:
    same: list[Pair] = [(src, src) for src, _ in PAIRS]  # so that only the draw can differ between the sides
    write_pairs(tmp_path, "train", same)
    corpora = open_corpora(read(recipe).data)
    tokenizers = new_tokenizers(read(recipe).tokenizer, corpora.train)
    first = Examples(corpora.train, tokenizers, sampling=0.3, seed=1)
    epochs = [ids(first, epoch) for epoch in (0, 1)]
    assert epochs[0] != epochs[1]
    assert epochs[0][0] != epochs[0][1]
    assert [tokenizers.src.decode(sentence) for sentence in epochs[1][0]] == [pair[0] for pair in same]
    again = Examples(corpora.train, tokenizers, sampling=0.3, seed=1)
    assert [ids(again, epoch) for epoch in (1, 0)] == epochs[::-1]  # in whatever order they are asked for
    assert ids(Examples(corpora.train, tokenizers, sampling=0.3, seed=2), 0) != epochs[0]


def test_the_ids_of_an_epoch_do_not_depend_on_how_much_is_encoded_together(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpora = open_corpora(read(recipe).data)
    tokenizers = new_tokenizers(read(recipe).tokenizer, corpora.train)
    whole = ids(Examples(corpora.train, tokenizers, sampling=0.0, seed=1), 0)
    monkeypatch.setattr("nmt.train.prepare.LINES_TOGETHER", 7)
    assert ids(Examples(corpora.train, tokenizers, sampling=0.0, seed=1), 0) == whole
    assert new_tokenizers(read(recipe).tokenizer, corpora.train).src.model == tokenizers.src.model


def test_a_stream_made_from_a_later_position_gives_the_later_batches(recipe: Path) -> None:
    corpora = open_corpora(read(recipe).data)
    changed = read(recipe, **{"tokenizer.sampling": 0.2, "train.batch_tokens": 100})
    tokenizers = new_tokenizers(changed.tokenizer, corpora.train)
    make = make_stream(changed, corpora.train, tokenizers)
    batches = iter(make(Position(0, 0)))
    taken = [next(batches) for _ in range(make(Position(0, 0)).batches_per_epoch + 3)]
    position, _ = taken[-2]
    assert position.epoch == 1
    after, batch = next(iter(make_stream(changed, corpora.train, tokenizers)(position)))
    assert after == taken[-1][0]
    assert batch.src.tolist() == taken[-1][1].src.tolist()
    assert batch.tgt_out.tolist() == taken[-1][1].tgt_out.tolist()
