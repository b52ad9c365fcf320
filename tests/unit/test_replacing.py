"""Files that take their final names where Windows holds them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from geodl_plugin.core import replacing
from geodl_plugin.core.errors import InputError, RasterError, VectorError
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.geo.result_raster import ProbabilityWriter
from geodl_plugin.core.geo.vector_writer import VectorWriter
from geodl_plugin.core.inference.journal import Journal
from geodl_plugin.core.overwriting import refuse_inputs
from geodl_plugin.core.replacing import is_held, replace

Hold = Callable[[int], None]


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    """Return a function that lets Windows refuse a number of times to rename a file."""
    monkeypatch.setattr(replacing, "WINDOWS", True)
    monkeypatch.setattr(replacing, "PATIENCE", 0.5)
    monkeypatch.setattr(replacing, "PAUSE", 0.001)
    kept = {"replace": Path.replace, "rename": Path.rename}
    left = [0]

    def refusing(name: str) -> Callable[[Path, Path], Path]:
        def rename(source: Path, target: Path) -> Path:
            if left[0] > 0:
                left[0] -= 1
                error = PermissionError(13, "Der Prozess kann nicht auf die Datei zugreifen")
                error.winerror = 32  # type: ignore[attr-defined]
                raise error
            return kept[name](source, target)

        return rename

    for name in kept:
        monkeypatch.setattr(Path, name, refusing(name))

    def set_times(times: int) -> None:
        left[0] = times

    return set_times


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    old, new = tmp_path / "old.tif", tmp_path / "new.part"
    old.write_text("old")
    new.write_text("new")
    return new, old


def test_a_file_that_is_looked_into_for_a_moment_is_replaced(
    hold: Hold, pair: tuple[Path, Path]
) -> None:
    hold(3)
    replace(*pair)
    assert pair[1].read_text() == "new" and not pair[0].exists()


def test_a_file_that_stays_open_is_not_waited_for_for_ever(
    hold: Hold, pair: tuple[Path, Path]
) -> None:
    hold(10**9)
    with pytest.raises(PermissionError):
        replace(*pair)
    assert pair[1].read_text() == "old"


def test_other_errors_are_told_at_once(hold: Hold, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace(tmp_path / "none", tmp_path / "new")


def test_a_result_that_is_open_is_refused_before_the_work(
    hold: Hold, pair: tuple[Path, Path]
) -> None:
    hold(2)
    refuse_inputs([pair[1]], [])  # a moment only
    hold(10**9)
    with pytest.raises(InputError, match=r"'old\.tif' is open, in QGIS .* Remove its layer"):
        refuse_inputs([pair[1]], [])
    refuse_inputs([pair[1].with_name("not there.tif")], [])


def test_what_cannot_be_removed_hides_no_error(
    hold: Hold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.exists():
            raise PermissionError(13, "Der Prozess kann nicht auf die Datei zugreifen")

    source = tmp_path / "source.tif"
    write_chip(source, np.zeros((1, 8, 8), np.uint8), GeoTransform(), "")
    with Raster.open(source) as like:
        monkeypatch.setattr(Path, "unlink", refuse)
        for writer in (
            ProbabilityWriter(tmp_path / "p.tif", like, ("a",)),
            VectorWriter(tmp_path / "trees.gpkg", "", {"n": int}),
        ):
            with pytest.raises(InputError, match="the real one"), writer:
                raise InputError("the real one")
    journal = Journal(tmp_path / "p.tif", {})
    journal.remove()


def test_elsewhere_nobody_holds_a_file(pair: tuple[Path, Path]) -> None:
    with pair[1].open("rb"):
        assert not is_held(pair[1])


def test_a_layer_that_cannot_take_its_name_is_a_sentence(hold: Hold, tmp_path: Path) -> None:
    writer = VectorWriter(tmp_path / "trees.gpkg", "", {"n": int})
    hold(10**9)
    with pytest.raises(VectorError, match=r"trees\.gpkg' cannot be written: Der Prozess"):
        writer.finish()
    assert not list(tmp_path.iterdir())


def test_a_raster_outlives_a_scanner(hold: Hold, tmp_path: Path) -> None:
    source = tmp_path / "source.tif"
    write_chip(source, np.zeros((1, 8, 8), np.uint8), GeoTransform(), "")
    with Raster.open(source) as like:
        writer = ProbabilityWriter(tmp_path / "p.tif", like, ("a",))
        hold(3)
        assert writer.finish().exists()
        hold(10**9)
        with pytest.raises(RasterError, match=r"cannot be written: Der Prozess"):
            ProbabilityWriter(tmp_path / "q.tif", like, ("a",)).finish()
