"""What is freed stays with the process."""

import subprocess
import sys

import pytest

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
