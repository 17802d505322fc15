"""The processes that train one model together, as `torchrun` starts them; one process alone is a team of one.

Each holds the whole model and takes a share of every batch; gradients are added up before a step (synchronous data
parallelism). The first process, rank 0, writes the run folder, which all must be able to read.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed

from nmt.errors import TrainingError
from nmt.train.board import Board, reserve

T = TypeVar("T")
# How long the others are waited for; one that died is noticed at once, one that hangs by these.
PATIENCE = timedelta(days=1)  # while rank 0 reads the text
PACE = timedelta(minutes=10)  # in training: more than a validation or a checkpoint takes one longer than another
MOST_AT_BOARD = 4  # processes: each reads there what all have written


@dataclass(frozen=True)
class Team:
    """Which of how many processes this one is. All of its methods but `leads` and `device` are called by all together.

    They raise TrainingError where another process is gone.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Is this the one that writes and prints?"""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """This process's own: a GPU where there is one, else the CPU."""
        if not torch.cuda.is_available():
            return torch.device("cpu")
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) if self.size > 1 else 0)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor, float32, by the sum of everyone's, the same bits for all."""
        if self.size == 1:
            return
        with _gone():
            board = self._board(sum(tensor.numel() for tensor in tensors))
            if board is not None:
                board.add_up(tensors, distributed.barrier)
                return
            flat = torch.cat([tensor.flatten() for tensor in tensors])
            distributed.all_reduce(flat)
            for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):  # type: ignore[no-untyped-call]
                tensor.copy_(part.view_as(tensor))

    def _board(self, values: int) -> Board | None:
        """For so many; None where the processes have no memory in common. It is made once, by all together."""
        if values not in _BOARDS:
            _BOARDS[values] = self._new_board(values)
        return _BOARDS[values]

    def _new_board(self, values: int) -> Board | None:
        on_one_machine = os.environ.get("LOCAL_WORLD_SIZE") == str(self.size)
        if not on_one_machine or self.size > MOST_AT_BOARD or self.device.type != "cpu":
            return None
        path = reserve(size=self.size, values=values) if self.leads else None
        board = None
        try:
            shared = self.follow(path)
            if shared is not None:
                with suppress(OSError, RuntimeError):  # of a container of its own, which does not see it
                    board = Board(shared, rank=self.rank, size=self.size, values=values)
            seen = all(self.gather(board is not None))
        finally:
            if path is not None:
                path.unlink()  # the memory is there as long as somebody uses it
        return board if seen else None

    def gather(self, value: T) -> list[T]:
        """Everyone's value, by rank."""
        if self.size == 1:
            return [value]
        values: list[T | None] = [None] * self.size
        with _gone():
            distributed.all_gather_object(values, value, group=_CONTROL[0])
        return values  # type: ignore[return-value]

    def any(self, wish: bool) -> bool:
        """Does anyone wish it?"""
        return any(self.gather(wish))

    def follow(self, value: T) -> T:
        """The value of rank 0."""
        return self.gather(value)[0]

    def meet(self) -> None:
        """Nobody goes on before all are here."""
        self.gather(None)

    def keep_pace(self) -> None:
        """From here on nobody waits for another longer than PACE: the work that only some do is done."""
        self.meet()  # with the patience of before: a machine with a cache of its own encodes the text after rank 0 did
        if self.size > 1:
            with _gone():
                _CONTROL[0] = distributed.new_group(backend="gloo", timeout=PACE)

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The others enter when rank 0 is through: what it cached or wrote is there then."""
        if not self.leads:
            self.meet()
        yield
        if self.leads:
            self.meet()


ALONE = Team()
_CONTROL: list[distributed.ProcessGroup | None] = [None]  # over TCP; gradients go their own, faster way
_BOARDS: dict[int, Board | None] = {}  # by the number of values of each process


@contextmanager
def open_team() -> Iterator[Team]:
    """The team that `torchrun` put this process into (it sets RANK and WORLD_SIZE), or a team of one."""
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    team = Team(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    if team.device.type == "cuda":
        if (team.device.index or 0) >= torch.cuda.device_count():
            raise TrainingError(
                f"{torch.cuda.device_count()} GPUs are here, but more processes: start as many as there are GPUs, or "
                "hide these with CUDA_VISIBLE_DEVICES= to train on the CPU"
            )
        torch.cuda.set_device(team.device)
    with _gone():
        store, rank, size = next(distributed.rendezvous("env://"))  # type: ignore[attr-defined]
        distributed.init_process_group(
            "nccl" if team.device.type == "cuda" else "gloo",
            # after a restart the addresses of those who are gone may still be in torchrun's store
            store=distributed.PrefixStore(f"start {_restarts()}", store),  # type: ignore[attr-defined]
            rank=rank,
            world_size=size,
            timeout=PACE,
        )
        _CONTROL[0] = distributed.new_group(backend="gloo", timeout=PATIENCE)
    try:
        yield team
    finally:
        _CONTROL[0] = None
        _BOARDS.clear()
        distributed.destroy_process_group()


def restarted() -> bool:
    """Did `torchrun --max-restarts` start this process in place of one that failed?"""
    return _restarts() > 0


def _restarts() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


@contextmanager
def _gone() -> Iterator[None]:
    """torch's word for a peer that does not answer is a RuntimeError."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise TrainingError(
            "another process of this training does not answer; what was saved is unharmed: start the same command "
            "again, on as many processes as there are, to go on"
        ) from error
