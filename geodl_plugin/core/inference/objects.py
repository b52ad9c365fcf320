"""The task "classify_objects": give features a class by what the raster shows there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ..geo.vector import Feature, VectorReader
from ..geo.vector_writer import VectorWriter
from ..progress import Phase, Progress
from .checks import CONFIDENCE_FIELD, Job, open_features, open_objects
from .crops import CropReader, Subject, WholeReader, subjects
from .engine import Decode, Engine, open_engine
from .journal import Journal, facts_of, resumable
from .options import ObjectOptions
from .pipeline import Sink, answer_ahead, hold_cache, read_ahead
from .tiles import Damaged
from .views import Views
from .whole_rasters import WholeRasters

TOGETHER = 8  # images that a thread reads at a time
Answer = tuple[tuple[int, ...], float]  # indices of classes, the largest probability
Entry = tuple[Subject, "np.ndarray | None"]  # an object and its image, if there are data
WAITING = 4  # batches of features that may wait for their images, those without any too


def run(options: ObjectOptions, progress: Progress) -> dict[str, Any]:
    """Classify features and return the path of the layer and the number of classified ones.

    Raises:
        GeoDLError: one sentence. Finished parts are kept then, so that the same call goes on;
            after a cancel nothing is left.
    """
    reader = open_features(options)
    with open_objects(options, progress) as job:
        engine = open_engine(job.model, options, progress)
        return classify(job, reader, engine, options, progress)


def classify(
    job: Job,
    reader: VectorReader | WholeRasters,
    engine: Engine,
    options: ObjectOptions,
    progress: Progress,
) -> dict[str, Any]:
    """Classify features with a network that is ready."""
    side, model = job.model.chip_size, job.model
    if options.test_time_augmentation:
        engine.network = Views(engine.network, model.map_space, model.several_labels)
    decode = several_above(options.score_threshold) if model.several_labels else best
    hold_cache(job.raster, side, scattered=True)
    engine.expect(reader.count, side, side)
    phase = Phase(progress, "Classifying objects", reader.count, "features", stop=0.99)
    with resumable(options.output, facts_of(options, count=reader.count), progress) as journal:
        engine.go_on(journal)
        with FeatureWriter(options, job, reader) as writer:
            features = _features(reader)
            phase.step(_take_up(journal, features, writer))
            entries = _images(job, reader, features, options, progress)
            results = _Results(journal, writer)

            def answer(waiting: list[Entry]) -> list[Answer]:
                images = [fit(image, side) for _, image in waiting if image is not None]
                return engine.infer(images, decode) if images else []

            groups = answer_ahead(_gathered(entries, engine), answer, engine)
            with (
                contextlib.closing(entries),
                contextlib.closing(groups),
                Sink(results.take) as sink,
            ):
                for waiting, answers in groups:
                    sink.put((waiting, answers))
                    phase.step(len(waiting))
    missing = writer.count - writer.classified
    if missing:
        progress.warn(
            f"{missing} of {writer.count} features lie outside of '{job.raster.name}' or where it "
            "has no data: their class is empty."
        )
    return {"output": options.output, "object_count": writer.classified}


def _features(reader: VectorReader | WholeRasters) -> Iterator[Feature]:
    if isinstance(reader, WholeRasters):
        return reader.features()
    return reader.features(fields=(), empty=True)  # the writer takes the fields of the rows


def _take_up(journal: Journal, features: Iterator[Feature], writer: FeatureWriter) -> int:
    """Write the features that an earlier run has classified; return how many there are."""
    done = 0
    for part in journal:
        answers = _unpacked(journal.answers(part))
        for feature, answer in zip(islice(features, len(answers)), answers):
            writer.write(feature, answer)
        done += len(answers)
    return done


def _images(
    job: Job,
    reader: VectorReader | WholeRasters,
    features: Iterator[Feature],
    options: ObjectOptions,
    progress: Progress,
) -> Generator[Entry, None, None]:
    """Yield features with their images, read ahead."""
    damaged = Damaged(progress, "The class is empty there.") if options.skip_unreadable else None

    def open_reader() -> Callable[[list[Subject]], list[np.ndarray | None]]:
        if isinstance(reader, WholeRasters):
            read: Callable[[Subject], np.ndarray | None]
            read = WholeReader(options.sources, job.model, damaged)
        else:
            read = CropReader(job.raster, job.model, damaged)
        return lambda group: [read(each) for each in group]

    found = subjects(features, reader.crs, job.raster)
    # One by one, handing them to the threads would cost more than reading them.
    groups = iter(lambda: list(islice(found, TOGETHER)), [])
    with contextlib.closing(read_ahead(groups, open_reader)) as ahead:
        for group, images in ahead:
            yield from zip(group, images)


def _gathered(entries: Iterable[Entry], engine: Engine) -> Iterator[list[Entry]]:
    """Yield entries whose images make a batch."""
    waiting: list[Entry] = []
    images = 0
    for entry in entries:
        waiting.append(entry)
        images += entry[1] is not None
        if images >= engine.batch_size or len(waiting) >= WAITING * engine.batch_size:
            yield waiting
            waiting, images = [], 0
    if waiting:
        yield waiting


class _Results:
    """Writes answers and tells the journal of them."""

    def __init__(self, journal: Journal, writer: FeatureWriter) -> None:
        self._journal = journal
        self._writer = writer

    def take(self, result: tuple[list[Entry], list[Answer]]) -> None:
        """Take features and the answers to those that have an image."""
        waiting, answers = result
        left = iter(answers)
        found = [None if image is None else next(left) for _, image in waiting]
        first = self._writer.count
        for (subject, _), answer in zip(waiting, found):
            self._writer.write(subject.feature, answer)
        self._journal.add(first, _packed(found))


def _packed(answers: list[Answer | None]) -> dict[str, np.ndarray]:
    """Return answers as arrays, from which :func:`_unpacked` makes them."""
    known = [each for each in answers if each is not None]
    return {
        "seen": np.array([each is not None for each in answers], bool),
        "scores": np.array([score for _, score in known], float),
        "counts": np.array([len(places) for places, _ in known], np.int64),
        "labels": np.array([place for places, _ in known for place in places], np.int64),
    }


def _unpacked(arrays: dict[str, np.ndarray]) -> list[Answer | None]:
    labels = iter(arrays["labels"].tolist())
    known = iter(
        [
            (tuple(islice(labels, count)), score)
            for count, score in zip(arrays["counts"].tolist(), arrays["scores"].tolist())
        ]
    )
    return [next(known) if seen else None for seen in arrays["seen"].tolist()]


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
    batch = torch.from_numpy(image.astype(np.float32, copy=False))[None]
    scaled = functional.interpolate(
        batch, (side, side), mode="bilinear", align_corners=False, antialias=True
    )
    result = scaled[0].numpy()
    # Functions take the raster's own data type.
    return result if image.dtype == np.float32 else np.rint(result).astype(image.dtype)


class FeatureWriter:
    """Writes features as they were, with class and confidence."""

    def __init__(
        self, options: ObjectOptions, job: Job, reader: VectorReader | WholeRasters
    ) -> None:
        self._class_field = options.class_field
        self._schema = job.model.schema
        own = {options.class_field.lower(), CONFIDENCE_FIELD.lower()}
        if Path(options.output).suffix.lower() == ".gpkg":
            own.add("fid")  # a GeoPackage numbers its features in a column of this name
        kept = {name: kind for name, kind in reader.definitions.items() if name.lower() not in own}
        fields = {**kept, options.class_field: str, CONFIDENCE_FIELD: float}
        self._writer = VectorWriter(options.output, reader.crs, fields, reader.writable_type)
        wanted = [name if name in kept else "" for name in reader.definitions]
        self._places = self._writer.places(wanted)
        self.classified = 0

    @property
    def count(self) -> int:
        """How many features were written."""
        return self._writer.count

    def write(self, feature: Feature, answer: Answer | None) -> None:
        """Write a feature with the answer for it, if there is one."""
        names, confidence = None, None
        if answer is not None:
            indices, probability = answer
            names = ",".join(self._schema.classes[index].name for index in indices)
            confidence = round(100 * probability, 2)
            self.classified += 1
        if feature.row is not None:
            self._writer.write_like(feature.row, self._places, (names, confidence))
            return
        values = {self._class_field: names, CONFIDENCE_FIELD: confidence}
        self._writer.write(feature.geometry, {**feature.attributes, **values})

    def __enter__(self) -> FeatureWriter:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._writer.__exit__(*exception)
