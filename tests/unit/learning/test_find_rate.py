"""The task that finds a learning rate and draws its curve."""

from __future__ import annotations

import pytest

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.learning import find_rate
from geodl_plugin.core.learning.rate_options import RateOptions
from geodl_plugin.core.progress import Progress

from .test_train import Recorder


def options(folder, output, **more):
    values = {"backbone": "timm:test_resnet", "weights": "none", "batch_size": 4, "device": "cpu"}
    return RateOptions(str(folder), str(output), **{**values, "precision": "float32", **more})


def test_the_report_shows_the_curve(make_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(find_rate, "BATCHES", 40)
    folder = make_folder("Labeled_Tiles", values=(1, 2), count=8, side=32)
    result = find_rate.run(options(folder, tmp_path / "new" / "rate.html"), Progress())
    assert 1e-7 < result["learning_rate"] < 10
    text = (tmp_path / "new" / "rate.html").read_text(encoding="utf-8")
    assert f"{result['learning_rate']:.2g}" in text and "data:image/png;base64," in text


def test_what_is_settled_is_told_as_by_a_training(make_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(find_rate, "BATCHES", 40)
    folder = make_folder("Classified_Tiles", side=32)
    recorder = Recorder()
    small = {"model_type": "FCN", "model_arguments": "channels=[4,8]"}
    find_rate.run(options(folder, tmp_path / "r.html", **small), recorder)
    assert "BACKBONE=timm:test_resnet is not used: FCN has an encoder of its own." in recorder.notes


def test_wrong_input_is_one_sentence(make_folder, tmp_path, monkeypatch):
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32)
    with pytest.raises(InputError, match="No report is given"):
        find_rate.run(options(folder, ""), Progress())
    with pytest.raises(InputError, match="There is no backbone 'resnot'"):
        find_rate.run(options(folder, tmp_path / "r.html", backbone="resnot"), Progress())
    single = {"model_type": "UNET", "backbone": "timm:test_resnet", "batch_size": 1}
    masks = make_folder("Classified_Tiles", count=4, side=32, name="masks")
    with pytest.raises(InputError, match="Set BATCH_SIZE to 2 or more"):
        find_rate.run(options(masks, tmp_path / "r.html", **single), Progress())
    monkeypatch.setattr(find_rate, "BATCHES", 2)
    with pytest.raises(InputError, match="No learning rate could be found"):
        find_rate.run(options(folder, tmp_path / "r.html"), Progress())
    assert not (tmp_path / "r.html").exists()
