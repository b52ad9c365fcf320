"""Styles of result layers: applied when QGIS loads them, and carried by their files."""

from __future__ import annotations

from pathlib import Path

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsContrastEnhancement,
    QgsFillSymbol,
    QgsLineSymbol,
    QgsMapLayer,
    QgsMarkerSymbol,
    QgsPalettedRasterRenderer,
    QgsPalLayerSettings,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProperty,
    QgsRasterLayer,
    QgsRendererCategory,
    QgsSingleBandGrayRenderer,
    QgsSymbol,
    QgsSymbolLayer,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
    QgsWkbTypes,
)
from qgis.PyQt.QtGui import QColor

from ..core.samples.document import SchemaDocument
from ..core.samples.prelabel import CONFIDENCE, IS_DRAFT
from ..core.samples.schema import Color, Schema
from ..core.samples.schema_files import json_text

OTHERS_COLOR = (150, 150, 150)
# Since QGIS 3.36 without the prefix.
_PROPERTIES = QgsSymbolLayer.Property
STROKE_STYLE = getattr(_PROPERTIES, "StrokeStyle", None) or QgsSymbolLayer.PropertyStrokeStyle
STROKE_WIDTH = getattr(_PROPERTIES, "StrokeWidth", None) or QgsSymbolLayer.PropertyStrokeWidth
FILL_STYLE = getattr(_PROPERTIES, "FillStyle", None) or QgsSymbolLayer.PropertyFillStyle
# Of files whose style QGIS keeps beside them.
STYLED_BY_FILE = (".tif", ".tiff", ".vrt", ".jp2", ".png", ".jpg", ".shp", ".geojson", ".fgb")
DATABASES = (".gpkg", ".sqlite", ".db")  # files that hold styles
STYLE = "GeoDL"  # the name of ours
SCHEMA_PROPERTY = "geodl/schema"  # of a layer of samples: its classes, as JSON


class LayerStyler(QgsProcessingLayerPostProcessorInterface):
    """Styles a layer; the base of the stylers below."""

    def apply(self, layer: QgsMapLayer) -> None:
        """Give ``layer`` its style."""

    def open(self, path: str) -> QgsMapLayer:
        """Open the layer of a result file."""
        return QgsVectorLayer(path, "result", "ogr")

    def write_style(self, path: str) -> None:
        """Store the style in the GeoPackage, or as ``.qml`` beside any other file."""
        layer = self.open(path)
        if not layer.isValid():
            return
        self.apply(layer)
        store_style(layer, Path(path))

    def postProcessLayer(  # noqa: N802
        self,
        layer: QgsMapLayer,
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> None:
        self.apply(layer)
        layer.triggerRepaint()


def store_style(layer: QgsMapLayer, path: Path) -> None:
    """Write the style of a layer into its database in the place of an earlier one, or beside it.

    Args:
        layer: with its style.
        path: of its file; of a database on a server there is none.
    """
    if path.is_file() and path.suffix.lower() not in DATABASES:
        style = path.with_suffix(".qml")
        if not _is_of_another(style, path):
            layer.saveNamedStyle(str(style))
        return
    # QGIS would ask whether to overwrite the style of this name.
    _, keys, names, *_ = layer.listStylesInDatabase()
    for key, name in zip(keys, names):
        if name == STYLE:
            layer.deleteStyleFromDatabase(key)
    layer.saveStyleToDatabase(STYLE, "", True, "")
    if not layer.isEditable():
        # QGIS writes past the open layer, which could not read its own file any more.
        layer.reload()


def _is_of_another(style: Path, result: Path) -> bool:
    """Return whether a style was there before a result, beside a file that shares its name."""
    if not style.exists() or style.stat().st_mtime >= result.stat().st_mtime:
        return False
    beside = (result.with_suffix(suffix) for suffix in STYLED_BY_FILE)
    return any(each.exists() and not each.samefile(result) for each in beside)


def number_field(layer: QgsVectorLayer, name: str) -> int:
    """Return the place of a field of numbers; -1 where there is none, or one of another kind."""
    place = layer.fields().lookupField(name)
    return place if place >= 0 and layer.fields().at(place).isNumeric() else -1


class SameStyler(LayerStyler):
    """Styles a vector layer like another one.

    Args:
        layer: whose look is taken; it is not kept.
    """

    def __init__(self, layer: QgsVectorLayer) -> None:
        super().__init__()
        self._renderer = layer.renderer().clone()

    def apply(self, layer: QgsMapLayer) -> None:
        layer.setRenderer(self._renderer.clone())


class ClassStyler(LayerStyler):
    """Styles a vector layer by the classes in one of its fields.

    Args:
        field: holds the class name or value.
        colors: the colour of each value of the field.
        filled: a half transparent fill beside the outline.
        others: what features without one of these values are called; default they stay hidden.
    """

    def __init__(
        self,
        field: str,
        colors: dict[str | int, Color],
        filled: bool = False,
        others: str = "",
    ) -> None:
        super().__init__()
        self.others = others
        self.field = field
        self.colors = colors
        self.filled = filled

    @classmethod
    def of_schema(
        cls, schema: Schema, field: str, filled: bool = False, others: str = ""
    ) -> ClassStyler:
        """Return a styler by class name in the colours of ``schema``."""
        return cls(field, {each.name: each.color for each in schema.classes}, filled, others)

    def apply(self, layer: QgsMapLayer) -> None:
        kind = layer.geometryType()
        categories = [
            QgsRendererCategory(value, self._symbol(QColor(*color), kind), str(value))
            for value, color in self.colors.items()
        ]
        if self.others:
            symbol = self._symbol(QColor(*OTHERS_COLOR), kind)
            categories.append(QgsRendererCategory("", symbol, self.others))
        layer.setRenderer(QgsCategorizedSymbolRenderer(self.field, categories))

    def _symbol(self, color: QColor, kind: QgsWkbTypes.GeometryType) -> QgsSymbol:
        if kind == QgsWkbTypes.GeometryType.PointGeometry:
            return QgsMarkerSymbol.createSimple({"color": color.name(), "size": "2"})
        if kind == QgsWkbTypes.GeometryType.LineGeometry:
            return QgsLineSymbol.createSimple({"color": color.name(), "width": "0.5"})
        fill = QColor(color)
        fill.setAlpha(90 if self.filled else 0)
        return QgsFillSymbol.createSimple(
            {
                "color": f"{fill.red()},{fill.green()},{fill.blue()},{fill.alpha()}",
                "outline_color": color.name(),
                "outline_width": "0.4",
            }
        )


class SampleStyler(ClassStyler):
    """Styles a layer of samples, and keeps all its classes with it: those without samples too."""

    def __init__(self, document: SchemaDocument) -> None:
        colors = {node.name: node.color for node in document.walk()}
        super().__init__("Classname", colors, filled=True)
        self._text = json_text(document)
        self._drafts = False

    def apply(self, layer: QgsMapLayer) -> None:
        self._drafts = number_field(layer, CONFIDENCE) >= 0
        super().apply(layer)
        layer.setCustomProperty(SCHEMA_PROPERTY, self._text)
        # Labels that people have made stay.
        if layer.labeling() is None and self._drafts:
            layer.setLabeling(QgsVectorLayerSimpleLabeling(_draft_labels()))
            layer.setLabelsEnabled(True)

    def _symbol(self, color: QColor, kind: QgsWkbTypes.GeometryType) -> QgsSymbol:
        """Return a symbol that has a dashed outline and no fill for drafts."""
        symbol = super()._symbol(color, kind)
        if not self._drafts:
            return symbol
        for name, draft, sample in (
            (STROKE_STYLE, "'dash'", "'solid'"),
            (FILL_STYLE, "'no'", "'solid'"),
            (STROKE_WIDTH, "0.6", "0.4"),  # dashes are seen less than a line
        ):
            chosen = QgsProperty.fromExpression(f"if({IS_DRAFT}, {draft}, {sample})")
            symbol.symbolLayer(0).setDataDefinedProperty(name, chosen)
        return symbol


def _draft_labels() -> QgsPalLayerSettings:
    """Return labels that tell the confidence of drafts, and nothing of other samples."""
    settings = QgsPalLayerSettings()
    settings.fieldName = f"if({IS_DRAFT}, round(\"{CONFIDENCE}\") || ' %', NULL)"
    settings.isExpression = True
    text, halo = QgsTextFormat(), QgsTextBufferSettings()
    text.setSize(8)
    halo.setEnabled(True)
    halo.setSize(0.7)
    text.setBuffer(halo)
    settings.setFormat(text)
    return settings


class ClassRasterStyler(LayerStyler):
    """Styles a class raster in the colours and with the names of its classes."""

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.schema = schema

    def open(self, path: str) -> QgsMapLayer:
        return QgsRasterLayer(path, "result", "gdal")

    def apply(self, layer: QgsMapLayer) -> None:
        classes = [
            QgsPalettedRasterRenderer.Class(each.value, QColor(*each.color), each.name)
            for each in self.schema.classes
        ]
        layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))


class ProbabilityStyler(LayerStyler):
    """Styles probabilities: the first class in grey from 0 to 100 percent."""

    def open(self, path: str) -> QgsMapLayer:
        return QgsRasterLayer(path, "result", "gdal")

    def apply(self, layer: QgsMapLayer) -> None:
        provider = layer.dataProvider()
        stretch = QgsContrastEnhancement(provider.dataType(1))
        stretch.setMinimumValue(0)
        stretch.setMaximumValue(100)
        stretch.setContrastEnhancementAlgorithm(
            QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
        )
        renderer = QgsSingleBandGrayRenderer(provider, 1)
        renderer.setContrastEnhancement(stretch)
        layer.setRenderer(renderer)
