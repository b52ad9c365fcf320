"""An interrupted training goes on and ends as one that was never interrupted."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from safetensors.torch import save_file

from geodl_plugin.core.errors import CancelledError, InputError
from geodl_plugin.core.learning.building import build_module
from geodl_plugin.core.learning.callbacks import BestEpoch
from geodl_plugin.core.learning.checkpoint import FOLDER, checkpoint_path
from geodl_plugin.core.learning.module import freeze
from geodl_plugin.core.learning.preparation import prepare
from geodl_plugin.core.learning.train import train
from geodl_plugin.core.models.networks.backbones import build_pyramid
from geodl_plugin.core.progress import Phase, Progress

from .test_train import Recorder, options, weights_of

ROOT = Path(__file__).resolve().parents[3]
KILLED = """
import json, os, signal, sys
import torch
from geodl_plugin.core.learning.options import TrainingOptions
from geodl_plugin.core.learning.train import train
from geodl_plugin.core.progress import Progress

torch.set_num_threads(1)

class Deadly(Progress):
    epochs, checks = 0, 0
    def epoch(self, record):
        self.epochs = record["epoch"]
    def cancelled(self):
        if self.epochs == 2:
            self.checks += 1
            if self.checks > 3:
                os.kill(os.getpid(), signal.SIGKILL)
        return False

train(TrainingOptions(**json.loads(sys.argv[1])), Deadly())
"""


# Keeping and comparing weights costs more than training this few.
TINY = {"backbone": "timm:test_resnet"}


def same_weights(one: dict, other: dict, folder: Path) -> bool:
    first, second = (
        weights_of(result["model"], folder / f"w{index}")
        for index, result in enumerate((one, other))
    )
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture
def last_epoch(monkeypatch):
    """Keep the weights of the last epoch: the best one may lie before the interruption."""
    monkeypatch.setattr(BestEpoch, "restore", lambda *_: None)


@pytest.mark.usefixtures("last_epoch")
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_run_killed_within_an_epoch_ends_with_the_same_weights(make_folder, tmp_path):
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=48, count=12)
    more = {**TINY, "max_epochs": 4, "chip_size": 32, "batch_size": 3, "monitor": "VALID_LOSS"}
    whole = train(options(folder, tmp_path / "whole", **more), Progress())
    wanted = options(folder, tmp_path / "killed", **more)
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, json.dumps(wanted.__dict__)],
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    left = [each.name for each in (tmp_path / "killed").iterdir()]
    assert left == [FOLDER], "nothing that looks like a model"
    progress = Recorder()
    resumed = train(wanted, progress)
    assert any("interrupted after epoch 2: it goes on" in note for note in progress.notes)
    assert [each["epoch"] for each in progress.records] == [1, 2, 3, 4]
    assert resumed["epochs"] == 4 and resumed["best_score"] == whole["best_score"]
    assert same_weights(whole, resumed, tmp_path)
    assert not checkpoint_path(wanted.output).parent.exists()


@pytest.mark.usefixtures("last_epoch")
@pytest.mark.parametrize(
    ("data_format", "more"),
    [
        ("PASCAL_VOC_rectangles", {"learning_rate": "1e-3,2e-3"}),
        ("Classified_Tiles", {"loss": "0.5*dice+0.5*cross_entropy", "monitor": "MIOU"}),
    ],
)
def test_a_cancelled_run_goes_on_with_the_same_weights(make_folder, tmp_path, data_format, more):
    folder = make_folder(data_format, count=6, side=96)
    more = {**TINY, "max_epochs": 3, "chip_size": 64, "batch_size": 2, **more}
    whole = train(options(folder, tmp_path / "whole", **more), Progress())
    wanted = options(folder, tmp_path / "cancelled", **more)
    for after in (1, 2):
        progress = Recorder(cancel_after=after)
        with pytest.raises(CancelledError):
            train(wanted, progress)
        assert any(f"kept as it was after epoch {after}" in note for note in progress.notes)
    assert same_weights(whole, train(wanted, Progress()), tmp_path)


@pytest.mark.parametrize("model_type", ["RETINANET", "FASTERRCNN"])
def test_an_encoder_that_goes_on_keeps_its_statistics(make_folder, tmp_path, model_type):
    folder = make_folder("PASCAL_VOC_rectangles", count=4)
    wanted = options(folder, tmp_path / "on", model_type=model_type, **TINY)
    preparation = prepare(wanted, Phase(Progress(), "Reading", 1, "chips"))
    for weights in ("none", "imagenet"):
        spec = dataclasses.replace(preparation.spec, weights=weights)
        known = dataclasses.replace(preparation, spec=spec)
        module = build_module(wanted, known, False, Progress())
        freeze(module.network.encoder, False)
        norms = [
            each.training
            for each in module.network.encoder.modules()
            if isinstance(each, torch.nn.modules.batchnorm._BatchNorm)
        ]
        assert norms and set(norms) == {weights == "none"}


@pytest.mark.usefixtures("last_epoch")
@pytest.mark.parametrize("bands", [3, 5])
def test_new_bands_learn_while_the_encoder_rests(make_folder, tmp_path, bands):
    made = build_pyramid(TINY["backbone"], 3, 32, "none").network.state_dict()
    save_file(made, tmp_path / "made.safetensors")
    folder = make_folder("Labeled_Tiles", values=(1, 2), bands=bands, side=32)
    more = {**TINY, "weights": str(tmp_path / "made.safetensors")}
    whole = train(options(folder, tmp_path / "whole", **more), Progress())
    known = weights_of(whole["model"], tmp_path / "known")
    inside = "encoder.network."
    first = known.pop(f"{inside}conv1.0.weight")
    assert torch.equal(first[:, :3], made.pop("conv1.0.weight")) == (bands == 3)
    assert all(torch.equal(known[f"{inside}{name}"], value) for name, value in made.items())
    report = Path(whole["report"]).read_text(encoding="utf-8")
    assert ("<td>rested but for the weights of the bands</td>" in report) == (bands > 3)
    with pytest.raises(CancelledError):
        train(options(folder, tmp_path / "on", **more), Recorder(cancel_after=1))
    assert same_weights(
        whole, train(options(folder, tmp_path / "on", **more), Progress()), tmp_path
    )


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("freeze", ["2", "1"])
def test_an_encoder_that_would_train_after_the_last_epoch_is_told(make_folder, tmp_path, freeze):
    made = build_pyramid(TINY["backbone"], 3, 32, "none").network.state_dict()
    save_file(made, tmp_path / "made.safetensors")
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32)
    more = {**TINY, "weights": str(tmp_path / "made.safetensors"), "freeze": freeze}
    recorder = Recorder()
    train(options(folder, tmp_path / "out", **{**more, "max_epochs": 1}), recorder)
    told = "The encoder rests in all epochs, for FREEZE=2 is above MAX_EPOCHS=1."
    assert (told in recorder.notes) == (freeze == "2")


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize(
    ("freeze", "rate", "told"),
    [("true", "1e-5,1e-3", True), ("2", "1e-5,1e-3", True), ("1", "1e-5,1e-3", False)]
    + [("true", "1e-3", False)],
)
def test_a_rate_of_an_encoder_that_rests_is_told(make_folder, tmp_path, freeze, rate, told):
    made = build_pyramid(TINY["backbone"], 3, 32, "none").network.state_dict()
    save_file(made, tmp_path / "made.safetensors")
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32, count=4)
    more = {**TINY, "weights": str(tmp_path / "made.safetensors"), "freeze": freeze}
    recorder = Recorder()
    chosen = {**more, "max_epochs": 1, "learning_rate": rate}
    train(options(folder, tmp_path / "out", **chosen), recorder)
    assert any("rate of the encoder, 1e-05, is not used" in each for each in recorder.notes) == told


RCNN = "rpn_batch_size_per_image=16;box_batch_size_per_image=8;box_detections_per_img=10"
CLASSIFIER = {"model_type": "FEATURE_CLASSIFIER"}
DRAWN = {
    "regions": ("PASCAL_VOC_rectangles", {"model_type": "FASTERRCNN", "model_arguments": RCNN}),
    "masks": ("RCNN_Masks", {"model_type": "MASKRCNN", "model_arguments": RCNN}),
    "borders": ("RCNN_Masks", {"model_type": "UNET_ID"}),
    "pairs": ("Classified_Tiles", {"model_type": "CHANGEDETECTOR"}),
    "mixup": ("Labeled_Tiles", {**CLASSIFIER, "model_arguments": "mixup=true"}),
    "oversampling": ("Labeled_Tiles", {**CLASSIFIER, "model_arguments": "oversample=true"}),
    "encoder thawed in between": ("Labeled_Tiles", {**CLASSIFIER, "freeze": "2"}),
    "rate found": ("Labeled_Tiles", {**CLASSIFIER, "learning_rate": ""}),
}


@pytest.mark.usefixtures("no_report", "small_networks", "last_epoch")
@pytest.mark.parametrize(("data_format", "more"), DRAWN.values(), ids=DRAWN)
def test_whatever_chance_decides_is_the_same_after_an_interruption(
    make_folder, tmp_path, monkeypatch, data_format, more
):
    monkeypatch.setattr("geodl_plugin.core.learning.fitting.BATCHES", 10)
    values = (1, 2) if data_format == "Labeled_Tiles" else (1,)
    folder = make_folder(data_format, values=values, pairs=more["model_type"] == "CHANGEDETECTOR")
    more = {"backbone": "timm:test_resnet", "batch_size": 2, **more}
    if "freeze" in more:  # an encoder that knows nothing is never frozen
        taught = train(
            options(folder, tmp_path / "before", **{**more, "max_epochs": 1}), Progress()
        )
        more = {**more, "pretrained_model": taught["model"], "backbone": ""}
    whole = train(options(folder, tmp_path / "whole", **more), Progress())
    wanted = options(folder, tmp_path / "cancelled", **more)
    with pytest.raises(CancelledError):
        train(wanted, Recorder(cancel_after=1))
    progress = Recorder()
    resumed = train(wanted, progress)
    assert any("interrupted after epoch 1: it goes on" in note for note in progress.notes)
    assert [each["epoch"] for each in progress.records] == [1, 2] and resumed["epochs"] == 2
    assert same_weights(whole, resumed, tmp_path)


def test_a_run_that_had_stopped_early_trains_no_more(make_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("geodl_plugin.core.learning.callbacks.PATIENCE", 1)
    monkeypatch.setattr("geodl_plugin.core.learning.ranking.LEAST_CHANGE", 9.0)
    monkeypatch.setattr("geodl_plugin.core.learning.ranking.LEAST_SHARE", 9.0)
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32)
    wanted = options(folder, tmp_path / "stopped", max_epochs=9)

    def fail(*_: object) -> None:
        raise CancelledError

    with monkeypatch.context() as patch:
        patch.setattr("geodl_plugin.core.learning.train.deliver", fail)
        with pytest.raises(CancelledError):
            train(wanted, Progress())
    assert train(wanted, Progress())["epochs"] == 2


@pytest.fixture
def interrupted(make_folder, tmp_path):
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32)
    wanted = options(folder, tmp_path / "model", max_epochs=3)
    with pytest.raises(CancelledError):
        train(wanted, Recorder(cancel_after=1))
    return folder, tmp_path / "model"


def test_other_options_are_refused_with_what_differs(interrupted):
    folder, output = interrupted
    with pytest.raises(InputError) as caught:
        train(options(folder, output, max_epochs=3, seed=7), Progress())
    assert "after epoch 1 that was started with SEED=42, not SEED=7" in str(caught.value)
    assert "RESUME=false" in str(caught.value)
    progress = Recorder()
    train(options(folder, output, max_epochs=1, seed=7, resume=False), progress)
    assert [each["epoch"] for each in progress.records] == [1]


def test_other_labels_are_refused(interrupted):
    """The chips are the same: half of the training would be of labels that were mended since."""
    folder, output = interrupted
    label = next(iter(sorted((folder / "labels").glob("*.xml"))))
    text = label.read_text()
    assert "<name>1</name>" in text
    label.write_text(text.replace("<name>1</name>", "<name>2</name>"))
    with pytest.raises(InputError, match=r"training data have changed .* RESUME=false"):
        train(options(folder, output, max_epochs=3), Progress())
    label.write_text(text)
    train(options(folder, output, max_epochs=3), Progress())


def test_other_data_are_refused(interrupted):
    folder, output = interrupted
    (folder / "images" / "000000005.tif").unlink()
    with pytest.raises(InputError, match=r"training data have changed .* RESUME=false"):
        train(options(folder, output, max_epochs=3), Progress())


def test_a_training_of_another_version_is_not_taken_up(interrupted):
    folder, output = interrupted
    path = checkpoint_path(str(output))
    kept = torch.load(path, weights_only=True)
    del kept["geodl"]["format"]  # as before there was one
    torch.save(kept, path)
    with pytest.raises(InputError, match=r"another version of GeoDL, .* RESUME=false"):
        train(options(folder, output, max_epochs=3), Progress())
    assert path.exists()


def test_a_damaged_or_hostile_checkpoint_is_one_sentence(interrupted):
    folder, output = interrupted

    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(output / "harm"),)

    for content in ({"geodl": Hostile()}, {"something": 1}):
        torch.save(content, checkpoint_path(str(output)))
        with pytest.raises(InputError, match=r"cannot be read\. Set RESUME=false"):
            train(options(folder, output, max_epochs=3), Progress())
    assert not (output / "harm").exists()


def test_memory_that_ends_halves_the_batches_and_goes_on(make_folder, tmp_path, monkeypatch):
    from geodl_plugin.core.learning.module import ObjectModule

    true_loss = ObjectModule.loss
    seen: list[int] = []

    def short_of_memory(self, answer, targets):
        if self.training and len(targets) > 2 and len(progress.records) >= 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if self.training:
            seen.append(len(targets))
        return true_loss(self, answer, targets)

    monkeypatch.setattr(ObjectModule, "loss", short_of_memory)
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32, count=9)
    progress = Recorder()
    result = train(options(folder, tmp_path / "short", max_epochs=3, batch_size=4), progress)
    assert result["epochs"] == 3 and [each["epoch"] for each in progress.records] == [1, 2, 3]
    assert any(
        "batches are now 2 chips, of which 2 make a step" in each for each in progress.warned
    )
    assert seen == [4, 4] + [2] * 8


@pytest.mark.parametrize("resume", [True, False])
def test_a_second_training_leaves_the_folder_of_a_running_one(make_folder, tmp_path, resume):
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32)
    wanted = options(folder, tmp_path / "one", **TINY)
    refused: list[str] = []

    class Twice(Progress):
        def epoch(self, record: dict) -> None:
            with pytest.raises(InputError) as caught:
                train(dataclasses.replace(wanted, resume=resume), Progress())
            refused.append(str(caught.value))

    assert train(wanted, Twice())["epochs"] == 2
    assert len(refused) == 2 and refused[0].startswith("Another training writes into")
    assert not checkpoint_path(wanted.output).parent.exists()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"'.*file' cannot be written"):
        train(options(folder, tmp_path / "file", **TINY), Progress())


def test_the_last_look_takes_as_many_chips_as_the_memory_held(make_folder, tmp_path, monkeypatch):
    seen: list[int] = []

    def ask(network, images, hardware):
        seen.append(len(images))
        return network(images)

    monkeypatch.setattr("geodl_plugin.core.learning.examination._ask", ask)
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32, count=10)
    more = {**TINY, "batch_size": 2, "validation_percentage": 50, "max_epochs": 1}
    train(options(folder, tmp_path / "few", **more), Progress())
    assert seen == [2, 2, 1]


def test_memory_for_not_even_two_chips_is_one_sentence(make_folder, tmp_path, monkeypatch):
    def never(self, answer, targets):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr("geodl_plugin.core.learning.module.ObjectModule.loss", never)
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32)
    with pytest.raises(
        InputError, match=r"does not hold a batch of 2 chips\. Set BATCH_SIZE or CHIP"
    ):
        train(options(folder, tmp_path / "never"), Progress())
    assert not (tmp_path / "never").exists()


@pytest.mark.usefixtures("no_report")
def test_a_full_disk_leaves_the_state_of_the_epoch_before(make_folder, tmp_path, monkeypatch):
    """A part of a state would fill the disk on."""
    folder = make_folder("Labeled_Tiles", values=(1, 2), side=32)
    wanted = options(folder, tmp_path / "out", **TINY)
    save = pl.Trainer.save_checkpoint

    def fill(trainer, path):
        save(trainer, path)
        if trainer.current_epoch:
            path.write_bytes(b"a part")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/part")

    monkeypatch.setattr(pl.Trainer, "save_checkpoint", fill)
    with pytest.raises(InputError, match=r"out' cannot be written: No space left on device\.$"):
        train(wanted, Progress())
    assert [each.name for each in (tmp_path / "out" / FOLDER).iterdir()] == ["last.ckpt"]
    monkeypatch.undo()
    assert train(wanted, Progress())["epochs"] == 2
