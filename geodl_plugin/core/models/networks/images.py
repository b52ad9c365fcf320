"""Images of objects, brought to the side that a network takes; training and inference share it."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional


def fit(image: np.ndarray, side: int) -> np.ndarray:
    """Return an image ``(bands, rows, cols)`` brought to ``side`` × ``side`` pixels."""
    if image.shape[1:] == (side, side):
        return image
    batch = torch.from_numpy(image.astype(np.float32, copy=False))[None]
    scaled = functional.interpolate(
        batch, (side, side), mode="bilinear", align_corners=False, antialias=True
    )
    result = scaled[0].numpy()
    # Functions take the raster's own data type.
    return result if image.dtype == np.float32 else np.rint(result).astype(image.dtype)
