"""A classifier of whole chips: one class for an object, or several labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .registry import NetworkSpec, Task, register

if TYPE_CHECKING:
    from torch import nn


@register(
    "FEATURE_CLASSIFIER",
    task=Task.OBJECTS,
    formats=("Labeled_Tiles", "MultiLabeled_Tiles", "Imagenet"),
    arguments={"mixup": False, "oversample": False},
    habits=("mixup", "oversample"),
    description="One class for each chip, that is, for each object; several of MultiLabeled_Tiles.",
)
def build(spec: NetworkSpec) -> nn.Module:
    """Return the classifier of ``spec``."""
    from .networks.backbones import build_pyramid
    from .networks.classifier import Classifier

    encoder = build_pyramid(spec.backbone, spec.band_count, spec.chip_size, spec.weights)
    return Classifier(encoder, spec.class_count)
