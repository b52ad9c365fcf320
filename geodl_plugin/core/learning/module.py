"""What a training step and a validation step are, by task."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn

from ..models.registry import Task
from ..samples.schema import pixel_names
from .losses import DEFAULT_LOSS, IGNORED, cross_entropy, labels_loss
from .metrics import ConfusionScores, DetectionScores, InstanceScores, LabelScores, Scores

_LEAST_SCORE = 0.05  # of a detection, for the precision–recall curve
_SURE = 0.5  # least score of one of several labels
_MIXTURE = 0.4  # of the beta distribution: mostly one image with a little of another
_WEIGHT_DECAY = 1e-2


class LearningModule(pl.LightningModule):
    """The base of the three tasks: optimiser, rates and records.

    Args:
        network: to train.
        class_names: in the order of the network's indices, without the background.
        rates: of encoder and head.
        frozen_until: epoch, from 1, at which the encoder starts to train; 0 means never,
            1 from the start.

    Attributes:
        restless: parameters of the encoder that train also while it rests.
    """

    own_score = ""
    restless: tuple[nn.Parameter, ...] = ()

    def __init__(
        self,
        network: nn.Module,
        class_names: Sequence[str],
        rates: tuple[float, float],
        frozen_until: int = 1,
    ) -> None:
        super().__init__()
        self.network = network
        self.class_names = list(class_names)
        self.rates = rates
        self.frozen_until = frozen_until
        self._frozen = False
        self.training_loss = LossMean()
        self.validation_loss = LossMean()
        self.scores = Scores({})
        self.collector = self.make_collector()

    # What each task has of its own

    def make_collector(self) -> Any:
        """Return what collects predictions of a validation."""
        raise NotImplementedError

    def loss(self, answer: Any, targets: Any) -> Tensor:
        """Return the loss of a batch."""
        raise NotImplementedError

    def collect(self, images: Tensor, answer: Any, targets: Any) -> None:
        """Take the predictions of a validation batch into the scores."""
        raise NotImplementedError

    def weight(self, images: Tensor, targets: Any) -> Tensor | int:
        """Return how many chips a batch counts as in the mean loss."""
        return len(images)

    # What all share

    def step_loss(self, batch: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
        """Return loss and answer of a batch; the loss is computed in full precision."""
        images, targets = batch
        answer = self.network(images.contiguous(memory_format=torch.channels_last))
        with torch.autocast(images.device.type, enabled=False):
            return self.loss(answer, targets), answer

    def training_step(self, batch: tuple[Tensor, Any], index: int) -> Tensor:
        """Return the loss of a training batch."""
        loss, _ = self.step_loss(batch)
        self.training_loss.add(loss, self.weight(*batch))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Start with nothing collected."""
        self.collector = self.make_collector()
        self.validation_loss = LossMean()

    def validation_step(self, batch: tuple[Tensor, Any], index: int) -> None:
        """Take loss and predictions of a validation batch into account."""
        loss, answer = self.step_loss(batch)
        self.validation_loss.add(loss, self.weight(*batch))
        self.collect(batch[0], answer, batch[1])

    def on_validation_epoch_end(self) -> None:
        """Compute the scores and hand them to whoever watches."""
        self.scores = self.collector.compute()
        self.scores.values["valid_loss"] = self.validation_loss.compute()
        self.log_dict({name: torch.tensor(v) for name, v in self.scores.values.items()})

    def on_train_epoch_start(self) -> None:
        """Freeze or unfreeze the encoder; a frozen one keeps its batch statistics too."""
        self.training_loss = LossMean()
        self.rest(self.frozen_until == 0 or self.current_epoch + 1 < self.frozen_until)

    def rest(self, frozen: bool) -> None:
        """Let the encoder rest or train."""
        self._frozen = frozen
        freeze(self.network.encoder, frozen)
        for each in self.restless:
            each.requires_grad_(True)

    def on_validation_end(self) -> None:
        """Keep a frozen encoder in evaluation mode after validation."""
        if self._frozen:
            self.network.encoder.eval()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the parameters of encoder and head, each with its rate."""
        encoder = list(self.network.encoder.parameters())
        known = {id(each) for each in encoder}
        head = [each for each in self.network.parameters() if id(each) not in known]
        return [{"params": group, "lr": rate} for group, rate in zip((encoder, head), self.rates)]

    def configure_optimizers(self) -> dict[str, Any]:
        """Return AdamW on one cycle: 30 % up, then down by a cosine."""
        optimizer = adamw(self.parameter_groups(), self.trainer.precision != "16-mixed")
        # One step more than will be taken: the last rate would be zero.
        steps = int(self.trainer.estimated_stepping_batches) + 1
        cycle = OneCycle(
            optimizer, max_lr=list(self.rates), total_steps=max(steps, 4), pct_start=0.3
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of the gradients.

        Lightning refuses to for fused optimisers, which scale gradients of float16 themselves;
        with any other number format there is nothing to scale.
        """
        if optimizer.defaults.get("fused") and gradient_clip_val:
            torch.nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)
        else:
            super().configure_gradient_clipping(
                optimizer, gradient_clip_val, gradient_clip_algorithm
            )


def adamw(groups: list[dict[str, Any]], fused: bool) -> torch.optim.AdamW:
    """Return the optimiser, fused where torch knows how: a third of the time on a CPU."""
    if fused:
        with contextlib.suppress(RuntimeError):  # an older torch, or another device
            return torch.optim.AdamW(groups, weight_decay=_WEIGHT_DECAY, fused=True)
    return torch.optim.AdamW(groups, weight_decay=_WEIGHT_DECAY)


class OneCycle(torch.optim.lr_scheduler.OneCycleLR):
    """One cycle that stays at its end, should there be more steps than were foreseen.

    Where memory is short a step is put together from smaller batches, and the last step of
    an epoch may then be another one.
    """

    def step(self, epoch: int | None = None) -> None:
        """Go on by one step."""
        if self.last_epoch + 1 < self.total_steps:
            super().step(epoch)


class DetectionModule(LearningModule):
    """Trains a detector."""

    own_score = "average_precision"

    def make_collector(self) -> DetectionScores:
        return DetectionScores(self.class_names)

    def loss(self, answer: Any, targets: Any) -> Tensor:
        return torch.stack(list(self.network.loss(answer, targets).values())).sum()

    def collect(self, images: Tensor, answer: Any, targets: Any) -> None:
        height, width = images.shape[-2:]
        found = self.network.detect(answer, (height, width), _LEAST_SCORE)
        self.collector.update(found, targets)


class InstanceModule(DetectionModule):
    """Trains a network that outlines objects; its average precision is that of the masks."""

    def make_collector(self) -> InstanceScores:
        return InstanceScores(self.class_names)


class PixelModule(LearningModule):
    """Trains a network that classifies pixels."""

    own_score = "miou"
    criterion = staticmethod(cross_entropy)
    background = True  # whether it is learned

    def make_collector(self) -> ConfusionScores:
        names = pixel_names(self.class_names)
        return ConfusionScores(names, with_overlap=True, first=int(not self.background))

    def loss(self, answer: Tensor | list[Tensor], targets: Tensor) -> Tensor:
        # Deep supervision: several answers in training, whose losses count alike.
        answers = answer if isinstance(answer, list) else [answer]
        return torch.stack([self.criterion(each, targets.long()) for each in answers]).mean()

    def weight(self, images: Tensor, targets: Tensor) -> Tensor:
        # Where labels are incomplete, crops without any would count as ones without loss.
        return (targets != IGNORED).sum() / targets[0].numel()

    def collect(self, images: Tensor, answer: Tensor, targets: Tensor) -> None:
        # What is not learned is no answer, nor is it when the model is applied.
        first = int(not self.background)
        self.collector.update(numpy_of(answer[:, first:].argmax(1)) + first, numpy_of(targets))


class ObjectModule(LearningModule):
    """Trains a network that classifies whole chips."""

    own_score = "accuracy"
    criterion = staticmethod(cross_entropy)
    mixup = False

    def training_step(self, batch: tuple[Tensor, Any], index: int) -> Tensor:
        """Return the loss of a batch, of mixtures of its images where these are wanted.

        Zhang et al. 2018, arXiv:1710.09412.
        """
        if not self.mixup:
            return super().training_step(batch, index)
        images, targets = batch
        chance = torch.distributions.Beta(_MIXTURE, _MIXTURE).sample().to(images.device)
        others = torch.randperm(len(images), device=images.device)
        mixed = images * chance + images[others] * (1 - chance)
        loss, answer = self.step_loss((mixed, targets))
        with torch.autocast(images.device.type, enabled=False):
            other = self.loss(answer, targets[others])
        loss = loss * chance + other * (1 - chance)
        self.training_loss.add(loss, len(images))
        return loss

    def make_collector(self) -> ConfusionScores:
        return ConfusionScores(self.class_names, with_overlap=False)

    def loss(self, answer: Tensor, targets: Tensor) -> Tensor:
        return self.criterion(answer, targets)

    def collect(self, images: Tensor, answer: Tensor, targets: Tensor) -> None:
        self.collector.update(numpy_of(answer.argmax(1)), numpy_of(targets))


class LabelsModule(ObjectModule):
    """Trains a network that gives whole chips several labels."""

    own_score = "f1_score"
    criterion = staticmethod(labels_loss(DEFAULT_LOSS))

    def make_collector(self) -> LabelScores:
        return LabelScores(self.class_names)

    def collect(self, images: Tensor, answer: Tensor, targets: Tensor) -> None:
        self.collector.update(numpy_of(answer.sigmoid() >= _SURE), numpy_of(targets))


MODULES: dict[Task, type[LearningModule]] = {
    Task.DETECTION: DetectionModule,
    Task.INSTANCES: InstanceModule,
    Task.PIXELS: PixelModule,
    Task.OBJECTS: ObjectModule,
    Task.CHANGE: PixelModule,
}


def freeze(encoder: nn.Module, frozen: bool) -> None:
    """Let an encoder rest or train."""
    for parameter in encoder.parameters():
        parameter.requires_grad_(not frozen)
    encoder.train(not frozen)


class LossMean:
    """The mean loss of chips: a last batch of a few counts as those few.

    The losses stay on the device, which need not wait for them.
    """

    def __init__(self) -> None:
        self._sums: list[Tensor] = []
        self._count: Tensor | int = 0

    def add(self, loss: Tensor, count: Tensor | int) -> None:
        """Take the mean loss of a batch of so many chips into account."""
        self._sums.append(loss.detach().float() * count)
        self._count = self._count + count

    def compute(self) -> float:
        """Return the mean, not a number when there is nothing to compute it from."""
        if not self._sums:
            return float("nan")
        total = float(torch.stack(self._sums).cpu().double().sum())
        return total / (float(self._count) or 1.0)


def numpy_of(tensor: Tensor) -> np.ndarray:
    """Return a tensor as an array of the computer's own memory."""
    return tensor.detach().cpu().numpy()
