"""What the metadata of a network say, whoever wrote them: as keys of a model definition.

Known are the keys of Deepness, of Ultralytics' exports and of GeoDL's own files.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any

DEFINITION = "geodl_definition"  # a whole model definition, which GeoDL writes into ONNX files
NETWORK = "Network"  # the key of a definition that holds what only networks of others need
BYTE = 255.0  # Deepness and Ultralytics divide pixels by it
METRE = 100.0  # centimetres

TASKS = {
    "detector": "ObjectDetection",
    "segmentor": "ImageClassification",
    "segmenter": "ImageClassification",
    "classifier": "ObjectClassification",
    "superresolution": "SuperResolution",
    "detect": "ObjectDetection",
    "obb": "ObjectDetection",
    "segment": "InstanceDetection",
    "classify": "ObjectClassification",
    "detection": "ObjectDetection",
    "pixels": "ImageClassification",
    "objects": "ObjectClassification",
}
# Ultralytics tells the task, from which the usual form of the answer follows.
_FORMS = {"detect": "yolo", "obb": "yolo_obb", "segment": "yolo_segmentation"}
BACKGROUND = "background"
_BACKGROUND = {BACKGROUND, "bg", "no data", "nodata", "unlabeled", "unlabelled"}


def interpret(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the definition that metadata amount to; what they do not say is left out."""
    told = {name.strip().lower(): value(text) for name, text in texts.items()}
    own = told.pop(DEFINITION, None)
    found: dict[str, Any] = dict(own) if isinstance(own, dict) else {}
    if isinstance(found.get("GeoDL"), dict):  # the network is in this file, not to be rebuilt
        found["GeoDL"] = {k: v for k, v in found["GeoDL"].items() if k != "architecture"}
    network = _network(told)
    task = str(told.get("model_type") or told.get("task") or "")
    known = TASKS.get(task.replace("_", "").lower(), task)
    if known == "ObjectDetection" and "seg" in str(network.get("det_type", "")).lower():
        known = "InstanceDetection"
    if known and "ModelType" not in found:
        found["ModelType"] = known
    names = class_names(told.get("class_names", told.get("names")))
    if names and not found.get("Classes"):
        pixels = found.get("ModelType") == "ImageClassification"
        found["Classes"], network["background"] = classes(names, pixels)
        network["names"] = names
    size = _size(told.get("tiles_size", told.get("tile_size", told.get("imgsz"))))
    if size:
        found.update(ImageHeight=size[0], ImageWidth=size[1])
    if network:
        found[NETWORK] = network
    return found


def _network(told: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {
        "det_conf": "threshold",
        "det_iou_thresh": "nms_overlap",
        "seg_thresh": "seg_threshold",
        "tiles_overlap": "overlap",
        "stride": "stride",
    }
    found: dict[str, Any] = {}
    for key, name in numbers.items():
        if is_number(told.get(key)):
            found[name] = told[key]
    if is_number(told.get("resolution")) and told["resolution"] > 0:
        found["cell_size"] = told["resolution"] / METRE
    if told.get("det_type"):
        found["det_type"] = str(told["det_type"])
    elif isinstance(told.get("task"), str) and told["task"] in _FORMS:
        found["usual_form"] = _FORMS[told["task"]]
    for key, name in (("standardization_mean", "mean"), ("standardization_std", "std")):
        listed = told.get(key)
        if isinstance(listed, (list, tuple)) and listed and all(is_number(each) for each in listed):
            found[name] = list(listed)
    ultralytics = "names" in told and "imgsz" in told
    if "class_names" in told or "mean" in found or ultralytics:
        found["scale"] = BYTE
    return found


def value(text: Any) -> Any:
    """Return what a text of metadata means: JSON, or a literal of Python, or itself."""
    if not isinstance(text, str):
        return text
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
    return text


def class_names(told: Any) -> list[str]:
    """Return the names of classes in the order of the network's answers."""
    if isinstance(told, Mapping):
        try:
            indexed = {int(index): str(name) for index, name in told.items()}
        except (TypeError, ValueError):
            return []
        if not indexed or min(indexed) < 0 or max(indexed) > 100_000:
            return []
        indexed.setdefault(0, BACKGROUND)  # whose name nobody needs
        return [indexed.get(index, f"class {index}") for index in range(max(indexed) + 1)]
    if isinstance(told, (list, tuple)):
        return [str(name) for name in told]
    return []


def classes(names: Sequence[str], pixels: bool) -> tuple[list[dict[str, Any]], bool]:
    """Return classes as a definition lists them, and whether the first name is the background."""
    background = pixels and first_is_background(names)
    wanted = names[1:] if background else names
    return [{"Value": index + 1, "Name": name} for index, name in enumerate(wanted)], background


def first_is_background(names: Sequence[str]) -> bool:
    """Return whether the first of the network's answers is what is no class."""
    return bool(names) and names[0].strip(" _").lower() in _BACKGROUND


def is_number(told: Any) -> bool:
    """Return whether a value is a number."""
    return isinstance(told, (int, float)) and not isinstance(told, bool)


def _size(told: Any) -> tuple[int, int] | None:
    """Return the height and width of the images, if they are told."""
    if is_number(told):
        told = [told, told]
    usable = isinstance(told, (list, tuple)) and len(told) == 2
    if not usable or not all(is_number(each) and each >= 1 for each in told):
        return None
    return int(told[0]), int(told[1])
