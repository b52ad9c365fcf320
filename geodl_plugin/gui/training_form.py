"""The fields of a training: the same values as the parameters of the tool 'Train model'."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from qgis.core import QgsMapLayerProxyModel, QgsRasterLayer, QgsSettings
from qgis.gui import QgsFileWidget, QgsMapLayerComboBox
from qgis.PyQt.QtCore import QCoreApplication, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGroupBox,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ..core.arguments import compose, entries, parse_entries
from ..core.learning.options import TrainingOptions
from ..core.models.registry import model_types
from ..core.places import unquoted

SETTINGS = "geodl/training"
AUGMENTATION = "AUGMENTATION_PARAMETERS"
BACKBONES = ("resnet18", "resnet34", "resnet50", "resnet101")
_DEFAULTS = {
    each.name.upper(): each.default
    for each in fields(TrainingOptions)
    if each.default is not MISSING
}
DEVICES = ("auto", "cpu", "cuda", "mps")


class TrainingForm(QWidget):
    """Asks for what a training needs, and remembers the last answers."""

    tool_wanted = pyqtSignal()
    inspection_wanted = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._make_data_fields()
        self._make_model_fields()
        self._make_training_fields()
        layout = QVBoxLayout(self)
        for group in self._groups():
            layout.addWidget(group)
        for text, wanted in (
            (self.tr("See the chips as the network does"), self.inspection_wanted),
            (self.tr("All options in the tool Train model"), self.tool_wanted),
        ):
            link = QLabel(f"<a href='#'>{text}</a>")
            link.linkActivated.connect(wanted.emit)
            layout.addWidget(link)
        layout.addStretch(1)
        # What the form shows at first is what the tool does by default.
        self.set_parameters(_DEFAULTS)
        self.restore()

    def _groups(self) -> list[QGroupBox]:
        """Return the fields in their groups, all labels as wide as the widest."""
        groups = {
            self.tr("Data"): (
                (self.tr("Training data"), self.input),
                (self.tr("Output folder"), self.output),
            ),
            self.tr("Model"): (
                (self.tr("Model type"), self.model_type),
                (self.tr("Backbone"), self.backbone),
                (self.tr("Weights"), self.weights),
                (self.tr("Arguments"), self.arguments),
            ),
            self.tr("Training"): (
                (self.tr("Epochs"), self.epochs),
                (self.tr("Batch size"), self.batch_size),
                (self.tr("Learning rate"), self.learning_rate),
                (self.tr("Validation (%)"), self.validation),
                (self.tr("Device"), self.device),
                (self.tr("Interrupted"), self.resume),
                (self.tr("Further"), self.further),
            ),
            self.tr("Afterwards"): ((self.tr("Apply to"), self.apply_to),),
        }
        metrics = self.fontMetrics()
        texts = [text for rows in groups.values() for text, _ in rows]
        width = max(metrics.horizontalAdvance(text) for text in texts) + 6
        return [_group(title, rows, width) for title, rows in groups.items()]

    def _make_data_fields(self) -> None:
        self.input = _folder_field(self.tr("Folder of the exported training data"))
        self.input.setToolTip(
            self.tr("A folder written by the tool 'Export training data', or several with ';'.")
        )
        self.output = _folder_field(self.tr("Folder of the trained model"))
        self.output.setToolTip(
            self.tr("The model package (.dlpk) and the report are written here.")
        )

    def _make_model_fields(self) -> None:
        self.model_type = QComboBox()
        self.model_type.addItem(self.tr("Choose from the data"), "")
        for kind in model_types():
            self.model_type.addItem(kind.name, kind.name)
            self.model_type.setItemData(
                self.model_type.count() - 1, kind.description, Qt.ItemDataRole.ToolTipRole
            )
        self.backbone = _editable(BACKBONES)
        self.backbone.setToolTip(
            self.tr("The encoder of the network; any encoder of timm as timm:NAME.")
        )
        self.weights = _editable(("imagenet", "none"))
        self.weights.setToolTip(
            self.tr("imagenet starts from a trained encoder, none from scratch; or a file.")
        )
        self.arguments = QLineEdit()
        self.arguments.setPlaceholderText(self.tr("name=value;name=value"))

    def _make_training_fields(self) -> None:
        self.epochs = _number(1, 10_000, 20)
        self.batch_size = _number(0, 4096, 0)
        self.batch_size.setSpecialValueText(self.tr("Automatic"))
        self.learning_rate = QLineEdit()
        self.learning_rate.setPlaceholderText(self.tr("Automatic"))
        self.learning_rate.setToolTip(
            self.tr("1e-3 for example, or 1e-4,1e-3 for encoder and head.")
        )
        self.validation = _number(1, 90, 10)
        self.device = _editable(DEVICES)
        self.device.setToolTip(
            self.tr("auto takes a GPU where there is one; cuda:1 is the second GPU.")
        )
        self.resume = QCheckBox(self.tr("Go on where it ended"))
        self.resume.setToolTip(
            self.tr(
                "A training of the same options into the same folder that was cancelled or "
                "killed goes on after its last epoch. Otherwise it starts anew."
            )
        )
        self.further = QLineEdit()
        self.further.setPlaceholderText(self.tr("NAME=value;NAME=value"))
        self.further.setToolTip(
            self.tr(
                "Any other parameter of the tool Train model, for example "
                "PRETRAINED_MODEL=trees.dlpk;CLASS_WEIGHTS=balanced;MONITOR=MIOU"
            )
        )
        self.apply_to = QgsMapLayerComboBox()
        self.apply_to.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.apply_to.setAllowEmptyLayer(True, self.tr("No layer"))
        self.apply_to.setCurrentIndex(0)
        self.apply_to.setToolTip(
            self.tr("The trained model is applied to this raster and the result added.")
        )

    def parameters(self) -> dict[str, Any]:
        """Return the fields by the names of the parameters of 'Train model'.

        Raises:
            InputError: when a further one is unknown or has the wrong type.
        """
        return {**self._own_parameters(), **self._further_parameters()}

    def _further_parameters(self) -> dict[str, Any]:
        """Return what the user has written besides the fields."""
        defaults = {name: value for name, value in _DEFAULTS.items() if name not in self._fields()}
        listed = _joined(entries(self.further.text()))
        written = {entry.partition("=")[0].strip() for entry in listed}
        # The settings of an augmentation are a list of their own, with names in small letters.
        own = [entry for entry in listed if AUGMENTATION in written and entry[0].islower()]
        given = parse_entries((entry for entry in listed if entry not in own), defaults)
        if own:
            given[AUGMENTATION] = ";".join(filter(None, (given[AUGMENTATION], *own)))
        return {name: value for name, value in given.items() if name in written}

    def _own_parameters(self) -> dict[str, Any]:
        return {
            "INPUT": unquoted(self.input.filePath()),
            "MODEL_TYPE": self.model_type.currentData() or "",
            "BACKBONE": self.backbone.currentText().strip(),
            "WEIGHTS": self.weights.currentText().strip(),
            "MODEL_ARGUMENTS": self.arguments.text().strip(),
            "MAX_EPOCHS": self.epochs.value(),
            "BATCH_SIZE": self.batch_size.value(),
            "LEARNING_RATE": self.learning_rate.text().strip(),
            "VALIDATION_PERCENTAGE": self.validation.value(),
            "DEVICE": self.device.currentText().strip(),
            "RESUME": self.resume.isChecked(),
            "OUTPUT": unquoted(self.output.filePath()),
        }

    def inspection(self) -> dict[str, Any]:
        """Return the parameters of 'Inspect training data' that show what will be trained.

        Raises:
            InputError: when a further parameter is unknown or has the wrong type.
        """
        values = {**_DEFAULTS, **self.parameters()}
        taken = ("SEED", "AUGMENTATION", AUGMENTATION)
        chosen = {name: values[name] for name in taken if values[name] != _DEFAULTS[name]}
        first = next((each.strip() for each in values["INPUT"].split(";") if each.strip()), "")
        return {"INPUT": first, "AUGMENT": True, **chosen}

    def options(self) -> TrainingOptions:
        """Return the fields as the options of a training; the tool's parameters give the same.

        Raises:
            InputError: when one of them cannot be used.
        """
        options = TrainingOptions(
            **{name.lower(): value for name, value in self.parameters().items()}
        )
        options.check()
        return options

    def set_parameters(self, values: dict[str, Any]) -> None:
        """Fill the fields in from parameters of 'Train model'; others stay as they are."""
        for name, field in self._fields().items():
            if name in values:
                _set_value(field, values[name])
        further = {
            name: value
            for name, value in values.items()
            if name in _DEFAULTS and name not in self._fields()
        }
        if further:
            unusual = {name: each for name, each in further.items() if each != _DEFAULTS[name]}
            self.further.setText(compose(unusual))

    def apply_layer(self) -> QgsRasterLayer | None:
        """Return the raster to which the trained model is to be applied."""
        return self.apply_to.currentLayer()

    def problem(self) -> str:
        """Return what is missing, as a sentence; empty when the training can start."""
        values = self._own_parameters()
        if not values["INPUT"]:
            return self.tr("Choose the folder of the training data.")
        for folder in filter(None, map(str.strip, values["INPUT"].split(";"))):
            if not Path(folder).is_dir():
                return self.tr("There is no folder '{}'. Choose the folder of the data.").format(
                    folder
                )
        if not values["OUTPUT"]:
            return self.tr("Choose an output folder for the model.")
        return ""

    def remember(self) -> None:
        """Keep the fields for the next window."""
        QgsSettings().setValue(SETTINGS, self.parameters())

    def restore(self) -> None:
        """Fill in the fields of the last training."""
        values = QgsSettings().value(SETTINGS)
        if isinstance(values, dict):
            self.set_parameters(values)

    def _fields(self) -> dict[str, QWidget]:
        return {
            "INPUT": self.input,
            "MODEL_TYPE": self.model_type,
            "BACKBONE": self.backbone,
            "WEIGHTS": self.weights,
            "MODEL_ARGUMENTS": self.arguments,
            "MAX_EPOCHS": self.epochs,
            "BATCH_SIZE": self.batch_size,
            "LEARNING_RATE": self.learning_rate,
            "VALIDATION_PERCENTAGE": self.validation,
            "DEVICE": self.device,
            "RESUME": self.resume,
            "OUTPUT": self.output,
        }

    def tr(self, text: str) -> str:
        """Translate a literal of the form."""
        return QCoreApplication.translate("GeoDL", text)


def _joined(listed: list[str]) -> list[str]:
    """Return entries with the parts of lists, which have no name of their own, back in theirs."""
    found: list[str] = []
    for entry in listed:
        if found and "=" not in entry:
            found[-1] += f";{entry}"
        else:
            found.append(entry)
    return found


def _group(title: str, rows: tuple[tuple[str, QWidget], ...], width: int) -> QGroupBox:
    group = QGroupBox(title)
    form = QFormLayout(group)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
    for text, field in rows:
        label = QLabel(text)
        label.setMinimumWidth(width)
        label.setBuddy(field)
        label.setToolTip(field.toolTip())
        # A long name in a list must not keep the dock from being narrow.
        field.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        field.setMinimumWidth(110)
        form.addRow(label, field)
    return group


def _folder_field(title: str) -> QgsFileWidget:
    field = QgsFileWidget()
    field.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
    field.setDialogTitle(title)
    return field


def _editable(choices: tuple[str, ...]) -> QComboBox:
    field = QComboBox()
    field.setEditable(True)
    field.addItems(choices)
    return field


def _number(low: int, high: int, value: int) -> QSpinBox:
    field = QSpinBox()
    field.setRange(low, high)
    field.setValue(value)
    return field


def _set_value(field: QWidget, value: Any) -> None:
    if isinstance(field, QgsFileWidget):
        field.setFilePath(str(value))
    elif isinstance(field, QCheckBox):
        field.setChecked(value in (True, "true"))
    elif isinstance(field, QSpinBox):
        field.setValue(int(value))
    elif isinstance(field, QLineEdit):
        field.setText(str(value))
    elif isinstance(field, QComboBox):
        if field.isEditable():
            field.setCurrentText(str(value))
        else:
            field.setCurrentIndex(max(field.findData(value), 0))
