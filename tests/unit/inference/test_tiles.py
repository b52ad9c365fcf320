"""How a raster is cut for a network."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.geo.grid import Window
from geodl_plugin.core.inference.checks import Job
from geodl_plugin.core.inference.options import DetectionOptions
from geodl_plugin.core.inference.tiles import TilePlan, plan

from .support import make_model

USUAL, WIDEST, SHARE = 128, 256, 4
sides = st.integers(20, 1500)


def cut(width: int, height: int, widest: int = WIDEST, **told: Any) -> TilePlan:
    window = Window(0, 0, width, height)
    raster: Any = SimpleNamespace(window=window, width=width, height=height)
    job = Job(make_model(), raster, window)
    options = DetectionOptions([], "", "", **told)
    return plan(job, options, SimpleNamespace(tile_step=32), USUAL, SHARE, widest)


def computed(tiles: TilePlan) -> int:
    return len(tiles) * tiles.size**2


def test_tiles_are_widened_and_keep_the_padding_of_the_usual_one() -> None:
    wide, usual = cut(9000, 7000), cut(9000, 7000, 0)
    assert (usual.size, usual.rim, wide.rim) == (128, 32, 32)
    assert usual.size < wide.size <= WIDEST
    assert computed(wide) < 0.5 * computed(usual)


def test_what_the_user_tells_is_what_is_done() -> None:
    told = cut(9000, 7000, tile_size=128)
    assert (told.size, told.rim) == (128, 32)
    assert cut(9000, 7000, padding=16).rim == 16


def test_the_padding_is_never_cut() -> None:
    """The inner part of a tile is a step of the network at least: padding gave way to it."""
    with pytest.raises(InputError, match=r"padding=20 leaves .* Use at most 16, or a larger"):
        cut(9000, 7000, tile_size=64, padding=20)
    assert cut(64, 50, tile_size=64, padding=20).size == 64  # a single tile has none
    tiles = cut(9000, 7000, 0, padding=60)
    assert (tiles.size, tiles.rim) == (160, 60)
    assert min(tile.inner.col - tile.outer.col for tile in tiles if tile.outer.col) >= 60


@settings(max_examples=60, deadline=None)
@given(sides, sides)
def test_no_raster_costs_more_by_wider_tiles(width: int, height: int) -> None:
    tiles = cut(width, height)
    assert computed(tiles) <= computed(cut(width, height, 0))
    assert tiles.size <= max(32, -(-max(width, height) // 32) * 32)
    for tile in tiles:
        inner, outer = tile.inner, tile.outer
        assert inner.col - outer.col >= min(tiles.rim, inner.col)
        assert inner.row - outer.row >= min(tiles.rim, inner.row)
        assert outer.right - inner.right >= min(tiles.rim, width - inner.right)
        assert outer.bottom - inner.bottom >= min(tiles.rim, height - inner.bottom)
