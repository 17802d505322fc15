"""How fast a training step is, and how near to what this machine's matrix products allow: a JSON list.

`python tools/bench_train.py --data FOLDER` with Multi30k's train.de and train.en in FOLDER; without it, the phrasebook.
It runs nmt's own `Trainer`; clocks are read where a batch has come, and around autograd's backward. With one thread all
figures are of CPU time, since others may use the machine; with more, of wall time, and one thread takes turns with them
(`times_one_thread`, of steps, and `gemm_peak_times_one_thread`, of products). So do settings and matrix products, a
round each; what is printed are medians over the rounds. `ratio` is to what products of the best shape reach one after
the other, as steps do; `ratio_to_best` to the fastest single product.

`torchrun --nproc-per-node N tools/bench_train.py` compares N processes with one (`times_one_process`), in turns again;
each has as many tokens a step as the one alone.
"""

import json
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
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
from nmt.train.distributed import ALONE, Team, open_team
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

    def __init__(
        self, section: ModelSection, train: TrainSection, stream: StreamMaker, team: Team, *, vocab_size: int
    ) -> None:
        self._section, self._samples, self._vocab_size = section, train.sampled_softmax, vocab_size
        self._stream = stream
        torch.manual_seed(1)
        model = build_model(section, src_vocab_size=vocab_size, tgt_vocab_size=vocab_size)
        self.trainer = Trainer(section=train, model=model, stream=self._timed, team=team)  # type: ignore[arg-type]
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


class Turn(NamedTuple):
    """Matrix products by shape, and the steps measured right after them."""

    peaks: dict[str, Peak]
    steps: dict[str, float]

    @property
    def shape(self) -> str:
        """Of the products that were fastest in a row."""
        return max(self.peaks, key=lambda shape: self.peaks[shape].sustained)

    @property
    def tokens_per_wall_second(self) -> float:
        return self.steps["tokens"] / self.steps["wall"]


def summary(name: str, turns: list[Turn], alone: list[Turn], time_of: str) -> dict[str, object]:
    """One setting's figures by "cpu" or by "wall" time; `alone`: the same turns of one thread, or none."""

    def median(of: Callable[[Turn], float]) -> float:
        return float(f"{statistics.median(map(of, turns)):.4g}")

    def times_one_thread(of: Callable[[Turn], float]) -> float | None:
        ratios = [of(turn) / of(one) for turn, one in zip(turns, alone, strict=True)] if alone else []
        return round(statistics.median(ratios), 3) if ratios else None

    def gflops(turn: Turn) -> float:
        return 1e-9 * turn.steps["flops"] / turn.steps[time_of]

    def sustained(turn: Turn) -> float:
        return turn.peaks[turn.shape].sustained

    def best(turn: Turn) -> float:
        return max(peak.best for peak in turn.peaks.values())

    ratios = [gflops(turn) / sustained(turn) for turn in turns]
    of_best = [gflops(turn) / best(turn) for turn in turns]
    phases = ("data", "forward", "backward", "optimizer")
    return {
        "setting": name,
        "target_tokens_per_second": median(lambda turn: turn.steps["tokens"] / turn.steps[time_of]),
        "target_tokens_per_wall_second": median(lambda turn: turn.tokens_per_wall_second),
        "shares": {
            phase: median(lambda turn, phase=phase: turn.steps[phase] / sum(turn.steps[p] for p in phases))  # type: ignore[misc]
            for phase in phases
        },
        "forward_mflops_per_target_token": median(lambda turn: 1e-6 * turn.steps["flops"] / 3 / turn.steps["tokens"]),
        "gflops": median(gflops),
        "gemm_peak_gflops": median(sustained),
        "gemm_peak_shape": statistics.mode(turn.shape for turn in turns),
        "ratio": round(statistics.median(ratios), 3),
        "gemm_best_gflops": median(best),
        "ratio_to_best": round(statistics.median(of_best), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "times_one_thread": times_one_thread(lambda turn: turn.tokens_per_wall_second),
        "gemm_peak_times_one_thread": times_one_thread(sustained),
        "time": time_of,
    }


def open_text(data: Path | None) -> DataSection:
    """German to English in `data`, or the phrasebook."""
    folder = str(data or PHRASEBOOK)
    return DataSection(src_lang="de", tgt_lang="en", folder=folder, train=("train",), valid=("train",))


def new_bench(name: str, text: DataSection, made: dict[int, TokenizerPair], team: Team = ALONE) -> Bench:
    """`made`: tokenizers by vocabulary size, of settings before. The phrasebook has words for 1000 pieces only: the
    rest of the model's vocabulary is then never seen. Each process of the team has a whole step's tokens.
    """
    section, vocab_size, batch_tokens, samples = SETTINGS[name]
    pieces = 1000 if text.folder == str(PHRASEBOOK) else vocab_size
    train = TrainSection(batch_tokens=batch_tokens * team.size, sampled_softmax=samples, max_steps=10**6)
    recipe = Recipe(data=text, tokenizer=TokenizerSection(vocab_size=pieces), model=section, train=train)
    corpus = open_train(text)
    if pieces not in made:
        made[pieces] = new_tokenizers(recipe.tokenizer, corpus)
    return Bench(section, train, make_stream(recipe, corpus, made[pieces]), team, vocab_size=vocab_size)


def measure_team(name: str, text: DataSection, team: Team, *, steps: int, rounds: int) -> dict[str, object]:
    """One setting by a process alone, each of the team in its turn, and by all together, in turns."""
    made: dict[int, TokenizerPair] = {}
    alone, together = new_bench(name, text, made), new_bench(name, text, made, team)
    alone.round(WARM_UP_STEPS, time.perf_counter)
    together.round(WARM_UP_STEPS, time.perf_counter)

    def tokens_per_second(bench: Bench) -> float:
        found = bench.round(steps, time.perf_counter)
        return found["tokens"] / found["wall"]

    rates, times = [], []
    for _ in range(rounds):
        of_one = [
            team.gather(tokens_per_second(alone) if team.rank == rank else 0.0)[rank] for rank in range(team.size)
        ]
        rates.append(team.follow(tokens_per_second(together)))
        times.append(rates[-1] / statistics.mean(of_one))
    return {
        "setting": name,
        "processes": team.size,
        "target_tokens_per_wall_second": float(f"{statistics.median(rates):.4g}"),
        "times_one_process": round(statistics.median(times), 3),
    }


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
    text = open_text(data)
    with open_team() as team:
        if team.size > 1:
            rows = [measure_team(name, text, team, steps=steps, rounds=rounds) for name in only or SETTINGS]
        else:
            rows = measure(only or tuple(SETTINGS), text, steps=steps, rounds=rounds, threads=threads)
        setup = {
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "threads": threads,
            "steps": steps,
            "rounds": rounds,
            "machine": processor(),
            "torch": torch.__version__,
        }
        if team.leads:
            click.echo(json.dumps([row | setup for row in rows], indent=1))


def measure(
    names: Sequence[str], text: DataSection, *, steps: int, rounds: int, threads: int
) -> list[dict[str, object]]:
    """All settings in turns, by one process; with more than one thread in turns with one."""
    clock, time_of = (time.process_time, "cpu") if threads == 1 else (time.perf_counter, "wall")
    made: dict[int, TokenizerPair] = {}
    benches = {name: new_bench(name, text, made) for name in names}
    for bench in benches.values():
        bench.round(WARM_UP_STEPS, clock)
    turns, alone = ({name: list[Turn]() for name in benches} for _ in range(2))
    for _ in range(rounds):
        for name, bench in benches.items():
            turns[name].append(Turn(peak_gflops(clock), bench.round(steps, clock)))
            if threads > 1:
                torch.set_num_threads(1)
                alone[name].append(Turn(peak_gflops(clock), bench.round(steps, clock)))
                torch.set_num_threads(threads)
    return [summary(name, turns[name], alone[name], time_of) for name in benches]


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
