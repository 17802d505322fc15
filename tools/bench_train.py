"""How fast a training step is, and how near to what this machine's matrix products allow: a JSON list.

`python tools/bench_train.py --data FOLDER` with Multi30k's train.de and train.en in FOLDER; without it, the phrasebook.
It runs nmt's own `Trainer`; clocks are read where a batch has come, and around autograd's backward. With one thread all
figures are of CPU time, since others may use the machine; with more, of wall time, and one thread takes turns with them
(`times_one_thread`). So do settings and matrix products, a round each; what is printed are medians over the rounds.
`ratio` is to what products of the best shape reach one after the other, as steps do; `ratio_to_best` to the fastest
single product.
"""

import json
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import click
import torch
from torch import Tensor

from nmt.allocator import keep_freed_memory
from nmt.data.batches import Batch, Position
from nmt.data.tokenizer import TokenizerPair
from nmt.model.build import build_model
from nmt.recipe import DataSection, ModelSection, Recipe, TokenizerSection, TrainSection
from nmt.train.prepare import StreamMaker, make_stream, new_tokenizers, open_train
from nmt.train.trainer import Trainer

PHRASEBOOK = Path(__file__).parents[1] / "recipes" / "phrasebook"
WARM_UP_STEPS = 100  # until memory has settled: the heap grows for about so many, in pages that the system must make
PEAK_SECONDS = 0.2
WIDE = ModelSection(embed_dim=256, encoder_dim=256, decoder_dim=512)
SMALL = ModelSection(embed_dim=256, encoder_dim=128, decoder_dim=256)
# vocabulary, batch_tokens, samples of the softmax
SETTINGS: dict[str, tuple[ModelSection, int, int, int]] = {
    "wide": (WIDE, 8000, 1000, 0),
    "wide-sampled": (WIDE, 8000, 1000, 500),
    "wide-2000": (WIDE, 8000, 2000, 0),  # tensors of more than 32 MiB
    "small": (SMALL, 4000, 1000, 0),
    "small-sampled": (SMALL, 4000, 1000, 500),
    "small-500": (SMALL, 4000, 500, 0),  # as recipes/multi30k-de-en.toml has it
    "small-500-sampled": (SMALL, 4000, 500, 500),
}


def forward_flops(section: ModelSection, batch: Batch, *, vocab_size: int, samples: int) -> int:
    """Floating point operations of the matrix products of one forward pass, a multiplication and an addition each one.

    E embedding, H and G hidden size of the encoder (each of 2 directions) and of the decoder; one LSTM layer each:

        a real source token, eos counted:  2 * 8 H (E + H)  LSTMs    + 2 * 2H G  attention's keys
        a sentence pair:                   2 * 2 * 2H G  bridges of h and c
        a real target token, eos counted:  8 G (E + G)  LSTM    + 2 s (G + 2H)  scores and contexts, s source tokens
                                           + 2 (G + 2H) E  readout    + 2 E C  output

    C is the vocabulary or, with `samples`, the batch's own types and so many others. Padding is not counted, neither
    source nor target: what is spent on it is waste. Nor is anything but products.
    """
    e, h, g = section.embed_dim, section.encoder_dim, section.decoder_dim
    src, tgt = int(batch.src_lengths.sum()), int(batch.tgt_lengths.sum())
    columns = vocab_size
    if samples:
        types = {int(token) for row, n in zip(batch.tgt_out, batch.tgt_lengths, strict=True) for token in row[:n]}
        columns = min(vocab_size, len(types) + samples)
    of_source = src * (16 * h * (e + h) + 4 * h * g) + len(batch.src_lengths) * 8 * h * g
    looks = int((batch.src_lengths * batch.tgt_lengths).sum())
    of_target = tgt * (8 * g * (e + g) + 2 * (g + 2 * h) * e + 2 * e * columns)
    return of_source + looks * 2 * (g + 2 * h) + of_target


class Bench:
    """One setting: a trainer, and the clock's readings of the steps since the last `round`."""

    def __init__(self, section: ModelSection, train: TrainSection, stream: StreamMaker, *, vocab_size: int) -> None:
        self._section, self._samples, self._vocab_size = section, train.sampled_softmax, vocab_size
        self._stream = stream
        torch.manual_seed(1)
        model = build_model(section, src_vocab_size=vocab_size, tgt_vocab_size=vocab_size)
        self.trainer = Trainer(section=train, model=model, stream=self._timed)  # type: ignore[arg-type]
        self._seconds = dict.fromkeys(("data", "forward", "backward", "optimizer"), 0.0)
        self._clock: Callable[[], float] = time.process_time
        self._last = 0.0
        self._batches: list[Batch] = []

    def _timed(self, start: Position) -> Iterator[tuple[Position, Batch]]:
        """The stream itself; the time since the step began was spent on its batch, what follows is the forward pass."""
        for position, batch in self._stream(start):
            self._read_clock("data")
            self._batches.append(batch)
            yield position, batch

    def _read_clock(self, phase: str) -> None:
        now = self._clock()
        self._seconds[phase] += now - self._last
        self._last = now

    @contextmanager
    def _backward_timed(self) -> Iterator[None]:
        """Autograd's backward, wherever the trainer calls it, is a phase of its own."""
        untimed = Tensor.backward

        def backward(tensor: Tensor) -> None:
            self._read_clock("forward")
            untimed(tensor)  # type: ignore[no-untyped-call]
            self._read_clock("backward")

        Tensor.backward = backward  # type: ignore[method-assign,assignment]
        try:
            yield
        finally:
            Tensor.backward = untimed  # type: ignore[method-assign]

    def round(self, steps: int, clock: Callable[[], float]) -> dict[str, float]:
        """So many optimizer steps: seconds of each phase by `clock`, all of CPU and of wall time; tokens; FLOPs."""
        self._seconds, self._batches, self._clock = dict.fromkeys(self._seconds, 0.0), [], clock
        tokens, cpu, wall = 0, time.process_time(), time.perf_counter()
        with self._backward_timed():
            for _ in range(steps):
                self._last = clock()
                tokens += self.trainer.update().tokens
                self._read_clock("optimizer")
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        forward = sum(
            forward_flops(self._section, batch, vocab_size=self._vocab_size, samples=self._samples)
            for batch in self._batches
        )
        # the backward pass makes two products for each one of the forward pass
        return {**self._seconds, "cpu": cpu, "wall": wall, "tokens": tokens, "flops": 3 * forward}


class Peak(NamedTuple):
    """GFLOP/s of matrix products of one shape: of many in a row, as steps are timed, and of the fastest single one."""

    sustained: float
    best: float


def peak_gflops(clock: Callable[[], float]) -> dict[str, Peak]:
    """By shape: large squares, and the largest of the steps' own."""
    found = {}
    for rows, inner, columns in ((1024, 1024, 1024), (2048, 2048, 2048), (1000, 256, 8000), (1000, 512, 2048)):
        left, right, out = torch.randn(rows, inner), torch.randn(inner, columns), torch.empty(rows, columns)
        gflop, seconds = 2e-9 * rows * inner * columns, list[float]()
        torch.mm(left, right, out=out)
        while sum(seconds) < PEAK_SECONDS:
            begin = clock()
            torch.mm(left, right, out=out)
            seconds.append(clock() - begin)
        found[f"{rows}x{inner}x{columns}"] = Peak(gflop * len(seconds) / sum(seconds), gflop / min(seconds))
    return found


def summary(
    name: str, rounds: list[dict[str, float]], alone: list[dict[str, float]], peaks: list[dict[str, Peak]], time_of: str
) -> dict[str, object]:
    """One setting's figures by "cpu" or by "wall" time; `alone`: rounds of one thread beside those of more."""

    def median(of: Callable[[dict[str, float]], float]) -> float:
        return float(f"{statistics.median(map(of, rounds)):.4g}")

    sustained, best = ([max(one[place] for one in peak.values()) for peak in peaks] for place in (0, 1))
    gflops = [1e-9 * r["flops"] / r[time_of] for r in rounds]
    ratios, of_best = ([rate / top for rate, top in zip(gflops, tops, strict=True)] for tops in (sustained, best))
    by_alone = [each["tokens"] / each["wall"] for each in alone]
    times = [r["tokens"] / r["wall"] / one for r, one in zip(rounds, by_alone, strict=False)]
    phases = ("data", "forward", "backward", "optimizer")
    shape = statistics.mode(max(peak, key=lambda key, peak=peak: peak[key].sustained) for peak in peaks)  # type: ignore[misc]
    return {
        "setting": name,
        "target_tokens_per_second": median(lambda r: r["tokens"] / r[time_of]),
        "target_tokens_per_wall_second": median(lambda r: r["tokens"] / r["wall"]),
        "shares": {phase: median(lambda r, phase=phase: r[phase] / sum(r[p] for p in phases)) for phase in phases},
        "forward_mflops_per_target_token": median(lambda r: 1e-6 * r["flops"] / 3 / r["tokens"]),
        "gflops": float(f"{statistics.median(gflops):.4g}"),
        "gemm_peak_gflops": float(f"{statistics.median(sustained):.4g}"),
        "gemm_peak_shape": shape,
        "ratio": round(statistics.median(ratios), 3),
        "gemm_best_gflops": float(f"{statistics.median(best):.4g}"),
        "ratio_to_best": round(statistics.median(of_best), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "one_thread_tokens_per_wall_second": float(f"{statistics.median(by_alone):.4g}") if alone else None,
        "times_one_thread": round(statistics.median(times), 3) if alone else None,
        "time": time_of,
    }


def open_text(data: Path | None) -> DataSection:
    """German to English in `data`, or the phrasebook."""
    folder = str(data or PHRASEBOOK)
    return DataSection(src_lang="de", tgt_lang="en", folder=folder, train=("train",), valid=("train",))


def new_bench(name: str, text: DataSection, made: dict[int, TokenizerPair]) -> Bench:
    """`made`: tokenizers by vocabulary size, of settings before. The phrasebook has words for 1000 pieces only: the
    rest of the model's vocabulary is then never seen.
    """
    section, vocab_size, batch_tokens, samples = SETTINGS[name]
    pieces = 1000 if text.folder == str(PHRASEBOOK) else vocab_size
    train = TrainSection(batch_tokens=batch_tokens, sampled_softmax=samples, max_steps=10**6)
    recipe = Recipe(data=text, tokenizer=TokenizerSection(vocab_size=pieces), model=section, train=train)
    corpus = open_train(text)
    if pieces not in made:
        made[pieces] = new_tokenizers(recipe.tokenizer, corpus)
    return Bench(section, train, make_stream(recipe, corpus, made[pieces]), vocab_size=vocab_size)


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True, file_okay=False), help="folder of train.de, .en")
@click.option("--steps", default=10, show_default=True, help="optimizer steps a round")
@click.option("--rounds", default=7, show_default=True)
@click.option("--only", type=click.Choice(list(SETTINGS)), multiple=True, help="these settings; may be repeated")
@click.option("--threads", default=1, show_default=True)
@click.option("--keep-freed/--give-back", default=True, help="memory of freed tensors: as nmt train has it, or not")
def main(data: Path | None, steps: int, rounds: int, only: tuple[str, ...], threads: int, keep_freed: bool) -> None:
    """Measure training steps."""
    torch.set_num_threads(threads)
    if keep_freed:
        keep_freed_memory()
    clock, time_of = (time.process_time, "cpu") if threads == 1 else (time.perf_counter, "wall")
    text, made = open_text(data), dict[int, TokenizerPair]()
    benches = {name: new_bench(name, text, made) for name in only or SETTINGS}
    for bench in benches.values():
        bench.round(WARM_UP_STEPS, clock)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in benches}
    alone: dict[str, list[dict[str, float]]] = {name: [] for name in benches}
    peaks: dict[str, list[dict[str, Peak]]] = {name: [] for name in benches}
    for _ in range(rounds):
        for name, bench in benches.items():
            peaks[name].append(peak_gflops(clock))
            found[name].append(bench.round(steps, clock))
            if threads > 1:
                torch.set_num_threads(1)
                alone[name].append(bench.round(steps, clock))
                torch.set_num_threads(threads)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    setup = {
        "peak_memory_mb": memory,
        "threads": threads,
        "steps": steps,
        "rounds": rounds,
        "machine": processor(),
        "torch": torch.__version__,
    }
    rows = [{**summary(name, found[name], alone[name], peaks[name], time_of), **setup} for name in benches]
    click.echo(json.dumps(rows, indent=1))


def processor() -> str:
    """Its name, and the instructions that torch uses."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"


if __name__ == "__main__":
    main()
