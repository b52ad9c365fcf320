"""Pre-labelling with the packaged plugin: the real worker, the real libraries."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from geodl_plugin.core.geo.vector import VectorReader
from tests.qgis.models import write_untrained
from tests.unit.inference.support import write_model, write_raster


def test_a_detector_leaves_drafts(qgis_process, tmp_path: Path) -> None:
    """An untrained network finds whatever it likes, and all of it is a draft."""
    pixels = np.random.default_rng(1).integers(0, 255, (3, 128, 128)).astype(np.uint8)
    source = write_raster(tmp_path / "ortho.tif", pixels)
    samples = tmp_path / "samples.gpkg"
    answer = qgis_process.call(
        "run", "geodl:labelobjects", "--json", "--", f"INPUT={source}",
        f"MODEL={write_untrained(tmp_path / 'trees.dlpk', 'SSD')}",
        "ARGUMENTS=threshold=0.05", "DEVICE=cpu", f"OUTPUT={samples}",
        OMP_NUM_THREADS="1",
    )  # fmt: skip
    assert answer.code == 0, answer.errors
    found = [each.attributes["Confidence"] for each in VectorReader(samples).features()]
    assert len(found) == answer.results["SAMPLE_COUNT"] > 0
    assert found == sorted(found)


def test_a_model_of_pixels_is_one_sentence(qgis_process, tmp_path: Path) -> None:
    """The worker is not even started."""
    source = write_raster(tmp_path / "ortho.tif", np.ones((3, 64, 64), np.uint8))
    model = write_model(tmp_path / "cover.dlpk", "TEST_PIXELS", bands=3)
    answer = qgis_process.call(
        "run", "geodl:labelobjects", "--", f"INPUT={source}", f"MODEL={model}",
        f"OUTPUT={tmp_path / 'samples.gpkg'}", GEODL_PYTHON="/no/where",
    )  # fmt: skip
    assert answer.code == 1
    assert "'cover.dlpk'" in answer.output + answer.errors
    assert "Traceback" not in answer.output + answer.errors
    assert not (tmp_path / "samples.gpkg").exists()
