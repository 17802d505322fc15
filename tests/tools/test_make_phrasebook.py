"""The phrasebook's files: made again byte for byte, and split so that words are shared but no combination of them."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import make_phrasebook
import pytest
from click.testing import CliRunner
from phrasebook.clause import Clause, Phrase
from phrasebook.lexicon import BUY, ER, NAMES, RELATIVES, Subject
from phrasebook.sentences import Pair, pair

COMMITTED = Path(__file__).parents[2] / "recipes" / "phrasebook"


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Pair]]:
    return make_phrasebook.draw_splits(seed=1, pairs=20_000)


def test_a_german_sentence_always_has_the_same_translation() -> None:
    rng, translations = Random(7), dict[str, str]()
    for template in make_phrasebook.TEMPLATES:
        for _ in range(1500):
            drawn = template(rng)
            assert translations.setdefault(drawn.de, drawn.en) == drawn.en


def test_the_committed_files_are_what_the_program_writes(tmp_path: Path) -> None:
    result = CliRunner().invoke(make_phrasebook.main, ["--out", str(tmp_path / "new")])
    assert result.exit_code == 0, result.output
    names = [f"{split}.{lang}" for split in ("train", "valid", "test") for lang in ("de", "en")]
    for name in names:
        assert (tmp_path / "new" / name).read_bytes() == (COMMITTED / name).read_bytes(), name


def test_the_sizes_are_those_asked_for(splits: dict[str, list[Pair]]) -> None:
    assert {name: len(pairs) for name, pairs in splits.items()} == {"train": 20_000, "valid": 500, "test": 500}


def test_no_sentence_occurs_twice_in_either_language(splits: dict[str, list[Pair]]) -> None:
    pairs = [row for split in splits.values() for row in split]
    assert len({row.de for row in pairs}) == len(pairs)
    assert len({row.en for row in pairs}) == len(pairs)


def test_no_two_splits_share_a_combination_of_content_words(splits: dict[str, list[Pair]]) -> None:
    train, valid, test = ({row.key for row in splits[name]} for name in ("train", "valid", "test"))
    assert not train & valid
    assert not train & test
    assert not valid & test


def test_a_key_does_not_depend_on_the_order_or_form_of_its_words() -> None:
    anna = Subject("Anna", "Anna", ER, ("Anna",), "sie")
    hat = Phrase("den Hut", "the hat", "den Hut nicht", "the hat", ("Hut",))
    past = Clause(anna, BUY, hat, tense="past").words
    denied = Clause(anna, BUY, hat, negated=True).words
    assert pair(past, "a", "b").key == pair(denied[::-1], "c", "d").key == ("Anna", "Hut", "kaufen")


def test_a_lone_word_is_no_combination_to_hold_out() -> None:
    assert {make_phrasebook.split_of(("schlafen",), seed) for seed in range(50)} == {"train"}
    assert {make_phrasebook.split_of(("Anna", "schlafen"), seed) for seed in range(50)} == {"train", "valid", "test"}


def test_nobody_does_a_thing_to_himself(splits: dict[str, list[Pair]]) -> None:
    people = {noun.de for noun in RELATIVES} | set(NAMES)
    for row in splits["train"]:
        named = [word for word in row.de.strip(".?").split() if word in people]
        assert len(named) == len(set(named)), row.de


def test_every_word_of_valid_and_test_occurs_in_train(splits: dict[str, list[Pair]]) -> None:
    train = set[str]().union(*map(make_phrasebook.words_of, splits["train"]))
    for name in ("valid", "test"):
        assert set[str]().union(*map(make_phrasebook.words_of, splits[name])) <= train


@pytest.mark.parametrize("template", make_phrasebook.TEMPLATES, ids=lambda template: template.__name__)
def test_every_template_is_in_train_and_held_out(
    template: Callable[[Random], Pair], splits: dict[str, list[Pair]]
) -> None:
    rng = Random(3)
    drawn = {template(rng).de for _ in range(2500)}
    assert drawn & {row.de for row in splits["train"]}
    assert drawn & {row.de for row in splits["valid"] + splits["test"]}


def test_every_line_is_one_whole_sentence_of_few_words(splits: dict[str, list[Pair]]) -> None:
    for row in splits["train"] + splits["valid"] + splits["test"]:
        for text in (row.de, row.en):
            assert text[0].isupper(), text
            assert text[-1] in ".?", text
            assert text == " ".join(text.split()), text
            assert 2 <= len(text.split()) <= 18, text


def test_another_seed_gives_other_sentences() -> None:
    first, second = ({row.de for row in make_phrasebook.draw_splits(seed, 2000)["train"]} for seed in (1, 2))
    assert len(first & second) < 500


def test_a_grammar_that_runs_dry_says_how_far_it_got(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(make_phrasebook, "DRAWS_PER_PAIR", 1)
    result = CliRunner().invoke(make_phrasebook.main, ["--out", str(tmp_path), "--pairs", "2000"])
    assert result.exit_code == 2
    assert "--pairs 2000: 2000 draws from the grammar gave only" in result.output
    assert "2000 are wanted for train and 50 for each of the others; ask for fewer pairs" in result.output
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_place_of_the_folder_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    result = CliRunner().invoke(make_phrasebook.main, ["--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "is a file" in result.output


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "out" / "train.de").mkdir(parents=True)
    result = CliRunner().invoke(make_phrasebook.main, ["--out", str(tmp_path / "out"), "--pairs", "2000"])
    assert result.exit_code == 1
    assert str(tmp_path / "out" / "train.de") in result.output
