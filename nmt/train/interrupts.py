"""Ctrl-C and SIGTERM as a wish to stop: seen between two steps, so that what is saved is whole."""

import signal as signals
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopWish:
    """The first signal that asked to stop, None while none did."""

    signal: signals.Signals | None = None


@contextmanager
def stop_wish() -> Iterator[StopWish]:
    """While this is open a first signal is only noted; a second one acts at once, as it would have without this."""
    wish = StopWish()
    before = {number: signals.getsignal(number) for number in (signals.SIGINT, signals.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signals.signal(number, handler)

    def note(number: int, _frame: FrameType | None) -> None:
        wish.signal = signals.Signals(number)
        restore()

    for number in before:
        signals.signal(number, note)
    try:
        yield wish
    finally:
        restore()
