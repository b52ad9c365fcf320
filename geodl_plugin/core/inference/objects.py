"""The task "classify_objects": give features a class by what the raster shows there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from ..geo.vector import Feature, VectorReader
from ..geo.vector_writer import VectorWriter
from ..progress import Phase, Progress
from .checks import CONFIDENCE_FIELD, Job, open_features, open_objects
from .crops import Subject, subjects, whole_subjects
from .engine import Engine
from .foreign.agreement import agreed
from .journal import Journal, facts_of, resumable
from .loading import open_engine
from .object_answers import Answer, Answers, answering, packed, unpacked
from .options import ObjectOptions
from .whole_rasters import WholeRasters


def run(options: ObjectOptions, progress: Progress) -> dict[str, Any]:
    """Classify features and return the path of the layer and the number of classified ones.

    Raises:
        GeoDLError: one sentence. Finished parts are kept then, so that the same call goes on;
            after a cancel nothing is left.
    """
    reader = open_features(options)
    with open_objects(options, progress) as job:
        engine = open_engine(job.model, options, progress)
        return classify(job, reader, engine, agreed(options, engine.network), progress)


def classify(
    job: Job,
    reader: VectorReader | WholeRasters,
    engine: Engine,
    options: ObjectOptions,
    progress: Progress,
) -> dict[str, Any]:
    """Classify features with a network that is ready."""
    work = answering(job, engine, options, reader.count, progress)
    phase = Phase(progress, "Classifying objects", reader.count, "features", stop=0.99)
    with resumable(options.output, facts_of(options, count=reader.count), progress) as journal:
        engine.go_on(journal)
        with FeatureWriter(options, job, reader) as writer:
            features = _features(reader)
            phase.step(_take_up(journal, features, writer))
            if options.takes_rasters:
                left = whole_subjects(features, options.sources)
            else:
                left = subjects(features, reader.crs, job.raster)
            work.run(left, _Results(journal, writer).take, phase)
    if writer.losses:
        progress.warn(writer.losses)
    missing = writer.count - writer.classified
    if missing:
        progress.warn(f"{missing} of {writer.count} {_why_missing(options, job)}")
    return {"output": options.output, "object_count": writer.classified}


def _why_missing(options: ObjectOptions, job: Job) -> str:
    if options.takes_rasters:
        return "rasters have no data, or cannot be read: their class is empty."
    where = f"outside of '{job.raster.name}' or where it has no data"
    return f"features lie {where}: their class is empty."


def _features(reader: VectorReader | WholeRasters) -> Iterator[Feature]:
    if isinstance(reader, WholeRasters):
        return reader.features()
    return reader.features(fields=(), empty=True)  # the writer takes the fields of the rows


def _take_up(journal: Journal, features: Iterator[Feature], writer: FeatureWriter) -> int:
    """Write the features that an earlier run has classified; return how many there are."""
    done = 0
    for part in journal:
        answers = unpacked(journal.answers(part))
        for feature, answer in zip(islice(features, len(answers)), answers):
            writer.write(feature, answer)
        done += len(answers)
    return done


class _Results:
    """Writes answers and tells the journal of them."""

    def __init__(self, journal: Journal, writer: FeatureWriter) -> None:
        self._journal = journal
        self._writer = writer

    def take(self, group: list[Subject], answers: Answers) -> None:
        """Take objects and their answers."""
        first = self._writer.count
        for subject, answer in zip(group, answers):
            self._writer.write(subject.feature, answer)
        self._journal.add(first, packed(answers))


class FeatureWriter:
    """Writes features as they were, with class and confidence."""

    def __init__(
        self, options: ObjectOptions, job: Job, reader: VectorReader | WholeRasters
    ) -> None:
        self._class_field = options.class_field
        self._schema = job.model.schema
        own = {options.class_field.lower(), CONFIDENCE_FIELD.lower()}
        kept = {name: kind for name, kind in reader.definitions.items() if name.lower() not in own}
        fields = {**kept, options.class_field: str, CONFIDENCE_FIELD: float}
        self._writer = VectorWriter(
            options.output, reader.crs, fields, reader.writable_type, reader.number_column
        )
        wanted = [name if name in kept else "" for name in reader.definitions]
        self._places = self._writer.places(wanted)
        self.classified = 0

    @property
    def count(self) -> int:
        """How many features were written."""
        return self._writer.count

    @property
    def losses(self) -> str:
        """What the format has not kept of the features' fields, "" for nothing."""
        return self._writer.losses

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
        shape = None if feature.geometry.IsEmpty() else feature.geometry
        self._writer.write(shape, {**feature.attributes, **values})

    def __enter__(self) -> FeatureWriter:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._writer.__exit__(*exception)
