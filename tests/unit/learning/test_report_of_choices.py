"""The report shows the bands and chips that were trained on, however they were chosen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.learning import delivery
from geodl_plugin.core.learning.train import train
from geodl_plugin.core.packages.archive import open_package
from geodl_plugin.core.progress import Progress

from .test_train import options

TINY = {"backbone": "timm:test_resnet", "max_epochs": 1}


@pytest.mark.parametrize("bands", ["4", "4;0", "4;1;0", "3;2;1;0"])
def test_chosen_bands_are_shown(make_folder, tmp_path, bands):
    folder = make_folder("Classified_Tiles", bands=5, dtype="uint16", count=4)
    result = train(options(folder, tmp_path / "few", extract_bands=bands, **TINY), Progress())
    assert "<figure" in Path(result["report"]).read_text(encoding="utf-8")


def test_names_of_classes_are_shown_as_they_are(make_folder, tmp_path):
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32, count=4)
    path = folder / "esri_model_definition.emd"
    named = path.read_text().replace("class 1", "$5_{$ <i>").replace("class 2", "$_ to $6")
    path.write_text(named)
    result = train(options(folder, tmp_path / "names", **TINY), Progress())
    report = Path(result["report"]).read_text(encoding="utf-8")
    assert "$5_{$ &lt;i&gt;" in report and "$_ to $6" in report and "<i>" not in report


def test_chips_are_told_with_their_folder(make_folder, tmp_path):
    one = make_folder("Labeled_Tiles", values=(1, 2), name="one", side=32)
    make_folder("Labeled_Tiles", values=(1, 2), name="one/validation", side=32, count=2)
    result = train(options(one, tmp_path / "both", **TINY), Progress())
    text = Path(result["report"]).read_text(encoding="utf-8")
    assert "validation/images/000000001.tif" in text


def test_delivery_leaves_nothing_when_it_fails_and_tells_what_is_known(
    make_folder, tmp_path, monkeypatch
):
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32)
    path = folder / "esri_model_definition.emd"
    more = {"InputRastersProps": {"RasterCount": 2}, "AllTilesStats2": [{"BandName": "red"}]}
    path.write_text(json.dumps({**json.loads(path.read_text()), **more}))
    wanted = options(folder, tmp_path / "model", **TINY)

    def fail(*_: object) -> None:
        raise OSError("no room left")

    with monkeypatch.context() as patch:
        patch.setattr(delivery, "write_package", fail)
        with pytest.raises(InputError, match="no room left"):
            train(wanted, Progress())
    assert not [each.name for each in (tmp_path / "model").iterdir() if ".part" in each.name]
    newer = Figure.subplots

    def older(self, nrows=1, ncols=1, *, sharex=False, squeeze=True, gridspec_kw=None):
        """Take what matplotlib 3.5 does."""
        return newer(self, nrows, ncols, sharex=sharex, squeeze=squeeze, gridspec_kw=gridspec_kw)

    monkeypatch.setattr(Figure, "subplots", older)
    with open_package(train(wanted, Progress())["model"]) as package:
        told = package.definition.values
    assert told["CropSizeFixed"] == 1 and told["DoNormalize"] is True
    assert told["RasterCount"] == 2 and told["AllTilesStats2"] == more["AllTilesStats2"]
