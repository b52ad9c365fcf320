"""Networks of other makers with the faces of GeoDL's own. Needs torch."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...errors import ModelError
from ...models.registry import Task
from ..model import Model
from .asking import Answer, Ask
from .decoding import Decoder

TRIAL_SIDE = 128  # pixels of the image by whose answer its form is told
FAR_BELOW = 50.0  # how far the logit of what is no answer lies below the others
LEAST = 1e-7  # a probability whose logarithm is still a number
PROBABLE = 1e-3  # by which a probability may leave 0 to 1
BYTES = 255.0


class ForeignNetwork(nn.Module):
    """Asks a network and brings its answer into GeoDL's form.

    Pixels and objects become logits, detections the tensors that :meth:`detect` decodes.

    Args:
        ask: the network.
        model: what is known of it.

    Raises:
        ModelError: when the answer to a trial does not fit the classes.
    """

    is_exact = False

    def __init__(self, ask: Ask, model: Model) -> None:
        super().__init__()
        foreign = model.foreign
        if foreign is None:
            raise ModelError(f"'{model.name}' is GeoDL's own.")
        self.ask = ask
        self.is_compiled = ask.is_compiled
        self.streams = ask.streams
        self.tile_step = max(foreign.step, 1)
        self.fixed_tile = ask.fixed or foreign.fixed or None
        self.task = foreign.task
        self._foreign = foreign
        self._name = model.name
        self._values = model.schema.values
        self._raw = foreign.raw
        self._several = model.several_labels
        self.eval()
        with torch.inference_mode():
            answer = ask(self._trial(model))
        if self.task.finds_objects:
            named = foreign.background is not None  # a definition lists the labels themselves
            counted = named and (ask.from_zero or foreign.from_zero)
            numbers = tuple(range(len(self._values))) if counted else self._values
            self._decoder = Decoder(foreign.form, numbers, self.task, model.name, foreign.usual)
            self._decoder.check(answer)
            # The lists of two images may differ in length, or be those of the first one alone.
            boxes = answer.get("boxes")
            self._one_by_one = ask.batch == 1 or (boxes is not None and boxes.ndim == 2)
        else:
            self._settle(self._main(answer))

    def _trial(self, model: Model) -> Tensor:
        side = self.fixed_tile or min(model.chip_size, TRIAL_SIDE)
        side = self.fixed_tile or math.ceil(side / self.tile_step) * self.tile_step
        count = len(model.bands) * (2 if self.task is Task.CHANGE else 1)
        generator = torch.Generator().manual_seed(0)
        if self._raw:
            return BYTES * torch.rand(1, count, side, side, generator=generator)
        return torch.randn(1, count, side, side, generator=generator)

    def forward(self, images: Tensor) -> Any:
        """Return logits ``(b, n + 1, rows, cols)`` or ``(b, n)``, or a detector's outputs."""
        if self.task.finds_objects:
            parts = images.split(1) if self._one_by_one else [images]
            return [
                {name: each.to(images.device) for name, each in self.ask(part).items()}
                for part in parts
            ]
        main = self._main(self.ask(images)).to(images.device)
        if self.task is Task.OBJECTS:
            return self._objects(main)
        logits = self._indexed(main) if self._indices else self._pixels(main)
        if logits.shape[-2:] != images.shape[-2:]:
            mode = "nearest" if self._indices else "bilinear"
            logits = functional.interpolate(logits, images.shape[-2:], mode=mode)
        return logits

    def detect(
        self, outputs: list[Answer], image_size: tuple[int, int], threshold: float
    ) -> list[dict[str, Any]]:
        """Return boxes, masks or shapes, scores and labels of each image."""
        return [each for part in outputs for each in self._decoder(part, image_size, threshold)]

    def _main(self, answer: Answer) -> Tensor:
        """Return the output that tells the classes: the first one that has room for them."""
        least = 2 if self.task is Task.OBJECTS else 3
        found = [each for each in answer.values() if each.ndim >= least]
        if not found:
            shapes = ", ".join(str(tuple(each.shape)) for each in answer.values()) or "nothing"
            raise ModelError(
                f"'{self._name}' answers with {shapes}, which are no classes of "
                f"{'objects' if self.task is Task.OBJECTS else 'pixels'}. Check model_type."
            )
        return found[0].flatten(1) if self.task is Task.OBJECTS else found[0]

    def _settle(self, trial: Tensor) -> None:
        """Tell by the answer to a trial which channel is which class, and what its values are."""
        count = len(self._values)
        self._indices = not trial.is_floating_point() and self.task is not Task.OBJECTS
        if self._indices:
            return
        self._axis = 1
        if self.task is not Task.OBJECTS and trial.ndim == 4:
            axes = (3, 1) if self.ask.channels_last else (1, 3)
            self._axis = next((a for a in axes if self._order(trial.shape[a]) is not None), axes[0])
        channels = 1 if self._is_flat(trial) else trial.shape[self._axis]
        order = self._order(channels)
        whole = channels == 1 and self.task is not Task.OBJECTS and (trial == trial.round()).all()
        if order is None and whole:
            self._indices = True  # numbers of classes, written as real ones
            return
        if order is None:
            answers = f"{channels} answer{'s' if channels > 1 else ''}"
            raise ModelError(
                f"'{self._name}' gives {answers} but {count} classes are named: "
                f"{', '.join(map(str, self._values))}. Name them all with classes=… in the "
                "arguments, the background too where it has an answer."
            )
        self._channels = order
        inside = trial.amin() >= -PROBABLE and trial.amax() <= 1 + PROBABLE
        told = self._foreign.answer
        self._probabilities = told == "probabilities" if told else bool(inside)

    def _is_flat(self, trial: Tensor) -> bool:
        return self.task is not Task.OBJECTS and trial.ndim == 3

    def _order(self, channels: int) -> list[int] | None:
        """Return the channel of the background, -1 for none, and of each class."""
        count, values = len(self._values), self._values
        if channels == 1 and (count == 1 or (count == 2 and self.task is Task.OBJECTS)):
            return [-1, 0]
        if self.task is Task.OBJECTS:
            if channels == count:
                return list(range(count))
            return list(values) if channels > max(values) and min(values) >= 0 else None
        background = self._foreign.background
        if channels == count + 1 and background is not False:
            return list(range(count + 1))
        if channels == count and background is not True:
            return [-1, *range(count)]
        if background is None and channels > max(values) and min(values) >= 0:
            return [0, *values]
        return None

    def _pixels(self, answer: Tensor) -> Tensor:
        answer = answer[:, None] if answer.ndim == 3 else answer.movedim(self._axis, 1)
        logits = answer.float()
        if logits.shape[1] == 1:
            return self._single(logits)
        if self._probabilities:
            logits = logits.clamp(min=LEAST).log()
        return self._above(self._chosen(logits))

    def _above(self, logits: Tensor) -> Tensor:
        """Give pixels to the background whose best class stays below the threshold, if one is told.

        As in Deepness, probabilities count as the network gives them: they need not sum to 1.
        """
        threshold = self._foreign.least
        if threshold <= 0 or self.task is not Task.PIXELS:
            return logits
        chances = logits.exp() if self._probabilities else logits.softmax(1)
        unsure = chances[:, 1:].amax(1) < threshold
        background = torch.where(unsure, logits.amax(1) + FAR_BELOW, logits[:, 0])
        return torch.cat([background[:, None], logits[:, 1:]], 1)

    def _single(self, answer: Tensor) -> Tensor:
        """Return the logits of both classes of one answer; equal ones are at the threshold."""
        logit = torch.logit(answer, LEAST) if self._probabilities else answer
        threshold = min(max(self._foreign.threshold, LEAST), 1 - LEAST)
        logit = logit - math.log(threshold / (1 - threshold))
        return torch.cat([torch.zeros_like(logit), logit], 1)

    def _chosen(self, logits: Tensor) -> Tensor:
        if self._channels[0] >= 0:
            return logits[:, self._channels]
        nothing = logits.amin(1, keepdim=True) - FAR_BELOW
        return torch.cat([nothing, logits[:, self._channels[1:]]], 1)

    def _objects(self, answer: Tensor) -> Tensor:
        logits = answer.float()
        if logits.shape[1] == 1:
            both = self._single(logits)
            return both if len(self._values) == 2 else both[:, 1:]
        if self._several:  # each class by itself
            if len(self._values) == 1:  # and another answer for what it is not
                logits = logits if self._probabilities else logits.softmax(1)
            chances = self._probabilities or len(self._values) == 1
            return (torch.logit(logits, LEAST) if chances else logits)[:, self._channels]
        return (logits.clamp(min=LEAST).log() if self._probabilities else logits)[:, self._channels]

    def _indexed(self, answer: Tensor) -> Tensor:
        """Return logits of classes that are told as numbers ``(b, rows, cols)``."""
        if answer.ndim == 4:
            answer = answer.squeeze(3 if answer.shape[3] == 1 else 1)
        count = len(self._values)
        if self._foreign.background is None:
            numbers = list(self._values)  # a definition lists them
        else:
            first = 1 if self._foreign.background else 0
            numbers = list(range(first, first + count))
        found = [answer == number for number in numbers]
        nothing = ~torch.stack(found).any(0)
        return torch.stack([nothing, *found], 1).float() * FAR_BELOW
