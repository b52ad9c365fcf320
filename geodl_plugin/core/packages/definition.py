"""Model definitions (.emd): JSON that describes a model, as ArcGIS reads and writes it."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from ..errors import GeoDLError, ModelError
from ..samples.schema import ClassDefinition, Schema, default_color
from .band_names import BandNames

LONGEST = 64 * 1024**2  # bytes of a definition
# The spellings that are met in real files, without blanks and in lower case.
TASKS = {
    "objectdetection": "ObjectDetection",
    "objectiondetection": "ObjectDetection",
    "imageclassification": "ImageClassification",
    "objectclassification": "ObjectClassification",
    "changedetection": "ChangeDetection",
    "changedetector": "ChangeDetection",
    "instancedetection": "InstanceDetection",
    "panopticsegmenter": "PanopticSegmenter",
    "superresolution": "SuperResolution",
    "cyclegan": "CycleGAN",
    "pix2pix": "Pix2Pix",
}
# Tools that take models of another kind too: outlines are detections.
SERVED_TOO = {"ObjectDetection": ("InstanceDetection",)}
PURPOSE = {
    "ObjectDetection": ("detects objects", "Detect objects"),
    "ImageClassification": ("classifies pixels", "Classify pixels"),
    "ObjectClassification": ("classifies objects", "Classify objects"),
    "InstanceDetection": ("outlines objects", "Detect objects"),
    "ChangeDetection": ("detects change", "Detect change"),
}


class CaselessDict(MutableMapping[str, Any]):
    """A dict of JSON whose keys match without regard to case and keep their first spelling."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values: dict[str, Any] = {}
        self._spelling: dict[str, str] = {}
        self.update(values)

    def __getitem__(self, key: str) -> Any:
        return self._values[self._spelling[key.lower()]]

    def __setitem__(self, key: str, value: Any) -> None:
        self._values[self._spelling.setdefault(key.lower(), key)] = value

    def __delitem__(self, key: str) -> None:
        del self._values[self._spelling.pop(key.lower())]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class ModelDefinition:
    """A model definition; keys that are not known survive reading and writing.

    Raises:
        ModelError: when a property is asked for that the definition lacks or spells wrong.
    """

    def __init__(self, values: Mapping[str, Any], name: str = "model") -> None:
        self.values = CaselessDict(values)
        self.name = name

    @classmethod
    def from_json(cls, text: str, name: str = "model") -> ModelDefinition:
        """Read a definition; raise :class:`ModelError` when the text is none."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):  # no JSON, or nested deeper than any definition is
            values = None
        if not isinstance(values, dict):
            raise ModelError(f"'{name}' is no model definition: it is not a JSON object.")
        return cls(values, name)

    def to_json(self) -> str:
        """Return the definition as text."""
        return json.dumps(dict(self.values), indent=2, ensure_ascii=False)

    @property
    def task(self) -> str:
        """The model type in one spelling, "ObjectDetection" for example."""
        spelt = str(self.values.get("ModelType", ""))
        task = TASKS.get(spelt.replace(" ", "").lower())
        if task is None:
            raise ModelError(
                f"'{self.name}' has the model type '{spelt}', which is not known. "
                f"Known are: {', '.join(PURPOSE)}."
            )
        return task

    def require_task(self, task: str) -> None:
        """Raise :class:`ModelError` unless the model is made for ``task``, or gives more."""
        if self.task not in (task, *SERVED_TOO.get(task, ())):
            does, tool = PURPOSE.get(self.task, (f"is a {self.task} model", ""))
            way_out = f"Use the tool '{tool}'." if tool else "There is no tool for it yet."
            raise ModelError(f"'{self.name}' {does}. {way_out}")

    @property
    def schema(self) -> Schema:
        """The classes."""
        entries = self.values.get("Classes") or []
        if not isinstance(entries, list):
            raise ModelError(f"'{self.name}' names no list of classes. Get it again.")
        return Schema.of(class_of_json(entry, place) for place, entry in enumerate(entries))

    @property
    def geodl(self) -> dict[str, Any]:
        """What only GeoDL needs: how to rebuild the network; empty in others' models."""
        entry = self.values.get("GeoDL")
        return entry if isinstance(entry, dict) else {}

    @property
    def learned_background(self) -> bool:
        """Whether pixels without a class were learned as such: false of incomplete labels."""
        return self.geodl.get("background") is not False

    @property
    def tile_size(self) -> int:
        """Side of the image that the network was trained on, in pixels."""
        return self._integer("ImageWidth")

    @property
    def band_count(self) -> int:
        """How many bands the network takes."""
        return int(self.geodl.get("band_count") or len(self.extract_bands) or 3)

    @property
    def extract_bands(self) -> tuple[int, ...]:
        """The bands the network takes, 0-based; empty when the definition names none.

        Where it does so by their names, these are the positions at training, if they are known.
        """
        bands = self.values.get("ExtractBands")
        if self.band_names is not None:
            return self.band_names.trained()
        if not isinstance(bands, list) or not all(isinstance(band, int) for band in bands):
            return ()
        return tuple(bands)

    @property
    def band_names(self) -> BandNames | None:
        """The bands the network takes, where the definition names them instead of counting."""
        bands = self.values.get("ExtractBands")
        if not isinstance(bands, list) or not any(isinstance(each, str) for each in bands):
            return None
        trained = self.values.get("InputRastersProps")
        known = CaselessDict(trained).get("BandNames") if isinstance(trained, dict) else None
        known = known if isinstance(known, list) else []
        return BandNames(tuple(map(str, bands)), tuple(map(str, known)))

    @property
    def model_file(self) -> str:
        """The name of the weights' file."""
        name = self.values.get("ModelFile")
        if not isinstance(name, str) or not name:
            raise ModelError(f"'{self.name}' names no model file.")
        return name.replace("\\", "/").rstrip("/").rpartition("/")[2]

    def whole(self, key: str, least: int) -> int | None:
        """Return a whole number, none without; templates have a text there that describes it."""
        value = self.values.get(key)
        return value if type(value) is int and value >= least else None

    def _integer(self, key: str) -> int:
        value = self.values.get(key)
        if not _is_number(value) or value < 1:
            raise ModelError(f"'{self.name}' has no usable {key}: {value!r}.")
        return int(value)


@contextlib.contextmanager
def understood(name: str) -> Iterator[None]:
    """Make one sentence of whatever fails in what reads a definition: its author may err anywhere.

    Args:
        name: of the model.

    Raises:
        ModelError: where the definition holds other things than its keys stand for.
    """
    try:
        yield
    except GeoDLError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ModelError(
            f"'{name}' has a definition that cannot be understood. Get it again."
        ) from error


def class_of_json(entry: Mapping[str, Any], place: int) -> ClassDefinition:
    """Return the class of an entry of ``Classes``, in either of its two spellings.

    Raises:
        ModelError: when the entry has no value.
    """
    fields = CaselessDict(entry) if isinstance(entry, Mapping) else CaselessDict({})
    value = fields.get("Value", fields.get("ClassValue"))
    if not _is_number(value):
        raise ModelError(f"The class {entry!r} has no value. Give it a whole number.")
    color = fields.get("Color")
    color = color if isinstance(color, list) else []
    rgb = [part for part in color if isinstance(part, (int, float)) and 0 <= part <= 255]
    name = fields.get("Name", fields.get("ClassName"))
    return ClassDefinition(
        int(value),
        str(int(value) if name is None else name),
        (int(rgb[0]), int(rgb[1]), int(rgb[2])) if len(rgb) == 3 else default_color(place),
    )


def _is_number(value: Any) -> bool:
    """Return whether a value of JSON is a number; Python reads Infinity and NaN too."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)


def class_to_json(each: ClassDefinition) -> dict[str, Any]:
    """Return a class as an entry of ``Classes``."""
    return {"Value": each.value, "Name": each.name, "Color": list(each.color)}


def check_length(length: int, name: str) -> None:
    """Raise :class:`ModelError` when a definition is so long that reading it fills the memory."""
    if length > LONGEST:
        raise ModelError(f"'{name}' has a definition of {length} bytes, which no model needs.")


def read_definition(path: str | Path) -> ModelDefinition:
    """Read an .emd file; raise :class:`ModelError` when it cannot be read."""
    path = Path(path)
    try:
        check_length(path.stat().st_size, path.name)
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"The model definition '{path}' cannot be read: {error}.") from error
    return ModelDefinition.from_json(text, path.name)
