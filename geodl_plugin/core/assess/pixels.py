"""Assessing a class raster: the confusion matrix against a reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import pages
from ..errors import InputError
from ..geo.grid import Window, plan_tiles
from ..geo.mask import PolygonMask
from ..geo.raster import Block, Raster
from ..geo.units import row_areas
from ..geo.vector import VectorReader
from ..geo.vector_writer import VectorWriter, check_table
from ..overwriting import refuse_inputs
from ..progress import Phase, Progress
from . import report
from .areas import Z95, Estimate, estimate, thin_classes
from .confusion import Confusion
from .reference import Known, RasterReference, Reference, VectorReference, whole_numbers

BLOCK = 1024  # pixels a side read at once
DENSE_PAIRS = 1_000_000
CLASS_LIMIT = 500  # more values than this are no classes
WAYS_OUT = ("Choose a class raster.", "Choose a class raster, or the field with the class.")
Layer = tuple[str, str]  # path, and name of the layer in it ("" for the first)


@dataclass(frozen=True)
class PixelAssessment:
    """What to compare and where to write the answer.

    Attributes:
        result: the class raster.
        reference: a class raster, or polygons or points with a class.
        reference_layer: the name of the vector layer, "" for the first; ``None`` for a raster.
        class_field: of the reference, by name or value; "" for its field ``Classvalue``.
        mask: polygons outside which nothing is compared.
        table, report: files to write; "" for none.
    """

    result: str
    reference: str
    reference_layer: str | None = None
    class_field: str = ""
    mask: Layer | None = None
    table: str = ""
    report: str = ""


def assess(options: PixelAssessment, progress: Progress) -> dict[str, Any]:
    """Compare a class raster with a reference, write the files and return the overall figures.

    Pixels without data on either side, and those that no reference polygon or point covers,
    are not compared. Memory does not grow with the raster.

    Raises:
        InputError: when nothing can be compared.
        RasterError, VectorError: when a layer cannot be read or written.
    """
    mask = (options.mask or ("",))[0]
    refuse_inputs((options.table, options.report), (options.result, options.reference, mask))
    if options.table:
        check_table(options.table)  # better told now than when all is compared
    with Raster.open(options.result) as result:
        _check_classes(result.placed())
        if options.reference_layer is None:
            truth = Raster.open(options.reference).placed()
            _check_classes(truth)
            reference: Reference = RasterReference(truth, result)
        else:
            layer = VectorReader(options.reference, options.reference_layer or None)
            reference = VectorReference(layer, options.class_field, result)
        areas = MapAreas(result) if reference.is_sample else None
        confusion = compare(result, reference, options.mask, progress, areas)
    found = None if areas is None else _estimated(confusion, areas, progress)
    if options.table:
        _write_table(options.table, confusion, found)
    if options.report:
        pages.write(Path(options.report), report.pixel_page(confusion, found))
    progress.info(report.pixel_sentence(confusion))
    return {
        "OVERALL_ACCURACY": confusion.overall_accuracy,
        "MIOU": confusion.mean_iou,
        "KAPPA": confusion.kappa,
        "F1_MACRO": confusion.macro_f1,
    }


def _check_classes(raster: Raster) -> None:
    """Refuse a picture, or probabilities: its first band may look like classes."""
    if raster.band_count > 1:
        raise InputError(
            f"'{raster.name}' has {raster.band_count} bands, as a picture has. Choose a raster of "
            "one band, whose pixels are the values of the classes."
        )


class MapAreas:
    """Adds up the area of each class of a class raster.

    Attributes:
        of_values: area by class value.
        names: of the classes by value, where the raster has them.
        unit: of the areas.
    """

    def __init__(self, raster: Raster) -> None:
        self._rows, self.unit = row_areas(raster)
        self._name = raster.name
        self.names = raster.class_names()
        self.of_values: dict[int, float] = {}

    def add(self, window: Window, block: Block, wanted: np.ndarray) -> None:
        """Count the pixels of a window that have data and are ``wanted`` ``(rows, cols)``."""
        counted = block.valid & wanted
        values = whole_numbers(block.pixels[0][counted], np.ones(counted.sum(), bool), self._name)
        rows = self._rows[window.row : window.bottom]
        areas = np.broadcast_to(rows[:, None], counted.shape)[counted]
        found, places = np.unique(values, return_inverse=True)
        for value, area in zip(found.tolist(), np.bincount(places, areas).tolist()):
            self.of_values[value] = self.of_values.get(value, 0.0) + area


def compare(
    result: Raster,
    reference: Reference,
    mask: Layer | None,
    progress: Progress,
    areas: MapAreas | None = None,
) -> Confusion:
    """Return the confusion matrix of a class raster and a reference; add up ``areas`` too."""
    windows = [tile.inner for tile in plan_tiles(result.width, result.height, BLOCK, 0)]
    polygons = PolygonMask(*mask, result) if mask is not None else None
    phase = Phase(progress, "Comparing", len(windows), "blocks")
    pairs: Counter[tuple[int, int]] = Counter()
    unanswered = 0
    for window in windows:
        known = reference.known(window)
        if len(known) or areas is not None:
            block = result.read(window, [0])
            wanted = np.ones_like(block.valid) if polygons is None else polygons.inside(window)
            known = known.only(wanted[known.rows, known.cols])
            unanswered += _count(block, known, pairs, (result.name, reference.name))
            if areas is not None:
                areas.add(window, block, wanted)
        phase.step()
    if not pairs:
        raise InputError(
            f"No pixel of '{result.name}' has a known class in '{reference.name}'. Check that "
            "they show the same place and have the right coordinate reference systems."
        )
    if unanswered:
        progress.warn(
            f"{unanswered:,} pixels of the reference lie where '{result.name}' has no data; "
            "they are not compared."
        )
    return Confusion.of(pairs, {**reference.class_names, **result.class_names()})


def _count(
    block: Block, known: Known, pairs: Counter[tuple[int, int]], names: tuple[str, str]
) -> int:
    """Count the known pixels of a block by their two classes; return how many have no result.

    Args:
        block: of the class raster.
        known: what the reference knows of it.
        pairs: gets the counts.
        names: of class raster and reference.
    """
    answered = block.valid[known.rows, known.cols]
    kept = known.only(answered)
    pixels = block.pixels[0][kept.rows, kept.cols]
    values = whole_numbers(pixels, np.ones(len(kept), bool), names[0])
    for pair, count in _pair_counts(values, kept.values):
        pairs[pair] += count
    for name, side, way_out in zip(names, zip(*pairs), WAYS_OUT):
        if len(set(side)) > CLASS_LIMIT:
            raise InputError(
                f"'{name}' has more than {CLASS_LIMIT} different values, so it shows no "
                f"classes. {way_out}"
            )
    return len(known) - len(kept)


def _pair_counts(
    values: np.ndarray, references: np.ndarray
) -> Iterator[tuple[tuple[int, int], int]]:
    """Yield each pair of classes ``(n,)`` that occurs, with how often it does."""
    if not len(values):
        return
    least, least_reference = int(values.min()), int(references.min())
    width = int(references.max()) - least_reference + 1
    # One number for the two classes; few possible ones are counted without sorting.
    keys = (values - least) * width + (references - least_reference)
    if (int(values.max()) - least + 1) * width <= DENSE_PAIRS:
        all_counts = np.bincount(keys)
        found = np.flatnonzero(all_counts)
        counts = all_counts[found]
    else:
        found, counts = np.unique(keys, return_counts=True)
    for key, count in zip(found.tolist(), counts.tolist()):
        yield (key // width + least, key % width + least_reference), count


def _estimated(confusion: Confusion, areas: MapAreas, progress: Progress) -> Estimate | None:
    """Return the estimates of area, unless a class of the map has too few points for them."""
    thin = thin_classes(confusion, areas.of_values)
    if thin:
        listed = ", ".join(f"'{areas.names.get(value, value)}'" for value in thin)
        progress.warn(
            f"Areas cannot be estimated: {listed} of the map has fewer than two points. "
            "Add points in it."
        )
        return None
    return estimate(confusion, areas.of_values, areas.unit)


def _write_table(path: str, confusion: Confusion, found: Estimate | None) -> None:
    columns = [
        f"C_{value}" if value >= 0 else f"C_{name}"
        for value, name in zip(confusion.values, confusion.names)
    ]
    fields: dict[str, type] = {"Class": str, "Value": int}
    fields.update(dict.fromkeys(columns, int))
    ratios = {
        "Users_Accuracy": confusion.users_accuracy,
        "Producers_Accuracy": confusion.producers_accuracy,
        "IoU": confusion.iou,
        "F1_Score": confusion.f1,
        **({} if found is None else _estimate_columns(found)),
    }
    fields.update({"Total": int, **dict.fromkeys(ratios, float)})
    with VectorWriter(path, "", fields, "None") as writer:
        for index, name in enumerate(confusion.names):
            row: dict[str, Any] = {"Class": name, "Total": int(confusion.results[index])}
            row.update(zip(columns, confusion.counts[index].tolist()))
            row.update({key: _number(column[index]) for key, column in ratios.items()})
            if confusion.values[index] >= 0:
                row["Value"] = confusion.values[index]
            writer.write(None, row)
        total: dict[str, Any] = {"Class": "Total", "Total": confusion.total}
        total.update(zip(columns, confusion.references.tolist()))
        writer.write(None, total)


def _estimate_columns(found: Estimate) -> dict[str, np.ndarray]:
    """Return estimates by class; names ending in 95 are half a 95 % confidence interval."""
    return {
        "Area": found.shares * found.area,
        "Area_95": Z95 * found.shares_error * found.area,
        "Area_Users": found.users,
        "Area_Users_95": Z95 * found.users_error,
        "Area_Producers": found.producers,
        "Area_Producers_95": Z95 * found.producers_error,
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
