"""From the features on a chip to its label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..geo.rasterize import burn
from ..geo.sampling import Frame
from ..geo.shapes import rings_of
from .labels import (
    BoxLabel,
    ClassLabel,
    InstanceLabel,
    Label,
    MaskLabel,
    NoLabel,
    PanopticLabel,
)
from .source import LabelledShape

Sizes = Mapping[int, Sequence[float]]  # of the objects or pixels of each class


class ChipScene:
    """What lies on a chip.

    Args:
        shapes: the features, those drawn later on top.
        frame: the chip's grid.
        valid: ``(rows, cols)``, where the chip has data.
        instances: the objects, where they come from another layer than the classes.
        own: the class of the feature that the chip was made for.
    """

    def __init__(
        self,
        shapes: Sequence[LabelledShape],
        frame: Frame,
        valid: np.ndarray,
        instances: Sequence[LabelledShape] | None = None,
        own: int | None = None,
    ) -> None:
        self.shapes = shapes
        self.frame = frame
        self.valid = valid
        self.instances = shapes if instances is None else instances
        self.own = own

    def label(self, kind: type[Label]) -> Label:
        """Return the label of a kind."""
        return _MAKERS[kind](self)

    def sizes(self, label: Label) -> Sizes:
        """Return what the statistics count: pixels of masks, areas of all other objects."""
        if isinstance(label, PanopticLabel):
            label = label.mask
        if isinstance(label, MaskLabel):
            found, counts = np.unique(label.values[label.values > 0], return_counts=True)
            return {int(value): [float(count)] for value, count in zip(found, counts)}
        sizes: dict[int, list[float]] = {}
        if isinstance(label, ClassLabel):
            for value in label.values:
                areas = [shape.area for shape in self.shapes if shape.value == value]
                sizes[value] = [max(areas, default=0.0)]
        elif not isinstance(label, NoLabel):
            for shape in self.instances:
                sizes.setdefault(shape.value, []).append(shape.area)
        return sizes

    def _boxes(self) -> BoxLabel:
        boxes = np.array([shape.box for shape in self.shapes], np.float64).reshape(-1, 4)
        return BoxLabel(boxes, _values(self.shapes))

    def _mask(self) -> MaskLabel:
        outlines = ((shape.outline, shape.value) for shape in self.shapes)
        values = burn(outlines, self.valid.shape, self.frame.geotransform).astype(np.int64)
        values[~self.valid] = 0
        return MaskLabel(values)

    def _instances(self) -> InstanceLabel:
        rings = tuple(rings_of(shape.geometry) for shape in self.instances)
        return InstanceLabel(_values(self.instances), self.valid.shape, rings, self._draw)

    def _draw(self) -> np.ndarray:
        masks = [
            burn([(shape.outline, 1)], self.valid.shape, self.frame.geotransform) > 0
            for shape in self.instances
        ]
        return np.stack(masks) & self.valid if masks else np.zeros((0, *self.valid.shape), bool)

    def _panoptic(self) -> PanopticLabel:
        return PanopticLabel(self._mask(), self._instances())

    def _classes(self) -> ClassLabel:
        """Return the classes by the area that they cover, the largest first."""
        covered: dict[int, float] = {}
        for shape in self.shapes:
            covered[shape.value] = covered.get(shape.value, 0.0) + shape.geometry.GetArea()
        order = sorted(covered, key=lambda value: (value != self.own, -covered[value]))
        return ClassLabel(tuple(order))


def _values(shapes: Sequence[LabelledShape]) -> np.ndarray:
    return np.array([shape.value for shape in shapes], np.int64)


_MAKERS: dict[type[Label], Callable[[ChipScene], Label]] = {
    BoxLabel: ChipScene._boxes,
    MaskLabel: ChipScene._mask,
    InstanceLabel: ChipScene._instances,
    PanopticLabel: ChipScene._panoptic,
    ClassLabel: ChipScene._classes,
    NoLabel: lambda _: NoLabel(),
}
