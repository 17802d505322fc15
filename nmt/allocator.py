"""How this process gets memory, and gives it back."""

import ctypes
import os

# of malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
NEVER = -1
STRIDE = 64 * 2**20
LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"  # torch's own, of its allocator for CPUs


def ask_for_large_pages() -> None:
    """Have torch ask Linux for pages of 2 MiB instead of 4 KiB for tensors of 2 MiB and more; unless the user says no.

    The system then makes, and the processor looks up, one page where it were 512 (README, Speed). Torch reads this from
    the environment with its first tensor: to be called before.
    """
    os.environ.setdefault(LARGE_PAGES, "1")


def keep_freed_memory() -> bool:
    """Have C's allocator keep what is freed for the next large tensor; True where it can: glibc's.

    By itself it gives tensors of 32 MiB and more back to the system when they are freed, and each new one is made of
    new pages, which the system clears one by one (README, Speed). What was freed is not there for others, though, until
    the process ends.

    For the process as a whole: `nmt train`, `nmt translate` and the like call it, `nmt.load` does not.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no such function; no such way to look for it
        return False
    wanted = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: NEVER, M_TOP_PAD: STRIDE}
    return all(mallopt(key, value) for key, value in wanted.items())
