"""Logs for TensorBoard are written on wish only."""

from __future__ import annotations

import importlib.util

import lightning.pytorch.loggers
from lightning.pytorch.loggers import CSVLogger

from geodl_plugin.core.learning.logs import VARIABLE, make_logger
from geodl_plugin.core.learning.train import train

from .test_train import Recorder, options


def test_nothing_is_logged_unasked(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert make_logger("out", Recorder()) is None


def test_without_the_library_there_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    progress = Recorder()
    assert make_logger("out", progress) is None
    assert "TensorBoard is not installed" in progress.warned[0]


def test_scores_losses_and_rates_are_logged(make_folder, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "logs"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(lightning.pytorch.loggers, "TensorBoardLogger", CSVLogger)
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32)
    more = {"backbone": "timm:test_resnet"}
    train(options(folder, tmp_path / "logged", **more), Recorder())
    (table,) = (tmp_path / "logs" / "logged").rglob("*.csv")
    header = table.read_text().splitlines()[0]
    assert {"train_loss", "valid_loss", "accuracy", "learning_rate"} <= set(header.split(","))
