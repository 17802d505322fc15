"""Small recipes on lines of the phrasebook, and the command line within this process, for tests of the whole."""

import io
import json
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from unittest import mock

from nmt.checkpoint import Checkpoints, TrainingState
from nmt.cli import main
from nmt.model.loss import Loss
from nmt.recipe import Recipe
from nmt.recipe_file import load_recipe
from nmt.train.trainer import Trainer

ROOT = Path(__file__).parents[1]
PHRASEBOOK = ROOT / "recipes" / "phrasebook"

Pair = tuple[str, str]

RECIPE = """
[data]
src_lang = "de"
tgt_lang = "en"
train = "train"
valid = "valid"
test = "test"

[tokenizer]
vocab_size = 360

[model]
embed_dim = 16
encoder_dim = 12
decoder_dim = 24
dropout = 0.1

[train]
max_steps = 40
batch_tokens = 150
learning_rate = 0.01
warmup_steps = 5
validate_every = 10
save_every = 10
log_every = 4
samples = 1
threads = 1

[search]
beam_size = 3
"""


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code, and what it wrote to standard output and to standard error."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def lines(self) -> list[str]:
        """Lines by "\\n" alone."""
        return self.text.split("\n")[:-1]


@dataclass(frozen=True)
class TinyRun:
    """A trained run folder, its recipe, the pairs it saw, and what its training printed."""

    run: Path
    recipe: Path
    pairs: list[Pair] = field(repr=False)
    printed: str = field(repr=False)

    @property
    def sources(self) -> list[str]:
        return [src for src, _ in self.pairs]


def phrasebook(count: int, *, longest: int = 25) -> list[Pair]:
    """Different short sentence pairs, always the same."""
    sides = [(PHRASEBOOK / f"train.{lang}").read_text(encoding="utf-8").split("\n") for lang in ("de", "en")]
    short = {src: tgt for src, tgt in zip(*sides, strict=True) if 0 < len(src) <= longest}
    return list(short.items())[:count]


def write_pairs(folder: Path, name: str, pairs: Sequence[Pair]) -> None:
    for lang, lines in zip(("de", "en"), zip(*pairs, strict=True), strict=True):
        (folder / f"{name}.{lang}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_recipe(
    folder: Path, train: Sequence[Pair], valid: Sequence[Pair] | None = None, test: Sequence[Pair] | None = None
) -> Path:
    """A recipe of a tiny model and its text, in `folder`; without others, the first 20 training pairs validate."""
    for name, pairs in (("train", train), ("valid", valid or train[:20]), ("test", test or train[:20])):
        write_pairs(folder, name, pairs)
    recipe = folder / "toy.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    return recipe


def read(recipe: Path, **changes: object) -> Recipe:
    """The recipe under changes, as in `read(recipe, **{"train.seed": 2})`."""
    return load_recipe(str(recipe), [f"{key}={value}" for key, value in changes.items()]).recipe


def nmt(*args: object, stdin: bytes = b"", stdout: BinaryIO | None = None) -> Result:
    """Run the command `nmt` in this process; `stdout` stands for its standard output where that matters."""
    out, err = stdout or io.BytesIO(), io.BytesIO()
    text = {"stdin": io.BytesIO(stdin), "stdout": out, "stderr": err}
    streams: dict[str, Any] = {
        name: io.TextIOWrapper(stream, encoding="utf-8", write_through=True) for name, stream in text.items()
    }
    code = 0
    with mock.patch.multiple(sys, argv=["nmt", *map(str, args)], **streams):
        try:
            main()
        except SystemExit as left:
            code = int(left.code or 0)
    for stream in streams.values():
        stream.detach()  # the caller's to close
    written = out.getvalue() if isinstance(out, io.BytesIO) else b""
    return Result(code, written, err.getvalue().decode())


def train(recipe: Path, run: Path, changes: Mapping[str, object] | None = None, *, code: int = 0) -> str:
    """What `nmt train` printed under `--set` changes; it must leave with `code`."""
    options = [word for key, value in (changes or {}).items() for word in ("--set", f"{key}={value}")]
    result = nmt("train", recipe, "--run-dir", run, *options)
    assert result.code == code, result.err
    return result.text + result.err


def saved_state(run: Path) -> TrainingState:
    """What a training of this folder would go on from."""
    state = Checkpoints(run, keep_last=1).newest()
    assert state is not None
    return state


def flip(path: Path, offset: int, bits: int = 0xFF) -> None:
    """Spoil one byte of a file."""
    content = bytearray(path.read_bytes())
    content[offset] ^= bits
    path.write_bytes(content)


def metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().split("\n")[:-1]]


@contextmanager
def signals_after(step: int, *numbers: signal.Signals) -> Iterator[None]:
    """This process gets the signals, one after the other, while step `step` of a training is under way."""

    update = Trainer.update

    def update_and_signal(self: Trainer) -> Loss:
        loss = update(self)
        if self.progress.step == step:
            for number in numbers:
                signal.raise_signal(number)
        return loss

    with mock.patch.object(Trainer, "update", update_and_signal):
        yield


class Killed(BaseException):
    """Stands for a SIGKILL: nothing gets to save anything any more."""


@contextmanager
def killed_after(step: int) -> Iterator[None]:
    """Training ends without a word right after step `step`."""
    update = Trainer.update

    def update_until(self: Trainer) -> Loss:
        if self.progress.step == step:
            raise Killed
        return update(self)

    with mock.patch.object(Trainer, "update", update_until):
        try:
            yield
        except Killed:
            return
        raise AssertionError(f"training ended before step {step} was over")


@contextmanager
def killed_before_saving() -> Iterator[None]:
    """Training ends without a word right before it saves for the first time."""
    with mock.patch.object(Checkpoints, "save", side_effect=Killed):
        try:
            yield
        except Killed:
            return
        raise AssertionError("nothing was to be saved")
