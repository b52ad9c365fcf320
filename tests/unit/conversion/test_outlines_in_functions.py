"""The outlines that the function for ArcGIS draws by itself are those of GDAL."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geodl_plugin.core.conversion.functions.GeoDLInstanceDetector import (
    outlines,
    overlap_of,
    stretched,
    turning,
)
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.polygonize import mask_polygons
from geodl_plugin.core.geo.shapes import polygon_of_rings
from geodl_plugin.core.models.networks.paste import _stretched
from geodl_plugin.core.object_masks import ObjectMask

CASES = {
    "pixel": [[1]],
    "hole": [[1, 1, 1], [1, 0, 1], [1, 1, 1]],
    "corner": [[1, 0], [0, 1]],
    "other corner": [[0, 1], [1, 0]],
    "hole at a corner": [[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 1]],
    "parts": [[1, 0, 1], [1, 0, 1]],
    "island": [[1] * 5, [1, 0, 0, 0, 1], [1, 0, 1, 0, 1], [1, 0, 0, 0, 1], [1] * 5],
}


@pytest.mark.parametrize("name", [*CASES, *range(8)])
def test_rings_enclose_the_pixels(name):
    if isinstance(name, str):
        mask = np.array(CASES[name], bool)
    else:
        mask = np.random.default_rng(name).random((9, 12)) < 0.3 + 0.06 * name
    rings = outlines(mask)
    assert sum(map(turning, rings)) == mask.sum(), "holes run the other way"
    assert turning(rings[0]) > 0, "an outer ring comes first"
    for ring in rings:
        assert (ring[0] == ring[-1]).all()
        steps = np.diff(ring, axis=0)
        assert ((steps != 0).sum(1) == 1).all(), "along the pixels' edges"
        assert ((steps[1:] != 0) != (steps[:-1] != 0)).all(), "a point is a corner"
    whole = mask_polygons(mask, 0, 0, GeoTransform(0, 1, 0, 0, 0, 1))
    apart = polygon_of_rings(rings).SymDifference(whole)
    assert apart is None or apart.GetArea() == pytest.approx(0, abs=1e-9)


def test_masks_are_stretched_and_compared_as_in_geodl():
    generator = torch.Generator().manual_seed(0)
    grid = torch.rand(28, 28, generator=generator)
    box = torch.tensor([3.3, 5.8, 20.1, 40.9])
    own = _stretched(grid[None], box, (3, 5, 18, 36))
    np.testing.assert_allclose(stretched(grid, box, (3, 5, 21, 41)), own.numpy(), atol=1e-6)
    random = np.random.default_rng(1)
    one, two = random.random((10, 12)) < 0.7, random.random((8, 9)) < 0.7
    first, second = ObjectMask(4, 6, one), ObjectMask(9, 2, two)
    ratio = first.shared(second) / (first.area + second.area - first.shared(second))
    boxes = ({"box": first.box, "mask": one}, {"box": second.box, "mask": two})
    assert overlap_of(*boxes) == pytest.approx(ratio) and ratio > 0
    assert overlap_of(boxes[0], {"box": (90, 90, 99, 98), "mask": two}) == 0
