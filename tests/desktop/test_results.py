"""Results of inference in a real QGIS window, with a real worker.

Where ``GEODL_DEMO`` names the folder of a demo that has run, its imagery and its trained models
are looked at instead of random ones.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.desktop.windows import Window
from tests.qgis.models import write_untrained
from tests.unit.inference.support import write_raster

pytestmark = pytest.mark.timeout(300)
DEMO = os.environ.get("GEODL_DEMO", "")
UNSEEN = "528011,528107,4978007,4978067 [EPSG:26912]"  # of the demo's imagery, by any model


@pytest.fixture(scope="module")
def window(qgis_window: Callable[..., Window], tmp_path_factory: pytest.TempPathFactory) -> Window:
    """Return what the script saw."""
    if DEMO:
        folder = Path(DEMO)
        variables = {
            "GEODL_TEST_SCENE": str(folder / "yellowstone.tif"),
            "GEODL_TEST_CLASSIFIER": str(folder / "canopy.dlpk"),
            "GEODL_TEST_DETECTOR": str(folder / "trees.dlpk"),
            "GEODL_TEST_EXTENT": UNSEEN,
        }
    else:
        folder = tmp_path_factory.mktemp("data")
        pixels = np.random.default_rng(0).integers(0, 255, (3, 160, 200), np.uint8)
        variables = {
            "GEODL_TEST_SCENE": write_raster(folder / "scene.tif", pixels),
            "GEODL_TEST_CLASSIFIER": write_untrained(
                folder / "pixels.dlpk", "UNET_PLAIN", channels=[4, 8]
            ),
            "GEODL_TEST_DETECTOR": write_untrained(folder / "objects.dlpk", "SSD"),
            "GEODL_TEST_OBJECTS": "threshold=0.01",
            "GEODL_TEST_EXTENT": "500000,500100,4099920,4100000 [EPSG:32616]",
        }
    return qgis_window("results", {**variables, "GEODL_PYTHON": sys.executable}, timeout=280)


def test_both_results_lie_above_the_imagery_and_explain_themselves(window: Window) -> None:
    """Classes have their names in the legend, objects one entry a class."""
    found = window.found
    assert found["order"] == ["Detected objects", "Classified pixels", "Imagery"]
    assert found["renderer"] == "categorizedSymbol"
    assert found["objects"] > 0
    if not DEMO:
        assert found["classes"][-3:] == ["Background", "Tree", "Car"]
        assert found["labels"][:2] == ["Tree", "Car"]


def test_the_pictures_show_them(window: Window) -> None:
    """The two views differ, and neither is empty."""
    one, other = (window.picture(name) for name in ("result_pixels", "result_objects"))
    assert one.width() == other.width() == 1600
    places = [(x, y) for x in range(500, 1500, 50) for y in range(200, 900, 50)]
    colors = [{image.pixel(x, y) for x, y in places} for image in (one, other)]
    assert len(colors[0]) > 20 and len(colors[1]) > 20 and colors[0] != colors[1]
