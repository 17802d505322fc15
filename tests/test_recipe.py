"""What a recipe may say, and what is said about it."""

import tomllib
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nmt.model.build import build_model
from nmt.recipe import DataSection, ModelSection, Recipe, Section, TrainSection, sections
from nmt.recipe_keys import allowed, keys
from nmt.recipe_keys import toml_value as as_toml

DATA = {"src_lang": "de", "tgt_lang": "en", "train": "train", "valid": "valid"}


def recipe(**changes: dict[str, object]) -> Recipe:
    return Recipe.model_validate({"data": DATA} | changes)


@pytest.mark.parametrize("key", keys())
def test_every_key_has_a_description_of_one_line(key: str) -> None:
    description = keys()[key].description
    assert description and "\n" not in description and "|" not in description


@pytest.mark.parametrize("section", sections())
def test_every_section_says_what_it_is_for(section: str) -> None:
    kind = sections()[section]
    assert kind.__doc__ and kind.__doc__ != Section.__doc__


@pytest.mark.parametrize("section", [name for name in sections() if name != "data"])
def test_the_defaults_keep_their_own_rules(section: str) -> None:
    kind = sections()[section]
    assert kind.model_validate(kind().model_dump()) == kind()


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("name", "text"),
        ("data.src_lang", 'language code, such as "de" or "pt-BR"'),
        ("data.hub", "table of texts"),
        ("data.train", "text or list of one or more texts, none empty"),
        ("data.test", "text or list of texts, none empty"),
        ("data.max_ratio", "number, at least 1.0"),
        ("tokenizer.kind", '"unigram" | "bpe" | "char" | "word"'),
        ("tokenizer.character_coverage", "number, over 0.0, at most 1.0"),
        ("model.bidirectional", '"none" | "first" | "all"'),
        ("model.residual", "true or false"),
        ("model.dropout", "number, at least 0.0, under 1.0"),
        ("train.seed", "whole number, at least 0, at most 2147483648"),
    ],
)
def test_what_is_allowed_is_said_in_words(key: str, words: str) -> None:
    assert allowed(key) == words


@pytest.mark.parametrize("key", keys())
def test_no_bound_or_choice_of_a_key_is_left_unsaid(key: str) -> None:
    said = allowed(key)
    field = keys()[key]
    bounds = [value for item in field.metadata for name in ("ge", "gt", "le", "lt") if hasattr(item, name)
              for value in [getattr(item, name)]]  # fmt: skip
    choices = [choice for choice in get_args(field.annotation) if isinstance(choice, str)]
    assert all(str(part) in said for part in bounds + choices)


@pytest.mark.parametrize("code", ["de", "pt-BR", "zh_Hans", "yue", "sr-Latn-RS"])
def test_language_codes(code: str) -> None:
    assert DataSection.model_validate(DATA | {"src_lang": code}).src_lang == code


@pytest.mark.parametrize("code", ["", "d", "de ", "de\n", "../de", "de/en", "de-", "deutschland"])
def test_what_is_no_language_code_never_becomes_part_of_a_file_name(code: str) -> None:
    with pytest.raises(ValidationError):
        DataSection.model_validate(DATA | {"src_lang": code})


def test_one_name_stands_for_a_list_of_one() -> None:
    section = DataSection.model_validate(DATA | {"train": ["a", "b"], "test": "c"})
    assert (section.train, section.valid, section.test) == (("a", "b"), ("valid",), ("c",))


def test_a_recipe_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        recipe().train.seed = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("section", "values"), [("train", {"max_steps": 1.0}), ("train", {"max_steps": "1"}), ("model", {"tie": True})]
)
def test_nothing_is_read_as_another_type(section: str, values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        recipe(**{section: values})


def test_a_whole_number_is_a_number_too() -> None:
    assert TrainSection.model_validate({"learning_rate": 1}).learning_rate == 1.0


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_no_number_is_endless(number: float) -> None:
    with pytest.raises(ValidationError):
        TrainSection(max_minutes=number)


def test_one_embedding_for_all_needs_one_vocabulary() -> None:
    with pytest.raises(ValidationError, match=r"tie = \"all\".* needs tokenizer\.joint = true"):
        recipe(tokenizer={"joint": False})
    assert recipe(tokenizer={"joint": False}, model={"tie": "tgt"}).model == ModelSection(tie="tgt")


def test_sampling_needs_a_tokenizer_that_can_cut_in_several_ways() -> None:
    for kind in ("char", "word"):
        with pytest.raises(ValidationError, match=rf"sampling needs kind .* not \"{kind}\""):
            recipe(tokenizer={"kind": kind, "sampling": 0.1})
    for kind in ("unigram", "bpe"):
        assert recipe(tokenizer={"kind": kind, "sampling": 0.1}).tokenizer.sampling == 0.1


# Keys of [model] that do not go together: what is said, and one more change that mends it.
CONFLICTS: dict[str, tuple[dict[str, object], str, dict[str, object]]] = {
    "dot, both directions": (
        {"attention": "dot", "encoder_dim": 30, "decoder_dim": 30},
        r"dot.* needs decoder_dim = 60 ",
        {"decoder_dim": 60},
    ),
    "dot, only the first of two layers in both": (
        {"attention": "dot", "encoder_dim": 30, "decoder_dim": 60, "bidirectional": "first", "encoder_layers": 2},
        r"dot.* needs decoder_dim = 30 ",
        {"encoder_layers": 1},
    ),
    "dot, one direction": (
        {"attention": "dot", "encoder_dim": 30, "decoder_dim": 60, "bidirectional": "none"},
        r"dot.* needs decoder_dim = 30 ",
        {"attention": "general"},
    ),
    "dot, convolutional": (
        {"attention": "dot", "encoder_dim": 30, "decoder_dim": 60, "encoder": "convolutional"},
        r"dot.* needs decoder_dim = 30 ",
        {"encoder": "recurrent"},
    ),
    "heads": (
        {"attention": "multihead", "decoder_dim": 30, "attention_heads": 4},
        r"multihead.* needs a decoder_dim that attention_heads divides",
        {"attention_heads": 5},
    ),
    "reversed": (
        {"encoder": "convolutional", "reverse_source": True},
        r"reverse_source is about the order of reading",
        {"encoder": "recurrent"},
    ),
    "kernel": ({"encoder": "convolutional", "kernel_size": 4}, r"kernel_size must be odd", {"kernel_size": 5}),
}


@pytest.mark.parametrize("name", CONFLICTS)
def test_keys_of_the_model_that_do_not_go_together_are_refused(name: str) -> None:
    keys_of_model, words, mended = CONFLICTS[name]
    with pytest.raises(ValidationError, match=words):
        recipe(model=keys_of_model)
    assert build_model(recipe(model=keys_of_model | mended).model, src_vocab_size=9, tgt_vocab_size=9)


def test_a_network_that_reads_along_has_no_attention_whose_sizes_must_fit() -> None:
    sizes = {"attention": "dot", "encoder_dim": 30, "decoder_dim": 31}
    with pytest.raises(ValidationError, match="dot"):
        recipe(model=sizes)
    assert recipe(model=sizes | {"architecture": "read_along"}).model.decoder_dim == 31


values = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def as_lists(value: Any) -> Any:
    if isinstance(value, tuple):
        return [as_lists(item) for item in value]
    return {key: as_lists(item) for key, item in value.items()} if isinstance(value, dict) else value


@given(values)
def test_a_value_as_toml_is_read_as_that_value(value: object) -> None:
    found = tomllib.loads(f"value = {as_toml(value)}")["value"]
    assert found == as_lists(value)
    assert type(found) is type(as_lists(value))
