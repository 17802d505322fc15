"""Measure how fast a run translates: python tools/bench_decode.py RUN > table.json

Prints a JSON list, a row for each setting: what it was (engine, shortlist, beam_size, batch_size, workers), sentences
and target tokens a second of CPU time and of wall time (medians of rounds in which the settings take turns, so that
other work on the machine is shared by all; of several workers all are of wall time, their start included), BLEU of the
very output that was timed with its signature. Rows of batch size 1 have the latency of a sentence (median, 95th
percentile). The first row is of the machine: its matrix product at its best in the same minutes, start-up, peak memory.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from nmt.allocator import keep_freed_memory
from nmt.engine.engines import EngineKind, engine_for
from nmt.engine.shortlist import FREQUENT, PER_PIECE, Shortlist
from nmt.evaluate import TestSet
from nmt.metrics import score
from nmt.run_dir import SHORTLIST, SavedModel, load_model, load_stored_recipe
from nmt.train.prepare import as_test_set, open_test_sets, open_train, open_valid
from nmt.train.shortlist import learn_shortlist
from nmt.translator import Translation, Translator
from nmt.workers import pooled

LATENCY_SENTENCES = 100
NO_LIMIT = 2**31
GEMM = 1024  # rows, inner size and columns of the product that shows what the machine can do


@dataclass
class Setting:
    """One row to be: what is timed, and what its rounds gave."""

    engine: EngineKind
    shortlist: bool
    beam_size: int
    batch_size: int
    workers: int
    translator: Translator
    rounds: list[tuple[float, float]] = field(default_factory=list)  # CPU and wall seconds
    starts: list[float] = field(default_factory=list)  # wall seconds until fresh processes are through
    latencies: list[float] = field(default_factory=list)
    output: list[Translation] = field(default_factory=list)

    def time_all(self, lines: Sequence[str]) -> None:
        """One round over all lines; at batch size 1 each of the first for itself.

        Several processes take them twice: as in a text just begun, their own start counted, and as later in one.
        """
        wall, cpu = time.perf_counter(), time.process_time()
        if self.batch_size == 1:
            self.output = []
            for line in lines[:LATENCY_SENTENCES]:
                begin = time.process_time()
                self.output += [best for best, *_ in self.translator.translations([line])]
                self.latencies.append(time.process_time() - begin)
        elif self.workers == 1:
            self.output = [best for best, *_ in self.translator.translations(lines)]
        else:
            with pooled(self.translator, self.workers) as pool:
                list(pool.translations(lines))
                self.starts.append(time.perf_counter() - wall)
                wall, cpu = time.perf_counter(), time.process_time()
                self.output = [best for best, *_ in pool.translations(lines)]
                self.rounds.append((time.process_time() - cpu, time.perf_counter() - wall))
            return
        self.rounds.append((time.process_time() - cpu, time.perf_counter() - wall))

    def row(self, references: Sequence[str], tgt_lang: str) -> dict[str, Any]:
        """As it is printed."""
        cpu, wall = (statistics.median(times) for times in zip(*self.rounds, strict=True))
        if self.workers > 1:
            cpu = wall
        count, tokens = len(self.output), sum(len(one.tokens) for one in self.output)
        texts = [one.text for one in self.output]
        [bleu] = score(["bleu"], texts, references[:count], tgt_lang=tgt_lang)
        found: dict[str, Any] = {
            "engine": self.engine,
            "shortlist": self.shortlist,
            "beam_size": self.beam_size,
            "batch_size": self.batch_size,
            "workers": self.workers,
            "sentences": count,
            "sentences_per_second": round(count / cpu, 1),
            "tokens_per_second": round(tokens / cpu),
            "sentences_per_wall_second": round(count / wall, 1),
            "bleu": round(bleu.value, 2),
            "signature": bleu.signature,
        }
        if self.starts:
            found["sentences_per_second_at_first"] = round(count / statistics.median(self.starts), 1)
        if self.latencies:
            ordered = sorted(self.latencies)
            found["latency_median_ms"] = round(1000 * statistics.median(ordered), 2)
            found["latency_p95_ms"] = round(1000 * ordered[int(0.95 * (len(ordered) - 1))], 2)
        return found


def shortlist_of(run: Path, saved: SavedModel, *, per_piece: int, frequent: int) -> Shortlist:
    """The run's own, or one that is learned now from its training text."""
    src, tgt = saved.tokenizers.src, saved.tokenizers.tgt
    if (run / SHORTLIST).is_file():
        return Shortlist.from_file(run / SHORTLIST, src_vocab_size=src.vocab_size, tgt_vocab_size=tgt.vocab_size)
    train = open_train(saved.recipe.data)
    return learn_shortlist(train, saved.tokenizers, per_piece=per_piece, frequent=frequent)


def settings_of(
    saved: SavedModel,
    shortlist: Shortlist,
    *,
    engines: Sequence[str],
    beams: Sequence[int],
    batches: Sequence[int],
    workers: Sequence[int],
) -> list[Setting]:
    """Every engine, as "fast" or "fast+shortlist", with every beam size, every batch size and so many workers.

    A sentence for itself has but one.
    """
    found = []
    for name in engines:
        kind: Any = name.removesuffix("+shortlist")
        short = name != kind
        model = engine_for(saved.model, kind, shortlist=shortlist if short else None)
        for beam in beams:
            for batch in batches:
                changed = {"beam_size": beam, "batch_size": batch, "batch_tokens": NO_LIMIT}
                search = saved.recipe.search.model_copy(update=changed)
                translator = Translator(model, saved.tokenizers, search)
                counts = workers if batch > 1 else (1,)
                found += [Setting(kind, short, beam, batch, count, translator) for count in counts]
    return found


def gemm_gflops() -> float:
    """The best of a few products of two square matrices, in GFLOP a second of CPU time."""
    a, b = torch.randn(GEMM, GEMM), torch.randn(GEMM, GEMM)
    return max(2 * GEMM**3 / cpu_seconds(lambda: a @ b) / 1e9 for _ in range(5))


def cpu_seconds(work: Callable[[], object]) -> float:
    """Of one call."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def startup(run: Path) -> dict[str, float]:
    """Seconds of a fresh process: its imports, then loading the run."""
    code = (
        "import time; a = time.perf_counter(); import nmt.loading as t; b = time.perf_counter(); "
        f"t.load({str(run)!r}); print(b - a, time.perf_counter() - b)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    imports, loading = map(float, done.stdout.split())
    return {"import_seconds": round(imports, 2), "load_seconds": round(loading, 2)}


def bench(run: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """All rows."""
    torch.set_num_threads(options.threads)
    keep_freed_memory()  # as `nmt translate` does
    saved = load_model(run)
    data = load_stored_recipe(run).data
    sets: dict[str, TestSet] = {
        one.name: one for one in [as_test_set("valid", open_valid(data)), *open_test_sets(data)]
    }
    test_set = sets[options.set] if options.set else next(iter(open_test_sets(data)))
    lines = list(islice(test_set.src, options.sentences))
    shortlist = shortlist_of(run, saved, per_piece=options.per_piece, frequent=options.frequent)
    settings = settings_of(
        saved,
        shortlist,
        engines=options.engines,
        beams=options.beams,
        batches=options.batches,
        workers=options.workers,
    )
    peaks = []
    for setting in settings:
        list(setting.translator.translations(lines[:20]))
    for _ in range(options.rounds):
        peaks.append(gemm_gflops())
        for setting in settings:
            setting.time_all(lines)
    machine = {
        "gemm_gflops": round(statistics.median(peaks)),
        "threads": options.threads,
        "rounds": options.rounds,
        "set": test_set.name,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "torch": torch.__version__,
        **startup(run),
    }
    return [machine, *(setting.row(test_set.references, data.tgt_lang) for setting in settings)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument(
        "--engines", nargs="+", default=["exact", "fast", "fast+shortlist", "int8", "int8+shortlist"], metavar="ENGINE"
    )
    parser.add_argument("--beams", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 64, 256])
    parser.add_argument("--set", help="name of a validation or test set of the recipe")
    parser.add_argument("--sentences", type=int, help="only so many of the set")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", nargs="+", type=int, default=[1], help="numbers of processes")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--per-piece", type=int, default=PER_PIECE, help="of a shortlist that the run does not have")
    parser.add_argument("--frequent", type=int, default=FREQUENT, help="of a shortlist that the run does not have")
    options = parser.parse_args(arguments)
    json.dump(bench(options.run, options), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
