"""Which rasters an export cuts together: all as one mosaic, or each by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..errors import OutsideError
from ..geo.crs import Bounds, transform_bounds
from ..geo.raster import Raster
from ..progress import Progress
from .options import ExportOptions

Cutter = TypeVar("Cutter")
Make = Callable[[ExportOptions, bool], Cutter]


def cutters_of(options: ExportOptions, make: Make[Cutter]) -> tuple[list[Cutter], list[str]]:
    """Return a cutter for each group of rasters, and the names of those that are left out.

    A raster by itself is left out when labels or extent do not meet it; one without labels is
    background, where empty chips are wanted.

    Args:
        options: of the export.
        make: makes the cutter of options, whose labels must meet the rasters or need not.

    Raises:
        OutsideError: when nothing is left.
    """
    if not options.separate:
        return [make(options, True)], []
    found: dict[str, Cutter] = {}
    failed: dict[str, OutsideError] = {}
    single = {
        path: dataclasses.replace(options, rasters=(path,), extent=_extent_on(options, path))
        for path in options.rasters
    }
    for path, own in single.items():
        try:
            found[path] = make(own, True)
        except OutsideError as error:
            failed[path] = error
    if not found:
        raise next(iter(failed.values()))
    left_out = []
    for path in failed:
        try:
            if not options.empty_tiles:
                raise failed[path]
            found[path] = make(single[path], False)
        except OutsideError:
            left_out.append(Path(path).name)
    return [found[path] for path in single if path in found], left_out


def tell(left_out: list[str], progress: Progress) -> None:
    """Warn of rasters that are left out."""
    if left_out:
        names = ", ".join(left_out[:3]) + (" …" if len(left_out) > 3 else "")
        progress.warn(
            f"Rasters were left out because no label, or nothing of the extent, lies on them: "
            f"{len(left_out)} ({names})."
        )


def _extent_on(options: ExportOptions, path: str) -> Bounds | None:
    """Return the extent, which is in the system of the first raster, in that of another one."""
    if options.extent is None or path == options.rasters[0]:
        return options.extent
    with Raster.open(options.rasters[0]) as first, Raster.open(path) as raster:
        return transform_bounds(options.extent, first.crs, raster.crs)
