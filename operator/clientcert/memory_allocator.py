"""Has the C library give memory back to the system.

glibc makes an arena of its own for each thread. And it raises the size from which on a block comes from the system:
after the first large answer, those of some megabytes come from the heap. There each leaves a hole, which small blocks
that stay occupy in part (mallopt(3)).
"""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # as in malloc.h
_BLOCK_BYTES = 128 * 1024
"""glibc's own value at the start of a process; once it is set, it does not rise."""


def configure() -> None:
    """Set the options of glibc; other C libraries have none of them."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        for option, value in ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, _BLOCK_BYTES), (_M_TRIM_THRESHOLD, _BLOCK_BYTES)):
            set_option(option, value)
