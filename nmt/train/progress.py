"""What a person sees of a training: a bar on a terminal, plain lines elsewhere, a JSON line for every report."""

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Protocol, Self, TextIO, cast

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from nmt.errors import OutputError
from nmt.run_dir import write_bytes

Values = Mapping[str, float | int | str]


class Sink(Protocol):
    """Where reports go beside the screen: `metrics.jsonl`, TensorBoard."""

    def write(self, values: Values) -> None:
        """Take one report: `event` is "train", "valid" or "rollback", `step` the optimizer step, the rest numbers."""
        ...

    def rewind(self, step: int) -> None:
        """Forget what came after `step`: training goes on from there."""
        ...

    def close(self) -> None:
        """Nothing follows."""
        ...


class MetricsFile:
    """`metrics.jsonl`: appended to and flushed a report at a time."""

    def __init__(self, path: Path, *, from_step: int) -> None:
        """Keep what stands in the file up to `from_step`, where a stopped run goes on, and drop what came after it."""
        self.spoiled = 0  # lines of the file that no training wrote so, dropped
        self._path = path
        self._stream: BinaryIO | None = None
        self.rewind(from_step)

    def write(self, values: Values) -> None:
        """Append one line. Raises OutputError where the disk is full or the like."""
        assert self._stream is not None, "written to after it was closed"
        try:
            self._stream.write(json.dumps(values, ensure_ascii=False).encode("utf-8") + b"\n")
            self._stream.flush()
            os.fsync(self._stream.fileno())  # a checkpoint that outlives a power cut has its lines with it
        except OSError as error:
            self.close()
            raise OutputError(
                f"{self._path}: cannot be written: {error.strerror}; mend that, and run the same command again to go on"
            ) from error

    def rewind(self, step: int) -> None:
        """Drop what came after `step`, going back to it included, for that will be told again if it happens again."""
        self.close()
        lines = self._path.read_bytes().split(b"\n")[:-1] if self._path.exists() else []  # a kill may cut the last
        stand = [_stands(line, step) for line in lines]
        self.spoiled += stand.count(None)
        write_bytes(self._path, b"".join(line + b"\n" for line, stands in zip(lines, stand, strict=True) if stands))
        self._stream = self._path.open("ab")

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            with suppress(OSError):  # what a full disk did not take was told when it was written
                self._stream.close()
        self._stream = None


def _stands(line: bytes, step: int) -> bool | None:
    """Does a line of metrics hold when training goes on from `step`? None: it was spoiled, as by a power cut."""
    try:
        values = json.loads(line)
        return bool(values["step"] <= step and not (values["event"] == "rollback" and values["step"] >= step))
    except (ValueError, KeyError, TypeError):
        return None


class LastingStream:
    """Standard output that may end before a training does: what it takes no more is dropped, without a word."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._ended = False

    def write(self, text: str) -> int:
        """All of it counts as written."""
        if not self._ended:
            try:
                self._stream.write(text)
            except OSError:
                self._end()
        return len(text)

    def flush(self) -> None:
        """Pass on what is buffered."""
        if not self._ended:
            try:
                self._stream.flush()
            except OSError:
                self._end()

    def _end(self) -> None:
        self._ended = True
        with suppress(OSError), Path(os.devnull).open("wb") as null:  # or Python flushes into it again at exit
            os.dup2(null.fileno(), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def lasting_console() -> Console:
    """A console on standard output that outlives it, as in `nmt train ... | head -1`."""
    return Console() if sys.stdout is None else Console(file=cast(TextIO, LastingStream(sys.stdout)))


class Sample(NamedTuple):
    """One sentence of the validation set, and what became of it."""

    src: str
    hypothesis: str
    reference: str


class Display:
    """The screen of one training; as a context manager it shows a bar and the last report, and takes them away."""

    def __init__(self, console: Console, *, total_steps: int, step: int) -> None:
        columns: list[ProgressColumn] = [
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(bar_width=20),
            TimeRemainingColumn(compact=True),
            TextColumn("left{task.fields[best]}"),
        ]
        self.console = console
        self._total = total_steps
        self._bar = Progress(*columns, console=console, auto_refresh=False)
        self._task = self._bar.add_task("", total=total_steps, completed=step, best="")
        self._report = Text()
        self._live = Live(Group(self._bar, self._report), console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def advance(self, step: int) -> None:
        """One optimizer step is done."""
        self._bar.update(self._task, completed=step)

    def report(self, values: Values, *, best_bleu: float | None = None, best_ppl: float | None = None) -> None:
        """Show a training report, under the bar or as a line, with the best of what counts, once there is one."""
        text = (
            f"epoch {values['epoch']}  loss {values['loss']:.3f}  ppl {values['ppl']:.2f}  "
            f"lr {values['learning_rate']:.1e}  grad {values['gradient_norm']:.2f}  "
            f"{values['tokens_per_second']:,.0f} tok/s"
        )
        bests = {"BLEU": best_bleu, "ppl": best_ppl}
        best = "".join(f"  best {name} {value:.2f}" for name, value in bests.items() if value is not None)
        self._bar.update(self._task, best=best)
        self._report.plain = text
        if not self.console.is_terminal:
            self.line(f"step {values['step']}/{self._total}  {text}{best}")

    def validated(self, values: Values, samples: Sequence[Sample], *, better: bool) -> None:
        """Show a validation: its score, whether it is the best so far, and what some sentences became."""
        mark = "  (best so far)" if better else ""
        bleu = f"BLEU {values['bleu']:.2f}  " if "bleu" in values else ""
        numbers = f"{bleu}ppl {values['ppl']:.2f}  {values['seconds']:.1f} s"
        self.line(f"[bold]valid[/] step {values['step']}  {numbers}{mark}")
        for sample in samples:
            self.line(f"  [dim]source    [/] {escape(sample.src)}")
            self.line(f"  [dim]system    [/] {escape(sample.hypothesis)}")
            self.line(f"  [dim]reference [/] {escape(sample.reference)}")

    def line(self, text: str) -> None:
        """Print a line above the bar."""
        self.console.print(text, soft_wrap=True, highlight=False, emoji=False)


def mean_report(
    step: int, epoch: int, totals: Mapping[str, float], learning_rate: float
) -> dict[str, float | int | str]:
    """A training report from sums since the last one.

    `totals` has tokens, loss and nll (sums over tokens), gradient_norm (sum over steps), steps and seconds.
    """
    tokens = totals["tokens"]
    return {
        "event": "train",
        "step": step,
        "epoch": epoch + 1,  # people count from 1
        "loss": totals["loss"] / tokens,
        "ppl": math.exp(min(totals["nll"] / tokens, 100.0)),
        "learning_rate": learning_rate,
        "gradient_norm": totals["gradient_norm"] / totals["steps"],
        "tokens": int(tokens),
        "tokens_per_second": tokens / max(totals["seconds"], 1e-9),
    }


def close_all(sinks: Iterable[Sink]) -> None:
    """Close every sink."""
    for sink in sinks:
        sink.close()
