"""Adding up in memory that several see; threads stand for processes."""

import errno
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nmt.train import board as board_module
from nmt.train.board import Board, reserve

ROUNDS = 4


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(board_module, "FOLDER", tmp_path)
    return tmp_path


def tensors_of(rank: int, turn: int, shapes: list[list[int]]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(100 * rank + turn)
    return [torch.randn(shape, generator=generator) for shape in shapes]


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shapes=st.lists(st.lists(st.integers(0, 5), max_size=3), min_size=1, max_size=4),
    size=st.integers(2, 4),
    slow=st.integers(0, 3),
)
def test_everyone_has_the_sums_in_the_order_of_ranks_however_slow_one_is(
    folder: Path, shapes: list[list[int]], size: int, slow: int
) -> None:
    """To the bit, round after round."""
    shapes = [*shapes, [1]]
    values = sum(tensor.numel() for tensor in tensors_of(0, 0, shapes))
    path = reserve(size=size, values=values)
    assert path is not None
    barrier = threading.Barrier(size)

    def run(rank: int) -> list[list[Tensor]]:
        board, found = Board(path, rank=rank, size=size, values=values), []

        def meet() -> None:
            barrier.wait(timeout=60)
            if rank == slow:
                time.sleep(0.002)  # the others go on and write again, while this one has not read yet

        for turn in range(ROUNDS):
            tensors = tensors_of(rank, turn, shapes)
            board.add_up(tensors, meet)
            found.append(tensors)
        return found

    with ThreadPoolExecutor(size) as threads:
        by_rank = list(threads.map(run, range(size)))
    for turn in range(ROUNDS):
        wanted = tensors_of(0, turn, shapes)
        for rank in range(1, size):
            wanted = [one + other for one, other in zip(wanted, tensors_of(rank, turn, shapes), strict=True)]
        for found in by_rank:
            assert all(torch.equal(one, two) for one, two in zip(found[turn], wanted, strict=True))


def test_there_is_room_for_two_sets_of_everyones_values(folder: Path) -> None:
    path = reserve(size=3, values=5)
    assert path is not None
    assert path.parent == folder
    assert path.stat().st_size == 4 * 2 * 3 * 5


def test_a_machine_without_such_memory_has_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "FOLDER", folder / "missing")
    assert reserve(size=2, values=1) is None


def test_too_little_memory_is_none_and_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert reserve(size=2, values=1) is None
    assert not list(folder.iterdir())


def test_memory_that_is_elsewhere_cannot_be_seen(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Board(folder / "elsewhere", rank=0, size=2, values=1)
