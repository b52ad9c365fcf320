"""Blocks of a raster that only QGIS opens.

What a server sends instead of an image is told by three voices, because no provider of QGIS
uses all: the block and its feedback, the network replies, and the message log. What none of
them can tell: a picture that says "no imagery here" is a picture.
"""

from __future__ import annotations

import threading
from types import TracebackType

import numpy as np
from qgis.core import (
    Qgis,
    QgsApplication,
    QgsNetworkAccessManager,
    QgsRasterBlock,
    QgsRasterBlockFeedback,
    QgsRasterDataProvider,
    QgsRectangle,
)
from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtNetwork import QNetworkReply

from ..core.errors import RasterError
from ..core.geo.grid import Window
from ..core.geo.image_writer import ImageLayout
from ..core.progress import Progress
from .xyz_tiles import XyzTiles

POLL = 0.2  # seconds between two looks whether the user has cancelled

IMAGES = (Qgis.DataType.ARGB32, Qgis.DataType.ARGB32_Premultiplied)
NUMBERS = {
    Qgis.DataType.Byte: "uint8",
    Qgis.DataType.UInt16: "uint16",
    Qgis.DataType.Int16: "int16",
    Qgis.DataType.UInt32: "uint32",
    Qgis.DataType.Int32: "int32",
    Qgis.DataType.Float32: "float32",
    Qgis.DataType.Float64: "float64",
}


class Fetcher:
    """Asks a provider for blocks, and fails where it gives none.

    QGIS blocks this thread while it fetches: another one watches whether the user cancels.

    Args:
        provider: that is asked.
        name: of the layer.
        progress: asked whether to go on.
        tiles: of the layer, if they are better than what the provider makes of them.
    """

    def __init__(
        self,
        provider: QgsRasterDataProvider,
        name: str,
        progress: Progress,
        tiles: XyzTiles | None,
    ) -> None:
        self._provider = provider
        self._tiles = tiles
        self._name = name
        self._progress = progress
        self._feedback = QgsRasterBlockFeedback()
        self._thread = threading.get_ident()
        self._failed: dict[str, str] = {}  # reason by address
        self._logged: list[str] = []
        # QGIS' own signal of this name speaks for all threads, Qt's for this thread alone.
        self._replies = super(QgsNetworkAccessManager, QgsNetworkAccessManager.instance()).finished
        self._log = QgsApplication.messageLog()
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="geodl-cancel", daemon=True)

    def __enter__(self) -> Fetcher:
        # The log speaks for other threads too, the map canvas say: those have other idents.
        direct = Qt.ConnectionType.DirectConnection
        self._replies.connect(self._replied, direct)
        self._log.messageReceived[str, str, Qgis.MessageLevel].connect(self._told, direct)
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._watcher.join()
        self._replies.disconnect(self._replied)
        self._log.messageReceived[str, str, Qgis.MessageLevel].disconnect(self._told)
        sip.delete(self._feedback)

    def pixels(self, extent: QgsRectangle, part: Window, layout: ImageLayout) -> np.ndarray:
        """Return the pixels ``(bands, rows, cols)`` of a part of the layer's grid.

        Args:
            extent: of the part, in map units.
            part: in pixels of the grid.
            layout: of the file that gets them.
        """
        width, height = part.width, part.height
        if layout.alpha:
            # Asked for tiles, too: it fetches them side by side and tells what fails.
            block = self._block(1, extent, width, height)
            exact = None if self._tiles is None else self._tiles.pixels(part, self._feedback)
            if exact is not None:
                return _colours(exact, True)
            straight = block.dataType() != Qgis.DataType.ARGB32_Premultiplied
            image = np.frombuffer(bytes(block.data()), np.uint8)
            return _colours(image.reshape(height, width, 4), straight)
        result = np.zeros((layout.bands, height, width), layout.dtype)
        for band in range(layout.bands):
            block = self._block(band + 1, extent, width, height)
            kind = NUMBERS[block.dataType()]
            result[band] = np.frombuffer(bytes(block.data()), kind).reshape(height, width)
        return result

    def _block(self, band: int, extent: QgsRectangle, width: int, height: int) -> QgsRasterBlock:
        self._failed.clear()
        self._logged.clear()
        block = self._provider.block(band, extent, width, height, self._feedback)
        self._progress.check()
        reasons = [f"{address}: {reason}" for address, reason in self._failed.items()]
        reasons += [*self._feedback.errors(), *self._logged]
        whole = block is not None and block.isValid() and not block.isEmpty()
        if not whole or (block.width(), block.height()) != (width, height):
            reasons.append(self._provider.lastError() or "no image came")
        if reasons:
            reason = " ".join(reasons[0].split())[:300]
            place = f"{extent.xMinimum():.10g}, {extent.yMaximum():.10g}"
            raise RasterError(
                f"'{self._name}' cannot be fetched at {place}: {reason.rstrip('.')}. Try again, "
                "or choose an EXTENT and a CELL_SIZE that the server has."
            )
        return block

    def _watch(self) -> None:
        while not self._ended.wait(POLL):
            if self._progress.cancelled():
                self._feedback.cancel()
                return

    def _replied(self, reply: QNetworkReply) -> None:
        address = reply.request().url().toString()
        error = reply.error()
        if error == QNetworkReply.NetworkError.NoError:
            self._failed.pop(address, None)  # QGIS asks again for tiles that fail
            if self._tiles is not None:
                self._tiles.hear(reply)
        elif error in (
            QNetworkReply.NetworkError.OperationCanceledError,
            QNetworkReply.NetworkError.TimeoutError,
        ):
            self._failed[address] = "the server does not answer in time"
        else:
            self._failed[address] = (
                reply.errorString() or f"network error {getattr(error, 'value', error)}"
            )

    def _told(self, message: str, tag: str, level: Qgis.MessageLevel) -> None:
        serious = (Qgis.MessageLevel.Warning, Qgis.MessageLevel.Critical)
        # Network errors are known already, and may have been mended by asking again.
        if threading.get_ident() == self._thread and level in serious and tag != "Network":
            self._logged.append(message)


def _colours(image: np.ndarray, straight: bool) -> np.ndarray:
    """Return red, green, blue, alpha ``(4, rows, cols)`` of an image of Qt ``(rows, cols, 4)``."""
    # Qt keeps a colour as one number in the machine's order, which is BGRA wherever QGIS runs.
    colours = image[:, :, [2, 1, 0, 3]].transpose(2, 0, 1)
    if straight:
        return colours
    alpha = np.maximum(colours[3], 1).astype(np.uint16)
    full = np.minimum((colours[:3] * np.uint16(255) + alpha // 2) // alpha, 255)
    return np.concatenate([full.astype(np.uint8), colours[3:]])
