"""Tiles as a server sent them, whatever QGIS makes of them."""

from __future__ import annotations

import pytest
from qgis.core import Qgis, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QByteArray

from geodl_plugin.algorithms.raster_fetcher import Fetcher
from geodl_plugin.algorithms.raster_sources import fetch
from geodl_plugin.algorithms.xyz_tiles import XyzTiles
from geodl_plugin.core.geo.grid import Window
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.progress import Progress
from tests.qgis.tile_server import CELL, COL, ROW, TILE, ZOOM, Place, picture, serving

HALF = 2 ** (ZOOM - 1) * TILE  # pixels from the world's corner to its middle


@pytest.fixture(scope="module")
def server():
    with serving() as running:
        yield running


def tiles_of(source, cell=CELL):
    layer = QgsRasterLayer(source, "tiles", "wms")  # its provider dies with it
    return XyzTiles.of(layer.dataProvider(), cell)


def of_picture(col, row, width, height):
    return Window(COL - HALF + col, ROW - HALF + row, width, height)


def colours(image):
    return image[:, :, [2, 1, 0, 3]].transpose(2, 0, 1)


@pytest.mark.parametrize("kept", [0, 10**6], ids=["nothing is kept", "all is kept"])
def test_what_qgis_has_fetched_before_is_asked_for_again(provider, server, monkeypatch, kept):
    monkeypatch.setattr("geodl_plugin.algorithms.xyz_tiles.KEPT", kept)
    tiles = tiles_of(server.xyz())
    for window in ((100, 200, 600, 400), (255, 255, 2, 2), (0, 0, 256, 256)):
        col, row, width, height = window
        found = colours(tiles.pixels(of_picture(*window)))
        assert (found == picture()[:, row : row + height, col : col + width]).all()


def test_other_levels_and_other_ways_to_count(provider, server):
    coarser = tiles_of(server.xyz(), 2 * CELL)
    found = colours(coarser.pixels(Window((COL - HALF) // 2, (ROW - HALF) // 2, 8, 8)))
    assert (found == picture()[:, 1:16:2, 1:16:2]).all()
    upwards = tiles_of(server.xyz().replace("{y}", "{-y}"))  # as TMS counts its rows
    mirrored = 2**ZOOM * TILE - ROW - TILE - HALF
    found = colours(upwards.pixels(Window(COL - HALF, mirrored, TILE, TILE)))
    assert (found == picture()[:, :TILE, :TILE]).all()


def test_what_is_not_known_is_left_to_qgis(provider, server):
    assert tiles_of(server.xyz(), 1.1 * CELL) is None
    assert tiles_of(server.xyz().replace("{x}", "{q}")) is None
    assert tiles_of(server.wms()) is None
    assert tiles_of(server.xyz("missing")).pixels(of_picture(0, 0, 4, 4)) is None
    larger = tiles_of(server.xyz() + "&tilePixelRatio=2", CELL / 2)
    assert larger is not None and larger.pixels(Window(0, 0, 4, 4)) is None  # of 256, not 512


def fetched(source, folder):
    left, top = Place.left, Place.top
    extent = QgsRectangle(left, top - 300 * CELL, left + 500 * CELL, top)
    layer = QgsRasterLayer(source, "tiles", "wms")
    with Raster.open(fetch(layer, folder, Progress(), extent, CELL)) as raster:
        return raster.read(raster.window).pixels


def test_where_qgis_draws_a_tile_does_not_matter(provider, server, tmp_path, monkeypatch):
    draw = Fetcher._block

    def misplaced(self, *arguments):
        block = draw(self, *arguments)
        block.setData(QByteArray(bytes(reversed(block.data().data()))))
        return block

    monkeypatch.setattr(Fetcher, "_block", misplaced)
    assert (fetched(server.xyz(), tmp_path) == picture()[:3, :300, :500]).all()


@pytest.mark.skipif(Qgis.QGIS_VERSION_INT >= 34000, reason="There another thread fetches them.")
def test_tiles_that_have_just_come_are_not_asked_for_again(provider, tmp_path, monkeypatch):
    monkeypatch.setattr("geodl_plugin.algorithms.xyz_tiles.QgsBlockingNetworkRequest", None)
    with serving() as unknown:  # QGIS has none of its tiles yet
        assert (fetched(unknown.xyz(), tmp_path) == picture()[:3, :300, :500]).all()
