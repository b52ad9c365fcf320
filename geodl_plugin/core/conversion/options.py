"""The options of the task "convert": plain values, read without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError

# What a format's file is called.
FORMATS = {"onnx": ".onnx", "openvino": ".xml", "arcgis": ".dlpk"}


@dataclass(frozen=True)
class ConversionOptions:
    """What to convert, and to what.

    Attributes:
        model: path of a package or definition, or the name of an installed model.
        format: one of :data:`FORMATS`.
        output: path of the file to write.
    """

    model: str
    format: str
    output: str

    def check(self) -> None:
        """Raise :class:`InputError` when format and output do not fit."""
        if self.format not in FORMATS:
            raise InputError(
                f"There is no FORMAT '{self.format}'. Choose one of: {', '.join(FORMATS)}."
            )
        suffix = FORMATS[self.format]
        if Path(self.output).suffix.lower() != suffix:
            raise InputError(
                f"'{self.output}' is no name for the format {self.format}. Give it the extension "
                f"{suffix}."
            )
