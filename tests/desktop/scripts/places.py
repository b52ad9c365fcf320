"""Where the session of labelling draws, in parts of the scene's width and height.

``GEODL_TEST_PLACES`` names a JSON file with other places, for a picture of another scene.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

OTHERS = os.environ.get("GEODL_TEST_PLACES")
PLACES = {
    "classes": ("Tree", "Oak", "Shadow", "Site"),  # the second lies inside the first
    "circles": ((0.20, 0.25, 0.04), (0.45, 0.18, 0.05)),
    "rectangles": ((0.60, 0.30, 0.70, 0.42), (0.10, 0.60, 0.22, 0.68), (0.75, 0.10, 0.85, 0.20)),
    "polygons": (
        ((0.30, 0.40), (0.42, 0.38), (0.46, 0.50), (0.36, 0.55)),
        ((0.55, 0.60), (0.68, 0.58), (0.66, 0.70)),
    ),
    "lassos": ((0.30, 0.78, 0.06), (0.82, 0.75, 0.05)),
    # Drawn for the picture, and not finished.
    "outline": ((0.46, 0.72), (0.56, 0.70), (0.60, 0.80), (0.52, 0.86), (0.45, 0.81)),
    "segments": ((0.5, 0.72),),
    "reach": 64,  # pixels
}
if OTHERS:
    PLACES.update(json.loads(Path(OTHERS).read_text(encoding="utf-8")))
CIRCLES, RECTANGLES = PLACES["circles"], PLACES["rectangles"]
POLYGONS, LASSOS = PLACES["polygons"], PLACES["lassos"]
CLASSES, OUTLINE = PLACES["classes"], PLACES["outline"]
SEGMENTS, REACH = PLACES["segments"], PLACES["reach"]
