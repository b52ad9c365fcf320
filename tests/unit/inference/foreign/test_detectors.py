"""Detectors of other makers: every form of answer becomes objects on the map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from geodl_plugin.core.errors import GeoDLError, ModelError
from geodl_plugin.core.inference.detect import run
from geodl_plugin.core.inference.detections import Detections, as_arrays
from geodl_plugin.core.inference.options import DetectionOptions
from geodl_plugin.core.inference.polygons import turned_corners
from geodl_plugin.core.progress import Progress

from ..support import NORTH_UP, read_features, write_raster
from .graphs import constant_onnx, save_onnx

DATA = Path(__file__).parent / "data"
NAMES = {"class_names": {0: "Tree", 1: "Car"}, "model_type": "Detector"}
# A box of 20 × 10 pixels around (30, 40), a Car, and one of low score.
CENTRED = np.array([[30, 40, 20, 10], [10, 10, 4, 4]], float)
CHANCES = np.array([[0.05, 0.9], [0.2, 0.1]])
CORNERS = np.array([[20, 35, 40, 45], [8, 8, 12, 12]], float)


def detect(model: str | Path, tmp_path: Path, **values: Any) -> list[dict[str, Any]]:
    source = str(tmp_path / "image.tif")
    write_raster(tmp_path / "image.tif", np.full((3, 64, 64), 90, np.uint8))
    output = str(tmp_path / "objects.gpkg")
    run(DetectionOptions([source], str(model), output, device="cpu", **values), Progress())
    return read_features(output)


def pixels_of(feature: dict[str, Any]) -> np.ndarray:
    """Return the corners in pixels, in the order of the file."""
    ring = feature["geometry"].GetGeometryRef(0)
    if ring.GetGeometryCount():
        ring = ring.GetGeometryRef(0)
    points = np.array(ring.GetPoints())[:-1, :2]
    return np.stack([(points[:, 0] - NORTH_UP[0]) / 0.5, (NORTH_UP[3] - points[:, 1]) / 0.5], 1)


def box_of(feature: dict[str, Any]) -> list[float]:
    corners = pixels_of(feature)
    return [*corners.min(axis=0).round(2).tolist(), *corners.max(axis=0).round(2).tolist()]


YOLO = np.concatenate([CENTRED, CHANCES], 1)
ANSWERS = {
    "YOLO_Ultralytics": {"output0": YOLO.T[None]},
    "YOLO_v9": {"output0": YOLO.T[None]},
    "YOLO_v5_v7_DEFAULT": {
        "output": np.concatenate([CENTRED, [[0.9], [0.1]], [[0.0, 1.0], [0.9, 0]]], 1)[None]
    },
    "YOLO_v6": {"output": np.concatenate([CENTRED, np.ones((2, 1)), CHANCES], 1)[None]},
    "rt-detr": {"output0": np.concatenate([CENTRED / 64, CHANCES], 1)[None]},
    "end2end": {"output0": np.concatenate([CORNERS, [[0.9, 1], [0.1, 0]]], 1)[None]},
    "detr": {
        "logits": np.log(CHANCES / (1 - CHANCES))[None],
        "pred_boxes": CENTRED[None] / 64,
    },
    "detr-resnet": {
        "pred_logits": np.log([[[0.05, 0.9, 0.05], [0.2, 0.1, 0.7]]]),
        "pred_boxes": CENTRED[None] / 64,
    },
    "torchvision": {
        "boxes": CORNERS,
        "scores": np.array([0.9, 0.1]),
        "labels": np.array([2.0, 1.0]),
    },
}


@pytest.mark.parametrize("form", ANSWERS)
@pytest.mark.parametrize("told", ["metadata", "arguments"])
def test_every_form_of_boxes(form: str, told: str, tmp_path: Path) -> None:
    det_type = form.partition("-resnet")[0]
    facts = {"det_type": det_type, **NAMES} if told == "metadata" else NAMES
    model = constant_onnx(tmp_path / "net.onnx", ANSWERS[form], **facts)
    arguments = {} if told == "metadata" else {"det_type": det_type}
    (found,) = detect(model, tmp_path, arguments=arguments)
    assert box_of(found) == [20, 35, 40, 45]
    assert (found["Class"], found["Classvalue"], found["Confidence"]) == ("Car", 2, 90)


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_masks_beside_boxes(batched: bool, whole: bool, tmp_path: Path) -> None:
    """Probabilities on a grid over the box, or of the whole tile: the left half is the object."""
    masks = np.full((2, 1, 64, 64) if whole else (2, 1, 28, 28), 0.2)
    if whole:
        masks[0, 0, 35:45, 20:30] = 0.8
    else:
        masks[..., :14] = 0.8
    answer = {**ANSWERS["torchvision"], "masks": masks}
    if batched:
        answer = {name: each[None] for name, each in answer.items()}
        answer["masks"] = masks[None, :, 0]
    facts = {"class_names": {0: "Tree", 1: "Car"}, "model_type": "InstanceDetection"}
    model = constant_onnx(tmp_path / "net.onnx", answer, det_type="boxes", **facts)
    (found,) = detect(model, tmp_path)
    assert box_of(found) == [20, 35, 30, 45] and found["Class"] == "Car"


@pytest.mark.parametrize(
    "names", [{0: "_background", 1: "Tree", 2: "Car"}, {1: "Tree", 2: "Car"}, ["Tree", "Car"]]
)
@pytest.mark.parametrize("told", ["metadata", "arguments"])
def test_the_background_counts_where_it_is_named(names: Any, told: str, tmp_path: Path) -> None:
    """The labels of torchvision count from 1; 0 is the background."""
    listed = list(names.values()) if isinstance(names, dict) else names
    facts = {"class_names": names} if told == "metadata" else {}
    answer = ANSWERS["torchvision"]
    model = constant_onnx(tmp_path / "net.onnx", answer, model_type="Detector", **facts)
    arguments = {"classes": ",".join(listed)} if told == "arguments" else {}
    (found,) = detect(model, tmp_path, arguments=arguments)
    assert found["Class"] == "Car"


def many(rows: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([rows, np.zeros((count - len(rows), rows.shape[1]))])


@pytest.mark.parametrize(
    "answer",
    [
        {"output0": many(YOLO, 84).T[None]},
        {"output0": np.concatenate([many(CENTRED / 64, 30), many(CHANCES, 30)], 1)[None]},
        {"output0": many(np.concatenate([CORNERS, [[0.9, 1], [0.1, 0]]], 1), 300)[None]},
        {"output0": many(ANSWERS["YOLO_v5_v7_DEFAULT"]["output"][0], 252)[None]},
        ANSWERS["detr"],
        ANSWERS["detr-resnet"],
    ],
    ids=["yolo", "rt-detr", "end2end", "yolo_v5", "detr", "detr-resnet"],
)
def test_the_form_is_told_by_the_shapes(answer: dict[str, np.ndarray], tmp_path: Path) -> None:
    (found,) = detect(constant_onnx(tmp_path / "net.onnx", answer, **NAMES), tmp_path)
    assert box_of(found) == [20, 35, 40, 45]


@pytest.mark.parametrize("batch", ["batch", 1])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("told", ["metadata", "arguments", "definition"])
def test_a_network_is_told_the_size_of_its_images(
    told: str, first: bool, batch: Any, tmp_path: Path
) -> None:
    """RT-DETR as its authors export it: boxes as large as they are told, labels from 0."""
    answers = {"labels": np.array([[1.0, 0.0]]), "scores": np.array([[0.9, 0.1]])}
    facts = NAMES if told == "metadata" else {"model_type": "Detector"}
    path = constant_onnx(tmp_path / "net.onnx", answers, **facts)
    model = onnx.load(path)
    graph = model.graph
    graph.input[0].type.tensor_type.shape.dim[0].ParseFromString(
        helper.make_tensor_type_proto(1, [batch]).tensor_type.shape.dim[0].SerializeToString()
    )
    graph.input.append(
        helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, [batch, 2])
    )
    if not first:
        graph.input.insert(0, graph.input.pop())
    shares = (CORNERS / 64).astype(np.float32)[None]
    graph.initializer.append(numpy_helper.from_array(shares, "shares"))
    graph.node.extend(
        [
            helper.make_node("Cast", ["orig_target_sizes"], ["sizes"], to=1),
            helper.make_node("Concat", ["sizes", "sizes"], ["corners"], axis=1),
            helper.make_node("Unsqueeze", ["corners", "one"], ["scale"]),
            helper.make_node("Mul", ["shares", "scale"], ["boxes"]),
        ]
    )
    graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
    graph.output.append(helper.make_tensor_value_info("boxes", 1, [batch, 2, 4]))
    onnx.save(model, path)
    if told == "definition":
        classes = [{"Value": 0, "Name": "Tree"}, {"Value": 1, "Name": "Car"}]
        values = {"ModelType": "ObjectDetection", "ModelFile": "net.onnx", "Classes": classes}
        path = str(tmp_path / "net.emd")
        Path(path).write_text(json.dumps(values))
    arguments = {"classes": "Tree,Car"} if told == "arguments" else {}
    (found,) = detect(path, tmp_path, arguments=arguments)
    assert box_of(found) == [20, 35, 40, 45] and found["Class"] == "Car"


def test_turned_boxes_are_turned_rectangles(tmp_path: Path) -> None:
    turned = np.array(
        [
            [30, 30, 20, 10, 0.1, 0.9, np.pi / 6],
            [31, 30, 20, 10, 0.1, 0.8, np.pi / 6],  # the same object
            [30, 30, 20, 10, 0.1, 0.7, np.pi / 6 + np.pi / 2],  # across: IoU 1/3
        ]
    )
    model = constant_onnx(
        tmp_path / "net.onnx", {"output0": turned.T[None]}, det_type="YOLO_Ultralytics_obb", **NAMES
    )
    found = detect(model, tmp_path, nms_overlap=0.4)
    assert [each["Confidence"] for each in found] == [90, 70]
    across = np.array([np.cos(np.pi / 6), np.sin(np.pi / 6)])
    down = np.array([-across[1], across[0]])
    wanted = [30 + a * 10 * across + b * 5 * down for a in (-1, 1) for b in (-1, 1)]
    got = pixels_of(found[0])
    assert len(got) == 4
    assert all(np.abs(got - corner).sum(axis=1).min() < 1e-6 for corner in wanted)
    assert found[0]["geometry"].GetGeometryName() == "POLYGON"
    # Suppression takes the rectangles themselves, not the boxes around them.
    assert len(detect(model, tmp_path, nms_overlap=0.3)) == 1


def test_masks_are_sums_of_prototypes(tmp_path: Path) -> None:
    prototypes = np.full((1, 2, 16, 16), -1.0)
    prototypes[0, 1, 9:11, 5:8] = 1.0  # rows 36 to 44, columns 20 to 32 of the image
    rows = many(np.concatenate([YOLO, [[0, 1], [1, 0]]], 1), 84)
    answer = {"output0": rows.T[None], "output1": prototypes}
    facts = {"det_type": "YOLO_Ultralytics_segmentation", **NAMES}
    (found,) = detect(constant_onnx(tmp_path / "net.onnx", answer, **facts), tmp_path)
    assert found["geometry"].GetGeometryName() == "MULTIPOLYGON"
    box = box_of(found)
    # The mask is a quarter of the image's resolution, and ends at the box of the object.
    assert np.abs(np.array(box) - [20, 36, 32, 44]).max() <= 1
    assert box[0] >= 20
    # Without the form it is told by the two shapes.
    model = constant_onnx(tmp_path / "other.onnx", answer, class_names=NAMES["class_names"])
    assert box_of(detect(model, tmp_path)[0])[:1] == [20]


WEIGHTS = np.array([[0, 1], [1, 0]])  # of the masks' prototypes
MASKED = {
    "YOLO_v5_segmentation": np.concatenate(
        [ANSWERS["YOLO_v5_v7_DEFAULT"]["output"][0], WEIGHTS], 1
    ),
    "YOLOv7-seg": np.concatenate([ANSWERS["YOLO_v5_v7_DEFAULT"]["output"][0], WEIGHTS], 1),
    "yolo_v6_segmentation": np.concatenate([ANSWERS["YOLO_v6"]["output"][0], WEIGHTS], 1),
    "YOLOv9segmentation": many(np.concatenate([YOLO, WEIGHTS], 1), 84).T,
    "yolo12-seg": many(np.concatenate([YOLO, WEIGHTS], 1), 84).T,
    "yolo26-seg": np.concatenate([ANSWERS["end2end"]["output0"][0], WEIGHTS], 1),
}


@pytest.mark.parametrize("told", ["metadata", "form alone", "arguments"])
@pytest.mark.parametrize("form", MASKED)
def test_every_form_of_masks(form: str, told: str, tmp_path: Path) -> None:
    prototypes = np.full((1, 2, 16, 16), -1.0)
    prototypes[0, 1, 9:11, 5:8] = 1.0
    answer = {"output0": MASKED[form][None], "output1": prototypes}
    said = {
        "metadata": {**NAMES, "det_type": form},
        "form alone": {"class_names": NAMES["class_names"], "det_type": form},
        "arguments": NAMES,
    }[told]
    model = constant_onnx(tmp_path / "net.onnx", answer, **said)
    (found,) = detect(model, tmp_path, arguments={"det_type": form} if told == "arguments" else {})
    assert (found["Class"], found["geometry"].GetGeometryName()) == ("Car", "MULTIPOLYGON")
    assert np.abs(np.array(box_of(found)) - [20, 36, 32, 44]).max() <= 1


@pytest.mark.parametrize("form", ["end2end", "YOLO26-obb"])
def test_turned_boxes_of_networks_that_suppress_by_themselves(form: str, tmp_path: Path) -> None:
    """Centre and size, score, class and angle."""
    rows = np.array([[30, 32, 20, 10, 0.9, 1, np.pi / 2], [0, 0, 0, 0, 0, 0, 0]])
    facts = {**NAMES, "det_type": form}
    (found,) = detect(constant_onnx(tmp_path / "n.onnx", {"o": rows[None]}, **facts), tmp_path)
    assert box_of(found) == [25, 22, 35, 42] and found["Class"] == "Car"
    assert found["geometry"].GetGeometryName() == "POLYGON"


def test_thresholds_and_ultralytics_metadata(tmp_path: Path) -> None:
    # As Ultralytics writes them: literals of Python.
    facts = {"names": "{0: 'Tree', 1: 'Car'}", "task": "detect", "imgsz": [64, 64], "stride": 32}
    model = constant_onnx(tmp_path / "net.onnx", {"output0": many(YOLO, 84).T[None]}, **facts)
    assert [each["Class"] for each in detect(model, tmp_path)] == ["Car"]
    both = detect(model, tmp_path, threshold=0.15)
    assert sorted(each["Class"] for each in both) == ["Car", "Tree"]


CLOSED = np.concatenate([CORNERS, [[0.9, 1], [0.1, 0]]], 1)
ULTRALYTICS = {
    "RT-DETR": ("detect", np.concatenate([CENTRED / 64, CHANCES], 1)),
    "RT-DETR of 3 classes": ("detect", np.concatenate([CENTRED / 64, CHANCES, [[0], [0]]], 1)),
    "YOLOv10": ("detect", CLOSED),
    "YOLOv10 of 3 classes": ("detect", CLOSED),
    "YOLO26-obb": ("obb", np.concatenate([CENTRED, CLOSED[:, 4:], [[0], [0]]], 1)),
    "YOLO26-seg": ("segment", np.concatenate([CLOSED, WEIGHTS], 1)),
}


@pytest.mark.parametrize("network", ULTRALYTICS)
def test_all_that_ultralytics_exports(network: str, tmp_path: Path) -> None:
    """Its metadata tell the task alone, whatever the form of the answer."""
    task, rows = ULTRALYTICS[network]
    names = ["Tree", "Car", "Sky"][: 3 if "3" in network else 2]
    facts = {"names": str(dict(enumerate(names))), "task": task, "imgsz": [64, 64], "stride": 32}
    answer = {"output0": many(rows, 300)[None]}
    if task == "segment":
        answer["output1"] = np.full((1, 2, 16, 16), 1.0)
    (found,) = detect(constant_onnx(tmp_path / "net.onnx", answer, **facts), tmp_path)
    assert box_of(found) == [20, 35, 40, 45]
    assert (found["Class"], found["Confidence"]) == ("Car", 90)


SHARES = np.array([64, 64, 64, 64])
SHARED = {
    "yolo": many(np.concatenate([CENTRED / SHARES, CHANCES], 1), 84).T,
    "yolo_v5": ANSWERS["YOLO_v5_v7_DEFAULT"]["output"][0] / [*SHARES, 1, 1, 1],
    "end2end": many(CLOSED / [*SHARES, 1, 1], 300),
    "yolo_obb": many(np.concatenate([CENTRED / SHARES, CHANCES, [[0], [0]]], 1), 84).T,
}


@pytest.mark.parametrize("form", SHARED)
def test_boxes_may_be_shares_of_the_image(form: str, tmp_path: Path) -> None:
    answer = {"output0": SHARED[form][None]}
    model = constant_onnx(tmp_path / "net.onnx", answer, det_type=form, **NAMES)
    (found,) = detect(model, tmp_path)
    assert box_of(found) == [20, 35, 40, 45] and found["Class"] == "Car"


@pytest.mark.parametrize("count", [1, "n"])
def test_a_list_without_its_image_is_that_of_one(count: Any, tmp_path: Path) -> None:
    """As torchvision exports its detectors: whatever is asked, the first image is answered."""
    nodes = [
        helper.make_node("Gather", ["images", "first"], ["image"], axis=0),
        helper.make_node("ReduceMax", ["image"], ["brightest"], keepdims=0),
        helper.make_node("Mul", ["corners", "brightest"], ["boxes"]),
        helper.make_node("Mul", ["chance", "brightest"], ["scores"]),
        helper.make_node("Mul", ["chance", "chance"], ["labels"]),
    ]
    values = {
        "first": np.array(0, np.int64),
        "corners": np.array([[20, 35, 40, 45]], np.float32),
        "chance": np.array([1], np.float32),
    }
    outputs = {"boxes": [count, 4], "scores": [count], "labels": [count]}
    shape: list[Any] = [1, 3, 64, 64]
    names = {"class_names": {0: "Tree"}, "model_type": "Detector"}
    model = save_onnx(tmp_path / "net.onnx", nodes, values, shape, outputs, **names)
    pixels = np.ones((3, 64, 384), np.uint8)
    for tile in (0, 2, 3, 5):
        pixels[:, :, tile * 64 : tile * 64 + 64] = 255
    write_raster(tmp_path / "wide.tif", pixels)
    output = str(tmp_path / "objects.gpkg")
    values = {"device": "cpu", "padding": 0, "batch_size": 4}
    run(DetectionOptions([str(tmp_path / "wide.tif")], model, output, **values), Progress())
    places = sorted(box_of(each)[0] for each in read_features(output))
    assert places == [20 + 64 * tile for tile in (0, 2, 3, 5)]


def test_tensorflow_object_detection_api(tmp_path: Path) -> None:
    emd = {
        "Framework": "TensorFlow",
        "ModelType": "ObjectDetection",
        "ModelConfiguration": "ObjectDetectionAPI",
        "ModelFile": ".\\api.pb",
        "ImageHeight": 64,
        "ImageWidth": 64,
        "ExtractBands": [0, 1, 2],
        "Classes": [{"Value": 1, "Name": "Tree"}, {"Value": 2, "Name": "Car"}],
    }
    (tmp_path / "model.emd").write_text(json.dumps(emd))
    (tmp_path / "api.pb").write_bytes((DATA / "api.pb").read_bytes())
    (found,) = detect(tmp_path / "model.emd", tmp_path)
    # Boxes are top, left, bottom, right as shares; pixels are 90 of 100.
    assert box_of(found) == [8, 16, 24, 32]
    assert (found["Class"], found["Confidence"]) == ("Car", 90)


@pytest.mark.parametrize(
    ("answers", "facts", "sentence"),
    [
        ({"out": np.zeros((1, 9, 50))}, {}, "is no known form for 2 classes"),
        ({"out": np.zeros((1, 9, 50))}, {"det_type": "yolo"}, "gives 9 numbers .* need 6"),
        ({"out": np.zeros((1, 9, 50))}, {"det_type": "magic"}, "det_type 'magic', which is not"),
        ({"out": np.zeros((4, 7))}, {"det_type": "yolo"}, "gives no list of candidates"),
        ({"out": np.zeros((1, 9, 5))}, {"det_type": "end2end"}, "gives 5 numbers .* need 6"),
        (
            {"logits": np.zeros((1, 9, 6)), "pred_boxes": np.zeros((1, 9, 4))},
            {},
            "gives 6 numbers .* 2 classes need 2, or 3 with that of no object",
        ),
        ({"out": np.zeros((1, 6, 50))}, {"class_names": {}}, "does not name its classes"),
        ({"out": np.zeros((1, 6, 50))}, {"model_type": "Segmentor"}, "classifies pixels"),
        ({"out": np.zeros((1, 6, 50))}, {"model_type": "Regressor"}, "'Regressor', which is not"),
    ],
)
def test_what_cannot_be_understood_is_said(
    answers: dict[str, np.ndarray], facts: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    model = constant_onnx(tmp_path / "net.onnx", answers, **{**NAMES, **facts})
    with pytest.raises(GeoDLError, match=sentence):
        detect(model, tmp_path)


def test_weights_from_elsewhere_are_refused(tmp_path: Path) -> None:
    import onnx

    path = tmp_path / "net.onnx"
    constant_onnx(path, {"out": np.zeros((1, 6, 50))}, **NAMES)
    model = onnx.load(str(path))
    for place in ("../secret.bin", "/etc/passwd", "C:\\secret.bin"):
        tensor = model.graph.initializer[0]
        del tensor.external_data[:]
        tensor.external_data.add(key="location", value=place)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        path.write_bytes(model.SerializeToString())
        with pytest.raises(ModelError, match=r"which lies outside its folder. Do not use it"):
            detect(path, tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\xff" * 50, b"\x3a\xff\xff\xff\x7f"])
def test_what_is_no_network_is_said(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="is no ONNX network"):
        detect(tmp_path / "net.onnx", tmp_path)


def test_turned_boxes_are_found_once_across_tiles_and_views(tmp_path: Path) -> None:
    """Every tile of 64 pixels sees the box at its own place; a run that goes on knows it too."""
    turned = np.array([[32, 32, 20, 10, 0.1, 0.9, 0.5], [32, 20, 8, 6, 0.9, 0.1, 1.0]])
    facts = {"det_type": "yolo_obb", **NAMES}
    model = constant_onnx(tmp_path / "net.onnx", {"output0": turned.T[None]}, **facts)
    source = str(tmp_path / "large.tif")
    write_raster(tmp_path / "large.tif", np.full((3, 96, 160), 90, np.uint8))
    output = str(tmp_path / "objects.gpkg")
    options = DetectionOptions([source], model, output, device="cpu", padding=16)
    run(options, Progress())
    shapes = [each["geometry"] for each in read_features(output)]
    assert len(shapes) > 6
    areas = {round(each.GetArea() / 0.25, 3) for each in shapes}
    assert areas == {200.0, 48.0}
    found = as_arrays(
        {
            "boxes": torch.zeros(2, 4),
            "scores": torch.tensor([0.9, 0.9]),
            "labels": torch.tensor([1, 0]),
            "shapes": [[corners] for corners in turned_corners(turned[:, [0, 1, 2, 3, 6]])],
        }
    )
    again = Detections.unpacked(found.packed())
    assert all(np.array_equal(a.rings[0], b.rings[0]) for a, b in zip(found.masks, again.masks))
    # Eight views of a network that answers the same to each: eight places around the middle.
    whole = detect(model, tmp_path, test_time_augmentation=True, threshold=0.05, nms_overlap=1.0)
    assert len(whole) > 2
