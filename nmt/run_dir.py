"""The run folder: what a training leaves behind. Written atomically, checksummed, loaded without pickle.

recipe.toml          the resolved recipe
tokenizer/           the trained tokenizer
model.safetensors    the best model so far
shortlist.safetensors   which target pieces each source piece may become, where the model can use it
manifest.json        SHA-256 of the files above, checked whenever they are loaded
checkpoints/         the training state after some steps, each in a folder of its own: checkpoint.py
metrics.jsonl        one JSON object a line, in the order of the steps
hypotheses/          translations of the valid and test sets, with their references
scores.json          scores of the test sets
.lock                held by the one training that writes here
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from nmt.data.tokenizer import Tokenizer, TokenizerPair
from nmt.errors import CheckpointError, OutputError, RecipeError
from nmt.model.build import AnyModel, build_model
from nmt.recipe import Recipe
from nmt.recipe_file import load_resolved, recipe_toml

FORMAT = 1  # of the run folder; a reader refuses a newer one
RECIPE, TOKENIZER, MODEL, CHECKPOINTS = "recipe.toml", "tokenizer", "model.safetensors", "checkpoints"
SHORTLIST = "shortlist.safetensors"
MANIFEST, METRICS, HYPOTHESES, SCORES = "manifest.json", "metrics.jsonl", "hypotheses", "scores.json"
LOCK = ".lock"
TEMPORARY = ".*.tmp"  # what a kill in the middle of an atomic write leaves behind
_NEXT = ".next"  # a manifest on its way in: valid as soon as the files are


@dataclass(frozen=True)
class SavedModel:
    """A model as it was saved, ready to translate: in evaluation mode, on the CPU."""

    recipe: Recipe
    tokenizers: TokenizerPair
    model: AnyModel


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; what is written there replaces `path` at the end, synced, or not at all.

    Raises OutputError where the folder or the disk does not take it; the file of before is then still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        sync_file(temporary)
        temporary.replace(path)
        sync_file(path.parent)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}; what was there before is unharmed") from error
    finally:
        with suppress(OSError):  # where there is no folder, there is no file either, and the first fault is told
            temporary.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file's content, atomically."""
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Replace a file by these lines, each ended by "\\n", atomically."""
    write_bytes(path, "".join(f"{line}\n" for line in lines).encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Replace a file by a JSON value made to be read, atomically."""
    write_bytes(path, (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))


@contextmanager
def sole_writer(run: Path) -> Iterator[None]:
    """While this is open no other training writes into the run folder; what ends this process lets go of it.

    Raises CheckpointError, with the other one's process id, where there is one.
    """
    path = run / LOCK
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        holder = path.read_text(encoding="ascii", errors="replace")
        raise CheckpointError(
            f"{run}: another training is writing here (pid {holder}); wait for it, or name another folder with "
            "--run-dir"
        ) from None
    except OSError as error:
        raise OutputError(f"{path}: cannot be locked: {error.strerror}; name another folder with --run-dir") from error
    try:
        with suppress(OSError):  # on a full disk the others learn no number
            path.write_text(str(os.getpid()), encoding="ascii")
        yield
    finally:
        lock.release()


def clear_temporary(run: Path) -> None:
    """Remove what kills left behind; for the one writer of the folder."""
    for folder in (run, run / TOKENIZER, run / HYPOTHESES):
        for stray in folder.glob(TEMPORARY):
            with suppress(OSError):  # it is in nobody's way
                stray.unlink()


def save_setup(run: Path, recipe: Recipe, tokenizers: TokenizerPair) -> None:
    """Store what stands before the first step."""
    write_bytes(run / RECIPE, recipe_toml(recipe).encode("utf-8"))
    with TemporaryDirectory() as folder:
        tokenizers.save(Path(folder))
        for file in sorted(Path(folder).iterdir()):  # tokenizer.json, which vouches for the others, is the last
            write_bytes(run / TOKENIZER / file.name, file.read_bytes())


def save_model(run: Path, weights: Mapping[str, Tensor]) -> None:
    """Publish `weights` as the run's model, with a manifest over all that translating needs.

    A kill at any moment leaves a loadable model, the old or the new: the new manifest is there before the new weights
    are, and becomes the manifest after them.
    """
    content = tensor_bytes({name: tensor.contiguous().cpu() for name, tensor in weights.items()})
    files = [run / RECIPE, *sorted(file for file in (run / TOKENIZER).iterdir() if not file.match(TEMPORARY))]
    _publish(run, MODEL, content, [*files, *(file for file in [run / SHORTLIST] if file.exists())])


def save_shortlist(run: Path, content: bytes) -> None:
    """Publish a shortlist beside the run's model, which stays loadable whenever this is killed.

    Raises CheckpointError where the folder holds no sound model.
    """
    _check_manifest(run)
    listed = json.loads((run / MANIFEST).read_bytes())["files"]
    _publish(run, SHORTLIST, content, [run / file for file in listed if file != SHORTLIST])


def has_shortlist(run: Path) -> bool:
    """Has the run a shortlist that its manifest lists? Raises CheckpointError where the folder holds no sound model."""
    _check_manifest(run)
    return SHORTLIST in json.loads((run / MANIFEST).read_bytes())["files"]


def _publish(run: Path, name: str, content: bytes, others: Iterable[Path]) -> None:
    """Write a file that the manifest lists besides `others`; at every moment one of the two manifests is right."""
    sums = {file.relative_to(run).as_posix(): sha256(file) for file in others if file != run / name}
    sums[name] = hashlib.sha256(content).hexdigest()
    following = run / (MANIFEST + _NEXT)
    if following.exists() and not _faults(run, following.name):  # a kill came before it could become the manifest
        following.replace(run / MANIFEST)
    write_json(following, {"format": FORMAT, "nmt": version("nmt"), "files": sums})
    write_bytes(run / name, content)
    following.replace(run / MANIFEST)
    sync_file(run)


def load_model(run: Path) -> SavedModel:
    """Check and load a run's translation model. Nothing in the folder is executed, and nothing outside it is read.

    Raises CheckpointError where something is missing, damaged, made by a newer nmt or reaches outside the folder, and
    for a language model.
    """
    saved = load_any_model(run)
    if not saved.recipe.model.translates:
        raise CheckpointError(
            f"{run}: a language model of {saved.recipe.data.tgt_lang}, which translates nothing: name a translation "
            f"model's run, which this one can help as its --lm; the perplexity of this one stands in {run / SCORES}"
        )
    return saved


def load_language_model(run: Path, *, beside: SavedModel) -> SavedModel:
    """Load a language model to help the translation model `beside`.

    Raises CheckpointError as `load_model` does, for a translation model, and where the two write with two tokenizers.
    """
    saved = load_any_model(run)
    if saved.recipe.model.translates:
        raise CheckpointError(f"{run}: a translation model; a language model is wanted: `nmt train lm-en` makes one")
    if not same_vocabulary(saved.tokenizers.tgt, beside.tokenizers.tgt):
        raise CheckpointError(
            f"{run}: its tokenizer is not the one that {beside.recipe.name} writes {beside.recipe.data.tgt_lang} with: "
            "train the language model again with tokenizer.run = the folder of that translation run"
        )
    return saved


def same_vocabulary(one: Tokenizer, other: Tokenizer) -> bool:
    """Does an id mean the same text in both, and a text become the same ids?"""
    ours, theirs = ((side.model, side.kind, side.normalization, side.placeholders) for side in (one, other))
    return ours == theirs


def load_any_model(run: Path) -> SavedModel:
    """As `load_model`, of a translation model or of a language model."""
    if not run.is_dir():
        raise CheckpointError(f"{run}: there is no such run folder; `nmt train` makes one")
    _check_manifest(run)
    recipe = load_stored_recipe(run)
    tokenizers = TokenizerPair.load(run / TOKENIZER)
    model = build_model(
        recipe.model, src_vocab_size=tokenizers.src.vocab_size, tgt_vocab_size=tokenizers.tgt.vocab_size
    )
    try:
        model.load_weights(parse_tensors((run / MODEL).read_bytes()))
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{run / MODEL}: does not fit the recipe beside it: {error}") from error
    return SavedModel(recipe, tokenizers, model.eval())


def load_stored_recipe(run: Path) -> Recipe:
    """The resolved recipe of a run. Raises CheckpointError where it cannot be read."""
    try:
        return load_resolved(run / RECIPE)
    except RecipeError as error:
        raise CheckpointError(f"{run / RECIPE}: not a recipe of this version of nmt: {error}") from error


def sha256(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_format(path: Path, found: Any, *, readable: int = FORMAT) -> None:
    """Raises CheckpointError where `found`, the format that stands in `path`, is none, or is newer than `readable`."""
    if not str(found).isdecimal():
        raise CheckpointError(f"{path}: damaged: its format is {found!r}, wanted a whole number")
    if int(found) > readable:
        raise CheckpointError(
            f"{path}: written in format {found}; nmt {version('nmt')} reads up to {readable}: update nmt"
        )


def sync_file(path: Path) -> None:
    """Return when a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_manifest(run: Path) -> None:
    """Hold the files against the manifest, or against the next one where a kill came between it and its files."""
    faults = _faults(run, MANIFEST)
    if faults and (not (run / (MANIFEST + _NEXT)).exists() or _faults(run, MANIFEST + _NEXT)):
        raise CheckpointError(faults[0])


def _faults(run: Path, name: str) -> list[str]:
    path = run / name
    if not path.is_file():
        return [f"{run}: holds no model yet: there is no {MANIFEST}; `nmt train` writes it at the first validation"]
    try:
        manifest = json.loads(path.read_bytes())
        files = dict(manifest["files"])
        form = manifest["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return [f"{path}: damaged: not a manifest ({error})"]
    check_format(path, form)
    faults = []
    for file, wanted in files.items():
        if not _lies_inside(run, file):
            raise CheckpointError(f"{path}: names {file!r}, which lies outside the folder: refused")
        if not (run / file).is_file():
            faults.append(f"{run / file}: missing, though {MANIFEST} lists it")
        elif sha256(run / file) != wanted:
            faults.append(f"{run / file}: damaged: its SHA-256 is not the one in {MANIFEST}")
    vocabularies = sorted(f"{TOKENIZER}/{file.name}" for file in (run / TOKENIZER).glob("*.model"))
    missing = [file for file in (RECIPE, MODEL, f"{TOKENIZER}/tokenizer.json", *vocabularies) if file not in files]
    return faults + [f"{path}: does not list {file}" for file in missing]


def _lies_inside(run: Path, file: str) -> bool:
    try:
        return not Path(file).is_absolute() and (run / file).resolve().is_relative_to(run.resolve())
    except (RuntimeError, TypeError, ValueError):  # a circle of links; a NUL; a number
        return False
