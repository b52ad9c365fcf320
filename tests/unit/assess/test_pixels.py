"""Assessing class rasters against rasters, polygons and points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal, ogr, osr

from geodl_plugin.core.assess import pixels, reference
from geodl_plugin.core.assess.pixels import PixelAssessment, assess
from geodl_plugin.core.assess.reference import class_values, own_values
from geodl_plugin.core.errors import InputError, VectorError
from geodl_plugin.core.geo.vector_writer import VectorWriter
from geodl_plugin.core.progress import Progress

ORIGIN = (528000.0, 4978000.0)
NAMES = ["Ground", "Tree"]


def raster(
    path: Path,
    values: np.ndarray,
    cell: float = 1.0,
    nodata: float | None = 255,
    names: list[str] | None = NAMES,
    kind: int = gdal.GDT_Byte,
) -> str:
    dataset = gdal.GetDriverByName("GTiff").Create(
        str(path), values.shape[1], values.shape[0], 1, kind
    )
    dataset.SetGeoTransform((ORIGIN[0], cell, 0, ORIGIN[1], 0, -cell))
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32612)
    dataset.SetProjection(reference.ExportToWkt())
    band = dataset.GetRasterBand(1)
    if nodata is not None:
        band.SetNoDataValue(nodata)  # after the values, zeros would become it from GDAL 3.8 on
    band.WriteArray(values)
    if names:
        band.SetCategoryNames(names)
    return str(path)


def polygons(
    path: Path, rows: list[tuple[tuple[float, float, float, float], Any]], kind: type = int
) -> str:
    """Write boxes given in pixels of one metre from the top left corner."""
    with VectorWriter(path, "EPSG:32612", {"Classvalue": kind}) as writer:
        for (left, top, right, bottom), value in rows:
            corners = np.array([[left, -top], [right, -top], [right, -bottom], [left, -bottom]])
            writer.write_polygon([corners + ORIGIN], {"Classvalue": value})
    return str(path)


def rows_of(path: str) -> list[dict[str, Any]]:
    dataset = ogr.Open(path)  # must outlive its layer
    return [feature.items() for feature in dataset.GetLayer(0)]


def half() -> np.ndarray:
    """20 × 20 pixels, trees in the right half."""
    values = np.zeros((20, 20), np.uint8)
    values[:, 10:] = 1
    return values


class Warnings(Progress):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def test_a_raster_agrees_with_itself(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", half())
    figures = assess(PixelAssessment(path, path), Progress())
    assert figures == {"OVERALL_ACCURACY": 1.0, "MIOU": 1.0, "KAPPA": 1.0, "F1_MACRO": 1.0}


def test_no_data_is_not_compared(tmp_path: Path) -> None:
    result, truth = half(), half()
    result[0] = 255
    truth[1] = 255
    truth[2] = 1 - truth[2]
    progress = Warnings()
    figures = assess(
        PixelAssessment(raster(tmp_path / "a.tif", result), raster(tmp_path / "b.tif", truth)),
        progress,
    )
    assert figures["OVERALL_ACCURACY"] == pytest.approx(17 / 18)
    assert progress.warnings == [
        "20 pixels of the reference lie where 'a.tif' has no data; they are not compared."
    ]


def test_classes_are_told_by_their_names(tmp_path: Path) -> None:
    result = raster(tmp_path / "a.tif", half())
    truth = raster(tmp_path / "b.tif", 2 - half(), names=["", "tree", "Ground"])
    assert assess(PixelAssessment(result, truth), Progress())["OVERALL_ACCURACY"] == 1.0


def test_a_class_that_the_map_lacks_is_none_of_its_classes(tmp_path: Path) -> None:
    """Water of the reference has the number of the map's trees."""
    result = raster(tmp_path / "a.tif", half() + 2, names=["", "", "Grass", "Tree"])
    truth = raster(tmp_path / "b.tif", 2 * half() + 1, names=["", "Tree", "", "Water"])
    table = str(tmp_path / "table.csv")
    figures = assess(PixelAssessment(result, truth, table=table), Progress())
    assert figures["OVERALL_ACCURACY"] == 0.0
    assert {"Grass", "Tree", "Water"} <= {row["Class"] for row in rows_of(table)}


@pytest.mark.parametrize(
    ("names", "own", "values"),
    [
        ({1: "Tree", 2: "Water"}, {2: "Tree", 3: "Grass"}, {1: 2, 2: -1}),
        ({1: "Tree", 3: "Water"}, {2: "tree", 5: "Grass"}, {1: 2}),
        ({1: "Tree", 2: "Water"}, {1: "Tree", 2: "Grass"}, {2: -1}),
        ({1: "Wald", 2: "Wasser"}, {1: "Forest", 2: "Water"}, {}),
        ({0: "A", 1: "B", 2: "C"}, {0: "C", 1: "D", 2: "E"}, {0: -1, 1: -2, 2: 0}),
        ({1: "Tree"}, {}, {}),
    ],
)
def test_values_of_a_reference_in_those_of_the_map(
    names: dict[int, str], own: dict[int, str], values: dict[int, int]
) -> None:
    assert own_values(names, own) == values


def test_a_finer_reference(tmp_path: Path) -> None:
    result = raster(tmp_path / "a.tif", half())
    truth = raster(tmp_path / "b.tif", np.kron(half(), np.ones((4, 4), np.uint8)), 0.25)
    assert assess(PixelAssessment(result, truth), Progress())["OVERALL_ACCURACY"] == 1.0


@pytest.mark.parametrize("cell", [0.15, 0.3, 0.5])
def test_a_reference_of_half_the_cells_is_read_at_one_side_of_the_centres(
    tmp_path: Path, cell: float
) -> None:
    """What GDAL makes of it by the nearest pixel is equal to it, wherever it lies."""
    fine = np.random.default_rng(0).integers(0, 3, (300, 300)).astype(np.uint8)
    truth = raster(tmp_path / "truth.tif", fine, cell)
    result = raster(tmp_path / "result.tif", fine[1::2, 1::2], 2 * cell)
    found = assess(PixelAssessment(result, truth), Progress())
    assert found["OVERALL_ACCURACY"] == 1.0


def test_windows_join_without_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "BLOCK", 64)
    monkeypatch.setattr("geodl_plugin.core.assess.reference.SAMPLED_PIXELS", 500)
    random = np.random.default_rng(3)
    result = random.integers(0, 3, (150, 131), dtype=np.uint8)
    truth = random.integers(0, 3, (150, 131), dtype=np.uint8)
    paths = [
        raster(tmp_path / "a.tif", result, names=None),
        raster(tmp_path / "b.tif", truth, names=None),
    ]
    options = PixelAssessment(*paths, table=str(tmp_path / "table.csv"))
    figures = assess(options, Progress())
    assert figures["OVERALL_ACCURACY"] == pytest.approx((result == truth).mean())
    rows = rows_of(options.table)
    for value, row in enumerate(rows[:3]):
        expected = [str(int(((result == value) & (truth == other)).sum())) for other in range(3)]
        assert [row[f"C_{other}"] for other in range(3)] == expected
    assert rows[3]["Class"] == "Total"
    assert rows[3]["Total"] == str(150 * 131)


def test_a_reference_raster_in_another_system(tmp_path: Path) -> None:
    values = np.kron(half(), np.ones((10, 10), np.uint8))
    result = raster(tmp_path / "a.tif", values)
    truth = str(tmp_path / "b.tif")
    gdal.Warp(truth, result, dstSRS="EPSG:4326", dstNodata=255, xRes=2e-6, yRes=2e-6)
    figures = assess(PixelAssessment(result, truth), Warnings())
    assert figures["OVERALL_ACCURACY"] > 0.995


def test_polygons_cover_what_is_known(tmp_path: Path) -> None:
    """Beside the tree polygon nothing is compared: its pixels are 40 right and 20 wrong."""
    result = raster(tmp_path / "a.tif", half())
    truth = polygons(tmp_path / "b.gpkg", [((8, 0, 14, 10), 1)])
    options = PixelAssessment(result, truth, "", table=str(tmp_path / "table.gpkg"))
    assert assess(options, Progress())["OVERALL_ACCURACY"] == pytest.approx(40 / 60)


def test_ground_below_crowns_makes_everything_known(tmp_path: Path) -> None:
    """Class 0 is a class: trees in 10 × 20 of 400 pixels, half of them inside the crown."""
    result = raster(tmp_path / "a.tif", half())
    truth = polygons(tmp_path / "b.gpkg", [((0, 0, 20, 20), 0), ((10, 0, 20, 10), 1)])
    table = tmp_path / "table.gpkg"
    figures = assess(PixelAssessment(result, truth, "", table=str(table)), Progress())
    assert figures["OVERALL_ACCURACY"] == pytest.approx(0.75)
    rows = rows_of(str(table))
    assert [row["Class"] for row in rows] == ["Ground", "Tree", "Total"]
    assert [row["IoU"] for row in rows] == [pytest.approx(2 / 3), pytest.approx(0.5), None]
    assert rows[1]["Users_Accuracy"] == pytest.approx(0.5)
    assert rows[1]["Producers_Accuracy"] == 1.0


def test_later_polygons_lie_on_top_whatever_the_order_of_the_index(tmp_path: Path) -> None:
    corners = np.random.default_rng(0).integers(0, 90, (1000, 2)).tolist()
    boxes = [((x, y, x + 10, y + 10), place % 2) for place, (x, y) in enumerate(corners)]
    values = np.full((100, 100), 255, np.uint8)
    for (left, top, right, bottom), value in boxes:
        values[top:bottom, left:right] = value
    reference = polygons(tmp_path / "r.gpkg", boxes)
    path = raster(tmp_path / "a.tif", values[:40, :60])

    figures = assess(PixelAssessment(path, reference, ""), Progress())

    assert figures["OVERALL_ACCURACY"] == 1


def test_polygons_in_another_system_by_name(tmp_path: Path) -> None:
    result = raster(tmp_path / "a.tif", half())
    truth = polygons(
        tmp_path / "b.gpkg", [((0, 0, 10, 20), "ground"), ((10, 0, 20, 20), "Tree")], str
    )
    other = str(tmp_path / "c.gpkg")
    gdal.VectorTranslate(other, truth, dstSRS="EPSG:4326", reproject=True)
    figures = assess(PixelAssessment(result, other, "", "CLASSVALUE"), Progress())
    assert figures["OVERALL_ACCURACY"] == 1.0


def test_a_polygon_with_a_blank_class_is_not_compared(tmp_path: Path) -> None:
    result = raster(tmp_path / "a.tif", half())
    boxes = [((0, 0, 10, 20), "ground"), ((10, 0, 20, 10), "Tree"), ((10, 10, 20, 20), " ")]
    truth = polygons(tmp_path / "b.gpkg", boxes, str)
    figures = assess(PixelAssessment(result, truth, ""), Progress())
    assert figures["OVERALL_ACCURACY"] == 1.0


def test_points(tmp_path: Path) -> None:
    result = raster(tmp_path / "a.tif", half())
    path = tmp_path / "points.gpkg"
    with VectorWriter(path, "EPSG:32612", {"Classvalue": int}, "Point") as writer:
        for x, y, value in ((2.5, 2.5, 0), (15.2, 3.1, 1), (15.3, 3.2, 0), (400, 1, 1)):
            point = ogr.CreateGeometryFromWkt(f"POINT({ORIGIN[0] + x} {ORIGIN[1] - y})")
            writer.write(point, {"Classvalue": value})
    figures = assess(PixelAssessment(result, str(path), ""), Progress())
    assert figures["OVERALL_ACCURACY"] == pytest.approx(2 / 3)


def test_a_mask_limits_the_comparison(tmp_path: Path) -> None:
    truth = half()
    truth[10:] = 0
    mask = polygons(tmp_path / "mask.gpkg", [((0, 0, 20, 10), 1)])
    options = PixelAssessment(
        raster(tmp_path / "a.tif", half()), raster(tmp_path / "b.tif", truth), mask=(mask, "")
    )
    assert assess(options, Progress())["OVERALL_ACCURACY"] == 1.0


def test_a_polygon_may_reach_where_the_rasters_system_does_not(tmp_path: Path) -> None:
    result, world = raster(tmp_path / "a.tif", half()), str(tmp_path / "world.gpkg")
    with VectorWriter(world, "EPSG:4326", {"Classvalue": int}) as writer:
        corners = np.array([[-180, -90], [180, -90], [180, 90], [-180, 90]], float)
        writer.write_polygon([corners], {"Classvalue": 1})
    options = PixelAssessment(result, world, "", mask=(world, ""))
    assert assess(options, Progress())["OVERALL_ACCURACY"] == 0.5


def test_the_report_names_the_classes(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", half(), names=["Open <ground>", "Tree"])
    assess(PixelAssessment(path, path, report=str(tmp_path / "report.html")), Progress())
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "100.0% of 400 compared pixels" in page
    assert "Open &lt;ground&gt;" in page


def test_a_class_the_raster_lacks_counts_as_missed() -> None:
    assert class_values(["Tree", "Water", "3"], {0: "Ground", 1: "tree"}, "truth") == {
        "Tree": 1,
        "Water": -1,
        "3": 3,
    }


@pytest.mark.parametrize("kind", [gdal.GDT_Int16, gdal.GDT_Int32, gdal.GDT_Float32])
def test_a_class_below_0_is_not_the_class_that_the_raster_lacks(tmp_path: Path, kind: int) -> None:
    values = half().astype(int)
    values[values == 0] = -1
    result = raster(tmp_path / "a.tif", values, nodata=None, names=[], kind=kind)
    boxes = [((0, 0, 10, 20), "Water"), ((10, 0, 20, 20), "1")]
    truth = polygons(tmp_path / "truth.gpkg", boxes, str)
    table = str(tmp_path / "table.csv")
    figures = assess(PixelAssessment(result, truth, "", table=table), Progress())
    assert figures["OVERALL_ACCURACY"] == 0.5
    found = {each["Class"]: int(each["C_Water"]) for each in rows_of(table)}
    assert found == {"-1": 200, "1": 0, "Water": 0, "Total": 200}


def test_names_in_small_and_capital_letters_are_one_class(tmp_path: Path) -> None:
    """Columns of a table are not told apart by them."""
    boxes = [((0, 0, 5, 5), "Water"), ((5, 0, 9, 5), "WATER"), ((9, 0, 20, 5), "Tree")]
    truth = polygons(tmp_path / "truth.gpkg", boxes, str)
    table = str(tmp_path / "table.csv")
    assess(PixelAssessment(raster(tmp_path / "a.tif", half()), truth, "", table=table), Progress())
    ground = next(each for each in rows_of(table) if each["Class"] == "Ground")
    assert (int(ground["C_Water"]), int(ground["C_1"])) == (45, 5)


def test_more_values_than_can_be_burnt_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "MOST_VALUES", 8)
    labels = polygons(tmp_path / "p.gpkg", [((0, 0, 9, 9), value) for value in range(9)])
    with pytest.raises(InputError, match="'Classvalue' of 'p' has 9 different values"):
        assess(PixelAssessment(raster(tmp_path / "a.tif", half()), labels, ""), Progress())


def test_a_field_of_lists_is_refused(tmp_path: Path) -> None:
    labels = tmp_path / "truth.geojson"
    labels.write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": '
        '{"tags": ["a", "b"]}, "geometry": {"type": "Point", "coordinates": [0, 0]}}]}'
    )
    options = PixelAssessment(raster(tmp_path / "a.tif", half()), str(labels), "", "tags")
    with pytest.raises(VectorError, match="The field 'tags' of 'truth' holds lists"):
        assess(options, Progress())


def test_wrong_input_is_one_sentence(tmp_path: Path) -> None:
    result = raster(tmp_path / "a.tif", half())
    plain = raster(tmp_path / "plain.tif", half(), names=None)
    floats = raster(
        tmp_path / "f.tif", half() + 0.37, names=None, nodata=None, kind=gdal.GDT_Float32
    )
    many = raster(
        tmp_path / "m.tif", np.arange(900).reshape(30, 30), nodata=None, kind=gdal.GDT_UInt16
    )
    words = polygons(tmp_path / "w.gpkg", [((0, 0, 9, 9), "House")], str)
    far = polygons(tmp_path / "far.gpkg", [((900, 0, 990, 9), 1)])
    numbers = [((at % 20, at // 20, at % 20 + 1, at // 20 + 1), at) for at in range(600)]
    numbered = polygons(tmp_path / "numbered.gpkg", numbers)
    parcels = [(each, str(10**24 + value)) for each, value in numbers[:9]]
    large = raster(tmp_path / "large.tif", np.zeros((30, 20), np.uint8))
    with VectorWriter(tmp_path / "none.gpkg", "EPSG:32612", {"name": str}) as writer:
        writer.write_polygon([np.array([[0, 0], [1, 0], [1, 1]])], {})
    wrong = [
        (PixelAssessment(result, words, ""), "'House'.*0 Ground, 1 Tree"),
        (PixelAssessment(plain, words, ""), "its values have no names"),
        (PixelAssessment(result, far, ""), "No pixel of 'a.tif' has a known class in 'far'"),
        (PixelAssessment(floats, result), "0.37, which is no class value"),
        (PixelAssessment(many, many), "'m.tif' has .*shows no classes"),
        (PixelAssessment(large, many), "'m.tif' has .*shows no classes"),
        (PixelAssessment(large, numbered, ""), "'numbered' has .*or the field with the class"),
        (
            PixelAssessment(result, polygons(tmp_path / "p.gpkg", parcels, str), ""),
            "'1000000000000000000000000', .*0 Ground",
        ),
        (PixelAssessment(result, str(tmp_path / "none.gpkg"), ""), "no field 'Classvalue'"),
        (PixelAssessment(result, result, mask=(far, "")), "lies outside"),
    ]
    for options, text in wrong:
        with pytest.raises(InputError, match=text):
            assess(options, Progress())


def test_a_raster_of_several_bands_shows_no_classes(tmp_path: Path) -> None:
    """Percents of the tool Classify pixels, and a class band beside one of quality."""
    result, several = raster(tmp_path / "a.tif", half()), str(tmp_path / "several.tif")
    gdal.BuildVRT(several, [result, result], separate=True)
    for options in (PixelAssessment(several, result), PixelAssessment(result, several)):
        with pytest.raises(InputError, match=r"'several.tif' has 2 bands.*raster of one band"):
            assess(options, Progress())


def test_an_alpha_band_is_no_second_band(tmp_path: Path) -> None:
    result = raster(tmp_path / "a.tif", half())
    seen = str(tmp_path / "seen.tif")
    gdal.Warp(seen, result, dstAlpha=True)
    assert assess(PixelAssessment(seen, result), Progress())["OVERALL_ACCURACY"] == 1.0


def test_a_table_that_no_shapefile_holds_is_refused_before_the_work(tmp_path: Path) -> None:
    result = raster(tmp_path / "a.tif", half())
    options = PixelAssessment(result, "gone.tif", table=str(tmp_path / "matrix.shp"))
    with pytest.raises(VectorError, match=r"'matrix.shp' is to be a table.*\.csv"):
        assess(options, Progress())


def sample(path: Path, rows: list[tuple[float, float, int]], geometry: str = "Point") -> str:
    """Write points given in metres right and down from the top left corner."""
    with VectorWriter(path, "EPSG:32612", {"Classvalue": int}, geometry) as writer:
        for x, y, value in rows:
            point = ogr.CreateGeometryFromWkt(f"POINT({ORIGIN[0] + x} {ORIGIN[1] - y})")
            writer.write(point, {"Classvalue": value})
    return str(path)


@pytest.mark.parametrize("geometry", ["Point", "Unknown"])
def test_points_tell_the_areas_of_the_classes(tmp_path: Path, geometry: str) -> None:
    """Also where a file says that its layer takes any geometry."""
    values = np.zeros((200, 200), np.uint8)  # 4 ha, 1 ha of it trees
    values[:100, :100] = 1
    trees = [(2.5 + x, 2.5, 1) for x in range(8)] + [(20.5, 20.5, 0), (22.5, 20.5, 0)]
    ground = [(150.5 + x, 150.5, 0) for x in range(9)] + [(120.5, 120.5, 1)]
    points = sample(tmp_path / "points.gpkg", trees + ground, geometry)
    files = {"table": str(tmp_path / "t.csv"), "report": str(tmp_path / "r.html")}
    result = raster(tmp_path / "a.tif", values)
    assess(PixelAssessment(result, points, "", **files), Progress())
    rows = {row["Class"]: row for row in rows_of(files["table"])}
    assert float(rows["Tree"]["Area"]) == pytest.approx(0.8 * 1 + 0.1 * 3)
    assert float(rows["Ground"]["Area"]) == pytest.approx(0.2 * 1 + 0.9 * 3)
    error = np.sqrt(0.25**2 * 0.16 / 9 + 0.75**2 * 0.09 / 9) * 4 * 1.96
    assert float(rows["Tree"]["Area_95"]) == pytest.approx(error, rel=1e-4)
    page = Path(files["report"]).read_text(encoding="utf-8")
    assert "Estimated (ha)" in page and "1.100 ± 0.643" in page


@pytest.mark.parametrize("cell, shown", [(0.01, "0.0001100 ± 0.0000643"), (100, "11,000.0 ± 6")])
def test_areas_of_small_and_large_maps_have_their_digits(
    tmp_path: Path, cell: float, shown: str
) -> None:
    """Those of a field were told as 0.0 ± 0.0 ha."""
    values = np.zeros((200, 200), np.uint8)
    values[:100, :100] = 1
    trees = [(2.5 + x, 2.5, 1) for x in range(8)] + [(20.5, 20.5, 0), (22.5, 20.5, 0)]
    ground = [(150.5 + x, 150.5, 0) for x in range(9)] + [(120.5, 120.5, 1)]
    places = [(x * cell, y * cell, value) for x, y, value in trees + ground]
    points = sample(tmp_path / "points.gpkg", places)
    report = tmp_path / "r.html"
    result = raster(tmp_path / "a.tif", values, cell)
    assess(PixelAssessment(result, points, "", report=str(report)), Progress())
    assert shown in report.read_text(encoding="utf-8")


def test_a_class_without_points_is_named_and_no_area_is_estimated(tmp_path: Path) -> None:
    points = sample(tmp_path / "points.gpkg", [(2.5, 2.5, 0), (3.5, 3.5, 0), (4.5, 4.5, 0)])
    progress, table = Warnings(), str(tmp_path / "t.csv")
    assess(PixelAssessment(raster(tmp_path / "a.tif", half()), points, "", table=table), progress)
    assert progress.warnings == [
        "Areas cannot be estimated: 'Tree' of the map has fewer than two points. Add points in it."
    ]
    assert "Area" not in rows_of(table)[0]
