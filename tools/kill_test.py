"""Kills a training again and again, and holds what it comes to against one that nobody disturbed.

    python tools/kill_test.py --kills 50 --seed 1

A tiny recipe with all that is random in it, or remembered from step to step: dropout, word dropout, subword sampling, a
sampled softmax, three corpora drawn from by a temperature; a moving average, batches in pieces, a rate that falls at
plateaus. The second training's whole process group gets a SIGKILL at random moments, while it starts, trains,
validates, and, aimed, while it saves; each time the same command is given again. At the end the model, the last
checkpoint, the lines of metrics and the scores must be the same, but for the times in them. Leaves with 1 where not.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import torch
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from nmt.checkpoint import Checkpoints
from nmt.errors import CheckpointError

PHRASEBOOK = Path(__file__).parents[1] / "recipes" / "phrasebook"
TIMES = ("seconds", "elapsed_seconds", "tokens_per_second")
SAVE_EVERY = 2
STEPS_PER_KILL = 8
POLL_SECONDS = 0.002
PATIENCE_SECONDS = 600  # for a life that should have ended
RECIPE = """
[data]
src_lang = "de"
tgt_lang = "en"
train = ["large", "medium", "small"]
valid = "valid"
test = "test"
temperature = 3.0

[tokenizer]
vocab_size = 400
sampling = 0.2

[model]
embed_dim = 48
encoder_dim = 32
decoder_dim = 64
dropout = 0.2
word_dropout = 0.1

[train]
max_steps = {steps}
batch_tokens = 300
learning_rate = 0.005
warmup_steps = 10
schedule = "plateau"
plateau_patience = 1
accumulate = 3
sampled_softmax = 60
ema_decay = 0.95
validate_every = 14
save_every = {save_every}
keep_last = 2
keep_best = 1
log_every = 3
samples = 0
threads = 1
"""


@dataclass
class Killer:
    """One training in a run folder, living as often as it takes."""

    recipe: Path
    run: Path
    rng: random.Random
    start_seconds: float  # that a life takes until its first step, learned on the way
    save_seconds: float = 0.02
    kills: Counter[str] = field(default_factory=Counter)  # by what was going on
    steps: list[int] = field(default_factory=list)  # the newest checkpoint's at each kill
    strays: int = 0
    damaged: int = 0

    def live(self, kills_left: int, steps: int) -> int | None:
        """Start the training, kill it; its exit code where it ended before."""
        saved = self.saved()
        log = self.run.with_name("killed.txt")
        with log.open("ab") as stream, start(self.recipe, self.run, stream) as process:
            moment = self._choose_moment(process, kills_left, steps, saved)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        if code != -signal.SIGKILL:
            return code
        self._look_around(moment)
        return None

    def _choose_moment(self, process: subprocess.Popen[bytes], kills_left: int, steps: int, saved: list[int]) -> str:
        """Wait for a random moment; what goes on then, in words."""
        begin = time.monotonic()
        if self.rng.random() < 0.2:  # it makes no progress, so not too often
            self._wait(process, lambda: False, self.rng.uniform(0, self.start_seconds))
            return "starting"
        left = (steps - max(saved, default=0)) // SAVE_EVERY
        wanted = self.rng.randint(1, max(1, 2 * left // (kills_left + 1)))
        for number in range(wanted):
            self._wait(process, lambda seen=saved: self.saved() != seen, PATIENCE_SECONDS)
            saved = self.saved()
            if number == 0:
                self.start_seconds = 0.5 * self.start_seconds + 0.5 * (time.monotonic() - begin)
        if self.rng.random() < 0.6:
            self._wait(process, self._is_saving, 10 * self.save_seconds + 1)
            time.sleep(self.rng.uniform(0, self.save_seconds))
            return "aimed at saving"
        time.sleep(self.rng.uniform(0, 5 * self.save_seconds))
        return "training"

    def _wait(self, process: subprocess.Popen[bytes], done: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and process.poll() is None and not done():
            time.sleep(POLL_SECONDS)

    def _is_saving(self) -> bool:
        folder = self.run / "checkpoints"
        return folder.is_dir() and any(path.name.endswith(".tmp") for path in folder.iterdir())

    def saved(self) -> list[int]:
        return Checkpoints(self.run, keep_last=1).steps()

    def _look_around(self, moment: str) -> None:
        """Count what the kill left behind."""
        strays = [path for path in self.run.rglob(".*") if path.name.endswith((".tmp", ".before"))]
        self.strays += len(strays)
        in_saving = any(path.parent.name == "checkpoints" for path in strays)
        self.kills["in the middle of saving" if in_saving else moment] += 1
        self.steps.append(max(self.saved(), default=0))
        checkpoints = Checkpoints(self.run, keep_last=1)
        try:
            checkpoints.newest()
            self.damaged += len(checkpoints.warnings)
        except CheckpointError:
            self.damaged += 1


def start(recipe: Path, run: Path, log: Any) -> subprocess.Popen[bytes]:
    """`nmt train` as the leader of a process group of its own, with a cache of its own to be killed in."""
    command = [sys.executable, "-m", "nmt", "train", str(recipe), "--run-dir", str(run)]
    environment = {**os.environ, "NMT_CACHE": str(run.with_name(f"{run.name}-cache"))}
    return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)


def write_recipe(folder: Path, steps: int) -> Path:
    """The recipe, and some short lines of the phrasebook."""
    for lang in ("de", "en"):
        lines = (PHRASEBOOK / f"train.{lang}").read_text(encoding="utf-8").split("\n")
        parts = {"large": lines[:400], "medium": lines[1000:1150], "small": lines[1400:1450]}
        parts |= {"valid": lines[600:620], "test": lines[620:640]}
        for name, part in parts.items():
            (folder / f"{name}.{lang}").write_text("".join(f"{line}\n" for line in part), encoding="utf-8")
    path = folder / "killed.toml"
    path.write_text(RECIPE.format(steps=steps, save_every=SAVE_EVERY), encoding="utf-8")
    return path


def without_times(value: Any) -> Any:
    """A JSON value less what a clock put there."""
    if isinstance(value, dict):
        return {key: without_times(inner) for key, inner in value.items() if key not in TIMES}
    return [without_times(inner) for inner in value] if isinstance(value, list) else value


def compare(one: Path, other: Path) -> list[str]:
    """What differs between two run folders, a line each."""
    faults = []
    for name in ("model.safetensors", "recipe.toml", "tokenizer/joint.model", "hypotheses/valid.hyp.en"):
        if (one / name).read_bytes() != (other / name).read_bytes():
            faults.append(f"{name} differs")
    states = [Checkpoints(run, keep_last=1).newest() for run in (one, other)]
    assert states[0] is not None
    assert states[1] is not None
    if states[0].tensors.keys() != states[1].tensors.keys():
        faults.append("the last checkpoints have other tensors")
    else:
        faults += [
            f"{name} differs in the last checkpoint"
            for name, tensor in states[0].tensors.items()
            if not torch.equal(tensor, states[1].tensors[name])
        ]
    if without_times(states[0].values) != without_times(states[1].values):
        faults.append("the values of the last checkpoints differ")
    rows = [[json.loads(line) for line in (run / "metrics.jsonl").read_text().split("\n")[:-1]] for run in (one, other)]
    if without_times(rows[0]) != without_times(rows[1]):
        faults.append("metrics.jsonl differs")
    scores = [without_times(json.loads((run / "scores.json").read_bytes())) for run in (one, other)]
    return faults + (["scores.json differs"] if scores[0] != scores[1] else [])


def kill_again_and_again(folder: Path, kills: int, seed: int, console: Console) -> list[str]:
    """Both trainings; what is wrong, a line each."""
    steps = max(40, STEPS_PER_KILL * kills)
    recipe = write_recipe(folder, steps)
    begin = time.monotonic()
    with (folder / "undisturbed.txt").open("wb") as log, start(recipe, folder / "undisturbed", log) as process:
        if process.wait() != 0:
            return [f"the undisturbed training failed: {folder / 'undisturbed.txt'} says why"]
    console.print(f"undisturbed: {steps} steps, {time.monotonic() - begin:.0f} s", highlight=False)
    killer = Killer(recipe, folder / "killed", random.Random(seed), start_seconds=0.5 * (time.monotonic() - begin))
    code = None
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=console) as progress:
        task = progress.add_task("kills", total=kills)
        for number in range(kills):
            code = killer.live(kills - number, steps)
            if code is not None:
                break
            progress.advance(task)
    if code is None:
        with (folder / "killed.txt").open("ab") as log, start(recipe, folder / "killed", log) as process:
            code = process.wait()
    total = killer.kills.total()
    middle = sum(step < steps // 2 for step in killer.steps)
    console.print(
        f"kills: {total} of {kills}: " + ", ".join(f"{count} {name}" for name, count in sorted(killer.kills.items())),
        f"{middle} before step {steps // 2}, {total - middle} after; "
        f"{sum(step == 0 for step in killer.steps)} with no step saved",
        f"left behind: {killer.strays} temporary files and folders, {killer.damaged} damaged checkpoints",
        sep="\n",
        highlight=False,
    )
    faults = [f"{killer.damaged} checkpoints were damaged"] if killer.damaged else []
    if total < kills:
        faults.append(f"the training ended after {total} kills of {kills}")
    if code != 0:
        return [*faults, f"the killed training failed with {code}: {folder / 'killed.txt'} says why"]
    return faults + compare(folder / "undisturbed", folder / "killed")


@click.command()
@click.option("--kills", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--seed", default=1, show_default=True, help="Of the moments.")
@click.option("--keep", type=click.Path(path_type=Path), help="Leave both run folders here.")
def main(kills: int, seed: int, keep: Path | None) -> None:
    """Kill a training at random moments, and compare it with an undisturbed one."""
    console = Console()
    with TemporaryDirectory() as folder:
        faults = kill_again_and_again(Path(folder), kills, seed, console)
        if keep is not None:
            shutil.copytree(folder, keep, dirs_exist_ok=True)
    for fault in faults:
        console.print(f"FAULT: {fault}", highlight=False)
    if faults:
        sys.exit(1)
    console.print("the same to the last bit, but for the times")


if __name__ == "__main__":
    main()
