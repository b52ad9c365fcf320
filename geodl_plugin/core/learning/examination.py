"""A last look at the validation chips with the weights that were kept: what went well, what not."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ..assess.matching import Curve
from ..chips.labels import InstanceLabel, Label
from ..models.registry import Task
from ..progress import Phase
from ..samples.schema import pixel_names
from .batches import make_datasets
from .dataset import collate
from .hardware import Hardware
from .metrics import ConfusionScores, DetectionScores, InstanceScores
from .preview import label_of_target

if TYPE_CHECKING:
    from torch import nn

    from .preparation import Preparation

KEPT = 3  # of the best and of the worst chips each
BINS = 10  # of the calibration curve
LEAST_SCORE = 0.05  # of a detection that counts for curves
SURE = 0.5  # of one that is shown
_BATCH = 8  # chips at a time, at most


@dataclass(frozen=True)
class Example:
    """A validation chip as it is and as the network sees it.

    Attributes:
        name: of the chip, and where in it the crop lies.
        score: 0 to 1; what it says is told by :attr:`Examination.meaning`.
        pixels: ``(bands, rows, cols)`` in native units.
        truth, told: its labels in class values.
    """

    name: str
    score: float
    pixels: np.ndarray
    truth: Label
    told: Label


@dataclass
class Calibration:
    """How often the network is right, by how sure it is.

    Attributes:
        count, sure, right: ``(bins,)``: answers, the sum of their scores, and how many are right.
    """

    count: np.ndarray = field(default_factory=lambda: np.zeros(BINS))
    sure: np.ndarray = field(default_factory=lambda: np.zeros(BINS))
    right: np.ndarray = field(default_factory=lambda: np.zeros(BINS))

    def update(self, scores: np.ndarray, hits: np.ndarray) -> None:
        """Count answers by their scores ``(n,)`` and whether they are right ``(n,)``."""
        place = np.minimum((scores * BINS).astype(int), BINS - 1)
        self.count += np.bincount(place, minlength=BINS)
        self.sure += np.bincount(place, weights=scores, minlength=BINS)
        self.right += np.bincount(place, weights=hits, minlength=BINS)

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean score and the share of right answers of the bins that have any."""
        met = self.count > 0
        return self.sure[met] / self.count[met], self.right[met] / self.count[met]

    @property
    def error(self) -> float:
        """The expected calibration error (Guo et al. 2017, arXiv:1706.04599)."""
        total = self.count.sum()
        return float(np.abs(self.right - self.sure).sum() / total) if total else 0.0


@dataclass(frozen=True)
class Examination:
    """What the last look found.

    Attributes:
        best, worst: a few chips, the extreme ones first.
        meaning: what a chip's score is.
        calibration: of all answers.
        curves: precision and recall by class, of detectors.
    """

    best: list[Example]
    worst: list[Example]
    meaning: str
    calibration: Calibration
    curves: dict[str, Curve]


@dataclass(frozen=True)
class _Answer:
    """What was said of one chip.

    Attributes:
        score: how good it is.
        target: what was said, in the form of a target.
        tie: decides between answers of equal score.
    """

    score: float
    target: Any
    tie: float = 0.0


def examine(
    network: nn.Module,
    preparation: Preparation,
    hardware: Hardware,
    phase: Phase,
    fitting: int = _BATCH,
) -> Examination:
    """Ask a network about all validation chips; only the extreme ones are kept.

    Args:
        network: with its best weights; it ends in evaluation mode, on the CPU.
        preparation: of the training.
        hardware: computes.
        phase: counts the chips.
        fitting: how many chips at a time the memory held in the training.

    Raises:
        CancelledError: when the user cancels.
    """
    _, validation = make_datasets(preparation)
    judge = _JUDGES[preparation.kind.task](preparation)
    extremes = _Extremes()
    phase.total = len(validation)
    network.to(hardware.device).eval()
    place = 0
    for images, targets in DataLoader(validation, min(fitting, _BATCH), collate_fn=collate):
        with torch.inference_mode():
            answer = _ask(network, images, hardware)
            for each in judge.judge(network, answer, images, targets):
                extremes.add(place, each)
                place += 1
        phase.step(len(images))
    network.to("cpu")
    best, worst = (
        [_example(validation, preparation, each, answer) for each, answer in chosen]
        for chosen in extremes.chosen()
    )
    return Examination(best, worst, judge.meaning, judge.calibration, judge.curves())


def _ask(network: nn.Module, images: Tensor, hardware: Hardware) -> Any:
    kind = getattr(torch, hardware.precision)
    batch = images.to(hardware.device).contiguous(memory_format=torch.channels_last)
    with torch.autocast(hardware.device.type, dtype=kind, enabled=kind != torch.float32):
        return network(batch)


class _Extremes:
    """Keeps the few best and worst answers of many."""

    def __init__(self) -> None:
        self._best: list[tuple[float, float, int, _Answer]] = []
        self._worst: list[tuple[float, float, int, _Answer]] = []

    def add(self, place: int, answer: _Answer) -> None:
        """Take an answer; of equal ones the first is best and the last is worst."""
        _keep(self._best, (answer.score, answer.tie, -place, answer))
        _keep(self._worst, (-answer.score, -answer.tie, place, answer))

    def chosen(self) -> tuple[list[tuple[int, _Answer]], list[tuple[int, _Answer]]]:
        """Return the best and the worst with their places; no chip is in both."""
        best, worst = (
            [(abs(place), answer) for _, _, place, answer in sorted(each, reverse=True)]
            for each in (self._best, self._worst)
        )
        # Of few chips, the better half is best: else all of three would be, and none worst.
        shown = {place for place, _ in (*best, *worst)}
        best = best[: (len(shown) + 1) // 2]
        named = {place for place, _ in best}
        return best, [each for each in worst if each[0] not in named]


def _keep(heap: list[Any], entry: tuple[float, float, int, _Answer]) -> None:
    """Put an entry into a heap of a few that keeps the largest."""
    if len(heap) < KEPT:
        heapq.heappush(heap, entry)
    elif entry[:3] > heap[0][:3]:
        heapq.heapreplace(heap, entry)


def _example(validation: Any, preparation: Preparation, place: int, answer: _Answer) -> Example:
    image, target = validation.whole_crop(place)
    position, origin = validation.places[place]
    normalization = preparation.normalization
    spread, shift = (
        np.resize(np.array(each), len(image))[:, None, None]
        for each in (normalization.std, normalization.mean)
    )
    folder = preparation.folder
    image_path = folder.chips[position].image
    if image_path.is_relative_to(folder.path):
        name = image_path.relative_to(folder.path).as_posix()
    else:  # of several folders
        name = "/".join(image_path.parts[-3:])
    alone = sum(other == position for other, _ in validation.places) == 1
    if origin and not alone:
        name += f", from column {origin[0]} and row {origin[1]}"
    values = np.array(preparation.schema.values, np.int64)
    return Example(
        name,
        answer.score,
        image.numpy() * spread + shift,
        label_of_target(target, values),
        _label(answer.target, values, image.shape[1:]),
    )


def _label(target: Any, values: np.ndarray, shape: tuple[int, ...]) -> Label:
    """Return an answer as a label; masks of objects are drawn when they are looked at."""
    if not isinstance(target, dict) or "windows" not in target:
        return label_of_target(target, values)

    def draw() -> np.ndarray:
        masks = np.zeros((len(target["labels"]), *shape), bool)
        for whole, part, window in zip(masks, target["masks"], target["windows"].tolist()):
            col, row, width, height = (int(each) for each in window)
            whole[row : row + height, col : col + width] = np.asarray(part) > 0
        return masks

    return InstanceLabel(values[target["labels"].numpy()], (shape[0], shape[1]), draw=draw)


class _Judge:
    """The base of the tasks: judges answers, and counts what all of them say."""

    meaning = ""

    def __init__(self, preparation: Preparation) -> None:
        self.names = list(preparation.schema.names)
        self.background = preparation.store.background
        self.calibration = Calibration()

    def judge(
        self, network: nn.Module, answer: Any, images: Tensor, targets: Any
    ) -> Iterator[_Answer]:
        """Yield what is said of each image."""
        raise NotImplementedError

    def curves(self) -> dict[str, Curve]:
        """Return precision and recall by class, where they are curves."""
        return {}


class _DetectionJudge(_Judge):
    """Judges boxes, and masks of objects."""

    meaning = "F1 score of the objects that are told with at least 50 %"
    scores_class: type[DetectionScores] = DetectionScores

    def __init__(self, preparation: Preparation) -> None:
        super().__init__(preparation)
        self._all = self.scores_class(self.names)

    def judge(self, network: Any, answer: Any, images: Tensor, targets: Any) -> Iterator[_Answer]:
        size = (images.shape[-2], images.shape[-1])
        for found, truth in zip(network.detect(answer, size, LEAST_SCORE), targets):
            own = self.scores_class(self.names)
            own.update([found], [truth])
            self._all.update([found], [truth])
            for scores, hits, _ in own.ranked():
                self.calibration.update(scores, hits)
            kept, _ = own.compare(found, truth)
            kept = torch.as_tensor(kept).cpu()
            chosen = kept[found["scores"].cpu()[kept] >= SURE]
            nothing = not len(chosen) and not len(truth["labels"])
            values = own.compute().values
            score = 1.0 if nothing else values["f1_score"]
            yield _Answer(score, _taken(found, chosen), values["average_precision"])

    def curves(self) -> dict[str, Curve]:
        return {
            name: Curve.of(hits, scores, true)
            for name, (scores, hits, true) in zip(self.names, self._all.ranked())
            if true
        }


def _taken(found: dict[str, Any], chosen: Tensor) -> dict[str, Any]:
    """Return the chosen ones of the detections of an image, in the computer's own memory."""
    taken = {name: found[name].detach().float().cpu()[chosen] for name in ("boxes", "scores")}
    taken["labels"] = found["labels"].cpu()[chosen]
    if "masks" in found:
        taken["masks"] = [np.asarray(found["masks"][place]) for place in chosen.tolist()]
        windows = [list(map(int, found["windows"][place])) for place in chosen.tolist()]
        taken["windows"] = torch.tensor(windows).reshape(-1, 4)
    return taken


class _InstanceJudge(_DetectionJudge):
    """Judges objects by their masks."""

    scores_class = InstanceScores


class _PixelJudge(_Judge):
    """Judges the classes of pixels."""

    meaning = "mean IoU of the classes that occur in the chip"

    def judge(
        self, network: nn.Module, answer: Tensor, images: Tensor, targets: Tensor
    ) -> Iterator[_Answer]:
        first = int(not self.background)
        wanted = answer[:, first:].float().softmax(1)
        chances, classes = (each.cpu().numpy() for each in wanted.max(1))
        classes = classes + first
        for chance, told, truth in zip(chances, classes, targets.numpy()):
            known = truth >= 0
            self.calibration.update(chance[known], told[known] == truth[known])
            own = ConfusionScores(pixel_names(self.names), with_overlap=True, first=first)
            own.update(told, truth)
            score = own.compute().values["miou"] if known.any() else 1.0
            yield _Answer(score, torch.from_numpy(told.astype(np.int16)))


class _ObjectJudge(_Judge):
    """Judges the class of a chip, or its classes."""

    meaning = "probability of the true class"

    def judge(
        self, network: nn.Module, answer: Tensor, images: Tensor, targets: Tensor
    ) -> Iterator[_Answer]:
        if targets.ndim > 1:
            yield from self._judge_several(answer, targets)
            return
        chances = answer.float().softmax(1).cpu()
        sure, told = chances.max(1)
        self.calibration.update(sure.numpy(), (told == targets).numpy())
        for chance, index, truth in zip(chances, told, targets.tolist()):
            yield _Answer(float(chance[truth]), index)

    def _judge_several(self, answer: Tensor, targets: Tensor) -> Iterator[_Answer]:
        """Yield what is said of chips that may have several classes each."""
        self.meaning = "mean probability of what is true, for every class"
        chances = answer.float().sigmoid().cpu()
        told, true = chances > SURE, targets > 0
        sure = torch.where(told, chances, 1 - chances)
        self.calibration.update(sure.flatten().numpy(), (told == true).flatten().numpy())
        right = torch.where(true, chances, 1 - chances).mean(1)
        for score, each in zip(right.tolist(), told):
            yield _Answer(score, each.to(torch.uint8))


_JUDGES: dict[Task, type[_Judge]] = {
    Task.DETECTION: _DetectionJudge,
    Task.INSTANCES: _InstanceJudge,
    Task.PIXELS: _PixelJudge,
    Task.CHANGE: _PixelJudge,
    Task.OBJECTS: _ObjectJudge,
}


def all_examples(examination: Examination) -> list[Example]:
    """Return the best chips and the worst."""
    return list(itertools.chain(examination.best, examination.worst))
