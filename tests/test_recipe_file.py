"""Reading recipes: everything wrong is said at once, and everything right comes from where it is said to."""

import itertools
import math
import re
import time
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.errors import RecipeError
from nmt.recipe import Placeholder, Recipe
from nmt.recipe_file import REMOVED, differences, find_recipe, flat, load_recipe, load_resolved, recipe_toml
from nmt.recipe_keys import allowed, keys, toml_value
from nmt.recipe_rules import memory_dim

SHIPPED = sorted((Path(__file__).parents[1] / "recipes").glob("*.toml"))
GOOD = '[data]\nsrc_lang = "de"\ntgt_lang = "en"\ntrain = "train"\nvalid = "valid"\n'
QUICK_SECONDS = 1.0


def write(folder: Path, text: str | bytes, name: str = "recipe.toml") -> str:
    path = folder / name
    path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
    return str(path)


def fault(path: str, *overrides: str) -> str:
    """What is said about a recipe that is refused; always within the time limit of fault 35."""
    begin = time.process_time()
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides)
    assert time.process_time() - begin < QUICK_SECONDS
    assert caught.value.exit_code == 2
    return str(caught.value)


# --- all faults at once ---


def test_all_faults_are_named_at_once_each_with_origin_found_allowed_and_a_near_miss(tmp_path: Path) -> None:
    text = 'nam = "x"\n[data]\nsrc_lang = "de"\ntrain = "t"\nvalid = []\n[train]\noptimizer = "adm"\nlerning_rate = 1\n'
    path = write(tmp_path, text + "max_steps = -3\n[modle]\ntie = 1\n")
    assert fault(path, "train.seed=no", "search.patience=1").splitlines() == [
        "the recipe has 9 faults:",
        f"  nam ({path}): there is no such key; did you mean name?",
        f"  train.lerning_rate ({path}): there is no such key; did you mean train.learning_rate?",
        f"  modle.tie ({path}): there is no such key; did you mean model.tie?",
        "  search.patience (--set): there is no such key; did you mean train.patience?",
        '  data.tgt_lang: missing; allowed: language code, such as "de" or "pt-BR"',
        f"  data.valid ({path}): found []; allowed: text or list of one or more texts, none empty",
        "  train.seed (--set): found 'no'; allowed: whole number, at least 0, at most 2147483648",
        f"  train.max_steps ({path}): found -3; allowed: whole number, at least 1",
        f'  train.optimizer ({path}): found \'adm\'; allowed: "adam" | "adamw" | "sgd"; did you mean "adam"?',
    ]


def test_one_fault_is_one_fault(tmp_path: Path) -> None:
    assert fault(write(tmp_path, GOOD + "[train]\nseed = -1")).startswith("the recipe has 1 fault:\n")


def test_an_empty_recipe_is_told_every_key_that_it_must_have(tmp_path: Path) -> None:
    said = fault(write(tmp_path, ""))
    required = [key for key, field in keys().items() if "." in key and field.is_required()]
    assert len(required) == 4
    assert [line.split(":")[0].strip() for line in said.splitlines()[1:]] == required


def test_rules_between_keys_are_all_told(tmp_path: Path) -> None:
    said = fault(write(tmp_path, GOOD), "tokenizer.joint=false", "tokenizer.kind=char", "tokenizer.sampling=0.1")
    assert [line[:16] for line in said.splitlines()[1:]] == ['  model.tie = "a', "  tokenizer.samp"]


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("model = 5", "model (PATH): there is no such key; [model] has model.architecture, "),
        ("[trian]\nxyzzy = 1", "trian.xyzzy (PATH): there is no section [trian]; did you mean [train]?"),
        ("[qqq]\nxyzzy = 1", "qqq.xyzzy (PATH): there is no such key; sections: data, tokenizer, model, train, search"),
        ("[model]\nxyzzy = 1", "model.xyzzy (PATH): there is no such key; [model] has model.architecture, "),
        ("[model]\ndropot = 0.1", "model.dropot (PATH): there is no such key; did you mean model.dropout?"),
        ("[train.seed]\na = 1", "train.seed (PATH): found {'a': 1}; allowed: whole number, "),
        ("[model]\ntie = 2020-01-01", "model.tie (PATH): found datetime.date(2020, 1, 1); allowed: "),
        ('[model]\ntie = "' + "x" * 500 + '"', "x...; allowed: "),
        ("[train]\nseed" + ".a" * 3000 + " = 1", "train.seed (PATH): found a dict too large to show; allowed: "),
    ],
)
def test_a_fault_says_where_and_what(tmp_path: Path, toml: str, words: str) -> None:
    path = write(tmp_path, toml + "\n" + GOOD)
    assert words.replace("PATH", path) in fault(path)


# --- properties over the schema ---

words = st.text(max_size=8)
languages = st.sampled_from(["de", "pt-BR", "zh_Hans"])
file_names = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), max_size=8)
OWN_FORMS: dict[str, st.SearchStrategy[Any]] = {
    "data.src_lang": languages,
    "data.tgt_lang": languages,
    "data.folder": file_names.map(lambda name: str(Path("/", name).resolve())),  # as a resolved recipe has it
    "data.hub": st.dictionaries(words, words, max_size=3),
    "data.weights": st.just(()),  # others must be as many as there are texts
    "tokenizer.placeholders": st.lists(st.sampled_from(get_args(Placeholder)), unique=True),
}


def bounds_of(key: str) -> dict[str, Any]:
    names = ("ge", "gt", "le", "lt")
    return {name: getattr(item, name) for item in keys()[key].metadata for name in names if hasattr(item, name)}


def choices_of(key: str) -> list[str]:
    return [choice for choice in get_args(keys()[key].annotation) if isinstance(choice, str)]


def wrong_values(key: str) -> st.SearchStrategy[Any]:
    """Values of another type, and of the right one out of range."""
    kind = keys()[key].annotation
    table = st.just({"a": (1,)})
    if choices_of(key):
        return words.filter(lambda word: word not in choices_of(key)) | st.integers() | table
    if kind is bool:
        return words | st.integers() | st.floats() | table
    if kind is str:
        codes = st.sampled_from(["", "../x", "de_", "a b"]) if key.endswith("_lang") else st.nothing()
        return st.integers() | st.booleans() | st.just(()) | table | codes
    if kind not in (int, float):
        names = st.nothing() if key == "data.hub" else st.sampled_from(["", ("a", "")])
        return st.integers() | st.booleans() | st.just(("a", 1)) | table | names
    limits = bounds_of(key)
    wrong = [words, st.booleans(), st.just((1,)), table, st.sampled_from([math.nan, math.inf, -math.inf])]
    wrong += [st.floats(allow_infinity=False, allow_nan=False)] if kind is int else []
    wrong += [st.integers(max_value=math.ceil(limits[name]) - 1) for name in ("ge", "gt") if name in limits]
    wrong += [st.integers(min_value=math.floor(limits[name]) + 1) for name in ("le", "lt") if name in limits]
    wrong += [st.just(limits[name]) for name in ("gt", "lt") if name in limits]
    return st.one_of(wrong)


@st.composite
def wrong_recipes(draw: st.DrawFn) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(list(keys())), min_size=1, max_size=4, unique=True))
    return {key: draw(wrong_values(key)) for key in chosen}


def right_values(key: str) -> st.SearchStrategy[Any]:
    kind, limits = keys()[key].annotation, bounds_of(key)
    if key in OWN_FORMS:
        return OWN_FORMS[key]
    if choices_of(key):
        return st.sampled_from(choices_of(key))
    if kind is int:
        return st.integers(limits["ge"], limits.get("le", 2**60))
    if kind is float:
        least, most = limits.get("ge", limits.get("gt")), limits.get("le", limits.get("lt", 1e300))
        return st.floats(least, most, exclude_min="gt" in limits, exclude_max="lt" in limits)
    required = any(hasattr(item, "min_length") for item in keys()[key].metadata)
    names = st.lists(words.filter(bool), min_size=int(required), max_size=3)
    return {bool: st.booleans(), str: words.filter(bool)}.get(kind, names)


@st.composite
def right_recipes(draw: st.DrawFn) -> Recipe:
    nested: dict[str, Any] = {}
    for key in keys():
        section, _, name = key.rpartition(".")
        target = nested.setdefault(section, {}) if section else nested
        target[name] = draw(right_values(key))
    nested["tokenizer"]["joint"] |= nested["model"]["tie"] == "all"
    nested["tokenizer"]["sampling"] *= nested["tokenizer"]["kind"] in ("unigram", "bpe")
    model = nested["model"]
    model["decoder_dim"] = memory_dim(model) if model["attention"] == "dot" else model["decoder_dim"]
    model["attention_heads"] = 1 if model["decoder_dim"] % model["attention_heads"] else model["attention_heads"]
    model["kernel_size"] |= 1
    model["reverse_source"] &= model["encoder"] == "recurrent"
    if model["architecture"] == "language_model":
        nested["data"]["src_lang"] = nested["data"]["tgt_lang"]
        nested["tokenizer"]["joint"] = True
    if nested["tokenizer"]["kind"] == "word":
        nested["tokenizer"]["placeholders"] = ()
    search = nested["search"]
    search["beam_size"] *= search["diverse_groups"]
    if search["sample"] or search["mbr_samples"]:
        search["diverse_groups"] = 1
    if search["sample"] or search["mbr_samples"] or model["attention"] == "none":
        search["coverage_penalty"] = 0.0
    return Recipe.model_validate(nested)


@settings(deadline=None, max_examples=200)
@given(wrong=wrong_recipes())
def test_a_wrong_value_of_any_key_is_named_with_what_is_allowed(
    wrong: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    required = {"data.src_lang": "de", "data.tgt_lang": "en", "data.train": "a", "data.valid": "b"}
    path = tmp_path_factory.getbasetemp() / "wrong.toml"
    lines = [f"{key} = {toml_value(value)}" for key, value in (required | wrong).items()]
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    said = fault(str(path)).splitlines()
    assert len(said) == 1 + len(wrong)
    for key in wrong:
        [line] = [line for line in said if line.startswith(f"  {key} ({path}): found ")]
        assert f"; allowed: {allowed(key)}" in line


@settings(deadline=None, max_examples=100)
@given(right_recipes())
def test_a_recipe_written_out_is_read_as_the_same(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> None:
    path = tmp_path_factory.getbasetemp() / "round.toml"
    path.write_text(recipe_toml(recipe), encoding="utf-8", newline="")
    loaded = load_recipe(str(path))
    assert loaded.recipe == recipe
    assert set(loaded.origins.values()) == {str(path)}


@settings(deadline=None, max_examples=30)
@given(old=right_recipes(), new=right_recipes())
def test_differences_are_the_keys_that_make_two_recipes_two(old: Recipe, new: Recipe) -> None:
    found = differences(old, new)
    before, after = flat(old), flat(new)
    assert {key: pair[1] for key, pair in found.items()} | {k: v for k, v in before.items() if k not in found} == after
    assert all(before[key] == pair[0] != pair[1] for key, pair in found.items())
    assert differences(old, old) == {}


# --- stored by an earlier version ---


def lines_of(values: dict[str, Any]) -> str:
    return "".join(f"{key} = {toml_value(value)}\n" for key, value in values.items())


def test_a_stored_recipe_may_hold_deleted_keys_that_did_nothing_and_lack_those_that_came_since(tmp_path: Path) -> None:
    old = write(tmp_path, lines_of({"name": "x", **REMOVED, "train.seed": 5}) + GOOD)
    wanted = load_recipe(write(tmp_path, 'name = "x"\ntrain.seed = 5\n' + GOOD, "new.toml")).recipe
    assert load_resolved(Path(old)) == wanted


def test_a_stored_recipe_that_used_deleted_keys_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path, lines_of({"train.agreement": 2.0, "model.deep_output": True}) + GOOD)
    with pytest.raises(RecipeError) as caught:
        load_resolved(Path(path))
    assert str(caught.value) == (
        f"{path}: this version of nmt no longer has train.agreement (found 2.0) and model.deep_output (found True); "
        "such a model needs the version that made it"
    )


@pytest.mark.parametrize("key", REMOVED)
def test_a_deleted_key_is_none_of_a_recipe_of_today_not_even_where_it_did_nothing(tmp_path: Path, key: str) -> None:
    set_here = lines_of({key: REMOVED[key]})
    path = write(tmp_path, set_here + GOOD)
    assert f"  {key} ({path}): there is no such key; " in fault(path)
    assert f"  {key} (--set): there is no such key; " in fault(write(tmp_path, GOOD), set_here)


# --- files that are no recipes ---


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"# " + b"x" * 10_000_000, "over 1048576 bytes, so hardly a recipe"),
        (bytes(range(256)) * 100, "byte 129 is not UTF-8; a recipe is a TOML text file"),
        (b"\x80\x02}q\x00.", "byte 1 is not UTF-8"),
        (b"\x00" * 100, "not valid TOML"),
        (b"[train]\nseed = 1\nseed = 2\n", "not valid TOML: Cannot overwrite a value (at line 3, column 9)"),
        (b"[train]\nseed = 1\n[model]\n[train]\n", "not valid TOML: Cannot declare ('train',) twice"),
        (b"x = " + b"[" * 100_000, "not a recipe: nested too deep"),
        (b"x = " + b"{a = " * 100_000, "not a recipe: nested too deep"),
        (b"x = " + b"1" * 10_000, "not valid TOML: Exceeds the limit"),
        (b"seed: 1\n", "not valid TOML"),
    ],
    ids=["10 MB", "binary", "pickle", "NUL", "double key", "double section", "arrays", "tables", "digits", "YAML"],
)
def test_what_is_no_recipe_is_refused_quickly_and_plainly(tmp_path: Path, content: bytes, words: str) -> None:
    path = write(tmp_path, content)
    assert fault(path).startswith(f"{path}: {words}")


def test_a_recipe_of_the_largest_size_is_read(tmp_path: Path) -> None:
    load_recipe(write(tmp_path, GOOD + "#" * ((1 << 20) - len(GOOD))))
    assert "over 1048576 bytes" in fault(write(tmp_path, GOOD + "#" * ((1 << 20) - len(GOOD) + 1)))


def test_a_folder_and_a_missing_file_are_no_recipes(tmp_path: Path) -> None:
    assert fault(str(tmp_path)) == f"{tmp_path}: a folder, but a recipe is a TOML file"
    said = fault(str(tmp_path / "quikstart.toml"))
    assert said.startswith(f"{tmp_path}/quikstart.toml: no such recipe file")
    assert said.endswith("did you mean quickstart?")
    assert "no such recipe file" in fault("x" * 5000)


# --- extends ---


def test_a_child_overrides_its_parent_key_by_key_and_every_origin_is_known(tmp_path: Path) -> None:
    base = write(tmp_path, GOOD + "[train]\nseed = 1\nmax_steps = 10\nlog_every = 5\n", "base.toml")
    middle = write(tmp_path, 'extends = "base.toml"\n[train]\nseed = 2\nmax_steps = 20\n', "middle.toml")
    top = write(tmp_path, 'extends = "middle.toml"\n[train]\nseed = 3\n', "top.toml")
    loaded = load_recipe(top, ["train.samples=0", "train.samples=7"])
    train = loaded.recipe.train
    assert (train.seed, train.max_steps, train.log_every, train.samples) == (3, 20, 5, 7)
    assert {key: loaded.origins[f"train.{key}"] for key in ("seed", "max_steps", "log_every", "samples", "beta2")} == {
        "seed": top,
        "max_steps": middle,
        "log_every": base,
        "samples": "--set",
        "beta2": "default",
    }
    assert loaded.origins.keys() == keys().keys()
    assert (loaded.recipe.name, loaded.origins["name"]) == ("top", "file name")


def test_set_overrides_every_file(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "[train]\nseed = 1\n")
    loaded = load_recipe(path, ["train.seed=5"])
    assert (loaded.recipe.train.seed, loaded.origins["train.seed"]) == (5, "--set")


def test_a_parent_is_found_from_its_child_and_not_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    write(tmp_path, GOOD, "base.toml")
    write(tmp_path / "a", 'extends = "../base.toml"', "middle.toml")
    top = write(tmp_path / "a" / "b", 'extends = "../middle.toml"', "top.toml")
    assert load_recipe(top).recipe.data.src_lang == "de"


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_circle_of_parents_is_refused_and_shown(tmp_path: Path, length: int) -> None:
    paths = [
        write(tmp_path, f'extends = "./{(number + 1) % length}.toml"\n{GOOD}', f"{number}.toml")
        for number in range(length)
    ]
    said = fault(paths[0])
    assert said.startswith(f"{paths[0]}: extends leads back to itself: {' -> '.join(paths)} -> {tmp_path}")
    assert said.endswith("0.toml")


@pytest.mark.parametrize("parent", ["5", "false", "[]", "{}", '["a.toml", "b.toml"]'])
def test_a_parent_that_is_no_text_is_refused(tmp_path: Path, parent: str) -> None:
    path = write(tmp_path, f"extends = {parent}\n{GOOD}")
    assert fault(path).startswith(f"{path}: extends: found ")
    assert fault(path).endswith("; allowed: the path of one other recipe")


@pytest.mark.parametrize("parent", ["", ".", "none.toml", "a\\u0000b", "x" * 5000])
def test_a_parent_that_is_no_file_is_refused(tmp_path: Path, parent: str) -> None:
    path = write(tmp_path, f'extends = "{parent}"\n{GOOD}')
    assert fault(path).startswith(f"{path}: extends: there is no file {tmp_path}")


def test_a_fault_in_a_parent_names_the_parent(tmp_path: Path) -> None:
    base = write(tmp_path, GOOD + "[train]\nseed = -1\n", "base.toml")
    assert f"train.seed ({base}): found -1" in fault(write(tmp_path, 'extends = "base.toml"'))


# --- names and folders ---


def test_the_data_folder_is_seen_from_the_file_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    write(tmp_path / "sub", GOOD + 'folder = "text"\n', "base.toml")
    top = write(tmp_path, 'extends = "sub/base.toml"')
    assert load_recipe(top).recipe.data.folder == str(tmp_path / "sub" / "text")
    assert load_recipe(top, ["data.folder=text"]).recipe.data.folder == str(tmp_path / "elsewhere" / "text")


@pytest.mark.parametrize("line", ["", 'folder = ""\n', 'folder = "."\n'])
def test_without_a_folder_the_data_lies_beside_the_recipe(tmp_path: Path, line: str) -> None:
    assert load_recipe(write(tmp_path, GOOD + line)).recipe.data.folder == str(tmp_path)


def test_a_folder_may_be_absolute_or_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = write(tmp_path, GOOD)
    assert load_recipe(path, ["data.folder=~/x"]).recipe.data.folder == str(tmp_path / "home" / "x")
    assert load_recipe(path, ["data.folder=/x/../y"]).recipe.data.folder == "/y"


@pytest.mark.parametrize("folder", ["~no such user/x", "a\\u0000b"])
def test_a_folder_that_cannot_be_is_refused(tmp_path: Path, folder: str) -> None:
    assert fault(write(tmp_path, GOOD + f'folder = "{folder}"\n')).startswith("data.folder: found '")


@pytest.mark.parametrize("line", ["", 'name = ""\n'])
def test_without_a_name_a_recipe_is_called_like_its_file(tmp_path: Path, line: str) -> None:
    assert load_recipe(write(tmp_path, line + GOOD, "my.run.toml")).recipe.name == "my.run"


# --- --set ---


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("train.seed=3", 3),
        (" train.seed = 3 ", 3),
        ("train.learning_rate=2e-5", 2e-5),
        ("model.bidirectional=none", "none"),
        ("model.residual=true", True),
        ("model.tie=tgt", "tgt"),
        ('model.tie="tgt"', "tgt"),
        ("name=5", "5"),
        ("name=true", "true"),
        ('name="a b"', "a b"),
        ("name=a=b", "a=b"),
        ("data.train=more", ("more",)),
        ('data.train=["a", "b"]', ("a", "b")),
        ('data.hub={a = "b"}', {"a": "b"}),
    ],
)
def test_a_value_on_the_command_line_is_toml_or_plain_text(tmp_path: Path, override: str, value: object) -> None:
    recipe = load_recipe(write(tmp_path, GOOD), [override]).recipe
    assert flat(recipe)[override.partition("=")[0].strip()] == value


def test_an_override_without_a_value_is_shown_the_form(tmp_path: Path) -> None:
    assert fault(write(tmp_path, GOOD), "train.seed") == "--set train.seed: wanted section.key=value"


@pytest.mark.parametrize("value", ["[" * 50_000, "1" * 10_000])
def test_an_override_that_no_one_can_read_is_a_fault_of_its_key(tmp_path: Path, value: str) -> None:
    assert re.search(
        r"  train\.seed \(--set\): found '.*\.\.\.; allowed: ", fault(write(tmp_path, GOOD), f"train.seed={value}")
    )


# --- the shipped ones ---


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_recipe_loads_by_path_and_by_its_bare_name(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    by_path, by_name = load_recipe(str(path)), load_recipe(path.stem)
    assert by_path.recipe == by_name.recipe
    assert by_path.recipe.name == path.stem
    assert find_recipe(path.stem).samefile(path)


def test_a_file_here_goes_before_a_shipped_recipe_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, GOOD + "[train]\nseed = 77\n", "quickstart")
    assert load_recipe("quickstart").recipe.train.seed == 77


def test_no_two_shipped_recipes_say_the_same() -> None:
    recipes = [load_recipe(str(path)).recipe for path in SHIPPED]
    assert len(recipes) >= 1
    for one, other in itertools.combinations(recipes, 2):
        assert differences(one, other).keys() - {"name", "data.folder"}, (one.name, other.name)


@pytest.mark.parametrize(
    ("use", "key", "value"),
    [
        ("attention=dot", "encoder_dim", "x"),
        ("attention=dot", "decoder_dim", "[1]"),
        ("attention=multihead", "attention_heads", "0"),
        ("attention=multihead", "decoder_dim", "%s"),
        ("encoder=convolutional", "kernel_size", "-2"),
        ("encoder=convolutional", "kernel_size", "x"),
    ],
)
def test_a_rule_is_not_applied_to_what_is_a_fault_in_itself(tmp_path: Path, use: str, key: str, value: str) -> None:
    said = fault(write(tmp_path, GOOD), f"model.{use}", f"model.{key}={value}")
    assert "the recipe has 1 fault:" in said
    assert f"model.{key} (--set): found " in said


def test_rules_between_keys_are_told_together_with_the_faults_of_single_keys() -> None:
    changes = [
        "model.tie=all",
        "tokenizer.joint=false",
        "tokenizer.kind=word",
        "tokenizer.sampling=0.1",
        "train.seed=-1",
    ]
    with pytest.raises(RecipeError) as fault:
        load_recipe("quickstart", changes)
    for words in ("3 faults", "train.seed (--set): found -1", 'tie = "all" shares', "tokenizer.sampling needs kind"):
        assert words in str(fault.value)
