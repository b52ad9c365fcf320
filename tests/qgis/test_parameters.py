"""What a tool takes of a layer is what QGIS shows of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal, ogr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsField,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSource,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant

from geodl_plugin.algorithms.raster_parameters import gdal_source, layers_of, rasters_of
from geodl_plugin.algorithms.vector_copies import copied
from geodl_plugin.core.errors import RasterError, VectorError
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.shapes import rectangle
from geodl_plugin.core.geo.vector import VectorReader
from geodl_plugin.core.geo.vector_writer import VectorWriter
from tests.unit.geo.shapefiles import write_encoded
from tests.unit.inference import support

UTM = "EPSG:32612"


def write_squares(path: Path, **counts: int) -> None:
    """Write a table of squares for each count, without a coordinate reference system."""
    driver = ogr.GetDriverByName("GPKG" if path.suffix == ".gpkg" else "ESRI Shapefile")
    dataset = driver.CreateDataSource(str(path))
    for table, count in counts.items():
        layer = dataset.CreateLayer(table, None, ogr.wkbPolygon)
        layer.CreateField(ogr.FieldDefn("kind", ogr.OFTString))
        for index in range(count):
            x = 500000 + 10 * index
            feature = ogr.Feature(layer.GetLayerDefn())
            feature.SetField("kind", "oak")
            ring = f"{x} 10, {x + 5} 10, {x + 5} 15, {x} 15, {x} 10"
            feature.SetGeometry(ogr.CreateGeometryFromWkt(f"POLYGON (({ring}))"))
            layer.CreateFeature(feature)


def squares(path: Path, count: int) -> QgsVectorLayer:
    """Return a layer of squares, to which QGIS gives a coordinate reference system."""
    write_squares(path, **{path.stem: count})
    found = QgsVectorLayer(str(path), path.stem, "ogr")
    found.setCrs(QgsCoordinateReferenceSystem(UTM))
    QgsProject.instance().addMapLayer(found)
    return found


def test_edits_that_are_not_saved_count(run: Any, tmp_path: Path, qgis_new_project: None) -> None:
    layer = squares(tmp_path / "a ü.gpkg", 3)
    layer.startEditing()
    layer.deleteFeatures([next(layer.getFeatures()).id()])
    result = run("labelobjects", FEATURES=layer, OUTPUT=str(tmp_path / "out.gpkg"))
    assert result["SAMPLE_COUNT"] == 2
    layer.rollBack()
    assert layer.featureCount() == 3


@pytest.mark.parametrize("name", ["fid", "geom"])
def test_fields_may_be_called_like_columns_of_a_geopackage(
    run: Any, tmp_path: Path, qgis_new_project: None, name: str
) -> None:
    """Layers that were merged or split have the same fid again and again."""
    layer = QgsVectorLayer(f"Polygon?crs={UTM}&field={name}:integer", "merged", "memory")
    for x in (0, 20, 40):
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(x, 0, x + 10, 10)))
        feature.setAttributes([1])
        assert layer.dataProvider().addFeature(feature)
    result = run("labelobjects", FEATURES=layer, OUTPUT=str(tmp_path / "out.gpkg"))
    assert result["SAMPLE_COUNT"] == 3


@pytest.mark.parametrize(
    ("name", "told"),
    [("Bäume 2026", "Bäume 2026"), ("a\"b'c;|d", "a_b_c__d"), ("gpkg_contents", "FEATURES")],
)
def test_a_layer_that_is_copied_is_told_by_its_name(
    run: Any, tmp_path: Path, qgis_new_project: None, name: str, told: str
) -> None:
    layer = QgsVectorLayer(f"Polygon?crs={UTM}&field=kind:string", name, "memory")
    feature = QgsFeature(layer.fields())
    feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(0, 0, 10, 10)))
    assert layer.dataProvider().addFeature(feature)
    with pytest.raises(QgsProcessingException, match=f"'{told}'"):
        run("labelobjects", FEATURES=layer, CLASS_FIELD="none", OUTPUT=str(tmp_path / "out.gpkg"))
    assert run("labelobjects", FEATURES=layer, OUTPUT=str(tmp_path / "o.gpkg"))["SAMPLE_COUNT"] == 1


def test_a_database_that_gives_no_features_is_an_error(
    tmp_path: Path, qgis_new_project: None
) -> None:
    """A busy one gives none without an error."""
    layer = squares(tmp_path / "a.gpkg", 2)

    class Busy:
        def __getattr__(self, name: str) -> Any:
            return getattr(QgsProcessingFeatureSource(layer, QgsProcessingContext()), name)

        def getFeatures(self, *_: Any) -> Any:
            return iter(())

    with pytest.raises(VectorError, match="'a' cannot be copied to a file: of its 2 features none"):
        copied(layer, Busy(), "LABELS", QgsProcessingContext(), QgsProcessingFeedback())


def test_a_database_that_gives_its_features_late_is_read_again(
    tmp_path: Path, qgis_new_project: None
) -> None:
    """QGIS 3.40 under load: none come before it is asked for their number."""
    layer = squares(tmp_path / "a.gpkg", 2)
    asked: list[str] = []

    class Late:
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return getattr(QgsProcessingFeatureSource(layer, QgsProcessingContext()), name)

        def getFeatures(self, *_: Any) -> Any:
            return layer.getFeatures() if "featureCount" in asked else iter(())

    path, name = copied(layer, Late(), "LABELS", QgsProcessingContext(), QgsProcessingFeedback())
    assert VectorReader(path, name).count == 2


def test_new_features_have_no_fid_yet(run: Any, tmp_path: Path, qgis_new_project: None) -> None:
    layer = squares(tmp_path / "trees.gpkg", 1)
    layer.startEditing()
    feature = QgsFeature(next(layer.getFeatures()))
    feature["fid"] = "Autogenerate"
    assert layer.addFeature(feature)
    result = run("labelobjects", FEATURES=layer, OUTPUT=str(tmp_path / "out.gpkg"))
    assert result["SAMPLE_COUNT"] == 2
    layer.rollBack()


def test_virtual_fields_are_fields(run: Any, tmp_path: Path, qgis_new_project: None) -> None:
    layer = squares(tmp_path / "a.gpkg", 2)
    text = QgsField("virtual", QVariant.String)  # noqa: QGS402
    layer.addExpressionField("'big ' || kind", text)
    output = str(tmp_path / "out.gpkg")
    run("labelobjects", FEATURES=layer, CLASS_FIELD="virtual", OUTPUT=output)
    names = {each["Classname"] for each in QgsVectorLayer(output, "out", "ogr").getFeatures()}
    assert names == {"big oak"}


@pytest.mark.parametrize("known", [True, False], ids=["told by the file", "chosen in QGIS"])
def test_letters_of_a_shapefile_are_those_that_qgis_shows(
    run: Any, tmp_path: Path, qgis_new_project: None, known: bool
) -> None:
    path = tmp_path / "old.shp"
    write_encoded(path, UTM, "CP1251", "имя", "Дерево")
    if not known:
        path.with_suffix(".cpg").unlink(missing_ok=True)
        content = bytearray(path.with_suffix(".dbf").read_bytes())
        content[29] = 0  # the code of the encoding
        path.with_suffix(".dbf").write_bytes(content)
    layer = QgsVectorLayer(str(path), "old", "ogr")
    if not known:
        layer.setProviderEncoding("windows-1251")
    layer.setCrs(QgsCoordinateReferenceSystem(UTM))
    QgsProject.instance().addMapLayer(layer)
    samples = str(tmp_path / "out.gpkg")
    run("labelobjects", FEATURES=layer, CLASS_FIELD="имя", OUTPUT=samples)
    assert [each["Classname"] for each in QgsVectorLayer(samples).getFeatures()] == ["Дерево"]


def test_a_table_is_chosen_by_its_number(run: Any, tmp_path: Path, qgis_new_project: None) -> None:
    write_squares(tmp_path / "two.gpkg", first=3, second=1)
    source = f"{tmp_path / 'two.gpkg'}|layerid=1"
    result = run("labelobjects", FEATURES=source, OUTPUT=str(tmp_path / "out.gpkg"))
    assert result["SAMPLE_COUNT"] == 1


def test_of_a_file_that_mixes_types_those_of_the_layer_count(
    run: Any, tmp_path: Path, qgis_new_project: None
) -> None:
    """QGIS makes of such a file, drawn as GeoJSON say, a layer for each type."""
    path = tmp_path / "drawn.geojson"
    dataset = ogr.GetDriverByName("GeoJSON").CreateDataSource(str(path))
    drawn = dataset.CreateLayer("drawn", None, ogr.wkbUnknown)
    drawn.CreateField(ogr.FieldDefn("kind", ogr.OFTString))
    for kind, text in (
        ("pit", "POINT (0.5 0.5)"),
        ("field", "POLYGON ((0 0, 1 0, 1 1, 0 1, 0 0))"),
        ("wall", "LINESTRING (0 0, 2 2)"),
        ("pit", "POINT (3 3)"),
    ):
        feature = ogr.Feature(drawn.GetLayerDefn())
        feature.SetField("kind", kind)
        feature.SetGeometry(ogr.CreateGeometryFromWkt(text))
        drawn.CreateFeature(feature)
    del feature, drawn, dataset
    layer = QgsVectorLayer(f"{path}|layername=drawn|geometrytype=Point", "pits", "ogr")
    QgsProject.instance().addMapLayer(layer)
    place = (0.0, 1.0, 0.0, 64.0, 0.0, -1.0)
    pixels = np.ones((1, 64, 64), np.uint8)
    image = support.write_raster(tmp_path / "image.tif", pixels, place, 4326)
    result = run(
        "exporttrainingdata",
        INPUT=[image],
        LABELS=layer,
        CLASS_FIELD="kind",
        FORMAT="PASCAL_VOC_rectangles",
        TILE_SIZE_X=64,
        TILE_SIZE_Y=64,
        STRIDE_X=64,
        STRIDE_Y=64,
        BUFFER_RADIUS=0.4,
        OUTPUT=str(tmp_path / "chips"),
    )
    assert result["FEATURE_COUNT"] == 2


@pytest.mark.parametrize("suffix", [".gpkg", ".shp"])
def test_the_chosen_coordinate_reference_system_counts(
    run: Any, tmp_path: Path, suffix: str, qgis_new_project: None
) -> None:
    layer = squares(tmp_path / f"a{suffix}", 1)
    path = str(tmp_path / "no crs.tif")
    raster = gdal.GetDriverByName("GTiff").Create(path, 64, 64, 1)
    raster.SetGeoTransform((500000 - 10, 1, 0, 50, 0, -1))
    raster.GetRasterBand(1).Fill(7)
    raster = None
    shown = QgsRasterLayer(path, "no crs")
    shown.setCrs(QgsCoordinateReferenceSystem(UTM))
    QgsProject.instance().addMapLayer(shown)
    result = run(
        "exporttrainingdata",
        INPUT=[shown],
        LABELS=layer,
        CLASS_FIELD="kind",
        TILE_SIZE_X=64,
        TILE_SIZE_Y=64,
        OUTPUT=str(tmp_path / "chips"),
    )
    assert (result["CHIP_COUNT"], result["FEATURE_COUNT"]) == (1, 1)
    (chip,) = (tmp_path / "chips" / "images").glob("*.tif")
    assert "32612" in gdal.Open(str(chip)).GetProjection()


def write_raster(path: Path, width: int) -> str:
    """Write a raster of a band."""
    raster = gdal.GetDriverByName("GTiff").Create(str(path), width, 64, 1)
    raster.SetGeoTransform((500000 - 10, 1, 0, 50, 0, -1))
    raster.GetRasterBand(1).Fill(7)
    return str(path)


def test_options_to_open_a_raster_with_are_heeded(tmp_path: Path, qgis_new_project: None) -> None:
    path = write_raster(tmp_path / "a'ü.tif", 64)
    layer = QgsRasterLayer(f"{path}|option:GEOREF_SOURCES=NONE|option:NUM_THREADS=2", "a")
    with Raster.open(gdal_source(layer, tmp_path)) as raster:
        assert not raster.has_place
        assert (raster.read(raster.window).pixels == 7).all()
    assert gdal_source(QgsRasterLayer(path, "a"), tmp_path) == path


def test_rasters_of_a_geopackage_that_has_both_are_taken(
    run: Any, tmp_path: Path, qgis_new_project: None
) -> None:
    path = str(tmp_path / "both.gpkg")
    options = gdal.TranslateOptions(format="GPKG", outputSRS=UTM)
    gdal.Translate(path, write_raster(tmp_path / "a.tif", 64), options=options)
    with VectorWriter(tmp_path / "labels.gpkg", UTM, {"value": int}) as writer:
        writer.write(rectangle(500000, 10, 500005, 15), {"value": 3})
    labels = gdal.OpenEx(str(tmp_path / "labels.gpkg"))
    gdal.OpenEx(path, gdal.OF_UPDATE | gdal.OF_VECTOR).CopyLayer(labels.GetLayer(0), "labels")
    result = run("exporttrainingdata", INPUT=path, LABELS=path, OUTPUT=str(tmp_path / "chips"))
    assert result["FEATURE_COUNT"] == 1


@pytest.mark.parametrize(("given", "name"), [("", "Training samples"), ("My trees", "My trees")])
def test_a_result_has_the_name_that_was_given(
    provider: Any, tmp_path: Path, given: str, name: str, qgis_new_project: None
) -> None:
    layer, project = squares(tmp_path / "a.gpkg", 1), QgsProject.instance()
    output = QgsProcessingOutputLayerDefinition(str(tmp_path / "out.gpkg"), project)
    output.destinationName = given
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    context.setProject(project)
    tool = provider.algorithm("labelobjects").create()
    _, fine = tool.run({"FEATURES": layer.source(), "OUTPUT": output}, context, feedback)
    assert fine
    (details,) = context.layersToLoadOnCompletion().values()
    assert details.name == name and details.postProcessor() is not None


def test_the_style_of_a_namesake_is_left_alone(
    run: Any, tmp_path: Path, qgis_new_project: None
) -> None:
    """QGIS finds the style of 'a.tif' and of 'a.shp' in one file."""
    layer = str(tmp_path / "in.gpkg")
    with VectorWriter(layer, "", {"Confidence": float}) as writer:
        writer.write(rectangle(0, 0, 1, 1), {"Confidence": 50.0})
    gdal.GetDriverByName("GTiff").Create(str(tmp_path / "a.tif"), 9, 9)
    style = tmp_path / "a.qml"
    style.write_text("mine")
    run("nonmaximumsuppression", INPUT=layer, OUTPUT=f"{tmp_path}/a.shp")
    assert style.read_text() == "mine"
    for _ in range(2):
        style.with_name("b.qml").write_text("of an earlier result")
        run("nonmaximumsuppression", INPUT=layer, OUTPUT=f"{tmp_path}/b.shp")
        assert "renderer" in (tmp_path / "b.qml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "tool, name",
    [
        ("classifypixels", "INPUT"),
        ("detectobjects", "INPUT"),
        ("detectchange", "INPUT_2"),
        ("exporttrainingdata", "INPUT_2"),
    ],
)
def test_no_raster_of_a_list_is_left_out(
    provider: Any, tmp_path: Path, qgis_new_project: None, tool: str, name: str
) -> None:
    """Where a model runs a tool, QGIS does not check its parameters."""
    good, gone = str(tmp_path / "a.tif"), str(tmp_path / "gone ü.tif")
    gdal.GetDriverByName("GTiff").Create(good, 9, 9, 3)
    algorithm, context = provider.algorithm(tool).create(), QgsProcessingContext()
    values = {"INPUT": [good], name: [good, gone], "OUTPUT": str(tmp_path / "out.gpkg")}
    accepted, sentence = algorithm.checkParameterValues(values, context)
    assert not accepted
    # The others may be thousands.
    assert sentence.startswith(f"'{gone}' cannot be used for") and good not in sentence
    with pytest.raises(RasterError, match=r"'.*gone ü\.tif' cannot be opened as a raster"):
        layers_of(algorithm, values, name, context)
    layer = QgsRasterLayer(good, "a")
    values[name] = [good, layer]
    assert len(layers_of(algorithm, values, name, context)) == 2
    assert layers_of(algorithm, {name: good}, name, context)[0].source() == good
    assert layers_of(algorithm, {}, name, context) == []


def test_the_dialogs_offer_what_the_tools_write(provider: Any) -> None:
    assert set(provider.supportedOutputRasterLayerExtensions()) == {"tif", "tiff"}
    vectors = provider.supportedOutputVectorLayerExtensions()
    assert "gpkg" in vectors and "dxf" not in vectors
    assert provider.defaultVectorFileExtension(True) in vectors


def test_hidden_files_of_macos_are_no_rasters_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.tif", "._b.tif", "a.PNG"):
        (tmp_path / name).write_bytes(b"")
    assert rasters_of(tmp_path) == [str(tmp_path / name) for name in ("a.PNG", "b.tif")]
