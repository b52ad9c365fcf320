"""The steps of the road: label, export, train, infer, assess, each through ``qgis_process``."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imagery
from process import QgisProcess

TREES = "1:Tree:#ffd200"
OBJECTS = "1:Tree:#ffd200;2:Open ground:#b07a3c"
MIN_IOU = 0.4
UNFINISHED = ".geodl-training"  # where Train model keeps what an interrupted one goes on with
NAMES = {imagery.TREE: "Tree", imagery.GROUND: "Open ground"}


@dataclass(frozen=True)
class Step:
    """A step of the road.

    Attributes:
        name: in a word or two.
        needs: names of the steps whose results it takes.
        outputs: files that exist when the step is done.
        work: does it.
    """

    name: str
    needs: tuple[str, ...]
    outputs: tuple[Path, ...]
    work: Callable[[], None]


@dataclass(frozen=True)
class Training:
    """How one of the three models is made.

    Attributes:
        name: of the model's package.
        layer: the samples, a file of the demo's data without its suffix.
        classes: the schema of the samples.
        export: what the export gets beside image and samples.
        train: what the training gets beside the chips.
    """

    name: str
    layer: str
    classes: str
    export: dict[str, str | int]
    train: dict[str, str | int]


BIG_TILES = {
    # The network sees random crops of 256 pixels of these.
    **dict.fromkeys(("TILE_SIZE_X", "TILE_SIZE_Y", "STRIDE_X", "STRIDE_Y"), 512),
    "OUTPUT_EMPTY_TILES": "true",
}
TRAININGS = (
    Training(
        "trees",
        "trees_upper",
        TREES,
        {"FORMAT": "PASCAL_VOC_rectangles", **BIG_TILES},
        {
            "MODEL_TYPE": "SSD",
            "MODEL_ARGUMENTS": "grids=[32,16];zooms=[2.0,4.0];drop=0.1",
            "CHIP_SIZE": 256,
            "MAX_EPOCHS": 100,
            "BATCH_SIZE": 8,
            "MONITOR": "AVERAGE_PRECISION",
            # All trees of an image at one scale are of the sizes that the anchors have.
            "AUGMENTATION": "CUSTOM",
            "AUGMENTATION_PARAMETERS": "zoom=1",
        },
    ),
    Training(
        "canopy",
        "crowns_upper",
        TREES,
        {"FORMAT": "Classified_Tiles", **BIG_TILES},
        {
            "MODEL_TYPE": "UNET",
            "CHIP_SIZE": 256,
            "MAX_EPOCHS": 60,
            "BATCH_SIZE": 8,
            "LEARNING_RATE": "1e-3",
            # The sun stands where it stands: turned chips would hide on which side it is.
            "AUGMENTATION": "CUSTOM",
            "AUGMENTATION_PARAMETERS": "mirror_x=false;mirror_y=false;turn=false;zoom=1",
            # What is asked for is overlap, of a class that covers a fifth of the image.
            "LOSS": "0.5*lovasz+0.5*cross_entropy",
            # Fifteen chips are few: all of them teach, the unseen part judges.
            "VALIDATION_PERCENTAGE": 0,
        },
    ),
    Training(
        "crowns",
        "objects_upper",
        OBJECTS,
        {
            "FORMAT": "Labeled_Tiles",
            **dict.fromkeys(("TILE_SIZE_X", "TILE_SIZE_Y"), 64),
            **dict.fromkeys(("STRIDE_X", "STRIDE_Y"), 0),
        },
        {
            "MODEL_TYPE": "FEATURE_CLASSIFIER",
            "MAX_EPOCHS": 15,
            "BATCH_SIZE": 32,
            "MONITOR": "ACCURACY",
        },
    ),
)
COMMON = {
    "BACKBONE": "resnet18",
    "WEIGHTS": "none",
    "LEARNING_RATE": "1e-3",
    "STOP_TRAINING": "false",
}
# The threshold that is best on the part that trains: what was never seen does not choose it.
DETECTION = "threshold=0.35;tile_size=512"


class Road:
    """The road from the imagery to the assessed results.

    Args:
        qgis: runs the tools.
        folder: where everything goes.
        trainings: how the models are made.
    """

    def __init__(
        self, qgis: QgisProcess, folder: Path, trainings: tuple[Training, ...] = TRAININGS
    ) -> None:
        self._qgis = qgis
        self._folder = folder
        self._trainings = trainings
        self._data = folder / "data"
        self._upper = self._data / "upper.tif"
        self._lower = self._data / "lower.tif"

    def steps(self) -> list[Step]:
        """Return the steps in order."""
        folder = self._folder
        outputs = (folder / "yellowstone.tif", self._lower, folder / "truth.gpkg")
        steps = [Step("imagery", (), outputs, self._imagery)]
        # All labels come first, then all exports: what is quick fails before what is long.
        for same in zip(*(self._training_steps(each) for each in self._trainings)):
            steps += same
        for name, model, output, work in (
            ("detect trees", "trees", "trees.gpkg", self._detect),
            ("classify pixels", "canopy", "canopy.tif", self._classify_pixels),
            ("classify objects", "crowns", "crowns.gpkg", self._classify_objects),
        ):
            steps.append(Step(name, (f"train {model}",), (folder / output,), work))
        for name, needed, report, work in (
            ("assess detections", "detect trees", "trees", self._assess_detections),
            ("assess pixels", "classify pixels", "canopy", self._assess_pixels),
        ):
            steps.append(Step(name, (needed,), (self._report(report),), work))
        return steps

    def _training_steps(self, training: Training) -> list[Step]:
        name, folder = training.name, self._folder
        samples, chips = folder / f"samples_{name}.gpkg", folder / "chips" / name / "map.txt"
        label, export, train = f"label {name}", f"export {name}", f"train {name}"
        return [
            Step(label, ("imagery",), (samples,), self._label(training)),
            Step(export, (label,), (chips,), self._export(training)),
            Step(train, (export,), (folder / f"{name}.dlpk",), self._train(training)),
        ]

    def trees_f1(self) -> float:
        """Return the F1 of the detected trees."""
        return float(_rows(self._report("trees").with_suffix(".csv"))["All"]["F1_Score"])

    def canopy_iou(self) -> float:
        """Return the intersection over union of the canopy."""
        return float(_rows(self._report("canopy").with_suffix(".csv"))["Tree"]["IoU"])

    def objects_accuracy(self) -> float:
        """Return the share of objects whose class is right, joined by their number."""
        content = json.loads((self._data / "objects_lower.geojson").read_text(encoding="utf-8"))
        truth = {
            feature["properties"]["number"]: NAMES[feature["properties"]["Classvalue"]]
            for feature in content["features"]
        }
        database = sqlite3.connect(self._folder / "crowns.gpkg")
        found = dict(database.execute('SELECT "number", "ClassLabel" FROM crowns'))
        database.close()
        return sum(found.get(number) == name for number, name in truth.items()) / len(truth)

    def _imagery(self) -> None:
        download = self._folder / "download"
        imagery.fetch(download)
        width, height, trees = imagery.read_trees(download / f"{imagery.NAME}.xml")
        imagery.write_layers(self._folder, width, height, trees)
        imagery.write_rasters(self._folder, self._folder / "yellowstone.tif", height)
        truth = self._folder / "truth.gpkg"
        truth.unlink(missing_ok=True)
        source = self._data / "trees_lower.geojson"
        subprocess.run(["ogr2ogr", "-nln", "truth", str(truth), str(source)], check=True)

    def _label(self, training: Training) -> Callable[[], None]:
        return lambda: self._qgis.run(
            f"label_{training.name}",
            "labelobjects",
            INPUT=self._upper,
            FEATURES=self._data / f"{training.layer}.geojson",
            CLASS_FIELD="Classvalue",
            SCHEMA=training.classes,
            OUTPUT=self._folder / f"samples_{training.name}.gpkg",
        )

    def _export(self, training: Training) -> Callable[[], None]:
        chips = self._folder / "chips" / training.name

        def work() -> None:
            for old in (chips, self._folder / "models" / training.name):
                shutil.rmtree(old, ignore_errors=True)
            self._qgis.run(
                f"export_{training.name}",
                "exporttrainingdata",
                INPUT=self._upper,
                LABELS=self._folder / f"samples_{training.name}.gpkg",
                CLASS_FIELD="Classvalue",
                OUTPUT=chips,
                **training.export,
            )

        return work

    def _train(self, training: Training) -> Callable[[], None]:
        model = self._folder / "models" / training.name

        def work() -> None:
            if not (model / UNFINISHED).exists():  # a killed training goes on
                shutil.rmtree(model, ignore_errors=True)
            self._qgis.run(
                f"train_{training.name}",
                "trainmodel",
                INPUT=self._folder / "chips" / training.name,
                OUTPUT=model,
                **{**COMMON, **training.train},
            )
            package = next(model.glob("*.dlpk"))
            shutil.copyfile(package, self._folder / f"{training.name}.dlpk")

        return work

    def _detect(self) -> None:
        self._qgis.run(
            "detect",
            "detectobjects",
            INPUT=self._lower,
            MODEL=self._folder / "trees.dlpk",
            ARGUMENTS=DETECTION,
            OUTPUT=self._folder / "trees.gpkg",
        )

    def _classify_pixels(self) -> None:
        self._qgis.run(
            "classify_pixels",
            "classifypixels",
            INPUT=self._lower,
            MODEL=self._folder / "canopy.dlpk",
            OUTPUT=self._folder / "canopy.tif",
        )

    def _classify_objects(self) -> None:
        self._qgis.run(
            "classify_objects",
            "classifyobjects",
            INPUT=self._lower,
            FEATURES=self._data / "features_lower.geojson",
            MODEL=self._folder / "crowns.dlpk",
            OUTPUT=self._folder / "crowns.gpkg",
        )

    def _assess_detections(self) -> None:
        report = self._report("trees")
        self._qgis.run(
            "assess_detections",
            "assessdetections",
            INPUT=self._folder / "trees.gpkg",
            REFERENCE=self._folder / "truth.gpkg",
            MIN_IOU=MIN_IOU,
            OUTPUT=report.with_suffix(".csv"),
            MATCHES=self._folder / "matches.gpkg",
            REPORT=report,
        )

    def _assess_pixels(self) -> None:
        report = self._report("canopy")
        self._qgis.run(
            "assess_pixels",
            "assesspixels",
            INPUT=self._folder / "canopy.tif",
            REFERENCE=self._data / "canopy_lower.geojson",
            CLASS_FIELD="Classvalue",
            OUTPUT=report.with_suffix(".csv"),
            REPORT=report,
        )

    def _report(self, name: str) -> Path:
        return self._folder / "reports" / f"{name}.html"


def _rows(table: Path) -> dict[str, dict[str, str]]:
    """Return the rows of an accuracy table by class."""
    with table.open(encoding="utf-8", newline="") as lines:
        return {row["Class"]: row for row in csv.DictReader(lines)}
