"""What says that memory does not suffice, and what becomes of freed memory. Needs no torch."""

from __future__ import annotations

import ctypes
import errno
import sys

# The CPU's allocator of torch on Linux and macOS, and on Windows; CUDA's and Apple's.
SENTENCES = ("can't allocate memory", "not enough memory", "out of memory")
# Of Windows: no memory, no storage, and a paging file that is too small.
WINDOWS_CODES = (8, 14, 1455)

# Of glibc's mallopt(3): parameters, and bytes. Before 2.35 it knew no larger blocks than 32 MiB.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MOST = 2**31 - 1
_BLOCKS = (2**30, 2**25)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory does not suffice.

    torch says it of the CPU by a plain ``RuntimeError`` of its allocator.
    """
    # torch's own class is known by name: it must not be imported for this question.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        code = getattr(error, "winerror", None)
        return error.errno == errno.ENOMEM or code in WINDOWS_CODES
    return any(each in str(error).lower() for each in SENTENCES)


def keep_freed_memory() -> bool:
    """Have this process keep the memory that it frees; return whether it does.

    Each step of a training takes the same large blocks as the one before. By default glibc gives
    them back in between, and the system has to find and clear new pages in every step. Other C
    libraries keep them anyway, or cannot be asked.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # musl has none
        return False
    # One of the two alone would make it worse: it ends glibc's own adjustment of the other.
    kept = any(mallopt(_MMAP_THRESHOLD, size) for size in _BLOCKS)
    return bool(kept and mallopt(_TRIM_THRESHOLD, _MOST))
