"""Classifying features: what they keep, where they are cut out, what has no class."""

from __future__ import annotations

import dataclasses
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from osgeo import ogr

from geodl_plugin.core.errors import InputError, RasterError
from geodl_plugin.core.geo.crs import same_crs
from geodl_plugin.core.geo.vector import VectorReader
from geodl_plugin.core.inference.crops import WholeReader
from geodl_plugin.core.inference.engine import Engine
from geodl_plugin.core.inference.objects import classify as classify_features
from geodl_plugin.core.inference.objects import run
from geodl_plugin.core.inference.options import ObjectOptions
from geodl_plugin.core.inference.pipeline import READERS
from geodl_plugin.core.samples.schema import Schema

from .support import (
    NORTH_UP,
    make_job,
    make_model,
    read_features,
    write_model,
    write_polygons,
    write_raster,
)
from .test_engine import Heard
from .test_pixels import damaged

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
    from geodl_plugin.core.geo.crs import transform_bounds

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


def test_neighbours_of_the_raster_have_no_class(tmp_path: Path, source: str) -> None:
    """They share a side or a corner with it, or nearly so; the last two lie on its first pixel."""
    shapes = [
        rectangle(200, 20, 5, 5),
        rectangle(-5, -5, 5, 5),
        rectangle(-5, 20, 5.0001, 5),
        rectangle(-5, 20, 6, 5),
        f"POINT({X} {Y})",
    ]
    features = write_polygons(tmp_path / "a.gpkg", shapes, 32616)
    _, found = classify(source, tmp_path, features)
    assert [each["ClassLabel"] for each in found] == [None, None, None, "Tree", "Tree"]


def test_the_bounding_box_is_brought_to_the_size_of_the_network(
    tmp_path: Path, source: str
) -> None:
    shapes = [rectangle(60, 20, 39, 39), rectangle(101, 20, 3, 3)]
    features = write_polygons(tmp_path / "a.gpkg", shapes, 32616)
    _, found = classify(source, tmp_path, features, crop={"mode": "Variable_Size"})
    # A crop of fixed size around the second one would be half dark.
    assert [each["ClassLabel"] for each in found] == ["Tree", "Car"]
    assert found[1]["Confidence"] > 99


def test_the_bounding_box_ends_at_the_edge_of_the_raster(tmp_path: Path) -> None:
    """As the crop does that is exported for training: what is beyond it is not filled up."""
    source = write_raster(tmp_path / "bright.tif", np.full((1, 100, 100), 10, np.uint8))
    shapes = [rectangle(-30, 20, 40, 10), rectangle(95, 95, 20, 20), rectangle(20, 20, 10, 10)]
    features = write_polygons(tmp_path / "a.gpkg", shapes, 32616)
    _, found = classify(source, tmp_path, features, crop={"mode": "Variable_Size"})
    assert [each["ClassLabel"] for each in found] == ["Car"] * 3
    assert len({each["Confidence"] for each in found}) == 1


def test_rounded_coordinates_add_no_row_to_a_bounding_box(tmp_path: Path) -> None:
    pixels = np.full((1, 100, 100), 10, np.uint8)
    pixels[0, [38, 40]] = 0
    source = write_raster(tmp_path / "line.tif", pixels)
    shapes = [rectangle(20, 39, 4, 1), rectangle(20, 39 - 1e-5, 4, 1 + 2e-5)]
    features = write_polygons(tmp_path / "a.gpkg", shapes, 32616)
    _, found = classify(source, tmp_path, features, crop={"mode": "Variable_Size"})
    assert [each["ClassLabel"] for each in found] == ["Car", "Car"]


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


def test_it_is_told_where_a_shapefile_cuts_a_list_of_classes(tmp_path: Path, source: str) -> None:
    names = [f"{kind} forest beside permanently irrigated land".ljust(100, ".") for kind in "abc"]
    schema = Schema.from_names(names)
    model = write_model(
        tmp_path / "m.dlpk", "TEST_OBJECTS", schema=schema, chip_size=16, several_labels=True
    )
    features = write_polygons(tmp_path / "a.gpkg", [rectangle(150, 20, 4, 4)], 32616)
    output, heard = str(tmp_path / "out.shp"), Heard()
    values = ObjectOptions([source], model, output, features=[features, "a"], score_threshold=0.0)
    run(values, heard)
    assert any("texts of 'ClassLabel' end after 254 letters" in each for each in heard.warnings)


def test_dates_and_times_are_kept(tmp_path: Path, source: str) -> None:
    path = tmp_path / "a.gpkg"
    dataset = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    layer = dataset.CreateLayer("a", None, ogr.wkbPolygon)
    layer.CreateField(ogr.FieldDefn("day", ogr.OFTDate))
    layer.CreateField(ogr.FieldDefn("moment", ogr.OFTDateTime))
    layer.CreateField(ogr.FieldDefn("stamp", ogr.OFTBinary))
    feature = ogr.Feature(layer.GetLayerDefn())
    feature.SetField("day", "2024/02/29")
    feature.SetField("moment", "2024/02/29 12:30:15")
    feature.SetFieldBinaryFromHexString("stamp", "00FF01")
    feature.SetGeometry(ogr.CreateGeometryFromWkt(rectangle(20, 20, 10, 10)))
    layer.CreateFeature(feature)
    layer = dataset = None
    _, found = classify(source, tmp_path, str(path))
    assert (found[0]["day"], found[0]["ClassLabel"]) == ("2024/02/29", "Tree")
    assert found[0]["moment"].startswith("2024/02/29 12:30:15")
    # Older versions of GDAL give bytes as text.
    assert found[0]["stamp"] in ("00FF01", b"\x00\xff\x01")
    assert VectorReader(tmp_path / "out.gpkg").definitions["day"].GetType() == ogr.OFTDate


def test_without_features_each_raster_is_an_object(tmp_path: Path) -> None:
    sources = []
    for name, value, epsg in (("dark", 1, 32616), ("bright ü", 10, 32617), ("void", 255, 32616)):
        pixels = np.full((1, 40, 90), value, np.uint8)
        sources.append(write_raster(tmp_path / f"{name}.tif", pixels, epsg=epsg, nodata=255))
    model = write_model(tmp_path / "m.dlpk", "TEST_OBJECTS", chip_size=16)
    output = str(tmp_path / "out.gpkg")
    heard = Heard()
    result = run(ObjectOptions(sources, model, output), heard)
    found = read_features(output)
    assert [each["Raster"] for each in found] == ["dark.tif", "bright ü.tif", "void.tif"]
    assert [each["ClassLabel"] for each in found] == ["Tree", "Car", None]
    assert result["object_count"] == 2 and len(heard.warnings) == 1
    assert found[0]["geometry"].GetArea() == pytest.approx(40 * 90 / 4)
    xmin, *_ = found[1]["geometry"].GetEnvelope()
    assert xmin > X + 100_000  # the next zone of the projection


def test_the_cell_size_says_nothing_of_rasters_that_are_objects(tmp_path: Path) -> None:
    """They are brought to the side of the network, and were called too large or small."""
    source = write_raster(tmp_path / "a.tif", np.ones((1, 40, 40), np.uint8))
    model = write_model(tmp_path / "m.dlpk", "TEST_OBJECTS", chip_size=16, cell_size=[9.0, 9.0])
    heard = Heard()
    run(ObjectOptions([source], model, str(tmp_path / "out.gpkg"), cell_size=50.0), heard)
    assert not heard.warnings and read_features(tmp_path / "out.gpkg")[0]["ClassLabel"] == "Tree"
    features = write_polygons(tmp_path / "f.gpkg", [rectangle(2, 2, 9, 9)], 32616)
    classify(source, tmp_path, features, heard, cell_size=[9.0, 9.0])
    assert "objects appear 18 times as large" in "".join(heard.warnings)


def test_large_rasters_are_read_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geodl_plugin.core.inference.crops.LARGEST_CROP", 20)
    pixels = np.zeros((1, 400, 400), np.uint8)
    pixels[0, ::2] = 20  # on average as bright as a car
    source = write_raster(tmp_path / "a.tif", pixels)
    model = write_model(tmp_path / "m.dlpk", "TEST_OBJECTS", chip_size=16)
    run(ObjectOptions([source], model, str(tmp_path / "out.gpkg")), Heard())
    assert read_features(tmp_path / "out.gpkg")[0]["ClassLabel"] == "Car"


def test_few_photos_are_in_memory_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, photos = WholeReader.__call__, []
    alive = []

    def counted(reader: WholeReader, subject: Any) -> Any:
        image = read(reader, subject)
        photos.append(weakref.ref(image))
        alive.append(sum(each() is not None for each in photos))
        return image

    source = write_raster(tmp_path / "a.tif", np.ones((1, 40, 30), np.uint8))
    model = write_model(tmp_path / "m.dlpk", "TEST_OBJECTS", chip_size=16)
    monkeypatch.setattr(WholeReader, "__call__", counted)
    result = run(ObjectOptions([source] * 64, model, str(tmp_path / "out.gpkg")), Heard())
    assert result["object_count"] == 64
    assert max(alive) <= READERS, "one a thread"


@pytest.mark.parametrize("threshold, expected", [(0.5, "Tree,Car"), (0.7, "Car"), (0.99, "")])
def test_several_labels(tmp_path: Path, source: str, threshold: float, expected: str) -> None:
    class Both(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[0.5, 2.0]]).expand(len(images), 2)

    features = write_polygons(tmp_path / "a.gpkg", [rectangle(20, 20, 10, 10)], 32616)
    output = str(tmp_path / "out.gpkg")
    model = make_model("TEST_OBJECTS", chip_size=16, several_labels=True)
    for augmented in (False, True):
        options = ObjectOptions(
            [source], "", output, features=[features], score_threshold=threshold,
            test_time_augmentation=augmented,
        )  # fmt: skip
        with make_job(source, model) as job:
            engine = Engine(Both(), "cpu", "float32", 2)
            classify_features(job, VectorReader(features), engine, options, Heard())
        found = read_features(output)[0]
        assert found["ClassLabel"] == expected
        assert found["Confidence"] == pytest.approx(88.08, abs=0.01)


def test_what_cannot_be_read_has_no_class_on_demand(tmp_path: Path) -> None:
    source = damaged(tmp_path / "a.tif")
    shapes = [rectangle(20, 20, 10, 10), rectangle(200, 200, 10, 10)]
    features = write_polygons(tmp_path / "a.gpkg", shapes, 32616)
    model = write_model(tmp_path / "m.dlpk", "TEST_OBJECTS", chip_size=16)
    options = ObjectOptions([source], model, str(tmp_path / "out.gpkg"), features=[features])
    with pytest.raises(RasterError, match="cannot be read at column"):
        run(options, Heard())
    heard = Heard()
    run(dataclasses.replace(options, skip_unreadable=True), heard)
    found = read_features(tmp_path / "out.gpkg")
    assert [each["ClassLabel"] for each in found] == ["Car", None]
    assert any("The class is empty there." in each for each in heard.warnings)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2)])
def test_a_raster_that_cannot_be_opened_has_no_class_on_demand(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    one = write_raster(tmp_path / "one.tif", np.full((1, 40, 40), 10, np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"")
    void = write_raster(tmp_path / "void.tif", np.full((1, 40, 40), 255, np.uint8), nodata=255)
    sources = [(one, str(tmp_path / "broken.jpg"), void)[place] for place in order]
    model = write_model(tmp_path / "m.dlpk", "TEST_OBJECTS", chip_size=16)
    options = ObjectOptions(sources, model, str(tmp_path / "out.gpkg"))
    with pytest.raises(RasterError, match=r"broken\.jpg' cannot be opened"):
        run(options, Heard())
    heard = Heard()
    run(dataclasses.replace(options, skip_unreadable=True), heard)
    found = {each["Raster"]: each for each in read_features(tmp_path / "out.gpkg")}
    assert list(found) == [Path(each).name for each in sources]
    assert found["one.tif"]["ClassLabel"] == "Car" and found["void.tif"]["ClassLabel"] is None
    assert found["broken.jpg"]["ClassLabel"] is None and found["broken.jpg"]["geometry"] is None
    assert heard.warnings[-1] == (
        "2 of 3 rasters have no data, or cannot be read: their class is empty."
    )
    options = dataclasses.replace(options, sources=[str(tmp_path / "broken.jpg")])
    with pytest.raises(RasterError, match=r"broken\.jpg' cannot be opened"):
        run(dataclasses.replace(options, skip_unreadable=True), Heard())


def test_a_score_that_no_class_can_have_is_refused(tmp_path: Path, source: str) -> None:
    features = write_polygons(tmp_path / "a.gpkg", [rectangle(20, 20, 9, 9)], 32616)
    values = ObjectOptions([source], "", str(tmp_path / "out.gpkg"), features=[features, ""])
    with pytest.raises(InputError, match="score_threshold=50 is not between 0 and 1"):
        run(dataclasses.replace(values, score_threshold=50), Heard())


def test_a_layer_without_features_is_refused(tmp_path: Path, source: str) -> None:
    features = write_polygons(tmp_path / "a.gpkg", [], 32616)
    with pytest.raises(InputError, match="has no features"):
        classify(source, tmp_path, features)
    assert not (tmp_path / "out.gpkg").exists()
