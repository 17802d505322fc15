"""The run folder under damage, kills and malice."""

import errno
import json
import os
import pickle
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt import run_dir
from nmt.data.tokenizer import TokenizerPair, TokenizerSpec, train_tokenizers
from nmt.errors import CheckpointError, OutputError
from nmt.model.build import build_model
from nmt.recipe import Recipe
from nmt.recipe_file import recipe_toml
from nmt.run_dir import (
    LOCK,
    MANIFEST,
    MODEL,
    RECIPE,
    TOKENIZER,
    load_model,
    load_stored_recipe,
    save_model,
    save_setup,
    sole_writer,
    write_atomically,
    write_bytes,
    write_json,
    write_lines,
)

SETUP = {
    "name": "tiny",
    "data": {"src_lang": "de", "tgt_lang": "en", "folder": "/nowhere", "train": "t", "valid": "v"},
    "model": {"embed_dim": 2, "encoder_dim": 2, "decoder_dim": 2},
}
FLIPS = 40  # of each file


class Killed(BaseException):
    """Stands for a SIGKILL: nothing in the toolkit catches it."""


def new_weights(tokenizers: TokenizerPair, recipe: Recipe, fill: float) -> dict[str, Tensor]:
    size = tokenizers.src.vocab_size
    model = build_model(recipe.model, src_vocab_size=size, tgt_vocab_size=size)
    return {name: torch.full_like(tensor, fill) for name, tensor in model.weights().items()}


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe.model_validate(SETUP)


@pytest.fixture(scope="module")
def tokenizers() -> TokenizerPair:
    spec = TokenizerSpec(kind="char", vocab_size=40, byte_fallback=False, character_coverage=1.0)
    return train_tokenizers(["ein haus", "die katze"], ["a house", "the cat"], spec)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe, tokenizers: TokenizerPair) -> Path:
    run = tmp_path_factory.mktemp("runs") / "saved"
    save_setup(run, recipe, tokenizers)
    save_model(run, new_weights(tokenizers, recipe, 1.0))
    return run


@pytest.fixture
def run(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "run"))


def refusal(run: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_model(run)
    return str(caught.value)


def fill_of(run: Path) -> float:
    """What every weight of the stored model is."""
    return float(next(iter(load_model(run).model.weights().values())).flatten()[0])


def flip(path: Path, offset: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1 << bit
    path.write_bytes(content)


def files_in(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def rewrite_manifest(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest as its author could: what it then lists has its right sum."""
    manifest = json.loads((run / MANIFEST).read_bytes())
    change(manifest)
    write_json(run / MANIFEST, manifest)


def vouch_for(run: Path, *files: str) -> None:
    rewrite_manifest(run, lambda manifest: manifest["files"].update({f: run_dir.sha256(run / f) for f in files}))


# --- writing ---


def test_what_is_written_is_there_and_nothing_else(tmp_path: Path) -> None:
    write_bytes(tmp_path / "new" / "bytes", b"\x00\xff")
    write_lines(tmp_path / "lines", ["a", "ü\u2028", ""])
    write_json(tmp_path / "value.json", {"ü": [1]})
    assert (tmp_path / "new" / "bytes").read_bytes() == b"\x00\xff"
    assert (tmp_path / "lines").read_bytes() == "a\nü\u2028\n\n".encode()
    assert json.loads((tmp_path / "value.json").read_bytes()) == {"ü": [1]}
    assert files_in(tmp_path) == ["lines", "new/bytes", "value.json"]


@pytest.mark.parametrize("fault", [RuntimeError("x"), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_a_failed_write_keeps_the_old_file_and_leaves_no_temporary(tmp_path: Path, fault: BaseException) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with pytest.raises(OutputError if isinstance(fault, OSError) else type(fault)), write_atomically(path) as temporary:
        temporary.write_bytes(b"half of the n")
        raise fault
    assert path.read_bytes() == b"old"
    assert files_in(tmp_path) == ["file"]


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with write_atomically(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert temporary.parent == tmp_path, "a rename is atomic within one file system only"
    assert path.read_bytes() == b"new"


def test_the_content_is_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def noted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*arguments: Any) -> Any:
            order.append(name)
            return call(*arguments)

        return noting

    monkeypatch.setattr(os, "fsync", noted("sync", os.fsync))
    monkeypatch.setattr(Path, "replace", noted("rename", Path.replace))
    write_bytes(tmp_path / "file", b"new")
    assert order == ["sync", "rename", "sync"]


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"file/x: cannot be written: .+; what was there before is unharmed"):
        write_bytes(tmp_path / "file" / "x", b"new")


def full_disk(monkeypatch: pytest.MonkeyPatch, room_bytes: int) -> None:
    """Let every file end after `room_bytes`, as a full disk does."""
    write = Path.write_bytes

    def write_some(path: Path, content: bytes) -> int:
        if len(content) > room_bytes:
            write(path, content[:room_bytes])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_some)


def test_a_full_disk_is_told_and_the_model_of_before_still_loads(
    run: Path, recipe: Recipe, tokenizers: TokenizerPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_in(run)
    for room in (0, 1000):  # nothing goes in; the manifest does, the weights do not
        with monkeypatch.context() as patch:
            full_disk(patch, room)
            with pytest.raises(OutputError, match="cannot be written: No space left on device; what was there before"):
                save_model(run, new_weights(tokenizers, recipe, 2.0))
        assert fill_of(run) == 1.0
    assert set(files_in(run)) - set(before) <= {"manifest.json.next"}


def test_a_full_disk_is_told_of_every_other_file_too(
    tmp_path: Path, recipe: Recipe, tokenizers: TokenizerPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk(monkeypatch, 300)
    with pytest.raises(OutputError, match=r"recipe\.toml: cannot be written: No space left on device"):
        save_setup(tmp_path, recipe, tokenizers)
    assert files_in(tmp_path) == []


def test_a_tokenizer_is_stored_file_by_file_with_the_one_that_vouches_for_the_others_last(
    tmp_path: Path, recipe: Recipe, tokenizers: TokenizerPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = run_dir.write_bytes

    def note_and_write(path: Path, content: bytes) -> None:
        written.append(path.name)
        write(path, content)

    monkeypatch.setattr(run_dir, "write_bytes", note_and_write)
    save_setup(tmp_path, recipe, tokenizers)
    assert written == [RECIPE, "joint.model", "tokenizer.json"]
    assert files_in(tmp_path) == [RECIPE, "tokenizer/joint.model", "tokenizer/tokenizer.json"]


# --- one writer ---


def test_a_folder_has_one_writer_at_a_time(tmp_path: Path) -> None:
    with sole_writer(tmp_path):
        for _ in range(2):  # being refused takes nothing away from who writes
            refused = pytest.raises(CheckpointError, match=rf"another training is writing here \(pid {os.getpid()}\)")
            with refused, sole_writer(tmp_path):
                raise AssertionError("two of them")
    with sole_writer(tmp_path):
        pass


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
def test_a_writer_lets_go_of_its_folder_whatever_happens(tmp_path: Path, fault: type[BaseException]) -> None:
    with pytest.raises(fault), sole_writer(tmp_path):
        raise fault
    with sole_writer(tmp_path):
        pass


def test_a_lock_that_a_killed_process_left_does_not_count(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("4711")
    with sole_writer(tmp_path):
        assert (tmp_path / LOCK).read_text() == str(os.getpid())


def test_a_folder_that_cannot_be_locked_is_told(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()
    told = pytest.raises(OutputError, match=r"\.lock: cannot be locked: .*; name another folder with --run-dir")
    with told, sole_writer(tmp_path):
        raise AssertionError("without a lock")


# --- loading ---


def test_a_model_comes_back_as_it_was_saved_ready_to_translate(
    run: Path, recipe: Recipe, tokenizers: TokenizerPair
) -> None:
    loaded = load_model(run)
    assert loaded.recipe == recipe
    assert loaded.tokenizers.src.model == tokenizers.src.model
    expected = new_weights(tokenizers, recipe, 1.0)
    found = loaded.model.weights()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert not loaded.model.training


def test_the_manifest_lists_all_that_translating_reads(run: Path) -> None:
    manifest = json.loads((run / MANIFEST).read_bytes())
    assert sorted(manifest["files"]) == [file for file in files_in(run) if file != MANIFEST]
    assert manifest["format"] == run_dir.FORMAT


def test_a_folder_moved_elsewhere_still_loads(run: Path) -> None:
    assert fill_of(run.rename(run.with_name("moved"))) == 1.0


def test_one_flipped_bit_anywhere_is_detected(run: Path) -> None:
    choose = random.Random(12)
    for name in json.loads((run / MANIFEST).read_bytes())["files"]:
        path = run / name
        content = path.read_bytes()
        for offset in {0, len(content) - 1, *(choose.randrange(len(content)) for _ in range(FLIPS))}:
            flip(path, offset, choose.randrange(8))
            assert refusal(run) == f"{path}: damaged: its SHA-256 is not the one in manifest.json"
            path.write_bytes(content)
    assert fill_of(run) == 1.0


def test_a_damaged_manifest_is_never_more_than_a_refusal(run: Path) -> None:
    """A bit flipped in the version of nmt harms nothing; any other ends in CheckpointError, not in a traceback."""
    content = (run / MANIFEST).read_bytes()
    refused = 0
    for offset in range(len(content)):
        flip(run / MANIFEST, offset, offset % 8)
        try:
            assert fill_of(run) == 1.0
        except CheckpointError:
            refused += 1
        (run / MANIFEST).write_bytes(content)
    assert refused > 0.8 * len(content)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"5", b"{}", b'{"files": 5, "format": 1}', b'{"files": {}}', b"\xff", b"[" * 100_000, b'"' + b"9" * 9],
)
def test_what_is_no_manifest_is_called_damaged(run: Path, content: bytes) -> None:
    (run / MANIFEST).write_bytes(content)
    assert refusal(run).startswith(f"{run / MANIFEST}: damaged: not a manifest (")


@pytest.mark.parametrize("form", ["x", None, [], 1.5, True, -1])
def test_a_format_that_is_no_number_is_called_damaged(run: Path, form: object) -> None:
    rewrite_manifest(run, lambda manifest: manifest.update(format=form))
    assert refusal(run) == f"{run / MANIFEST}: damaged: its format is {form!r}, wanted a whole number"


@pytest.mark.parametrize("kept", [0, 0.5, -10, -1])
def test_a_truncated_file_is_detected(run: Path, kept: float) -> None:
    for name in (RECIPE, MODEL, "tokenizer/joint.model", "tokenizer/tokenizer.json"):
        content = (run / name).read_bytes()
        (run / name).write_bytes(content[: int(kept * len(content)) if 0 <= kept < 1 else int(kept)])
        assert refusal(run).startswith(f"{run / name}: damaged")
        (run / name).write_bytes(content)


@pytest.mark.parametrize("name", [RECIPE, MODEL, "tokenizer/joint.model", "tokenizer/tokenizer.json"])
def test_a_missing_file_is_named(run: Path, name: str) -> None:
    (run / name).unlink()
    assert refusal(run) == f"{run / name}: missing, though manifest.json lists it"


@pytest.mark.parametrize("name", [RECIPE, MODEL, "tokenizer/joint.model", "tokenizer/tokenizer.json"])
def test_a_file_that_the_manifest_leaves_out_is_not_read_unchecked(run: Path, name: str) -> None:
    rewrite_manifest(run, lambda manifest: manifest["files"].pop(name))
    assert refusal(run) == f"{run / MANIFEST}: does not list {name}"


def test_a_folder_without_a_model_says_what_to_do(tmp_path: Path, recipe: Recipe, tokenizers: TokenizerPair) -> None:
    assert refusal(tmp_path / "none") == f"{tmp_path}/none: there is no such run folder; `nmt train` makes one"
    save_setup(tmp_path / "run", recipe, tokenizers)
    assert refusal(tmp_path / "run").startswith(f"{tmp_path}/run: holds no model yet: there is no manifest.json; ")


def test_a_newer_format_is_refused_with_both_named(run: Path) -> None:
    rewrite_manifest(run, lambda manifest: manifest.update(format=99))
    assert refusal(run).startswith(f"{run / MANIFEST}: written in format 99; nmt ")
    assert refusal(run).endswith("reads up to 1: update nmt")


def test_weights_of_another_shape_are_refused(run: Path, recipe: Recipe, tokenizers: TokenizerPair) -> None:
    weights = new_weights(tokenizers, recipe, 1.0)
    save_model(run, weights | {"output.bias": torch.zeros(3)})
    assert refusal(run).startswith(f"{run / MODEL}: does not fit the recipe beside it: output.bias: shape (3,)")


# --- malice ---


@pytest.mark.parametrize("name", ["../secret", "tokenizer/../../secret", "ABSOLUTE", "link", "loop", "nul\0"])
def test_a_manifest_that_reaches_outside_the_folder_is_refused(run: Path, name: str) -> None:
    secret = run.parent / "secret"
    secret.write_bytes(b"secret")
    (run / "link").symlink_to(secret)
    (run / "loop").symlink_to(run / "loop")
    name = str(run / MODEL) if name == "ABSOLUTE" else name
    rewrite_manifest(run, lambda manifest: manifest["files"].update({name: run_dir.sha256(secret)}))
    assert refusal(run) == f"{run / MANIFEST}: names {name!r}, which lies outside the folder: refused"


@pytest.mark.parametrize("name", [RECIPE, MODEL, "tokenizer/joint.model", TOKENIZER])
def test_a_link_out_of_the_folder_is_refused_even_to_the_right_content(run: Path, name: str) -> None:
    shutil.move(run / name, run.parent / "outside")
    (run / name).symlink_to(run.parent / "outside")
    assert "which lies outside the folder: refused" in refusal(run)


def test_a_run_folder_may_itself_be_a_link(run: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(run)
    assert fill_of(tmp_path / "link") == 1.0


def test_a_stored_recipe_reads_no_other_file(run: Path, recipe: Recipe) -> None:
    (run.parent / "other.toml").write_text(recipe_toml(recipe))
    (run / RECIPE).write_text('extends = "../other.toml"\n')
    vouch_for(run, RECIPE)
    assert "no other file is read" in refusal(run)


def test_a_stored_recipe_that_is_none_is_refused(run: Path) -> None:
    (run / RECIPE).write_text("[train]\nfuture_key = 1\n")
    vouch_for(run, RECIPE)
    assert refusal(run).startswith(f"{run / RECIPE}: not a recipe of this version of nmt: the recipe has ")
    with pytest.raises(CheckpointError, match=r"train\.future_key"):
        load_stored_recipe(run)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, int]]:
        return os.mkdir, (str(self.path), 0o777)


@pytest.mark.parametrize("protocol", [0, 2, 5, "torch"])
def test_a_pickle_bomb_is_refused_and_not_executed(run: Path, tmp_path: Path, protocol: int | str) -> None:
    bomb = Bomb(tmp_path / "exploded")
    if protocol == "torch":
        torch.save(bomb, run / MODEL)
    else:
        (run / MODEL).write_bytes(pickle.dumps(bomb, protocol=int(protocol)))
    vouch_for(run, MODEL)
    assert refusal(run).startswith(f"{run / MODEL}: does not fit the recipe beside it: ")
    assert not bomb.path.exists()
    pickle.loads(pickle.dumps(bomb))
    assert bomb.path.exists(), "the bomb itself works"


# --- kills ---


def kill_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Die before the `number`th rename: each step of a save ends in one."""
    replace, renames = Path.replace, [0]

    def replace_or_die(path: Path, target: Path) -> Path:
        renames[0] += 1
        if renames[0] == number:
            raise Killed
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", replace_or_die)


def save_and_die(run: Path, weights: Mapping[str, Tensor], monkeypatch: pytest.MonkeyPatch, before_rename: int) -> bool:
    """Whether the kill came before the end of the save."""
    with monkeypatch.context() as patch:
        kill_at(patch, before_rename)
        try:
            save_model(run, weights)
        except Killed:
            return True
    return False


def test_a_kill_at_each_stage_of_a_save_leaves_the_old_model_or_the_new(
    run: Path, recipe: Recipe, tokenizers: TokenizerPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for stage in (1, 2, 3):  # the next manifest, the weights, the manifest
        copy = Path(shutil.copytree(run, run.with_name(f"stage{stage}")))
        assert save_and_die(copy, new_weights(tokenizers, recipe, 2.0), monkeypatch, stage)
        found[stage] = fill_of(copy)
        save_model(copy, new_weights(tokenizers, recipe, 3.0))
        assert fill_of(copy) == 3.0
        assert files_in(copy) == files_in(run)
    assert found == {1: 1.0, 2: 1.0, 3: 2.0}
    assert not save_and_die(run, new_weights(tokenizers, recipe, 2.0), monkeypatch, 4)
    assert fill_of(run) == 2.0


def test_kills_in_several_saves_in_a_row_leave_a_model(
    run: Path, recipe: Recipe, tokenizers: TokenizerPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    for first in (1, 2, 3):
        for second in (1, 2, 3, 4):
            copy = Path(shutil.copytree(run, run.with_name(f"stages{first}{second}")))
            save_and_die(copy, new_weights(tokenizers, recipe, 2.0), monkeypatch, first)
            save_and_die(copy, new_weights(tokenizers, recipe, 3.0), monkeypatch, second)
            assert fill_of(copy) in (1.0, 2.0, 3.0)


def test_a_kill_in_the_very_first_save_leaves_no_model_or_the_whole_one(
    tmp_path: Path, recipe: Recipe, tokenizers: TokenizerPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stage in (1, 2, 3):
        run = tmp_path / str(stage)
        save_setup(run, recipe, tokenizers)
        save_and_die(run, new_weights(tokenizers, recipe, 2.0), monkeypatch, stage)
        if stage == 3:
            assert fill_of(run) == 2.0
        else:
            assert "holds no model yet" in refusal(run)


def test_a_next_manifest_vouches_for_no_damaged_file(
    run: Path, recipe: Recipe, tokenizers: TokenizerPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_and_die(run, new_weights(tokenizers, recipe, 2.0), monkeypatch, 3)
    flip(run / MODEL, -1, 0)
    assert refusal(run).startswith(f"{run / MODEL}: damaged")


def test_a_stray_temporary_harms_nothing(run: Path) -> None:
    (run / f".{MODEL}.1234.tmp").write_bytes(b"half")
    assert fill_of(run) == 1.0
