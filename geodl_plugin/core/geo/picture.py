"""Pictures for people: stretched pixels, encoded as PNG by GDAL."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence

import numpy as np
from osgeo import gdal

from ..errors import RasterError
from .gdal_calls import attempt, last_error

COLORS = ("red", "green", "blue")
STRETCH = (2.0, 98.0)  # percent of the pixels that become black and white
Limits = tuple[np.ndarray, np.ndarray]  # what becomes black and white, per shown band


def shown_bands(names: Sequence[str]) -> tuple[int, ...]:
    """Return which bands to show as red, green and blue; one band alone is shown in grey.

    Bands that say their colour are taken by name, else the first three.
    """
    lowered = [name.strip().lower() for name in names]
    if all(color in lowered for color in COLORS):
        return tuple(lowered.index(color) for color in COLORS)
    return (0, 1, 2) if len(names) >= 3 else (0,)


def stretch_limits(samples: Sequence[np.ndarray], data_type: str) -> Limits:
    """Return what becomes black and white; bytes stay as they are.

    Args:
        samples: pixels ``(bands, n)`` of the shown bands, valid ones only.
        data_type: of the pixels.
    """
    bands = len(samples[0]) if len(samples) else 1
    if data_type == "uint8" or not any(each.size for each in samples):
        return np.zeros(bands), np.full(bands, 255.0)
    low, high = np.percentile(np.concatenate(samples, axis=1), STRETCH, axis=1)
    return low, np.where(high > low, high, low + 1)


def stretched(pixels: np.ndarray, limits: Limits) -> np.ndarray:
    """Return uint8 ``(3, rows, cols)`` of one or three bands ``(bands, rows, cols)``."""
    low, high = (each[:, np.newaxis, np.newaxis] for each in limits)
    scaled = np.clip((pixels.astype(np.float64) - low) / (high - low), 0, 1) * 255
    return np.broadcast_to(np.round(scaled).astype(np.uint8), (3, *pixels.shape[1:]))


def png(pixels: np.ndarray, largest: int) -> bytes:
    """Return a PNG of uint8 ``(3 or 4, rows, cols)``, a fourth band being the opacity.

    Args:
        pixels: of the picture.
        largest: the most pixels on a side; a larger picture is made smaller.

    Raises:
        RasterError: when GDAL cannot write it.
    """
    bands, rows, cols = pixels.shape
    memory = gdal.GetDriverByName("MEM").Create("", cols, rows, bands, gdal.GDT_Byte)
    for index, band in enumerate(pixels, 1):
        memory.GetRasterBand(index).WriteArray(np.ascontiguousarray(band))
    if bands == 4:
        memory.GetRasterBand(4).SetColorInterpretation(gdal.GCI_AlphaBand)
    scale = min(largest / max(rows, cols), 1.0)
    options = gdal.TranslateOptions(
        format="PNG",
        width=max(round(cols * scale), 1),
        height=max(round(rows * scale), 1),
        resampleAlg="average",
        creationOptions=["ZLEVEL=9"],
    )
    target = f"/vsimem/geodl-{uuid.uuid4().hex}.png"
    try:
        made = attempt(gdal.Translate, target, memory, options=options)
        if made is None:
            raise RasterError(f"A picture cannot be made: {last_error() or 'unknown error'}.")
        made = None
        return _contents(target)
    finally:
        for path in (target, f"{target}.aux.xml"):
            attempt(gdal.Unlink, path)


def data_address(content: bytes) -> str:
    """Return a PNG as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"


def _contents(path: str) -> bytes:
    file = gdal.VSIFOpenL(path, "rb")
    try:
        return bytes(gdal.VSIFReadL(1, gdal.VSIStatL(path).size, file))
    finally:
        gdal.VSIFCloseL(file)
