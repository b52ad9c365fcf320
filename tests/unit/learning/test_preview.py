"""Training data as a network sees them."""

from __future__ import annotations

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from geodl_plugin.core.chips.folder import open_folder  # noqa: E402
from geodl_plugin.core.chips.inspect import InspectionOptions, inspect, survey_of  # noqa: E402
from geodl_plugin.core.errors import InputError, TrainingDataError  # noqa: E402
from geodl_plugin.core.geo.grid import GeoTransform  # noqa: E402
from geodl_plugin.core.geo.raster_writer import write_chip  # noqa: E402
from geodl_plugin.core.learning.augmentation_settings import settings_of  # noqa: E402
from geodl_plugin.core.learning.preview import augmented, label_of_target, run  # noqa: E402
from geodl_plugin.core.models.registry import Task  # noqa: E402
from geodl_plugin.core.progress import Progress  # noqa: E402

VALUES = np.array([4, 9])
DEFAULT = settings_of("DEFAULT", "", "MAP_SPACE")


@pytest.fixture
def tiles(tmp_path):
    """Chips of 16 bit with masks of the class 4 in a bright corner."""
    for number in range(3):
        pixels = np.random.default_rng(number).integers(900, 1100, (4, 70, 70)).astype(np.uint16)
        values = np.zeros((1, 70, 70), np.uint8)
        values[0, :40, :40] = 4
        pixels[:, :40, :40] += 2000
        for folder, array in (("images", pixels), ("labels", values)):
            (tmp_path / folder).mkdir(exist_ok=True)
            write_chip(tmp_path / folder / f"{number}.tif", array, GeoTransform(), "")
    (tmp_path / "esri_model_definition.emd").write_text(
        '{"MetaDataMode": "Classified_Tiles", "Classes": [{"Value": 4, "Name": "Roof"}]}'
    )
    return tmp_path


def matches(band: np.ndarray, roof: np.ndarray) -> bool:
    """Return whether the bright part is the roof, but for the edge that a zoom has smoothed."""
    bright = band > (band[roof].mean() + band[~roof].mean()) / 2
    return (bright == roof).mean() > 0.97


def test_labels_move_with_the_pixels(tiles):
    found = survey_of(open_folder(tiles), Progress())
    look = augmented(found, Task.PIXELS, 1, DEFAULT)
    corners = set()
    for position in range(3):
        block, label = look(position)
        assert block.pixels.shape == (4, 64, 64)
        roof = label.values == 4
        assert set(np.unique(label.values)) == {0, 4}
        assert matches(block.pixels[0], roof)
        corners.add(tuple(np.argwhere(roof)[0]))
        again, _ = look(position)
        assert np.array_equal(again.pixels, block.pixels)
    assert len(corners) > 1


def test_the_report_says_how_the_chips_are_shown(tiles, tmp_path):
    report = tmp_path / "report.html"
    options = InspectionOptions(str(tiles), str(report), rows=1, augment=True)
    assert run(options, Progress())["chips"] == 3
    text = report.read_text(encoding="utf-8")
    assert "As a network sees them" in text
    assert text.count("<figure>") == 3


@pytest.mark.parametrize("data_format", ["PASCAL_VOC_rectangles", "Classified_Tiles"])
def test_the_report_says_what_a_detector_from_random_weights_sees(
    make_folder, tmp_path, data_format
):
    report = tmp_path / "report.html"
    run(InspectionOptions(str(make_folder(data_format)), str(report), augment=True), Progress())
    told = "turned and mirrored only" in report.read_text(encoding="utf-8")
    assert told == (data_format == "PASCAL_VOC_rectangles")


def test_the_chosen_augmentation_is_shown_and_told(tiles, tmp_path):
    report = tmp_path / "report.html"

    def shown(augmentation, parameters=""):
        options = InspectionOptions(str(tiles), str(report), 1, 42, True, augmentation, parameters)
        run(options, Progress())
        text = report.read_text(encoding="utf-8")
        return text, re.findall(r"data:image/[^\"]+", text)

    still = "mirror_x=false;mirror_y=false;turn=false;zoom=1;contrast=1;brightness=0"
    _, usual = shown("DEFAULT")
    text, plain = shown("NONE")
    assert len(plain) == 3 and plain != usual and "without augmentation" in text
    text, same = shown("CUSTOM", still)
    assert same == plain and "turn=false" in text
    _, blurred = shown("CUSTOM", f"{still};blur=4;probability=1")
    assert blurred != plain
    with pytest.raises(InputError, match="no argument 'blurr'"):
        shown("CUSTOM", "blurr=4")


def test_an_augmentation_that_is_not_shown_is_refused(tiles):
    with pytest.raises(InputError, match=r"AUGMENTATION=CUSTOM is for .* Set AUGMENT"):
        inspect(InspectionOptions(str(tiles), augmentation="CUSTOM"), Progress())


def test_a_format_that_no_network_learns_from_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    write_chip(tmp_path / "images" / "a.tif", np.ones((1, 64, 64), np.uint8), GeoTransform(), "")
    with pytest.raises(InputError, match="Export_Tiles"):
        run(InspectionOptions(str(tmp_path)), Progress())


def test_targets_become_labels():
    boxes = {"boxes": torch.ones(1, 4), "labels": torch.tensor([1])}
    assert label_of_target(boxes, VALUES).values.tolist() == [9]
    masks = {**boxes, "masks": torch.ones(1, 5, 5)}
    assert label_of_target(masks, VALUES).masks.shape == (1, 5, 5)
    mask = label_of_target(torch.tensor([[-1, 0], [1, 2]]), VALUES)
    assert mask.values.tolist() == [[0, 0], [4, 9]]
    assert label_of_target(torch.tensor(1), VALUES).values == (9,)
    assert label_of_target(torch.tensor([1.0, 0.0]), VALUES).values == (4,)


def test_both_dates_are_moved_together(tiles):
    """The second images are the first ones, brighter by 500."""
    (tiles / "images2").mkdir()
    folder = open_folder(tiles)
    for chip in folder.chips:
        pixels = folder.read_image(chip).pixels + np.uint16(500)
        write_chip(tiles / "images2" / chip.image.name, pixels, GeoTransform(), "")
    found = survey_of(open_folder(tiles), Progress())
    assert not found.fatal and found.folder.paired
    look = augmented(found, Task.CHANGE, 1, DEFAULT)
    for position in range(3):
        block, label = look(position)
        assert block.pixels.shape == (8, 64, 64)
        difference = block.pixels[4:] - block.pixels[:4]
        assert np.ptp(difference) < 1 and difference.mean() > 100
        roof = label.values == 4
        assert matches(block.pixels[0], roof)


@pytest.mark.parametrize("augment", [False, True])
def test_pairs_are_drawn_beside_each_other(tiles, augment):
    (tiles / "images2").mkdir()
    for chip in open_folder(tiles).chips:
        pixels = open_folder(tiles).read_image(chip).pixels
        write_chip(tiles / "images2" / chip.image.name, pixels, GeoTransform(), "")
    report = tiles / "report.html"
    options = InspectionOptions(str(tiles), str(report), rows=1, augment=augment)
    done = run(options, Progress()) if augment else inspect(options, Progress())
    assert done["chips"] == 3
    side = 64 if augment else 70
    assert f'viewBox="0 0 {2 * side} {side}"' in report.read_text(encoding="utf-8")


def test_a_second_image_that_is_missing_stops_training(tiles):
    (tiles / "images2").mkdir()
    folder = open_folder(tiles)
    write_chip(
        tiles / "images2" / "0.tif", folder.read_image(folder.chips[0]).pixels, GeoTransform(), ""
    )
    folder = open_folder(tiles)
    with pytest.raises(TrainingDataError, match="has no second image"):
        folder.read_dates(folder.chips[1])
    assert run(InspectionOptions(str(tiles), rows=1, augment=True), Progress())["problems"]
