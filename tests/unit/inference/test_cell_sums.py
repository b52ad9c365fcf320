"""Sums of unfinished cells: in memory up to a limit, exact from the disk, never lost silently."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl_plugin.core.errors import FileError
from geodl_plugin.core.inference import cell_sums
from geodl_plugin.core.inference.cell_sums import CellSum, CellSums


def made(number: int, empty: bool = False) -> CellSum:
    draw = np.random.default_rng(number)
    wanted = draw.random((8, 5)) < 0.5
    if empty:
        return CellSum(None, None, wanted, 2)
    chances, weight = draw.random((3, 8, 5), np.float32), draw.random((8, 5), np.float32)
    return CellSum(chances, weight, wanted, 1 + number % 3)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=40), st.integers(0, 4000))
def test_what_is_put_is_taken_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bool]], limit: int
) -> None:
    sums = CellSums(tmp_path_factory.mktemp("blend") / "Summen ü", limit)
    expected: dict[int, CellSum] = {}
    for number, empty in steps:
        assert (number in sums) == (number in expected)
        if number not in expected:
            expected[number] = made(number, empty)
            sums.put(number, made(number, empty))
            continue
        found, wanted = sums.take(number), expected.pop(number)
        assert found is not None and found.missing == wanted.missing
        for one, other in (
            (found.chances, wanted.chances),
            (found.weight, wanted.weight),
            (found.wanted, wanted.wanted),
        ):
            assert (one is None and other is None) or np.array_equal(one, other)
        assert sums.take(number) is None


def test_memory_holds_no_more_than_the_limit(tmp_path: Path) -> None:
    folder = tmp_path / "sums"
    folder.mkdir()
    (folder / "of_a_killed_run.npy").touch()
    limit = 3 * made(0).size
    sums = CellSums(folder, limit)
    assert not folder.exists()
    for number in range(10):
        sums.put(number, made(number))
    assert sorted(int(each.stem) for each in folder.iterdir()) == list(range(7))
    for number in range(10):
        assert sums.take(number) is not None
    assert not list(folder.iterdir())


def test_a_full_disk_and_a_lost_file_are_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = CellSums(tmp_path / "sums", 0)
    sums.put(1, made(1))
    (tmp_path / "sums" / "1.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(FileError, match=r"1\.npy' cannot be read any more"):
        sums.take(1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cell_sums.np, "save", full)
    with pytest.raises(FileError, match="disk is full"):
        sums.put(2, made(2))
