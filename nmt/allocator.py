"""How this process gets memory, and gives it back."""

import ctypes

# of malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
NEVER = -1
STRIDE = 64 * 2**20


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
