"""Objects and their answers: how the task "classify_objects" has them made, here or elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from ..models.networks.images import fit
from ..progress import Phase, Progress
from .checks import Job
from .crops import CropReader, Subject, WholeReader
from .engine import Decode, Engine
from .model import Model
from .options import ObjectOptions
from .pipeline import Sink, answer_ahead, open_pool, read_ahead
from .tiles import Damaged
from .views import Views

TOGETHER = 8  # images that a thread reads at a time
WAITING = 4  # batches of features that may wait for their images, those without any too
Answer = tuple[tuple[int, ...], float]  # indices of classes, the largest probability
Answers = list["Answer | None"]  # None for objects without data
Entry = tuple[Subject, "np.ndarray | None"]  # an object and its image, if there are data


@dataclass(frozen=True)
class ObjectAnswering:
    """What makes the answers of objects, on any machine that can open the task's files.

    Attributes:
        options: of the task.
        model: says how large the images are.
        engine: computes batches.
        open_reader: makes a reader for each thread.
        decode: makes answers of the network's output, one an object.
        count: of all objects.
    """

    options: ObjectOptions
    model: Model
    engine: Engine
    open_reader: Callable[[], Callable[[Subject], np.ndarray | None]]
    decode: Decode
    count: int

    def run(
        self,
        subjects: Iterable[Subject],
        consume: Callable[[list[Subject], Answers], None],
        phase: Phase,
    ) -> None:
        """Have objects answered and the answers consumed, in the order of the objects.

        Args:
            subjects: all objects, or those that are left.
            consume: takes objects with their answers, in a thread of its own.
            phase: counts the objects.

        Raises:
            CancelledError: when cancelled, after the batch that is being computed.
        """
        if self.options.scheduler:
            from .remote_objects import run_objects_elsewhere

            run_objects_elsewhere(self, subjects, consume, phase)
            return
        entries = _images(subjects, self.open_reader, self.model.chip_size)
        groups = answer_ahead(_gathered(entries, self.engine), self._answer, self.engine)
        with (
            contextlib.closing(entries),
            contextlib.closing(groups),
            Sink(lambda result: consume(*result)) as sink,
        ):
            for waiting, answers in groups:
                sink.put(([subject for subject, _ in waiting], answers))
                phase.step(len(waiting))

    def _answer(self, waiting: list[Entry]) -> Answers:
        images = [image for _, image in waiting if image is not None]
        left = iter(self.engine.infer(images, self.decode) if images else [])
        return [None if image is None else next(left) for _, image in waiting]


def answering(
    job: Job, engine: Engine, options: ObjectOptions, count: int, progress: Progress
) -> ObjectAnswering:
    """Return what classifies ``count`` objects; ``progress`` is warned of damage."""
    side, model = job.model.chip_size, job.model
    if options.test_time_augmentation:
        by_itself = model.several_labels or model.runs_code
        engine.network = Views(engine.network, model.map_space, by_itself)
    pool = open_pool(job.raster, engine.device.type, side, scattered=True)
    engine.expect(count, side, side)
    damaged = Damaged(progress, "The class is empty there.") if options.skip_unreadable else None

    def open_reader() -> CropReader | WholeReader:
        if options.takes_rasters:
            return WholeReader(model, damaged)
        return CropReader(pool, model, damaged)

    return ObjectAnswering(options, model, engine, open_reader, _decode_of(model, options), count)


def _decode_of(model: Model, options: ObjectOptions) -> Decode:
    if model.several_labels:
        return several_above(options.score_threshold)
    return surest if model.runs_code else best


def _images(
    subjects: Iterable[Subject],
    open_reader: Callable[[], Callable[[Subject], np.ndarray | None]],
    side: int,
) -> Generator[Entry, None, None]:
    """Yield objects with their images of ``side`` × ``side`` pixels, read ahead."""

    def open_readers() -> Callable[[list[Subject]], list[np.ndarray | None]]:
        read = open_reader()

        def fitted(subject: Subject) -> np.ndarray | None:
            image = read(subject)
            # At once: whole photos that wait for their batch would fill the memory.
            return None if image is None else fit(image, side)

        return lambda group: [fitted(each) for each in group]

    left = iter(subjects)
    # One by one, handing them to the threads would cost more than reading them.
    groups = iter(lambda: list(islice(left, TOGETHER)), [])
    with contextlib.closing(read_ahead(groups, open_readers)) as ahead:
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


def packed(answers: Answers) -> dict[str, np.ndarray]:
    """Return answers as arrays, from which :func:`unpacked` makes them."""
    known = [each for each in answers if each is not None]
    return {
        "seen": np.array([each is not None for each in answers], bool),
        "scores": np.array([score for _, score in known], float),
        "counts": np.array([len(places) for places, _ in known], np.int64),
        "labels": np.array([place for places, _ in known for place in places], np.int64),
    }


def unpacked(arrays: dict[str, np.ndarray]) -> Answers:
    """Return the answers that :func:`packed` has made into arrays."""
    labels = iter(arrays["labels"].tolist())
    known = iter(
        [
            (tuple(islice(labels, count)), score)
            for count, score in zip(arrays["counts"].tolist(), arrays["scores"].tolist())
        ]
    )
    return [next(known) if seen else None for seen in arrays["seen"].tolist()]


def best(_network: Any, logits: torch.Tensor, _size: Any) -> list[Answer]:
    """Return the index of the most probable class and its probability, for each image."""
    probability, index = logits.softmax(1).max(1)
    return [((place,), chance) for place, chance in zip(index.tolist(), probability.tolist())]


def surest(_network: Any, logits: torch.Tensor, _size: Any) -> list[Answer]:
    """Return as :func:`best`, of chances that need not come to 1: a function tells one alone."""
    chance, index = logits.sigmoid().max(1)
    return [((place,), sure) for place, sure in zip(index.tolist(), chance.tolist())]


def several_above(threshold: float) -> Decode:
    """Return what gives each image all labels of a least probability, and the largest one."""

    def decode(_network: Any, logits: torch.Tensor, _size: Any) -> list[Answer]:
        answers = []
        for chances in logits.sigmoid().tolist():
            found = tuple(place for place, chance in enumerate(chances) if chance >= threshold)
            answers.append((found, max(chances)))
        return answers

    return decode
