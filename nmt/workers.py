"""Several processes that translate side by side, each on one thread, with one copy of the weights.

On Linux they are forked from the process that holds the translator: they are there within milliseconds, and what they
only read, weights and tables and tokenizers, stays shared. A fork lacks the other threads, and what those held locked
stays so; but a worker runs nothing except the translator, in one thread, and torch's own data loaders live so.
Elsewhere they are spawned: each imports torch for seconds, and the translator travels there.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any, Generic, NamedTuple, NoReturn, Self, TypeVar

import torch

from nmt.errors import NmtError, RecipeError
from nmt.passages import Request
from nmt.translator import BATCHES_SORTED_TOGETHER, Translation, Translator

START_METHOD = "fork" if sys.platform == "linux" else "spawn"
BATCHES_A_CHUNK = 2  # more would leave one worker alone at the end of a window
WINDOWS = 2  # are read ahead: while the slowest of the first is waited for, the other workers are at the second
PATIENCE_SECONDS = 5.0  # for a worker that was told to end

In = TypeVar("In")
Out = TypeVar("Out")
Options = TypeVar("Options")
Work = Callable[[list[In], Options], Sequence[Out]]  # items -> one result each


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    call: object = None  # that it works for, if it does
    numbers: Sequence[int] = ()  # of the items that it works on

    def ended(self) -> NmtError:
        """What to say of one that is no more."""
        self.process.join(PATIENCE_SECONDS)
        code = self.process.exitcode
        how = f"killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with {code}"
        return NmtError(
            f"a worker process (pid {self.process.pid}) is gone: {how}, and what it worked on is lost; where memory "
            "ran out, take fewer workers or fewer tokens a batch"
        )


@dataclass
class _Call(Generic[In]):
    """The items of one call, in chunks; a fault of theirs waits until all that was read before it is answered."""

    items: Iterator[In]
    length: Callable[[In], int]
    window: int
    chunk: int
    workers: int
    read: int = 0
    over: bool = False
    fault: Exception | None = None
    waiting: deque[tuple[list[int], list[In]]] = field(default_factory=deque)

    def next_chunk(self, answered: int, windows: int) -> tuple[list[int], list[In]] | None:
        """Numbers and items, or none where enough is read ahead of what was answered."""
        if not self.waiting and not self.over and self.read - answered <= (windows - 1) * self.window:
            self._read_window()
        return self.waiting.popleft() if self.waiting else None

    def _read_window(self) -> None:
        """The longest come first, those of like length together, a part for each worker at least."""
        found: list[In] = []
        try:
            while len(found) < self.window and not self.over:
                found.append(next(self.items))
        except StopIteration:
            self.over = True
        except Exception as fault:
            self.over, self.fault = True, fault
        order = sorted(range(len(found)), key=lambda index: -self.length(found[index]))
        size = max(1, min(self.chunk, -(-len(found) // self.workers)))
        for begin in range(0, len(order), size):
            some = order[begin : begin + size]
            self.waiting.append(([self.read + index for index in some], [found[index] for index in some]))
        self.read += len(found)


class Workers(Generic[In, Options, Out]):
    """Processes that all do one kind of work. To be closed, best by `with`; they also end when this process does."""

    def __init__(self, work: Work[In, Options, Out], *, workers: int, method: str = START_METHOD) -> None:
        """`work` runs in the workers alone; where they are spawned it must be fit to be pickled.

        Raises RecipeError unless there is at least one worker.
        """
        if workers < 1:
            raise RecipeError(f"workers is {workers}, but it must be 1 or more")
        context = multiprocessing.get_context(method)
        self._workers: list[_Worker] = []
        try:
            for _ in range(workers):
                self._workers.append(self._start(context, work))
        except BaseException:
            self.close(at_once=True)
            raise

    def _start(self, context: BaseContext, work: Work[In, Options, Out]) -> _Worker:
        ours, theirs = context.Pipe()
        # A fork inherits our ends of all pipes: while it held them, no worker would see that this process is gone.
        inherited = [ours, *(worker.pipe for worker in self._workers)] if context.get_start_method() == "fork" else []
        process = context.Process(target=_serve, args=(work, theirs, inherited), daemon=True)  # type: ignore[attr-defined]
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(at_once=kind is not None)

    def close(self, *, at_once: bool = True) -> None:
        """End all workers; unless `at_once` each may finish what it works on."""
        for worker in self._workers:
            worker.pipe.close()  # which ends it, as soon as it wants to read
            if at_once:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(PATIENCE_SECONDS)
            if worker.process.exitcode is None:
                worker.process.kill()
                worker.process.join()
            worker.process.close()
        self._workers = []

    def results(
        self,
        items: Iterable[In],
        options: Options,
        *,
        length: Callable[[In], int],
        window: int,
        chunk: int,
        windows: int = WINDOWS,
    ) -> Iterator[Out]:
        """The result of each item, in order.

        `window` items at a time are sorted by their length and given out in chunks of so many; of so many windows all
        may be read before the first item is answered. Raises what `work` raises, and NmtError where a worker is gone;
        no worker is left then.
        """
        assert self._workers, "closed"
        call = _Call(iter(items), length, window, chunk, len(self._workers))
        done: dict[int, Out] = {}
        answered = 0
        while True:
            self._hand_out(call, options, answered, windows)
            if answered in done:
                yield done.pop(answered)
                answered += 1
            elif answered < call.read or not call.over:
                self._receive(call, done)
            else:
                break
        if call.fault is not None:
            raise call.fault

    def _hand_out(self, call: _Call[In], options: Options, answered: int, windows: int) -> None:
        """Give work to whoever has none: one that waits reads at once, so this never blocks."""
        for worker in self._workers:
            if worker.call is not None:
                continue
            if (found := call.next_chunk(answered, windows)) is None:
                return
            worker.call, (worker.numbers, chunk) = call, found
            try:
                worker.pipe.send((chunk, options))
            except OSError:
                self._fail(worker.ended())

    def _receive(self, call: _Call[In], done: dict[int, Out]) -> None:
        """Wait for the next results; those of an earlier call, which nobody wanted to the end, are dropped."""
        ready = wait([worker.pipe for worker in self._workers])
        for worker in [worker for worker in self._workers if worker.pipe in ready]:
            try:
                found = worker.pipe.recv()
            except (EOFError, OSError):
                self._fail(worker.ended())
            answers, worker.call = worker.call, None
            if answers is not call:
                continue
            if isinstance(found, BaseException):
                self._fail(found)
            done.update(zip(worker.numbers, found, strict=True))

    def _fail(self, fault: BaseException) -> NoReturn:
        self.close(at_once=True)
        raise fault


def _serve(work: Work[Any, Any, Any], pipe: Connection, inherited: Sequence[Connection]) -> None:
    """The life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal: the first one ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for connection in inherited:
        connection.close()
    torch.set_num_threads(1)
    with contextlib.suppress(EOFError, OSError):  # the other end is closed
        while True:
            items, options = pipe.recv()
            try:
                found: object = list(work(items, options))
            except NmtError as fault:
                found = fault
            except Exception as fault:
                told = "".join(traceback.format_exception(fault))
                found = RuntimeError(f"in a worker process (pid {os.getpid()}):\n{told}")
            pipe.send(found)


class Asked(NamedTuple):
    """What a call asks for besides the translations."""

    n_best: int
    alignments: bool


class WorkerPool:
    """Several processes in place of one translator: the same results, in input order. To be closed, best by `with`."""

    def __init__(self, translator: Translator, workers: int, *, method: str = START_METHOD) -> None:
        """Raises RecipeError unless there is at least one worker, and for a translator that is not on the CPU."""
        if translator.device.type != "cpu":
            raise RecipeError(
                f"workers: {workers} processes cannot share a model on the device {translator.device}; translate there "
                "with one, or on the CPU"
            )
        self._workers: Workers[Request, Asked, list[Translation]] = Workers(
            partial(_translate, translator), workers=workers, method=method
        )
        self._batch_size = translator.search.batch_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(at_once=kind is not None)

    def close(self, *, at_once: bool = True) -> None:
        """End all workers; unless `at_once` each may finish what it works on."""
        self._workers.close(at_once=at_once)

    def translations(
        self,
        lines: Iterable[str | Request],
        *,
        n_best: int = 1,
        read_ahead: int | None = None,
        alignments: bool = False,
    ) -> Iterator[list[Translation]]:
        """As `Translator` has it; by default twice as many lines are read ahead."""
        return self._workers.results(
            (line if isinstance(line, Request) else Request(line, at) for at, line in enumerate(lines)),
            Asked(n_best, alignments),
            length=_length,
            window=read_ahead or self._batch_size * BATCHES_SORTED_TOGETHER,
            chunk=self._batch_size * BATCHES_A_CHUNK,
            windows=WINDOWS if read_ahead is None else 1,
        )


def _length(request: Request) -> int:
    return len(request.text)


def _translate(translator: Translator, requests: list[Request], asked: Asked) -> list[list[Translation]]:
    return list(translator.translations(requests, n_best=asked.n_best, alignments=asked.alignments))


@contextlib.contextmanager
def pooled(translator: Translator, workers: int) -> Iterator[Translator | WorkerPool]:
    """The translator itself where one process is enough, or several in its place."""
    if workers == 1:
        yield translator
        return
    torch.set_num_threads(1)  # before the fork: no thread may be at work then
    with WorkerPool(translator, workers) as pool:
        yield pool
