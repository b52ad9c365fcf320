"""Reading training-data folders of ArcGIS and of others."""

from __future__ import annotations

import json

import numpy as np
import pytest

from geodl_plugin.core.chips.export import export_chips
from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.chips.options import ExportOptions
from geodl_plugin.core.errors import TrainingDataError
from geodl_plugin.core.geo.crs import spatial_reference
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.geo.vector_writer import VectorWriter
from geodl_plugin.core.progress import Progress

PIXELS = GeoTransform()


def picture(path, bands=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_chip(path, np.full((bands, 32, 32), 9, np.uint8), PIXELS, "", "PNG")


def voc(path, objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>"
        f"<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for name, box in objects
    )
    path.write_text(f"<annotation><folder>x</folder>{entries}</annotation>")


UTM = spatial_reference("EPSG:32612").ExportToWkt()
FORMATS_OF_OBJECTS = ("PASCAL_VOC_rectangles", "KITTI_rectangles", "COCO", "YOLO")


@pytest.fixture
def foreign(tmp_path):
    """A Pascal VOC folder as other programs write it: names, no definition."""
    picture(tmp_path / "images" / "a.png")
    picture(tmp_path / "images" / "b.png")
    voc(tmp_path / "labels" / "a.xml", [("car", (1, 2, 10, 12)), ("bus", (5, 5, 20, 20))])
    voc(tmp_path / "labels" / "b.xml", [])
    return tmp_path


def test_a_folder_of_another_program_is_read(foreign):
    folder = open_folder(foreign)
    assert folder.format == "PASCAL_VOC_rectangles"
    assert folder.schema.names == ("bus", "car")
    label = folder.read_label(folder.chips[0])
    assert label.boxes.tolist() == [[1, 2, 10, 12], [5, 5, 20, 20]]
    assert label.values.tolist() == [2, 1]
    empty = folder.read_label(folder.chips[1])
    assert empty.boxes.shape == (0, 4)


def test_arcgis_spellings_are_read(foreign):
    (foreign / "esri_model_definition.emd").write_text(
        '{"classes": [{"ClassValue": 7, "ClassName": "car"}, {"Value": 2, "Name": "bus", '
        '"Color": [-1, -1, -1]}], "MetaDataMode": "PASCAL_VOC_rectangles"}',
        encoding="utf-8-sig",
    )
    folder = open_folder(foreign)
    assert folder.read_label(folder.chips[0]).values.tolist() == [7, 2]


@pytest.mark.parametrize(
    ("keyword", "stride"),
    [
        ("PASCAL_VOC_rectangles", 300),
        ("KITTI_rectangles", 300),
        ("Labeled_Tiles", 0),
        ("MultiLabeled_Tiles", 0),
        ("COCO", 300),
        ("YOLO", 300),
        ("RCNN_Masks", 300),
        ("Imagenet", 0),
    ],
)
def test_classes_that_are_called_by_numbers_keep_their_names(scene, keyword, stride):
    boxes = [[10, 10, 40, 40], [70, 10, 100, 40], [130, 10, 160, 40]]
    scene.paint(shape=(3, 300, 300)).label(boxes, ["0", "1", "2"])
    size = stride or 32
    options = ExportOptions(
        rasters=(scene.raster,),
        labels=scene.labels,
        folder=str(scene.folder / "chips"),
        class_field="kind",
        format=keyword,
        width=size,
        height=size,
        stride_x=stride,
        stride_y=stride,
    )
    folder = open_folder(export_chips(options, Progress()).folder)
    values = [int(value) for chip in folder.chips for value in folder.read_label(chip).values]
    assert [folder.schema.by_value(value).name for value in values] == ["0", "1", "2"]


@pytest.mark.parametrize("keyword", [*FORMATS_OF_OBJECTS, "RCNN_Masks"])
def test_two_classes_of_one_name_stay_two(scene, keyword):
    boxes = [[10, 10, 40, 40], [70, 10, 100, 40], [130, 10, 160, 40]]
    classes = [(3, "tree"), (5, "tree"), (9, "car")]
    scene.paint(shape=(3, 300, 300))
    with VectorWriter(scene.labels, UTM, {"Classvalue": int, "Classname": str}) as writer:
        for corners, (value, name) in zip(scene.geotransform.box_corners(boxes), classes):
            writer.write_polygon([corners], {"Classvalue": value, "Classname": name})
    options = ExportOptions(
        (scene.raster,), scene.labels, str(scene.folder / "chips"), format=keyword
    )
    folder = open_folder(export_chips(options, Progress()).folder)
    label = folder.read_label(folder.chips[0])
    assert sorted(int(value) for value in label.values) == [3, 5, 9]


def test_names_that_are_numbers_are_names_without_a_definition(foreign):
    voc(foreign / "labels" / "a.xml", [("2", (1, 2, 10, 12)), ("car", (5, 5, 20, 20))])
    folder = open_folder(foreign)
    label = folder.read_label(folder.chips[0])
    found = [folder.schema.by_value(int(value)).name for value in label.values]
    assert found == ["2", "car"]


def test_names_that_only_look_like_numbers_are_names(foreign):
    voc(foreign / "labels" / "a.xml", [("²", (1, 2, 10, 12)), ("--1", (5, 5, 20, 20))])
    folder = open_folder(foreign)
    label = folder.read_label(folder.chips[0])
    found = [folder.schema.by_value(int(value)).name for value in label.values]
    assert found == ["²", "--1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: voc(p / "labels" / "a.xml", [("", (1, 1, 2, 2))]), "without a name"),
        (lambda p: voc(p / "labels" / "a.xml", [("car", (1, 1, "x", 2))]), "whole bndbox"),
        (lambda p: (p / "labels" / "a.xml").write_text("<annot"), "cannot be read"),
        (
            lambda p: (p / "labels" / "a.xml").write_text(
                '<!DOCTYPE a [<!ENTITY x "y">]><annotation>&x;</annotation>'
            ),
            "not a plain label file",
        ),
    ],
)
def test_damaged_labels_are_named(foreign, change, message):
    change(foreign)
    with pytest.raises(TrainingDataError, match=message):
        folder = open_folder(foreign)
        folder.read_label(folder.chips[0])


def test_a_class_the_folder_does_not_know_is_named(foreign):
    (foreign / "esri_model_definition.emd").write_text('{"Classes": [{"Value": 1, "Name": "bus"}]}')
    folder = open_folder(foreign)
    with pytest.raises(TrainingDataError, match="the class 'car', which the folder does not know"):
        folder.read_label(folder.chips[0])


def test_a_chip_with_other_bands_is_named(foreign):
    picture(foreign / "images" / "b.png", bands=1)
    folder = open_folder(foreign)
    with pytest.raises(TrainingDataError, match=r"b\.png' has 1 bands, but the other chips have 3"):
        folder.read_image(folder.chips[1])


def test_what_is_no_training_data_is_refused(tmp_path):
    with pytest.raises(TrainingDataError, match="There is no folder"):
        open_folder(tmp_path / "missing")
    with pytest.raises(TrainingDataError, match="holds no training data that can be recognised"):
        open_folder(tmp_path)
    (tmp_path / "esri_model_definition.emd").write_text('{"MetaDataMode": "Imagenet"}')
    with pytest.raises(TrainingDataError, match="holds no training data: there are no images"):
        open_folder(tmp_path)
    (tmp_path / "esri_model_definition.emd").write_text('{"MetaDataMode": "Poetry"}')
    with pytest.raises(TrainingDataError, match="the format 'Poetry', which cannot be read yet"):
        open_folder(tmp_path)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (["NIR", "Red", "Green"], ("NIR", "Red", "Green")),
        (["Band_1", "band 2", "3"], ("Red", "Green", "Blue")),
        (["NIR", "Red"], ("Red", "Green", "Blue")),
        (["NIR", "nir", "Red"], ("Red", "Green", "Blue")),
        ("NIR", ("Red", "Green", "Blue")),
    ],
)
def test_the_definition_names_the_bands_of_images_that_cannot(tmp_path, told, expected):
    picture(tmp_path / "images" / "0.png")
    picture(tmp_path / "labels" / "0.png", bands=1)
    definition = {
        "MetaDataMode": "Classified_Tiles",
        "Classes": [{"Value": 1, "Name": "tree", "Color": [0, 255, 0]}],
        "InputRastersProps": {"BandNames": told},
    }
    (tmp_path / "esri_model_definition.emd").write_text(json.dumps(definition))
    assert open_folder(tmp_path).band_names == expected
