"""Networks of other makers classify pixels: every file, layout and kind of answer."""

from __future__ import annotations

import json
import re
import shutil
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from osgeo import gdal

from geodl_plugin.core.errors import GeoDLError, InputError, ModelError
from geodl_plugin.core.inference.answering import Answering
from geodl_plugin.core.inference.openvino_streams import Streams
from geodl_plugin.core.inference.options import PixelOptions
from geodl_plugin.core.inference.pixels import run
from geodl_plugin.core.packages.archive import check_package, write_package
from geodl_plugin.core.packages.definition import ModelDefinition
from geodl_plugin.core.packages.installation import install
from geodl_plugin.core.progress import Progress

from ..support import write_raster
from .graphs import LEVELS, level_weights, pixel_onnx, save_onnx

DATA = Path(__file__).parent / "data"
NAMES = {"class_names": {0: "background", 1: "Tree", 2: "Car"}}

PIXELS = {"Framework": "ONNX", "ModelType": "ImageClassification"}
TOLD_PIXELS = {
    "ExtractBands": [0, 1, 2],
    "Classes": [{"Value": 1, "Name": "Tree"}, {"Value": 2, "Name": "Car"}],
}


@pytest.fixture
def raster(tmp_path: Path) -> tuple[str, np.ndarray]:
    """Return an image of 0, 10 and 20, and the classes that these are."""
    wanted = np.random.default_rng(1).integers(0, 3, (70, 90)).astype(np.uint8)
    pixels = np.stack([wanted * 10, np.full_like(wanted, 7), np.full_like(wanted, 9)])
    return write_raster(tmp_path / "image.tif", pixels.astype(np.uint8)), wanted


class Warnings(Progress):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def warn(self, message: str) -> None:
        self.told.append(message)


def classify(source: str, model: str | Path, tmp_path: Path, **values: Any) -> np.ndarray:
    output = str(tmp_path / "classes.tif")
    progress = values.pop("progress", Progress())
    run(PixelOptions([source], str(model), output, device="cpu", **values), progress)
    return gdal.Open(output).ReadAsArray()


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"nhwc": True},
        {"side": 64},
        {"side": 64, "batch": 1},
        {"side": 64, "batch": 2, "nhwc": True},
        {"activation": "Softmax"},
        {"activation": "Softmax", "nhwc": True},
    ],
    ids=str,
)
def test_an_onnx_file_alone_classifies(
    kind: dict[str, Any], raster: tuple[str, np.ndarray], tmp_path: Path
) -> None:
    model = pixel_onnx(tmp_path / "net.onnx", 3, model_type="Segmentor", **NAMES, **kind)
    assert (classify(raster[0], model, tmp_path) == raster[1]).all()


@pytest.mark.parametrize("kind", ["Segmentor", "segmenter"])
@pytest.mark.parametrize("background", [{0: "_background"}, {}])
def test_the_background_as_deepness_spells_it(
    background: dict[int, str], kind: str, raster: tuple[str, np.ndarray], tmp_path: Path
) -> None:
    names = {**background, 1: "Tree", 2: "Car"}
    model = pixel_onnx(tmp_path / "net.onnx", 3, model_type=kind, class_names=names)
    assert (classify(raster[0], model, tmp_path) == raster[1]).all()


def test_tiles_that_are_computed_at_the_same_time_keep_their_places(
    raster: tuple[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    asked: list[str] = []
    ask = Streams.__call__

    def watched(self: Streams, inputs: Any) -> list[np.ndarray]:
        asked.append(threading.current_thread().name)
        return ask(self, inputs)

    monkeypatch.setattr(Streams, "__call__", watched)
    model = pixel_onnx(tmp_path / "net.onnx", 3, model_type="Segmentor", **NAMES)
    found = classify(raster[0], model, tmp_path, tile_size=32, padding=0, batch_size=1)
    assert (found == raster[1]).all()
    assert len(set(asked)) > 2  # the thread that began, and the lanes


def test_normalisation_is_that_of_deepness(raster: tuple[str, np.ndarray], tmp_path: Path) -> None:
    # (x / 255 - 0.02) / 0.1: the levels as the network sees them then.
    levels = tuple((level / 255 - 0.02) / 0.1 for level in LEVELS)
    facts = {"standardization_mean": [0.02] * 3, "standardization_std": [0.1] * 3}
    model = pixel_onnx(tmp_path / "net.onnx", 3, scale=1.0, levels=levels, **facts, **NAMES)
    assert (classify(raster[0], model, tmp_path) == raster[1]).all()


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0.1, 1.0), (0, 255)])
def test_pixels_are_brought_to_the_range_of_a_definition(
    raster: tuple[str, np.ndarray], tmp_path: Path, low: float, high: float
) -> None:
    levels = tuple(low + level / 255 * (high - low) for level in LEVELS)
    pixel_onnx(tmp_path / "net.onnx", 3, scale=1.0, levels=levels)
    values = {**PIXELS, **TOLD_PIXELS, "ModelFile": "net.onnx", "DataRange": [low, high]}
    emd = tmp_path / "model.emd"
    emd.write_text(json.dumps({**values, "ImageWidth": 64, "ImageHeight": 64}))
    progress = Warnings()
    found = classify(raster[0], emd, tmp_path, progress=progress)
    assert (found == raster[1]).all()
    assert any("pixels of 0 to 255 become these" in each for each in progress.told) == (low != 0)
    example = {**values, "DataRange": "e.g. [0.1, 1.0] (optional)", "ImageWidth": 64}
    emd.write_text(json.dumps(example))
    classify(raster[0], emd, tmp_path, progress=progress)
    assert any("does not say how values are to be normalised" in each for each in progress.told)
    emd.write_text(json.dumps({**values, "DataRange": [high, low], "ImageWidth": 64}))
    with pytest.raises(ModelError, match="It must be two numbers, the smaller one first"):
        classify(raster[0], emd, tmp_path)


@pytest.mark.parametrize(
    ("argument", "key"), [("padding", "ModelPadding"), ("batch_size", "BatchSize")]
)
def test_what_a_definition_fixes_is_no_argument(
    raster: tuple[str, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    argument: str,
    key: str,
) -> None:
    levels = tuple((level / 255 - 0.02) / 0.1 for level in LEVELS)
    facts = {"standardization_mean": [0.02] * 3, "standardization_std": [0.1] * 3}
    pixel_onnx(tmp_path / "net.onnx", 3, scale=1.0, levels=levels, **facts, **NAMES)
    values = {**PIXELS, "ModelFile": "net.onnx", "ImageWidth": 64, "ImageHeight": 64}
    emd = tmp_path / "model.emd"
    seen: list[tuple[int, int]] = []
    work = Answering.run

    def watched(self: Answering, *arguments: Any) -> None:
        work(self, *arguments)
        seen.append((self.tiles.rim, self.engine.batch_size))

    monkeypatch.setattr(Answering, "run", watched)
    for told in (3, "a text that describes it"):
        emd.write_text(json.dumps({**values, key: told}))
        classify(raster[0], emd, tmp_path)
        classify(raster[0], emd, tmp_path, **{argument: 3})
    place = 0 if argument == "padding" else 1
    assert [each[place] for each in (seen[0], seen[1], seen[3])] == [3, 3, 3]
    assert seen[2][place] != 3
    emd.write_text(json.dumps({**values, key: 3}))
    with pytest.raises(InputError, match=rf"{argument}=5 does not fit 'model\.emd', whose def"):
        classify(raster[0], emd, tmp_path, **{argument: 5})


def test_what_a_file_does_not_say_comes_from_the_arguments(
    raster: tuple[str, np.ndarray], tmp_path: Path
) -> None:
    model = pixel_onnx(tmp_path / "net.onnx", 1, scale=1.0, levels=(0.0, 7.0))
    with pytest.raises(ModelError, match=r"does not name its classes. Add .*classes=Tree,Car"):
        classify(raster[0], model, tmp_path)
    told = {"classes": "background,Flat", "bands": "1", "scale": "1"}
    progress = Warnings()
    found = classify(raster[0], model, tmp_path, arguments=told, progress=progress)
    assert (found == 1).all()
    assert not progress.told[1:]
    told.pop("scale")
    classify(raster[0], model, tmp_path, arguments=told, progress=progress)
    assert any("does not say how values are to be normalised" in each for each in progress.told)


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"bands": "0,1"}, "takes 3 bands, but 2 are named"),
        ({"bands": "x"}, "bands=x are no bands"),
        ({"classes": "A,B,C,D,E"}, "gives 3 answers but 5 classes are named"),
        ({"mean": "1,2"}, "mean=1,2 are not 3 numbers"),
        ({"std": "0"}, "none of them may be 0"),
        ({"layout": "CHWN"}, "layout=CHWN is unknown"),
        ({"answer": "yes"}, "answer=yes is unknown"),
        ({"model_type": "poem"}, "model_type=poem is unknown"),
        ({"model_type": "objects"}, "classifies objects. Use the tool 'Classify objects'"),
        ({"colour": "red"}, "There is no argument 'colour'. Known are: padding, .*classes"),
    ],
)
def test_arguments_without_sense_are_named(
    told: dict[str, str], sentence: str, raster: tuple[str, np.ndarray], tmp_path: Path
) -> None:
    model = pixel_onnx(tmp_path / "net.onnx", 3, **NAMES)
    with pytest.raises(GeoDLError, match=sentence):
        classify(raster[0], model, tmp_path, arguments=told)


def test_a_single_answer_is_a_threshold(raster: tuple[str, np.ndarray], tmp_path: Path) -> None:
    facts = {"class_names": {0: "background", 1: "Bright"}, "seg_thresh": 0.9}
    model = pixel_onnx(tmp_path / "net.onnx", 3, levels=(20.0,), activation="Sigmoid", **facts)
    found = classify(raster[0], model, tmp_path)
    # The convolution answers 200 · 20 / 255 · x - 100 · (20 / 255)², x = pixel / 255.
    levels = np.array([0, 10, 20]) / 255
    weights, bias = level_weights(1, 255.0, (20.0,))
    chance = 1 / (1 + np.exp(-(weights.ravel() * levels + bias)))
    assert (found == (chance > 0.9).astype(int)[raster[1]]).all()


@pytest.mark.parametrize("activation", ["Softmax", "Sigmoid", ""])
@pytest.mark.parametrize("background", [True, False])
def test_below_the_threshold_is_background(
    background: bool, activation: str, tmp_path: Path
) -> None:
    """Between the levels of two classes both are improbable, as Deepness sees it."""
    values = np.delete(np.arange(6, 25), 9)  # in the very middle, 15, no class is the best
    places = np.tile(np.arange(len(values)), (70, 4))
    pixels = values[places].astype(np.uint8)
    source = write_raster(tmp_path / "image.tif", np.stack([pixels] * 3))
    levels = LEVELS if background else LEVELS[1:]
    names = ["background", "Tree", "Car"][-len(levels) :]
    weights, bias = level_weights(1, 255.0, levels)
    answers = weights.ravel() * (values / 255)[:, None] + bias
    chances = np.exp(answers) / np.exp(answers).sum(1, keepdims=True)
    if activation == "Sigmoid":
        chances = 1 / (1 + np.exp(-answers))
    best = answers.argmax(1) + (0 if background else 1)
    for threshold in (0.0, 0.55):
        facts = {"class_names": dict(enumerate(names)), "seg_thresh": threshold}
        model = pixel_onnx(tmp_path / "net.onnx", 3, levels=levels, activation=activation, **facts)
        wanted = np.where((chances.max(1) >= threshold) | (best == 0), best, 0)
        assert (classify(source, model, tmp_path) == wanted[places]).all()
        assert (wanted != best).any() == (threshold > 0)


def test_bands_by_their_names(tmp_path: Path) -> None:
    """The first of the three, NIR, tells the class: it lies last in the image."""
    wanted = np.random.default_rng(1).integers(0, 3, (70, 90)).astype(np.uint8)
    # Of four bands of bytes the last one would be taken for transparency.
    pixels = np.stack([np.full_like(wanted, 9)] * 3 + [wanted * 10]).astype(np.uint16)
    source = write_raster(tmp_path / "image.tif", pixels)
    pixel_onnx(tmp_path / "net.onnx", 3)
    emd = {
        "Framework": "ONNX",
        "ModelType": "ImageClassification",
        "ModelFile": "net.onnx",
        "ExtractBands": ["NIR", "Red", "Green"],
        "Classes": [{"Value": 1, "Name": "Tree"}, {"Value": 2, "Name": "Car"}],
    }
    path = tmp_path / "model.emd"
    path.write_text(json.dumps(emd))
    with pytest.raises(ModelError, match=r"takes the bands NIR, Red, Green, but 'image\.tif'"):
        classify(source, path, tmp_path)
    told = {"bands": "3,2,1"}
    assert (classify(source, path, tmp_path, arguments=told) == wanted).all()
    names = ["Blue", "Green", "Red", "NIR"]
    path.write_text(json.dumps({**emd, "InputRastersProps": {"BandNames": names}}))
    assert (classify(source, path, tmp_path) == wanted).all()
    path.write_text(json.dumps(emd))
    image = gdal.Open(source, gdal.GA_Update)
    for band, name in enumerate(names, 1):
        image.GetRasterBand(band).SetDescription(name.lower())
    image = None
    assert (classify(source, path, tmp_path) == wanted).all()


def test_tensorflow_needs_no_tensorflow(raster: tuple[str, np.ndarray], tmp_path: Path) -> None:
    classes = [{"Value": 1, "Name": "Tree"}, {"Value": 2, "Name": "Car"}]
    emd = {
        "Framework": "TensorFlow",
        "ModelType": "ImageClassification",
        "ModelConfiguration": "DeepLab",
        "InferenceFunction": "[Functions]System\\DeepLearning\\ImageClassifier\\Deep.py",
        "ModelFile": ".\\deeplab.pb",
        "ImageHeight": 64,
        "ImageWidth": 64,
        "ExtractBands": [0, 1, 2],
        "Classes": classes,
    }
    for file in ("deeplab.pb", "saved_model", "saved_model/saved_model.pb"):
        (tmp_path / "model.emd").write_text(json.dumps({**emd, "ModelFile": file}))
        for each in DATA.rglob("*"):
            if each.is_file():
                target = tmp_path / each.relative_to(DATA)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(each.read_bytes())
        assert (classify(raster[0], tmp_path / "model.emd", tmp_path) == raster[1]).all(), file


def test_a_package_may_hold_a_folder(raster: tuple[str, np.ndarray], tmp_path: Path) -> None:
    emd = {
        "Framework": "TensorFlow",
        "ModelType": "ImageClassification",
        "ModelFile": "saved_model/",
        "Classes": [{"Value": 1, "Name": "Tree"}, {"Value": 2, "Name": "Car"}],
    }
    folder = DATA / "saved_model"
    inside = [each for each in folder.rglob("*") if each.is_file()]
    files = {str(each.relative_to(DATA).as_posix()): each for each in inside}
    path = write_package(tmp_path / "net.dlpk", ModelDefinition(emd, "net"), files)
    check_package(path, "net")
    assert (classify(raster[0], path, tmp_path) == raster[1]).all()


ODD_PACKAGES = {
    "of a Mac": ({"m.emd": "net.onnx"}, ["net.onnx", "__MACOSX/._m.emd", "._m.emd"]),
    "of .NET": ({"in\\m.emd": "net.onnx"}, ["in\\net.onnx"]),
    "with folders": ({"m.emd": "weights\\net.onnx"}, ["weights/net.onnx"]),
}


@pytest.mark.parametrize("kind", ODD_PACKAGES)
def test_packages_of_other_programs(
    kind: str, raster: tuple[str, np.ndarray], tmp_path: Path
) -> None:
    definitions, names = ODD_PACKAGES[kind]
    network = Path(pixel_onnx(tmp_path / "other.onnx", 3, **NAMES)).read_bytes()
    path = tmp_path / "m.dlpk"
    with zipfile.ZipFile(path, "w") as archive:
        for name, file in definitions.items():
            archive.writestr(name, json.dumps({**PIXELS, "ModelFile": file}))
        for name in names:
            archive.writestr(name, network if name.endswith(".onnx") else b"\0\5\x16\7")
    check_package(path, path.name)
    assert (classify(raster[0], path, tmp_path) == raster[1]).all()


def test_a_network_in_a_folder_beside_its_definition(
    raster: tuple[str, np.ndarray], tmp_path: Path
) -> None:
    (tmp_path / "weights").mkdir()
    pixel_onnx(tmp_path / "weights" / "net.onnx", 3, **NAMES)
    model = tmp_path / "m.emd"
    model.write_text(json.dumps({**PIXELS, "ModelFile": "weights/net.onnx"}))
    assert (classify(raster[0], model, tmp_path) == raster[1]).all()


def test_a_definition_rules_over_what_its_network_says(
    raster: tuple[str, np.ndarray], tmp_path: Path
) -> None:
    levels = tuple(level / 100 for level in LEVELS)
    facts = {"model_type": "Segmentor", "standardization_mean": [9, 9, 9], **NAMES}
    pixel_onnx(tmp_path / "net.onnx", 3, scale=1.0, levels=levels, **facts)
    classes = [{"Value": 30, "Name": "Chêne"}, {"Value": 40, "Name": "Voiture"}]
    stats = {
        "band_min_values": [0, 0, 0],
        "band_max_values": [100, 100, 100],
        "scaled_mean_values": [0, 0, 0],
        "scaled_std_values": [1, 1, 1],
    }
    model = tmp_path / "m.emd"
    values = {**PIXELS, "ModelFile": "net.onnx", "Classes": classes, "NormalizationStats": stats}
    model.write_text(json.dumps(values))
    wanted = np.array([0, 30, 40])[raster[1]]
    assert (classify(raster[0], model, tmp_path) == wanted).all()


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ((0.1, 0.12, {"wkid": 32616}), "trained at 0.11 m a pixel .* has 0.5 m.* CELL_SIZE=0.11 "),
        ((0.5, 0.6, {"wkid": 102100, "latestWkid": 3857}), ""),
        ((3.28, 3.28, {"wkid": 2263}), "trained at 1 m a pixel"),  # feet
        ((0.1, 2.0, {"wkid": 32616}), ""),
        ((1e-6, 1e-6, {"wkid": 4326}), ""),
        ((0.1, float("inf"), {"wkid": 32616}), ""),
        ((0.1, 0.1, "metres"), ""),
    ],
)
def test_the_cell_size_of_a_definition_is_compared(
    told: tuple[float, float, Any], sentence: str, raster: tuple[str, np.ndarray], tmp_path: Path
) -> None:
    pixel_onnx(tmp_path / "net.onnx", 3)
    low, high, system = told
    sizes = {
        key: {"x": size, "y": size, "spatialReference": system}
        for key, size in (("MinCellSize", low), ("MaxCellSize", high))
    }
    model = tmp_path / "m.emd"
    model.write_text(json.dumps({**PIXELS, **TOLD_PIXELS, "ModelFile": "net.onnx", **sizes}))
    progress = Warnings()
    classify(raster[0], model, tmp_path, progress=progress)
    warnings = [each for each in progress.told if "a pixel" in each]
    assert len(warnings) == bool(sentence)
    assert not sentence or re.search(sentence, f"{warnings[0]} ")


@pytest.mark.parametrize("kept", [0, 1])
def test_classes_may_be_told_by_real_numbers(
    kept: int, raster: tuple[str, np.ndarray], tmp_path: Path
) -> None:
    weights, bias = level_weights(3, 255.0)
    nodes = [
        helper.make_node("Conv", ["images", "weights", "bias"], ["all"]),
        helper.make_node("ArgMax", ["all"], ["class"], axis=1, keepdims=kept),
        helper.make_node("Cast", ["class"], ["out"], to=TensorProto.FLOAT),
    ]
    values, shape = {"weights": weights, "bias": bias}, ["b", 3, "h", "w"]
    outputs: dict[str, list[Any]] = {"out": ["b", 1, "h", "w"] if kept else ["b", "h", "w"]}
    facts = {"model_type": "Segmentor", **NAMES}
    model = save_onnx(tmp_path / "net.onnx", nodes, values, shape, outputs, **facts)
    assert (classify(raster[0], model, tmp_path) == raster[1]).all()


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.UINT8])
def test_what_is_made_for_bytes_says_so_of_other_pixels(kind: int, tmp_path: Path) -> None:
    weights, bias = level_weights(1, 255.0 if kind == TensorProto.FLOAT else 1.0)
    nodes = [
        helper.make_node("Cast", ["images"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["numbers", "weights", "bias"], ["out"]),
    ]
    values = {"weights": weights, "bias": bias}
    facts = {"class_names": ["background", "Tree", "Car"], "model_type": "Segmentor"}
    shape, out = ["b", 1, "h", "w"], {"out": ["b", 3, "h", "w"]}
    model = save_onnx(tmp_path / "net.onnx", nodes, values, shape, out, kind=kind, **facts)
    pixels = np.full((1, 64, 64), 1000, np.uint16)
    sentence = "'net.onnx' was trained on uint8 images but 'a.tif' is uint16"
    scale = "2.55" if kind == TensorProto.FLOAT else "0.01"
    for divided, warned in (({}, True), ({"scale": scale}, False)):
        source, progress = write_raster(tmp_path / "a.tif", pixels), Warnings()
        classify(source, model, tmp_path, arguments=divided, progress=progress)
        assert any(sentence in each for each in progress.told) == warned
    progress = Warnings()
    classify(write_raster(tmp_path / "b.tif", pixels.astype(np.uint8)), model, tmp_path,
             progress=progress)  # fmt: skip
    assert not progress.told


@pytest.mark.parametrize("kind", ["external weights", "OpenVINO", "SavedModel"])
def test_an_installed_network_has_all_its_files(
    kind: str, raster: tuple[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openvino

    monkeypatch.setenv("GEODL_MODELS", str(tmp_path / "models"))
    folder = tmp_path / "made"
    folder.mkdir()
    path = pixel_onnx(folder / "net.onnx", 3, **NAMES)
    named = {**PIXELS, **TOLD_PIXELS, "ModelFile": "net.onnx"}
    if kind == "external weights":
        onnx.save(
            onnx.load(path), path, save_as_external_data=True, location="w.data", size_threshold=0
        )
    elif kind == "OpenVINO":
        openvino.save_model(openvino.convert_model(path), str(folder / "net.xml"))
        named["ModelFile"] = "net.xml"
    else:
        shutil.copytree(DATA / "saved_model", folder / "net")
        named["ModelFile"] = "net"
    definition = folder / "m.emd"
    definition.write_text(json.dumps(named))
    wanted = classify(raster[0], definition, tmp_path)
    assert install(str(definition), "mine", Progress()) == "mine"
    shutil.rmtree(folder)
    assert (classify(raster[0], "mine", tmp_path) == wanted).all()


def test_keras_is_refused_with_a_way_out(raster: tuple[str, np.ndarray], tmp_path: Path) -> None:
    emd = {
        "Framework": "Keras",
        "ModelType": "ImageClassification",
        "ModelFile": "net.h5",
        "Classes": [{"Value": 1, "Name": "Tree"}],
    }
    (tmp_path / "model.emd").write_text(json.dumps(emd))
    with pytest.raises(ModelError, match=r"a Keras model .* Save it as a TensorFlow SavedModel"):
        classify(raster[0], tmp_path / "model.emd", tmp_path)


def test_a_model_of_keras_runs_from_a_file_that_is_read(
    raster: tuple[str, np.ndarray], tmp_path: Path
) -> None:
    emd = {
        "Framework": "Keras",
        "ModelType": "ImageClassification",
        "Classes": [{"Value": 1, "Name": "Tree"}, {"Value": 2, "Name": "Car"}],
    }
    pixel_onnx(tmp_path / "net.onnx", 3)
    for file, scale in (("net.onnx", "255"), (str(DATA / "saved_model"), "1")):
        model = json.dumps({**emd, "ModelFile": str(tmp_path / file)})
        found = classify(raster[0], model, tmp_path, arguments={"scale": scale})
        assert (found == raster[1]).all(), file


class Levels(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        weights, bias = level_weights(3, 255.0)
        self.layer = torch.nn.Conv2d(3, 3, 1)
        self.layer.weight.data, self.layer.bias.data = map(torch.from_numpy, (weights, bias))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layer(images)


FACTS = {"class_names": {0: "background", 1: "Tree", 2: "Car"}, "model_type": "Segmentor"}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("place", ["extra", "beside", "arguments"])
@pytest.mark.parametrize("kind", ["pt", "pt2"])
def test_programs_of_pytorch(
    kind: str, place: str, raster: tuple[str, np.ndarray], tmp_path: Path
) -> None:
    path, told = tmp_path / f"net.{kind}", {}
    extra = {"facts.json": json.dumps({**FACTS, "bands": 3})} if place == "extra" else {}
    example = torch.rand(2, 3, 64, 64)
    if kind == "pt":
        torch.jit.save(torch.jit.trace(Levels(), example), str(path), _extra_files=extra)
    else:
        axes = {"images": {0: torch.export.Dim("b")}}
        program = torch.export.export(Levels(), (example,), dynamic_shapes=axes)
        torch.export.save(program, str(path), extra_files=extra)
    if place == "beside":
        path.with_suffix(".json").write_text(json.dumps({**FACTS, "tiles_size": 64}))
    if place == "arguments":
        told = {"classes": "background,Tree,Car"}
    values = {"arguments": {**told, "bands": "0,1,2", "scale": "255"}}
    assert (classify(raster[0], path, tmp_path, **values) == raster[1]).all()


class Halves(Levels):
    """Computes in half precision, and tells a number of all images too."""

    def __init__(self) -> None:
        super().__init__()
        self.half()

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        answer = self.layer(images)
        return answer, answer.mean()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["pt", "pt2"])
def test_programs_in_half_precision(
    kind: str, raster: tuple[str, np.ndarray], tmp_path: Path
) -> None:
    path, example = tmp_path / f"net.{kind}", torch.rand(1, 3, 64, 64).half()
    if kind == "pt":
        torch.jit.save(torch.jit.trace(Halves(), example), str(path))
    else:
        torch.export.save(torch.export.export(Halves(), (example,)), str(path))
    path.with_suffix(".json").write_text(json.dumps({**FACTS, "tiles_size": 64}))
    told = {"bands": "0,1,2", "scale": "255"}
    assert (classify(raster[0], path, tmp_path, arguments=told) == raster[1]).all()


def test_a_number_beside_the_answer_is_left_out(
    raster: tuple[str, np.ndarray], tmp_path: Path
) -> None:
    path = pixel_onnx(tmp_path / "net.onnx", 3, model_type="Segmentor", **NAMES)
    model = onnx.load(path)
    model.graph.node.append(helper.make_node("ReduceMean", ["logits"], ["mean"], keepdims=0))
    model.graph.output.insert(0, helper.make_tensor_value_info("mean", 1, []))
    onnx.save(model, path)
    assert (classify(raster[0], path, tmp_path) == raster[1]).all()


def test_weights_of_pytorch_alone_are_never_opened(
    raster: tuple[str, np.ndarray], tmp_path: Path
) -> None:
    torch.save(Levels().state_dict(), tmp_path / "net.pt")
    (tmp_path / "old.pt").write_bytes(b"\x80\x02cos\nsystem\n(S'true'\ntR.")
    for name in ("net.pt", "old.pt"):
        with pytest.raises(ModelError, match="holds weights alone and no program"):
            classify(raster[0], tmp_path / name, tmp_path)
