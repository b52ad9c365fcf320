"""Training refuses data with the sentences of the inspection."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch")

from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.chips.survey import find_problems
from geodl_plugin.core.errors import TrainingDataError
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.learning.options import TrainingOptions
from geodl_plugin.core.learning.preparation import prepare
from geodl_plugin.core.progress import Phase, Progress


def tile(path, bands, side=64, value=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(path.name)).integers(1, 250, (bands, side, side))
    if value is not None:
        pixels[:] = value
    write_chip(path, pixels.astype(np.uint8), GeoTransform(), "")


def box(path, name):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<annotation><object><name>{name}</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
        "<xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
    )


def describe(folder, keyword, classes):
    entries = [{"Value": value, "Name": f"Class {value}"} for value in classes]
    text = json.dumps({"MetaDataMode": keyword, "Classes": entries})
    (folder / "esri_model_definition.emd").write_text(text)


@pytest.fixture
def boxes(tmp_path):
    for number in range(4):
        tile(tmp_path / "images" / f"{number}.tif", 3)
        box(tmp_path / "labels" / f"{number}.xml", 1)
    describe(tmp_path, "PASCAL_VOC_rectangles", [1])
    return tmp_path


@pytest.fixture
def masks(tmp_path):
    for number in range(4):
        tile(tmp_path / "images" / f"{number}.tif", 3)
        tile(tmp_path / "labels" / f"{number}.tif", 1, value=1)
    describe(tmp_path, "Classified_Tiles", [0, 1])
    return tmp_path


def refusal(folder):
    with pytest.raises(TrainingDataError) as caught:
        prepare(
            TrainingOptions(input=str(folder), output=str(folder / "out")),
            Phase(Progress(), "Reading", 1, "chips"),
        )
    return str(caught.value)


def fatal_sentences(folder):
    return [each.sentence for each in find_problems(open_folder(folder)) if each.fatal]


BOX_PLANTS = [
    lambda f: (f / "images" / "2.tif").write_bytes(b"no image"),
    lambda f: (f / "labels" / "2.xml").write_text("<annotation"),
    lambda f: (f / "labels" / "2.xml").unlink(),
    lambda f: box(f / "labels" / "2.xml", 7),
    lambda f: tile(f / "images" / "2.tif", 4),
    lambda f: [tile(f / "images" / f"{number}.tif", 3, 16) for number in range(4)],
    lambda f: [(f / "labels" / f"{n}.xml").write_text("<annotation/>") for n in range(4)],
]


@pytest.mark.parametrize("spoil", BOX_PLANTS)
def test_boxes_are_refused_with_the_same_sentence(boxes, spoil):
    spoil(boxes)
    told = refusal(boxes)
    expected = fatal_sentences(boxes)
    # The counts differ: training speaks of its share of the chips.
    assert [told.split(" has a label")[-1]] == [each.split(" has a label")[-1] for each in expected]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: tile(f / "labels" / "2.tif", 1, 96, value=1),
        lambda f: (f / "labels" / "2.tif").write_bytes(b"II*"),
        lambda f: describe(f, "Classified_Tiles", [0]),
    ],
)
def test_masks_are_refused_with_the_same_sentence(masks, spoil):
    spoil(masks)
    assert [refusal(masks)] == fatal_sentences(masks)


def test_masks_of_background_alone_are_refused_with_the_same_sentence(masks):
    for number in range(4):
        tile(masks / "labels" / f"{number}.tif", 1, value=0)
    (expected,) = fatal_sentences(masks)
    assert refusal(masks) == expected.replace("4 training chips", "3 training chips")


@pytest.mark.parametrize("some", [False, True])
def test_masks_of_unknown_values_are_told(masks, some):
    """Masks of 0 and 255 were said to have no label, and a few unknown values nothing at all."""
    numbers = [3] if some else range(4)
    for number in numbers:
        tile(masks / "labels" / f"{number}.tif", 1, value=255)
    if not some:
        assert "pixels with the values 255, but its classes are: " in refusal(masks)
        return
    wanted = TrainingOptions(input=str(masks), output=str(masks / "out"), weights="none")
    notes = prepare(wanted, Phase(Progress(), "Reading", 1, "chips")).notes
    told = "Labels of 1 chip have pixels with the values 255, which"
    assert any(note.startswith(told) for note in notes)


def test_images_without_data_are_told(masks):
    for number in range(4):
        pixels = np.full((3, 64, 64), np.nan, np.float32)
        write_chip(masks / "images" / f"{number}.tif", pixels, GeoTransform(), "")
    assert refusal(masks).startswith("None of the 4 training chips of")
    assert "has data" in refusal(masks)
