"""Assessing detections: files in, figures and files out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from osgeo import ogr, osr

from geodl_plugin.core.assess.detections import (
    FALSE_ALARM,
    HIT,
    MISS,
    DetectionAssessment,
    assess,
    compare,
)
from geodl_plugin.core.assess.objects import Objects
from geodl_plugin.core.assess.overlaps import Shapes
from geodl_plugin.core.errors import InputError, VectorError
from geodl_plugin.core.geo.vector import VectorReader
from geodl_plugin.core.geo.vector_writer import VectorWriter
from geodl_plugin.core.progress import Progress

FIELDS = {"Class": str, "Confidence": float}
Row = tuple[tuple[float, float, float, float], str, float]


def geometry(bounds: tuple[float, float, float, float]) -> ogr.Geometry:
    xmin, ymin, xmax, ymax = bounds
    ring = f"{xmin} {ymin},{xmax} {ymin},{xmax} {ymax},{xmin} {ymax},{xmin} {ymin}"
    return ogr.CreateGeometryFromWkt(f"POLYGON(({ring}))")


def objects(rows: list[Row], classes: bool = True) -> Objects:
    return Objects(
        Shapes.of([geometry(row[0]) for row in rows]),
        tuple(row[1] if classes else "" for row in rows),
        np.array([row[2] for row in rows], dtype=float),
        np.ones(len(rows), dtype=bool),
    )


def write(path: Path, rows: list[Row], crs: str = "EPSG:32612") -> tuple[str, str]:
    with VectorWriter(path, crs, FIELDS) as writer:
        for bounds, name, confidence in rows:
            writer.write(geometry(bounds), {"Class": name, "Confidence": confidence})
    return str(path), ""


def rows_of(path: Path) -> list[dict[str, Any]]:
    dataset = ogr.Open(str(path))
    return [feature.items() for feature in dataset.GetLayer(0)]


TREES: list[Row] = [
    ((0, 0, 10, 10), "Tree", 90.0),
    ((20, 0, 30, 10), "Tree", 80.0),
    ((40, 0, 50, 10), "Shrub", 70.0),
]


def test_an_overlap_of_exactly_the_minimum_is_a_hit_wherever_it_lies() -> None:
    """The digits of map coordinates round it to a little more or less."""
    corners = [(412345.3 + 0.3 * 37 * step, 5123456.1 + 0.3 * 29 * step) for step in range(60)]
    wholes: list[Row] = [((x, y, x + 7.2, y + 3.6), "Tree", 90.0) for x, y in corners]
    halves: list[Row] = [((x, y, x + 7.2, y + 1.8), "Tree", 90.0) for x, y in corners]
    assert compare(objects(halves), objects(wholes), 0.5).overall.true_positive == 60
    assert compare(objects(wholes), objects(wholes), 1.0).overall.true_positive == 60
    assert compare(objects(halves), objects(wholes), 0.51).overall.true_positive == 0


def test_perfect_detections_score_one() -> None:
    result = compare(objects(TREES), objects(TREES), 0.5)
    assert [score.name for score in result.scores] == ["Shrub", "Tree", "All"]
    for score in result.scores:
        assert (score.precision, score.recall, score.f1) == (1.0, 1.0, 1.0)
        assert score.average_precision == pytest.approx(1.0)
    assert result.mean_average_precision == pytest.approx(1.0)


def test_a_shifted_box_counts_up_to_its_overlap() -> None:
    """Moved by a fifth of its width it keeps 80 of 120: two thirds."""
    shifted: list[Row] = [((2, 0, 12, 10), "Tree", 90.0)]
    found = compare(objects(shifted), objects(TREES[:1]), 0.66)
    lost = compare(objects(shifted), objects(TREES[:1]), 0.67)
    assert found.overall.f1 == 1.0
    assert lost.overall.f1 == 0.0
    # Of COCO's ten levels 0.50, 0.55, 0.60 and 0.65 are passed.
    assert found.mean_average_precision == pytest.approx(0.4)


def test_duplicates_are_false_alarms() -> None:
    twice = [TREES[0], ((0.5, 0, 10.5, 10), "Tree", 50.0)]
    overall = compare(objects(twice), objects(TREES[:1]), 0.5).overall
    assert (overall.true_positive, overall.false_positive, overall.false_negative) == (1, 1, 0)


def test_classes_are_compared_when_given_and_only_then() -> None:
    wrong = [(TREES[0][0], "Shrub", 90.0)]
    aware = compare(objects(wrong), objects(TREES[:1]), 0.5).overall
    blind = compare(objects(wrong, False), objects(TREES[:1], False), 0.5)
    assert aware.f1 == 0.0
    assert [score.name for score in blind.scores] == ["All"]
    assert blind.overall.f1 == 1.0


def test_a_class_without_reference_has_no_average_precision() -> None:
    result = compare(objects(TREES), objects(TREES[:2]), 0.5)
    shrub, tree, overall = result.scores
    assert shrub.average_precision is None
    assert overall.average_precision == tree.average_precision == pytest.approx(1.0)
    assert overall.false_positive == 1


@given(st.permutations(range(6)), st.permutations(range(6)))
def test_the_order_of_the_files_does_not_matter(first: list[int], second: list[int]) -> None:
    truth: list[Row] = [((12 * i, 0, 12 * i + 10, 10), "Tree", 1.0) for i in range(6)]
    found: list[Row] = [
        ((12 * i + i, 0, 12 * i + i + 10, 10), "Tree", float(i % 3)) for i in range(6)
    ]
    straight = compare(objects(found), objects(truth), 0.4)
    mixed = compare(objects([found[i] for i in first]), objects([truth[i] for i in second]), 0.4)
    assert straight.scores == mixed.scores
    assert straight.mean_average_precision == mixed.mean_average_precision


def test_the_files_of_a_run(tmp_path: Path) -> None:
    alarm: Row = ((70, 0, 80, 10), "Tree", 40.0)
    options = DetectionAssessment(
        write(tmp_path / "found.gpkg", [TREES[0], TREES[2], alarm]),
        write(tmp_path / "truth.gpkg", TREES),
        "class",
        "Class",
        table=str(tmp_path / "table.csv"),
        report=str(tmp_path / "new" / "report.html"),
        matches=str(tmp_path / "matches.gpkg"),
    )
    result = assess(options, Progress())
    assert result["PRECISION"] == result["RECALL"] == pytest.approx(2 / 3)
    table = rows_of(tmp_path / "table.csv")
    assert [row["Class"] for row in table] == ["Shrub", "Tree", "All"]
    assert [row["True_Positive"] for row in table] == ["1", "1", "2"]
    kinds = [row["Match"] for row in rows_of(tmp_path / "matches.gpkg")]
    assert kinds == [HIT, HIT, FALSE_ALARM, MISS]
    page = (tmp_path / "new" / "report.html").read_text(encoding="utf-8")
    assert "2 of 3 reference objects were found" in page
    assert "<svg" in page and "http" not in page
    assert not list(tmp_path.rglob("*.part*"))


def test_layers_in_different_systems(tmp_path: Path) -> None:
    here, there = osr.SpatialReference(), osr.SpatialReference()
    here.ImportFromEPSG(32612)
    there.ImportFromEPSG(4326)
    for reference in (here, there):
        reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    transform = osr.CoordinateTransformation(here, there)
    rows: list[Row] = [((528000, 4978000, 528010, 4978010), "Tree", 90.0)]
    detections = write(tmp_path / "found.gpkg", rows)
    with VectorWriter(tmp_path / "truth.gpkg", "EPSG:4326", FIELDS) as writer:
        turned = geometry(rows[0][0])
        turned.Transform(transform)
        writer.write(turned, {"Class": "Tree"})
    truth = (str(tmp_path / "truth.gpkg"), "")
    result = assess(DetectionAssessment(detections, truth, min_iou=0.99), Progress())
    assert result["F1_SCORE"] == 1.0


def test_a_mask_limits_both_sides(tmp_path: Path) -> None:
    """Outside the mask lie a miss and a false alarm; on its edge a pair with one centre outside."""
    inside: Row = ((0, 0, 10, 10), "Tree", 90.0)
    edge_found: Row = ((90, 0, 100, 10), "Tree", 80.0)
    edge_truth: Row = ((92, 0, 102, 10), "Tree", 1.0)
    options = DetectionAssessment(
        write(tmp_path / "found.gpkg", [inside, edge_found, ((300, 0, 310, 10), "Tree", 70.0)]),
        write(tmp_path / "truth.gpkg", [inside, edge_truth, ((200, 0, 210, 10), "Tree", 1.0)]),
        mask=write(tmp_path / "mask.gpkg", [((-5, -5, 96, 20), "", 0.0)]),
        matches=str(tmp_path / "matches.gpkg"),
    )
    result = assess(options, Progress())
    assert (result["PRECISION"], result["RECALL"]) == (1.0, 1.0)
    assert len(rows_of(tmp_path / "matches.gpkg")) == 1


def test_no_polygon_of_a_mask_is_left_out(tmp_path: Path) -> None:
    """GDAL does not join what crosses itself, and says nothing."""
    rows: list[Row] = [((x, 0, x + 4, 4), "Tree", 90.0) for x in range(0, 120, 10)]
    found = write(tmp_path / "found.gpkg", rows)
    shapes = [
        "POLYGON((0 -9,30 9,30 -9,0 9,0 -9))",  # a bow tie
        "POLYGON((38 -5,38 9,64 9,64 -5,48 -5,48 20,49 20,49 -7,38 -5))",
        "POLYGON((100 -9,100 9,120 9,120 -9,100 -9))",
        "CURVEPOLYGON(CIRCULARSTRING(70 0,90 20,70 0))",
    ]
    with VectorWriter(tmp_path / "mask.gpkg", "EPSG:32612", {}, "Unknown") as writer:
        for text in shapes:
            writer.write(ogr.CreateGeometryFromWkt(text), {})
    options = DetectionAssessment(
        found,
        found,
        mask=(str(tmp_path / "mask.gpkg"), ""),
        matches=str(tmp_path / "matches.gpkg"),
    )
    assess(options, Progress())
    matches = VectorReader(tmp_path / "matches.gpkg").features()
    centres = [each.geometry.Centroid().GetX() for each in matches]
    assert centres == [2, 22, 42, 52, 62, 72, 82, 102, 112]


WORLD: Row = ((-180, -90, 180, 90), "", 0.0)  # no UTM zone has coordinates for all of it


def test_a_mask_may_reach_where_the_objects_system_does_not(tmp_path: Path) -> None:
    row: Row = ((500000, 4000000, 500010, 4000010), "Tree", 90.0)
    found = write(tmp_path / "found.gpkg", [row])
    world = write(tmp_path / "world.gpkg", [WORLD], "EPSG:4326")
    assert assess(DetectionAssessment(found, found, mask=world), Progress())["F1_SCORE"] == 1.0


def test_a_class_may_be_called_all(tmp_path: Path) -> None:
    """So is the row of all classes."""
    rows: list[Row] = [((0, 0, 10, 10), "Tree", 90.0)]
    options = DetectionAssessment(
        write(tmp_path / "found.gpkg", rows),
        write(tmp_path / "truth.gpkg", [*rows, ((50, 0, 60, 10), "All", 1.0)]),
        class_field="Class",
        reference_class_field="Class",
        table=str(tmp_path / "table.gpkg"),
    )
    assert assess(options, Progress())["MAP"] == pytest.approx(0.5)
    found = [(each["Class"], each["True_Positive"]) for each in rows_of(tmp_path / "table.gpkg")]
    assert found == [("All", 0), ("Tree", 1), ("All", 1)]


def test_invalid_polygons_are_mended(tmp_path: Path) -> None:
    bow = ogr.CreateGeometryFromWkt("POLYGON((0 0,10 10,10 0,0 10,0 0))")
    with VectorWriter(tmp_path / "bow.gpkg", "EPSG:32612", FIELDS) as writer:
        writer.write(bow, {"Class": "Tree"})
    layer = (str(tmp_path / "bow.gpkg"), "")
    assert assess(DetectionAssessment(layer, layer), Progress())["F1_SCORE"] == 1.0


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".fgb"])
def test_matches_are_polygons_where_the_layers_have_spikes_and_lines(
    tmp_path: Path, suffix: str
) -> None:
    spike = "POLYGON((0 0,10 0,10 10,20 10,10 10,0 10,0 0))"
    flat = "POLYGON((50 0,60 0,50 0))"
    for name in ("found", "truth"):
        with VectorWriter(tmp_path / f"{name}.gpkg", "EPSG:32612", FIELDS) as writer:
            for text in (spike, flat):
                writer.write(ogr.CreateGeometryFromWkt(text), {"Class": "Tree"})
    matches = tmp_path / f"matches{suffix}"
    found, truth = ((str(tmp_path / f"{name}.gpkg"), "") for name in ("found", "truth"))
    assess(DetectionAssessment(found, truth, matches=str(matches)), Progress())
    shapes = [
        (each.attributes["Match"], each.geometry.GetDimension(), each.area)
        for each in VectorReader(matches).features()
    ]
    assert sorted(shapes) == [(FALSE_ALARM, 2, 0.0), (HIT, 2, 100.0), (MISS, 2, 0.0)]


def test_wrong_input_is_one_sentence(tmp_path: Path) -> None:
    found = write(tmp_path / "found.gpkg", TREES)
    empty = write(tmp_path / "empty.gpkg", [])
    others = write(tmp_path / "others.gpkg", [((0, 0, 1, 1), "House", 1.0)])
    with VectorWriter(tmp_path / "points.gpkg", "EPSG:32612", FIELDS, "Point") as writer:
        writer.write(ogr.CreateGeometryFromWkt("POINT(1 1)"), {})
    points = (str(tmp_path / "points.gpkg"), "")
    wrong = [
        (DetectionAssessment(found, found, min_iou=0), InputError, "above 0"),
        (DetectionAssessment(("gone", ""), found, table="a.shp"), VectorError, "to be a table"),
        (DetectionAssessment(found, found, "Class"), InputError, "of the reference too"),
        (DetectionAssessment(found, found, "Klasse", "Class"), VectorError, "no field 'Klasse'"),
        (DetectionAssessment(found, empty), InputError, "has no polygons"),
        (DetectionAssessment(points, found), InputError, "choose a polygon layer"),
        (DetectionAssessment(found, others, "Class", "Class"), InputError, "'House'"),
        (DetectionAssessment(found, found, mask=empty), InputError, "mask 'empty' holds .* no obj"),
    ]
    for options, kind, words in wrong:
        with pytest.raises(kind, match=words):
            assess(options, Progress())


def test_detections_without_objects(tmp_path: Path) -> None:
    options = DetectionAssessment(
        write(tmp_path / "found.gpkg", []),
        write(tmp_path / "truth.gpkg", TREES),
        report=str(tmp_path / "report.html"),
        table=str(tmp_path / "table.gpkg"),
    )
    result = assess(options, Progress())
    assert (result["RECALL"], result["PRECISION"]) == (0.0, None)
    assert VectorReader(tmp_path / "table.gpkg").count == 1
