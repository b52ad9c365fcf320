"""Rasters that are worked on one by one instead of as one mosaic, with one layer as result."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ..errors import CancelledError, OutsideError
from ..geo.crs import same_crs, transform_bounds
from ..geo.raster import Raster
from ..geo.vector import VectorReader
from ..geo.vector_writer import VectorWriter
from ..leftovers import remove_unfinished, unfinished
from ..progress import Part, Progress
from .checks import Job, check_fields, open_detection
from .journal import facts_of, resumable
from .options import DetectionOptions, InferenceOptions
from .whole_rasters import RASTER_FIELD

Options = TypeVar("Options", bound=InferenceOptions)


def split(options: Options, check: Callable[[Options], Job]) -> list[Options]:
    """Return the options of each raster by itself; one entry where there is one mosaic.

    Rasters that extent or mask do not meet are left out.

    Args:
        options: of the task.
        check: opens a raster and sees whether it can be worked on.

    Raises:
        OutsideError: when extent or mask meet none of the rasters.
    """
    if not options.is_each:
        return [dataclasses.replace(options, separate=False)]
    with Raster.open(options.sources[0]) as first:
        crs = first.crs
    found: list[Options] = []
    outside: OutsideError | None = None
    for source in options.sources:
        extent = _extent(options.extent, crs, source)
        item = dataclasses.replace(options, sources=[source], extent=extent, separate=False)
        try:
            check(item).raster.close()
        except OutsideError as error:
            outside = outside or error
        else:
            found.append(item)
    if outside is not None and not found:
        raise outside
    return found


def detection_items(options: DetectionOptions) -> list[DetectionOptions]:
    """Return the options of each raster to detect objects in; else as :func:`split`.

    Raises:
        InputError: when two fields of the layer that joins the results have one name.
    """
    check_fields(options)
    return split(options, open_detection)


def run_items(
    items: Sequence[Options],
    crs: str,
    work: Callable[[Options, Progress], dict[str, Any]],
    progress: Progress,
) -> int:
    """Work on rasters one by one and join their layers to the output.

    The features tell their raster in the field ``Raster``.

    Args:
        items: the options of each raster.
        crs: of the output, "" for that of the first item's.
        work: does the task with such options.
        progress: of all.

    Returns:
        How many features there are.
    """
    output = items[0].output
    folder = unfinished(output, "items")  # each raster's layer has a journal of its own there
    parts = [
        (Path(item.sources[0]).name, folder / f"{number}.gpkg") for number, item in enumerate(items)
    ]
    facts = {"items": [facts_of(item) for item in items]}
    try:
        with resumable(output, facts, progress) as journal:
            for number, (item, (name, path)) in enumerate(zip(items, parts)):
                progress.check()
                part = Part(progress, number, len(items), name)
                if number not in journal or not path.exists():
                    work(dataclasses.replace(item, output=str(path)), part)
                    journal.add(number)
            count = _join(parts, output, crs, progress)
    except CancelledError:
        remove_unfinished(output)
        raise
    remove_unfinished(output)
    return count


def _join(parts: Sequence[tuple[str, Path]], output: str, crs: str, progress: Progress) -> int:
    first = VectorReader(parts[0][1])
    crs = crs or first.crs
    fields: dict[str, Any] = {**first.definitions, RASTER_FIELD: str}
    with VectorWriter(output, crs, fields, first.writable_type) as writer:
        for name, path in parts:
            for feature in VectorReader(path).features(crs=crs):
                writer.write(feature.geometry, {**feature.attributes, RASTER_FIELD: name})
            progress.check()
    return writer.count


def _extent(extent: list[float] | None, crs: str, source: str) -> list[float] | None:
    if extent is None:
        return None
    with Raster.open(source) as raster:
        if same_crs(crs, raster.crs):
            return extent
        xmin, ymin, xmax, ymax = extent
        return list(transform_bounds((xmin, ymin, xmax, ymax), crs, raster.crs))
