"""Several devices train together; two processes of the processor stand for two GPUs."""

from __future__ import annotations

import os

import pytest
import torch
from torchvision.ops import MultiScaleRoIAlign

from geodl_plugin.core.errors import CancelledError, InputError
from geodl_plugin.core.learning.fitting import _deterministic
from geodl_plugin.core.learning.hardware import Hardware, choose_hardware
from geodl_plugin.core.learning.train import train
from geodl_plugin.core.progress import Progress

from .test_train import Recorder, options

TINY = {"backbone": "timm:test_resnet", "batch_size": 2, "max_epochs": 2}
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


@pytest.mark.parametrize(("known", "backend"), [(False, "gloo"), (True, None)])
def test_gpus_share_by_gloo_where_there_is_no_nccl(monkeypatch, known, backend):
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: known)
    arguments = Hardware(torch.device("cuda"), "float32", 2).trainer_arguments()
    assert arguments["strategy"].process_group_backend == backend


def test_gpus_add_up_in_one_order_unless_that_takes_a_compiler():
    plain, pools = torch.nn.Conv2d(1, 1, 1), MultiScaleRoIAlign(["8"], 7, 2)
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    found = [_deterministic(each, cuda) for each in (plain, torch.nn.Sequential(plain, pools))]
    assert found == ["warn", None] and _deterministic(plain, cpu) is None


def test_wrong_counts_are_one_sentence(make_folder, tmp_path):
    with pytest.raises(InputError, match=r"DEVICES=9999, but there are only \d+ of the kind 'cpu'"):
        choose_hardware("cpu", "auto", 9999)
    with pytest.raises(InputError, match="DEVICES=0 must be 1 at least"):
        train(options(tmp_path, tmp_path / "never", devices=0), Progress())
