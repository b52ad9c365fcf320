"""Chips that are one object each are seen in training as they are when they are classified."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from geodl_plugin.core.chips.export import export_chips
from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.chips.inspect import InspectionOptions
from geodl_plugin.core.chips.options import ExportOptions
from geodl_plugin.core.chips.survey import find_problems, survey
from geodl_plugin.core.geo.crs import spatial_reference
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.geo.shapes import polygon
from geodl_plugin.core.geo.vector import VectorReader
from geodl_plugin.core.geo.vector_writer import VectorWriter
from geodl_plugin.core.inference.crops import CropReader, WholeReader, subjects, whole_subjects
from geodl_plugin.core.inference.model import BOUNDING_BOX, read_model
from geodl_plugin.core.inference.object_answers import fit
from geodl_plugin.core.learning import network_choice, own_sizes
from geodl_plugin.core.learning.augmentation_settings import settings_of
from geodl_plugin.core.learning.batches import make_datasets
from geodl_plugin.core.learning.own_sizes import default_side
from geodl_plugin.core.learning.preparation import Preparation, prepare
from geodl_plugin.core.learning.preview import augmented
from geodl_plugin.core.learning.preview import run as inspect
from geodl_plugin.core.learning.train import train
from geodl_plugin.core.models.registry import Task
from geodl_plugin.core.packages.archive import open_package
from geodl_plugin.core.progress import Phase, Progress

from .test_train import options

TINY = {"backbone": "timm:test_resnet"}
UTM = spatial_reference("EPSG:32612").ExportToWkt()
GRID = GeoTransform(1000.0, 0.5, 0.0, 5000.0, 0.0, -0.5)
# The first one is small, the last one reaches into what has no data.
BOXES = [(10, 10, 30, 30), (60, 10, 160, 90), (170, 10, 240, 110), (60, 120, 160, 200)]
BOXES += [(170, 120, 266, 216), (10, 130, 58, 200), (270, 10, 366, 106), (290, 200, 390, 290)]


@pytest.fixture
def scene(tmp_path: Path) -> tuple[str, str]:
    """Return a raster and a layer of boxes of different sizes on it."""
    pixels = np.random.default_rng(1).integers(1, 250, (3, 300, 400)).astype(np.uint8)
    pixels[:, 250:] = 0
    raster, labels = str(tmp_path / "ortho.tif"), str(tmp_path / "labels.gpkg")
    write_chip(raster, pixels, GRID, UTM, nodata=0)
    with VectorWriter(labels, UTM, {"kind": str}) as writer:
        for place, corners in enumerate(GRID.box_corners(np.array(BOXES))):
            writer.write(polygon(corners), {"kind": "ab"[place % 2]})
    return raster, labels


@pytest.fixture
def objects(scene: tuple[str, str], tmp_path: Path) -> Path:
    """Return a folder of chips that are as large as the boxes."""
    raster, labels = scene
    crop = {"class_field": "kind", "stride_x": 0, "stride_y": 0, "bounding_box": True}
    folder = str(tmp_path / "objects")
    export_chips(
        ExportOptions((raster,), labels, folder, format="Labeled_Tiles", **crop), Progress()
    )
    return Path(folder)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return photos of two classes, not all of one size."""
    random = np.random.default_rng(2)
    for place in range(8):
        size = (120, 80, 3) if place % 3 else (90, 64, 3)
        file = tmp_path / "photos" / "images" / "ab"[place % 2] / f"{place}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(1, 250, size).astype(np.uint8)).save(file)
    return tmp_path / "photos"


def prepared(folder: Path, **more: object) -> Preparation:
    chosen = options(folder, folder / "none", **TINY, **more)
    return prepare(chosen, Phase(Progress(), "Reading", 1, "chips"))


def images(preparation: Preparation) -> dict[int, torch.Tensor]:
    """Return the image of each chip, of training and validation, without augmentation."""
    return {
        data.places[index][0]: data[index][0]
        for data in make_datasets(preparation)
        for index in range(len(data))
    }


@pytest.mark.usefixtures("no_report")
def test_an_object_is_seen_as_it_will_be_classified(scene, objects, tmp_path):
    result = train(options(objects, tmp_path / "model", **TINY, max_epochs=1), Progress())
    seen = images(prepared(objects, augmentation="NONE"))
    with open_package(result["model"]) as package:
        model = read_model(package.definition, Task.OBJECTS)
    assert model.crop_mode == BOUNDING_BOX and len(seen) == len(BOXES)
    layer = VectorReader(scene[1])
    with Raster.open(scene[0]) as raster:
        read = CropReader(raster, model)
        for place, subject in enumerate(subjects(layer.features(), layer.crs, raster)):
            wanted = fit(read(subject), model.chip_size)
            assert np.array_equal(seen[place].numpy(), wanted)


@pytest.mark.usefixtures("no_report")
def test_a_photo_is_seen_as_it_will_be_classified(photos, tmp_path):
    result = train(options(photos, tmp_path / "model", **TINY, max_epochs=1), Progress())
    preparation = prepared(photos, augmentation="NONE")
    with open_package(result["model"]) as package:
        model = read_model(package.definition, Task.OBJECTS)
        assert package.definition.values["CropSizeFixed"] == 0
    assert model.crop_mode == BOUNDING_BOX
    read = WholeReader(model)
    for place, image in images(preparation).items():
        source = str(preparation.folder.chips[place].image)
        (subject,) = whole_subjects([VectorFeature(0)], [source])
        assert np.array_equal(image.numpy(), fit(read(subject), model.chip_size))


class VectorFeature:
    """A footprint that nobody looks at."""

    def __init__(self, fid: int) -> None:
        self.fid = fid


def test_the_network_sees_the_usual_side_of_objects(objects):
    """The first object has 20 pixels, half of them 96 and more."""
    assert prepared(objects).spec.chip_size == 96
    assert prepared(objects, chip_size=64).spec.chip_size == 64
    assert not any(each.fatal for each in find_problems(open_folder(objects)))


def test_an_object_is_zoomed_in_its_middle(objects):
    preparation = prepared(
        objects,
        augmentation="CUSTOM",
        augmentation_parameters="zoom=2;probability=1;mirror_x=false;mirror_y=false;turn=false;"
        "brightness=0;contrast=1",
    )
    training, _ = make_datasets(preparation)
    position = training.places[0][0]
    sample = preparation.store[position]
    training._window_side = lambda: 48  # type: ignore[method-assign]
    rows, cols = sample.valid.shape
    top, left = (rows - rows // 2) // 2, (cols - cols // 2) // 2
    part = np.s_[..., top : top + rows // 2, left : left + cols // 2]
    middle = preparation.normalization.apply(sample.pixels[part], sample.valid[part])
    assert np.array_equal(training[0][0].numpy(), fit(middle, 96))


@pytest.mark.parametrize(
    ("sides", "seen", "note"),
    [
        ([40, 256, 256, 320], 256, "1 of 4 training chips are smaller than the 256 pixels"),
        ([256, 40, 40, 40], 32, "the multiple of 32 below 40"),
        ([20, 128, 128, 128, 128], 128, "down to 20"),
    ],
)
def test_the_first_photo_says_nothing_of_the_others(tmp_path, sides, seen, note):
    """The side that the network sees is that of most of them, and what lacks is told."""
    folder = tmp_path / "photos"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    (folder / "data.yaml").write_text("names: [car, bus]")
    for place, side in enumerate(sides):
        pixels = np.full((side, side + 9, 3), 100, np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{place}.png")
        (folder / "labels" / f"{place}.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    preparation = prepared(folder, validation_percentage=0)
    assert preparation.spec.chip_size == seen
    assert note in " ".join(preparation.notes)
    found = survey(open_folder(folder), Phase(Progress(), "", 1, ""))
    assert not found.fatal
    block, _ = augmented(found, Task.DETECTION, 0, settings_of("NONE", "", "MAP_SPACE"))(3)
    assert block.valid.shape == (seen, seen)


def test_chips_of_a_fixed_size_are_still_cut(make_folder):
    folder = make_folder("Labeled_Tiles", side=100, values=(1, 2))
    file = folder / "esri_model_definition.emd"
    for mode in ({}, {"CropTileMode": "Fixed_Size"}):
        file.write_text(json.dumps({**json.loads(file.read_text()), **mode}))
        preparation = prepared(folder, augmentation="NONE")
        assert preparation.spec.chip_size == 96 and not preparation.own_sizes
        for place, image in images(preparation).items():
            sample = preparation.store[place]
            whole = preparation.normalization.apply(sample.pixels, sample.valid)
            assert np.array_equal(image.numpy(), whole[:, 2:98, 2:98])


def test_inspection_shows_whole_objects(objects, tmp_path):
    result = inspect(InspectionOptions(str(objects), str(tmp_path / "report.html")), Progress())
    assert result["chips"] == len(BOXES)


@pytest.mark.parametrize(
    ("task", "whole", "scaled", "side"),
    [
        (Task.DETECTION, False, False, 1024),
        (Task.PIXELS, False, True, 3000),
        (Task.OBJECTS, True, True, 512),
        (Task.OBJECTS, False, False, 3000),
    ],
)
def test_photos_of_many_megapixels_need_no_such_network(task, whole, scaled, side):
    assert default_side([(3000, 4000), (3000, 3000)], task, whole, scaled) == side


def test_chips_that_are_seen_in_part_by_default_are_told(make_folder, monkeypatch):
    monkeypatch.setattr(own_sizes, "LARGEST_CROP", 32)
    monkeypatch.setattr(network_choice, "LARGEST_CROP", 32)
    folder = make_folder("PASCAL_VOC_rectangles", count=4)
    told = "larger than 32 by 32 pixels, which is what the network sees of them: CHIP_SIZE sets"
    found, chosen = prepared(folder), prepared(folder, chip_size=64)
    assert (found.spec.chip_size, chosen.spec.chip_size) == (32, 64)
    assert [any(told in note for note in each.notes) for each in (found, chosen)] == [True, False]
