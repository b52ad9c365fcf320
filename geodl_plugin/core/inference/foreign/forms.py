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
    "ultralytics": YOLO,
    "rtdetr": DETR,
    "ultralyticsrtdetr": DETR,
    "torchvision": TORCHVISION,
    "nms": END_TO_END,
    "yolov5v7default": YOLO_V5,
    "yolov5orv7default": YOLO_V5,
}
# The versions of YOLO by their form, and the one that they take with masks and turned boxes.
# Masks of the versions with objectness are coefficients in further columns of the same form.
_VERSIONS = {
    ("v5", "5", "v7", "7"): (YOLO_V5, YOLO_V5, ""),
    ("v6", "6"): (YOLO_V6, YOLO_V6, ""),
    ("v10", "10", "26", "v26"): (END_TO_END, END_TO_END, END_TO_END),
    ("ultralytics", "v8", "8", "v9", "9", "v11", "11", "v12", "12"): (
        YOLO,
        YOLO_SEGMENTATION,
        YOLO_OBB,
    ),
}
_ENDINGS = (("",), ("seg", "segm", "segment", "segmentation"), ("obb",))


def _spelled() -> dict[str, str]:
    """Return the form of every spelling."""
    found = dict(_SPELLINGS)
    for versions, forms in _VERSIONS.items():
        for form, endings in zip(forms, _ENDINGS):
            if form:
                found.update({f"yolo{v}{end}": form for v in versions for end in endings})
    return found


def form_of(text: str, name: str) -> str:
    """Return the form that a ``det_type`` means, "" without one.

    Raises:
        InputError: when it is not known.
    """
    plain = re.sub("[^a-z0-9]", "", text.lower())
    known = {re.sub("[^a-z0-9]", "", each): each for each in FORMS} | _spelled()
    if plain and plain not in known:
        raise InputError(
            f"'{name}' has the det_type '{text}', which is not known. Choose one of: "
            f"{', '.join(FORMS)}, as det_type=… in the arguments."
        )
    return known.get(plain, "")
