"""The segment that is clicked on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from osgeo import gdal, ogr, osr

from geodl_plugin.core.errors import InputError, MissingLibraryError, RasterError
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster import Block
from geodl_plugin.core.geo.shapes import polygon_of_rings
from geodl_plugin.core.progress import Progress
from geodl_plugin.core.segments.options import LARGEST, SegmentOptions
from geodl_plugin.core.segments.pick import run, segment
from geodl_plugin.worker.client import run_task

TOP, LEFT, SIDE = 50, 60, 40
SQUARE = (slice(TOP, TOP + SIDE), slice(LEFT, LEFT + SIDE))
GRIDS = {
    "north up": (500_000.0, 0.5, 0.0, 5_000_000.0, 0.0, -0.5),
    "turned": (500_000.0, 0.4, 0.3, 5_000_000.0, 0.3, -0.4),
    "oblong pixels": (500_000.0, 0.5, 0.0, 5_000_000.0, 0.0, -0.8),
    "degrees": (-175.3, 2.1e-6, 0.0, -21.0, 0.0, -2.3e-6),
}


def noise(bands: int, seed: int = 1, rows: int = 160, cols: int = 170) -> np.ndarray:
    """Return noise with a flat square in it, ``(bands, rows, cols)``."""
    pixels = np.random.default_rng(seed).integers(0, 100, (bands, rows, cols)).astype(float)
    pixels[(slice(None), *SQUARE)] = 200
    return pixels


def write(path: Path, pixels: np.ndarray, kind: int = gdal.GDT_Byte, **values) -> str:
    """Write a GeoTIFF; ``grid`` and ``nodata`` are what its keys say."""
    bands, rows, cols = pixels.shape
    raster = gdal.GetDriverByName("GTiff").Create(str(path), cols, rows, bands, kind)
    raster.SetGeoTransform(values.get("grid", GRIDS["north up"]))
    system = osr.SpatialReference()
    system.ImportFromEPSG(32612)
    raster.SetProjection(system.ExportToWkt())
    for index in range(bands):
        if "nodata" in values:
            raster.GetRasterBand(index + 1).SetNoDataValue(values["nodata"])
        raster.GetRasterBand(index + 1).WriteArray(pixels[index])
    raster.FlushCache()
    return str(path)


def place(grid: tuple[float, ...], col: float, row: float) -> tuple[float, float]:
    """Return the map coordinates of a position in pixels."""
    x, y = GeoTransform(*grid).to_map(np.array([[col, row]]))[0]
    return float(x), float(y)


def pick(path: str, grid: tuple[float, ...], col: float, row: float, reach: int = 64) -> dict:
    """Return the answer to a click on a position in pixels."""
    return run(SegmentOptions(path, *place(grid, col, row), reach), Progress())


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_a_flat_square_on_noise_comes_out_exactly(tmp_path, grid):
    """Corner for corner, wherever the pixels lie on the map."""
    path = write(tmp_path / "noise.tif", noise(3), grid=grid)
    found = pick(path, grid, LEFT + 21.5, TOP + 18.5)
    assert found["pixels"] == SIDE * SIDE
    (ring,) = found["rings"]
    corners = [(LEFT, TOP), (LEFT + SIDE, TOP), (LEFT + SIDE, TOP + SIDE), (LEFT, TOP + SIDE)]
    expected = {tuple(np.round(place(grid, *corner), 8)) for corner in corners}
    assert {tuple(np.round(each, 8)) for each in ring} == expected


@pytest.mark.parametrize(
    ("bands", "kind", "factor", "offset"),
    [
        (1, gdal.GDT_UInt16, 300, 4000),
        (8, gdal.GDT_UInt16, 20, 0),
        (1, gdal.GDT_Float32, 1e-3, -0.1),
        (4, gdal.GDT_Float64, 1e6, 0),
        (1, gdal.GDT_Int16, 10, -3000),
    ],
)
def test_any_number_of_bands_of_any_type(tmp_path, bands, kind, factor, offset):
    """What is dark and what is bright is asked of the image, not of its type."""
    path = write(tmp_path / "noise.tif", noise(bands) * factor + offset, kind)
    assert pick(path, GRIDS["north up"], LEFT + 20, TOP + 20)["pixels"] == SIDE * SIDE


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 79), st.integers(0, 89), st.integers(6, 200), st.integers(0, 999), st.booleans()
)
def test_the_segment_holds_the_place_and_stays_in_the_circle(row, col, reach, seed, holes):
    """On any ground, near any edge, beside pixels without data."""
    random = np.random.default_rng(seed)
    pixels = random.normal(100, 20, (2, 80, 90)).cumsum(axis=1)
    valid = random.random((80, 90)) > 0.1 if holes else np.ones((80, 90), bool)
    valid[row, col] = True
    mask = segment(Block(pixels, valid), (row, col), reach)
    rows, cols = np.nonzero(mask)
    assert mask[row, col] and not (mask & ~valid).any()
    assert np.hypot(rows - row, cols - col).max() <= reach / 2 + 4


def test_the_polygon_is_valid_and_as_large_as_it_says(tmp_path):
    """On ground with gentle hills, where the border is far from straight."""
    y, x = np.mgrid[:160, :170]
    pixels = (np.sin(x / 7) + np.cos(y / 9) + np.sin((x + y) / 17))[None] * 40 + 120
    path = write(tmp_path / "hills.tif", pixels)
    found = pick(path, GRIDS["north up"], 80.5, 70.5)
    shape = polygon_of_rings([np.array(ring) for ring in found["rings"]])
    point = ogr.Geometry(ogr.wkbPoint)
    point.AddPoint_2D(*place(GRIDS["north up"], 80.5, 70.5))
    assert shape.IsValid() and shape.Contains(point)
    assert shape.GetArea() == pytest.approx(found["pixels"] * 0.25)


def test_an_object_at_the_edge_of_the_image_is_whole(tmp_path):
    """Where the image ends, the object may."""
    pixels = noise(3)
    pixels[:, :, :] = noise(3, 2)[:, ::-1, :]
    pixels[:, 0:30, 0:30] = 200
    path = write(tmp_path / "corner.tif", pixels)
    assert pick(path, GRIDS["north up"], 10.5, 10.5, 90)["pixels"] == 900


def test_a_place_without_data_or_image_is_a_sentence(tmp_path):
    """A click beside the image, or into a gap of it."""
    pixels = noise(2)
    pixels[:, :40] = 255
    path = write(tmp_path / "gap.tif", pixels, nodata=255)
    with pytest.raises(InputError, match=r"'gap.tif' has no data at this place\. Click"):
        pick(path, GRIDS["north up"], 30, 20)
    with pytest.raises(RasterError, match=r"outside 'gap.tif'\. Click on the image\."):
        pick(path, GRIDS["north up"], -3, 20)
    assert pick(path, GRIDS["north up"], LEFT + 20, TOP + 20)["pixels"] == SIDE * SIDE
    with pytest.raises(InputError, match=r"1000 pixels wide\. Choose 6 to 480"):
        SegmentOptions(path, 0.0, 0.0, 1000)


def test_a_photo_lies_where_qgis_shows_it(tmp_path):
    """Without a georeference, the top left corner is 0, 0 and the rows go down from there."""
    path = str(tmp_path / "photo.png")
    source = gdal.GetDriverByName("MEM").Create("", 170, 160, 3)
    for index, band in enumerate(noise(3)):
        source.GetRasterBand(index + 1).WriteArray(band)
    gdal.GetDriverByName("PNG").CreateCopy(path, source)
    found = run(SegmentOptions(path, LEFT + 20.5, -(TOP + 20.5)), Progress())
    xs, ys = np.array(found["rings"][0]).T
    assert (xs.min(), xs.max()) == (LEFT, LEFT + SIDE)
    assert (ys.min(), ys.max()) == (-TOP - SIDE, -TOP)


def test_a_worker_without_torch_answers(tmp_path):
    """The task travels; the largest circle takes about a second in all."""
    path = write(tmp_path / "noise.tif", noise(3, rows=600, cols=600))
    options = SegmentOptions(path, *place(GRIDS["north up"], LEFT + 20, TOP + 20), LARGEST)
    found = run_task("segment", options)
    assert found["pixels"] > 0 and len(found["rings"]) >= 1


def test_a_missing_library_names_the_tool_that_installs_it(tmp_path):
    """A Python without scikit-image, as an environment made before may be."""
    path = write(tmp_path / "noise.tif", noise(1))
    (tmp_path / "skimage").mkdir()
    (tmp_path / "skimage" / "__init__.py").write_text("raise ModuleNotFoundError(name='skimage')")
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nPYTHONPATH='{tmp_path}' exec '{sys.executable}' \"$@\"\n")
    program.chmod(0o755)
    options = SegmentOptions(path, *place(GRIDS["north up"], LEFT + 20, TOP + 20))
    with pytest.raises(
        MissingLibraryError, match=r"scikit-image is not installed in .*'Set up deep"
    ):
        run_task("segment", options, python=str(program))
