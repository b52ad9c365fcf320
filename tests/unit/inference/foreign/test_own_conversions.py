"""What GeoDL converts for other programs it applies itself, with the same result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from geodl_plugin.core.conversion.convert import run as convert
from geodl_plugin.core.conversion.options import ConversionOptions
from geodl_plugin.core.inference import detect
from geodl_plugin.core.inference.objects import run as classify
from geodl_plugin.core.inference.options import DetectionOptions, ObjectOptions, PixelOptions
from geodl_plugin.core.inference.pixels import run
from geodl_plugin.core.packages.archive import open_package
from geodl_plugin.core.progress import Progress
from tests.unit.conversion.two_stage_models import write_detector

from ..support import read_features, write_model, write_polygons, write_raster

pytestmark = pytest.mark.usefixtures("narrow_heads")


@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [
        ("onnx", "net.onnx", False),
        ("openvino", "net.xml", False),
        ("arcgis", "net.dlpk", False),
        ("arcgis", "net.dlpk", True),
    ],
)
def test_a_conversion_classifies_like_the_model(
    kind: str, name: str, code: bool, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(3).integers(0, 25, (1, 100, 130)).astype(np.uint8)
    source = write_raster(tmp_path / "image.tif", pixels)
    model = write_model(
        tmp_path / "own.dlpk", "TEST_PIXELS", normalization={"mean": [2.0], "std": [1.0]}
    )
    target = tmp_path / "converted" / name
    convert(ConversionOptions(model, kind, str(target)), Progress())
    results = []
    for number, each in enumerate((model, target)):
        output = str(tmp_path / f"{number}.tif")
        run(PixelOptions([source], str(each), output, device="cpu", allow_code=code), Progress())
        results.append(gdal.Open(output).ReadAsArray())
    assert (results[0] == results[1]).all()
    assert set(np.unique(results[0])) == {0, 3, 7}


@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [
        ("onnx", "net.onnx", False),
        ("openvino", "net.xml", False),
        ("arcgis", "net.dlpk", False),
        ("arcgis", "net.dlpk", True),
    ],
)
def test_a_conversion_gives_an_object_several_labels(
    kind: str, name: str, code: bool, tmp_path: Path
) -> None:
    model = write_model(
        tmp_path / "own.dlpk",
        "TEST_OBJECTS",
        chip_size=16,
        several_labels=True,
        normalization={"mean": [0.0], "std": [10.0]},
    )
    target = tmp_path / "converted" / name
    convert(ConversionOptions(model, kind, str(target)), Progress())
    source = write_raster(tmp_path / "image.tif", np.full((1, 40, 80), 8, np.uint8))
    point = ["POINT(500005 4099990)"]
    features = write_polygons(tmp_path / "in.gpkg", point, 32616, Name=["a"])
    results = []
    for each in (str(model), str(target)):
        for threshold in (0.0, 0.3, 0.6):
            output = str(tmp_path / "out.gpkg")
            options = ObjectOptions(
                [source], each, output, device="cpu", features=[features, "in"],
                score_threshold=threshold, allow_code=code,
            )  # fmt: skip
            classify(options, Progress())
            (found,) = read_features(output)
            results.append((found["ClassLabel"], round(found["Confidence"], 1)))
    assert results[3:] == results[:3]
    assert [label for label, _ in results[:3]] == ["Tree,Car", "Tree", ""]


@pytest.mark.parametrize("name", ["FASTERRCNN", "MASKRCNN"])
def test_a_detector_of_two_stages_finds_the_same(name: str, tmp_path: Path) -> None:
    """Several tiles, some of them in one batch, and masks where there are any."""
    pixels = np.random.default_rng(3).integers(1, 255, (3, 100, 130)).astype(np.uint8)
    source = write_raster(tmp_path / "image.tif", pixels)
    own = write_detector(tmp_path / "own.dlpk", name)

    def found(model: str) -> list[tuple[float, ...]]:
        output = str(tmp_path / "found.gpkg")
        options = DetectionOptions(
            [source], model, output, device="cpu", precision="float32", threshold=0.3,
            nms_overlap=0.3, padding=16, batch_size=4, tile_size=64,
        )  # fmt: skip
        detect.run(options, Progress())
        rows = []
        for each in read_features(output):
            shape = each["geometry"]
            rows.append((each["Classvalue"], each["Confidence"], *shape.GetEnvelope()))
            rows[-1] += (shape.GetArea(),)
        return sorted(rows)

    wanted = np.array(found(own))
    assert len(wanted) > 5
    for kind, file in (
        ("onnx", "net.onnx"),
        ("openvino", "net.xml"),
        ("arcgis", "net.dlpk"),
    ):
        target = str(tmp_path / kind / file)
        convert(ConversionOptions(own, kind, target), Progress())
        for model in (target, described(own, target)) if kind == "openvino" else (target,):
            got = np.array(found(model))
            assert got.shape == wanted.shape, kind
            np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=0.02, err_msg=kind)


def described(own: str, network: str) -> str:
    """Return a definition beside a network of OpenVINO's."""
    with open_package(own) as package:
        values = dict(package.definition.values)
    values["ModelFile"] = Path(network).name
    values["GeoDL"] = {k: v for k, v in values["GeoDL"].items() if k != "architecture"}
    values["GeoDL"]["converted_from"] = "own"
    path = Path(network).with_suffix(".emd")
    path.write_text(json.dumps(values))
    return str(path)
