"""The task "detect_change": tell what has changed between two dates."""

from __future__ import annotations

from typing import Any

from ..progress import Progress
from .checks import open_change
from .loading import open_engine
from .options import ChangeOptions
from .pixels import classify


def run(options: ChangeOptions, progress: Progress) -> dict[str, Any]:
    """Detect change and return the path of the raster and the pixels of each class.

    Raises:
        GeoDLError: one sentence; nothing is left at the output then.
    """
    with open_change(options, progress) as job:
        engine = open_engine(job.model, options, progress)
        return classify(job, engine, options, progress)
