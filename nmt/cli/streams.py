"""What `nmt translate` reads from, writes to and shows on the way."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, BinaryIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn

from nmt.errors import OutputError


def begun(lines: Iterator[str]) -> Iterator[str]:
    """The same lines, the first one read: what cannot be read is told before an output is touched."""
    return chain(list(islice(lines, 1)), lines)


@contextmanager
def standard_output() -> Iterator[tuple[BinaryIO, int]]:
    """Standard output as a stream to write, with no lines in it yet.

    Leaves with 141, as a shell's own tools do, when the reader has seen enough.
    """
    try:
        yield sys.stdout.buffer, 0
        sys.stdout.buffer.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python flushes into it again at exit
        if isinstance(error, BrokenPipeError):
            sys.exit(141)
        raise OutputError(f"standard output: cannot be written: {error.strerror}") from error


def with_progress(items: Iterable[Any], *, shown: bool, total: int | None = None) -> Iterable[Any]:
    """The same items, counted on standard error while the output goes to a file; total: how many there will be."""
    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield from items
        return
    counter: list[ProgressColumn] = [BarColumn(), MofNCompleteColumn()]
    if total is None:
        counter = [TextColumn("{task.completed} lines")]
    columns = *counter, TextColumn("{task.fields[speed]}"), TimeElapsedColumn()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total, speed="")
        begin = time.monotonic()
        for number, item in enumerate(items, start=1):
            speed = number / (time.monotonic() - begin)
            progress.update(task, completed=number, speed=f"{speed:.0f} lines/s")
            yield item
