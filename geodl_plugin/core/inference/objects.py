"""The task "classify_objects": give features a class by what the raster shows there."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ..geo.vector import VectorReader, VectorWriter
from ..models.registry import Task
from ..progress import Phase, Progress
from .checks import CONFIDENCE_FIELD, Job, open_features, open_job
from .crops import CropReader, Subject, subjects
from .engine import Decode, Engine, open_engine
from .options import ObjectOptions
from .pipeline import hold_cache, read_ahead

FIELD_TYPES = {"integer": int, "real": float, "text": str}
Answer = tuple[tuple[int, ...], float]  # indices of classes, the largest probability
WAITING = 4  # batches of features that may wait for their images, those without any too


def run(options: ObjectOptions, progress: Progress) -> dict[str, Any]:
    """Classify features and return the path of the layer and the number of classified ones.

    Raises:
        GeoDLError: one sentence; nothing is left at the output then.
    """
    with open_job(options, Task.OBJECTS, progress) as job:
        reader = open_features(options)
        engine = open_engine(job.model, options, progress)
        return classify(job, reader, engine, options, progress)


def classify(
    job: Job, reader: VectorReader, engine: Engine, options: ObjectOptions, progress: Progress
) -> dict[str, Any]:
    """Classify features with a network that is ready."""
    side = job.model.chip_size
    decode = several_above(options.score_threshold) if job.model.several_labels else best
    hold_cache(job.raster, side)
    engine.expect(reader.count, side, side)
    phase = Phase(progress, "Classifying objects", reader.count, "features", stop=0.99)
    crops = read_ahead(
        subjects(reader, job.raster), lambda: CropReader(job.raster, job.model), depth=32
    )
    with FeatureWriter(options, job, reader) as writer, contextlib.closing(crops):
        waiting: list[tuple[Subject, np.ndarray | None]] = []
        for entry in crops:
            waiting.append(entry)
            images = sum(image is not None for _, image in waiting)
            if images >= engine.batch_size or len(waiting) >= WAITING * engine.batch_size:
                _flush(waiting, engine, side, decode, writer, phase)
                waiting = []
        _flush(waiting, engine, side, decode, writer, phase)
    missing = writer.count - writer.classified
    if missing:
        progress.warn(
            f"{missing} of {writer.count} features lie outside of '{job.raster.name}' or where it "
            "has no data: their class is empty."
        )
    return {"output": options.output, "object_count": writer.classified}


def _flush(
    waiting: list[tuple[Subject, np.ndarray | None]],
    engine: Engine,
    side: int,
    decode: Decode,
    writer: FeatureWriter,
    phase: Phase,
) -> None:
    """Compute the images that wait and write all features that wait."""
    images = [fit(image, side) for _, image in waiting if image is not None]
    answers = iter(engine.infer(images, decode) if images else ())
    for subject, image in waiting:
        writer.write(subject, None if image is None else next(answers))
    phase.step(len(waiting))


def best(_: Any, logits: torch.Tensor) -> list[Answer]:
    """Return the index of the most probable class and its probability, for each image."""
    probability, index = logits.softmax(1).max(1)
    return [((place,), chance) for place, chance in zip(index.tolist(), probability.tolist())]


def several_above(threshold: float) -> Decode:
    """Return what gives each image all labels of a least probability, and the largest one."""

    def decode(_: Any, logits: torch.Tensor) -> list[Answer]:
        answers = []
        for chances in logits.sigmoid().tolist():
            found = tuple(place for place, chance in enumerate(chances) if chance >= threshold)
            answers.append((found, max(chances)))
        return answers

    return decode


def fit(image: np.ndarray, side: int) -> np.ndarray:
    """Return an image ``(bands, rows, cols)`` brought to ``side`` × ``side`` pixels."""
    if image.shape[1:] == (side, side):
        return image
    batch = torch.from_numpy(image)[None]
    scaled = functional.interpolate(
        batch, (side, side), mode="bilinear", align_corners=False, antialias=True
    )
    return scaled[0].numpy()


class FeatureWriter:
    """Writes features as they were, with class and confidence."""

    def __init__(self, options: ObjectOptions, job: Job, reader: VectorReader) -> None:
        self._class_field = options.class_field
        self._schema = job.model.schema
        own = {options.class_field.lower(), CONFIDENCE_FIELD.lower()}
        if Path(options.output).suffix.lower() == ".gpkg":
            own.add("fid")  # a GeoPackage numbers its features in a column of this name
        fields = {
            name: FIELD_TYPES.get(kind, str)
            for name, kind in reader.fields.items()
            if name.lower() not in own
        }
        self._texts = [name for name, kind in fields.items() if kind is str]
        fields.update({options.class_field: str, CONFIDENCE_FIELD: float})
        self._writer = VectorWriter(options.output, reader.crs, fields, reader.writable_type)
        self.classified = 0

    @property
    def count(self) -> int:
        """How many features were written."""
        return self._writer.count

    def write(self, subject: Subject, answer: Answer | None) -> None:
        """Write a feature with the answer for it, if there is one."""
        values = dict(subject.feature.attributes)
        for name in self._texts:
            if values[name] is not None:
                values[name] = str(values[name])
        values[self._class_field] = values[CONFIDENCE_FIELD] = None
        if answer is not None:
            indices, probability = answer
            names = [self._schema.classes[index].name for index in indices]
            values[self._class_field] = ",".join(names)
            values[CONFIDENCE_FIELD] = round(100 * probability, 2)
            self.classified += 1
        geometry = subject.feature.geometry
        self._writer.write(None if geometry.IsEmpty() else geometry, values)

    def __enter__(self) -> FeatureWriter:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._writer.__exit__(*exception)
