"""Layers that only QGIS opens, in ``qgis_process``: given as text, fetched, cut into chips."""

from __future__ import annotations

import pytest

from geodl_plugin.core.chips.folder import open_folder
from tests.qgis.tile_server import CELL, Place, picture, serving
from tests.unit.inference.support import write_polygons


@pytest.fixture(scope="module")
def server():
    with serving() as running:
        yield running


def test_chips_from_tiles(qgis_process, server, tmp_path):
    left, top = Place.left + 150 * CELL, Place.top - 250 * CELL
    right, bottom = left + 40 * CELL, top - 20 * CELL
    box = f"POLYGON(({left!r} {top!r},{right!r} {top!r},{right!r} {bottom!r},{left!r} {bottom!r}))"
    box = box.replace("))", f",{left!r} {top!r}))")
    values = {
        "LABELS": write_polygons(tmp_path / "labels.gpkg", [box], 3857, value=[4]),
        "FORMAT": "Classified_Tiles",
        "TILE_SIZE_X": 128,
        "TILE_SIZE_Y": 128,
        "STRIDE_X": 128,
        "STRIDE_Y": 128,
        "EXTENT": Place.extent(128, 128, 256, 256),
        "CELL_SIZE": repr(CELL),
    }
    target = tmp_path / "chips"
    answer = qgis_process.run(
        "exporttrainingdata", INPUT="wms://" + server.xyz(), OUTPUT=target, **values
    )
    assert answer.code == 0, answer.errors
    assert answer.results["CHIP_COUNT"] == 2
    folder = open_folder(target)
    assert (folder.read_image(folder.chips[0]).pixels == picture()[:3, 128:256, 128:256]).all()
    assert folder.read_label(folder.chips[0]).values[122:, 22:62].all()

    answer = qgis_process.run(
        "exporttrainingdata",
        INPUT="wms://" + server.xyz("missing"),
        OUTPUT=tmp_path / "none",
        **values,
    )
    assert answer.code == 1
    assert "cannot be fetched" in answer.errors and "Traceback" not in answer.errors
    assert not (tmp_path / "none").exists()
