"""Opening the images and masks of training data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ..geo.dataset_facts import among_many
from ..geo.raster import Raster


@contextlib.contextmanager
def open_image(path: Path) -> Iterator[Raster]:
    """Open one of many images in a folder.

    Raises:
        RasterError: when it cannot be opened, or not be read inside of the block.
    """
    with among_many(), Raster.open(path) as raster:
        yield raster
