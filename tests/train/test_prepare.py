"""From a recipe's data section to ids, batches and words about them."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from toy_run import Pair, phrasebook, read, write_pairs, write_recipe

from nmt.data.batches import Position
from nmt.errors import DataError, RecipeError
from nmt.train.prepare import (
    Examples,
    StreamMaker,
    describe,
    make_stream,
    new_tokenizers,
    open_corpora,
    open_test_sets,
)

PAIRS = phrasebook(60)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_recipe(tmp_path, PAIRS, valid=PAIRS[:5], test=PAIRS[7:9])


def ids(examples: Examples, epoch: int) -> list[list[list[int]]]:
    """Of both sides of an epoch."""
    return [[sentence.tolist() for sentence in table.window(0, 1)] for table in examples(epoch)]  # type: ignore[attr-defined]


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


def test_tokenizers_do_not_depend_on_how_much_is_read_together(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section, corpora = read(recipe).tokenizer, open_corpora(read(recipe).data)
    first = new_tokenizers(section, corpora.train).src.model
    monkeypatch.setattr("nmt.data.corpus._BATCH_PAIRS", 7)
    monkeypatch.setattr("nmt.data.corpus.READER_VERSION", "another")
    again = open_corpora(read(recipe).data).train
    assert len(again.pairs.data.column("src").chunks) == 9
    assert new_tokenizers(section, again).src.model == first


MIXED = {"data.train": '["train", "more"]', "data.weights": "[1.0, 3.0]"}
WINDOWS = {"tokenizer.sampling": 0.2, **MIXED}


@pytest.fixture
def more(tmp_path: Path) -> None:
    write_pairs(tmp_path, "more", phrasebook(100)[60:])


@pytest.mark.parametrize("changes", [{}, {"tokenizer.sampling": 0.2}, MIXED, WINDOWS])
@pytest.mark.parametrize("window_pairs", [1000, 37])
def test_a_stream_made_from_a_later_position_gives_the_later_batches(
    recipe: Path, more: None, changes: dict[str, object], window_pairs: int
) -> None:
    changed = read(recipe, **changes, **{"train.batch_tokens": 100, "train.threads": 2})
    corpora = open_corpora(changed.data)
    tokenizers = new_tokenizers(changed.tokenizer, corpora.train)

    def make() -> StreamMaker:
        return replace(make_stream(changed, corpora.train, tokenizers), window_pairs=window_pairs)

    taken = []
    for after, batch in make()(Position(0)):
        taken.append((after, batch))
        if after.epoch == 1 and after.batch == 2:
            break
    assert make().ahead > 0
    for index in (0, len(taken) // 3, len(taken) - 2):
        after, batch = next(iter(make()(taken[index][0])))
        assert after == taken[index + 1][0]
        assert batch.src.tolist() == taken[index + 1][1].src.tolist()
        assert batch.tgt_out.tolist() == taken[index + 1][1].tgt_out.tolist()


def counted(recipe: Path, **changes: object) -> tuple[int, int]:
    """How many sentences of an epoch come from the one text and from the other."""
    changed = read(recipe, **{"data.train": '["train", "more"]', "train.threads": 1}, **changes)
    corpora = open_corpora(changed.data)
    tokenizers = new_tokenizers(changed.tokenizer, corpora.train)
    first = {src for src, _ in PAIRS}
    own = others = 0
    for after, batch in make_stream(changed, corpora.train, tokenizers)(Position(0)):
        for ids, length in zip(batch.src.tolist(), batch.src_lengths.tolist(), strict=True):
            inside = tokenizers.src.decode(ids[: length - 1]) in first
            own, others = own + inside, others + (not inside)
        if after.epoch:
            return own, others
    raise AssertionError


def test_weights_and_temperature_set_the_shares_of_the_training_texts(recipe: Path, more: None) -> None:
    assert open_corpora(read(recipe, **{"data.train": '["train", "more"]'}).data).train.kept == (60, 40)
    assert counted(recipe) == (60, 40)
    assert counted(recipe, **{"data.weights": "[1, 3.0]"}) == (25, 75)
    assert counted(recipe, **{"data.weights": "[1.0, 3.0]", "tokenizer.sampling": 0.2}) == (25, 75)
    assert counted(recipe, **{"data.temperature": 1e9}) == (50, 50)
    assert counted(recipe, **{"data.temperature": 2.0}) == (55, 45)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"data.weights": "[1.0, 2.0]"}, "data.weights has 2 numbers for 1 texts of data.train: it needs one each"),
        ({"data.weights": "[1.0]", "data.temperature": 2.0}, "data.weights and data.temperature both set the shares"),
        ({"data.weights": "[0.0]"}, "data.weights (--set): found [0.0]; allowed: list of numbers, each over 0.0"),
        ({"data.weights": 1.0}, "data.weights (--set): found 1.0; allowed: list of numbers, each over 0.0"),
        ({"data.temperature": 0.5}, "data.temperature (--set): found 0.5; allowed: number, at least 1.0"),
    ],
)
def test_what_cannot_be_mixed_is_a_fault_of_the_recipe(recipe: Path, changes: dict[str, object], fault: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read(recipe, **changes)
    assert fault in str(caught.value)


def test_a_bar_is_shown_only_while_there_is_work(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "cache"))

    def shown() -> str:
        console = Console(file=io.StringIO(), force_terminal=True, width=80)
        corpora = open_corpora(read(recipe).data, console)
        tokenizers = new_tokenizers(read(recipe).tokenizer, corpora.train)
        make_stream(read(recipe), corpora.train, tokenizers, console)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    first = shown()
    assert "reading pairs" in first
    assert "encoding pairs" in first
    assert shown() == ""


def test_sampled_windows_of_a_small_corpus_are_cut_as_its_lines_in_order(recipe: Path) -> None:
    """What measured results with subword sampling rest on: the seed of each block of 10,000 lines."""
    corpora = open_corpora(read(recipe).data)
    tokenizers = new_tokenizers(read(recipe).tokenizer, corpora.train)
    found = ids(Examples(corpora.train, tokenizers, sampling=0.3, seed=7), 2)
    for side, sentences in zip(("src", "tgt"), found, strict=True):
        seed = np.random.SeedSequence([7, 2, side == "src", 0]).generate_state(1)[0]
        tokenizer = tokenizers.src if side == "src" else tokenizers.tgt
        assert sentences == tokenizer.sample_batch(corpora.train.pairs[side], alpha=0.3, seed=int(seed))
