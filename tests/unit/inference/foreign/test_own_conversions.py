"""What GeoDL converts for other programs it applies itself, with the same result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from geodl_plugin.core.conversion.convert import run as convert
from geodl_plugin.core.conversion.options import ConversionOptions
from geodl_plugin.core.inference.options import PixelOptions
from geodl_plugin.core.inference.pixels import run
from geodl_plugin.core.progress import Progress

from ..support import write_model, write_raster


@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [("onnx", "net.onnx", False), ("arcgis", "net.dlpk", False), ("arcgis", "net.dlpk", True)],
)
def test_a_conversion_classifies_like_the_model(
    kind: str, name: str, code: bool, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(3).integers(0, 25, (1, 100, 130)).astype(np.uint8)
    source = write_raster(tmp_path / "image.tif", pixels)
    model = write_model(
        tmp_path / "own.dlpk", "TEST_PIXELS", normalization={"mean": [2.0], "std": [1.0]}
    )
    target = tmp_path / "converted" / name
    convert(ConversionOptions(model, kind, str(target)), Progress())
    results = []
    for number, each in enumerate((model, target)):
        output = str(tmp_path / f"{number}.tif")
        run(PixelOptions([source], str(each), output, device="cpu", allow_code=code), Progress())
        results.append(gdal.Open(output).ReadAsArray())
    assert (results[0] == results[1]).all()
    assert set(np.unique(results[0])) == {0, 3, 7}
