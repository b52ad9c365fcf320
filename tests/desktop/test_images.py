"""Folders of images in a real QGIS window: next, previous, and each sample on its own image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from tests.desktop.chips import draw, write_raster, write_scene
from tests.desktop.windows import Window

pytestmark = pytest.mark.timeout(240)
SIDE, CELL = 120, 0.5


@pytest.fixture(scope="module")
def window(qgis_window: Callable[..., Window], tmp_path_factory: pytest.TempPathFactory) -> Window:
    """Return what the script saw."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(3)
    (folder / "maps").mkdir()
    (folder / "photos").mkdir()
    for index, name in enumerate("abc"):
        pixels, _ = draw(random, SIDE, SIDE, 6)
        east = 520_000 + 100 * index
        write_raster(folder / "maps" / f"{name}.tif", pixels, east, 5_000_000)
        memory = gdal.GetDriverByName("MEM").Create("", SIDE, SIDE, 3)
        for band in range(3):
            memory.GetRasterBand(band + 1).WriteArray(pixels[band])
        gdal.GetDriverByName("PNG").CreateCopy(str(folder / "photos" / f"{name}.png"), memory)
    variables = {
        "GEODL_TEST_SCENE": str(write_scene(folder / "scene.tif")),
        "GEODL_TEST_MAPS": str(folder / "maps"),
        "GEODL_TEST_PHOTOS": str(folder / "photos"),
    }
    return qgis_window("images", variables, timeout=180)


def test_the_first_image_is_shown_beside_the_users_own_layers(window: Window) -> None:
    """It says which of how many, and has the whole image in view."""
    first = window.found["first"]
    assert first["place"] == "1 of 3" and first["raster"] == "a" and first["in_view"]
    assert first["rasters"] == ["Scene", "a"]
    assert first["list"] == ["a.tif", "b.tif", "c.tif"]


def test_keys_and_buttons_lead_to_the_next_image_and_back(window: Window) -> None:
    """Each takes the place of the one before; the ends are ends."""
    second, third = window.found["second"], window.found["third"]
    assert second["rasters"] == ["Scene", "b"] and second["in_view"]
    assert third["rasters"] == ["Scene", "c"] and third["place"] == "3 of 3"
    assert window.found["at_the_end"] and window.found["still"] == "3 of 3"
    assert window.found["back"]["place"] == "2 of 3"


def test_samples_on_the_map_are_in_one_layer_and_counted_per_image(window: Window) -> None:
    """The list tells which images have samples."""
    assert len(window.found["map_rows"]) == 3
    assert window.found["back"]["samples"] == window.found["first"]["samples"] == "samples"
    listed = ["a.tif – 1 sample", "b.tif – 2 samples", "c.tif"]
    assert window.found["back"]["list"] == listed
    assert window.found["map_rows"][0]["count"] == pytest.approx(24 * 36, rel=0.1)


def test_the_export_takes_the_folder(window: Window) -> None:
    """Every image by itself."""
    given = window.found["export"]
    assert Path(given["INPUT_FOLDER"]).name == "maps" and given["PROCESSING_MODE"] == "SEPARATE"


def test_a_sample_on_a_photo_shows_on_no_other(window: Window) -> None:
    """Photos all lie at 0, 0: each has its own table, with all the classes."""
    one, two, back = (window.found[each] for each in ("photo_one", "photo_two", "photo_back"))
    assert (one["samples"], one["drawn"]) == ("a_png", 1)
    assert (two["samples"], two["drawn"]) == ("b_png", 0)
    assert (back["samples"], back["drawn"]) == ("a_png", 1)
    assert two["classes"] == back["classes"] == ["Disc", "Late"]
    assert back["list"] == ["a.png – 1 sample", "b.png – 2 samples", "c.png"]
    assert window.found["tables"] == ["a_png", "b_png", "samples"]


def test_a_photo_is_labelled_where_it_is_seen(window: Window) -> None:
    """From 0, 0 to the right and down."""
    expected = [0.2 * SIDE, -0.5 * SIDE, 0.4 * SIDE, -0.2 * SIDE]
    assert window.found["photo_box"] == pytest.approx(expected, abs=1.5)
    assert window.found["count"] == pytest.approx(24 * 36, rel=0.1)


def test_a_folder_without_images_is_a_sentence(window: Window) -> None:
    """It names the folder and the way out."""
    assert window.found["sentence"].endswith("holds no rasters. Choose another folder.")
