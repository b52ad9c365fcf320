"""The report shows the bands and chips that were trained on, however they were chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from geodl_plugin.core.learning.train import train
from geodl_plugin.core.progress import Progress

from .test_train import options

TINY = {"backbone": "timm:mobilenetv3_small_050", "max_epochs": 1}


@pytest.mark.parametrize("bands", ["4", "4;0", "4;1;0", "3;2;1;0"])
def test_chosen_bands_are_shown(make_folder, tmp_path, bands):
    folder = make_folder("Classified_Tiles", bands=5, dtype="uint16", count=4)
    result = train(options(folder, tmp_path / "few", extract_bands=bands, **TINY), Progress())
    assert "<figure" in Path(result["report"]).read_text(encoding="utf-8")


def test_chips_are_told_with_their_folder(make_folder, tmp_path):
    one = make_folder("Labeled_Tiles", values=(1, 2), name="one", side=32)
    make_folder("Labeled_Tiles", values=(1, 2), name="one/validation", side=32, count=2)
    result = train(options(one, tmp_path / "both", **TINY), Progress())
    text = Path(result["report"]).read_text(encoding="utf-8")
    assert "validation/images/000000001.tif" in text
