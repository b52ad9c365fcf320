"""Suppressing the duplicates of a layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from osgeo import gdal, ogr

from geodl_plugin.core.errors import InputError, VectorError
from geodl_plugin.core.geo.vector import VectorReader
from geodl_plugin.core.geo.vector_writer import VectorWriter
from geodl_plugin.core.inference.suppression import SuppressionOptions, suppress_layer
from geodl_plugin.core.progress import Progress

FIELDS = {"Class": str, "Confidence": float, "note": str}
ORIGIN = np.array([528000.0, 4978000.0])


def square(x: float, y: float, side: float = 10.0) -> np.ndarray:
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]]) + ORIGIN


def diamond(x: float, y: float, radius: float = 5.0) -> np.ndarray:
    return np.array([[x - radius, y], [x, y - radius], [x + radius, y], [x, y + radius]]) + ORIGIN


def layer(path: Path, rows: list[tuple[np.ndarray, str, Any]]) -> tuple[str, str]:
    with VectorWriter(path, "EPSG:32612", FIELDS) as writer:
        for number, (ring, name, confidence) in enumerate(rows):
            row = {"Class": name, "Confidence": confidence, "note": f"row {number}"}
            writer.write_polygon([ring], row)
    return str(path), ""


def kept(tmp_path: Path, rows: list[tuple[np.ndarray, str, Any]], **options: Any) -> list[str]:
    output = tmp_path / "out.gpkg"
    source = layer(tmp_path / "in.gpkg", rows)
    removed = suppress_layer(SuppressionOptions(source, str(output), **options), Progress())
    notes = [each.attributes["note"] for each in VectorReader(output).features()]
    assert removed == len(rows) - len(notes)
    return notes


class Told(Progress):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def test_the_most_certain_of_a_class_stays_in_its_place(tmp_path: Path) -> None:
    rows = [
        (square(0, 0), "tree", 60.0),
        (square(1, 1), "tree", 90.0),
        (square(2, 2), "house", 10.0),
        (square(50, 0), "tree", 5.0),
    ]
    assert kept(tmp_path, rows, max_overlap_ratio=0.3) == ["row 1", "row 2", "row 3"]


def test_what_falls_fells_nothing(tmp_path: Path) -> None:
    rows = [(square(4 * step, 0), "tree", 90.0 - step) for step in range(3)]
    # The second overlaps both by 6/14, the first and the third share 2/18.
    assert kept(tmp_path, rows, max_overlap_ratio=0.2) == ["row 0", "row 2"]


def test_turned_shapes_are_compared_as_they_are(tmp_path: Path) -> None:
    rows = [(diamond(0, 0), "tree", 90.0), (diamond(6, 6), "tree", 80.0)]
    assert kept(tmp_path, rows) == ["row 0", "row 1"]  # only their envelopes meet
    near = [(diamond(0, 0), "tree", 90.0), (diamond(1, 0), "tree", 80.0)]
    assert kept(tmp_path, near) == ["row 0"]


def test_shapes_that_only_touch_stay(tmp_path: Path) -> None:
    rows = [(square(0, 0), "tree", 90.0), (square(10, 0), "tree", 80.0)]
    assert kept(tmp_path, rows) == ["row 0", "row 1"]


@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_neighbours_stay_whose_edges_are_rounded(tmp_path: Path, angle: float) -> None:
    """In map coordinates one ends some millionths of a millimetre behind where the next begins."""
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    starts = [412345.3 + 3.9 * place for place in range(40)]
    sides = [[0, 0], [3.9, 0], [3.9, 4], [0, 4]]
    rows = [
        (np.array([[start + x, 5e6 + y] for x, y in sides]) @ turn, "field", 50.0 + place)
        for place, start in enumerate(starts)
    ]
    assert len(kept(tmp_path, rows)) == len(rows)


def test_a_small_shape_inside_a_large_one_falls(tmp_path: Path) -> None:
    rows = [(square(0, 0, 50_000), "tree", 90.0), (square(500, 500, 2), "tree", 80.0)]
    assert kept(tmp_path, rows) == ["row 0"]
    turned = [(diamond(0, 0, 50_000), "tree", 90.0), (diamond(500, 500, 2), "tree", 80.0)]
    assert kept(tmp_path, turned) == ["row 0"]


def test_a_detection_without_confidence_ranks_last(tmp_path: Path) -> None:
    rows = [(square(0, 0), "tree", None), (square(1, 0), "tree", 1.0)]
    assert kept(tmp_path, rows) == ["row 1"]


def test_fields_and_their_types_are_kept(tmp_path: Path) -> None:
    source = tmp_path / "in.gpkg"
    path, _ = layer(source, [(square(0, 0), "tree", 50.0)])
    dataset = gdal.OpenEx(path, gdal.OF_UPDATE)
    dataset.ExecuteSQL('ALTER TABLE "in" ADD COLUMN seen DATE')
    dataset.ExecuteSQL('ALTER TABLE "in" ADD COLUMN stamp BLOB')
    dataset = None
    dataset = gdal.OpenEx(path, gdal.OF_UPDATE)
    dataset.ExecuteSQL("UPDATE \"in\" SET seen = '2026-03-01', stamp = x'00FF01'")
    dataset = None
    suppress_layer(SuppressionOptions((path, ""), str(tmp_path / "out.gpkg")), Progress())
    result = ogr.Open(str(tmp_path / "out.gpkg"))
    definition = result.GetLayer(0).GetLayerDefn()
    types = {
        definition.GetFieldDefn(i).GetName(): definition.GetFieldDefn(i).GetType()
        for i in range(definition.GetFieldCount())
    }
    assert types["seen"] == ogr.OFTDate
    found = result.GetLayer(0).GetNextFeature()
    assert found.GetField("seen") == "2026/03/01"
    assert bytes(found.GetFieldAsBinary("stamp")) == b"\x00\xff\x01"


def test_it_is_told_what_the_format_does_not_keep(tmp_path: Path) -> None:
    rows = [("A", "a", 50), ("B", "b", 90)]
    features = [
        {
            "type": "Feature",
            "properties": {"name": lower, "NAME": upper, "tags": [lower], "Confidence": confidence},
            "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [0, 9], [0, 0]]]},
        }
        for upper, lower, confidence in rows
    ]
    source = tmp_path / "in.geojson"
    source.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    for name, told in (("a.gpkg", "'NAME' is called 'NAME_2'"), ("a.shp", "'tags' is left out")):
        progress = Told()
        output = tmp_path / name
        suppress_layer(SuppressionOptions((str(source), ""), str(output)), progress)
        (found,) = VectorReader(output).features()
        assert told in progress.warnings[0]
        assert list(found.attributes.values())[:2] == ["b", "B"]
    suppress_layer(SuppressionOptions((str(source), ""), str(tmp_path / "a.fgb")), Told())
    assert (tmp_path / "a.fgb").exists()


@pytest.mark.parametrize("column", ["fid", "OBJECTID"])
def test_what_stays_keeps_the_number_by_which_others_know_it(tmp_path: Path, column: str) -> None:
    """QGIS shows it as a field; ArcGIS calls it OBJECTID."""
    rows = [(square(10 * place, 0), "tree", 50.0) for place in range(4)]
    first, _ = layer(tmp_path / "first.gpkg", rows)
    source, output = str(tmp_path / "in.gpkg"), str(tmp_path / "out.gpkg")
    gdal.VectorTranslate(source, first, layerCreationOptions=[f"FID={column}"], where="fid <> 2")
    dataset = ogr.Open(source, 1)
    dataset.GetLayer(0).DeleteFeature(1)
    dataset = None
    left = [each.fid for each in VectorReader(source).features()]
    suppress_layer(SuppressionOptions((source, ""), output), Progress())
    found = VectorReader(output)
    assert found.number_column == column
    assert [each.fid for each in found.features()] == left != [1, 2]


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    source = layer(tmp_path / "in.gpkg", [(square(0, 0), "tree", 50.0)])
    options = SuppressionOptions(source, str(tmp_path / "out.gpkg"), confidence_field="score")
    with pytest.raises(VectorError, match=r"no field 'score' in 'in'. Its fields are: Class"):
        suppress_layer(options, Progress())
    assert not (tmp_path / "out.gpkg").exists()


def test_a_confidence_that_is_no_number_is_named(tmp_path: Path) -> None:
    source = layer(tmp_path / "in.gpkg", [(square(0, 0), "tree", 50.0)])
    options = SuppressionOptions(source, str(tmp_path / "out.gpkg"), confidence_field="note")
    with pytest.raises(InputError, match="Feature 1 has 'row 0' in the field 'note'"):
        suppress_layer(options, Progress())


def test_classes_may_be_lists(tmp_path: Path) -> None:
    rows = [(("oak", "old"), 0, 50), (("oak", "old"), 1, 90), (("oak",), 2, 10)]
    features = [
        {
            "type": "Feature",
            "properties": {"Class": list(tags), "Confidence": confidence},
            "geometry": {"type": "Polygon", "coordinates": [[[x, 0], [x + 9, 0], [x, 9], [x, 0]]]},
        }
        for tags, x, confidence in rows
    ]
    source, output = tmp_path / "in.geojson", tmp_path / "out.gpkg"
    source.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assert suppress_layer(SuppressionOptions((str(source), ""), str(output)), Progress()) == 1
    found = [each.attributes["Confidence"] for each in VectorReader(output).features()]
    assert sorted(found) == [10, 90]


def test_points_are_refused(tmp_path: Path) -> None:
    with VectorWriter(tmp_path / "in.gpkg", "", FIELDS, "Point") as writer:
        writer.write(ogr.CreateGeometryFromWkt("POINT(0 0)"), {"Confidence": 1.0})
    options = SuppressionOptions((str(tmp_path / "in.gpkg"), ""), str(tmp_path / "out.gpkg"))
    with pytest.raises(InputError, match=r"holds Point features. Choose a layer of polygons"):
        suppress_layer(options, Progress())


boxes = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 20), st.integers(0, 1)),
    max_size=25,
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(boxes, st.sampled_from([0.1, 0.3, 0.5]))
def test_rectangles_are_suppressed_as_torchvision_does_it(
    tmp_path: Path, found: list[tuple[int, int, int, int]], ratio: float
) -> None:
    rows = [
        (square(x, y, side), "ab"[label], 90.0 - number)
        for number, (x, y, side, label) in enumerate(found)
    ]
    corners = torch.tensor([[x, y, x + side, y + side] for x, y, side, _ in found]).float()
    expected = torchvision.ops.batched_nms(
        corners.reshape(-1, 4),
        torch.arange(len(found), 0, -1).float(),
        torch.tensor([label for *_, label in found], dtype=torch.long),
        ratio,
    )
    assert kept(tmp_path, rows, max_overlap_ratio=ratio) == [
        f"row {index}" for index in sorted(expected.tolist())
    ]
