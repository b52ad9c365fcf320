"""Makes the demo's QGIS project and its map; run by QGIS's own Python.

Arguments: the demo's folder, the F1 of the trees and the overlap it is told at, as texts.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import numpy as np
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsCubicRasterResampler,
    QgsFillSymbol,
    QgsLayerTreeLayer,
    QgsMapLayer,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPen

WIDTH, HEIGHT, CAPTION = 1600, 900, 60  # pixels of the picture; the caption lies below the map
DETECTED, LABELLED = QColor("#00e5ff"), QColor("#ffd200")
INK, PAPER = QColor("#1d2522"), QColor("#ffffff")
COLORS = 160  # of the picture
OWN = (DETECTED, LABELLED, INK, PAPER)  # colours that the picture keeps exactly
# A part of what was never seen, with trees near and far from each other.
LEFT, BOTTOM, PIXEL = 528011.0, 4978007.0, 0.06


@dataclass(frozen=True)
class Entry:
    """A line of the legend."""

    color: QColor
    dashed: bool
    text: str


def outline(color: QColor, width: float, dashed: bool = False) -> QgsSingleSymbolRenderer:
    """Return a renderer that draws outlines only; the width is in millimetres."""
    style = {
        "color": "0,0,0,0",
        "outline_color": color.name(),
        "outline_width": str(width),
        "outline_style": "dash" if dashed else "solid",
        "joinstyle": "miter",
    }
    return QgsSingleSymbolRenderer(QgsFillSymbol.createSimple(style))


def open_layers(folder: Path) -> dict[str, QgsMapLayer]:
    """Open the results with their styles, the lowest first."""
    layers: dict[str, QgsMapLayer] = {
        "Yellowstone": QgsRasterLayer(str(folder / "yellowstone.tif"), "Yellowstone"),
        "Tree canopy": QgsRasterLayer(str(folder / "canopy.tif"), "Tree canopy"),
        "Samples of trees": QgsVectorLayer(str(folder / "samples_trees.gpkg"), "Samples of trees"),
        "Classified objects": QgsVectorLayer(str(folder / "crowns.gpkg"), "Classified objects"),
        "Labelled trees": QgsVectorLayer(str(folder / "truth.gpkg"), "Labelled trees"),
        "Detected trees": QgsVectorLayer(str(folder / "trees.gpkg"), "Detected trees"),
        "Hits and misses": QgsVectorLayer(str(folder / "matches.gpkg"), "Hits and misses"),
    }
    broken = [name for name, layer in layers.items() if not layer.isValid()]
    if broken:
        raise SystemExit(f"These layers cannot be opened: {', '.join(broken)}.")
    layers["Labelled trees"].setRenderer(outline(LABELLED, 0.4, dashed=True))
    layers["Tree canopy"].setOpacity(0.45)
    return layers


def write_project(path: Path, layers: dict[str, QgsMapLayer]) -> None:
    """Write the project, with what shows the result best switched on."""
    project = QgsProject.instance()
    project.setCrs(layers["Yellowstone"].crs())
    project.setTitle("GeoDL: trees of Yellowstone")
    shown = {"Yellowstone", "Labelled trees", "Detected trees"}
    for name, layer in layers.items():
        project.addMapLayer(layer, False)
        node: QgsLayerTreeLayer = project.layerTreeRoot().insertLayer(0, layer)
        node.setItemVisibilityChecked(name in shown)
        node.setExpanded(name in shown)
    extent = layers["Labelled trees"].extent()
    extent.scale(1.05)
    settings = project.viewSettings()
    settings.setDefaultViewExtent(QgsReferencedRectangle(extent, project.crs()))
    if not project.write(str(path)):
        raise SystemExit(f"'{path}' cannot be written: {project.error()}")


def draw_map(layers: dict[str, QgsMapLayer], caption: str) -> QImage:
    """Draw imagery, labels and detections with legend and caption."""
    layers["Detected trees"].setRenderer(outline(DETECTED, 0.5))
    layers["Yellowstone"].resampleFilter().setZoomedInResampler(QgsCubicRasterResampler())
    settings = QgsMapSettings()
    settings.setLayers(
        [layers[name] for name in ("Detected trees", "Labelled trees", "Yellowstone")]
    )
    settings.setDestinationCrs(layers["Yellowstone"].crs())
    settings.setOutputSize(QSize(WIDTH, HEIGHT))
    settings.setOutputDpi(120)
    size = WIDTH * PIXEL, HEIGHT * PIXEL
    settings.setExtent(QgsRectangle(LEFT, BOTTOM, LEFT + size[0], BOTTOM + size[1]))
    settings.setFlag(QgsMapSettings.Flag.Antialiasing, True)
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    image = QImage(WIDTH, HEIGHT + CAPTION, QImage.Format.Format_RGB32)
    image.fill(PAPER)
    painter = QPainter(image)
    painter.drawImage(0, 0, job.renderedImage())
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    entries = [
        Entry(DETECTED, False, f"{layers['Detected trees'].featureCount()} detected trees"),
        Entry(LABELLED, True, f"{layers['Labelled trees'].featureCount()} labelled trees"),
    ]
    _draw_legend(painter, entries)
    _draw_caption(painter, caption)
    painter.end()
    return image


def _draw_legend(painter: QPainter, entries: list[Entry]) -> None:
    font = _font(19)
    metrics = QFontMetricsF(font)
    line, left, top, sample = 34.0, 24.0, 24.0, 34.0
    width = max(metrics.horizontalAdvance(entry.text) for entry in entries) + sample + 48
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(20, 28, 24, 205))
    painter.drawRoundedRect(QRectF(left, top, width, line * len(entries) + 20), 8, 8)
    painter.setFont(font)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for place, entry in enumerate(entries):
        middle = top + 10 + line * (place + 0.5)
        pen = QPen(entry.color, 3)
        pen.setStyle(Qt.PenStyle.DashLine if entry.dashed else Qt.PenStyle.SolidLine)
        painter.setPen(pen)
        painter.drawRect(QRectF(left + 16, middle - 9, sample - 8, 18))
        painter.setPen(PAPER)
        painter.drawText(QPointF(left + sample + 28, middle + metrics.capHeight() / 2), entry.text)


def _draw_caption(painter: QPainter, caption: str) -> None:
    painter.setFont(_font(20))
    painter.setPen(INK)
    place = QRectF(8, HEIGHT, WIDTH - 16, CAPTION)
    painter.drawText(place, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, caption)


def _font(pixels: int) -> QFont:
    font = QFont("DejaVu Sans")
    font.setPixelSize(pixels)
    return font


def save_small(image: QImage, path: Path) -> None:
    """Save a picture with colours of its own, few enough for a page that loads fast."""
    whole = path.with_suffix(".full.png")
    image.save(str(whole))
    source = gdal.Open(str(whole))
    table = gdal.ColorTable()
    found = COLORS - len(OWN)
    gdal.ComputeMedianCutPCT(*(source.GetRasterBand(band) for band in (1, 2, 3)), found, table)
    # The few pixels of the outlines would be lost among those of the trees.
    for place, color in enumerate(OWN):
        table.SetColorEntry(found + place, color.getRgb())
    palette = np.array([table.GetColorEntry(index)[:3] for index in range(COLORS)])
    # The nearest colour of each of 32³: dithering would look no better and take more room.
    steps = np.stack(np.meshgrid(*[np.arange(32) * 8 + 4] * 3, indexing="ij"), -1).reshape(-1, 3)
    nearest = np.array([((palette - step) ** 2).sum(axis=1).argmin() for step in steps])
    red, green, blue = source.ReadAsArray()[:3].astype(int) // 8
    memory = gdal.GetDriverByName("MEM").Create("", source.RasterXSize, source.RasterYSize, 1)
    memory.GetRasterBand(1).SetColorTable(table)
    memory.GetRasterBand(1).WriteArray(nearest[(red * 32 + green) * 32 + blue].astype(np.uint8))
    gdal.GetDriverByName("PNG").CreateCopy(str(path), memory, options=["ZLEVEL=9"])
    whole.unlink()
    for sidecar in path.parent.glob(f"{path.stem}*.aux.xml"):
        sidecar.unlink()


def main() -> None:
    """Write ``demo.qgz`` and ``demo.png``."""
    folder, f1, overlap = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    application = QgsApplication([], False)
    application.initQgis()
    layers = open_layers(folder)
    write_project(folder / "demo.qgz", layers)
    caption = (
        f"Yellowstone at 10 cm, trained on the upper 60 % of the image, shown where it was never "
        f"seen: F1 {f1} at IoU {overlap}."
    )
    save_small(draw_map(layers, caption), folder / "demo.png")
    QgsProject.instance().clear()
    layers.clear()
    application.exitQgis()


if __name__ == "__main__":
    main()
