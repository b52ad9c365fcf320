"""Classifying features: what they keep, where they are cut out, what has no class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import ogr

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.geo.vector import VectorReader, same_crs
from geodl_plugin.core.inference.objects import run
from geodl_plugin.core.inference.options import ObjectOptions

from .support import NORTH_UP, read_features, write_model, write_polygons, write_raster
from .test_engine import Heard

X, Y = NORTH_UP[0], NORTH_UP[3]


def rectangle(col: float, row: float, width: float, height: float) -> str:
    left, top = X + col / 2, Y - row / 2
    right, bottom = left + width / 2, top - height / 2
    return f"POLYGON(({left} {top},{right} {top},{right} {bottom},{left} {bottom},{left} {top}))"


@pytest.fixture
def source(tmp_path: Path) -> str:
    """Left half dark (Tree), right half bright (Car), no data below."""
    pixels = np.full((1, 200, 200), 1, np.uint8)
    pixels[0, :, 100:] = 10
    pixels[0, 150:] = 255
    return write_raster(tmp_path / "ortho.tif", pixels, nodata=255)


def classify(source: str, folder: Path, features: str, heard: Any = None, **facts: Any) -> Any:
    model = write_model(folder / "m.dlpk", "TEST_OBJECTS", chip_size=16, **facts)
    values = ObjectOptions([source], model, str(folder / "out.gpkg"), features=[features, ""])
    result = run(values, heard or Heard())
    return result, read_features(folder / "out.gpkg")


def test_features_keep_their_fields_and_get_a_class(tmp_path: Path, source: str) -> None:
    features = write_polygons(
        tmp_path / "houses.gpkg",
        [rectangle(20, 20, 10, 10), rectangle(150, 20, 30, 4), rectangle(60, 60, 5, 5)],
        32616,
        street=["Elm", "Oak", "Ash"],
        number=[4, 5, 6],
        height=[2.5, 3.5, 4.5],
    )
    result, found = classify(source, tmp_path, features)
    assert result["object_count"] == 3
    assert [each["ClassLabel"] for each in found] == ["Tree", "Car", "Tree"]
    assert all(50 < each["Confidence"] <= 100 for each in found)
    assert [each["street"] for each in found] == ["Elm", "Oak", "Ash"]
    assert [each["number"] for each in found] == [4, 5, 6]
    assert [each["height"] for each in found] == [2.5, 3.5, 4.5]
    original = read_features(features)
    assert all(a["geometry"].Equals(b["geometry"]) for a, b in zip(original, found))


def test_points_and_lines_in_another_system(tmp_path: Path, source: str) -> None:
    from geodl_plugin.core.geo.vector import transform_bounds

    def text(kind: str, *pixels: tuple[float, float]) -> str:
        places = []
        for col, row in pixels:
            x, y = X + col / 2, Y - row / 2
            lon, lat, *_ = transform_bounds((x, y, x, y), "EPSG:32616", "EPSG:4326")
            places.append(f"{lon:.9f} {lat:.9f}")
        return f"{kind}({','.join(places)})"

    shapes = [text("POINT", (30, 30)), text("POINT", (170, 30))]
    shapes.append(text("LINESTRING", (150, 10), (155, 90)))
    features = write_polygons(tmp_path / "places.gpkg", shapes, 4326)
    _, found = classify(source, tmp_path, features)
    assert [each["ClassLabel"] for each in found] == ["Tree", "Car", "Car"]
    assert same_crs(VectorReader(tmp_path / "out.gpkg").crs, "EPSG:4326")
    assert found[2]["geometry"].GetGeometryName() == "LINESTRING"


def test_what_lies_outside_or_nowhere_has_no_class(tmp_path: Path, source: str) -> None:
    shapes = [rectangle(900, 900, 5, 5), "", rectangle(20, 170, 4, 4), rectangle(20, 20, 4, 4)]
    features = write_polygons(tmp_path / "a.gpkg", shapes, 32616, name=["a", "b", "c", "d"])
    heard = Heard()
    result, found = classify(source, tmp_path, features, heard)
    assert [each["ClassLabel"] for each in found] == [None, None, None, "Tree"]
    assert [each["Confidence"] for each in found][:3] == [None, None, None]
    assert [each["name"] for each in found] == ["a", "b", "c", "d"]
    assert result["object_count"] == 1
    assert "3 of 4 features lie outside" in heard.warnings[0]


def test_the_bounding_box_is_brought_to_the_size_of_the_network(
    tmp_path: Path, source: str
) -> None:
    shapes = [rectangle(60, 20, 39, 39), rectangle(101, 20, 3, 3)]
    features = write_polygons(tmp_path / "a.gpkg", shapes, 32616)
    _, found = classify(source, tmp_path, features, crop={"mode": "Variable_Size"})
    # A crop of fixed size around the second one would be half dark.
    assert [each["ClassLabel"] for each in found] == ["Tree", "Car"]
    assert found[1]["Confidence"] > 99


def test_the_surroundings_are_blackened(tmp_path: Path, source: str) -> None:
    features = write_polygons(tmp_path / "a.gpkg", [rectangle(150, 20, 4, 4)], 32616)
    _, plain = classify(source, tmp_path, features)
    _, black = classify(source, tmp_path, features, crop={"mode": "Fixed_Size", "blacken": True})
    assert [plain[0]["ClassLabel"], black[0]["ClassLabel"]] == ["Car", "Tree"]


def test_fields_of_an_earlier_run_are_replaced(tmp_path: Path, source: str) -> None:
    features = write_polygons(
        tmp_path / "a.gpkg", [rectangle(150, 20, 4, 4)], 32616, classlabel=["?"], confidence=[1]
    )
    _, found = classify(source, tmp_path, features)
    assert found[0]["ClassLabel"] == "Car"
    assert len(found[0]) == 3


def test_many_features_in_their_order(tmp_path: Path, source: str) -> None:
    draw = np.random.default_rng(0)
    cols = draw.choice([30, 160, 5000], 300)
    shapes = [rectangle(col, 40, 6, 6) for col in cols]
    features = write_polygons(tmp_path / "a.gpkg", shapes, 32616, number=list(range(300)))
    _, found = classify(source, tmp_path, features)
    expected = [{30: "Tree", 160: "Car", 5000: None}[col] for col in cols.tolist()]
    assert [each["ClassLabel"] for each in found] == expected
    assert [each["number"] for each in found] == list(range(300))


def test_a_shapefile_of_multipolygons(tmp_path: Path, source: str) -> None:
    text = rectangle(150, 20, 4, 4).replace("POLYGON", "MULTIPOLYGON(") + ")"
    features = write_polygons(tmp_path / "a.gpkg", [text], 32616)
    model = write_model(tmp_path / "m.dlpk", "TEST_OBJECTS", chip_size=16)
    output = tmp_path / "out.shp"
    values = ObjectOptions([source], model, str(output), features=[features, "a"])
    run(values, Heard())
    dataset = ogr.Open(str(output))
    assert dataset.GetLayer(0).GetFeatureCount() == 1
    assert dataset.GetLayer(0).GetNextFeature()["ClassLabel"] == "Car"


def test_a_layer_without_features_is_refused(tmp_path: Path, source: str) -> None:
    features = write_polygons(tmp_path / "a.gpkg", [], 32616)
    with pytest.raises(InputError, match="has no features"):
        classify(source, tmp_path, features)
    assert not (tmp_path / "out.gpkg").exists()
