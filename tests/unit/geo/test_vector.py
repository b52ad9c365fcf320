"""Reading and writing vector layers."""

from __future__ import annotations

import contextlib
import resource
import shutil
import sqlite3

import numpy as np
import pytest
from osgeo import gdal, ogr

from geodl_plugin.core.errors import VectorError
from geodl_plugin.core.geo import vector_writer
from geodl_plugin.core.geo.crs import spatial_reference, transform_bounds
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.shapes import rectangle, repaired, to_pixel_space
from geodl_plugin.core.geo.vector import VectorReader
from geodl_plugin.core.geo.vector_writer import DRIVERS, VectorWriter

from .shapefiles import write_encoded

UTM12 = "EPSG:32612"


def fill(path, count=3, crs=UTM12):
    with VectorWriter(path, spatial_reference(crs).ExportToWkt(), {"name": str, "n": int}) as out:
        for index in range(count):
            corner = 10.0 * index
            ring = np.array([[0, 0], [4, 0], [4, 4], [0, 4]]) + corner
            out.write_polygon([ring], {"name": f"ä {index}", "n": index, "other": 1})
    return path


@pytest.mark.parametrize("suffix", list(DRIVERS))
def test_every_format_returns_what_was_written(tmp_path, suffix):
    path = fill(tmp_path / f"blank and ü{suffix}")
    layer = VectorReader(path)
    found = sorted((f.attributes["n"], f.attributes["name"], f.area) for f in layer.features())
    assert found == [(0, "ä 0", 16.0), (1, "ä 1", 16.0), (2, "ä 2", 16.0)]
    assert layer.fields["n"] == "integer"
    assert [each.name for each in tmp_path.iterdir() if "part" in each.name] == []


@pytest.mark.parametrize("suffix", list(DRIVERS))
def test_letters_of_all_scripts_are_kept(tmp_path, suffix):
    names = ["Дерево", "łąka", "树木", "Gebäude"]
    with VectorWriter(tmp_path / f"a{suffix}", UTM12, {"Klasse ł": str}) as writer:
        for name in names:
            writer.write(rectangle(0, 0, 1, 1), {"Klasse ł": name})
    found = VectorReader(tmp_path / f"a{suffix}").features()
    assert [each.attributes["Klasse ł"] for each in found] == names


@pytest.mark.parametrize("suffix", list(DRIVERS))
def test_every_format_is_written_where_gdal_raises_exceptions(
    tmp_path, monkeypatch, suffix, raising
):
    """QGIS from 3.38 has it so; formats without transactions raise one then."""
    monkeypatch.setattr(vector_writer, "TRANSACTION", 2)
    path = fill(tmp_path / f"a{suffix}")
    assert VectorReader(path).count == 3


def test_a_shapefile_is_refused_what_it_would_lose(tmp_path):
    with pytest.raises(VectorError, match=r"'a.shp' is to be a table.*\.csv"):
        VectorWriter(tmp_path / "a.shp", "", {"n": int}, "None")
    with pytest.raises(VectorError, match=r"'Klasse des Objekts' to 10 letters.*'a\.gpkg'"):
        VectorWriter(tmp_path / "a.shp", "", {"Klasse des Objekts": str})
    assert list(tmp_path.iterdir()) == []


def definitions(**kinds):
    return {name: ogr.FieldDefn(name, kind) for name, kind in kinds.items()}


def test_what_a_shapefile_does_not_keep_of_another_layer_is_told(tmp_path):
    fields = definitions(
        description=ogr.OFTString, seen=ogr.OFTDateTime, tags=ogr.OFTStringList, n=ogr.OFTInteger
    )
    source = tmp_path / "in.geojson"
    with VectorWriter(source, UTM12, fields) as writer:
        values = {"description": "ä" * 150, "seen": "2026/03/01 12:30:00", "tags": "oak", "n": 3}
        writer.write(rectangle(0, 0, 1, 1), values)
    reader = VectorReader(source)
    told = {}
    for suffix in (".shp", ".gpkg"):
        with VectorWriter(tmp_path / f"out{suffix}", UTM12, reader.definitions) as writer:
            places = writer.places(list(reader.definitions))
            for feature in reader.features():
                writer.write_like(feature.row, places, ())
        told[suffix] = writer.losses
    written = next(VectorReader(tmp_path / "out.shp").features()).attributes["seen"]
    # Newer GDAL writes a moment as a text.
    date = "" if "12:30" in str(written) else "the field 'seen' has no time of day, "
    assert told == {
        ".shp": "'out.shp' differs from its layer: the field 'description' is called 'descriptio', "
        f"{date}the field 'tags' is left out, texts of 'description' end after 254 letters. A "
        "GeoPackage keeps more.",
        ".gpkg": "",
    }


@pytest.mark.parametrize("suffix", [".gpkg", ".csv", ".shp", ".fgb", ".geojson"])
def test_fields_whose_names_differ_in_capital_letters_are_all_kept(tmp_path, suffix):
    fields = definitions(name=ogr.OFTString, NAME=ogr.OFTString, NAME_2=ogr.OFTString)
    with VectorWriter(tmp_path / f"a{suffix}", UTM12, fields) as writer:
        writer.write(rectangle(0, 0, 1, 1), {"name": "a", "NAME": "b", "NAME_2": "c"})
    (found,) = VectorReader(tmp_path / f"a{suffix}").features()
    assert [value for value in found.attributes.values() if value in tuple("abc")] == list("abc")
    assert ("NAME" in writer.losses) == (suffix not in (".fgb", ".geojson"))


def test_a_flatgeobuf_has_lists_as_text(tmp_path):
    with VectorWriter(tmp_path / "a.fgb", UTM12, definitions(tags=ogr.OFTStringList)) as writer:
        writer.write(rectangle(0, 0, 1, 1), {"tags": "oak"})
    (found,) = VectorReader(tmp_path / "a.fgb").features()
    assert found.attributes == {"tags": "oak"}


def test_a_field_that_a_format_cannot_have_is_refused(tmp_path):
    """Else its values would be missing, or lie in another field."""
    longer = {"Confidence_2020": ogr.FieldDefn("Confidence_2020", ogr.OFTReal)}
    with pytest.raises(VectorError, match="a field 'Confidence' too; choose another name"):
        VectorWriter(tmp_path / "a.shp", "", {**longer, "Confidence": float})
    assert list(tmp_path.iterdir()) == []


def test_a_field_may_be_called_like_the_geometry(tmp_path):
    with VectorWriter(tmp_path / "a.gpkg", "", {"geom": str, "Geometry": str}) as writer:
        writer.write(rectangle(0, 0, 1, 1), {"geom": "POINT (1 2)"})
    (found,) = VectorReader(tmp_path / "a.gpkg").features()
    assert (found.attributes["geom"], found.area) == ("POINT (1 2)", 1.0)


def test_a_field_may_be_called_like_the_numbers_of_the_features(tmp_path):
    path, rows = tmp_path / "a.gpkg", [("A 12", "x"), ("A 12", "y")]
    with VectorWriter(path, "", {"FID": str, "geodl_fid": str}) as writer:
        for own, other in rows:
            writer.write(rectangle(0, 0, 1, 1), {"FID": own, "geodl_fid": other})
    assert [tuple(each.attributes.values()) for each in VectorReader(path).features()] == rows


def test_numbers_that_a_view_has_twice_are_not_kept(tmp_path):
    with VectorWriter(tmp_path / "in.gpkg", "", {"n": int}) as writer:
        for number in range(3):
            writer.write(rectangle(0, 0, 1, 1), {"n": number})
    rows = [each.row for each in VectorReader(tmp_path / "in.gpkg").features()]
    with VectorWriter(tmp_path / "out.gpkg", "", {"n": int}, numbers="fid") as writer:
        for row in (rows[1], rows[1], rows[0], rows[2]):
            writer.write_like(row, [0], ())
    found = [(each.fid, each.attributes["n"]) for each in VectorReader(writer.path).features()]
    assert found == [(2, 1), (3, 1), (4, 0), (5, 2)]


@pytest.mark.parametrize("suffix", sorted(DRIVERS))
def test_parts_and_heights_go_from_layer_to_layer(tmp_path, suffix):
    """A shapefile calls polygons of one and of several parts alike."""
    shapes = [
        "MULTIPOLYGON Z(((0 0 5,1 0 5,1 1 5,0 0 5)),((8 0 5,9 0 5,9 1 5,8 0 5)))",
        "POLYGON Z((0 0 7,1 0 7,1 1 7,0 0 7))",
    ]
    with VectorWriter(tmp_path / "in.shp", "", {"n": int}, ogr.wkbMultiPolygon25D) as writer:
        for shape in shapes:
            writer.write(ogr.CreateGeometryFromWkt(shape), {"n": 1})
    layer = VectorReader(tmp_path / "in.shp")
    copy = tmp_path / f"out{suffix}"
    with VectorWriter(copy, "", layer.definitions, layer.writable_type) as writer:
        for feature in layer.features():
            writer.write_like(feature.row, [0], ())
    found = [feature.geometry for feature in VectorReader(copy).features()]
    assert sorted(each.GetArea() for each in found) == [0.5, 1.0]
    assert sorted(each.GetEnvelope3D()[4] for each in found) == [5.0, 7.0]


@pytest.mark.parametrize("geometry", ["Polygon", "MultiPolygon", "Unknown"])
def test_parts_stay_parts(tmp_path, geometry):
    parts = "MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((8 0,9 0,9 1,8 0)))"
    with VectorWriter(tmp_path / "a.gpkg", "", {"n": int}, geometry) as writer:
        writer.write(ogr.CreateGeometryFromWkt(parts), {})
    (found,) = VectorReader(tmp_path / "a.gpkg").features()
    assert (found.geometry.GetGeometryCount(), found.area, found.geometry.IsValid()) == (2, 1, True)


@pytest.mark.parametrize("suffix", sorted(DRIVERS))
def test_fields_without_values_are_fields(tmp_path, suffix):
    with VectorWriter(tmp_path / f"a{suffix}", "", {"n": int, "name": str}) as writer:
        writer.write(rectangle(0, 0, 1, 1), {"n": 1})
    assert "name" in VectorReader(tmp_path / f"a{suffix}").fields


def test_a_feature_without_a_geometry_is_not_left_out(tmp_path):
    """FlatGeobuf's writer leaves them out, and tells nothing."""
    writer = VectorWriter(tmp_path / "a.fgb", "", {"n": int})
    with pytest.raises(VectorError, match=r"no features without a geometry; write a \.gpkg"):
        writer.write(None, {"n": 1})
    assert list(tmp_path.iterdir()) == []
    with VectorWriter(tmp_path / "table.fgb", "", {"n": int}, "None") as writer:
        writer.write(None, {"n": 1})


def test_geojson_tells_systems_without_a_code_in_degrees(tmp_path):
    """It has codes of authorities for others, and is read as degrees without one."""
    crs = "+proj=tmerc +lon_0=9.123 +x_0=500000 +ellps=GRS80 +units=m"
    with VectorWriter(tmp_path / "a.geojson", crs, {"n": int}) as writer:
        writer.write(rectangle(500000, 5000000, 500010, 5000010), {"n": 1})
    layer = VectorReader(tmp_path / "a.geojson")
    (found,) = layer.features(crs=crs)
    assert "WGS 84" in layer.crs
    assert found.bounds == pytest.approx((500000, 5000000, 500010, 5000010), abs=1e-3)


def test_a_layer_without_a_system_has_none_when_it_is_read(tmp_path):
    with VectorWriter(tmp_path / "photo.gpkg", "", {"n": int}) as writer:
        writer.write_polygon([np.array([[0, 0], [4, 0], [4, -4], [0, -4]])], {"n": 1})
    assert VectorReader(tmp_path / "photo.gpkg").crs == ""


def test_an_output_called_gpkg_is_a_geopackage(tmp_path):
    content = fill(tmp_path / "a.gpkg").read_bytes()
    assert content.startswith(b"SQLite format 3")


def test_a_writer_that_fails_leaves_what_was_there(tmp_path):
    path = fill(tmp_path / "a.gpkg")
    with pytest.raises(RuntimeError), VectorWriter(path, "", {}) as writer:
        writer.write_polygon([np.array([[0, 0], [1, 0], [1, 1]])], {})
        raise RuntimeError
    assert VectorReader(path).count == 3
    assert [each.name for each in tmp_path.iterdir()] == ["a.gpkg"]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_what_a_crash_left_of_an_earlier_result_does_not_enter_the_new_one(tmp_path, mode):
    path, saved = fill(tmp_path / "a.gpkg", 300), tmp_path / "saved"
    saved.mkdir()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as editor:
        editor.execute(f"PRAGMA journal_mode={mode}")
        editor.execute("PRAGMA cache_size=1")  # so that much is written before the end
        editor.execute("CREATE TABLE notes (text)")
        editor.execute("BEGIN")
        editor.executemany("INSERT INTO notes VALUES (?)", [("edited" * 50,)] * 3000)
        if mode == "wal":
            editor.execute("COMMIT")
        for each in tmp_path.glob("a.gpkg*"):
            shutil.copy(each, saved)
    for each in saved.iterdir():
        shutil.copy(each, tmp_path)
    assert len(list(tmp_path.glob("a.gpkg-*"))) > 0
    fill(path, 2000)
    assert [each.name for each in tmp_path.glob("a.gpkg*")] == ["a.gpkg"]
    assert [f.attributes["n"] for f in VectorReader(path).features()] == list(range(2000))


@pytest.mark.parametrize("suffix", list(DRIVERS))
def test_two_writers_of_one_result_leave_a_whole_one(tmp_path, suffix):
    """QGIS may run a tool twice at a time; the result that was written over was gone."""
    path = tmp_path / f"a{suffix}"
    writers = [VectorWriter(path, UTM12, {"n": int}) for _ in range(2)]
    for writer, count in zip(writers, (3, 5)):
        for number in range(count):
            writer.write(rectangle(0, 0, 1, 1), {"n": number})
    for writer, count in zip(writers, (3, 5)):
        writer.finish()
        assert VectorReader(path).count == count
    assert [each.name for each in tmp_path.iterdir() if "part" in each.name] == []


def test_features_are_found_by_place_and_in_another_system(tmp_path):
    layer = VectorReader(fill(tmp_path / "a.gpkg"))
    assert [f.attributes["n"] for f in layer.features((9, 9, 12, 12))] == [1]
    assert len(list(layer.features())) == 3
    geographic = spatial_reference("EPSG:4326").ExportToWkt()
    bounds = transform_bounds((9, 9, 12, 12), layer.crs, geographic)
    found = list(layer.features(bounds, geographic))
    assert [f.attributes["n"] for f in found] == [1]
    assert -180 < found[0].bounds[0] < -100


def test_a_buffer_is_in_units_of_the_layer(tmp_path):
    layer = VectorReader(fill(tmp_path / "a.gpkg", 1))
    (found,) = layer.features((5.5, 0, 6, 1), buffer=2.0)
    assert found.area > 16 + 4 * 4 * 2


@pytest.fixture
def decoding():
    """Return a function that says whether GDAL decodes the text of shapefiles."""
    before = gdal.GetConfigOption("SHAPE_ENCODING")
    yield lambda it: gdal.SetConfigOption("SHAPE_ENCODING", None if it else "")
    gdal.SetConfigOption("SHAPE_ENCODING", before)


@pytest.mark.parametrize("by_gdal", [True, False], ids=["GDAL decodes", "QGIS decodes"])
def test_letters_of_a_shapefile_are_read_as_it_tells(tmp_path, decoding, by_gdal):
    write_encoded(tmp_path / "in.shp", UTM12, "CP1252", "größe", "Ölbaum")
    decoding(by_gdal)
    reader = VectorReader(tmp_path / "in.shp")
    assert [each.attributes for each in reader.features()] == [{"größe": "Ölbaum"}]
    assert reader.unique_values("größe") == ["Ölbaum"]


def test_fields_that_differ_in_capitals_are_two(tmp_path):
    point = '{"type": "Point", "coordinates": [1, 2]}'
    fields = '{"Kind": "x", "kind": "oak"}'
    (tmp_path / "a.geojson").write_text(
        f'{{"type": "Feature", "geometry": {point}, "properties": {fields}}}', encoding="utf-8"
    )
    reader = VectorReader(tmp_path / "a.geojson")
    assert [reader.unique_values(name) for name in ("kind", "Kind", "KIND")] == [
        ["oak"],
        ["x"],
        ["x"],
    ]


def test_a_missing_field_names_those_there_are(tmp_path):
    layer = VectorReader(fill(tmp_path / "a.gpkg"))
    assert layer.field("NAME") == "name"
    with pytest.raises(VectorError, match=r"no field 'tree' in 'a'. Its fields are: name, n\."):
        layer.field("tree")


def test_wrong_files_are_named(tmp_path):
    with pytest.raises(VectorError, match="cannot be opened"):
        VectorReader(tmp_path / "no.gpkg")
    with pytest.raises(VectorError, match="no known vector file"):
        VectorWriter(tmp_path / "a.xyz", "", {})
    with pytest.raises(VectorError, match="no coordinate reference system"):
        spatial_reference("EPSG:nonsense")


@pytest.mark.parametrize("mode", ["silent", "raising"])
def test_polygons_that_cross_themselves_are_joined(tmp_path, request, mode):
    if mode == "raising":
        request.getfixturevalue("raising")
    with VectorWriter(tmp_path / "a.gpkg", "", {"n": int}) as writer:
        writer.write(rectangle(0, 0, 2, 2), {"n": 1})
        writer.write_polygon([np.array([[0, 0], [4, 4], [4, 0], [0, 4]], float)], {"n": 2})
    joined = VectorReader(tmp_path / "a.gpkg").union()
    # Two triangles of 4 each, of which one lies by half on the square.
    assert joined.IsValid() and joined.GetArea() == pytest.approx(4 + 8 - 2)


def test_a_bow_tie_is_repaired_and_pixels_are_exact():
    bow = ogr.CreateGeometryFromWkt("POLYGON((0 0, 2 2, 2 0, 0 2, 0 0))")
    assert repaired(bow).GetArea() == pytest.approx(2.0)
    square = to_pixel_space(rectangle(1, 5, 6, 10), GeoTransform(1.0, 0.5, 0, 10.0, 0, -0.5))
    assert square.GetEnvelope() == pytest.approx((0, 10, 0, 10))
    assert square.GetArea() == pytest.approx(100.0)


@pytest.mark.parametrize("suffix", sorted(DRIVERS))
@pytest.mark.parametrize("kilobytes", [4, 40, 92, 110, 200])
def test_a_disk_that_is_full_leaves_no_part_that_looks_whole(tmp_path, suffix, kilobytes):
    path = tmp_path / "out" / f"places{suffix}"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    square = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], float)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, hard))
    try:
        with VectorWriter(path, "EPSG:32612", {"name": str}) as writer:
            for number in range(700):
                writer.write_polygon([square + number], {"name": "a name of some length"})
    except VectorError as error:
        assert "places" in str(error) and "cannot be written" in str(error)
        assert list(path.parent.iterdir()) == []
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert VectorReader(path).count == 700
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
