"""The tiles of an XYZ layer as its server sent them.

Newer QGIS draws a tile on whole pixels and rounds its borders outwards: where the last digit of
its place is noise, the tile becomes one or two pixels larger, and half of its pixels lie one
beside their place. So tiles are taken as they arrive.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from urllib.parse import unquote

import numpy as np
from qgis.core import QgsBlockingNetworkRequest, QgsFeedback, QgsRasterDataProvider
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QImage
from qgis.PyQt.QtNetwork import QNetworkReply, QNetworkRequest

from ..core.geo.grid import Window

WORLD = 40075016.685578488  # metres in EPSG:3857 from border to border
KEPT = 64 * 1024**2  # bytes of tiles as they were sent


class XyzTiles:
    """Tiles of one zoom level, by the pixels of the level.

    Args:
        address: of a tile, with ``{x}``, ``{y}`` or ``{-y}``, and ``{z}``.
        zoom: the level.
        side: pixels of a tile.
        options: of the layer's source by name.
    """

    def __init__(self, address: str, zoom: int, side: int, options: dict[str, str]) -> None:
        self._address = address
        self._zoom = zoom
        self._side = side
        self._options = options
        self._sent: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    @classmethod
    def of(cls, provider: QgsRasterDataProvider, cell: float) -> XyzTiles | None:
        """Return the tiles whose pixels have a side of ``cell``, if a layer has any."""
        options = dict(re.findall(r"(?:^|[&?])([^=&]+)=([^&]*)", provider.dataSourceUri()))
        address = unquote(options.get("url", ""))
        levels = sorted(provider.nativeResolutions(), reverse=True)
        if provider.name() != "wms" or options.get("type") != "xyz" or cell not in levels:
            return None
        zoom = int(options.get("zmin") or 0) + levels.index(cell)
        side = WORLD / 2**zoom / cell
        known = set(re.findall(r"{[^}]*}", address.lower())) <= {"{x}", "{y}", "{-y}", "{z}"}
        if not known or abs(side - round(side)) > 1e-6 or provider.crs().authid() != "EPSG:3857":
            return None
        return cls(address, zoom, round(side), options)

    def hear(self, reply: QNetworkReply) -> None:
        """Keep what a server has answered to QGIS."""
        self._keep(reply.request().url().toString(), bytes(reply.peek(reply.bytesAvailable())))

    def pixels(self, window: Window, feedback: QgsFeedback | None = None) -> np.ndarray | None:
        """Return a window as Qt keeps images, bytes ``(rows, cols, 4)`` with straight alpha.

        Args:
            window: in pixels right and down from the origin of EPSG:3857.
            feedback: tells when the user cancels.

        Returns:
            ``None`` when there is a tile that cannot be had, or has another size.
        """
        half = 2 ** (self._zoom - 1) * self._side if self._zoom else self._side // 2
        area = Window(window.col + half, window.row + half, window.width, window.height)
        result = np.zeros((window.height, window.width, 4), np.uint8)
        for row in range(area.row // self._side, -(-area.bottom // self._side)):
            for col in range(area.col // self._side, -(-area.right // self._side)):
                place = Window(col * self._side, row * self._side, self._side, self._side)
                part = place.intersection(area)
                tile = self._tile(col, row, feedback)
                if tile is None or part is None:
                    return None
                result[part.slices(area)] = tile[part.slices(place)]
        return result

    def _tile(self, col: int, row: int, feedback: QgsFeedback | None) -> np.ndarray | None:
        """Return a tile ``(side, side, 4)``."""
        numbers = {"x": col, "y": row, "-y": 2**self._zoom - 1 - row, "z": self._zoom}
        address = re.sub("{([^}]*)}", lambda name: str(numbers[name[1].lower()]), self._address)
        image = QImage.fromData(self._content(QUrl(address), feedback))
        if (image.width(), image.height()) != (self._side, self._side):
            return None
        image = image.convertToFormat(QImage.Format.Format_ARGB32)
        content = image.constBits().asstring(image.sizeInBytes())
        return np.frombuffer(content, np.uint8).reshape(self._side, self._side, 4)

    def _content(self, address: QUrl, feedback: QgsFeedback | None) -> bytes:
        """Return what was sent, asking again for what QGIS had before this object was there."""
        if address.toString() not in self._sent:
            request = QNetworkRequest(address)
            load = QNetworkRequest.Attribute.CacheLoadControlAttribute
            request.setAttribute(load, QNetworkRequest.CacheLoadControl.PreferCache)
            for name, value in self._options.items():
                header = "Referer" if name == "referer" else name.partition("http-header:")[2]
                if header:
                    request.setRawHeader(header.encode(), unquote(value).encode())
            asking = QgsBlockingNetworkRequest()
            asking.setAuthCfg(self._options.get("authcfg", ""))
            answer = asking.get(request, False, feedback)
            if answer != QgsBlockingNetworkRequest.ErrorCode.NoError:
                return b""
            self._keep(address.toString(), bytes(asking.reply().content()))
        return self._sent[address.toString()]

    def _keep(self, address: str, content: bytes) -> None:
        self._size += len(content) - len(self._sent.pop(address, b""))
        self._sent[address] = content
        while self._size > KEPT and len(self._sent) > 1:
            self._size -= len(self._sent.popitem(last=False)[1])
