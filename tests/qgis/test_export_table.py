"""What 'Export training data' takes: kinds of pixels, geometries and collections of rasters."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import gdal, ogr
from qgis.core import QgsProcessingException, QgsProcessingFeedback

from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.geo.crs import spatial_reference
from geodl_plugin.core.geo.grid import GeoTransform, Window
from geodl_plugin.core.geo.raster import Raster
from tests.unit.inference.support import write_polygons, write_raster

NORTH_UP = (500000.0, 0.5, 0.0, 4100000.0, 0.0, -0.5)
TURNED = (500000.0, 0.4, 0.3, 4100000.0, 0.3, -0.4)
OBLONG = (500000.0, 0.5, 0.0, 4100000.0, 0.0, -0.25)
X, Y = NORTH_UP[0], NORTH_UP[3]
BOX = (20, 30, 60, 50)  # xmin, ymin, xmax, ymax in pixels; on the first chip
SIDE = 64

KINDS = {
    "1 band uint8": (1, "uint8", NORTH_UP, None),
    "3 bands uint8, turned": (3, "uint8", TURNED, None),
    "3 bands uint8, oblong pixels": (3, "uint8", OBLONG, None),
    "8 bands int16, no data": (8, "int16", NORTH_UP, -9999),
    "300 bands uint16": (300, "uint16", NORTH_UP, None),
    "4 bands uint16, turned, no data": (4, "uint16", TURNED, 0),
    "4 bands float32 with NaN": (4, "float32", NORTH_UP, None),
    "2 bands float64 with NaN": (2, "float64", NORTH_UP, None),
}


class Recorder(QgsProcessingFeedback):
    """Keeps the warnings."""

    def __init__(self):
        super().__init__(False)
        self.warnings = []

    def pushWarning(self, warning):
        self.warnings.append(warning)


def paint(bands, dtype, height=96, width=128):
    rng = np.random.default_rng(3)
    if np.issubdtype(dtype, np.floating):
        return rng.normal(0, 1000, (bands, height, width)).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(max(limits.min, -5000) + 1, limits.max, (bands, height, width)).astype(
        dtype
    )


def box_text(place, box=BOX):
    corners = GeoTransform(*place).box_corners(np.array([box]))[0].tolist()
    points = [*corners, corners[0]]
    return "POLYGON((" + ",".join(f"{x!r} {y!r}" for x, y in points) + "))"


def reprojected(text, target=4326):
    shape = ogr.CreateGeometryFromWkt(text)
    shape.AssignSpatialReference(spatial_reference("EPSG:32616"))
    shape.TransformTo(spatial_reference(f"EPSG:{target}"))
    return shape.ExportToWkt()


@pytest.fixture
def export(run, tmp_path):
    """Return a function that exports class masks without overlap and opens the folder."""

    def call(feedback=None, **changes):
        values = {
            "FORMAT": "Classified_Tiles",
            "TILE_SIZE_X": SIDE,
            "TILE_SIZE_Y": SIDE,
            "STRIDE_X": SIDE,
            "STRIDE_Y": SIDE,
            "OUTPUT_EMPTY_TILES": True,
            "OUTPUT": str(tmp_path / "chips"),
        }
        return open_folder(run("exporttrainingdata", feedback, **{**values, **changes})["OUTPUT"])

    return call


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same system", "other system"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_pixels_and_masks_are_exact(export, tmp_path, kind, elsewhere):
    bands, dtype, place, nodata = KINDS[kind]
    pixels = paint(bands, np.dtype(dtype))
    empty = np.nan if "NaN" in kind else nodata
    if empty is not None:
        pixels[:, 5:9, 7:12] = empty
    source = write_raster(tmp_path / "ortho.tif", pixels, place, nodata=nodata)
    text = reprojected(box_text(place)) if elsewhere else box_text(place)
    labels = write_polygons(tmp_path / "l.gpkg", [text], 4326 if elsewhere else 32616, value=[7])
    folder = export(INPUT=[source], LABELS=labels)
    assert len(folder.chips) == 4
    windows = [Window(col, row, SIDE, SIDE) for row in (0, 32) for col in (0, 64)]
    with Raster.open(source) as raster:
        for chip, window in zip(folder.chips, windows):
            found, wanted = folder.read_image(chip), raster.read(window)
            assert found.pixels.dtype == np.dtype(dtype)
            assert (found.pixels == wanted.pixels).all()
            with Raster.open(chip.image) as image:
                own = image.read(image.window)
                expected = raster.geotransform.of_window(window).as_gdal()
                assert image.geotransform.as_gdal() == pytest.approx(expected, abs=1e-6)
                assert (own.valid == wanted.valid).all()
            mask = np.zeros((96, 128), np.uint8)
            mask[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 7
            mask = mask[window.slices(Window(0, 0, 128, 96))]
            assert (folder.read_label(chip).values == np.where(wanted.valid, mask, 0)).all()


def circle_and(length, radius):
    return (length * 2 * radius + np.pi * radius**2) / 0.25


SHAPES = {
    "point": (f"POINT({X + 16} {Y - 16})", 5.0, circle_and(0, 5), 0.03),
    "multipoint": (f"MULTIPOINT({X + 8} {Y - 8},{X + 24} {Y - 24})",
                   3.0, circle_and(0, 3) * 2, 0.05),
    "line": (f"LINESTRING({X + 5} {Y - 16},{X + 25} {Y - 16})", 2.0, circle_and(20, 2), 0.03),
    "multipart": (
        f"MULTIPOLYGON((({X + 2} {Y - 2},{X + 7} {Y - 2},{X + 7} {Y - 7},{X + 2} {Y - 7},"
        f"{X + 2} {Y - 2})),(({X + 20} {Y - 20},{X + 30} {Y - 20},{X + 30} {Y - 25},"
        f"{X + 20} {Y - 25},{X + 20} {Y - 20})))",
        0.0, 100 + 200, 0,
    ),
    "hole": (
        f"POLYGON(({X + 2} {Y - 2},{X + 22} {Y - 2},{X + 22} {Y - 22},{X + 2} {Y - 22},"
        f"{X + 2} {Y - 2}),({X + 7} {Y - 7},{X + 17} {Y - 7},{X + 17} {Y - 17},{X + 7} {Y - 17},"
        f"{X + 7} {Y - 7}))",
        0.0, 1600 - 400, 0,
    ),
    "invalid": (
        f"POLYGON(({X + 2} {Y - 2},{X + 22} {Y - 22},{X + 22} {Y - 2},{X + 2} {Y - 22},"
        f"{X + 2} {Y - 2}))",
        0.0, 800, 0.03,
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", list(SHAPES))
def test_every_geometry_covers_its_area(export, tmp_path, shape):
    text, buffer, area, tolerance = SHAPES[shape]
    source = write_raster(tmp_path / "ortho.tif", paint(3, np.dtype("uint8")))
    labels = write_polygons(tmp_path / "l.gpkg", [text], 32616, value=[7])
    feedback = Recorder()
    folder = export(feedback, INPUT=[source], LABELS=labels, BUFFER_RADIUS=buffer)
    first = folder.read_label(folder.chips[0]).values
    covered = (first == 7).sum()
    assert covered == pytest.approx(area, rel=tolerance)
    assert any("repaired" in each for each in feedback.warnings) == (shape == "invalid")
    if buffer:
        with pytest.raises(QgsProcessingException, match="buffer radius"):
            export(INPUT=[source], LABELS=labels, OUTPUT=str(tmp_path / "none"))


def image_crs(chip):
    with Raster.open(chip.image) as image:
        return image.crs


@pytest.fixture
def halves(tmp_path):
    """A folder with the left and the right half of one raster, and the labels of both."""
    pixels = paint(3, np.dtype("uint8"), 64, 128)
    (tmp_path / "two").mkdir()
    for name, col in (("a.tif", 0), ("b.tif", 64)):
        place = (X + col * 0.5, 0.5, 0.0, Y, 0.0, -0.5)
        write_raster(tmp_path / "two" / name, pixels[:, :, col : col + 64], place)
    labels = write_polygons(
        tmp_path / "l.gpkg", [box_text(NORTH_UP, (50, 10, 80, 20))], 32616, value=[7]
    )
    return pixels, labels, [str(tmp_path / "two" / name) for name in ("a.tif", "b.tif")]


@pytest.mark.parametrize("given", ["list", "folder"])
@pytest.mark.parametrize("mode", ["MOSAIC", "SEPARATE"])
def test_a_list_and_a_folder_are_the_same(export, tmp_path, halves, given, mode):
    pixels, labels, paths = halves
    source = {"INPUT": paths} if given == "list" else {"INPUT_FOLDER": str(tmp_path / "two")}
    folder = export(**source, LABELS=labels, PROCESSING_MODE=mode)
    images = [folder.read_image(chip).pixels for chip in folder.chips]
    assert len(images) == 2
    assert (np.concatenate(images, axis=2) == pixels).all()
    masks = np.concatenate([folder.read_label(chip).values for chip in folder.chips], axis=1)
    assert (masks[10:20, 50:80] == 7).all() and (masks > 0).sum() == 300
    turned = export(
        **source,
        LABELS=labels,
        PROCESSING_MODE=mode,
        STRIDE_X=32,
        FORMAT="PASCAL_VOC_rectangles",
        OUTPUT=str(tmp_path / "voc"),
    )
    # A mosaic has a chip over the seam, which rasters one by one have not.
    assert len(turned.chips) == (3 if mode == "MOSAIC" else 2)


def test_rasters_one_by_one_need_not_fit_together(export, tmp_path, halves):
    pixels, labels, paths = halves
    other = str(tmp_path / "two" / "other zone.tif")
    gdal.Warp(other, paths[0], dstSRS="EPSG:32617")
    far = write_raster(tmp_path / "far.tif", pixels, (0.0, 1.0, 0.0, 0.0, 0.0, -1.0))
    values = {"INPUT": [*paths, other, far], "LABELS": labels, "PROCESSING_MODE": "SEPARATE"}
    feedback = Recorder()
    values["OUTPUT_EMPTY_TILES"] = False
    extent = f"{X - 50},{X + 100},{Y - 100},{Y + 50} [EPSG:32616]"
    folder = export(feedback, **values, EXTENT=extent)
    systems = set()
    for chip in folder.chips:
        systems.add("zone 17N" in image_crs(chip))
        count = (folder.read_label(chip).values == 7).sum()
        # Chips of the other zone, where the raster is turned and larger, overlap and cut the box.
        assert 0 < count < 190 if "17N" in image_crs(chip) else count in (140, 160)
    assert systems == {True, False} and len(folder.chips) >= 3
    assert any("far.tif" in each for each in feedback.warnings)
    # Where empty chips are wanted, a raster without labels is background.
    values.update(OUTPUT_EMPTY_TILES=True, OUTPUT=str(tmp_path / "more"))
    folder = export(**values)
    assert len(folder.chips) > 3
    assert any((folder.read_label(chip).values == 0).all() for chip in folder.chips)
    with pytest.raises(QgsProcessingException, match="different coordinate reference systems"):
        export(**{**values, "PROCESSING_MODE": "MOSAIC", "OUTPUT": str(tmp_path / "none")})
