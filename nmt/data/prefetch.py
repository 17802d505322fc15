"""Batches made ahead in the background, so that the one who trains does not wait for them."""

import atexit
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_LOOK_SECONDS = 0.1  # how often a full queue is left to see whether anyone still wants it
_LEAVE_SECONDS = 30.0  # more than what it is at takes, be it the plan of a whole window
_running: dict[threading.Thread, threading.Event] = {}


class _End:
    """Nothing follows or, with a fault, it did not work."""

    def __init__(self, fault: BaseException | None = None) -> None:
        self.fault = fault


def prefetched(items: Iterable[Item], *, depth: int = 4) -> Iterator[Item]:
    """The same items in the same order, up to `depth` of them made ahead by one background thread.

    What goes wrong there is raised here, with its own traceback. The thread ends when the iterator does, is closed, or
    is no longer held by anyone.
    """
    ready: queue.Queue[Item | _End] = queue.Queue(depth)
    unwanted = threading.Event()
    thread = threading.Thread(target=_fill, args=(ready, items, unwanted), daemon=True, name="prefetch")
    _running[thread] = unwanted
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.fault is not None:
            raise item.fault
    finally:
        unwanted.set()
        thread.join(_LEAVE_SECONDS)
        _running.pop(thread, None)


def _fill(ready: "queue.Queue[Item | _End]", items: Iterable[Item], unwanted: threading.Event) -> None:
    try:
        for item in items:
            if not _put(ready, item, unwanted):
                return
    except BaseException as fault:  # all of it is the other thread's to see
        _put(ready, _End(fault), unwanted)
    else:
        _put(ready, _End(), unwanted)


def _put(ready: "queue.Queue[Item | _End]", item: Item | _End, unwanted: threading.Event) -> bool:
    """False where no one wants it any more."""
    while not unwanted.is_set():
        try:
            ready.put(item, timeout=_LOOK_SECONDS)
        except queue.Full:
            continue
        return True
    return False


@atexit.register
def _end_all() -> None:
    """A thread that Python's end meets inside torch takes the process down with SIGABRT."""
    running = list(_running.items())
    for _, unwanted in running:
        unwanted.set()
    for thread, _ in running:
        thread.join(_LEAVE_SECONDS)
