"""Ctrl-C and SIGTERM: seen between two steps, so that what is saved is whole, or obeyed at once, in words."""

import signal as signals
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from nmt.errors import Interrupted

_WATCHED = (signals.SIGINT, signals.SIGTERM)


@dataclass
class StopWish:
    """The first signal that asked to stop, None while none did."""

    signal: signals.Signals | None = None
    _at_once: bool = False

    @contextmanager
    def obeyed_at_once(self) -> Iterator[None]:
        """While this is open the first signal ends what goes on, as `Stopped`: it can be done again from its start."""
        self._at_once = True
        try:
            if self.signal is not None:
                raise Stopped
            yield
        finally:
            self._at_once = False

    def note(self, number: int) -> None:
        """A signal came. Raises Stopped where the first one is to be obeyed at once."""
        first = self.signal is None
        self.signal = self.signal or signals.Signals(number)
        if first and self._at_once:
            raise Stopped


class Stopped(KeyboardInterrupt):
    """A signal, on its way up; nobody on the way takes it for a fault."""


@contextmanager
def stop_wish(*, repeats_act: bool = True) -> Iterator[StopWish]:
    """While this is open a first signal is only noted; a second one acts at once, as it would have without this.

    Unless `repeats_act`, that is: one of several processes that stop together must not leave before the others.
    """
    wish = StopWish()
    with _handlers_kept() as restore:

        def note(number: int, _frame: FrameType | None) -> None:
            if repeats_act:
                restore()
            wish.note(number)

        for number in _WATCHED:
            signals.signal(number, note)
        yield wish


@contextmanager
def stopped_at_once(what_is_left: Callable[[], str]) -> Iterator[None]:
    """While this is open a signal ends what goes on, and comes out as Interrupted with the words of `what_is_left`."""
    caught: list[signals.Signals] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        caught.append(signals.Signals(number))
        raise Stopped

    with _handlers_kept():
        for number in _WATCHED:
            signals.signal(number, stop)
        try:
            yield
        except KeyboardInterrupt as error:
            signal = caught[0] if caught else signals.SIGINT
            raise Interrupted(f"stopped by {signal.name} at once; {what_is_left()}", signal_number=signal) from error


@contextmanager
def _handlers_kept() -> Iterator[Callable[[], None]]:
    """Yields what sets the handlers of before again, as the end of this does."""
    before = {number: signals.getsignal(number) for number in _WATCHED}

    def restore() -> None:
        for number, handler in before.items():
            signals.signal(number, handler)

    try:
        yield restore
    finally:
        restore()
