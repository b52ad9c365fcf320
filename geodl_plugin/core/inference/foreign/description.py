"""What a definition and the user say of a network that GeoDL did not train; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...arguments import entries
from ...errors import InputError, ModelError
from ...models.registry import Task
from ...packages.cell_size import told_metres, trained_metres
from ...packages.definition import CaselessDict, ModelDefinition
from ...packages.networks.metadata import (
    BYTE,
    NETWORK,
    TASKS,
    classes,
    first_is_background,
    is_number,
)
from .forms import TORCHVISION, YOLO, form_of
from .functions import JOINED_LABELS, function_of
from .lists import integers, listed
from .normalization import normalization

USUAL_SIDE = 512  # pixels of a tile, where nobody says

# What can be said of a network in a tool's ARGUMENTS, each with what it means.
ARGUMENTS = {
    "classes": "names of the classes in the order of the answers, with commas between",
    "bands": "the raster's bands it takes, counted from 0, with commas between",
    "model_type": "detection, pixels or objects",
    "det_type": "form of a detector's answer: yolo, yolo_v5, yolo_segmentation, yolo_obb, detr, …",
    "scale": "pixels are divided by it",
    "mean": "taken off after that, one number for each band or for all",
    "std": "by which the rest is divided, as mean",
    "layout": "NCHW or NHWC",
    "answer": "logits or probabilities",
}
LAYOUTS = ("NCHW", "NHWC")
ANSWERS = ("logits", "probabilities")
_RASTERS = (Task.PIXELS, Task.CHANGE)  # the background is an answer there

# Which reader opens a file, by its extension; "" is a folder.
LOADERS = {
    ".onnx": "graph",
    ".pb": "graph",
    "": "graph",
    ".tflite": "graph",
    ".xml": "graph",
    ".pdmodel": "graph",
    ".pt": "torchscript",
    ".pth": "torchscript",
    ".pt2": "torch_export",
}


@dataclass(frozen=True)
class Foreign:
    """How a network is opened, asked and understood.

    Attributes:
        loader: its reader's name in the registry of loaders.
        file: its file or folder inside the model.
        task: what it answers.
        form: of a detector's answer; "" to tell by the shapes.
        usual: its form where the shapes do not tell another one.
        from_zero: whether the labels that a detector gives count its first class as 0.
        answer: "logits", "probabilities", or "" to tell by the values.
        background: whether the first answer of pixels is the background; ``None`` to tell by
            how many there are.
        threshold: from which probability a single answer means its class.
        least: probability below which no class of several is believed.
        layout: NCHW or NHWC of the images, "" to tell by the shapes.
        fixed: side of the only tile it takes, 0 for any.
        step: of which a tile's side is a multiple.
        raw: whether it takes bytes.
        assumed: what nobody said and is taken for granted, one sentence.
        arguments: of a Python function, as the user wrote them.
    """

    loader: str
    file: str
    task: Task
    form: str = ""
    usual: str = ""
    from_zero: bool = False
    answer: str = ""
    background: bool | None = None
    threshold: float = 0.5
    least: float = 0.0
    layout: str = ""
    fixed: int = 0
    step: int = 32
    raw: bool = False
    assumed: str = ""
    arguments: dict[str, str] = field(default_factory=dict)


def is_foreign(definition: ModelDefinition) -> bool:
    """Return whether GeoDL did not train a model, or only its converted network is there."""
    return not definition.geodl.get("architecture")


def read_foreign(
    definition: ModelDefinition,
    task: Task,
    arguments: Mapping[str, str] | None = None,
    allow_code: bool = False,
) -> dict[str, Any]:
    """Return the fields of the :class:`Model` of a network that GeoDL did not train.

    Args:
        definition: of the model; what it leaves open is filled in from the arguments.
        task: of the tool, which is the network's too where nobody says.
        arguments: names and texts from the user.
        allow_code: whether Python code of the model's author may run.

    Raises:
        InputError: when an argument has no sense.
        ModelError: one sentence about what is missing.
    """
    given = dict(arguments or {})
    function = function_of(definition, allow_code)
    if function:
        return _Reader(definition, task, {}).function(function, given)
    return _Reader(definition, task, given).network()


class _Reader:
    """Collects the facts of one definition."""

    def __init__(self, definition: ModelDefinition, task: Task, given: dict[str, str]) -> None:
        self.definition = definition
        self.name = definition.name
        self.told = CaselessDict(definition.values)
        network = self.told.get(NETWORK)
        self.facts: dict[str, Any] = dict(network) if isinstance(network, dict) else {}
        self.given = {name: text for name, text in given.items() if name in ARGUMENTS}
        self.task = self._task(task)

    def network(self) -> dict[str, Any]:
        """Return the fields of the model."""
        loader, file = self._loader()
        schema = self._schema()
        bands = self._bands()
        fixed = self._fixed()
        mean, std, assumed = normalization(self, len(bands))
        answer = self._choice("answer", ANSWERS)
        foreign = Foreign(
            loader,
            file,
            self.task,
            form=form_of(self._det_type(), self.name),
            from_zero=first_is_background(self._names()),
            usual=form_of(str(self.facts.get("usual_form") or ""), self.name),
            answer=answer,
            background=self.facts.get("background") if schema else None,
            threshold=float(self.facts.get("seg_threshold") or 0.5),
            least=float(self.facts.get("seg_threshold") or 0.0),
            layout=self._choice("layout", LAYOUTS),
            fixed=fixed,
            step=int(self.facts.get("stride") or 32),
            raw=bool(self.facts.get("raw")),
            assumed=assumed,
        )
        return self._fields(foreign, bands, mean, std, self._side() or fixed or USUAL_SIDE)

    def function(self, file: str, given: dict[str, str]) -> dict[str, Any]:
        """Return the fields of a model whose answers a Python function gives."""
        foreign = Foreign("function", file, self.task, arguments=given)
        bands = self.definition.extract_bands
        self._schema()
        zeros, ones = (0.0,) * len(bands), (1.0,) * len(bands)
        return self._fields(foreign, bands, zeros, ones, self._side() or USUAL_SIDE)

    def _fields(
        self,
        foreign: Foreign,
        bands: tuple[int, ...],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        side: int,
    ) -> dict[str, Any]:
        return {
            "name": self.name,
            "schema": self.definition.schema,
            "bands": bands,
            "band_names": None if "bands" in self.given else self.definition.band_names,
            "mean": mean,
            "std": std,
            "side": side,
            "several_labels": foreign.loader != "function" and self._several(),
            "cell_metres": self._cell_metres(),
            "dtype": self._data_type(foreign),
            "foreign": foreign,
        }

    def _cell_metres(self) -> float | None:
        size = self.facts.get("cell_size")
        if is_number(size) and size > 0:
            return float(size)
        return trained_metres(self.definition.geodl) or told_metres(self.definition.values)

    def _data_type(self, foreign: Foreign) -> str:
        """Return the type of the pixels that it takes, "" where it may be any."""
        own = self.definition.geodl.get("dtype")
        if own:
            return str(own)
        # What is only divided by 255 is made for bytes, of which others would be cut off.
        divided = self.facts.get("scale") == BYTE and "mean" not in self.facts
        said = any(name in self.given for name in ("scale", "mean", "std"))
        return "uint8" if (foreign.raw or divided) and not said else ""

    def _task(self, task: Task) -> Task:
        text = self.given.get("model_type", "")
        if text and text.strip().lower() not in TASKS:
            raise InputError(f"model_type={text} is unknown. Write detection, pixels or objects.")
        if text:
            self.definition.values["ModelType"] = TASKS[text.strip().lower()]
        elif not self.definition.values.get("ModelType"):
            # The tool that is asked to apply it says what it is for.
            self.definition.values["ModelType"] = task.value
        form = str(self.given.get("det_type") or self.facts.get("det_type") or "").lower()
        if "seg" in form and self.definition.task == Task.DETECTION.value:
            self.definition.values["ModelType"] = Task.INSTANCES.value
        self.definition.require_task(task.value)
        return Task(self.definition.task)

    def _loader(self) -> tuple[str, str]:
        file = self.told.get("ModelFile")
        if not isinstance(file, str) or not file.strip():
            raise ModelError(f"'{self.name}' names no model file. Get the model again.")
        plain = file.replace("\\", "/")
        suffix = "." + plain.rpartition("/")[2].rpartition(".")[2].lower()
        suffix = "" if "." not in plain.rpartition("/")[2] else suffix
        if suffix in (".h5", ".hdf5", ".keras"):
            raise ModelError(
                f"'{self.name}' is a Keras model ({plain.rpartition('/')[2]}), which nothing here "
                "reads. Save it as a TensorFlow SavedModel or as ONNX, and name that as ModelFile."
            )
        if suffix not in LOADERS:
            raise ModelError(
                f"'{self.name}' has its network in '{plain}', which nothing here reads. Use ONNX "
                "(.onnx), OpenVINO (.xml), TorchScript (.pt), torch.export (.pt2) or TensorFlow "
                "(.pb, SavedModel)."
            )
        return str(self.facts.get("program") or LOADERS[suffix]), plain

    def _names(self) -> list[str]:
        """Return the names of the answers in their order, as the user or the network tells them."""
        text, told = self.given.get("classes", ""), self.facts.get("names")
        names = listed(text) if text else told if isinstance(told, list) else []
        return [str(each).strip() for each in names]

    def _schema(self) -> int:
        """Fill in the classes and return how many there are."""
        names = self._names()
        if names and (self.given.get("classes") or self.task in _RASTERS):
            # Whether the first name is the background depends on the task.
            found, background = classes(names, self.task in _RASTERS)
            self.definition.values["Classes"] = found
            self.facts["background"] = background
        elif self.task in _RASTERS:
            # The background is no class of the schema, but what is left.
            self._drop_background()
        count = len(self.definition.schema)
        if not count:
            raise ModelError(
                f"'{self.name}' does not name its classes. Add them to the arguments in the order "
                "of the network's answers, for example classes=Tree,Car."
            )
        return count

    def _drop_background(self) -> None:
        listed = self.definition.values.get("Classes")
        values = self.definition.schema.values
        if isinstance(listed, list) and 0 in values and len(values) > 1:
            kept = [
                each
                for each in listed
                if CaselessDict(each).get("Value", CaselessDict(each).get("ClassValue")) != 0
            ]
            self.definition.values["Classes"] = kept
            self.facts["background"] = True

    def _bands(self) -> tuple[int, ...]:
        text = self.given.get("bands", "")
        count = int(self.facts.get("bands") or 0)
        if self.task is Task.CHANGE:
            count //= 2
        if text:
            bands = integers("bands", text)
        elif self.definition.extract_bands:
            bands = self.definition.extract_bands
        elif count or self.told.get("Framework") in ("TensorFlow", "Keras"):
            bands = tuple(range(count or 3))
        else:
            raise ModelError(
                f"'{self.name}' does not say which bands it takes. Add them to the arguments, "
                "for example bands=0,1,2."
            )
        if count and len(bands) != count:
            raise InputError(
                f"'{self.name}' takes {count} bands, but {len(bands)} are named: "
                f"{', '.join(map(str, bands))}. Name {count} in the arguments as bands=…"
            )
        return bands

    def _side(self) -> int:
        rows, cols = (self.told.get(name) for name in ("ImageHeight", "ImageWidth"))
        sides = [int(each) for each in (rows, cols) if is_number(each) and each >= 1]
        return max(sides, default=0)

    def _fixed(self) -> int:
        sizes = self.facts.get("fixed")
        if isinstance(sizes, list) and len(sizes) == 2:
            if sizes[0] != sizes[1]:
                raise ModelError(
                    f"'{self.name}' takes images of {sizes[1]} × {sizes[0]} pixels only. Save it "
                    "for square images, or for any size."
                )
            return int(sizes[0])
        # A program of PyTorch does not say; what was traced at one size may know no other.
        program = self.facts.get("program") or self.told.get("Framework") == "PyTorch"
        said = self.told.get("SupportsVariableTileSize")
        return self._side() if (said is False or (program and said is None)) else 0

    def _det_type(self) -> str:
        if not self.task.finds_objects:
            return ""
        named = self.told.get("ModelConfiguration")
        if isinstance(named, dict):
            named = named.get("Name") or named.get("Architecture")
        usual = named if named == "ObjectDetectionAPI" else ""
        told = self.given.get("det_type") or self.facts.get("det_type") or usual
        if not told and "converted_from" in self.definition.geodl:
            # The forms that GeoDL converts to.
            told = TORCHVISION if self.task is Task.INSTANCES else YOLO
        return str(told)

    def _several(self) -> bool:
        """Return whether an object may have several classes, or none."""
        own = self.definition.geodl
        told = own.get("several_labels") or own.get(JOINED_LABELS)
        told = told or self.told.get("MetaDataMode") == "MultiLabeled_Tiles"
        return self.task is Task.OBJECTS and bool(told or len(self.definition.schema) == 1)

    def _choice(self, name: str, known: tuple[str, ...]) -> str:
        text = str(self.given.get(name) or self.facts.get(name) or "")
        found = next((each for each in known if each.lower() == text.strip().lower()), "")
        if text and not found:
            raise InputError(f"{name}={text} is unknown. Write {' or '.join(known)}.")
        return found


def split_arguments(text: str, known: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Return the part of a text of arguments that a tool knows, and all of its entries."""
    own, written = [], {}
    for entry in entries(text):
        name, equals, rest = (part.strip() for part in entry.partition("="))
        if not equals or name in known:
            own.append(entry)
        if equals:
            written[name] = rest
    return ";".join(own), written
