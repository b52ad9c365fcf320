"""Importing large libraries without a search for garbage."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from geodl_plugin.core.importing import importing


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


def test_the_collector_rests_and_then_leaves_alone_what_there_is() -> None:
    with importing("a library not known here"):
        assert not gc.isenabled()
        lasting = [[]]
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    assert not any(each is lasting for each in gc.get_objects())


def test_it_goes_on_after_an_import_that_fails() -> None:
    with pytest.raises(ImportError), importing("a library not known here"):
        raise ImportError
    assert gc.isenabled()


def test_nothing_changes_where_the_library_is_there_already() -> None:
    frozen = gc.get_freeze_count()
    with importing("pytest"):
        assert gc.isenabled()
    assert gc.get_freeze_count() == frozen


def test_it_stays_off_where_it_was_off() -> None:
    gc.disable()
    with importing("a library not known here"):
        pass
    assert not gc.isenabled()


def test_at_the_end_of_the_process_all_is_as_usual() -> None:
    code = """
import atexit, gc
from geodl_plugin.core.importing import importing
atexit.register(lambda: print(gc.get_freeze_count()))
with importing("a library not known here"):
    pass
assert gc.get_freeze_count()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "0", done.stderr
