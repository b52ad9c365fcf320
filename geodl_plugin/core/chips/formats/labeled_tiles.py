"""Labeled_Tiles: one class for a whole chip, in an XML file."""

from __future__ import annotations

from pathlib import Path

from ...errors import TrainingDataError
from ...geo.grid import GeoTransform
from ...samples.schema import Schema
from ..labels import ClassLabel
from . import ChipFormat
from .pascal_voc import CORNERS, ElementTree, add_object, annotation, objects, save, value_of


class LabeledTiles(ChipFormat):
    """A chip's class; the box is the chip."""

    keyword = "Labeled_Tiles"
    suffix = ".xml"
    label = ClassLabel
    per_feature = True

    def write(
        self,
        path: Path,
        label: ClassLabel,
        image: Path,
        shape: tuple[int, int, int],
        geotransform: GeoTransform,
        crs: str,
    ) -> None:
        root = annotation(image, shape)
        for value in label.values[:1]:
            bounds = ElementTree.SubElement(add_object(root, str(value)), "bndbox")
            for corner, number in zip(CORNERS, (0, 0, shape[2], shape[1])):
                ElementTree.SubElement(bounds, corner).text = f"{number:.2f}"
        save(root, path)

    def read(self, path: Path, schema: Schema) -> ClassLabel:
        for name, _ in objects(path):
            return ClassLabel((value_of(name, schema, path),))
        raise TrainingDataError(f"'{path}' names no class.")

    def class_names(self, path: Path) -> set[str]:
        return {name for name, _ in objects(path)}
