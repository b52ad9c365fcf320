"""The fields of the dock 'Label objects' for the imagery and the samples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt import sip

from geodl_plugin.core.samples.layer import empty_samples
from geodl_plugin.gui.label_sources import LabelSources
from tests.qgis.test_sample_layer import UTM
from tests.unit.inference.support import write_raster


@pytest.fixture
def sources(qgis_new_project: None, tmp_path: Path) -> Iterator[LabelSources]:
    """Return the fields in a project with three layers of each kind, the second ones chosen."""
    project, made = QgsProject.instance(), LabelSources()
    for name in "abc":
        path = str(empty_samples(tmp_path / f"{name}.gpkg", UTM))
        project.addMapLayer(QgsVectorLayer(path, f"samples {name}", "ogr"))
        path = str(write_raster(tmp_path / f"{name}.tif", np.zeros((1, 8, 8), np.uint8)))
        project.addMapLayer(QgsRasterLayer(path, f"image {name}", "gdal"))
    made.choose(project.mapLayersByName("samples b")[0])
    made.raster_field.setLayer(project.mapLayersByName("image b")[0])
    yield made
    sip.delete(made)


def test_samples_that_leave_the_project_are_told(sources: LabelSources) -> None:
    """It is told while the layer is still there, and no other one is drawn into instead."""
    told = []
    layer = sources.samples()
    sources.samples_changed.connect(lambda each: told.append((each, sip.isdeleted(layer))))
    QgsProject.instance().removeMapLayer(layer.id())
    assert told == [(None, False)]
    assert sources.samples() is None


def test_imagery_that_leaves_the_project_is_told(sources: LabelSources) -> None:
    """First that it goes, then which one the field shows instead."""
    told = []
    sources.raster_changed.connect(lambda each: told.append(each and each.name()))
    QgsProject.instance().removeMapLayer(sources.raster().id())
    assert told[0] is None
    assert told[-1] == sources.raster().name() != "image b"


def test_other_layers_may_leave(sources: LabelSources) -> None:
    told = []
    sources.samples_changed.connect(told.append)
    sources.raster_changed.connect(told.append)
    for name in ("samples c", "image c"):
        QgsProject.instance().removeMapLayer(QgsProject.instance().mapLayersByName(name)[0].id())
    assert told == []
    assert sources.samples().name() == "samples b"


def test_a_project_may_be_closed(sources: LabelSources) -> None:
    told = []
    sources.samples_changed.connect(told.append)
    QgsProject.instance().clear()
    assert told == [None]
    assert sources.raster() is None
