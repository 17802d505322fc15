"""The ladder: one recipe under other cells, attentions, encoders and depths, and a table of what each row reaches.

    python tools/ladder.py --data ../shared/data/multi30k --jobs 2

`--kit` trains the recipe with one of its tricks changed at a time instead; `--time` trains nothing to its end and
prints how long each row's training takes.

Each training runs on one thread. One that was stopped goes on; one that is finished is not trained again.
"""

import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import click
import torch
from results_table import Run, read_run, show
from rich.progress import Progress

from nmt.data.tokenizer import TokenizerPair
from nmt.model.build import build_model
from nmt.recipe_file import load_recipe
from nmt.train.prepare import make_stream, new_tokenizers, open_train
from nmt.train.trainer import Trainer

TIMED_ROUNDS, TIMED_STEPS = 6, 6  # the first round warms up

COMMON = {"train.max_steps": "2500", "train.validate_every": "500", "train.samples": "0", "train.threads": "1"}
ROWS: dict[str, dict[str, str]] = {
    "rnn, none": {"model.cell": "rnn", "model.attention": "none"},
    "gru, none": {"model.cell": "gru", "model.attention": "none"},
    "lstm, none": {"model.attention": "none"},
    "lnlstm, none": {"model.cell": "lnlstm", "model.attention": "none"},
    "rnn, general": {"model.cell": "rnn"},
    "gru, general": {"model.cell": "gru"},
    "lstm, general": {},
    "lnlstm, general": {"model.cell": "lnlstm"},
    "lstm, dot": {"model.attention": "dot"},
    "lstm, mlp": {"model.attention": "mlp"},
    "lstm, local": {"model.attention": "local"},
    "lstm, multihead": {"model.attention": "multihead"},
    "lstm, general, input feeding": {"model.input_feeding": "true"},
    "lstm, general, 2 layers": {"model.encoder_layers": "2", "model.decoder_layers": "2", "model.residual": "true"},
    "lstm, general, 3 layers": {"model.encoder_layers": "3", "model.decoder_layers": "3", "model.residual": "true"},
    "lstm, none, 2 layers": {
        "model.attention": "none",
        "model.encoder_layers": "2",
        "model.decoder_layers": "2",
        "model.residual": "true",
    },
    "convolutional, general": {
        "model.encoder": "convolutional",
        "model.encoder_dim": "256",
        "model.encoder_layers": "4",
    },
}
# Longer: what regularises pays late.
KIT_COMMON = COMMON | {"train.max_steps": "4000", "train.validate_every": "1000"}
KIT: dict[str, dict[str, str]] = {
    "lstm, general": {},  # the recipe itself
    "no label smoothing": {"train.label_smoothing": "0"},
    "constant learning rate": {"train.schedule": "constant"},
    "full softmax throughout": {"train.sampled_softmax": "0"},
    "four times the batch, a quarter of the steps": {
        "train.batch_tokens": "2000",
        "train.max_steps": "1000",
        "train.validate_every": "250",
        "train.warmup_steps": "38",
    },
    "no tying": {"model.tie": "none"},
    "output tied with target embeddings": {"model.tie": "tgt"},
    "plain dropout": {"model.dropout_kind": "plain"},
    "no dropout": {"model.dropout": "0"},
    "word dropout 0.1": {"model.word_dropout": "0.1"},
    "state dropout 0.2": {"model.state_dropout": "0.2"},
    "subword sampling 0.5": {"tokenizer.sampling": "0.5"},
    "moving average 0.999": {"train.ema_decay": "0.999"},
}
THREE_SEEDS = (
    "rnn, none",
    "lstm, none",
    "rnn, general",
    "gru, general",
    "lstm, general",
)


def train(run: Path, recipe: str, settings: dict[str, str]) -> None:
    """One `nmt train`; what it prints goes to the file beside the run folder."""
    command = [sys.executable, "-m", "nmt", "train", recipe, "--run-dir", str(run)]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    run.parent.mkdir(parents=True, exist_ok=True)
    log = run.with_name(f"{run.name}.txt")
    with log.open("wb") as stream:
        done = subprocess.run(
            command, check=False, stdout=stream, stderr=stream, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
    if done.returncode != 0:
        raise click.ClickException(f"{run}: the training failed; {log} says why")


def cpu_minutes(table: dict[str, dict[str, str]], recipe: str, common: dict[str, str]) -> dict[str, float]:
    """CPU time of each row's training on one thread: medians of a few steps, taken in turns in this one process.

    The steps are those of the recipe's beginning; with the sampled softmax the last quarter takes a little longer.
    """
    torch.set_num_threads(1)
    trainers: dict[str, Trainer] = {}
    tokenizers: TokenizerPair | None = None
    for name, settings in table.items():
        loaded = load_recipe(recipe, [f"{key}={value}" for key, value in (common | settings).items()]).recipe
        corpus = open_train(loaded.data)
        tokenizers = tokenizers or new_tokenizers(loaded.tokenizer, corpus)
        size = tokenizers.tgt.vocab_size
        torch.manual_seed(1)
        model = build_model(loaded.model, src_vocab_size=size, tgt_vocab_size=size)
        trainers[name] = Trainer(section=loaded.train, model=model, stream=make_stream(loaded, corpus, tokenizers))
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(TIMED_ROUNDS):
        for name, trainer in trainers.items():
            begin = time.process_time()
            for _ in range(TIMED_STEPS):
                trainer.update()
            seconds[name].append((time.process_time() - begin) / TIMED_STEPS)
    steps = {name: trainer.section.max_steps for name, trainer in trainers.items()}
    return {name: steps[name] * statistics.median(found[1:]) / 60 for name, found in seconds.items()}


@click.command()
@click.option("--recipe", default="multi30k-de-en", show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the text.  [default: the recipe's]")
@click.option("--runs", type=click.Path(path_type=Path), help="Folder of the runs.  [default: runs/ladder, runs/kit]")
@click.option("--jobs", default=2, show_default=True, help="Trainings at a time.")
@click.option("--only", multiple=True, help="Rows, by name; repeatable.  [default: all]")
@click.option("--kit", is_flag=True, help="One trick of the recipe changed at a time.")
@click.option("--time", "timed", is_flag=True, help="Only print the CPU minutes of each row's training.")
def main(
    recipe: str, data: Path | None, runs: Path | None, jobs: int, only: Sequence[str], kit: bool, timed: bool
) -> None:
    """Train all rows and print the table."""
    table, common, default = (KIT, KIT_COMMON, "runs/kit") if kit else (ROWS, COMMON, "runs/ladder")
    runs = runs or Path(default)
    common = {**common, "data.folder": str(data)} if data else common
    if timed:
        chosen = {name: settings for name, settings in table.items() if not only or name in only}
        for name, minutes in cpu_minutes(chosen, recipe, common).items():
            click.echo(f"{name}: {minutes:.1f}")
        return
    plan: dict[Path, tuple[str, dict[str, str]]] = {}
    for seed in (1, 2, 3):
        for name, settings in table.items():
            if (seed == 1 or name in THREE_SEEDS) and (not only or name in only):
                run = runs / f"{name.replace(', ', '-').replace(' ', '-')}-seed{seed}"
                plan[run] = (name, common | settings | {"train.seed": str(seed)})
    with Progress() as progress, ThreadPoolExecutor(jobs) as pool:
        task = progress.add_task("trainings", total=len(plan))
        waiting = [pool.submit(train, run, recipe, settings) for run, (_, settings) in plan.items()]
        for done in as_completed(waiting):
            if done.exception() is not None:
                pool.shutdown(cancel_futures=True)
            done.result()
            progress.advance(task)
    rows: dict[str, list[Run]] = defaultdict(list)
    for run, (name, _) in plan.items():
        rows[name].append(read_run(run))
    show({name: rows[name] for name in table if name in rows})


if __name__ == "__main__":
    main()
