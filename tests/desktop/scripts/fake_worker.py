#!/usr/bin/python3
"""Stands in for the worker's Python: speaks its protocol, and misbehaves as it is told.

``GEODL_FAKE`` names the scenario; ``GEODL_FAKE_PID`` is a file for the process number.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path


def send(**event: object) -> None:
    """Send one event."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def train(epochs: int, planned: int, seconds: float) -> None:
    """Tell of some epochs."""
    for epoch in range(1, epochs + 1):
        for step in range(1, 5):
            time.sleep(seconds / 4)
            fraction = (epoch - 1 + step / 4) / planned
            left = round((1 - fraction) * planned * seconds)
            message = f"Training, epoch {epoch} of {planned}: {step} of 4 batches, {left} s left"
            send(event="progress", fraction=fraction, message=message)
        record = {
            "epoch": epoch,
            "epochs": planned,
            "train_loss": 2.4 * 0.87**epoch + 0.06,
            "valid_loss": 2.2 * 0.89**epoch + 0.15 + 0.05 * (epoch % 3),
            "metric": "average_precision",
            "score": 0.78 * (1 - 0.86**epoch) - 0.01 * (epoch % 3),
            "learning_rate": 1e-3,
            "seconds": 40.0 * seconds,
        }
        send(event="epoch", record=record)


SELFTEST = {
    "python": sys.executable,
    "versions": {"Python": "3.11.2", "GDAL": "3.6.2", "torch": "2.9.0"},
    "devices": [{"name": "cpu", "label": "x86_64, 2 threads"}],
    "seconds": 3.1,
}


def detect(options: dict) -> None:
    """Find what the file GEODL_FAKE_BOXES lists, in parts of the raster's width and height."""
    from osgeo import gdal, ogr

    raster = gdal.Open(options["sources"][0])
    left, across, _, top, _, down = raster.GetGeoTransform()
    width, height = across * raster.RasterXSize, down * raster.RasterYSize
    for step in range(1, 6):
        time.sleep(0.2)
        message = f"Detecting: {step} of 5 tiles, 5 tiles/s, {(5 - step) / 5:.0f} s left"
        send(event="progress", fraction=step / 5, message=message)
    file = ogr.GetDriverByName("GPKG").CreateDataSource(options["output"])
    layer = file.CreateLayer("drafts", raster.GetSpatialRef(), ogr.wkbPolygon)
    layer.CreateField(ogr.FieldDefn("Class", ogr.OFTString))
    layer.CreateField(ogr.FieldDefn("Classvalue", ogr.OFTInteger))
    layer.CreateField(ogr.FieldDefn("Confidence", ogr.OFTReal))
    boxes = json.loads(Path(os.environ["GEODL_FAKE_BOXES"]).read_text(encoding="utf-8"))
    for west, north, east, south, value, confidence in boxes:
        w, e = left + width * west, left + width * east
        n, s = top + height * north, top + height * south
        feature = ogr.Feature(layer.GetLayerDefn())
        feature["Class"], feature["Classvalue"] = f"class {value}", value
        feature["Confidence"] = confidence
        ring = f"POLYGON (({w} {n}, {e} {n}, {e} {s}, {w} {s}, {w} {n}))"
        feature.SetGeometry(ogr.CreateGeometryFromWkt(ring))
        layer.CreateFeature(feature)
    layer = file = None
    send(event="result", result={"output": options["output"], "object_count": len(boxes)})


def main() -> None:
    """Play the scenario."""
    request = json.loads(sys.stdin.readline())
    pid = Path(os.environ["GEODL_FAKE_PID"])
    pid.with_suffix(".json").write_text(json.dumps(request.get("options")), encoding="utf-8")
    pid.write_text(str(os.getpid()), encoding="ascii")
    scenario = os.environ["GEODL_FAKE"]
    if request["task"] == "selftest":
        send(event="result", result=SELFTEST)
        return
    if scenario == "stubborn":  # does not listen to the cancel line either
        train(1000, 1000, 0.2)
    elif scenario == "killed":
        train(2, 20, 0.1)
        os.kill(os.getpid(), signal.SIGKILL)
    elif scenario == "fails":
        send(
            event="error",
            kind="TrainingDataError",
            message="The folder 'chips' holds no chips. Export training data first.",
        )
    elif scenario == "finds":
        detect(request["options"])
    elif scenario == "works":
        train(24, 30, 0.1)
        result = {"model": request["options"].get("output", ""), "epochs": 24, "best_score": 0.75}
        send(event="result", result=result)


main()
