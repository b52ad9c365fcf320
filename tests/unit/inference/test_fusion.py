"""What several views have found of one object becomes one."""

from __future__ import annotations

import numpy as np

from geodl_plugin.core.inference.detections import Detections
from geodl_plugin.core.inference.fusion import fuse
from geodl_plugin.core.inference.polygons import ObjectPolygon


def turned(x: float, y: float) -> ObjectPolygon:
    """Return a box of 60 × 6 pixels, turned by 45 degrees."""
    corners = np.array([[-30, -3], [30, -3], [30, 3], [-30, 3]]) @ np.array([[1, 1], [-1, 1]])
    return ObjectPolygon((corners / 2**0.5 + [x, y],))


def test_long_objects_side_by_side_stay_two_though_their_boxes_overlap():
    shapes = [turned(50, 50), turned(56, 50), turned(50.5, 50)]  # the third is the first again
    boxes = np.array([each.box for each in shapes])
    found = Detections.of(boxes, [0.9, 0.8, 0.7], [0, 0, 0], shapes)
    fused = fuse([found.take(np.array([0, 1])), found.take(np.array([2]))])
    assert len(fused) == 2
    assert fused.scores.tolist() == [0.8, 0.4]
    assert [each.box for each in fused.masks] == [shapes[0].box, shapes[1].box]
