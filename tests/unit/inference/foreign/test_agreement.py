"""Where a tool and a function have the same argument, the tool follows the function."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from geodl_plugin.core.inference.detect import run as detect
from geodl_plugin.core.inference.foreign.agreement import agreed
from geodl_plugin.core.inference.options import DetectionOptions, ObjectOptions, PixelOptions
from geodl_plugin.core.inference.pixels import run as classify_pixels
from geodl_plugin.core.progress import Progress

from ..support import read_features, write_raster
from .test_functions import DETECTOR, PIXELS, make_model


@pytest.mark.parametrize(
    ("kind", "scalars", "wanted"),
    [
        (DetectionOptions, {"nms_overlap": 0.3, "least": 5}, {"nms_overlap": 0.3}),
        (DetectionOptions, {"NMS_Overlap": "1"}, {"nms_overlap": 1.0}),
        (DetectionOptions, {"nms_overlap": 30}, {}),
        (DetectionOptions, {"nms_overlap": None, "exclude_pad_detections": "perhaps"}, {}),
        (DetectionOptions, {"exclude_pad_detections": "False"}, {"exclude_pad_detections": False}),
        (DetectionOptions, {"predict_background": False, "threshold": 0.1, "padding": 3}, {}),
        (PixelOptions, {"predict_background": False}, {"predict_background": False}),
        (ObjectOptions, {"batch_size": 3, "tile_size": 9}, {}),
    ],
)
def test_what_both_have_is_as_in_the_function(
    kind: Any, scalars: dict[str, Any], wanted: dict[str, Any]
) -> None:
    options = kind(["image.tif"], "model", "output")
    found = agreed(options, SimpleNamespace(scalars=scalars))
    assert found == kind(["image.tif"], "model", "output", **wanted)
    assert agreed(options, SimpleNamespace()) == options


SHARED = """
    def getParameterInfo(self):
        return [
            {{"name": "least", "dataType": "numeric", "value": 50}},
            {{"name": "mode", "dataType": "string", "value": "box"}},
            {{"name": "tile_size", "dataType": "numeric", "value": 48}},
            {{"name": "test_time_augmentation", "dataType": "boolean", "value": False}},
            {{"name": "predict_background", "dataType": "string", "value": "{background}"}},
        ]
"""


def test_what_a_function_does_is_not_done_again(tmp_path: Path) -> None:
    """Its tiles have the size it says, and it is not asked for each view of them."""
    pixels = np.zeros((2, 60, 60), np.uint16)
    pixels[1, 5:15, 5:17] = 100
    source = write_raster(tmp_path / "image.tif", pixels)
    counting = DETECTOR.replace(
        "features = []", f"features = []; open({str(tmp_path / 'calls')!r}, 'a').write('x')", 1
    )
    body = SHARED.format(background="True") + counting
    model, output = make_model(tmp_path, "ObjectDetection", body), str(tmp_path / "found.gpkg")
    # A size of 64 would not be that of the tiles, which the function says are 48 wide.
    told = {"tile_size": 64, "test_time_augmentation": True}
    options = DetectionOptions(
        [source],
        model,
        output,
        device="cpu",
        allow_code=True,
        arguments={"tile_size": "64", "test_time_augmentation": "true"},
        **told,
    )
    detect(options, Progress())
    assert len(read_features(Path(output))) == 1
    assert len((tmp_path / "calls").read_text()) == 4


@pytest.mark.parametrize(("background", "name"), [("True", "Background"), ("False", "Tree")])
def test_the_background_is_an_answer_where_the_function_has_it(
    background: str, name: str, tmp_path: Path
) -> None:
    source = write_raster(tmp_path / "image.tif", np.full((2, 32, 32), 9, np.uint16))
    nothing = PIXELS.replace('blocks["raster_mask"][8:-8, 8:-8]', "0 * inner[0]")
    model = make_model(
        tmp_path, "ImageClassification", SHARED.format(background=background) + nothing
    )
    output = str(tmp_path / "classes.tif")
    options = PixelOptions([source], model, output, device="cpu", allow_code=True)
    counts = classify_pixels(options, Progress())["pixel_counts"]
    assert counts[name] == 32 * 32
