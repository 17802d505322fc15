"""The laws of making things ahead."""

import gc
import itertools
import subprocess
import sys
import threading
import time
import traceback

import pytest

from nmt.data.prefetch import prefetched


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def ended(within: float = 5.0) -> bool:
    until = time.monotonic() + within
    while threads() and time.monotonic() < until:
        time.sleep(0.01)
    return not threads()


def test_all_items_come_in_order():
    assert list(prefetched(range(1000), depth=3)) == list(range(1000))
    assert list(prefetched([], depth=1)) == []
    assert ended()


def test_no_more_is_made_than_depth_ahead():
    made = []
    items = prefetched((made.append(n) or n for n in itertools.count()), depth=3)
    assert next(items) == 0
    time.sleep(0.3)
    assert len(made) == 5  # one taken, three ready, one in hand
    items.close()
    assert ended()


def test_a_fault_surfaces_where_the_items_are_wanted_with_its_own_traceback():
    def items():
        yield from range(7)
        raise ValueError("item 7")

    found = []
    with pytest.raises(ValueError, match="item 7") as caught:
        found += prefetched(items(), depth=2)
    assert "in items" in "".join(traceback.format_exception(caught.value))
    assert ended()
    taken = prefetched(items(), depth=2)
    assert [next(taken) for _ in range(7)] == list(range(7))


def test_even_an_exit_in_the_background_is_no_hang():
    def items():
        yield 1
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        list(prefetched(items(), depth=1))


@pytest.mark.parametrize("leave", [lambda items: items.close(), lambda items: None])
def test_the_thread_ends_with_the_one_who_wants_its_items(leave):
    items = prefetched(itertools.count(), depth=2)
    next(items)
    assert threads()
    leave(items)
    del items
    gc.collect()
    assert ended()


EXITS = """
import itertools
from nmt.data.prefetch import prefetched

def items():
    try:
        yield from itertools.count()
    finally:
        print("ended")

ahead = prefetched(items(), depth=2)
next(ahead)
"""


def test_the_thread_ends_before_python_does() -> None:
    """Else it is cut off wherever it is; inside torch that is an abort."""
    done = subprocess.run([sys.executable, "-c", EXITS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")
