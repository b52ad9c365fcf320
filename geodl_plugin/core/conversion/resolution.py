"""The cell size of a model's training images in centimetres."""

from __future__ import annotations

from ..packages.cell_size import trained_metres
from ..packages.definition import ModelDefinition


def centimetres(definition: ModelDefinition) -> float | None:
    """Return the side of a pixel in centimetres; none where the unit is not a length."""
    metres = trained_metres(definition.geodl)
    return None if metres is None else round(100 * metres, 6)
