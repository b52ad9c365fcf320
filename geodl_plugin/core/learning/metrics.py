"""Scores of a network on the validation chips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..object_masks import ObjectMask, masks_of

_MATCH_IOU = 0.5
_SURE = 0.5  # least score for precision, recall and F1
_NMS_OVERLAP = 0.3


@dataclass
class Scores:
    """What one validation gave.

    Attributes:
        values: by name in lower case: ``miou``, ``f1_score``…
        classes: one row per class, with its name.
        confusion: rows truth, columns prediction; none for detection.
    """

    values: dict[str, float]
    classes: list[dict[str, Any]] = field(default_factory=list)
    confusion: np.ndarray | None = None

    def as_state(self) -> dict[str, Any]:
        """Return the scores in types that a checkpoint may hold."""
        confusion = None if self.confusion is None else self.confusion.tolist()
        return {"values": self.values, "classes": self.classes, "confusion": confusion}

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Scores:
        """Return the scores of :meth:`as_state`."""
        confusion = state["confusion"]
        counts = None if confusion is None else np.array(confusion, np.int64)
        return cls(state["values"], state["classes"], counts)


class ConfusionScores:
    """Counts classes that were told against classes that are true, for pixels and objects.

    Args:
        names: of the classes, in the order of the network's indices.
        with_overlap: whether intersections over union are wanted.
        first: from which on the classes enter the means; those before are not learned.
    """

    def __init__(self, names: Sequence[str], with_overlap: bool, first: int = 0) -> None:
        self.names = list(names)
        self.with_overlap = with_overlap
        self.first = first
        self.matrix = np.zeros((len(names), len(names)), np.int64)

    def update(self, predicted: np.ndarray, truth: np.ndarray) -> None:
        """Count; a negative truth is not counted."""
        known = truth >= 0
        count = len(self.names)
        flat = truth[known].astype(np.int64) * count + predicted[known]
        self.matrix += np.bincount(flat.ravel(), minlength=count * count).reshape(count, count)

    def compute(self) -> Scores:
        """Return the scores; means are over the classes that occur."""
        hits = np.diag(self.matrix).astype(float)
        true, told = self.matrix.sum(axis=1), self.matrix.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            table = {
                "precision": np.nan_to_num(hits / told),
                "recall": np.nan_to_num(hits / true),
                "f1_score": np.nan_to_num(2 * hits / (true + told)),
                "iou": np.nan_to_num(hits / (true + told - hits)),
            }
        met = (true + told) > 0
        met[: self.first] = False
        means = {name: float(row[met].mean()) if met.any() else 0.0 for name, row in table.items()}
        total = self.matrix.sum()
        values = {"accuracy": float(hits.sum() / total) if total else 0.0}
        values.update({name: means[name] for name in ("f1_score", "precision", "recall")})
        if self.with_overlap:
            values.update(miou=means["iou"], dice=means["f1_score"])
        rows = []
        for index, name in enumerate(self.names):
            row = {"class": name, "count": int(true[index])}
            row.update({key: float(column[index]) for key, column in table.items()})
            if not self.with_overlap:
                del row["iou"]
            rows.append(row)
        return Scores(values, rows, self.matrix.copy())


class LabelScores:
    """Counts labels that were told against labels that are true, each by itself."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.counts = np.zeros((4, len(names)), np.int64)  # hits, false, missed, rightly not told

    def update(self, predicted: np.ndarray, truth: np.ndarray) -> None:
        """Count labels ``(n, labels)``, true or not."""
        told, true = predicted.astype(bool), truth > 0
        cases = (told & true, told & ~true, ~told & true, ~told & ~true)
        self.counts += np.stack([case.sum(axis=0) for case in cases])

    def compute(self) -> Scores:
        """Return the scores; accuracy is the share of right answers to whether a label holds."""
        rows = []
        for name, (hits, false, missed, rest) in zip(self.names, self.counts.T.tolist()):
            row = {"class": name, "count": hits + missed}
            row.update(_ratios(hits, hits + false, hits + missed))
            row["accuracy"] = (hits + rest) / max(hits + false + missed + rest, 1)
            rows.append(row)
        met = [row for row in rows if row["count"]]
        names = ("accuracy", "f1_score", "precision", "recall")
        values = {
            name: float(np.mean([row[name] for row in met])) if met else 0.0 for name in names
        }
        return Scores(values, rows)


class DetectionScores:
    """Collects detections and true boxes of images, then matches them class by class."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._found: list[list[tuple[float, bool]]] = [[] for _ in names]
        self._true = [0] * len(names)

    def update(
        self, detections: Sequence[dict[str, Any]], truths: Sequence[dict[str, Any]]
    ) -> None:
        """Match the detections of images with their truths, best score first.

        Args:
            detections: per image tensors ``boxes``, ``scores``, ``labels``.
            truths: per image tensors ``boxes``, ``labels``.
        """
        for found, truth in zip(detections, truths):
            keep, overlap = self.compare(found, truth)
            labels = found["labels"][keep].cpu().numpy()
            scores = found["scores"][keep].cpu().numpy()
            true_labels = truth["labels"].cpu().numpy()
            for label in range(len(self.names)):
                rows, columns = labels == label, true_labels == label
                self._true[label] += int(columns.sum())
                hits = match_greedily(overlap[rows][:, columns])
                self._found[label] += list(zip(scores[rows].tolist(), hits))

    def compare(self, found: dict[str, Any], truth: dict[str, Any]) -> tuple[Any, np.ndarray]:
        """Return which detections stand, best first, and their IoU ``(kept, true)``."""
        from torchvision.ops import batched_nms, box_iou

        keep = batched_nms(found["boxes"], found["scores"], found["labels"], _NMS_OVERLAP)
        overlap = box_iou(found["boxes"][keep], truth["boxes"].to(found["boxes"]))
        return keep, overlap.cpu().numpy()

    def ranked(self) -> list[tuple[np.ndarray, np.ndarray, int]]:
        """Return for each class scores, best first, hits and the number of true objects."""
        found = []
        for entries, true in zip(self._found, self._true):
            ordered = sorted(entries, key=lambda each: -each[0])
            scores = np.array([score for score, _ in ordered], float)
            found.append((scores, np.array([hit for _, hit in ordered], bool), true))
        return found

    def compute(self) -> Scores:
        """Return average precision at IoU 0.5, and precision, recall and F1 at score 0.5."""
        rows, hits, told = [], 0, 0
        for name, found, true in zip(self.names, self._found, self._true):
            ordered = sorted(found, key=lambda each: -each[0])
            sure = [hit for score, hit in ordered if score >= _SURE]
            row = {"class": name, "count": true}
            row.update(_ratios(sum(sure), len(sure), true))
            row["average_precision"] = average_precision([hit for _, hit in ordered], true)
            rows.append(row)
            hits, told = hits + sum(sure), told + len(sure)
        met = [row["average_precision"] for row in rows if row["count"]]
        values = {"average_precision": float(np.mean(met)) if met else 0.0}
        values.update(_ratios(hits, told, sum(self._true)))
        return Scores(values, rows)


class InstanceScores(DetectionScores):
    """As :class:`DetectionScores`, of the objects' masks instead of their boxes.

    Detections also have ``masks``, each the pixels of a window of the image, and ``windows``
    ``(n, 4)`` as col, row, width, height; truths ``masks`` ``(n, h, w)``.
    """

    def compare(self, found: dict[str, Any], truth: dict[str, Any]) -> tuple[Any, np.ndarray]:
        labels = found["labels"].cpu().numpy()
        order = np.argsort(-found["scores"].cpu().numpy(), kind="stable")
        told = [
            masks_of([found["masks"][place]], np.array(found["windows"][place]))[0]
            for place in order.tolist()
        ]
        true = [ObjectMask.of(0, 0, each) for each in truth["masks"].cpu().numpy()]
        same = labels[order][:, None] == labels[order][None]
        keep = _standing(mask_overlap(told, told, same))
        return order[keep], mask_overlap([told[place] for place in keep], true)


def mask_overlap(
    one: Sequence[ObjectMask | None],
    other: Sequence[ObjectMask | None],
    wanted: np.ndarray | None = None,
) -> np.ndarray:
    """Return the IoU ``(n, m)`` of masks; it is 0 where one is empty.

    Args:
        one, other: ``n`` and ``m`` masks.
        wanted: ``(n, m)``, which of the pairs are compared; the others have 0.
    """
    first, second = _boxes_of(one), _boxes_of(other)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    near = (low < high).all(axis=-1)
    if wanted is not None:
        near &= wanted
    areas = [[0 if each is None else each.area for each in masks] for masks in (one, other)]
    overlap = np.zeros(near.shape, np.float32)
    for row, column in np.argwhere(near).tolist():
        shared = one[row].shared(other[column])
        overlap[row, column] = shared / (areas[0][row] + areas[1][column] - shared)
    return overlap


def _boxes_of(masks: Sequence[ObjectMask | None]) -> np.ndarray:
    """Return the boxes ``(n, 4)`` of masks; one without a pixel has none of any size."""
    boxes = [(0, 0, 0, 0) if each is None else each.box for each in masks]
    return np.array(boxes, np.int64).reshape(-1, 4)


def _standing(overlap: np.ndarray) -> np.ndarray:
    """Return the indices of those that none before them, which stands itself, overlaps."""
    stands = np.ones(len(overlap), bool)
    for place in range(1, len(overlap)):
        stands[place] = not (overlap[place, :place][stands[:place]] > _NMS_OVERLAP).any()
    return np.flatnonzero(stands)


def match_greedily(overlap: np.ndarray) -> list[bool]:
    """Return for each detection, ordered by score, whether it hits a free true box.

    Args:
        overlap: IoU ``(detections, true boxes)``.
    """
    free = np.ones(overlap.shape[1], bool)
    hits = []
    for row in overlap:
        best = int(np.where(free, row, -1.0).argmax()) if free.any() else -1
        hit = best >= 0 and row[best] >= _MATCH_IOU
        if hit:
            free[best] = False
        hits.append(bool(hit))
    return hits


def average_precision(hits: Sequence[bool], true: int) -> float:
    """Return the area under the precision–recall curve, precision made falling (VOC 2010).

    Args:
        hits: for each detection, best score first, whether it is right.
        true: how many objects there are.
    """
    if not true or not len(hits):
        return 0.0
    right = np.cumsum(hits)
    precision = right / np.arange(1, len(hits) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    recall = np.r_[0.0, right / true]
    return float(np.sum(np.diff(recall) * falling))


def _ratios(hits: int, told: int, true: int) -> dict[str, float]:
    precision = hits / told if told else 0.0
    recall = hits / true if true else 0.0
    both = told + true
    return {"precision": precision, "recall": recall, "f1_score": 2 * hits / both if both else 0.0}
