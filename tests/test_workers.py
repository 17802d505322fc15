"""Workers against one process: the same results in order, and nothing left behind whatever happens."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_run import TinyRun

from nmt.errors import DataError, NmtError, RecipeError
from nmt.translator import Translator
from nmt.workers import WorkerPool, Workers

METHODS = sorted(set(multiprocessing.get_all_start_methods()) & {"fork", "spawn"})


def echo(items: list[str], options: str) -> list[str]:
    """Does what some words ask for."""
    if "die" in items:
        os.kill(os.getpid(), signal.SIGKILL)
    if "leave" in items:
        os._exit(7)
    if "refuse" in items:
        raise RecipeError("refused")
    if "break" in items:
        raise ZeroDivisionError("broken")
    time.sleep(0.01 * sum(item == "slow" for item in items) + 3 * ("hang" in items))
    return [item + options for item in items]


@pytest.fixture(autouse=True)
def _no_process_stays() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


def is_there(pid: int) -> bool:
    """Zombies count."""
    return Path(f"/proc/{pid}").exists()


@settings(deadline=None, max_examples=15)
@given(
    items=st.lists(st.text("ab", max_size=5) | st.just("slow"), max_size=40),
    workers=st.integers(1, 3),
    window=st.integers(1, 50),
    chunk=st.integers(1, 9),
    windows=st.integers(1, 3),
)
def test_each_item_has_its_result_in_order(
    items: list[str], workers: int, window: int, chunk: int, windows: int
) -> None:
    with Workers(echo, workers=workers) as team:
        for options in ("", "!"):
            found = team.results(items, options, length=len, window=window, chunk=chunk, windows=windows)
            assert list(found) == [item + options for item in items]


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_translates_as_its_translator_does(tiny: TinyRun, translator: Translator, method: str) -> None:
    lines = [*tiny.sources[:90], "", "ein " * 300, " "]
    of_small_batches = translator.under(translator.search.model_copy(update={"batch_size": 5}))
    with WorkerPool(of_small_batches, 2, method=method) as pool:
        for n_best in (1, 2):
            found = list(pool.translations(lines, n_best=n_best))
            wanted = list(translator.translations(lines, n_best=n_best))
            for ours, theirs in zip(found, wanted, strict=True):
                assert [one.text for one in ours] == [one.text for one in theirs]
                assert ours[0].score == pytest.approx(theirs[0].score, abs=1e-5)
        with pytest.raises(RecipeError, match="n_best is 9, but it must be from 1 to the beam_size"):
            list(pool.translations(lines, n_best=9))


def test_what_is_drawn_for_a_line_is_the_same_in_any_worker(tiny: TinyRun, translator: Translator) -> None:
    drawn = translator.under(translator.search.model_copy(update={"sample": True, "batch_size": 4}))
    lines = tiny.sources[:3] * 12
    with WorkerPool(drawn, 2) as pool:
        found = [one.text for [one] in pool.translations(lines)]
    assert found == drawn.translate(lines)
    assert len(set(found)) > 6


def test_all_workers_are_at_work_on_a_short_text() -> None:
    with Workers(lambda items, _options: [os.getpid()] * len(items), workers=3) as team:
        assert len(set(team.results(["a"] * 6, None, length=len, window=1000, chunk=1000))) == 3
        assert os.getpid() not in set(team.results(["a"], None, length=len, window=9, chunk=9))


@pytest.mark.parametrize("windows", [1, 2, 3])
def test_no_more_than_some_windows_are_read_ahead_of_what_is_answered(windows: int) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield str(read)

    with Workers(echo, workers=2) as team:
        results = team.results(endless(), "", length=len, window=10, chunk=3, windows=windows)
        for answered in range(95):
            assert next(results) == str(answered + 1)
            assert read <= answered + 1 + 10 * windows


def test_a_stream_is_answered_while_it_goes_on() -> None:
    """A person at a terminal: each line is written after the answer to the one before it."""
    answered = threading.Semaphore(1)

    def person() -> Iterator[str]:
        for line in ("one", "two", "three"):
            assert answered.acquire(timeout=10)
            yield line

    with Workers(echo, workers=2) as team:
        found = []
        for one in team.results(person(), "", length=len, window=1, chunk=9, windows=1):
            found.append(one)
            answered.release()
    assert found == ["one", "two", "three"]


def test_a_call_that_nobody_wanted_to_the_end_does_not_spoil_the_next() -> None:
    with Workers(echo, workers=2) as team:
        first = team.results(["slow"] * 50, "", length=len, window=20, chunk=1)
        assert next(first) == "slow"
        items = ["long", "x", "x", *["long"] * 6]  # given out last: what was begun for their numbers comes before
        assert list(team.results(items, "?", length=len, window=9, chunk=1)) == [item + "?" for item in items]


def test_a_fault_of_the_text_comes_after_the_answers_to_all_before_it() -> None:
    def text() -> Iterator[str]:
        yield from ["a"] * 7
        raise DataError("line 8")

    found = []
    with Workers(echo, workers=2) as team, pytest.raises(DataError, match="line 8"):
        for one in team.results(text(), "", length=len, window=5, chunk=2):
            found.append(one)
    assert found == ["a"] * 7


@pytest.mark.parametrize(
    ("word", "fault", "words"),
    [
        (
            "die",
            NmtError,
            r"a worker process \(pid \d+\) is gone: killed by SIGKILL, .*; where memory ran out, take fewer",
        ),
        ("leave", NmtError, r"a worker process \(pid \d+\) is gone: ended with 7"),
        ("refuse", RecipeError, "^refused$"),
        ("break", RuntimeError, r"(?s)in a worker process \(pid \d+\):.*Traceback.*ZeroDivisionError: broken"),
    ],
)
def test_what_ends_a_worker_is_told_and_ends_all(word: str, fault: type[Exception], words: str) -> None:
    team = Workers(echo, workers=3)
    processes = [worker.process.pid for worker in team._workers]
    with pytest.raises(fault, match=words):
        list(team.results(["a", word, "hang", "a"], "", length=len, window=9, chunk=1))
    assert [pid for pid in processes if is_there(pid or 0)] == []


def test_a_worker_that_was_killed_while_it_waited_is_told_too() -> None:
    with Workers(echo, workers=1) as team:
        assert list(team.results(["a"], "", length=len, window=9, chunk=1))
        process = team._workers[0].process
        process.kill()
        process.join()
        with pytest.raises(NmtError, match="is gone: killed by SIGKILL"):
            list(team.results(["a"], "", length=len, window=9, chunk=1))


@pytest.mark.parametrize("workers", [0, -1])
def test_no_workers_are_refused(workers: int) -> None:
    with pytest.raises(RecipeError, match=f"workers is {workers}, but it must be 1 or more"):
        Workers(echo, workers=workers)


SCRIPT = """
import time
from nmt.workers import Workers
with Workers(lambda items, _: time.sleep(3), workers=3) as team:
    print(*(worker.process.pid for worker in team._workers), flush=True)
    list(team.results(["hang"] * 9, "", length=len, window=9, chunk=1))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_all_or_to_the_first_leaves_no_process(number: signal.Signals) -> None:
    command = [sys.executable, "-c", SCRIPT]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    with first:
        assert first.stdout is not None
        assert first.stderr is not None
        processes = [int(pid) for pid in first.stdout.readline().split()]
        assert len(processes) == 3
        time.sleep(0.2)
        if number is signal.SIGINT:
            os.killpg(first.pid, number)  # as a terminal does
        else:
            first.send_signal(number)
        complaints = first.stderr.read() if number is signal.SIGINT else ""
        first.wait(timeout=10)
        assert complaints.count("Traceback") <= 1  # the first one's own, and none of a worker
    end = time.monotonic() + 40
    while (left := [pid for pid in processes if is_there(pid)]) and time.monotonic() < end:
        time.sleep(0.05)
    assert left == []
