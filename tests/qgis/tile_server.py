"""A small server of XYZ tiles and WMS maps of a known picture, in a process of its own.

QGIS waits for its network in the thread that asks, so a thread of the same process that
answers would depend on Python's lock.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
import zlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, urlparse

import numpy as np

TILE = 256
HALF_WORLD = 20037508.342789244
ZOOM = 16
CELL = 2 * HALF_WORLD / TILE / 2**ZOOM
COL, ROW = 36000 * TILE, 23000 * TILE  # of the picture's origin among the pixels of the zoom
BAD_TILE = (36002, 23001)


class Place:
    """Where the picture lies, in EPSG:3857."""

    left = COL * CELL - HALF_WORLD
    top = HALF_WORLD - ROW * CELL

    @classmethod
    def extent(cls, col: int, row: int, width: int, height: int) -> str:
        """Return pixels of the picture as an extent of Processing."""
        xmin, ymax = cls.left + col * CELL, cls.top - row * CELL
        values = (xmin, xmin + width * CELL, ymax - height * CELL, ymax)
        return ",".join(repr(value) for value in values) + " [EPSG:3857]"


def picture(width: int = 1024, height: int = 768) -> np.ndarray:
    """Return ``(4, rows, cols)`` of noise, in which no shift goes unseen, with a hole."""
    pixels = np.random.default_rng(5).integers(1, 255, (4, height, width)).astype(np.uint8)
    pixels[3] = 255
    pixels[:, 300:340, 100:180] = 0
    return pixels


class Server:
    """A running server: its address, and the layers that it has."""

    def __init__(self, address: str) -> None:
        self.address = address

    def xyz(self, kind: str = "tiles", zmax: int = ZOOM) -> str:
        """Return the source of an XYZ layer; ``kind`` is how the server behaves."""
        url = quote(f"{self.address}/{kind}/", safe=":/") + "{z}/{x}/{y}.png"
        return f"type=xyz&zmin=0&zmax={zmax}&url={url}"

    def wms(self, kind: str = "wms") -> str:
        """Return the source of a WMS layer."""
        return (
            "crs=EPSG:3857&format=image/png&layers=picture&styles="
            f"&url={self.address}/{kind}&dpiMode=7&contextualWMSLegend=0"
        )

    def arcgis(self, kind: str = "rest") -> str:
        """Return the source of a layer of an ArcGIS map server."""
        return f"crs='EPSG:3857' format='PNG32' layer='0' url='{self.address}/{kind}/MapServer'"


@contextmanager
def serving():
    """Run the server while the block runs."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve())], stdout=subprocess.PIPE, text=True
    )
    try:
        yield Server(f"http://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def png(pixels: np.ndarray) -> bytes:
    """Return ``(4, rows, cols)`` as a PNG."""
    _, rows, cols = pixels.shape
    lines = np.zeros((rows, 1 + 4 * cols), np.uint8)
    lines[:, 1:] = pixels.transpose(1, 2, 0).reshape(rows, -1)

    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", cols, rows, 8, 6, 0, 0, 0)
    data = zlib.compress(lines.tobytes(), 1)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def sample(bounds: tuple[float, float, float, float], width: int, height: int) -> np.ndarray:
    """Return what the picture shows in map bounds; the nearest pixel counts."""
    shown = picture()
    xmin, ymin, xmax, ymax = bounds
    x = xmin + (np.arange(width) + 0.5) * (xmax - xmin) / width
    y = ymax - (np.arange(height) + 0.5) * (ymax - ymin) / height
    cols = np.floor((x - Place.left) / CELL + 1e-6).astype(int)
    rows = np.floor((Place.top - y) / CELL + 1e-6).astype(int)
    result = np.zeros((4, height, width), np.uint8)
    good_cols, good_rows = (
        (cols >= 0) & (cols < shown.shape[2]),
        (rows >= 0) & (rows < shown.shape[1]),
    )
    result[np.ix_(range(4), good_rows, good_cols)] = shown[
        np.ix_(range(4), rows[good_rows], cols[good_cols])
    ]
    return result


CAPABILITIES = """<?xml version="1.0" encoding="UTF-8"?>
<WMS_Capabilities version="1.3.0" xmlns="http://www.opengis.net/wms"
 xmlns:xlink="http://www.w3.org/1999/xlink">
<Service><Name>WMS</Name><Title>Test</Title><OnlineResource xlink:href="{url}"/></Service>
<Capability><Request>
<GetCapabilities><Format>text/xml</Format><DCPType><HTTP><Get>
<OnlineResource xlink:href="{url}?"/></Get></HTTP></DCPType></GetCapabilities>
<GetMap><Format>image/png</Format><DCPType><HTTP><Get>
<OnlineResource xlink:href="{url}?"/></Get></HTTP></DCPType></GetMap>
</Request><Exception><Format>XML</Format></Exception>
<Layer><Title>All</Title><CRS>EPSG:3857</CRS>
<Layer><Name>picture</Name><Title>Picture</Title><CRS>EPSG:3857</CRS>
<EX_GeographicBoundingBox><westBoundLongitude>17.7</westBoundLongitude>
<eastBoundLongitude>17.8</eastBoundLongitude><southBoundLatitude>46.9</southBoundLatitude>
<northBoundLatitude>47.1</northBoundLatitude></EX_GeographicBoundingBox>
<BoundingBox CRS="EPSG:3857" minx="{xmin}" miny="{ymin}" maxx="{xmax}" maxy="{ymax}"/>
</Layer></Layer></Capability></WMS_Capabilities>"""


class _Handler(BaseHTTPRequestHandler):
    """Answers by the first part of the path."""

    def do_GET(self) -> None:
        """Answer a request for a tile, a map or what there is."""
        address = urlparse(self.path)
        kind, *rest = address.path.strip("/").split("/")
        query = {name.lower(): each[0] for name, each in parse_qs(address.query).items()}
        try:
            if kind.startswith("rest"):
                self._arcgis(kind, rest, query)
            elif kind.startswith("wms"):
                self._wms(kind, query)
            else:
                self._tile(kind, *(int(part.split(".")[0]) for part in rest))
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _tile(self, kind: str, zoom: int, x: int, y: int) -> None:
        if kind == "missing" or (kind == "hole" and (x, y) == BAD_TILE):
            return self._send(404, "text/plain", b"no such tile")
        if kind == "broken" and (x, y) == BAD_TILE:
            return self._send(500, "text/plain", b"out of order")
        if kind == "text" and (x, y) == BAD_TILE:
            return self._send(200, "text/html", b"<html>Please log in</html>")
        if kind == "slow":
            time.sleep(60)
        side = 2 * HALF_WORLD / 2**zoom
        xmin, ymax = x * side - HALF_WORLD, HALF_WORLD - y * side
        self._send(
            200, "image/png", png(sample((xmin, ymax - side, xmin + side, ymax), TILE, TILE))
        )

    def _wms(self, kind: str, query: dict[str, str]) -> None:
        if query.get("request", "").lower() == "getcapabilities":
            url = f"http://{self.headers['Host']}/{kind}"
            shown = picture()
            bounds = {
                "xmin": Place.left,
                "ymax": Place.top,
                "xmax": Place.left + shown.shape[2] * CELL,
                "ymin": Place.top - shown.shape[1] * CELL,
            }
            text = CAPABILITIES.format(url=url, **bounds)
            return self._send(200, "text/xml", text.encode())
        if kind == "wmsbroken":
            text = "<ServiceExceptionReport><ServiceException>Disk full</ServiceException>"
            return self._send(200, "text/xml", f"{text}</ServiceExceptionReport>".encode())
        self._map(query["bbox"], query["width"], query["height"])

    def _arcgis(self, kind: str, rest: list[str], query: dict[str, str]) -> None:
        if rest[-1] == "export" and kind == "restbroken":
            return self._send(500, "text/plain", b"out of order")
        if rest[-1] == "export":
            width, height = query["size"].split(",")
            return self._map(query["bbox"], width, height)
        shown = picture()
        extent = {
            "xmin": Place.left,
            "ymax": Place.top,
            "xmax": Place.left + shown.shape[2] * CELL,
            "ymin": Place.top - shown.shape[1] * CELL,
            "spatialReference": {"wkid": 102100, "latestWkid": 3857},
        }
        layers = [{"id": 0, "name": "picture"}]
        service = {"extent": extent, "fullExtent": extent, "layers": layers, "name": "picture"}
        self._send(200, "application/json", json.dumps(service).encode())

    def _map(self, box: str, width: str, height: str) -> None:
        bounds = tuple(float(value) for value in box.split(","))
        self._send(200, "image/png", png(sample(bounds, int(width), int(height))))

    def _send(self, code: int, kind: str, data: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        """Keep silent."""


def main() -> None:
    """Serve on a free port, which is told on standard output, until the caller is gone."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
