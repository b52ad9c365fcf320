"""Detectors written for ArcGIS make their anchors where the images are: on graphics cards, too.

Of the other model types test_arcgis looks at the same.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from geodl_plugin.core.conversion import arcgis
from tests.qgis.models import write_untrained

from .test_two_stage import exportable_of, images

CASES = [
    ("SSD", {"grids": [5, 3]}),
    ("RETINANET", {}),
    ("FCOS", {}),
]


@pytest.mark.parametrize(("name", "given"), CASES)
def test_no_device_is_written_down(name: str, given: dict, tmp_path: Path):
    model = write_untrained(tmp_path / "a.dlpk", name, backbone="timm:test_resnet", **given)
    network = exportable_of(model)
    arcgis._trace(network).save(str(tmp_path / "a.pt"))
    written = torch.jit.load(str(tmp_path / "a.pt"))
    assert "Device = prim::Constant" not in str(written.inlined_graph)
    with torch.no_grad():
        torch.testing.assert_close(written(images(3)), network(images(3)), atol=1e-3, rtol=1e-5)
