"""Train model: from a training-data folder to a model package."""

from __future__ import annotations

import dataclasses
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputFile,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..core.learning.bands import WEIGHT_INIT_SCHEMES
from ..core.learning.losses import LOSSES
from ..core.learning.options import ALL_MONITORS, TrainingOptions
from ..core.models.registry import model_types
from ..core.progress import Progress
from .base import GeoDLAlgorithm
from .parameters import (
    AUGMENTATION,
    AUGMENTATION_PARAMETERS,
    DEVICE,
    PRECISION,
    add_augmentation,
    add_device,
)

INPUT = "INPUT"
MODEL_TYPE = "MODEL_TYPE"
BACKBONE = "BACKBONE"
MODEL_ARGUMENTS = "MODEL_ARGUMENTS"
PRETRAINED_MODEL = "PRETRAINED_MODEL"
WEIGHTS = "WEIGHTS"
MAX_EPOCHS = "MAX_EPOCHS"
BATCH_SIZE = "BATCH_SIZE"
LEARNING_RATE = "LEARNING_RATE"
VALIDATION_PERCENTAGE = "VALIDATION_PERCENTAGE"
STOP_TRAINING = "STOP_TRAINING"
FREEZE = "FREEZE"
CHIP_SIZE = "CHIP_SIZE"
RESIZE_TO = "RESIZE_TO"
EXTRACT_BANDS = "EXTRACT_BANDS"
WEIGHT_INIT_SCHEME = "WEIGHT_INIT_SCHEME"
LOSS = "LOSS"
CLASS_WEIGHTS = "CLASS_WEIGHTS"
IGNORE_CLASSES = "IGNORE_CLASSES"
MONITOR = "MONITOR"
RESUME = "RESUME"
SEED = "SEED"
DEVICES = "DEVICES"
OUTPUT = "OUTPUT"
OUTPUT_MODEL = "OUTPUT_MODEL"
OUTPUT_REPORT = "OUTPUT_REPORT"
EPOCHS = "EPOCHS"
BEST_SCORE = "BEST_SCORE"

_INTEGER = QgsProcessingParameterNumber.Type.Integer
_REAL = QgsProcessingParameterNumber.Type.Double
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(TrainingOptions)}


class TrainModel(GeoDLAlgorithm):
    """Trains a model in the worker process."""

    NAME = "trainmodel"
    LABEL = "Train model"
    GROUP = "Models"
    GROUP_ID = "models"
    SUMMARY = (
        "Trains a network on a folder of training data and writes it as a model package (.dlpk) "
        "with a report.\n"
        "A training that was cancelled or killed goes on when it is started again with the same "
        "options. Logs for TensorBoard are written into the folder that the environment variable "
        "GEODL_TENSORBOARD names, where TensorBoard is installed."
    )
    CANCELLED = "Cancelled: no model was written."

    def add_parameters(self) -> None:
        self._add_network()
        self._add_training()
        self._add_losses()
        add_augmentation(self)
        self._add_images()
        self._add_running()
        add_device(self)
        self.add(
            QgsProcessingParameterFolderDestination(OUTPUT, self.tr("Model folder")),
            self.tr("Gets the model package, named like the folder, and model_metrics.html."),
        )
        self.addOutput(QgsProcessingOutputFile(OUTPUT_MODEL, self.tr("Model package")))
        self.addOutput(QgsProcessingOutputHtml(OUTPUT_REPORT, self.tr("Training report")))
        self.addOutput(QgsProcessingOutputNumber(EPOCHS, self.tr("Epochs trained")))
        self.addOutput(QgsProcessingOutputNumber(BEST_SCORE, self.tr("Best score")))

    def _add_network(self) -> None:
        """Add the data and what kind of network learns from it."""
        self.add(
            QgsProcessingParameterFile(
                INPUT,
                self.tr("Training data"),
                behavior=QgsProcessingParameterFile.Behavior.Folder,
            ),
            self.tr(
                "A folder that 'Export training data' made, or one like it; or several of the "
                "same bands and classes with ';' between. A folder called validation among or "
                "in them holds the chips that validate, as valid does in sets of other programs."
            ),
        )
        kinds = model_types()
        self.add(
            QgsProcessingParameterEnum(
                MODEL_TYPE,
                self.tr("Model type"),
                [each.name for each in kinds],
                optional=True,
                usesStaticStrings=True,
            ),
            self.tr("Default is the one that fits the data.")
            + "".join(f" {each.name}: {each.description}" for each in kinds),
        )
        self._add_text(
            BACKBONE,
            self.tr("Backbone"),
            self.tr(
                "The encoder: resnet18, resnet34, resnet50 …, or any network of timm as timm:NAME."
            ),
        )
        arguments = "; ".join(
            f"{each.name}: " + (", ".join(each.arguments) or self.tr("none")) for each in kinds
        )
        self._add_text(
            MODEL_ARGUMENTS,
            self.tr("Model arguments"),
            self.tr(
                "The model type's own arguments as name=value;name=value, for example "
                "grids=[16,8];zooms=[1.0]. Known are:"
            )
            + f" {arguments}.",
        )
        self._add_text(
            PRETRAINED_MODEL,
            self.tr("Model to go on from"),
            self.tr(
                "A model package (.dlpk) or the name of an installed model. Type, backbone and "
                "arguments are those of the model, but for mixup and oversample. Classes of the "
                "same name keep what it has learnt, others are new; other bands are adapted."
            ),
            advanced=True,
        )
        self._add_text(
            WEIGHTS,
            self.tr("Weights of the backbone"),
            self.tr("imagenet (downloaded once), none (random), or a file (.safetensors, .pth)."),
        )

    def _add_training(self) -> None:
        """Add how long and how fast to train."""
        self.add(
            self._number(MAX_EPOCHS, self.tr("Maximum epochs"), _INTEGER, 1),
            self.tr("How often to go through the chips at most."),
        )
        self.add(
            self._number(BATCH_SIZE, self.tr("Batch size (chips)"), _INTEGER, 0),
            self.tr("Chips in a step; 0 chooses: 8 on a CPU, on a GPU what fits its memory."),
        )
        self._add_text(
            LEARNING_RATE,
            self.tr("Learning rate"),
            self.tr(
                "Empty has it found. One rate like 1e-3, or two for encoder and head like "
                "1e-4,1e-3. With one rate a pretrained encoder gets a tenth of it."
            ),
        )
        self.add(
            self._number(VALIDATION_PERCENTAGE, self.tr("Validation (percent)"), _REAL, 0, 90),
            self.tr(
                "Share of the chips that is kept from training to measure the scores, in "
                "blocks of the map; training chips that overlap these are left out. No class is "
                "left without training chips."
            ),
        )
        self.add(
            QgsProcessingParameterBoolean(
                STOP_TRAINING, self.tr("Stop early"), _DEFAULTS["stop_training"]
            ),
            self.tr("Stop when the monitored score has not got better for five epochs."),
        )

    def _add_losses(self) -> None:
        """Add what the network learns from its errors."""
        self._add_text(
            FREEZE,
            self.tr("Freeze the backbone"),
            self.tr(
                "true: a pretrained encoder rests; false: all layers train; a number: the "
                "encoder trains from that epoch on. Without pretrained weights all train."
            ),
            advanced=True,
        )
        self._add_text(
            LOSS,
            self.tr("Loss"),
            self.tr(
                "Of models that classify pixels: a name, or a sum like "
                "0.5*lovasz+0.5*cross_entropy. Models that classify chips know cross_entropy "
                "and focal; detectors have their own. Where classes are rare, dice(macro=true) "
                "and tversky(macro=true) average over the classes, the background among them, "
                "instead of over all pixels together, which is the default. "
                "tversky(alpha=0.3) does so too, and misses weigh 0.7, what is told wrongly 0.3; "
                "focal_tversky has alpha and gamma=0.75, focal has gamma=2. Known are:"
            )
            + f" {', '.join(LOSSES)}.",
            advanced=True,
        )
        self._add_text(
            CLASS_WEIGHTS,
            self.tr("Class weights"),
            self.tr(
                "Of models that classify pixels or chips. none: all classes weigh alike; "
                "balanced: rare ones weigh more, by one over their frequency; or one number a "
                "class in the order of their values, like 1,2.5. Of pixels the background may "
                "come first, else it weighs 1."
            ),
            advanced=True,
        )
        self._add_text(
            IGNORE_CLASSES,
            self.tr("Classes to ignore"),
            self.tr(
                "Names or values with ';' between. They carry no loss and no score, and the "
                "model does not know them; to detectors their objects are background. 0 or "
                "background are the pixels without a class: ignore them where labels are "
                "incomplete; the model then gives each pixel one of its classes."
            ),
            advanced=True,
        )

    def _add_images(self) -> None:
        """Add what the network sees of the chips."""
        self.add(
            self._number(CHIP_SIZE, self.tr("Chip size (pixels)"), _INTEGER, 0),
            self.tr(
                "Side of what the network sees, a multiple of 32; larger chips are cropped "
                "at random, chips as large as their feature are scaled to it. 0 takes the chips' "
                "own size; of several sizes the side that three of four have at least, but at "
                "most 1,024 (512 where each chip is one object or photo, seen as a whole)."
            ),
            advanced=True,
        )
        self.add(
            self._number(RESIZE_TO, self.tr("Resize to (pixels)"), _INTEGER, 0),
            self.tr(
                "Side to which chips are scaled inside the network, a multiple of 32: larger "
                "than the chips for objects of few pixels. 0 leaves them as they are. Not for "
                "models that outline objects."
            ),
            advanced=True,
        )
        self._add_text(
            EXTRACT_BANDS,
            self.tr("Bands to learn from"),
            self.tr(
                "Names or positions with ';' between, where the first band is 0, for example "
                "3;0;1. Empty takes all bands."
            ),
            advanced=True,
        )
        self._add_enum(
            WEIGHT_INIT_SCHEME,
            self.tr("Weights of further bands"),
            list(WEIGHT_INIT_SCHEMES),
            self.tr(
                "Pretrained weights are for red, green and blue: the bands of these names, else "
                "the first three, get them. Further bands start from random weights (RANDOM) or "
                "from those of red (RED_BAND); ALL_RANDOM gives random ones to all. They learn "
                "also where the backbone rests."
            ),
        )

    def _add_running(self) -> None:
        """Add how a training is watched, resumed and spread."""
        self._add_enum(
            MONITOR,
            self.tr("Monitor"),
            list(ALL_MONITORS),
            self.tr(
                "The score whose best epoch is kept. Average precision is for detectors, by the "
                "boxes, or by the masks of models that outline; "
                "MIOU and DICE are for pixels, accuracy for pixels and objects."
            ),
        )
        self.add(
            QgsProcessingParameterBoolean(
                RESUME, self.tr("Resume an interrupted training"), _DEFAULTS["resume"]
            ),
            self.tr(
                "Go on after the last finished epoch where a training of the same options into "
                "the same folder was cancelled or killed; the model is then the same as if it "
                "had not been. Otherwise start anew."
            ),
            advanced=True,
        )
        self.add(
            self._number(SEED, self.tr("Seed"), _INTEGER, 0),
            self.tr("Of all random choices: the same seed gives the same model."),
            advanced=True,
        )
        self.add(
            self._number(DEVICES, self.tr("Devices"), _INTEGER, 1),
            self.tr(
                "How many GPUs train together, from the first on. Each computes batches of the "
                "batch size, so that a step learns from as many times more chips."
            ),
            advanced=True,
        )

    def _add_text(self, name: str, label: str, help_text: str, advanced: bool = False) -> None:
        parameter = QgsProcessingParameterString(
            name, label, _DEFAULTS[name.lower()] or None, optional=True
        )
        self.add(parameter, help_text, advanced)

    def _add_enum(self, name: str, label: str, choices: list[str], help_text: str) -> None:
        parameter = QgsProcessingParameterEnum(
            name, label, choices, defaultValue=_DEFAULTS[name.lower()], usesStaticStrings=True
        )
        self.add(parameter, help_text, advanced=True)

    def _number(
        self, name: str, label: str, kind: Any, least: float, most: float = 2**31 - 1
    ) -> QgsProcessingParameterNumber:
        return QgsProcessingParameterNumber(
            name, label, kind, _DEFAULTS[name.lower()], minValue=least, maxValue=most
        )

    def work(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        options = TrainingOptions(
            input=self.text(parameters, INPUT, context),
            output=self.text(parameters, OUTPUT, context),
            model_type=self.parameterAsEnumString(parameters, MODEL_TYPE, context) or "",
            backbone=self.text(parameters, BACKBONE, context) or _DEFAULTS["backbone"],
            model_arguments=self.text(parameters, MODEL_ARGUMENTS, context),
            pretrained_model=self.text(parameters, PRETRAINED_MODEL, context),
            weights=self.text(parameters, WEIGHTS, context) or _DEFAULTS["weights"],
            max_epochs=self.parameterAsInt(parameters, MAX_EPOCHS, context),
            batch_size=self.parameterAsInt(parameters, BATCH_SIZE, context),
            learning_rate=self.text(parameters, LEARNING_RATE, context),
            validation_percentage=self.parameterAsDouble(
                parameters, VALIDATION_PERCENTAGE, context
            ),
            stop_training=self.parameterAsBool(parameters, STOP_TRAINING, context),
            freeze=self.text(parameters, FREEZE, context) or _DEFAULTS["freeze"],
            loss=self.text(parameters, LOSS, context) or _DEFAULTS["loss"],
            class_weights=self.text(parameters, CLASS_WEIGHTS, context),
            ignore_classes=self.text(parameters, IGNORE_CLASSES, context),
            augmentation=self.parameterAsEnumString(parameters, AUGMENTATION, context),
            augmentation_parameters=self.text(parameters, AUGMENTATION_PARAMETERS, context),
            chip_size=self.parameterAsInt(parameters, CHIP_SIZE, context),
            resize_to=self.parameterAsInt(parameters, RESIZE_TO, context),
            extract_bands=self.text(parameters, EXTRACT_BANDS, context),
            weight_init_scheme=self.parameterAsEnumString(parameters, WEIGHT_INIT_SCHEME, context),
            monitor=self.parameterAsEnumString(parameters, MONITOR, context),
            resume=self.parameterAsBool(parameters, RESUME, context),
            devices=self.parameterAsInt(parameters, DEVICES, context),
            seed=self.parameterAsInt(parameters, SEED, context),
            device=self.text(parameters, DEVICE, context) or "auto",
            precision=self.parameterAsEnumString(parameters, PRECISION, context) or "auto",
        )
        options.check()
        result = self.run_worker("train", dataclasses.asdict(options), progress)
        return {
            OUTPUT: options.output,
            OUTPUT_MODEL: result["model"],
            OUTPUT_REPORT: result["report"],
            EPOCHS: result["epochs"],
            BEST_SCORE: result["best_score"],
        }
