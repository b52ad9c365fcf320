"""Each task learns: the loss of a batch falls; frozen encoders rest."""

from __future__ import annotations

import math

import pytest
import torch

from geodl_plugin.core.learning.batches import make_datasets
from geodl_plugin.core.learning.dataset import collate
from geodl_plugin.core.learning.losses import IGNORED
from geodl_plugin.core.learning.module import MODULES, LossMean, PixelModule, freeze
from geodl_plugin.core.learning.options import TrainingOptions
from geodl_plugin.core.learning.preparation import prepare
from geodl_plugin.core.models.registry import build_network
from geodl_plugin.core.progress import Phase, Progress


@pytest.mark.parametrize(
    ("data_format", "values"),
    [("PASCAL_VOC_rectangles", (1,)), ("Classified_Tiles", (7, 42)), ("Labeled_Tiles", (7, 42))],
)
def test_the_loss_of_one_batch_falls(make_folder, data_format, values):
    torch.manual_seed(2)
    folder = make_folder(data_format, values=values, count=4)
    options = TrainingOptions(str(folder), "out", backbone="timm:test_resnet", weights="none")
    preparation = prepare(options, Phase(Progress(), "Reading", 1, "chips"))
    module = MODULES[preparation.kind.task](
        build_network(preparation.spec), preparation.schema.names, (1e-3, 1e-3)
    )
    _, validation = make_datasets(preparation)
    training, _ = make_datasets(preparation)
    training.augmentation = None
    batch = collate([training[index % len(training)] for index in range(4)])
    optimizer = torch.optim.AdamW(module.parameter_groups())
    losses = []
    for _ in range(14):
        loss, _ = module.step_loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.6 * losses[0]
    assert len(validation) >= 1


def test_a_last_batch_of_one_chip_weighs_as_one():
    torch.manual_seed(1)
    module = PixelModule(torch.nn.Conv2d(2, 3, 1), ["a", "b"], (1e-3, 1e-3))
    images, targets = torch.randn(9, 2, 4, 4), torch.randint(0, 3, (9, 4, 4))
    images[8] += 9
    module.on_validation_epoch_start()
    for part in (slice(0, 8), slice(8, 9)):
        batch = images[part], targets[part]
        module.training_step(batch, 0)
        module.validation_step(batch, 0)
    wanted = float(module.step_loss((images, targets))[0].detach())
    assert module.validation_loss.compute() == pytest.approx(wanted, rel=1e-5)
    assert module.training_loss.compute() == pytest.approx(wanted, rel=1e-5)
    assert math.isnan(LossMean().compute())


def test_chips_without_a_label_do_not_lower_the_loss():
    """Where labels are incomplete, most crops of large chips have none."""
    torch.manual_seed(1)
    module = PixelModule(torch.nn.Conv2d(2, 3, 1), ["a", "b"], (1e-3, 1e-3))
    images, targets = torch.randn(6, 2, 4, 4), torch.randint(0, 3, (6, 4, 4))
    targets[1:] = IGNORED
    targets[0, 1:] = IGNORED
    module.on_validation_epoch_start()
    for part in (slice(0, 2), slice(2, 4), slice(4, 6)):
        module.validation_step((images[part], targets[part]), 0)
    wanted = float(module.step_loss((images[:1], targets[:1]))[0].detach())
    assert module.validation_loss.compute() == pytest.approx(wanted, rel=1e-5)
    module.training_step((images[2:], targets[2:]), 0)
    assert module.training_loss.compute() == 0


def test_a_frozen_encoder_rests_with_its_statistics():
    encoder = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    freeze(encoder, True)
    assert not encoder.training and not any(p.requires_grad for p in encoder.parameters())
    freeze(encoder, False)
    assert encoder.training and all(p.requires_grad for p in encoder.parameters())
