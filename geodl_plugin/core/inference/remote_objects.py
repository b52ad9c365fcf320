"""Objects that the workers of a cluster classify. Each computes what this machine would.

Workers need rasters and model only: where the features lie on the raster is found out here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..geo.grid import Box
from ..geo.vector import Feature, geometry_of
from ..geo.wkb import polygon_wkb
from ..progress import Phase, Progress
from .checks import open_objects
from .crops import Subject
from .loading import open_engine
from .object_answers import Answers, ObjectAnswering, answering, packed, unpacked
from .options import ObjectOptions
from .pipeline import Sink
from .station import Commission, Opened, absolute, is_file, require, respond
from .whole_rasters import first_readable

MOST = 256  # objects of one call
LARGEST = 1_000_000  # bytes of their outlines, more or less


def run_objects_elsewhere(
    work: ObjectAnswering,
    subjects: Iterable[Subject],
    consume: Callable[[list[Subject], Answers], None],
    phase: Phase,
) -> None:
    """Have objects answered by the workers of a cluster; else as :meth:`ObjectAnswering.run`.

    Raises:
        GeoDLError: when a worker fails, which is named.
    """
    options, outlined = work.options, work.model.blacken
    if options.takes_rasters:  # there may be many: each is named where it is an object
        options = replace(options, sources=[first_readable(options)])
    commission = Commission(options, work.engine.notes, __name__, work.model.chip_size, work.count)
    stream = commission.answers(
        lambda size: _groups(subjects, min(size, MOST), outlined),
        lambda group: [_sent(each, outlined) for each in group],
        phase,
    )
    with Sink(lambda result: consume(*result)) as sink, contextlib.closing(stream):
        for group, found in stream:
            sink.put((group, unpacked(found)))
            phase.step(len(group))


def _groups(subjects: Iterable[Subject], size: int, outlined: bool) -> Iterator[list[Subject]]:
    """Yield groups of objects, smaller ones where their outlines are long."""
    group: list[Subject] = []
    length = 0
    for subject in subjects:
        group.append(subject)
        if outlined and subject.shape is not None:
            length += subject.shape.WkbSize()
        if len(group) >= size or length >= LARGEST:
            yield group
            group, length = [], 0
    if group:
        yield group


def _sent(subject: Subject, outlined: bool) -> tuple[Any, ...]:
    """Return an object as plain values: outline, box, raster, and whether that is a file.

    Without a place on the raster there is no outline; where none is needed it is empty.
    """
    outline = None
    if subject.shape is not None:
        outline = bytes(subject.shape.ExportToWkb()) if outlined else polygon_wkb([])
    source = subject.source and absolute(subject.source)
    return outline, subject.box, source, bool(source) and is_file(source)


def _taken(outline: bytes | None, box: Box, source: str, file: bool) -> Subject:
    """Return an object as a worker reads it, in the raster's coordinate reference system.

    Raises:
        RasterError: when the worker does not see its raster.
    """
    if file:
        require([source])
    shape = geometry_of(polygon_wkb([]) if outline is None else outline)
    return Subject(Feature(0, shape, {}), None if outline is None else shape, box, source)


def answer(order: str, settings: dict[str, Any], objects: list[tuple[Any, ...]]) -> dict[str, Any]:
    """Answer objects, on a worker of the cluster; else as :func:`.station.respond`."""
    return respond(order, settings, objects, _open)


def _open(told: dict[str, Any], progress: Progress) -> Opened:
    """Open a task; its answers to objects come as arrays."""
    options = ObjectOptions(**told["options"])
    job = open_objects(options)
    engine = open_engine(job.model, options, progress)
    work = answering(job, engine, options, told["count"], progress)

    def find(objects: list[tuple[Any, ...]]) -> dict[str, np.ndarray]:
        subjects = [_taken(*each) for each in objects]
        found: Answers = []
        phase = Phase(Progress(), "", len(subjects), "")
        work.run(subjects, lambda _, answers: found.extend(answers), phase)
        return packed(found)

    return engine, find
