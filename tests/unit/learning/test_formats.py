"""The same labels teach the same, in whatever format they are stored."""

from __future__ import annotations

import numpy as np
import pytest

from geodl_plugin.core.chips.export import export_chips
from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.chips.options import ExportOptions
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.geo.vector_writer import VectorWriter
from geodl_plugin.core.learning.chip_store import ChipStore
from geodl_plugin.core.models.registry import model_type
from geodl_plugin.core.progress import Progress

BOXES = np.array([[4, 6, 20, 25], [40, 30, 62, 60], [70, 70, 90, 95]], float)


@pytest.fixture
def store(tmp_path):
    """Return a function that exports one raster and opens the chips as a training does."""
    raster, labels = tmp_path / "a.tif", tmp_path / "labels.gpkg"
    pixels = np.random.default_rng(3).integers(0, 255, (3, 128, 128)).astype(np.uint8)
    write_chip(raster, pixels, GeoTransform(0, 1, 0, 128, 0, -1), "")
    with VectorWriter(labels, "", {"value": int}) as writer:
        for (xmin, ymin, xmax, ymax), value in zip(BOXES, (7, 42, 7)):
            corners = [[xmin, ymin], [xmax, ymin], [xmax, ymax], [xmin, ymax]]
            writer.write_polygon([np.array(corners) * [1, -1] + [0, 128]], {"value": value})

    def export(keyword, **changes):
        size = {"width": 128, "height": 128, "stride_x": 128, "stride_y": 128}
        options = ExportOptions(
            (str(raster),),
            str(labels),
            str(tmp_path / keyword),
            format=keyword,
            **{**size, **changes},
        )
        folder = open_folder(export_chips(options, Progress()).folder)
        return ChipStore(folder, folder.schema.values)

    return export


@pytest.mark.parametrize("keyword", model_type("SSD").formats)
def test_detectors_see_the_same_boxes(store, keyword):
    sample = store(keyword)[0]
    assert np.allclose(sample.boxes, BOXES, atol=0.01)
    assert sample.labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize("keyword", model_type("FEATURE_CLASSIFIER").formats)
def test_classifiers_see_the_same_classes(store, keyword):
    chips = store(keyword, width=32, height=32, stride_x=0, stride_y=0)
    assert [chips[place].labels.tolist() for place in range(3)] == [[0], [1], [0]]
