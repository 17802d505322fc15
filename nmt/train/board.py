"""Memory that processes on one machine share: adding up tensors there is faster than sending them to each other."""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

FOLDER = Path("/dev/shm")  # files that are memory; Linux has it


class Board:
    """Everyone's tensors side by side. Each process adds all of them up for itself, in the order of ranks: to the same
    bits.

    There are two sets of places, which take turns: when one is written to again, everyone has read it, for everyone
    has met over the other one since.
    """

    def __init__(self, path: Path, *, rank: int, size: int, values: int) -> None:
        """`path`: what `reserve` gave for these. Raises OSError where it cannot be seen."""
        path.stat()  # torch would make a new one
        memory = torch.from_file(str(path), shared=True, size=2 * size * values, dtype=torch.float32)
        self._sets = memory.view(2, size, values)
        self._rank, self._turn = rank, 0

    def add_up(self, tensors: Sequence[Tensor], meet: Callable[[], object]) -> None:
        """Replace each tensor, float32, by the sum of everyone's; `meet` comes back when all have called it."""
        sizes = [tensor.numel() for tensor in tensors]
        by_rank = [values.split(sizes) for values in self._sets[self._turn]]
        self._turn = 1 - self._turn
        for tensor, place in zip(tensors, by_rank[self._rank], strict=True):
            place.view_as(tensor).copy_(tensor)
        meet()
        for tensor, *places in zip(tensors, *by_rank, strict=True):
            first, second, *others = (place.view_as(tensor) for place in places)
            torch.add(first, second, out=tensor)
            for other in others:
                tensor.add_(other)


def reserve(*, size: int, values: int) -> Path | None:
    """A new file for the `Board` of `size` processes with so many values each; None where there is no memory for it."""
    if not FOLDER.is_dir():
        return None
    try:
        descriptor, name = tempfile.mkstemp(prefix="nmt-", dir=FOLDER)
    except OSError:
        return None
    path = Path(name)
    try:
        os.posix_fallocate(descriptor, 0, 4 * 2 * size * values)  # now: later a lack of it would be a SIGBUS
    except OSError:
        path.unlink()
        return None
    finally:
        os.close(descriptor)
    return path
