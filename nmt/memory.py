"""How this process gets and gives back memory."""

import ctypes

# of malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
EVERYTHING = 2**31 - 1
STRIDE = 64 * 2**20


def keep_freed_memory() -> bool:
    """Have C's allocator keep what is freed for the next large tensor; True where it can: glibc's.

    By itself it gives tensors of 32 MiB and more back to the system when they are freed, and each new one is made of
    new pages, which the system clears one by one. For the process as a whole: a program's own choice, not a library's.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no such function; no such way to look for it
        return False
    wanted = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: EVERYTHING, M_TOP_PAD: STRIDE}
    return all(mallopt(key, value) for key, value in wanted.items())
