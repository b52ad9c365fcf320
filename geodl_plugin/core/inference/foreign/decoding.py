"""What detectors of others answer, as boxes, masks and turned boxes. Needs torch.

The forms are those of the public documentation of the networks: a candidate has a box and a
number for each class; some add objectness, coefficients of masks or an angle.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_convert

from ...errors import ModelError
from ...models.networks.paste import SURE, paste_masks
from ...models.registry import Task
from ..polygons import turned_corners
from .asking import Answer
from .forms import (
    DETR,
    END_TO_END,
    FORMS,
    TENSORFLOW,
    TORCHVISION,
    YOLO,
    YOLO_OBB,
    YOLO_SEGMENTATION,
    YOLO_V5,
    YOLO_V6,
)
from .mask_prototypes import masks_of_prototypes
from .named_outputs import decode_detr, decode_tensorflow, decode_torchvision, detr_logits

BOX, CORNERS_SCORE_CLASS = 4, 6
MOST_END_TO_END = 1000  # candidates of a network that suppresses by itself
LARGEST_SHARE = 1.5  # of the image's side that a box may measure, and a little more
SAME_MASK = 0.7  # IoU of boxes from which their masks need not all be computed
MOST_MASKS = 1000  # of a tile

Found = dict[str, Any]


class Decoder:
    """Decodes the answers of a detector.

    Args:
        form: one of :data:`FORMS`, "" to tell by the shapes.
        values: of the classes, by which outputs with names tell them; else their order does.
        task: whether masks are wanted.
        name: of the model, for errors.
        usual: the form where the shapes do not tell another one, "" if nobody says.
    """

    def __init__(
        self, form: str, values: tuple[int, ...], task: Task, name: str, usual: str = ""
    ) -> None:
        self.form = form
        self.usual = usual
        self.values = values
        self.task = task
        self.name = name

    def check(self, answer: Answer) -> None:
        """Settle the form by a first answer.

        Raises:
            ModelError: when it has none that is known, or another number of classes.
        """
        self.form = self.form or (self._unusual(answer) if self.usual else self._guess(answer))
        if self.form in (TENSORFLOW, TORCHVISION):
            self(answer, (64, 64), 0.5)
            return
        logits = detr_logits(answer) if self.form == DETR else None
        if logits is not None:
            self._check_logits(logits.shape[-1])
            return
        main = self._main(answer)
        width = self._rows(main).shape[-1]
        extra = self._extra(answer)
        wanted = {
            YOLO: BOX + len(self.values),
            DETR: BOX + len(self.values),
            YOLO_OBB: BOX + len(self.values) + 1,
            YOLO_V5: BOX + 1 + len(self.values) + extra,
            YOLO_V6: BOX + 1 + len(self.values) + extra,
            YOLO_SEGMENTATION: BOX + len(self.values) + extra,
            END_TO_END: max(width, CORNERS_SCORE_CLASS),
        }[self.form]
        if width != wanted:
            raise ModelError(
                f"'{self.name}' gives {width} numbers for each candidate where {len(self.values)} "
                f"classes need {wanted} in the form {self.form}. Check classes=… and det_type=… in "
                "the arguments."
            )

    def _check_logits(self, width: int) -> None:
        count = len(self.values)
        if width not in (count, count + 1):
            raise ModelError(
                f"'{self.name}' gives {width} numbers for each candidate where {count} classes "
                f"need {count}, or {count + 1} with that of no object. Name them all with "
                "classes=… in the arguments."
            )

    def _unusual(self, answer: Answer) -> str:
        """Return the usual form, or that of networks of the same maker that suppress by themselves.

        Ultralytics writes the same of all its detectors: RT-DETR and YOLOv10 are no YOLOv8.
        """
        main, count, extra = self._main(answer), len(self.values), self._extra(answer)
        _, second, third = main.shape
        widths = {YOLO: count, YOLO_OBB: count + 1, YOLO_SEGMENTATION: count + extra}
        if second > MOST_END_TO_END or second == BOX + widths[self.usual]:
            return self.usual
        closed = {YOLO: 0, YOLO_OBB: 1, YOLO_SEGMENTATION: extra}
        ends = third == CORNERS_SCORE_CLASS + closed[self.usual]
        if self.usual == YOLO and third == BOX + count and (not ends or _are_shares(main[0])):
            return DETR
        return END_TO_END if ends else self.usual

    def _guess(self, answer: Answer) -> str:
        """Return the form that the names and shapes of an answer have."""
        names = set(answer)
        if {"detection_boxes", "detection_scores"} <= names:
            return TENSORFLOW
        if {"boxes", "scores", "labels"} <= names:
            return TORCHVISION
        if detr_logits(answer) is not None:
            return DETR
        count = len(self.values)
        lists = [each for each in answer.values() if each.ndim == 3]
        sizes = [tuple(each.shape) for each in lists]
        extra = self._extra(answer)
        prototypes = extra > 0
        for _, second, third in sizes:
            if third == CORNERS_SCORE_CLASS and second <= MOST_END_TO_END:
                # With two classes the boxes themselves must tell it: as shares, or in pixels.
                shares = BOX + count == third and _are_shares(lists[0][0])
                return DETR if shares else END_TO_END
            if BOX + count in (second, third) and not prototypes:
                return DETR if third == BOX + count and second <= MOST_END_TO_END else YOLO
            if prototypes and second > BOX + count and third > second:
                return YOLO_SEGMENTATION
            if third == BOX + 1 + count + extra:
                return YOLO_V5
            if second == BOX + 1 + count:
                return YOLO_OBB
        shapes = ", ".join(f"{name} {tuple(each.shape)}" for name, each in answer.items())
        raise ModelError(
            f"'{self.name}' answers with {shapes}, which is no known form for {count} classes. "
            f"Name the form with det_type=… in the arguments: {', '.join(FORMS)}."
        )

    def __call__(self, answer: Answer, size: tuple[int, int], threshold: float) -> list[Found]:
        """Return what was found in each image of ``size`` rows and columns."""
        answer = {name: each.float().cpu() for name, each in answer.items()}
        if self.form == TENSORFLOW:
            return decode_tensorflow(answer, size, threshold, self.values)
        if self.form == TORCHVISION:
            found = decode_torchvision(answer, threshold, self.values)
            return [_pasted(each, size, self.task) for each in found]
        logits = detr_logits(answer) if self.form == DETR else None
        if logits is not None:
            return decode_detr(logits, answer["pred_boxes"], size, threshold, len(self.values))
        rows = self._rows(self._main(answer))
        prototypes = next((each for each in answer.values() if each.ndim == 4), None)
        return [
            self._decode(each, None if prototypes is None else prototypes[place], size, threshold)
            for place, each in enumerate(rows)
        ]

    def _main(self, answer: Answer) -> Tensor:
        found = [each for each in answer.values() if each.ndim == 3]
        if not found:
            raise ModelError(
                f"'{self.name}' gives no list of candidates, as the form {self.form} has. Name "
                f"another one with det_type=… in the arguments: {', '.join(FORMS)}."
            )
        return found[0]

    def _extra(self, answer: Answer) -> int:
        """Return how many coefficients of masks a candidate has: one for each prototype."""
        return next((each.shape[1] for each in answer.values() if each.ndim == 4), 0)

    def _rows(self, main: Tensor) -> Tensor:
        """Return candidates ``(b, n, numbers)``, whichever comes first."""
        upright = self.form in (YOLO, YOLO_OBB, YOLO_SEGMENTATION)
        # Two axes are told apart by what they must hold, and else by which one is longer.
        if upright and main.shape[2] == BOX + len(self.values) != main.shape[1]:
            return main
        return main.transpose(1, 2) if upright else main

    def _decode(
        self, rows: Tensor, prototypes: Tensor | None, size: tuple[int, int], threshold: float
    ) -> Found:
        if self.form == DETR or _are_shares(rows):
            height, width = size
            pixels = rows[:, :BOX] * torch.tensor([width, height, width, height])
            rows = torch.cat([pixels, rows[:, BOX:]], 1)
        if self.form == END_TO_END:
            return self._end_to_end(rows, prototypes, size, threshold)
        first = BOX + 1 if self.form in (YOLO_V5, YOLO_V6) else BOX
        chances = rows[:, first : first + len(self.values)]
        if self.form == YOLO_V5:
            chances = chances * rows[:, BOX : BOX + 1]
        scores, labels = chances.max(1)
        kept = scores >= threshold
        rows, scores, labels = rows[kept], scores[kept], labels[kept]
        boxes = rows[:, :BOX]
        found: Found = {"scores": scores, "labels": labels}
        found["boxes"] = box_convert(boxes, "cxcywh", "xyxy")
        if self.form == YOLO_OBB:
            turned = torch.cat([boxes, rows[:, -1:]], 1)
            found["shapes"] = [[each] for each in turned_corners(turned.numpy())]
        elif prototypes is not None and self.task is Task.INSTANCES:
            found["coefficients"] = rows[:, first + len(self.values) :]
            found = _with_masks(found, prototypes, size)
        return found

    def _end_to_end(
        self, rows: Tensor, prototypes: Tensor | None, size: tuple[int, int], threshold: float
    ) -> Found:
        """Decode corners, score and class; those that suppress by themselves fill up with zeros."""
        labels = rows[:, 5].round().long()
        kept = (rows[:, 4] >= threshold) & (labels >= 0) & (labels < len(self.values))
        rows, labels = rows[kept], labels[kept]
        found: Found = {"boxes": rows[:, :BOX], "scores": rows[:, BOX], "labels": labels}
        if rows.shape[1] == CORNERS_SCORE_CLASS + 1:  # centre and size, and the angle at the end
            turned = torch.cat([rows[:, :BOX], rows[:, -1:]], 1)
            found["shapes"] = [[each] for each in turned_corners(turned.numpy())]
        elif prototypes is not None and self.task is Task.INSTANCES:
            found["coefficients"] = rows[:, CORNERS_SCORE_CLASS:]
            found = _with_masks(found, prototypes, size)
        return found


def _are_shares(rows: Tensor) -> bool:
    """Return whether the boxes of candidates ``(n, numbers)`` are shares of the image, not pixels.

    YOLO for TensorFlow Lite gives shares. What fills a list up are zeros.
    """
    largest = rows[:, :BOX].amax(1)
    real = largest[largest > 0]
    return len(real) > 0 and bool(real.median() <= LARGEST_SHARE)


def _pasted(found: Found, size: tuple[int, int], task: Task) -> Found:
    """Return detections with their masks, if they have any and these are wanted, in pixels."""
    masks = found.pop("masks", None)
    if masks is None or task is not Task.INSTANCES:
        return found
    if tuple(masks.shape[-2:]) != tuple(size):
        return paste_masks({**found, "masks": masks}, size)
    # torchvision's own exports have pasted them already.
    found["masks"] = [each[0].numpy() >= SURE for each in masks]
    found["windows"] = np.array([(0, 0, size[1], size[0])] * len(masks), int).reshape(-1, 4)
    return found


def _with_masks(found: Found, prototypes: Tensor, size: tuple[int, int]) -> Found:
    """Return the best candidates with their masks, each in a window of its box."""
    kept = batched_nms(found["boxes"], found["scores"], found["labels"], SAME_MASK)[:MOST_MASKS]
    found = {name: each[kept] for name, each in found.items()}
    coefficients = found.pop("coefficients")
    masks, windows = masks_of_prototypes(coefficients, prototypes, found["boxes"], size)
    return {**found, "masks": masks, "windows": np.array(windows, int).reshape(-1, 4)}
