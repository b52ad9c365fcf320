"""Several devices train together; two processes of the processor stand for two GPUs."""

from __future__ import annotations

import os

import pytest

from geodl_plugin.core.errors import CancelledError, InputError
from geodl_plugin.core.learning.hardware import choose_hardware
from geodl_plugin.core.learning.train import train
from geodl_plugin.core.progress import Progress

from .test_train import Recorder, options

TINY = {"backbone": "timm:mobilenetv3_small_050", "batch_size": 2, "max_epochs": 2}
two_processors = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor only")


@two_processors
def test_two_processes_train_one_model_and_resume(make_folder, tmp_path):
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32, count=9)
    wanted = options(folder, tmp_path / "two", devices=2, **TINY)
    with pytest.raises(CancelledError):
        train(wanted, Recorder(cancel_after=1))
    progress = Recorder()
    result = train(wanted, progress)
    assert result["epochs"] == 2 and [each["epoch"] for each in progress.records] == [1, 2]
    assert any(note.endswith("float32, 2 processes.") for note in progress.notes)
    assert sorted(each.name for each in (tmp_path / "two").iterdir()) == [
        "model_metrics.html",
        "two.dlpk",
    ]
    assert "LOCAL_RANK" not in os.environ


def test_wrong_counts_are_one_sentence(make_folder, tmp_path):
    with pytest.raises(InputError, match=r"DEVICES=9999, but there are only \d+ of the kind 'cpu'"):
        choose_hardware("cpu", "auto", 9999)
    with pytest.raises(InputError, match="DEVICES=0 must be 1 at least"):
        train(options(tmp_path, tmp_path / "never", devices=0), Progress())
