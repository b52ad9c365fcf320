"""Batches: how many chips in one, and who loads them."""

from __future__ import annotations

import os

import numpy as np
import torch
from torch.utils.data import DataLoader

from ..errors import InputError
from ..models.registry import Task
from .augment import make_augmentation
from .dataset import CropDataset, collate
from .hardware import Hardware
from .module import LearningModule
from .options import TrainingOptions
from .order import EpochOrder
from .preparation import Preparation
from .ranks import own_rank

CPU_BATCH = 8
_LARGEST_BATCH = 32
_MEMORY_SHARE = 0.8
_VALIDATORS = 2  # processes that load validation crops, at most


def make_datasets(preparation: Preparation) -> tuple[CropDataset, CropDataset]:
    """Return the data sets of training and validation."""
    common = {
        "store": preparation.store,
        "side": preparation.spec.chip_size,
        "normalization": preparation.normalization,
        # An object fills its chip: a random part of it might not show the object.
        "centred": preparation.kind.task is Task.OBJECTS,
        "whole": preparation.own_sizes,
        "label_count": len(preparation.schema) if preparation.several_labels else 0,
    }
    augmentation = make_augmentation(preparation.augmentation)
    training = CropDataset(
        chosen=preparation.split.training,
        random=True,
        augmentation=augmentation,
        zoom=preparation.augmentation["zoom"],
        zoomed=preparation.augmentation["probability"],
        **common,
    )
    return training, CropDataset(chosen=preparation.split.validation, **common)


def make_loaders(
    preparation: Preparation, batch_size: int, hardware: Hardware, seed: int, epoch: int = 0
) -> tuple[DataLoader, DataLoader]:
    """Return the loaders of training and validation batches.

    Args:
        preparation: with the chips.
        batch_size: chips in a batch.
        hardware: that the batches are for.
        seed: of the order and the augmentation.
        epoch: that comes first, from 0.
    """
    training, validation = make_datasets(preparation)
    # On a CPU the network itself takes every core, so loading beside it gains nothing.
    workers = 0 if hardware.device.type == "cpu" else min(8, max((os.cpu_count() or 2) - 1, 1))
    # Validation crops are only cut: a few processes keep up.
    validators = min(workers, _VALIDATORS)
    preparation.store.readers = max(workers + validators, 1)
    common = {
        "collate_fn": collate,
        "persistent_workers": workers > 0,
        "pin_memory": hardware.device.type == "cuda",
        # Nothing that a loader draws may change what the network draws.
        "generator": torch.Generator().manual_seed(seed),
    }
    # Batch norm cannot learn from a batch of one, nor from a last one.
    if len(training) == 1:
        training.places *= 2
    order = EpochOrder(
        len(training), seed, _frequencies(preparation, training), own_rank(), hardware.count
    )
    order.set_epoch(epoch)
    size = min(batch_size, len(order))
    drop_last = len(order) % size == 1 and len(order) > 1
    return (
        DataLoader(
            training, size, sampler=order, drop_last=drop_last, num_workers=workers, **common
        ),
        DataLoader(validation, min(batch_size, len(validation)), num_workers=validators, **common),
    )


def _frequencies(preparation: Preparation, training: CropDataset) -> list[float] | None:
    """Return how often each chip is drawn where rare classes are drawn more often.

    A chip counts as its rarest class does; all classes are then seen about equally often.
    """
    if not preparation.spec.arguments.get("oversample"):
        return None
    counts = [preparation.store.facts(position).counts for position, _ in training.places]
    total = np.sum([np.pad(each, (0, len(preparation.schema) - len(each))) for each in counts], 0)
    return [float(1 / total[np.nonzero(each)[0]].min()) for each in counts]


def choose_batch_size(module: LearningModule, preparation: Preparation, hardware: Hardware) -> int:
    """Return eight on a CPU, else the largest power of two that leaves a fifth of the memory."""
    if hardware.device.type != "cuda":
        return CPU_BATCH
    training, _ = make_datasets(preparation)
    total = torch.cuda.get_device_properties(hardware.device).total_memory
    size, works = 2, 2
    module.network.to(hardware.device).train()
    while size <= _LARGEST_BATCH:
        torch.cuda.reset_peak_memory_stats(hardware.device)
        try:
            _try_batch(module, training, size, hardware)
        except torch.cuda.OutOfMemoryError:
            break
        if torch.cuda.max_memory_allocated(hardware.device) > _MEMORY_SHARE * total:
            break
        works = size
        size *= 2
    module.network.zero_grad(set_to_none=True)
    module.network.to("cpu")
    torch.cuda.empty_cache()
    return works


def refuse_single(error: Exception, options: TrainingOptions) -> None:
    """Raise :class:`InputError` where an error says that a batch was too little for batch norm."""
    if "more than 1 value per channel" in str(error):
        raise InputError(
            f"A batch of one chip of this size is too little for batch norm to learn from. Set "
            f"BATCH_SIZE to 2 or more, or a larger CHIP_SIZE (now {options.batch_size} and "
            f"{options.chip_size}, where 0 chooses)."
        ) from error


def _try_batch(
    module: LearningModule, training: CropDataset, size: int, hardware: Hardware
) -> None:
    """Run one step forward and back; the network's batch statistics stay as they were."""
    buffers = {name: value.clone() for name, value in module.network.named_buffers()}
    batch = collate([training[index % len(training)] for index in range(size)])
    batch = module.transfer_batch_to_device(batch, hardware.device, 0)
    kind = getattr(torch, hardware.precision)
    with torch.autocast(hardware.device.type, dtype=kind, enabled=kind != torch.float32):
        loss, _ = module.step_loss(batch)
    loss.backward()
    for name, value in module.network.named_buffers():
        value.copy_(buffers[name])
