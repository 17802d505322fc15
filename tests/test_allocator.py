"""What is freed stays with the process, and large tensors lie in large pages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nmt.allocator import LARGE_PAGES

# 20 blocks of 64 MiB, one after the other, each written to: pages that the system had to make
PAGES = """
import ctypes, resource
from nmt.allocator import keep_freed_memory
fails = {call} and not keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
size, before = 2**26, resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)
print("cannot" if fails else resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages(*, keep: bool) -> str:
    done = subprocess.run([sys.executable, "-c", PAGES.format(call=keep)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is there on Linux only")
def test_large_blocks_are_made_of_the_same_pages_again() -> None:
    kept = pages(keep=True)
    if kept == "cannot":
        pytest.skip("this C library has no mallopt")
    assert int(kept) * 10 < int(pages(keep=False))


# KB in large pages of 64 MiB
LARGE = """
import sys, torch
from nmt.cli import main
sys.argv = ["nmt", "--version"]
try:
    main()
except SystemExit:
    tensor = torch.zeros(2**24)
for line in open("/proc/self/smaps_rollup"):
    if line.startswith("AnonHugePages"):
        print(line.split()[1])
"""
CHOICE = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(
    not CHOICE.exists() or "[madvise]" not in CHOICE.read_text(),
    reason="this system gives large pages always or never, not to those who ask",
)
@pytest.mark.parametrize(("said", "asks"), [(None, True), ("1", True), ("0", False)])
def test_the_command_line_asks_for_large_pages_unless_told_not_to(*, said: str | None, asks: bool) -> None:
    others = {key: value for key, value in os.environ.items() if key != LARGE_PAGES}
    env = others if said is None else {**others, LARGE_PAGES: said}
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True, env=env)
    assert (int(done.stdout.splitlines()[-1]) > 2**15) == asks
