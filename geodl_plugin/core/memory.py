"""What says that memory does not suffice. Needs no torch."""

from __future__ import annotations

import errno

# The CPU's allocator of torch on Linux and macOS, and on Windows; CUDA's and Apple's.
SENTENCES = ("can't allocate memory", "not enough memory", "out of memory")
# Of Windows: no memory, no storage, and a paging file that is too small.
WINDOWS_CODES = (8, 14, 1455)


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
