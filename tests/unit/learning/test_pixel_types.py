"""What pixel networks have besides the table: arguments of their own, weights, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from geodl_plugin.core.errors import GeoDLError
from geodl_plugin.core.inference import change, pixels
from geodl_plugin.core.inference.model import read_model
from geodl_plugin.core.inference.options import ChangeOptions, PixelOptions
from geodl_plugin.core.learning.train import train
from geodl_plugin.core.models.registry import Task
from geodl_plugin.core.packages.archive import open_package
from geodl_plugin.core.progress import Progress
from tests.unit.inference.support import write_raster

from .test_train import Recorder, options

TINY = "timm:test_resnet"
EIGHT_BIT, SIXTEEN_BIT, FLOAT = (3, "uint8", False), (8, "uint16", False), (1, "float32", True)
CHANNELS = "channels=[4,6,8]"
CASES = [
    ("UNET", EIGHT_BIT, "sigmoid=true;decoder_channels=[32,16,16,8,8]"),
    ("PAN", SIXTEEN_BIT, ""),
    ("UNET_PLAIN", FLOAT, CHANNELS + ";dropout=0.1"),
    ("UNETPLUSPLUS_DS", EIGHT_BIT, CHANNELS + ";prune=1"),
]


def raster_of(path: Path, bands: int, dtype: str, seed: int) -> str:
    values = np.random.default_rng(seed).normal(60, 6, (bands, 70, 90)).astype(dtype)
    if values.dtype.kind == "f":
        values[:, :9, :9] = np.nan
    return write_raster(path, values)


@pytest.mark.parametrize(("name", "kind", "arguments"), CASES, ids=[each[0] for each in CASES])
def test_arguments_hold_from_training_to_a_raster(make_folder, tmp_path, name, kind, arguments):
    bands, dtype, invalid = kind
    values = (7,) if "sigmoid" in arguments else (7, 42)
    side = 128 if name == "PAN" else 64
    folder = make_folder(
        "Classified_Tiles", 4, side, bands=bands, dtype=dtype, values=values, invalid=invalid
    )
    told = options(
        folder, tmp_path / "model", model_type=name, backbone=TINY, model_arguments=arguments
    )
    progress = Recorder()
    result = train(told, progress)
    assert result["epochs"] == 2
    assert all(np.isfinite(record["valid_loss"]) for record in progress.records)
    source = raster_of(tmp_path / "ortho.tif", bands, dtype, 3)
    output = str(tmp_path / "classes.tif")
    given = PixelOptions([source], result["model"], output, device="cpu", precision="float32")
    counts = pixels.run(given, Progress())["pixel_counts"]
    found = gdal.Open(output).ReadAsArray()
    assert set(np.unique(found)) <= {0, *values, 255}
    unknown = 81 if dtype == "float32" else 0
    assert (found == 255).sum() == unknown and sum(counts.values()) == 70 * 90 - unknown


def test_change_is_learnt_from_pairs_and_applied_to_them(make_folder, tmp_path):
    bands, dtype, invalid = FLOAT
    folder = make_folder(
        "Classified_Tiles", 4, bands=bands, dtype=dtype, values=(7,), invalid=invalid, pairs=True
    )
    told = options(folder, tmp_path / "model", backbone=TINY, model_arguments="attention=spatial")
    result = train(told, Progress())  # pairs choose the type
    with open_package(result["model"]) as package:
        model = read_model(package.definition, Task.CHANGE)
        assert package.definition.values["ModelType"] == "ChangeDetection"
        assert model.spec.model_type == "CHANGEDETECTOR" and model.spec.band_count == bands
        assert len(model.mean) == bands
    dates = [raster_of(tmp_path / f"{i}.tif", bands, dtype, i) for i in range(2)]
    output = str(tmp_path / "change.tif")
    given = ChangeOptions(
        dates[:1],
        result["model"],
        output,
        device="cpu",
        precision="float32",
        second=dates[1:],
    )
    counts = change.run(given, Progress())["pixel_counts"]
    assert sum(counts.values()) == 70 * 90 - (81 if dtype == "float32" else 0)
    assert set(np.unique(gdal.Open(output).ReadAsArray())) <= {0, 7, 255}


def test_networks_of_their_own_start_from_random_weights_and_say_so(make_folder, tmp_path):
    folder = make_folder("Classified_Tiles", 4)
    told = {"model_type": "FCN", "model_arguments": CHANNELS, "max_epochs": 1}
    progress = Recorder()
    result = train(options(folder, tmp_path / "fcn", weights="imagenet", **told), progress)
    assert any("encoder of its own" in note for note in progress.notes)
    with open_package(result["model"]) as package:
        own = package.definition.geodl
    assert own["training"]["weights"] == "none" and own["backbone"] == ""
    assert own["training"]["learning_rates"] == [1e-3, 1e-3]
    with pytest.raises(GeoDLError, match=r"FCN has an encoder of its own, which 'w\.pth' does"):
        train(options(folder, tmp_path / "never", weights="w.pth", **told), Progress())


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"model_type": "CHANGEDETECTOR"}, "has no second images. Export it again"),
        ({"model_type": "PAN"}, "PAN needs chips of 128 pixels at least, but it gets 64"),
        ({"model_type": "UNET", "model_arguments": "sigmoid=true"}, "there are 2 classes"),
        ({"model_type": "UNET", "model_arguments": "encoder_depth=2"}, "encoder_depth=2 does not"),
        ({"model_type": "DEEPLAB", "backbone": "densenet121"}, "cannot be built on the backbone"),
        ({"model_type": "FCN", "model_arguments": "channels=[8]"}, "two whole numbers at least"),
    ],
)
def test_wrong_choices_are_one_sentence(make_folder, tmp_path, told, sentence):
    folder = make_folder("Classified_Tiles", 3, values=(1, 2))
    with pytest.raises(GeoDLError) as caught:
        train(options(folder, tmp_path / "never", **told), Progress())
    assert sentence in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "never").exists()
