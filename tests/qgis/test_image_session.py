"""A folder of images that is labelled, in which some cannot be opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt import sip

from geodl_plugin.gui.label_dock import LabelDock
from tests.unit.inference.support import write_raster


@pytest.fixture
def dock(qgis_new_project: None, qgis_iface: Any) -> Iterator[LabelDock]:
    made = LabelDock(qgis_iface)
    yield made
    made.shut_down()
    sip.delete(made)  # or it hears of the layers that go when Python itself ends


def folder_of(place: Path, names: str) -> str:
    """Return a folder with an image for each letter; capital ones cannot be opened."""
    place.mkdir()
    for number, name in enumerate(names):
        path = place / f"{number}{name}.tif"
        if name.isupper():
            path.write_bytes(b"no image")
        else:
            write_raster(path, np.zeros((1, 8, 8), np.uint8))
    return str(place)


def shown(dock: LabelDock) -> tuple[str, str, str]:
    """Return the image, what the list shows, and what is told."""
    layer = dock.sources.raster()
    listed = dock._panel.images.list.currentText().partition(".")[0]
    return "" if layer is None else layer.name(), listed, dock.notice.text


def test_steps_go_past_what_cannot_be_opened(dock: LabelDock, tmp_path: Path) -> None:
    dock.images.open(folder_of(tmp_path / "images", "aBCd"))
    assert shown(dock) == ("0a", "0a", "")
    dock.images.step(1)
    assert shown(dock)[:2] == ("3d", "3d")
    assert "1B.tif' cannot be opened as a raster" in dock.notice.text
    assert dock.notice.text.endswith("Neither can 1 more.")
    dock.images.step(1)
    assert shown(dock)[:2] == ("3d", "3d")
    dock.images.step(-1)
    assert shown(dock)[:2] == ("0a", "0a")


def test_a_folder_may_begin_with_what_cannot_be_opened(dock: LabelDock, tmp_path: Path) -> None:
    dock.images.open(folder_of(tmp_path / "former", "abc"))
    dock.images.show(2)
    dock.images.open(folder_of(tmp_path / "images", "Ad"))
    assert shown(dock)[:2] == ("1d", "1d")
    assert dock.images.index == 1


def test_a_folder_of_which_nothing_can_be_opened(dock: LabelDock, tmp_path: Path) -> None:
    """Of the folder before, nothing is taken for an image of this one."""
    dock.images.open(folder_of(tmp_path / "former", "ab"))
    dock.images.show(1)
    dock.images.open(folder_of(tmp_path / "images", "A"))
    assert "cannot be opened as a raster" in dock.notice.text
    assert not dock.images.placed
    dock.images.count()
    dock.images.step(1)
    assert dock.images.index == -1


def test_an_image_lies_above_basemaps_and_stays_where_it_was_moved(
    dock: LabelDock, tmp_path: Path
) -> None:
    """Or people draw on the basemap, and move each image again."""
    project = QgsProject.instance()
    path = write_raster(tmp_path / "base.tif", np.zeros((1, 8, 8), np.uint8))
    root = project.layerTreeRoot()
    for layer in (
        QgsVectorLayer("Point", "places", "memory"),
        QgsRasterLayer(path, "basemap", "gdal"),
    ):
        project.addMapLayer(layer, False)
        root.addLayer(layer)
    dock.images.open(folder_of(tmp_path / "images", "abc"))
    assert [each.name() for each in root.children()] == ["places", "0a", "basemap"]
    dock.images.step(1)
    assert [each.name() for each in root.children()] == ["places", "1b", "basemap"]
    moved = root.children()[1]
    root.addGroup("images").addChildNode(moved.clone())
    root.removeChildNode(moved)
    dock.images.step(1)
    assert [each.name() for each in root.children()] == ["places", "basemap", "images"]
    assert [each.name() for each in root.findLayers()] == ["places", "basemap", "2c"]


def test_an_image_lies_above_a_group_of_basemaps(dock: LabelDock, tmp_path: Path) -> None:
    root, path = QgsProject.instance().layerTreeRoot(), folder_of(tmp_path / "images", "a")
    basemap = QgsRasterLayer(f"{path}/0a.tif", "basemap", "gdal")
    places = QgsVectorLayer("Point", "places", "memory")
    QgsProject.instance().addMapLayers([basemap, places], False)
    root.addGroup("notes").addGroup("mine").addLayer(places)
    root.addGroup("maps").addGroup("of others").addLayer(basemap)
    dock.images.open(path)
    assert [each.name() for each in root.children()] == ["notes", "0a", "maps"]
