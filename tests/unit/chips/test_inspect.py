"""Every problem of training data, planted once and found."""

from __future__ import annotations

import base64
import json
import re
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
from osgeo import gdal

from geodl_plugin.core.chips.contact_sheet import choose
from geodl_plugin.core.chips.export import export_chips
from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.chips.formats import keywords
from geodl_plugin.core.chips.inspect import InspectionOptions, inspect
from geodl_plugin.core.chips.options import ExportOptions
from geodl_plugin.core.chips.problems import Kind
from geodl_plugin.core.chips.survey import find_problems
from geodl_plugin.core.errors import CancelledError, InputError
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.progress import Progress

CLASSES = [{"Value": 1, "Name": "Oak"}, {"Value": 2, "Name": "Pine"}]


def image(path, bands=3, side=64, dtype=np.uint8, seed=None, fill=None, nodata=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed if seed is not None else zlib.crc32(path.name.encode()))
    pixels = rng.integers(1, 250, (bands, side, side)).astype(dtype)
    if fill is not None:
        pixels[:] = fill
    write_chip(path, pixels, GeoTransform(), "", nodata=nodata)


def mask(path, values, side=64):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((1, side, side), np.uint8)
    for place, value in enumerate(values):
        pixels[0, 4 * place + 4 : 4 * place + 8] = value
    write_chip(path, pixels, GeoTransform(), "")


def boxes(path, objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>"
        f"<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for name, box in objects
    )
    path.write_text(f"<annotation>{entries}</annotation>")


def describe(folder, keyword, classes=CLASSES):
    values = {"MetaDataMode": keyword, "Classes": classes}
    (folder / "esri_model_definition.emd").write_text(json.dumps(values))


@pytest.fixture
def voc(tmp_path):
    """Ten chips, each with an oak and a pine."""
    for number in range(10):
        image(tmp_path / "images" / f"{number}.tif", seed=number)
        boxes(tmp_path / "labels" / f"{number}.xml", [(1, (2, 2, 20, 20)), (2, (30, 30, 62, 64))])
    describe(tmp_path, "PASCAL_VOC_rectangles")
    return tmp_path


@pytest.fixture
def tiles(tmp_path):
    """Ten chips with masks of both classes."""
    for number in range(10):
        image(tmp_path / "images" / f"{number}.tif", seed=number)
        mask(tmp_path / "labels" / f"{number}.tif", [1, 2])
    describe(tmp_path, "Classified_Tiles")
    return tmp_path


def kinds(folder):
    return [(each.kind, each.fatal) for each in find_problems(open_folder(folder))]


def test_nothing_is_wrong_with_good_data(voc):
    assert kinds(voc) == []


def test_nothing_is_wrong_with_good_masks(tiles):
    assert kinds(tiles) == []


FEW = [(Kind.FEW, False)] * 2  # the chip's samples are missing
BOX_PLANTS = {
    "unreadable image": (
        lambda f: (f / "images" / "0.tif").write_bytes(b"no image"),
        [(Kind.IMAGE, True), *FEW],
    ),
    "unreadable label": (
        lambda f: (f / "labels" / "3.xml").write_text("<annotation"),
        [(Kind.LABEL, True), *FEW],
    ),
    "image without label": (
        lambda f: (f / "labels" / "3.xml").unlink(),
        [(Kind.NO_LABEL, True), *FEW],
    ),
    "label without image": (
        lambda f: boxes(f / "labels" / "11.xml", [(1, (1, 1, 9, 9))]),
        [(Kind.NO_IMAGE, False)],
    ),
    "unknown class": (
        lambda f: boxes(f / "labels" / "3.xml", [(7, (1, 1, 9, 9))]),
        [(Kind.UNKNOWN_CLASS, True), *FEW],
    ),
    "bands": (lambda f: image(f / "images" / "3.tif", bands=4), [(Kind.BANDS, True), *FEW]),
    "size": (lambda f: image(f / "images" / "3.tif", side=96), [(Kind.SIZE, False)]),
    "type": (lambda f: image(f / "images" / "3.tif", dtype=np.uint16), [(Kind.DATA_TYPE, False)]),
    "outside": (
        lambda f: boxes(f / "labels" / "3.xml", [(1, (-9, 2, 20, 70)), (2, (1, 1, 64.5, 9))]),
        [(Kind.OUTSIDE, False)],
    ),
    "no area": (
        lambda f: boxes(f / "labels" / "3.xml", [(1, (9, 2, 9, 9)), (2, ("nan", 1, 9, 9))]),
        [(Kind.NO_AREA, False)],
    ),
    "empty label": (
        lambda f: (
            boxes(f / "labels" / "3.xml", []),
            boxes(
                f / "labels" / "4.xml",
                [(1, (2, 2, 9, 9)), (1, (2, 2, 9, 9)), (2, (2, 2, 9, 9)), (2, (2, 2, 9, 9))],
            ),
        ),
        [(Kind.EMPTY, False)],
    ),
    "no data": (
        lambda f: image(f / "images" / "3.tif", fill=0, nodata=0),
        [(Kind.BLANK, False)],
    ),
    "one value": (lambda f: image(f / "images" / "3.tif", fill=17), [(Kind.BLANK, False)]),
    "duplicate": (lambda f: image(f / "images" / "3.tif", seed=5), [(Kind.DUPLICATE, False)]),
    "few samples": (
        lambda f: describe(f, "PASCAL_VOC_rectangles", [*CLASSES, {"Value": 3, "Name": "Fir"}]),
        [(Kind.FEW, False)],
    ),
}


@pytest.mark.parametrize("plant", BOX_PLANTS)
def test_a_planted_problem_is_found(voc, plant):
    spoil, expected = BOX_PLANTS[plant]
    spoil(voc)
    assert kinds(voc) == expected


MASK_PLANTS = {
    "unknown value": (
        lambda f: mask(f / "labels" / "3.tif", [1, 2, 9]),
        (Kind.UNKNOWN_CLASS, False),
    ),
    "size of the label": (lambda f: mask(f / "labels" / "3.tif", [1, 2], 96), (Kind.SIZE, True)),
    "empty": (lambda f: mask(f / "labels" / "3.tif", []), (Kind.EMPTY, False)),
    "unreadable": (lambda f: (f / "labels" / "3.tif").write_bytes(b"II*"), (Kind.LABEL, True)),
    "second image": (
        lambda f: [image(f / "images2" / f"{number}.tif") for number in range(9)],
        (Kind.NO_PARTNER, True),
    ),
}


@pytest.mark.parametrize("plant", MASK_PLANTS)
def test_a_planted_problem_of_masks_is_found(tiles, plant):
    spoil, expected = MASK_PLANTS[plant]
    spoil(tiles)
    assert [each for each in kinds(tiles) if each[0] is not Kind.FEW] == [expected]


@pytest.mark.parametrize(
    ("more", "expected"),
    [({"bands": 4}, (Kind.BANDS, True)), ({"side": 96}, (Kind.IMAGE, True)), ({}, None)],
)
def test_a_second_image_that_does_not_fit_the_first_is_found(tiles, tmp_path, more, expected):
    for chip in open_folder(tiles).chips:
        image(tiles / "images2" / f"{chip.name}.tif")
    image(tiles / "images2" / "3.tif", **more)
    found = [each for each in kinds(tiles) if each[0] is not Kind.FEW]
    assert found == ([expected] if expected else [])
    report = tmp_path / "report.html"
    inspect(InspectionOptions(str(tiles), str(report)), Progress())
    shown = report.read_text(encoding="utf-8").count("<figure>")
    assert shown == len(open_folder(tiles).chips) - bool(expected)


def test_second_images_of_another_kind_are_no_problem(tmp_path):
    """Tiles without labels may show anything beside the image, a height for example."""
    for number in range(3):
        image(tmp_path / "images" / f"{number}.tif", seed=number)
        image(tmp_path / "images2" / f"{number}.tif", seed=number, bands=1)
    describe(tmp_path, "Export_Tiles")
    report = tmp_path / "report.html"
    assert inspect(InspectionOptions(str(tmp_path), str(report)), Progress())["problems"] == 0
    assert report.read_text(encoding="utf-8").count('viewBox="0 0 64 64"') == 3


def test_a_duplicate_says_whether_the_labels_agree(voc):
    image(voc / "images" / "3.tif", seed=5)
    assert "contradict" not in find_problems(open_folder(voc))[0].sentence
    boxes(voc / "labels" / "3.xml", [(1, (2, 2, 20, 20)), (2, (30, 30, 62, 63))])
    assert "contradict" in find_problems(open_folder(voc))[0].sentence


def test_one_date_may_look_the_same_as_long_as_the_other_does_not(tiles):
    """Pairs of the same image before and different ones after were called duplicates."""
    for number in range(10):
        image(tiles / "images2" / f"{number}.tif", seed=100 + number)
    image(tiles / "images" / "3.tif", seed=5)
    image(tiles / "images" / "5.tif", seed=5)
    assert Kind.DUPLICATE not in [kind for kind, _ in kinds(tiles)]
    image(tiles / "images2" / "3.tif", seed=105)
    assert Kind.DUPLICATE in [kind for kind, _ in kinds(tiles)]


def test_an_image_with_two_counterparts_contradicts_itself(tmp_path):
    for number in range(3):
        image(tmp_path / "images" / f"{number}.tif", seed=min(number, 1))
        image(tmp_path / "images2" / f"{number}.tif", seed=number, bands=1)
    describe(tmp_path, "Export_Tiles")
    (problem,) = find_problems(open_folder(tmp_path))
    assert problem.kind is Kind.DUPLICATE
    assert "contradict" in problem.sentence
    image(tmp_path / "images2" / "2.tif", seed=1, bands=1)
    (problem,) = find_problems(open_folder(tmp_path))
    assert "contradict" not in problem.sentence


def test_chips_too_small_for_a_network(tmp_path):
    image(tmp_path / "images" / "a.tif", side=16)
    boxes(tmp_path / "labels" / "a.xml", [("Oak", (1, 1, 9, 9))])
    assert (Kind.SIZE, True) in kinds(tmp_path)


def test_nothing_labelled(voc):
    for number in range(10):
        boxes(voc / "labels" / f"{number}.xml", [])
    found = kinds(voc)
    assert found[0] == (Kind.FOLDER, True)
    assert found.count((Kind.EMPTY, False)) == 10


def test_the_classifier_of_one_class(tmp_path):
    for number in range(10):
        image(tmp_path / "images" / "Oak" / f"{number}.tif", seed=number)
    assert kinds(tmp_path) == [(Kind.FOLDER, True)]


@pytest.mark.parametrize("keyword", keywords())
def test_every_format_is_inspected(scene, keyword, tmp_path):
    scene.paint().label([(20, 20, 60, 50), (200, 100, 280, 190)], ["Oak", "Pine"])
    bare = keyword in ("Export_Tiles", "CycleGAN")
    options = ExportOptions(
        rasters=(scene.raster,),
        labels="" if bare else scene.labels,
        folder=str(tmp_path / "chips ü"),
        class_field="" if bare else "kind",
        format=keyword,
        width=100,
        height=100,
        stride_x=100,
        stride_y=100,
        second=(scene.raster,) if keyword == "CycleGAN" else (),
    )
    count = export_chips(options, Progress()).chips
    report = tmp_path / "new" / "report.html"
    result = inspect(InspectionOptions(options.folder, str(report)), Progress())
    found = find_problems(open_folder(options.folder))
    assert {each.kind for each in found} <= {Kind.FEW}
    assert result == {"chips": count, "problems": len(found)}
    text = report.read_text(encoding="utf-8")
    assert text.count("<figure>") == count
    assert keyword in text
    assert bare or "Oak" in text


class Strict(HTMLParser):
    """Checks that the page is well formed and needs nothing from elsewhere."""

    VOID = {"meta", "image", "path", "rect"}

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("src", "href"):
                assert value.startswith("data:image/png;base64,")
        assert tag != "script"
        if self.get_starttag_text().endswith("/>") or tag == "meta":
            return
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_safe(voc, tmp_path):
    describe(voc, "PASCAL_VOC_rectangles", [{"Value": 1, "Name": "<Oak> & co"}, CLASSES[1]])
    boxes(voc / "labels" / "3.xml", [(7, (1, 1, 9, 9))])
    report = tmp_path / "report.html"
    inspect(InspectionOptions(str(voc), str(report)), Progress())
    text = report.read_text(encoding="utf-8")
    parser = Strict()
    parser.feed(text)
    assert parser.open == []
    assert "<Oak>" not in text
    assert "Stops training" in text
    assert str(voc) not in text


def test_pictures_of_16_bit_are_stretched(tiles, tmp_path):
    for number in range(10):
        image(tiles / "images" / f"{number}.tif", bands=1, dtype=np.uint16, seed=number)
    report = tmp_path / "report.html"
    inspect(InspectionOptions(str(tiles), str(report), rows=1), Progress())
    first = re.search(r"base64,([^\"]+)", report.read_text(encoding="utf-8")).group(1)
    gdal.FileFromMemBuffer("/vsimem/test.png", base64.b64decode(first))
    pixels = gdal.Open("/vsimem/test.png").ReadAsArray()
    gdal.Unlink("/vsimem/test.png")
    plain = pixels[:, 30:]  # below the labels
    assert plain.shape[0] == 3
    assert plain.min() == 0
    assert plain.max() == 255
    assert (plain[0] == plain[1]).all()
    assert (pixels[0, 4:8] != pixels[1, 4:8]).any()  # tinted


def test_the_choice_shows_every_class_and_is_repeatable():
    classes = [(1,)] * 500 + [(2, 3), None, (4,), ()]
    chosen = choose(classes, 4, 7)
    assert {value for each in chosen for value in classes[each]} == {1, 2, 3, 4}
    assert len(chosen) == 4
    assert choose(classes, 4, 7) == chosen
    assert choose(classes, 4, 8) != chosen
    assert choose(classes, 0, 7) == []
    assert choose([None], 4, 7) == []


def test_cancelling_leaves_no_report(voc, tmp_path):
    class Impatient(Progress):
        def cancelled(self):
            return True

    report = tmp_path / "report.html"
    with pytest.raises(CancelledError):
        inspect(InspectionOptions(str(voc), str(report)), Impatient())
    assert not list(tmp_path.glob("report*"))


def test_a_negative_number_of_rows_is_refused(voc, tmp_path):
    with pytest.raises(InputError, match="rows"):
        inspect(InspectionOptions(str(voc), str(tmp_path / "r.html"), rows=-1), Progress())
