"""KITTI_rectangles: boxes in one text file a chip, 15 columns a box.

Geiger et al. 2012, "Are we ready for autonomous driving?". Columns: class, truncated,
occluded, alpha, xmin, ymin, xmax, ymax and seven for three dimensions, which imagery lacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...errors import TrainingDataError
from ..labels import BoxLabel
from . import Chip, ChipFormat, WrittenChip, files, label_of, value_of
from .yolo import BOX as YOLO_BOX
from .yolo import Yolo

NO_NAMES = " Labels of YOLO need a 'data.yaml' with the names of the classes beside 'labels'."
FILLERS = " ".join(["0.0"] * 7)


class Kitti(ChipFormat):
    """Boxes as KITTI stores them."""

    keyword = "KITTI_rectangles"
    label = BoxLabel
    suffix = ".txt"

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        # YOLO's folders have text files too, but also a file that names the classes.
        return bool(files(folder / "labels", (cls.suffix,))) and not Yolo.recognises(folder)

    def write(self, chip: WrittenChip) -> Path:
        path = self.folder / "labels" / f"{chip.name}{self.suffix}"
        lines = []
        for box, value in zip(chip.label.boxes, chip.label.values):
            corners = " ".join(f"{number:.2f}" for number in box)
            lines.append(f"{int(value)} 0.0 0 0.0 {corners} {FILLERS}\n")
        path.write_text("".join(lines), encoding="utf-8")
        return path

    def read(self, chip: Chip) -> BoxLabel:
        path = label_of(chip)
        boxes, values = [], []
        for name, box in _rows(path):
            if name != "DontCare":  # KITTI's own word for regions that nobody labelled
                boxes.append(box)
                values.append(value_of(name, self.schema, path, self.defined))
        return BoxLabel(np.array(boxes, np.float32).reshape(-1, 4), np.array(values, np.int64))

    def class_names(self) -> set[str]:
        labels = files(self.folder / "labels", (self.suffix,))
        return {name for path in labels for name, _ in _rows(path)} - {"DontCare"}


def _rows(path: Path) -> Iterator[tuple[str, list[float]]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingDataError(f"The label '{path}' cannot be read: {error}.") from error
    for number, line in enumerate(lines, 1):
        columns = line.split()
        if not columns:
            continue
        try:
            box = [float(column) for column in columns[4:8]]
        except ValueError:
            box = []
        if len(box) != 4:
            raise TrainingDataError(
                f"Line {number} of '{path}' has no box in columns 5 to 8."
                f"{NO_NAMES if len(columns) == YOLO_BOX else ''}"
            )
        yield columns[0], box
