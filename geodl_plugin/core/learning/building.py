"""What is trained: the network in its task's module, quietly."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import warnings
from collections.abc import Iterator

import torch

from ..models.networks.pyramid import SteadyEncoder
from ..models.networks.weights import arrange_bands, first_convolution
from ..models.registry import build_network
from ..progress import Progress
from .fitting import pair
from .losses import labels_loss, make_loss
from .module import MODULES, LabelsModule, LearningModule, ObjectModule, PixelModule
from .options import TrainingOptions
from .preparation import Preparation
from .pretrained import transfer


def build_module(
    options: TrainingOptions, preparation: Preparation, fresh: bool, progress: Progress
) -> LearningModule:
    """Return the module of the task, with the encoder frozen only where it knows something.

    One that goes on has its weights from the interrupted training: none are fetched.
    """
    spec = preparation.spec if fresh else dataclasses.replace(preparation.spec, weights="none")
    network = build_network(spec)
    if fresh and preparation.pretrained is not None:
        names = preparation.schema.names
        progress.info(
            transfer(network, spec, preparation.pretrained, names, preparation.band_names)
        )
    elif fresh and preparation.arranges_bands(options.weight_init_scheme):
        scheme, colours = options.weight_init_scheme, preparation.colours
        arrange_bands(network.encoder, spec.band_count, scheme, colours)
    for each in network.modules():
        if isinstance(each, SteadyEncoder):
            each.steady = preparation.encoder_knows
    network.to(memory_format=torch.channels_last)
    frozen_until = options.freeze_until() if preparation.encoder_knows else 1
    names = preparation.schema.names
    cls = LabelsModule if preparation.several_labels else MODULES[preparation.kind.task]
    module = cls(network, names, pair(preparation, options.rates()), frozen_until)
    first = first_convolution(network.encoder)
    if first is not None and preparation.has_new_bands(options.weight_init_scheme):
        module.restless = tuple(first.parameters())
    if isinstance(module, (PixelModule, ObjectModule)):
        make = labels_loss if preparation.several_labels else make_loss
        module.criterion = make(options.loss, preparation.class_weights)
    if isinstance(module, PixelModule):
        module.background = preparation.store.background
    if isinstance(module, ObjectModule):
        module.mixup = bool(spec.arguments.get("mixup"))
    return module


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's tips away: what the user should know is told through the progress."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
