"""Python inference functions run unchanged, in their own process, with consent only."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from osgeo import gdal

from geodl_plugin.core.errors import GeoDLError, InputError, ModelError
from geodl_plugin.core.inference.detect import run as detect
from geodl_plugin.core.inference.foreign.function_network import device_number
from geodl_plugin.core.inference.loading import load_network
from geodl_plugin.core.inference.model import read_model
from geodl_plugin.core.inference.objects import run as classify_objects
from geodl_plugin.core.inference.options import DetectionOptions, ObjectOptions, PixelOptions
from geodl_plugin.core.inference.pixels import run as classify_pixels
from geodl_plugin.core.models.registry import Task
from geodl_plugin.core.packages.archive import open_package, write_package
from geodl_plugin.core.packages.definition import ModelDefinition
from geodl_plugin.core.progress import Progress

from ..support import read_features, write_polygons, write_raster

COMMON = """
import json, os, sys
import numpy as np
import arcpy
from beside import LEVEL

class Finder:
    def __init__(self):
        self.name, self.description = "Finder", "finds"

    def initialize(self, **kw):
        print("this must not get between the answers")
        text = kw["model"]
        self.emd = json.loads(text if text.startswith("{") else open(text).read())
        arcpy.env.processorType = "CPU"
        arcpy.AddMessage("started")
        self.kind = np.float(1)

    def getParameterInfo(self):
        return [
            {"name": "raster", "dataType": "raster", "value": None, "required": True},
            {"name": "least", "dataType": "numeric", "value": 50, "required": False},
            {"name": "mode", "dataType": "string", "value": "box", "domain": ("box", "turned")},
        ]

    def getConfiguration(self, **scalars):
        assert isinstance(scalars["mode"], str) and not isinstance(scalars["least"], str)
        self.least, self.mode = scalars["least"], scalars["mode"]
        return {"extractBands": (1,), "padding": 8, "tx": 32, "ty": 32, "fixedTileSize": 1,
                "inputMask": True, "batch_size": 2}
"""
DETECTOR = """
    def getFields(self):
        return json.dumps({"fields": []})

    def getGeometryType(self):
        return 4

    def vectorize(self, **blocks):
        pixels, mask = blocks["raster_pixels"], blocks["raster_mask"]
        assert pixels.shape == (1, 48, 48) and pixels.dtype == np.uint16, pixels.shape
        assert mask.shape == (48, 48)
        features = []
        for number in np.unique(pixels[pixels > self.least]):
            rows, cols = np.nonzero(pixels[0] == number)
            left, right = int(cols.min()) - 8, int(cols.max()) - 7
            top, bottom = int(rows.min()) - 8, int(rows.max()) - 7
            ring = [[left, top], [right, top], [right, bottom], [left, bottom]]
            if self.mode == "turned":
                ring = [[(left + right) / 2, top], [right, (top + bottom) / 2],
                        [(left + right) / 2, bottom], [left, (top + bottom) / 2]]
            features.append({"attributes": {"Classname": "Car", "Confidence": "80"},
                             "geometry": {"rings": [ring]}})
        return {"output_vectors": json.dumps({"features": features})}
"""
PIXELS = """
    def updateRasterInfo(self, **kw):
        kw["output_info"].update(bandCount=1, pixelType="u1", noData=0)
        return kw

    def updatePixels(self, tlc, shape, props, **blocks):
        assert shape == (1, 32, 32) and props["pixelType"] == "u1"
        inner = blocks["raster_pixels"][:, 8:-8, 8:-8]
        blocks["output_pixels"] = np.where(inner > self.least, 7, 3).astype("u1")
        blocks["output_mask"] = blocks["raster_mask"][8:-8, 8:-8].astype("u1")
        return blocks
"""
OBJECTS = """
    def vectorize(self, **blocks):
        assert 1 <= len(blocks["rasters_pixels"]) <= 2
        assert len(blocks["rasters_mask"]) == len(blocks["rasters_pixels"])
        found = [int(each.max() > self.least) for each in blocks["rasters_pixels"]]
        return {"output_vectors": json.dumps({"features": [
            {"attributes": {"Class": ("Tree", "Car")[each], "Confidence": 0.75}}
            for each in found]})}
"""
BODIES = {
    "ObjectDetection": DETECTOR,
    "ImageClassification": PIXELS,
    "ObjectClassification": OBJECTS,
}

NAMED = """
    def getConfiguration(self, **scalars):
        self.least, self.mode = 50, "box"
        return {"extractBands": tuple(self.emd["ExtractBands"]), "padding": 8, "tx": 32, "ty": 32,
                "fixedTileSize": 1, "inputMask": True}
"""


DEFINITION = {
    "Framework": "PyTorch",
    "ModelType": "ObjectDetection",
    "ModelFile": "weights.bin",
    "InferenceFunction": "Finder.py",
    "ImageHeight": 48,
    "ImageWidth": 48,
    "ExtractBands": [0],
    "Classes": [{"Value": 3, "Name": "Tree"}, {"Value": 7, "Name": "Car"}],
}


def make_model(folder: Path, task: str, body: str = "", **values: Any) -> str:
    """Write a package with a function that reads a module beside it."""
    definition = {**DEFINITION, "ModelType": task, **values}
    files = {
        "Finder.py": (COMMON + (body or BODIES[task])).encode(),
        "beside.py": b"LEVEL = 1",
        "weights.bin": b"x",
    }
    path = folder / "finder.dlpk"
    write_package(path, ModelDefinition(definition, "finder"), files)
    return str(path)


@pytest.fixture
def source(tmp_path: Path) -> str:
    """Return a raster whose second band holds three squares, one of them across tiles."""
    pixels = np.zeros((2, 80, 100), np.uint16)
    for number, (row, col) in enumerate([(4, 6), (28, 27), (60, 80)], 100):
        pixels[1, row : row + 10, col : col + 12] = number
    return write_raster(tmp_path / "image.tif", pixels)


def options(kind: Any, source: str, model: str, output: Path, **values: Any) -> Any:
    values.setdefault("allow_code", True)
    return kind([source], model, str(output), device="cpu", **values)


def test_a_detector_finds_every_object_once(source: str, tmp_path: Path) -> None:
    model, output = make_model(tmp_path, "ObjectDetection"), tmp_path / "found.gpkg"
    detect(options(DetectionOptions, source, model, output), Progress())
    found = read_features(output)
    assert [each["geometry"].GetArea() / 0.25 for each in found] == [120, 120, 120]
    assert {(each["Class"], each["Classvalue"], each["Confidence"]) for each in found} == {
        ("Car", 7, 80)
    }


def test_arguments_reach_the_function(source: str, tmp_path: Path) -> None:
    model, output = make_model(tmp_path, "ObjectDetection"), tmp_path / "found.gpkg"
    told = {"least": "101", "mode": "Turned"}
    detect(options(DetectionOptions, source, model, output, arguments=told), Progress())
    (found,) = read_features(output)
    assert found["geometry"].GetArea() / 0.25 == 60
    for told, sentence in (
        ({"leest": "1"}, "no argument 'leest'. The function of 'finder.dlpk' knows: least, mode"),
        ({"least": "much"}, "'much' is no number for 'least'"),
        ({"mode": "round"}, "mode=round is none of .*: box, turned"),
    ):
        with pytest.raises(InputError, match=sentence):
            detect(options(DetectionOptions, source, model, output, arguments=told), Progress())


BLANK = """
    def getParameterInfo(self):
        return [{{"name": "least", "dataType": "numeric", "value": " ", "required": {required}}}]

    def getConfiguration(self, **scalars):
        assert scalars["least"] is None
        self.least, self.mode = 50, "box"
        return {{"extractBands": (1,), "padding": 8, "tx": 32, "ty": 32, "inputMask": True}}
"""


def test_a_number_may_be_left_blank(source: str, tmp_path: Path) -> None:
    output = tmp_path / "found.gpkg"
    model = make_model(tmp_path, "ObjectDetection", DETECTOR + BLANK.format(required=False))
    detect(options(DetectionOptions, source, model, output), Progress())
    assert len(read_features(output)) == 3
    model = make_model(tmp_path, "ObjectDetection", DETECTOR + BLANK.format(required=True))
    with pytest.raises(InputError, match=r"needs the argument 'least'. Add least=…"):
        detect(options(DetectionOptions, source, model, output), Progress())


SUPPRESSING = """
    def getParameterInfo(self):
        return [{"name": "IoU_threshold", "dataType": "numeric", "value": 0.3}]

    def getConfiguration(self, **scalars):
        self.least, self.mode = 50, "box"
        return {"extractBands": (1,), "padding": 8, "tx": 32, "ty": 32, "inputMask": True}
"""


def test_arguments_that_a_function_does_not_take_are_the_tools(source: str, tmp_path: Path) -> None:
    model = make_model(tmp_path, "ObjectDetection", DETECTOR + SUPPRESSING)
    output = tmp_path / "found.gpkg"
    for threshold, count in ((0.75, 3), (0.85, 0)):
        told = {"threshold": threshold, "arguments": {"threshold": str(threshold)}}
        detect(options(DetectionOptions, source, model, output, **told), Progress())
        assert len(read_features(output)) == count
    with pytest.raises(InputError, match=r"padding=4 does not fit .* Leave the argument out"):
        told = {"padding": 4, "arguments": {"padding": "4"}}
        detect(options(DetectionOptions, source, model, output, **told), Progress())


def test_a_pixel_classifier(source: str, tmp_path: Path) -> None:
    model, output = make_model(tmp_path, "ImageClassification"), tmp_path / "classes.tif"
    classify_pixels(options(PixelOptions, source, model, output), Progress())
    wanted = np.where(gdal.Open(source).ReadAsArray()[1] > 50, 7, 3)
    assert (gdal.Open(str(output)).ReadAsArray() == wanted).all()


ANSWERING = """
    def updateRasterInfo(self, **kw):
        kw["output_info"].update(bandCount=1, pixelType="i2", noData=-1)
        return kw

    def updatePixels(self, tlc, shape, props, **blocks):
        return {{"output_pixels": np.full((1, 32, 32), {value})}}
"""


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("9", "found the class '9', which its definition does not name. It names: 3 Tree, 7 Car"),
        ("'x'", "gives values, not classes"),
        ("3.5", "gives values, not classes"),
        ("-1", ""),
        ("0.0", ""),
        ("False", ""),
    ],
)
def test_pixels_of_a_class_that_nobody_names_are_an_error(
    value: str, sentence: str, source: str, tmp_path: Path
) -> None:
    body, output = ANSWERING.format(value=value), tmp_path / "classes.tif"
    model = make_model(tmp_path, "ImageClassification", body)
    told = options(PixelOptions, source, model, output)
    if sentence:
        with pytest.raises(ModelError, match=sentence):
            classify_pixels(told, Progress())
    else:
        classify_pixels(told, Progress())
        assert not gdal.Open(str(output)).ReadAsArray().any()


@pytest.mark.parametrize("features", ["[5]", "{'a': 1}", "[{'attributes': [1]}]", "[[]]"])
def test_features_that_are_none_are_an_error(features: str, source: str, tmp_path: Path) -> None:
    body = f"""
    def vectorize(self, **blocks):
        return {{"output_vectors": {{"features": {features}}}}}
"""
    for task in ("ObjectDetection", "ObjectClassification"):
        model, output = make_model(tmp_path, task, body), tmp_path / "found.gpkg"
        with pytest.raises(ModelError, match="gives features that cannot be understood"):
            if task == "ObjectDetection":
                detect(options(DetectionOptions, source, model, output), Progress())
            else:
                classify_objects(options(ObjectOptions, source, model, output), Progress())


NUMBERS = """
    def updateRasterInfo(self, **kw):
        kw["output_info"].update(bandCount=1, pixelType="f4")
        return kw

    def updatePixels(self, tlc, shape, props, **blocks):
        inner = blocks["raster_pixels"][0, 8:-8, 8:-8]
        classes = np.where(inner > self.least, 7.0, np.nan)
        return {"output_pixels": classes, "output_mask": ~np.isnan(classes)}
"""


def test_classes_may_be_real_numbers_and_none(source: str, tmp_path: Path) -> None:
    model, output = make_model(tmp_path, "ImageClassification", NUMBERS), tmp_path / "classes.tif"
    classify_pixels(options(PixelOptions, source, model, output), Progress())
    wanted = np.where(gdal.Open(source).ReadAsArray()[1] > 50, 7, 0)
    assert (gdal.Open(str(output)).ReadAsArray() == wanted).all()


def test_an_object_classifier(source: str, tmp_path: Path) -> None:
    model, output = make_model(tmp_path, "ObjectClassification"), tmp_path / "objects.gpkg"
    shapes = [
        f"POLYGON(({x} {y},{x + 5} {y},{x + 5} {y - 5},{x} {y - 5},{x} {y}))"
        for x, y in ((500003, 4099998), (500030, 4099998), (500040, 4099970))
    ]
    features = write_polygons(tmp_path / "in.gpkg", shapes, 32616, Name=["a", "b", "c"])
    values = {"CropSizeFixed": 0}
    model = make_model(tmp_path, "ObjectClassification", **values)
    told = {"features": [features, "in"]}
    classify_objects(options(ObjectOptions, source, model, output, **told), Progress())
    found = {
        each["Name"]: (each["ClassLabel"], each["Confidence"]) for each in read_features(output)
    }
    assert found == {"a": ("Car", 75), "b": ("Tree", 75), "c": ("Car", 75)}


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("score", [0.3, 0])
def test_what_a_function_decides_has_its_score(
    count: int, score: float, source: str, tmp_path: Path
) -> None:
    body = OBJECTS.replace('("Tree", "Car")[each]', '"Tree"').replace("0.75", str(score))
    values = {"Classes": [{"Value": 3, "Name": "Tree"}, {"Value": 1, "Name": "Oak"}][:count]}
    model = make_model(tmp_path, "ObjectClassification", body, **values)
    features = write_polygons(tmp_path / "in.gpkg", ["POINT(500005 4099990)"], 32616, Name=["a"])
    for views in (False, True):
        output = tmp_path / "objects.gpkg"
        told = {"features": [features, "in"], "test_time_augmentation": views}
        classify_objects(options(ObjectOptions, source, model, output, **told), Progress())
        (found,) = read_features(output)
        assert (found["ClassLabel"], round(found["Confidence"], 2)) == ("Tree", 100 * score)


def test_nothing_is_left_beside_a_definition(source: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    with zipfile.ZipFile(make_model(tmp_path, "ObjectDetection")) as archive:
        archive.extractall(folder)
    before = sorted(each.name for each in folder.iterdir())
    model = str(folder / "finder.emd")
    detect(options(DetectionOptions, source, model, tmp_path / "found.gpkg"), Progress())
    assert sorted(each.name for each in folder.iterdir()) == before


def test_without_consent_nothing_runs(source: str, tmp_path: Path) -> None:
    evil = f"    open({str(tmp_path / 'ran')!r}, 'w')\n"
    model = make_model(tmp_path, "ObjectDetection", evil + DETECTOR)
    with pytest.raises(ModelError, match=r"runs Python code of its author, Finder\.py.*ALLOW_CODE"):
        detect(
            options(DetectionOptions, source, model, tmp_path / "x.gpkg", allow_code=False),
            Progress(),
        )
    assert not (tmp_path / "ran").exists()


TOLD = """
    def initialize(self, **kw):
        told = [kw["device"], arcpy.env.processorType, arcpy.env.gpuId]
        with open({file!r}, "w") as file:
            json.dump(told, file)
"""


def test_a_function_may_name_its_bands(source: str, tmp_path: Path) -> None:
    body = DETECTOR + NAMED
    names = {"ExtractBands": ["NIR"], "InputRastersProps": {"BandNames": ["Red", "nir"]}}
    model, output = make_model(tmp_path, "ObjectDetection", body, **names), tmp_path / "x.gpkg"
    detect(options(DetectionOptions, source, model, output), Progress())
    assert len(read_features(output)) == 3


def test_rasters_one_by_one_have_bands_of_their_own(source: str, tmp_path: Path) -> None:
    names = {"ExtractBands": ["NIR"], "InputRastersProps": {"BandNames": ["Red", "nir"]}}
    model = make_model(tmp_path, "ObjectDetection", DETECTOR + NAMED, **names)
    pixels = gdal.Open(source).ReadAsArray()
    other, output = tmp_path / "other.tif", tmp_path / "found.gpkg"
    write_raster(other, pixels[::-1].copy())
    for path, found in ((source, ("red", "nir")), (str(other), ("nir", "red"))):
        dataset = gdal.Open(path, gdal.GA_Update)
        for number, name in enumerate(found, 1):
            dataset.GetRasterBand(number).SetDescription(name)
        del dataset
    told = DetectionOptions(
        [source, str(other)], model, str(output), device="cpu", allow_code=True, separate=True
    )
    detect(told, Progress())
    assert len(read_features(output)) == 6
    lacking = write_raster(tmp_path / "lacking.tif", pixels[1:])
    model = make_model(tmp_path, "ObjectDetection")
    told = dataclasses.replace(told, sources=[source, lacking], model=model)
    with pytest.raises(ModelError, match="takes the bands 1, counted from 0, but the raster has 1"):
        detect(told, Progress())


@pytest.mark.parametrize(
    ("device", "number"), [("cpu", -1), ("mps", -1), ("cuda:1", 1), ("cuda", 0)]
)
def test_devices_have_the_numbers_of_arcgis(
    device: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert device_number(torch.device(device)) == number


def test_the_chosen_device_reaches_the_function(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "told.json"
    body = TOLD.format(file=str(file)) + DETECTOR
    model = make_model(tmp_path, "ObjectDetection", body, ExtractBands=[0, 1])
    output = tmp_path / "found.gpkg"
    # A machine may have a GPU and the user want the CPU all the same.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    detect(options(DetectionOptions, source, model, output), Progress())
    assert json.loads(file.read_text()) == [-1, "CPU", 0]
    with open_package(model) as package:
        read = read_model(package.definition, Task.DETECTION, allow_code=True)
        load_network(read, package, torch.device("cuda:2"))
    assert json.loads(file.read_text()) == [2, "GPU", 2]


SHAPES = """
    def vectorize(self, **blocks):
        return {{"output_vectors": json.dumps({{"features": [
            {{"attributes": {{"Class": "Car"}}, "geometry": {geometry}}}]}})}}
"""


CONFIGURED = (
    DETECTOR
    + """
    def getConfiguration(self, **scalars):
        return %s
"""
)


@pytest.mark.parametrize("geometry", [None, {}, {"rings": []}, {"rings": [[]]}, {"rings": [None]}])
def test_features_without_a_shape_are_left_out(geometry: Any, source: str, tmp_path: Path) -> None:
    model = make_model(tmp_path, "ObjectDetection", SHAPES.format(geometry=geometry))
    output = tmp_path / "found.gpkg"
    detect(options(DetectionOptions, source, model, output), Progress())
    assert read_features(output) == []


SCORES = """
    def vectorize(self, **blocks):
        found = []
        for number in np.unique(blocks["raster_pixels"][:, 8:-8, 8:-8]):
            if number > self.least:
                score = {{100: {one}, 101: {two}, 102: {two}}}[int(number)]
                ring = [[0, 0], [9, 0], [9, 9], [0, 9]]
                found.append({{"attributes": {{"Class": "Car", "Confidence": score}},
                               "geometry": {{"rings": [ring]}}}})
        return {{"output_vectors": json.dumps({{"features": found}})}}
"""


@pytest.mark.parametrize(("one", "two"), [(1.0000001, 0.9), (100.00001, 90)])
def test_scores_count_to_one_or_a_hundred(
    one: float, two: float, source: str, tmp_path: Path
) -> None:
    model = make_model(tmp_path, "ObjectDetection", SCORES.format(one=one, two=two))
    output = tmp_path / "found.gpkg"
    detect(options(DetectionOptions, source, model, output), Progress())
    assert {each["Confidence"] for each in read_features(output)} == {100, 90}


def test_no_features_may_be_nothing(source: str, tmp_path: Path) -> None:
    nothing = """
    def vectorize(self, **blocks):
        return {"output_vectors": json.dumps({"features": None})}
"""
    model, output = make_model(tmp_path, "ObjectDetection", nothing), tmp_path / "found.gpkg"
    detect(options(DetectionOptions, source, model, output), Progress())
    assert read_features(output) == []


def test_a_function_in_a_folder_finds_what_lies_beside_the_definition(
    source: str, tmp_path: Path
) -> None:
    """And none of GeoDL's own modules, which are called as libraries are."""
    body = """
    def initialize(self, **kw):
        import importlib.util
        assert importlib.util.find_spec("store") is None
        assert open("weights.bin").read() == "x"
"""
    (tmp_path / "code").mkdir()
    for name, text in {
        "code/Finder.py": COMMON + body + DETECTOR,
        "beside.py": "LEVEL = 1",
        "weights.bin": "x",
    }.items():
        (tmp_path / name).write_text(text)
    definition = {**DEFINITION, "InferenceFunction": "code\\Finder.py"}
    (tmp_path / "finder.emd").write_text(json.dumps(definition))
    output = tmp_path / "found.gpkg"
    told = options(DetectionOptions, source, str(tmp_path / "finder.emd"), output)
    detect(told, Progress())
    assert len(read_features(output)) == 3


@pytest.mark.parametrize(
    ("body", "values", "sentence"),
    [
        ("    def vectorize(self, **b):\n        return 1 / 0\n", {}, "ZeroDivisionError"),
        ("    def vectorize(self, **b):\n        os._exit(3)\n", {}, r"ended by itself \(code 3\)"),
        ("    pass\n", {}, "has no 'vectorize'"),
        (CONFIGURED % "{'extractBands': 1}", {}, r"that cannot be understood \('int' object"),
        (CONFIGURED % "{'padding': 'much'}", {}, r"understood \(invalid .*'much'"),
        (SHAPES.format(geometry={"x": 1, "y": 2}), {}, r"no polygons, but \{'x': 1"),
        (SHAPES.format(geometry={"paths": [[[1, 2], [3, 4]]]}), {}, r"no polygons, but \{'paths"),
        (SHAPES.format(geometry={"rings": [[1, 2]]}), {}, r"no polygons, but \{'rings"),
        ("", {"Framework": "arcgis.learn.models._inferencing"}, "package 'arcgis' is installed"),
        ("", {"Classes": [{"Value": 1, "Name": "Dog"}]}, "found the class 'Car', which its"),
        ("", {"InferenceFunction": "../Finder.py"}, "has no file '../Finder.py' of its own"),
    ],
)
def test_what_fails_is_said(
    body: str, values: dict[str, Any], sentence: str, source: str, tmp_path: Path
) -> None:
    model = make_model(tmp_path, "ObjectDetection", body, **values)
    with pytest.raises(GeoDLError, match=sentence):
        detect(options(DetectionOptions, source, model, tmp_path / "x.gpkg"), Progress())


def test_functions_of_arcgis_itself_are_not_ours_to_run(source: str, tmp_path: Path) -> None:
    values = {
        "Framework": "arcgis.learn.models._inferencing",
        "InferenceFunction": "[Functions]System\\DeepLearning\\ArcGISObjectDetector.py",
    }
    model = make_model(tmp_path, "ObjectDetection", **values)
    with pytest.raises(ModelError, match=r"saved by arcgis\.learn for the function of ArcGIS Pro"):
        detect(options(DetectionOptions, source, model, tmp_path / "x.gpkg"), Progress())
