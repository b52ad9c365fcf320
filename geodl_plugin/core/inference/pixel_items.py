"""Rasters that are classified one by one: a raster for each, and a virtual one that joins them."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import CancelledError, InputError, RasterError
from ..geo.crs import same_crs
from ..geo.mosaic import unplaced, write_mosaic
from ..geo.raster import Raster
from ..geo.result_raster import move
from ..leftovers import remove_unfinished, unfinished
from ..overwriting import refuse_inputs
from ..progress import Part, Progress
from .checks import open_pixels
from .items import split
from .journal import facts_of, resumable
from .options import PixelOptions


def pixel_items(options: PixelOptions) -> list[PixelOptions]:
    """Return the options of each raster, whose result lies in a folder named like the output.

    Raises:
        InputError: when the results of all cannot be one virtual raster.
    """
    output = Path(options.output)
    if output.suffix.lower() != ".vrt":
        raise InputError(
            f"The {len(options.sources)} rasters are classified one by one, and '{output.name}' "
            "is to join the results. Give it the extension .vrt, or use the processing mode MOSAIC."
        )
    if options.probabilities or options.polygons:
        raise InputError(
            "Probabilities and polygons are made of one raster. Leave them out, or use the "
            "processing mode MOSAIC."
        )
    with Raster.open(options.sources[0]) as first:
        for source in options.sources[1:]:
            with Raster.open(source) as other:
                if not same_crs(first.crs, other.crs):
                    raise InputError(
                        f"'{first.name}' and '{other.name}' have different coordinate reference "
                        "systems, which one raster cannot have. Run the tool for each, as a batch."
                    )
    folder = output.with_suffix("")
    # The check needs the name of a GeoTIFF; each raster gets its own afterwards.
    items = split(dataclasses.replace(options, output=str(folder / "result.tif")), open_pixels)
    for item in items:
        _require_joinable(item.sources[0], several=len(items) > 1)
    names = _different([Path(item.sources[0]).stem for item in items])
    named = [
        dataclasses.replace(item, output=str(folder / f"{name}.tif"))
        for item, name in zip(items, names)
    ]
    refuse_inputs([options.output, *(each.output for each in named)], options.sources)
    return named


def _different(stems: Sequence[str]) -> list[str]:
    """Return names of files of which no two are one, in small or capital letters."""
    taken: dict[str, str] = {}
    for stem in stems:
        name = stem
        for number in itertools.count(2):
            if name.lower() not in taken:
                break
            name = f"{stem} {number}"
        taken[name.lower()] = name
    return list(taken.values())


def _require_joinable(source: str, several: bool) -> None:
    """Raise :class:`InputError` when GDAL would leave a raster's result out of a virtual one."""
    with Raster.open(source) as raster:
        reason = unplaced(raster) if several or raster.has_place else ""
    if reason:
        raise InputError(f"{reason} Warp it first, or run the tool for each raster, as a batch.")


def run_each(
    options: PixelOptions,
    work: Callable[[PixelOptions, Progress], dict[str, Any]],
    progress: Progress,
) -> dict[str, Any]:
    """Classify rasters one by one; return the joining raster and the pixels of each class.

    The results get their names when all of them are whole: a cancel leaves nothing, and a killed
    run goes on where it was.

    Args:
        options: of the task.
        work: classifies one raster.
        progress: of all.
    """
    items = pixel_items(options)
    folder = unfinished(options.output, "items")  # each raster's result has a journal of its own
    facts = {"items": [facts_of(item) for item in items]}
    counts: Counter[str] = Counter()
    try:
        with resumable(options.output, facts, progress) as journal:
            for number, item in enumerate(items):
                progress.check()
                part = Part(progress, number, len(items), Path(item.sources[0]).name)
                path = folder / Path(item.output).name
                if number not in journal or not path.exists():
                    found = work(dataclasses.replace(item, output=str(path)), part)
                    journal.note(str(number), found["pixel_counts"])
                    journal.add(number)
                counts.update(journal.noted(str(number)))
            _publish(folder, [Path(item.output) for item in items])
            write_mosaic([item.output for item in items], options.output)
    except CancelledError:
        remove_unfinished(options.output)
        raise
    remove_unfinished(options.output)
    return {"output": options.output, "pixel_counts": dict(counts)}


def _publish(folder: Path, outputs: Sequence[Path]) -> None:
    """Give the results in a folder their names, now that all are whole."""
    for path in outputs:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RasterError(f"'{path.parent}' cannot be written: {error.strerror}.") from error
        move(folder / path.name, path)
