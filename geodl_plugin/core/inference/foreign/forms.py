"""The names of the forms in which detectors of others answer."""

from __future__ import annotations

import re

from ...errors import InputError

YOLO = "yolo"  # (b, 4 + classes, n): centre, size, a probability for each class
YOLO_V5 = "yolo_v5"  # (b, n, 5 + classes): centre, size, whether there is an object, classes
YOLO_V6 = "yolo_v6"  # as yolo_v5, whose objectness says nothing
YOLO_SEGMENTATION = "yolo_segmentation"  # yolo with coefficients, and prototypes of masks
YOLO_OBB = "yolo_obb"  # (b, 4 + classes + 1, n): the last one is the angle
END_TO_END = "end2end"  # (b, n, 6): corners, score, class; further columns: mask or angle
DETR = "detr"  # (b, n, 4 + classes): centre and size as shares of the image
TENSORFLOW = "objectdetectionapi"  # detection_boxes, detection_scores, detection_classes
TORCHVISION = "boxes"  # boxes, labels, scores and perhaps masks by their names
FORMS = (
    YOLO,
    YOLO_V5,
    YOLO_V6,
    YOLO_SEGMENTATION,
    YOLO_OBB,
    END_TO_END,
    DETR,
    TENSORFLOW,
    TORCHVISION,
)
TURNED, MASKED = (YOLO_OBB,), (YOLO_SEGMENTATION,)

# As Deepness and people spell them, in lower case, letters and digits alone.
_SPELLINGS = {
    "yoloultralytics": YOLO,
    "ultralytics": YOLO,
    "yolov8": YOLO,
    "yolov9": YOLO,
    "yolov10": END_TO_END,
    "yolov11": YOLO,
    "yolo11": YOLO,
    "yolo26": END_TO_END,
    "yolov7": YOLO_V5,
    "yolov5v7default": YOLO_V5,
    "yolov5orv7default": YOLO_V5,
    "yoloultralyticssegmentation": YOLO_SEGMENTATION,
    "yolov8segmentation": YOLO_SEGMENTATION,
    "yolo11segmentation": YOLO_SEGMENTATION,
    "yoloultralyticsobb": YOLO_OBB,
    "yolov8obb": YOLO_OBB,
    "yolo11obb": YOLO_OBB,
    "rtdetr": DETR,
    "ultralyticsrtdetr": DETR,
    "torchvision": TORCHVISION,
    "nms": END_TO_END,
}


def form_of(text: str, name: str) -> str:
    """Return the form that a ``det_type`` means, "" without one.

    Raises:
        InputError: when it is not known.
    """
    plain = re.sub("[^a-z0-9]", "", text.lower())
    known = {re.sub("[^a-z0-9]", "", each): each for each in FORMS} | _SPELLINGS
    if plain and plain not in known:
        raise InputError(
            f"'{name}' has the det_type '{text}', which is not known. Choose one of: "
            f"{', '.join(FORMS)}, as det_type=… in the arguments."
        )
    return known.get(plain, "")
