"""Two dates read as one raster."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geodl_plugin.core.errors import RasterError
from geodl_plugin.core.geo.grid import Window
from geodl_plugin.core.geo.pair import RasterPair
from geodl_plugin.core.geo.raster import Raster
from tests.unit.inference.support import write_raster

PLACE = (1000.0, 1.0, 0.0, 2000.0, 0.0, -1.0)


def pair(one: str, other: str) -> RasterPair:
    return RasterPair(Raster.open(one), Raster.open(other))


def test_bands_follow_each_other_and_both_must_be_valid(tmp_path: Path) -> None:
    first = np.arange(2 * 20 * 30, dtype=np.float32).reshape(2, 20, 30)
    second = first + 5000
    first[1, 0, 0] = second[1, 5, 5] = np.nan
    paths = [write_raster(tmp_path / f"{i}.tif", each) for i, each in enumerate((first, second))]
    with pair(*paths) as both:
        assert both.band_count == 2 and both.sources == tuple(paths)
        block = both.read(Window(-2, -2, 12, 12), [1])
        assert block.pixels.shape == (2, 12, 12)
        assert not block.valid[:2].any() and not block.valid[2, 2] and not block.valid[7, 7]
        assert block.valid.sum() == 98
        difference = block.pixels[1] - block.pixels[0]
        assert (difference[block.valid] == 5000).all() and not block.pixels[:, ~block.valid].any()
        again = both.reopen()
        assert np.array_equal(again.read(both.window).pixels, both.read(both.window).pixels)


def test_the_second_is_brought_to_the_grid_of_the_first(tmp_path: Path) -> None:
    """Columns of the map, seen at another size and from another corner, stay in their place."""
    first = np.tile(np.arange(60, dtype=np.float32), (1, 60, 1))
    second = np.tile(np.arange(0.25, 30, 0.5, dtype=np.float32) + 9.75, (1, 100, 1))
    shifted = (1010.0, 0.5, 0.0, 1990.0, 0.0, -0.5)
    with pair(
        write_raster(tmp_path / "a.tif", first, PLACE),
        write_raster(tmp_path / "b.tif", second, shifted),
    ) as both:
        block = both.read(both.window)
        wanted = np.zeros((60, 60), bool)
        wanted[10:60, 10:40] = True
        assert np.array_equal(block.valid, wanted)  # though neither has a no-data value
        inner = (slice(12, 55), slice(12, 38))
        assert np.allclose(block.pixels[0][inner], block.pixels[1][inner], atol=0.3)
        assert both.is_blank(Window(45, 0, 10, 60)) and not both.is_blank(Window(30, 30, 20, 20))


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_pixels_whose_centres_the_second_does_not_reach_have_no_data(
    tmp_path: Path, kind: type
) -> None:
    """A frame of zeros was change all around the second raster."""
    first = write_raster(tmp_path / "a.tif", np.full((1, 64, 64), 50, kind), (0, 1, 0, 64, 0, -1))
    place = (10.7, 1, 0, 50.3, 0, -1)
    second = write_raster(tmp_path / "b.tif", np.full((1, 30, 30), 50, kind), place)
    with pair(first, second) as both:
        block = both.read(both.window)
        again = both.read(Window(5, 5, 50, 50))
    wanted = np.zeros((64, 64), bool)
    wanted[14:44, 11:41] = True
    assert np.array_equal(block.valid, wanted)
    assert (block.pixels[:, wanted] == 50).all()
    assert np.array_equal(again.valid, wanted[5:55, 5:55])


def test_a_first_raster_from_south_to_north_gets_its_second_the_same_way(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(1, 250, (1, 40, 60)).astype(np.uint8)
    south_up = (1000.0, 1.0, 0.0, 1960.0, 0.0, 1.0)
    with pair(
        write_raster(tmp_path / "a.tif", pixels[:, ::-1], south_up),
        write_raster(tmp_path / "b.tif", pixels, PLACE),
    ) as both:
        block = both.read(both.window)
        assert block.valid.all() and np.array_equal(block.pixels[0], block.pixels[1])


def test_rasters_that_do_not_belong_together_are_one_sentence(tmp_path: Path) -> None:
    pixels = np.zeros((1, 20, 20), np.uint8)
    here = write_raster(tmp_path / "here.tif", pixels, PLACE)
    far = write_raster(tmp_path / "far.tif", pixels, (9000.0, 1.0, 0.0, 2000.0, 0.0, -1.0))
    with pytest.raises(RasterError, match=r"'here.tif' and 'far.tif' do not overlap. Choose"):
        pair(here, far)
    other = write_raster(tmp_path / "other.tif", pixels, PLACE, epsg=3857)
    with pytest.raises(RasterError, match="different coordinate reference systems"):
        pair(here, other)
