"""Inference with ``skip_unreadable``: only damaged blocks have no data, all else has its answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal

from geodl_plugin.core.errors import RasterError
from geodl_plugin.core.geo.grid import Window
from geodl_plugin.core.geo.raster import Block, Raster
from geodl_plugin.core.inference import change, pixels
from geodl_plugin.core.inference.detect import detect
from geodl_plugin.core.inference.engine import Engine
from geodl_plugin.core.inference.options import ChangeOptions, DetectionOptions, PixelOptions
from geodl_plugin.core.inference.pixels import classify
from geodl_plugin.core.inference.tiles import Damaged
from geodl_plugin.core.progress import Progress
from tests.unit.geo.test_damage import blocks_of, damage

from .support import FindNumbers, make_job, make_model, read_features, write_model, write_raster
from .test_engine import Heard
from .test_resume import contents, killed, network
from .test_resume_objects import in_a_process_killed

TILES = ("TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64", "COMPRESS=LZW")
STRIPS = ("COMPRESS=DEFLATE", "BLOCKYSIZE=6")
SIDE = 256


def hurt_and_hole(
    folder: Path, options: tuple[str, ...], bands: int, *cells: tuple[int, int]
) -> tuple[str, str, np.ndarray]:
    """Write an image twice: with damaged blocks, and with no data in these.

    Returns:
        Both paths, and where the blocks are.
    """
    values = np.random.default_rng(3).normal(size=(bands, SIDE, SIDE)).astype(np.float32)
    size = (64, 64) if options is TILES else (SIDE, 6)
    place = blocks_of(cells, size, (SIDE, SIDE))
    hurt = write_raster(folder / "hurt.tif", values, options=options)
    damage(hurt, *cells)
    hole = write_raster(folder / "hole.tif", np.where(place, np.float32(np.nan), values))
    return hurt, hole, place


def classified(source: str, output: Path, **more: Any) -> tuple[np.ndarray, Heard]:
    heard = Heard()
    with make_job(source, make_model("TEST_PIXELS", 3)) as job:
        options = PixelOptions([source], "", str(output), tile_size=96, padding=8, **more)
        classify(job, Engine(network(), "cpu", "float32", 1), options, heard)
    return gdal.Open(str(output)).ReadAsArray(), heard


@pytest.mark.parametrize("blend", ["crop", "gaussian"])
@pytest.mark.parametrize(
    "options, cells", [(TILES, [(1, 2), (3, 0)]), (STRIPS, [(0, 10), (0, 11), (0, 42)])]
)
def test_pixels_have_no_class_in_the_damaged_blocks_alone(
    tmp_path: Path, options: tuple[str, ...], cells: list[tuple[int, int]], blend: str
) -> None:
    hurt, hole, place = hurt_and_hole(tmp_path, options, 3, *cells)
    with pytest.raises(RasterError, match="cannot be read at column"):
        classified(hurt, tmp_path / "a.tif", blend=blend)
    found, heard = classified(hurt, tmp_path / "b.tif", blend=blend, skip_unreadable=True)
    assert ((found == 255) == place).all()
    expected, _ = classified(hole, tmp_path / "c.tif", blend=blend)
    assert (found == expected).all()
    assert len(np.unique(found)) == 4  # three classes: there is something to compare
    # Each is told once, though several tiles and threads meet it.
    assert len(heard.warnings) == len(cells)
    for col, row in cells:
        cols, rows = (64, 64) if options is TILES else (SIDE, 6)
        told = f"'hurt.tif' cannot be read at column {col * cols}, row {row * rows}: "
        assert sum(told in each for each in heard.warnings) == 1


def test_a_tile_without_damage_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurt, _, _ = hurt_and_hole(tmp_path, TILES, 3)  # nothing is
    reads: list[Window] = []
    read = Raster.read

    def counted(self: Raster, window: Window, *bands: Any) -> Block:
        reads.append(window)
        return read(self, window, *bands)

    monkeypatch.setattr(Raster, "read", counted)
    _, heard = classified(hurt, tmp_path / "a.tif", skip_unreadable=True)
    assert len(reads) == len(set(reads)) > 4
    assert heard.warnings == []


def test_objects_are_found_in_the_rest_of_a_tile(tmp_path: Path) -> None:
    image = np.zeros((1, 128, 128), np.uint16)
    corners = {(col, row): 1 + col + 4 * row for col in range(4) for row in range(4)}
    for (col, row), number in corners.items():
        image[0, 32 * row + 8 : 32 * row + 20, 32 * col + 8 : 32 * col + 20] = number
    options = ("TILED=YES", "BLOCKXSIZE=32", "BLOCKYSIZE=32", "COMPRESS=LZW")
    source = write_raster(tmp_path / "a.tif", image, options=options)
    cells = [(0, 0), (2, 1)]
    damage(source, *cells)
    heard, output = Heard(), tmp_path / "a.gpkg"
    with make_job(source, make_model()) as job:
        given = DetectionOptions([source], "", str(output), tile_size=128, skip_unreadable=True)
        assert detect(job, Engine(FindNumbers(), "cpu", "float32", 1), given, heard)
        middles = [each["geometry"].Centroid() for each in read_features(output)]
        points = np.array([[each.GetX(), each.GetY()] for each in middles])
        found = job.raster.geotransform.to_pixels(points) // 32
    assert {tuple(map(int, each)) for each in found} == set(corners) - set(cells)
    assert len(found) == 14
    assert len(heard.warnings) == 2
    assert all("Nothing is found there." in each for each in heard.warnings)


def test_a_damaged_mask_is_no_reason_to_end(tmp_path: Path) -> None:
    image = np.full((2, 128, 128), 10, np.uint8)
    image[1] = 255
    options = ("TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64", "COMPRESS=LZW", "INTERLEAVE=BAND")
    source = write_raster(tmp_path / "a.tif", image, options=(*options, "ALPHA=YES"))
    damage(source, (1, 0), band=2)
    model = write_model(tmp_path / "m.dlpk", "TEST_PIXELS")
    given = PixelOptions([source], model, str(tmp_path / "b.tif"), tile_size=128, device="cpu")
    with pytest.raises(RasterError, match="cannot be read at column"):
        pixels.run(given, Progress())
    heard = Heard()
    pixels.run(PixelOptions(**{**vars(given), "skip_unreadable": True}), heard)
    found = gdal.Open(given.output).ReadAsArray()
    assert ((found == 255) == blocks_of([(1, 0)], (64, 64), (128, 128))).all()
    assert len([each for each in heard.warnings if "cannot be read" in each]) == 1


def test_change_is_unknown_where_one_of_both_dates_is_damaged(tmp_path: Path) -> None:
    levels = [np.full((1, 128, 128), level, np.uint8) for level in (10, 20)]
    dates = [
        write_raster(tmp_path / f"{index}.tif", each, options=TILES)
        for index, each in enumerate(levels)
    ]
    damage(dates[0], (0, 1))
    damage(dates[1], (1, 0))
    model = write_model(tmp_path / "m.dlpk", "TEST_CHANGE")
    output, heard = str(tmp_path / "c.tif"), Heard()
    given = ChangeOptions(
        dates[:1], model, output, second=dates[1:], skip_unreadable=True, device="cpu"
    )
    change.run(given, heard)
    found = gdal.Open(output).ReadAsArray()
    assert ((found == 255) == blocks_of([(0, 1), (1, 0)], (64, 64), (128, 128))).all()
    assert (found[found != 255] == 3).all()
    told = [each for each in heard.warnings if "cannot be read" in each]
    assert sorted(each[:7] for each in told) == ["'0.tif'", "'1.tif'"]


def test_a_killed_run_on_a_damaged_file_goes_on(tmp_path: Path) -> None:
    hurt, _, _ = hurt_and_hole(tmp_path, TILES, 3, (0, 0), (1, 2))
    folders = [tmp_path / "whole", tmp_path / "killed"]
    for folder in folders:
        folder.mkdir()
    killed(hurt, folders[1] / "a.tif", 5, skip_unreadable=True)
    for folder in folders:
        classified(hurt, folder / "a.tif", skip_unreadable=True)
    assert contents(folders[0]) == contents(folders[1])


def test_a_killed_detection_on_a_damaged_file_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OGR_CURRENT_DATE", "2024-05-01T12:00:00.000Z")  # in the GeoPackage
    image = np.zeros((1, SIDE, SIDE), np.uint16)
    for number, (row, col) in enumerate(np.ndindex(16, 16), 1):
        image[0, 16 * row + 3 : 16 * row + 12, 16 * col + 3 : 16 * col + 10] = number
    source = write_raster(tmp_path / "a.tif", image, options=TILES)
    # The last tiles have no data at all, others in part.
    damage(source, (1, 1), (3, 3), (2, 3), (3, 2), (2, 2))
    folders = [tmp_path / "whole", tmp_path / "killed"]
    for folder in folders:
        folder.mkdir()
    seen: list[int] = []

    class Counted(FindNumbers):
        def _find(self, numbers: np.ndarray) -> dict[str, Any]:
            seen.append(1)
            self._draw = np.random.default_rng(int(numbers.sum()))
            return super()._find(numbers)

    def work(folder: Path) -> int:
        seen.clear()
        with make_job(source, make_model()) as job:
            options = DetectionOptions(
                [source], "", str(folder / "a.gpkg"), tile_size=96, skip_unreadable=True
            )
            detect(job, Engine(Counted(), "cpu", "float32", 2), options, Heard())
        return len(seen)

    in_a_process_killed(lambda: work(folders[1]), 3)
    whole, rest = (work(folder) for folder in folders)
    assert contents(folders[0]) == contents(folders[1])
    assert len(read_features(folders[0] / "a.gpkg")) == 11 * 16  # all of the whole blocks
    assert rest == whole - 6  # three batches of two tiles, damaged ones too, are finished


def test_of_many_damaged_places_few_are_named() -> None:
    heard = Heard()
    tell = Damaged(heard, "It is left without data.")
    for index in range(Damaged.few):
        tell(f"Place {index}.", ("a.tif", index))
        tell(f"Place {index} for another reason.", ("a.tif", index))
    assert heard.warnings == [
        f"Place {index}. It is left without data." for index in range(Damaged.few)
    ]
    for index in range(Damaged.few, 1000):
        tell(f"Place {index}.", ("a.tif", index))
    more = heard.warnings[Damaged.few :]
    assert len(more) == 10
    assert more[0] == "At least 11 places cannot be read; only the first 10 are named."
    assert more[-1].startswith("At least 522 places")
