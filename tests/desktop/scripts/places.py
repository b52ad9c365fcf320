"""Where the session of labelling draws, in parts of the scene's width and height."""

from __future__ import annotations

CIRCLES = ((0.20, 0.25, 0.04), (0.45, 0.18, 0.05))
RECTANGLES = ((0.60, 0.30, 0.70, 0.42), (0.10, 0.60, 0.22, 0.68), (0.75, 0.10, 0.85, 0.20))
POLYGONS = (
    ((0.30, 0.40), (0.42, 0.38), (0.46, 0.50), (0.36, 0.55)),
    ((0.55, 0.60), (0.68, 0.58), (0.66, 0.70)),
)
LASSOS = ((0.30, 0.78, 0.06), (0.82, 0.75, 0.05))
