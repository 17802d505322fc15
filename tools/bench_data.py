"""What a corpus costs before and during training: each stage in a process of its own, one JSON line a stage.

    NMT_CACHE=/tmp/cache python tools/bench_data.py /tmp/big

for /tmp/big.de and /tmp/big.en, as `tools/make_corpus.py` writes them. Each row has wall seconds, CPU seconds of the
process and those it started, and the most memory that any one of them had: all of it (`peak_mb`, mapped files counted)
and what was left at the end without mapped files (`own_mb`). The cache is to be empty at first: reading and encoding
are measured once, and what comes after them finds them done.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import click
import torch
from rich.console import Console

from nmt.data.batches import Position, plan_batches
from nmt.data.encode import encoded
from nmt.data.tokenizer import TokenizerPair
from nmt.recipe import Recipe
from nmt.train.prepare import describe, make_stream, new_tokenizers, open_corpora
from nmt.train.run import new_model

VALID_LINES = 2000
BATCHES = 2000


def recipe_of(names: tuple[str, ...], threads: int) -> Recipe:
    """One that trains on the corpora and validates on lines of the first."""
    folder = Path(os.environ["NMT_CACHE"])
    return Recipe.model_validate(
        {
            "data": {"src_lang": "de", "tgt_lang": "en", "train": names, "valid": str(folder / "valid")},
            "train": {"threads": threads},
        }
    )


def read(recipe: Recipe) -> dict[str, float]:
    """All pairs, from text into the cache, filtered and without duplicates."""
    train = open_corpora(recipe.data, Console(stderr=True)).train
    return {"pairs": train.read, "kept": len(train.pairs)}


def overlap(recipe: Recipe) -> dict[str, float]:
    """Sentences that validation shares with training."""
    corpora = open_corpora(recipe.data)
    describe(corpora)
    return {"pairs": len(corpora.train.pairs)}


def tokenizer(recipe: Recipe) -> dict[str, float]:
    """Trained on at most a million lines a side."""
    folder = Path(os.environ["NMT_CACHE"]) / "tokenizer"
    folder.mkdir(exist_ok=True)
    train = open_corpora(recipe.data).train
    new_tokenizers(recipe.tokenizer, train).save(folder)
    return {"pairs": len(train.pairs)}


def tokenise(recipe: Recipe) -> dict[str, float]:
    """All lines to ids, on the cores given."""
    train = open_corpora(recipe.data).train
    make_stream(recipe, train, _tokenizers(), Console(stderr=True))
    return {"lines": 2 * len(train.pairs)}


def plan(recipe: Recipe) -> dict[str, float]:
    """The batches of an epoch, up to 2**23 pairs of it."""
    src, tgt = encoded(open_corpora(recipe.data).train, _tokenizers())
    begin, begin_cpu = time.perf_counter(), time.process_time()
    windows = -(-len(src) // 2**23)
    lengths = [table.window(0, windows).lengths for table in (src, tgt)]
    planned = plan_batches(lengths[0], lengths[1], batch_tokens=1000, seed=1, epoch=0)
    stage = {"stage_seconds": time.perf_counter() - begin, "stage_cpu_seconds": time.process_time() - begin_cpu}
    return {"pairs": len(lengths[0]), "planned_batches": len(planned), **stage}


def batches(recipe: Recipe) -> dict[str, float]:
    """Some batches as a training takes them, without training on them."""
    stream = make_stream(recipe, open_corpora(recipe.data).train, _tokenizers())(Position(0))
    begin, begin_cpu = time.perf_counter(), time.process_time()
    count = sum(1 for _ in islice(stream, BATCHES))
    stage = {"stage_seconds": time.perf_counter() - begin, "stage_cpu_seconds": time.process_time() - begin_cpu}
    return {"batches": count, **stage}


def start(recipe: Recipe) -> dict[str, float]:
    """All that `nmt train` does with text up to its first step, once it is cached; then a step of the default model."""
    corpora = open_corpora(recipe.data)
    describe(corpora)
    tokenizers = _tokenizers()
    stream = make_stream(recipe, corpora.train, tokenizers)(Position(0))
    model = new_model(recipe, tokenizers)
    _, batch = next(iter(stream))
    readouts = model.readouts(batch.src, batch.src_lengths, batch.tgt_in, batch.tgt_lengths)
    model.output(readouts).square().mean().backward()  # type: ignore[no-untyped-call]
    return {"steps": 1}


def _tokenizers() -> TokenizerPair:
    return TokenizerPair.load(Path(os.environ["NMT_CACHE"]) / "tokenizer")


STAGES: dict[str, Callable[[Recipe], dict[str, float]]] = {
    "read": read,
    "overlap": overlap,
    "tokenizer": tokenizer,
    "tokenise": tokenise,
    "plan": plan,
    "batches": batches,
    "start": start,
}


def own_mb() -> float:
    """Resident memory of this process without mapped files."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) / 1024


def run_stage(stage: str, names: tuple[str, ...], threads: int) -> None:
    """In this process; one JSON line to standard output."""
    torch.set_num_threads(1)  # torch has little to do here, and others that wait would count as work
    row = STAGES[stage](recipe_of(names, threads))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    row |= {"cpu_seconds": sum(each.ru_utime + each.ru_stime for each in used), "own_mb": own_mb()}
    row |= {"peak_mb": used[0].ru_maxrss / 1024, "peak_worker_mb": used[1].ru_maxrss / 1024}
    print(json.dumps(row))


@click.command()
@click.argument("corpora", nargs=-1, required=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--stage", "stages", multiple=True, type=click.Choice(list(STAGES)), help="[default: all, in order]")
@click.option("--here", is_flag=True, hidden=True)
def main(corpora: tuple[str, ...], threads: int, stages: tuple[str, ...], here: bool) -> None:
    """Measure what the text of CORPORA (prefixes of .de and .en files) costs."""
    if "NMT_CACHE" not in os.environ:
        raise click.UsageError("set NMT_CACHE to an empty folder on a disk with room for twice the corpora")
    names = tuple(str(Path(name).absolute()) for name in corpora)
    if here:
        run_stage(stages[0], names, threads)
        return
    folder = Path(os.environ["NMT_CACHE"])
    folder.mkdir(parents=True, exist_ok=True)
    for language in ("de", "en"):
        with Path(f"{names[0]}.{language}").open(encoding="utf-8") as stream:
            (folder / f"valid.{language}").write_text("".join(islice(stream, VALID_LINES)), encoding="utf-8")
    for stage in stages or STAGES:
        command = [sys.executable, __file__, *names, "--threads", str(threads), "--stage", stage, "--here"]
        begin = time.perf_counter()
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        row = {"stage": stage, "wall_seconds": time.perf_counter() - begin, **json.loads(done.stdout)}
        seconds = row.get("stage_seconds", row["wall_seconds"])
        cpu = row.get("stage_cpu_seconds", row["cpu_seconds"])
        for what in ("pairs", "lines", "batches"):
            if what in row:
                row |= {f"{what}_per_second": row[what] / seconds, f"{what}_per_cpu_second": row[what] / cpu}
        print(json.dumps({key: round(value, 2) if isinstance(value, float) else value for key, value in row.items()}))


if __name__ == "__main__":
    main()
