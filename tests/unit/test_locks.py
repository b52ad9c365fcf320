"""Locks on files, as Windows has them."""

from __future__ import annotations

import errno
import io
import sys
from types import SimpleNamespace

import pytest

from geodl_plugin.core import locks


class File(io.BytesIO):
    """A file that the system knows by a number."""

    def fileno(self) -> int:
        return 7


@pytest.mark.parametrize(
    ("answer", "ours"),
    [
        (None, True),
        (PermissionError(errno.EACCES, "locked"), False),
        (OSError(errno.EINVAL, "a drive that knows no locks"), True),
    ],
)
def test_only_a_file_that_is_locked_is_not_ours(
    answer: OSError | None, ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = []

    def locking(_number: int, _mode: int, count: int) -> None:
        places.append((file.tell(), count))
        if answer is not None:
            raise answer

    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    monkeypatch.setattr(locks, "WINDOWS", True)
    file = File(b"what others read")
    assert locks.lock(file) is ours
    assert places == [(2**62, 1)]  # reading stays free
