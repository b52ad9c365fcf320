"""Polygons as well-known binary, made by numpy: OGR takes points one by one, which is slow."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import numpy as np

LITTLE_ENDIAN, POLYGON = 1, 3


def polygon_wkb(rings: Sequence[np.ndarray]) -> bytes:
    """Return a polygon of rings ``(n, 2)``, which are closed; the first is the outer one."""
    parts = [struct.pack("<BII", LITTLE_ENDIAN, POLYGON, len(rings))]
    for ring in rings:
        points = np.asarray(ring, "<f8").reshape(-1, 2)
        if len(points) and (points[0] != points[-1]).any():
            points = np.concatenate([points, points[:1]])
        parts += [struct.pack("<I", len(points)), points.tobytes()]
    return b"".join(parts)


def ring_wkbs(rings: np.ndarray) -> Iterator[bytes]:
    """Yield polygons without holes from rings ``(n, k, 2)`` that are not closed."""
    count, corners = rings.shape[:2]
    header = [("order", "u1"), ("type", "<u4"), ("rings", "<u4"), ("points", "<u4")]
    records = np.zeros(count, np.dtype([*header, ("places", "<f8", (corners + 1, 2))]))
    records["order"], records["type"], records["rings"] = LITTLE_ENDIAN, POLYGON, 1
    records["points"] = corners + 1
    records["places"][:, :corners] = rings
    records["places"][:, corners] = rings[:, 0]
    packed, size = records.tobytes(), records.dtype.itemsize
    for start in range(0, len(packed), size):
        yield packed[start : start + size]
