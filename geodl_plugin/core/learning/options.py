"""What a training can be told; readable without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..models.registry import Task
from ..overwriting import same_file
from .augmentation_settings import settings_of
from .bands import WEIGHT_INIT_SCHEMES
from .classes import check_weights
from .losses import DEFAULT_LOSS, LOSSES, OF_SINGLE_ANSWERS, terms

# What MONITOR may watch, by task; the first one besides the loss is the task's own score.
MONITORS: dict[Task, tuple[str, ...]] = {
    Task.DETECTION: ("VALID_LOSS", "AVERAGE_PRECISION", "F1_SCORE", "PRECISION", "RECALL"),
    Task.PIXELS: ("VALID_LOSS", "MIOU", "ACCURACY", "F1_SCORE", "DICE", "PRECISION", "RECALL"),
    Task.INSTANCES: ("VALID_LOSS", "AVERAGE_PRECISION", "F1_SCORE", "PRECISION", "RECALL"),
    Task.OBJECTS: ("VALID_LOSS", "ACCURACY", "F1_SCORE", "PRECISION", "RECALL"),
    Task.CHANGE: ("VALID_LOSS", "MIOU", "ACCURACY", "F1_SCORE", "DICE", "PRECISION", "RECALL"),
}
ALL_MONITORS = (
    "VALID_LOSS",
    "AVERAGE_PRECISION",
    "ACCURACY",
    "F1_SCORE",
    "MIOU",
    "DICE",
    "PRECISION",
    "RECALL",
)


@dataclass(frozen=True)
class TrainingOptions:
    """All options of a training, in types that JSON knows.

    Args:
        input: the training-data folder, or several with ``;`` between; one called
            ``validation`` among or in them holds the chips that validate.
        output: the folder that the model is written to.
        model_type: name in the registry; empty takes the one that fits the data.
        backbone: name of the encoder.
        model_arguments: the model type's own arguments, ``name=value;…``.
        pretrained_model: a trained model to go on from, also with other classes.
        weights: ``imagenet``, ``none`` or a file with the encoder's weights.
        max_epochs: how many epochs to train at most.
        batch_size: chips in a step; 0 chooses.
        learning_rate: empty finds it; one rate, or two for encoder and head.
        validation_percentage: share of the chips that is kept for validation.
        stop_training: whether to stop early when the monitored score no longer gets better.
        freeze: ``true``, ``false`` or the epoch from which the pretrained encoder trains too.
        loss: name or weighted sum of losses, some with arguments as in
            ``tversky(alpha=0.3)``; detectors have their own.
        class_weights: ``none``, ``balanced``, or one number a class with commas between.
        ignore_classes: names or values of classes that are not learned, ``;`` between; 0 or
            ``background`` are the pixels without a class.
        augmentation: ``DEFAULT``, ``NONE`` or ``CUSTOM``.
        augmentation_parameters: what a custom one changes, ``name=value;…``.
        chip_size: side of what the network sees, in pixels; 0 takes the chips' own, of several
            sizes the one that three of four have at least, within limits of :mod:`.own_sizes`.
        resize_to: side to which these are scaled for the network, in pixels; 0 leaves them.
        weight_init_scheme: what the bands besides red, green and blue start from: ``RANDOM``,
            ``RED_BAND``, or ``ALL_RANDOM`` for all bands.
        extract_bands: positions from 0, or names, of the bands to learn from, ``;`` between;
            empty takes all.
        monitor: the score whose best epoch is kept.
        resume: whether to go on with an interrupted training in the output folder.
        seed: of all random choices.
        devices: how many devices train together.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
    """

    input: str
    output: str
    model_type: str = ""
    backbone: str = "resnet34"
    model_arguments: str = ""
    pretrained_model: str = ""
    weights: str = "imagenet"
    max_epochs: int = 20
    batch_size: int = 0
    learning_rate: str = ""
    validation_percentage: float = 10.0
    stop_training: bool = True
    freeze: str = "true"
    loss: str = DEFAULT_LOSS
    class_weights: str = "none"
    ignore_classes: str = ""
    augmentation: str = "DEFAULT"
    augmentation_parameters: str = ""
    chip_size: int = 0
    resize_to: int = 0
    weight_init_scheme: str = "RANDOM"
    extract_bands: str = ""
    monitor: str = "VALID_LOSS"
    resume: bool = True
    seed: int = 42
    devices: int = 1
    device: str = "auto"
    precision: str = "auto"

    def check(self) -> None:
        """Raise :class:`InputError` when an option cannot be used, whatever the data."""
        if not self.output.strip():
            raise InputError("No output folder is given. Choose a folder for the model.")
        if self.pretrained_model.strip() and same_file(self.package, self.pretrained_model.strip()):
            raise InputError(
                f"PRETRAINED_MODEL '{self.package.name}' would be replaced by the new model. "
                "Choose another OUTPUT."
            )
        if self.max_epochs < 1:
            raise InputError(f"MAX_EPOCHS={self.max_epochs} must be 1 at least.")
        if self.devices < 1:
            raise InputError(f"DEVICES={self.devices} must be 1 at least.")
        if self.batch_size < 0:
            raise InputError(f"BATCH_SIZE={self.batch_size} must not be negative; 0 chooses.")
        if not 0 <= self.validation_percentage <= 90:
            raise InputError(
                f"VALIDATION_PERCENTAGE={self.validation_percentage:g} must lie between 0 and 90."
            )
        settings_of(self.augmentation, self.augmentation_parameters, "MAP_SPACE")
        if 0 < self.chip_size < 32 or self.chip_size < 0:
            raise InputError(
                f"CHIP_SIZE={self.chip_size} is too small for a network. Use 32 at least, "
                "or 0 for the chips' own size."
            )
        if self.resize_to < 0 or self.resize_to % 32:
            raise InputError(
                f"RESIZE_TO={self.resize_to} must be a multiple of 32 pixels, or 0 to leave the "
                "chips as they are."
            )
        if self.weight_init_scheme not in WEIGHT_INIT_SCHEMES:
            raise InputError(
                f"There is no WEIGHT_INIT_SCHEME '{self.weight_init_scheme}'. "
                f"Choose one of: {', '.join(WEIGHT_INIT_SCHEMES)}."
            )
        check_weights(self.class_weights)
        self.rates()
        self.freeze_until()

    @property
    def package(self) -> Path:
        """The package that the training writes, named after the output folder."""
        folder = Path(self.output).expanduser().absolute()
        return folder / f"{folder.name}.dlpk"

    def rates(self) -> tuple[float, ...]:
        """Return no rate, one, or those of encoder and head; raise :class:`InputError`."""
        if not self.learning_rate.strip():
            return ()
        try:
            rates = tuple(float(part) for part in self.learning_rate.split(","))
        except ValueError:
            rates = (-1.0,)
        if len(rates) > 2 or not all(0 < rate < 100 for rate in rates):
            raise InputError(
                f"'{self.learning_rate}' is no learning rate. Write one like 1e-3, two for "
                "encoder and head like 1e-4,1e-3, or leave it empty to have it found."
            )
        return rates

    def freeze_until(self) -> int:
        """Return the epoch, from 1, at which the encoder starts to train; 0 means never.

        Raises:
            InputError: when the text says nothing of the kind.
        """
        text = self.freeze.strip().lower()
        if text in ("true", "yes", "on"):
            return 0
        if text in ("false", "no", "off"):
            return 1
        if text.isdecimal() and int(text) >= 1:
            return int(text)
        raise InputError(
            f"FREEZE={self.freeze} must be true, false, or the epoch at which the encoder "
            "starts to train."
        )

    def loss_of(self, task: Task) -> str:
        """Return the loss; raise :class:`InputError` if there is none such for the task."""
        wanted = terms(self.loss)
        known = {Task.PIXELS: LOSSES, Task.CHANGE: LOSSES, Task.OBJECTS: OF_SINGLE_ANSWERS}
        if task not in known and wanted != terms(DEFAULT_LOSS):
            raise InputError(
                f"LOSS={self.loss} is not for models that find objects, which have losses of their "
                "own. Leave it out."
            )
        allowed = tuple(known.get(task, (DEFAULT_LOSS,)))
        for each in wanted:
            if each.name not in allowed:
                raise InputError(
                    f"LOSS={self.loss} is for models that classify pixels. "
                    f"Use {' or '.join(allowed)}."
                )
        return self.loss

    def monitor_of(self, task: Task) -> str:
        """Return the monitored score; raise :class:`InputError` if the task has no such."""
        monitor = self.monitor.strip().upper()
        if monitor not in MONITORS[task]:
            raise InputError(
                f"MONITOR={self.monitor} says nothing about this model type. "
                f"Choose one of: {', '.join(MONITORS[task])}."
            )
        return monitor
