"""Finds the segment around a place of an image; runs in the worker.

A watershed of the edges, flooded from the place and from a circle around it, finds the
segment (Beucher and Meyer 1993); a random walker decides about the pixels along its border
(Grady 2006). Both are scikit-image's. On footprints of buildings and crowns of palms, clicked
once each, this agreed far better with the outlines that people drew than growing a region of
similar colours or taking a superpixel does: those leak, or stop at the first shadow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError, RasterError
from ..geo.grid import Window
from ..geo.polygonize import outline
from ..geo.raster import Block, Raster
from ..progress import Progress
from .options import SegmentOptions

CORE = 8  # the disc that surely belongs to the segment: an eighth of the circle's diameter
CONTEXT = 256  # pixels: what decides about dark and bright is at least as wide
RANGE = (2.0, 98.0)  # percentiles of the window that become 0 and 1
BORDER = 2  # pixels on either side of the border that the random walker decides about
FRAME = 8  # pixels
BETA = 400.0  # how little it likes to cross edges
EDGES, FINE = 1.0, 0.7  # pixels by which the image is smoothed for each of the two
INSIDE, OUTSIDE, EXCLUDED = 1, 2, -1


def run(options: SegmentOptions, progress: Progress) -> dict[str, Any]:
    """Find the segment around a place.

    Returns:
        ``rings``, the outer one first, each a list of ``[x, y]`` in the raster's map
        coordinates along the pixels' edges, and ``pixels``, their number.

    Raises:
        GeoDLError: when the place lies outside the image or where it has no data.
    """
    with Raster.open(options.raster) as raster:
        col, row = _pixel(raster.placed(), options)
        half = max(options.reach, CONTEXT) // 2 + 2
        window = Window(col - half, row - half, 2 * half + 1, 2 * half + 1)
        window = window.intersection(raster.window)
        block = raster.read(window)
        place = raster.geotransform.of_window(window)
    progress.check()
    seed = (row - window.row, col - window.col)
    if not block.valid[seed]:
        raise InputError(
            f"'{raster.name}' has no data at this place. Click where there is an image."
        )
    mask = segment(block, seed, options.reach)
    rings = [place.to_map(ring).tolist() for ring in outline(mask, seed)]
    return {"rings": rings, "pixels": int(mask.sum())}


def segment(block: Block, seed: tuple[int, int], reach: int) -> np.ndarray:
    """Return the mask ``(rows, cols)`` of the segment around a pixel.

    Args:
        block: the image.
        seed: row and column of a pixel that has data.
        reach: diameter of the circle that holds the segment, in pixels.
    """
    cut = _around(seed, reach, block.valid.shape)
    image, valid = scaled(block)[(slice(None), *cut)], block.valid[cut]
    middle = (seed[0] - cut[0].start, seed[1] - cut[1].start)
    markers = _markers(valid, middle, reach)
    flooded = _flooded(image, valid, middle, markers)
    found = _refined(image, valid, middle, markers, flooded)
    mask = np.zeros(block.valid.shape, bool)
    mask[cut] = found
    return mask


def scaled(block: Block) -> np.ndarray:
    """Return the bands as 0…1 between the percentiles of their valid pixels."""
    pixels = block.pixels.astype(np.float32)
    low, high = np.percentile(block.valid_pixels().astype(np.float32), RANGE, axis=1)
    span = np.where(high > low, high - low, 1.0)
    image = (pixels - low[:, None, None]) / span[:, None, None]
    # What has no data is no edge of its own: it is left out, and here it is middling.
    return np.where(block.valid, image.clip(0.0, 1.0), 0.5)


def _pixel(raster: Raster, options: SegmentOptions) -> tuple[int, int]:
    point = raster.geotransform.to_pixels(np.array([[options.x, options.y]]))[0]
    col, row = (int(each) for each in np.floor(point))
    if not (0 <= col < raster.width and 0 <= row < raster.height):
        raise RasterError(f"This place lies outside '{raster.name}'. Click on the image.")
    return col, row


def _around(seed: tuple[int, int], reach: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the part of the image in which the circle lies."""
    half = reach // 2 + 2
    rows, cols = (
        slice(max(at - half, 0), min(at + half + 1, length)) for at, length in zip(seed, shape)
    )
    return rows, cols


def _markers(valid: np.ndarray, seed: tuple[int, int], reach: int) -> np.ndarray:
    """Return what surely belongs to the segment, what surely does not, and 0 between."""
    rows, cols = np.ogrid[: valid.shape[0], : valid.shape[1]]
    distance = np.hypot(rows - seed[0], cols - seed[1])
    markers = np.zeros(valid.shape, np.int32)
    markers[distance <= max(reach / CORE, 1.0)] = INSIDE
    markers[distance >= reach / 2] = OUTSIDE
    markers[~valid] = 0
    return markers


def _flooded(
    image: np.ndarray, valid: np.ndarray, seed: tuple[int, int], markers: np.ndarray
) -> np.ndarray:
    from skimage.filters import gaussian, sobel
    from skimage.segmentation import watershed

    edges = np.max([sobel(gaussian(band, sigma=EDGES)) for band in image], axis=0)
    return _tidy(watershed(edges, markers, mask=valid) == INSIDE, valid, seed)


def _refined(
    image: np.ndarray,
    valid: np.ndarray,
    seed: tuple[int, int],
    markers: np.ndarray,
    mask: np.ndarray,
) -> np.ndarray:
    """Return a mask whose border was decided anew, pixel by pixel."""
    from skimage.filters import gaussian
    from skimage.morphology import dilation, erosion
    from skimage.segmentation import random_walker

    square = np.ones((2 * BORDER + 1, 2 * BORDER + 1), bool)
    labels = np.where(markers == OUTSIDE, OUTSIDE, 0)
    labels[~dilation(mask, square)] = OUTSIDE
    labels[erosion(mask, square)] = INSIDE
    labels[seed] = INSIDE
    labels[~valid] = EXCLUDED
    if not (labels == OUTSIDE).any() or not (labels == 0).any():
        return mask
    bands = np.stack([gaussian(band, sigma=FINE) for band in image], axis=-1)
    walked = random_walker(bands, labels, beta=BETA, mode="cg_j", channel_axis=-1)
    return _tidy(walked == INSIDE, valid, seed)


def _tidy(mask: np.ndarray, valid: np.ndarray, seed: tuple[int, int]) -> np.ndarray:
    """Return the part around the seed, without threads and small holes."""
    from skimage.measure import label
    from skimage.morphology import opening, remove_small_holes

    opened = opening(mask, np.ones((3, 3), bool))
    parts = label(opened if opened[seed] else mask, connectivity=1)
    # A frame larger than any small hole joins what lies outside: only what is enclosed is one.
    framed = np.pad(parts == parts[seed], FRAME)
    return remove_small_holes(framed)[FRAME:-FRAME, FRAME:-FRAME] & valid
