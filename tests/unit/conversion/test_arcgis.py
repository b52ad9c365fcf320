"""Packages for ArcGIS give in its host what GeoDL's own tools give on the same pixels."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geodl_plugin.core.conversion.convert import run
from geodl_plugin.core.conversion.options import ConversionOptions
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.shapes import polygon_of_rings
from geodl_plugin.core.inference import detect, objects, pixels
from geodl_plugin.core.inference.options import DetectionOptions, ObjectOptions, PixelOptions
from geodl_plugin.core.packages.information import information
from geodl_plugin.core.progress import Progress
from tests.qgis.models import write_untrained
from tests.unit.conversion.two_stage_models import write_detector
from tests.unit.inference.support import (
    NORTH_UP,
    read_features,
    write_model,
    write_polygons,
    write_raster,
)

pytestmark = pytest.mark.usefixtures("narrow_heads")
HOST = Path(__file__).with_name("arcgis_host.py")
SIDE = 64
EDGE = 8  # columns without data


def convert(folder: Path, name: str, **facts: Any) -> tuple[str, str]:
    """Return a model and its package for ArcGIS."""
    torch.manual_seed(0)
    if name == "SSD":
        model = write_untrained(folder / "model.dlpk", name)
    elif name in ("FASTERRCNN", "MASKRCNN"):
        model = write_detector(folder / "model.dlpk", name)
    else:
        normalization = {"mean": [0.0] * 3, "std": [4.0] * 3}
        facts["normalization"] = normalization
        model = write_model(folder / "model.dlpk", name, bands=3, **facts)
    output = str(folder / "für ArcGIS" / "converted.dlpk")
    result = run(ConversionOptions(model, "arcgis", output), Progress())
    assert result["output"] == output and result["chance"] < 1e-4
    assert [each.name for each in Path(output).parent.iterdir()] == ["converted.dlpk"]
    with zipfile.ZipFile(output) as package:
        network = torch.jit.load(io.BytesIO(package.read("converted.pt")))
    assert "Device = prim::Constant" not in str(network.inlined_graph), "it follows its images"
    return model, output


def host(
    folder: Path, package: str, blocks: dict[str, np.ndarray], *runs: dict[str, Any]
) -> list[dict[str, Any]]:
    """Run a package's function in its host, once for each set of arguments."""
    np.savez(folder / "blocks.npz", **blocks)
    job = {
        "package": package,
        "blocks": str(folder / "blocks.npz"),
        "runs": runs,
        "answer": str(folder / "answer.json"),
    }
    (folder / "job.json").write_text(json.dumps(job))
    command = [sys.executable, str(HOST), str(folder / "job.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)
    assert done.returncode == 0, done.stderr
    answers = json.loads((folder / "answer.json").read_text())
    assert all(each["geodl"] == [] for each in answers), "the function is complete in itself"
    return answers


def scene(side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels ``(3, side, side)`` without data in the first columns, and the mask."""
    image = np.random.default_rng(3).integers(1, 255, (3, side, side)).astype(np.uint8)
    image[:, :, :EDGE] = 0
    mask = np.ones((3, side, side), np.uint8)
    mask[:, :, :EDGE] = 0
    return image, mask


def both_ways(
    folder: Path, model: str, package: str, threshold: float, padded_threshold: float
) -> tuple[Any, Any, Any, list[dict[str, Any]]]:
    """Detect in a scene by a package's function and by GeoDL.

    Returns:
        The function's answers without padding, with padding, and with what lies in the padding
        too; then GeoDL's features, without padding.
    """
    image, mask = scene()
    source = write_raster(folder / "scene.tif", image, nodata=0)
    arguments = {"padding": 0, "threshold": threshold, "nms_overlap": 0.3}
    wide = {**arguments, "padding": 16, "threshold": padded_threshold}
    everything = {**wide, "exclude_pad_detections": "False"}
    answers = host(folder, package, {"pixels": image, "mask": mask}, arguments, wide, everything)
    output = str(folder / "own.gpkg")
    options = DetectionOptions([source], model, output, precision="float32", **arguments)
    detect.run(options, Progress())
    return (*answers, read_features(output))


@pytest.mark.parametrize("name", ["SSD", "FASTERRCNN"])
def test_a_detector_finds_the_same_boxes(name, tmp_path):
    model, package = convert(tmp_path, name)
    found, padded, everything, features = both_ways(tmp_path, model, package, 0.05, 0.05)
    own = sorted(
        (each["Class"], each["Classvalue"], each["Confidence"], *box_of(each["geometry"]))
        for each in features
    )
    theirs = sorted(row_of(each) for each in found["vectors"])
    assert len(own) > 3
    assert [each[:2] for each in theirs] == [each[:2] for each in own]
    np.testing.assert_allclose(
        np.array([each[2:] for each in theirs]), np.array([each[2:] for each in own]), atol=0.011
    )
    assert found["geometry"] == 4
    names = [each["name"] for each in found["fields"]["fields"]]
    assert names == ["OID", "Class", "Classvalue", "Confidence", "Shape"]
    # What lies in the padding is left to the neighbouring block.
    assert (padded["configuration"]["tx"], padded["configuration"]["padding"]) == (32, 16)
    rows = [row_of(each) for each in everything["vectors"]]
    inside = [
        row for row in rows if 0 <= (row[3] + row[5]) / 2 < 32 and 0 <= (row[4] + row[6]) / 2 < 32
    ]
    assert 0 < len(inside) < len(rows)
    assert [row_of(each) for each in padded["vectors"]] == inside
    told = information(package)
    assert told["runs_code"] and told["classes"][0]["name"] == "Tree"


def test_outlines_are_the_same(tmp_path):
    model, package = convert(tmp_path, "MASKRCNN")
    found, padded, everything, features = both_ways(tmp_path, model, package, 0.3, 0.1)
    own = {(each["Classvalue"], each["Confidence"]): each for each in features}
    assert len(own) > 2 and len(own) == len(found["vectors"])
    for each in found["vectors"]:
        values = each["attributes"]
        mine = min(own.values(), key=lambda row: abs(row["Confidence"] - values["Confidence"]))
        assert (mine["Class"], mine["Classvalue"]) == (values["Class"], values["Classvalue"])
        assert abs(mine["Confidence"] - values["Confidence"]) < 0.011
        shape = on_map(each["geometry"]["rings"])
        # Here and there a pixel may be at the limit of one half.
        apart = shape.SymDifference(mine["geometry"])
        assert (apart.GetArea() if apart is not None else 0) <= 0.01 * mine["geometry"].GetArea()
        assert len(each["geometry"]["rings"][0]) > 5, "an outline, not a box"
    # What lies in the padding is left to the neighbouring block.
    centres = [np.ptp(points_of(each), axis=0) / 2 + points_of(each).min(0) for each in
               everything["vectors"]]  # fmt: skip
    inside = [
        each["geometry"]
        for each, centre in zip(everything["vectors"], centres)
        if ((centre >= 0) & (centre < 32)).all()
    ]
    assert 0 < len(inside) < len(centres)
    assert [each["geometry"] for each in padded["vectors"]] == inside
    with zipfile.ZipFile(package) as archive:
        names = archive.namelist()
        values = json.loads(archive.read("converted.emd"))
    assert sorted(names) == ["GeoDLInstanceDetector.py", "converted.emd", "converted.pt"]
    assert values["ModelType"] == "InstanceDetection"


def points_of(feature: dict[str, Any]) -> np.ndarray:
    return np.concatenate([np.array(ring) for ring in feature["geometry"]["rings"]])


def on_map(rings: list[list[list[float]]]) -> Any:
    """Return the shape of rings in pixels of the scene, by the even-odd rule."""
    x, y, cell = NORTH_UP[0], NORTH_UP[3], NORTH_UP[1]
    return polygon_of_rings([np.array(ring) * [cell, -cell] + [x, y] for ring in rings])


def row_of(feature: dict[str, Any]) -> tuple[Any, ...]:
    """Return class, value, confidence and box of a feature."""
    ring = np.array(feature["geometry"]["rings"][0])
    values = feature["attributes"]
    return (
        values["Class"],
        values["Classvalue"],
        values["Confidence"],
        *ring.min(0).tolist(),
        *ring.max(0).tolist(),
    )


def box_of(geometry: Any) -> tuple[float, ...]:
    """Return a polygon's box in pixels of the scene."""
    left, right, bottom, top = geometry.GetEnvelope()
    x, y, cell = NORTH_UP[0], NORTH_UP[3], NORTH_UP[1]
    return ((left - x) / cell, (y - top) / cell, (right - x) / cell, (y - bottom) / cell)


def test_pixels_get_the_same_classes(tmp_path):
    model, package = convert(tmp_path, "TEST_SMALL")
    image, mask = scene()
    source = write_raster(tmp_path / "scene.tif", image, nodata=0)
    blocks = {"pixels": image, "mask": mask}
    runs = ({"padding": 0}, {"padding": 16}, {"padding": 0, "predict_background": "False"})
    found = host(tmp_path, package, blocks, *runs)[0]
    theirs, inner, always = (dict(np.load(tmp_path / f"{number}.npz")) for number in range(3))
    output = str(tmp_path / "own.tif")
    options = PixelOptions([source], model, output, padding=0, precision="float32")
    pixels.run(options, Progress())
    with Raster.open([output]) as raster:
        own = raster.read(raster.window)
    np.testing.assert_array_equal(theirs["mask"][0] > 0, own.valid)
    np.testing.assert_array_equal(theirs["pixels"][0][own.valid], own.pixels[0][own.valid])
    assert len(np.unique(own.pixels)) > 1
    assert found["info"]["bandCount"] == 1 and found["info"]["pixelType"] == "u1"
    assert found["info"]["colormap"][0] == [3, 7] and found["info"]["colormap"][1] == [34, 204]
    rows = [each["attributes"]["Class"] for each in found["info"]["table"]["features"]]
    assert rows == ["Tree", "Car"]
    np.testing.assert_array_equal(inner["pixels"], theirs["pixels"][:, 16:48, 16:48])
    told = always["pixels"][0]
    assert set(np.unique(told[own.valid])) <= {3, 7} and (told[~own.valid] == 0).all()


def test_a_background_that_was_not_learned_is_no_answer_there_either(tmp_path):
    _, package = convert(tmp_path, "TEST_SMALL", background=False)
    image, mask = scene()
    host(tmp_path, package, {"pixels": image, "mask": mask}, {"padding": 0})
    assert set(np.unique(np.load(tmp_path / "0.npz")["pixels"][0][mask[0] > 0])) <= {3, 7}


@pytest.mark.parametrize("several", [False, True])
def test_objects_get_the_same_classes(several, tmp_path):
    model, package = convert(tmp_path, "TEST_OBJECTS", several_labels=several)
    image, _ = scene(2 * SIDE)
    source = write_raster(tmp_path / "scene.tif", image)
    x, y, cell = NORTH_UP[0], NORTH_UP[3], NORTH_UP[1]
    centres = [(32, 32), (96, 32), (64, 96)]
    points = [f"POINT ({x + col * cell} {y - row * cell})" for col, row in centres]
    layer = write_polygons(tmp_path / "trees.gpkg", points, 32616, name=["a", "b", "c"])
    output = str(tmp_path / "own.gpkg")
    options = ObjectOptions([source], model, output, features=[layer, "trees"], precision="float32")
    objects.run(options, Progress())
    own = [(each["ClassLabel"], each["Confidence"]) for each in read_features(output)]
    blocks = {}
    for number, (col, row) in enumerate(centres):
        blocks[f"pixels{number}"] = image[:, row - 32 : row + 32, col - 32 : col + 32]
        blocks[f"mask{number}"] = np.ones((3, SIDE, SIDE), np.uint8)
    if several:
        every, some, none = host(
            tmp_path, package, blocks, *({"batch_size": 3, "threshold": t} for t in (0, 0.5, 1.1))
        )
        told = [[each["attributes"] for each in run["vectors"]] for run in (every, none)]
        assert [[each["ClassLabel"] for each in run] for run in told] == [
            ["Tree,Car"] * 3,
            [""] * 3,
        ]
        assert told[0][0]["Classvalue"] == told[1][0]["Classvalue"]
        found = some
    else:
        (found,) = host(tmp_path, package, blocks, {"batch_size": 3})
    theirs = [each["attributes"] for each in found["vectors"]]
    assert [each["ClassLabel"] for each in theirs] == [name for name, _ in own]
    np.testing.assert_allclose(
        [each["Confidence"] for each in theirs], [sure for _, sure in own], atol=0.011
    )
    assert found["configuration"]["batch_size"] == 3
    with zipfile.ZipFile(package) as archive:
        names = archive.namelist()
        values = json.loads(archive.read("converted.emd"))
    assert sorted(names) == ["GeoDLObjectClassifier.py", "converted.emd", "converted.pt"]
    assert values["Framework"] == "PyTorch" and values["ModelType"] == "ObjectClassification"
    assert values["ModelFile"] == "converted.pt"
    assert values["InferenceFunction"] == "GeoDLObjectClassifier.py"
    assert values["ExtractBands"] == [0, 1, 2] and values["ImageWidth"] == SIDE
    assert "architecture" not in values["GeoDL"] and "several_labels" not in values["GeoDL"]
    assert values["GeoDL"].get("joined_labels", False) == several
