"""Claims 3, 4 and 5: real trainings on Multi30k, and what can be read off their run folders."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from measure.store import Row, Store, digest
from nmt.metrics import score
from nmt.recipe_file import load_recipe
from nmt.run_dir import HYPOTHESES, METRICS, SCORES, load_model
from nmt.train.run import train

RECIPES = Path(__file__).parents[1]
WAITS = (0, 1, 2, 3, 4, 6)
CELLS = {"rnn": "simple RNN", "rnn-slow": "simple RNN, a third of the learning rate", "gru": "GRU", "lstm": "LSTM"}
LONGEST = (7, 10, 13, 17)  # source words at which a bin ends; the last one is open

_CELL_OPTIONS = {
    "rnn": ("model.cell=rnn",),
    "rnn-slow": ("model.cell=rnn", "train.learning_rate=1e-3"),
    "gru": ("model.cell=gru",),
    "lstm": (),
}
Options = tuple[str, ...]


def _runs() -> dict[str, tuple[str, Options]]:
    runs: dict[str, tuple[str, Options]] = {}
    for cell, options in _CELL_OPTIONS.items():
        runs[f"vector-{cell}"] = ("encoder-decoder", options)
        runs[f"attention-{cell}"] = ("attention", options)
    runs |= {f"read-along-{wait}": ("read-along", (f"model.wait={wait}",)) for wait in WAITS}
    for kind in ("vector", "attention"):
        runs[f"forward-{kind}"] = (f"forward-{kind}", ())
        runs[f"reversed-{kind}"] = (f"forward-{kind}", ("model.reverse_source=true",))
    return runs


RUNS = _runs()  # name -> recipe of this folder, and its `--set` options


@dataclass(frozen=True)
class Plan:
    """What is measured, and where the runs go."""

    runs: Path
    data: Path | None = None
    seeds: Sequence[int] = (1,)
    overrides: Options = ()

    def options(self, name: str, seed: int) -> list[str]:
        """All `--set` options of a run."""
        folder = [] if self.data is None else [f"data.folder={self.data}"]
        return [*RUNS[name][1], *folder, f"train.seed={seed}", "train.threads=1", *self.overrides]


QUICK: Options = (
    "tokenizer.vocab_size=360",
    "model.embed_dim=16",
    "model.encoder_dim=8",
    "model.decoder_dim=16",
    "train.max_steps=12",
    "train.batch_tokens=150",
    "train.warmup_steps=5",
    "train.sampled_softmax=20",
    "train.validate_every=4",
    "train.save_every=12",
    "train.log_every=4",
    "search.beam_size=2",
)


def measure(store: Store, plan: Plan, names: Sequence[str], console: Console, advance: Callable[[str], None]) -> None:
    """Train whatever is not yet in the store; a run that was stopped goes on. `advance` hears of each one done."""
    for name, seed in [(name, seed) for seed in plan.seeds for name in names]:
        recipe = load_recipe(str(RECIPES / f"{RUNS[name][0]}.toml"), plan.options(name, seed)).recipe
        settings = digest(recipe)
        identity: dict[str, str | int] = {"run": name, "seed": seed}
        if not store.has(identity, settings):
            run = plan.runs / f"{name}-{seed}"
            train(recipe, run, console)
            store.add(identity, settings, collect(run, recipe.data.tgt_lang))
        advance(f"{name}, seed {seed}")


def collect(run: Path, tgt_lang: str) -> Row:
    """What a finished run folder says: its validations, its scores, BLEU by source length."""
    scores: list[dict[str, Any]] = json.loads((run / SCORES).read_bytes())
    [bleu] = [row for row in scores if row["metric"] == "BLEU"]
    reports = [json.loads(line) for line in (run / METRICS).read_text(encoding="utf-8").splitlines()]
    return {
        "parameters": sum(parameter.numel() for parameter in load_model(run).model.parameters()),
        "test_set": bleu["test_set"],
        "bleu": round(bleu["score"], 3),
        "signature": bleu["signature"],
        "beam_size": bleu["beam_size"],
        "by_length": by_length(run / HYPOTHESES, bleu["test_set"], tgt_lang),
        "valid": validations(reports),
    }


def validations(reports: Sequence[Row]) -> list[dict[str, float]]:
    """Step, seconds of training until then (validation not counted), perplexity and greedy BLEU.

    The seconds are those at the run's undisturbed speed, the ninth decile of its reports: other programs come and go.
    """
    speeds = sorted(report["tokens_per_second"] for report in reports if report["event"] == "train")
    seconds, found = 0.0, []
    for report in reports:
        if report["event"] == "train":
            seconds += report["tokens"] / speeds[9 * len(speeds) // 10]
        else:
            point = {"step": report["step"], "seconds": round(seconds, 2)}
            found.append({**point, "ppl": round(report["ppl"], 4), "bleu": round(report["bleu"], 3)})
    return found


def by_length(hypotheses: Path, test_set: str, tgt_lang: str) -> list[dict[str, Any]]:
    """BLEU of each bin of source lengths that holds any sentence; a length is counted in words between spaces."""
    [src] = list(hypotheses.glob(f"{test_set}.src.*"))
    hyp, ref = (hypotheses / f"{test_set}.{kind}.{tgt_lang}" for kind in ("hyp", "ref"))
    lines = list(zip(*(path.read_text(encoding="utf-8").split("\n")[:-1] for path in (src, hyp, ref)), strict=True))
    found = []
    for shortest, longest in zip((1, *(end + 1 for end in LONGEST)), (*LONGEST, None), strict=True):
        inside = [line for line in lines if shortest <= len(line[0].split()) <= (longest or len(line[0]))]
        if inside:
            _, hyps, refs = zip(*inside, strict=True)
            [bleu] = score(["bleu"], hyps, refs, tgt_lang=tgt_lang)
            words = f"{shortest}-{longest}" if longest else f"{shortest} or more"
            found.append({"words": words, "sentences": len(inside), "bleu": round(bleu.value, 3)})
    return found
