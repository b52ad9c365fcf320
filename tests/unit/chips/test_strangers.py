"""Training data as other programs lay it out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.chips.formats.coco import encode
from geodl_plugin.core.chips.inspect import InspectionOptions, inspect
from geodl_plugin.core.chips.problems import Kind
from geodl_plugin.core.chips.survey import find_problems
from geodl_plugin.core.errors import TrainingDataError
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.progress import Progress

KOLOVAI = Path(__file__).resolve().parents[4] / "shared" / "data" / "kolovai_voc"
LABELIMG = """<annotation>
	<folder>photos</folder><filename>{name}.png</filename><path>C:\\photos\\{name}.png</path>
	<source><database>Unknown</database></source>
	<size><width>60</width><height>40</height><depth>3</depth></size><segmented>0</segmented>
	<object><name>car</name><pose>Unspecified</pose><truncated>0</truncated>
		<difficult>0</difficult>
		<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>11</xmax><ymax>22</ymax></bndbox>
		<part><name>wheel</name>
			<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></part>
	</object>
</annotation>"""


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_chip(path, np.full((3, 40, 60), 9, np.uint8), GeoTransform(), "", "PNG")
    path.with_suffix(".pgw").unlink()


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def boxes_by_name(folder):
    found = {}
    for chip in folder.chips:
        label = folder.read_label(chip)
        names = [folder.schema.by_value(value).name for value in label.values]
        key = chip.image.relative_to(folder.path).as_posix()
        found[key] = [(n, np.round(b, 3).tolist()) for n, b in zip(names, label.boxes)]
    return found


@pytest.mark.skipif(
    not KOLOVAI.is_dir(), reason="The real export 'kolovai_voc' is not beside the project."
)
def test_a_real_export_of_arcgis_is_what_its_own_statistics_say(tmp_path):
    images, features = (
        int(line.split("=")[1].split()[0])
        for line in (KOLOVAI / "stats.txt").read_text().splitlines()[:2]
    )
    folder = open_folder(KOLOVAI)
    assert folder.format == "PASCAL_VOC_rectangles"
    assert folder.schema.names == ("Palm",)
    assert (len(folder.chips), folder.width, folder.height) == (images, 448, 448)
    assert sum(len(folder.read_label(chip).boxes) for chip in folder.chips) == features
    options = InspectionOptions(str(KOLOVAI), str(tmp_path / "report.html"), rows=1)
    assert inspect(options, Progress())["chips"] == images


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images", "labels"),
        ("JPEGImages", "Annotations"),
        ("images", "annotations"),
        ("", ""),
        ("train", "train"),
    ],
    ids=["two folders", "the challenge", "lower case", "side by side", "split, side by side"],
)
def test_pascal_voc_wherever_the_files_lie(tmp_path, images, labels):
    for name in ("a", "b"):
        picture(tmp_path / images / f"{name}.png")
    text(tmp_path / labels / "a.xml", LABELIMG.format(name="a"))
    folder = open_folder(tmp_path)
    assert folder.format == "PASCAL_VOC_rectangles"
    assert folder.schema.names == ("car",)
    place = f"{images}/" if images else ""
    first, second = (chip for chip in folder.chips)
    assert (first.image, second.label) == (tmp_path / images / "a.png", None)
    label = folder.read_label(first)
    assert label.boxes.tolist() == [[1, 2, 11, 22]]
    assert first.image.relative_to(tmp_path).as_posix() == f"{place}a.png"


VOC = LABELIMG.format(name="a")
COCO = json.dumps(
    {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 10, 20]}],
        "categories": [{"id": 3, "name": "car"}],
    }
)


@pytest.mark.parametrize(
    "labels",
    [
        {"labels/a.xml": VOC},
        {"labels/a.txt": "0 0.1 0.3 0.166667 0.5\n", "data.yaml": "names: [car]\n"},
        {"annotations/instances_default.json": COCO},
    ],
    ids=["VOC", "YOLO", "COCO"],
)
def test_hidden_files_of_macos_are_no_chips(tmp_path, labels):
    picture(tmp_path / "images" / "a.png")
    for name, content in {**labels, "images/a.png": ""}.items():
        place = tmp_path / name
        if content:
            text(place, content)
        place.with_name(f"._{place.name}").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    text(tmp_path / "__MACOSX" / "images" / "._a.png", "")
    folder = open_folder(tmp_path)
    assert boxes_by_name(folder) == {"images/a.png": [("car", [1, 2, 11, 22])]}
    assert all(each.name[0] != "." for each in folder.reader.label_files())


def mask(path, values, bands=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((bands, 40, 60), np.uint8)
    pixels[:, 5:15, 10 : 10 + 10 * len(values)] = np.repeat(values, 10)
    write_chip(path, pixels, GeoTransform(), "", "PNG")
    path.with_suffix(".pgw").unlink()


def test_masks_that_are_png(tmp_path):
    """ArcGIS names them in map.txt; other programs have no file that tells their classes."""
    for name in "abc":
        picture(tmp_path / "images" / f"{name}.png")
        mask(tmp_path / "labels" / f"{name}.png", [3, 255] if name == "b" else [3])
    folder = open_folder(tmp_path)
    assert (folder.format, folder.schema.values) == ("Classified_Tiles", (3, 255))
    found = [np.unique(folder.read_label(chip).values).tolist() for chip in folder.chips]
    assert found == [[0, 3], [0, 3, 255], [0, 3]]
    mask(tmp_path / "labels" / "c.png", [3], bands=3)
    with pytest.raises(TrainingDataError, match=r"c\.png' has 3 bands\. Give it one"):
        open_folder(tmp_path)


def test_masks_of_objects_that_are_png(tmp_path):
    picture(tmp_path / "images" / "a.png")
    mask(tmp_path / "labels" / "car" / "a.png", [1, 2])
    folder = open_folder(tmp_path)
    assert folder.format == "RCNN_Masks"
    boxes = [("car", [10, 5, 20, 15]), ("car", [20, 5, 30, 15])]
    assert boxes_by_name(folder) == {"images/a.png": boxes}


@pytest.mark.parametrize("suffix", [".bmp", ".webp", ".JP2"])
def test_images_of_further_formats(tmp_path, suffix):
    (tmp_path / "images").mkdir()
    pixels = np.full((40, 60, 3), 90, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "images" / f"a{suffix}")
    text(tmp_path / "labels" / "a.xml", VOC)
    folder = open_folder(tmp_path)
    assert boxes_by_name(folder) == {f"images/a{suffix}": [("car", [1, 2, 11, 22])]}
    assert folder.read_image(folder.chips[0]).pixels.shape == (3, 40, 60)


def test_a_plot_among_labels_is_no_mask(tmp_path):
    picture(tmp_path / "images" / "a.png")
    picture(tmp_path / "labels" / "labels.png")
    text(tmp_path / "labels" / "a.XML", VOC)
    folder = open_folder(tmp_path)
    assert boxes_by_name(folder) == {"images/a.png": [("car", [1, 2, 11, 22])]}


def test_yolo_of_roboflow_with_three_parts(tmp_path):
    for part in ("train", "valid", "test"):
        picture(tmp_path / part / "images" / "same_name.png")
    text(tmp_path / "train/labels/same_name.txt", "0 0.5 0.5 0.2 0.4\n")
    text(tmp_path / "valid/labels/same_name.txt", "1 0.1 0.1 0.5 0.1 0.5 0.9 0.1 0.9\n")
    text(
        tmp_path / "data.yaml",
        "train: ../train/images\nval: ../valid/images\nnc: 2\nnames:\n  0: bus\n  1: car\n"
        "roboflow:\n  license: CC BY 4.0\n",
    )
    text(tmp_path / "README.roboflow.txt", "hello")
    folder = open_folder(tmp_path)
    assert folder.format == "YOLO"
    assert boxes_by_name(folder) == {
        "train/images/same_name.png": [("bus", [24, 12, 36, 28])],
        "valid/images/same_name.png": [("car", [6, 4, 30, 36])],
        "test/images/same_name.png": [],
    }
    assert len(folder.reader.label_files()) == 2


@pytest.mark.parametrize("place", ["obj_train_data", ""])
def test_yolo_side_by_side_with_a_list_of_names(tmp_path, place):
    picture(tmp_path / place / "a.png")
    text(tmp_path / place / "a.txt", "1 0.5 0.5 0.2 0.4\n")
    text(tmp_path / "obj.names", "bus\ncar\n")
    text(tmp_path / "train.txt", "data/obj_train_data/a.png\n")
    folder = open_folder(tmp_path)
    assert list(boxes_by_name(folder).values()) == [[("car", [24, 12, 36, 28])]]
    assert [each.name for each in folder.reader.label_files()] == ["a.txt"]


@pytest.mark.parametrize(
    ("row", "more"),
    [
        ("\ufeff0 0.5 0.5 0.2 0.4", ""),
        ("0.0 0.5 0.5 0.2 0.4", ""),
        ("0 0.5 0.5 0.2 0.4 0.1 0.2 2 0.3 0.4 0", "kpt_shape: [2, 3]\n"),
        ("0 0.5 0.5 0.2 0.4 0.1 0.2 0.3 0.4", "kpt_shape: [2, 2]\n"),
    ],
    ids=["mark of Windows", "real number", "key points seen or not", "key points"],
)
def test_rows_of_yolo_as_others_write_them(tmp_path, row, more):
    picture(tmp_path / "images" / "a.png")
    text(tmp_path / "labels" / "a.txt", f"{row}\n")
    text(tmp_path / "data.yaml", f"\ufeffnames: [bus, car]\n{more}")
    assert boxes_by_name(open_folder(tmp_path)) == {"images/a.png": [("bus", [24, 12, 36, 28])]}


def test_a_list_of_names_that_begins_with_the_mark_of_windows(tmp_path):
    picture(tmp_path / "images" / "a.png")
    text(tmp_path / "labels" / "a.txt", "0 0.5 0.5 0.2 0.4\n")
    text(tmp_path / "classes.txt", "\ufeffbus\ncar\n")
    assert open_folder(tmp_path).schema.names == ("bus", "car")


def test_one_part_of_a_yolo_set_has_the_names_of_the_whole(tmp_path):
    part = tmp_path / "train"
    picture(part / "images" / "a.png")
    text(part / "labels" / "a.txt", "1 0.5 0.5 0.2 0.4\n")
    with pytest.raises(TrainingDataError, match=r"Labels of YOLO need a 'data\.yaml'"):
        open_folder(part)
    text(tmp_path / "data.yaml", "names: [bus, car]\n")
    folder = open_folder(part)
    assert boxes_by_name(folder) == {"images/a.png": [("car", [24, 12, 36, 28])]}


@pytest.mark.parametrize("names", ["{a: tree}", "5", "{null: tree}"])
def test_yolo_whose_names_have_no_numbers_is_one_sentence(tmp_path, names):
    picture(tmp_path / "images" / "a.png")
    text(tmp_path / "labels" / "a.txt", "0 0.5 0.5 0.2 0.4\n")
    text(tmp_path / "data.yaml", f"names: {names}\n")
    with pytest.raises(TrainingDataError, match=r"data\.yaml' has names that are no list"):
        open_folder(tmp_path)


def test_yolo_of_labelimg_with_its_classes_among_the_labels(tmp_path):
    picture(tmp_path / "images" / "a.png")
    text(tmp_path / "labels" / "a.txt", "0 0.5 0.5 0.2 0.4\n")
    text(tmp_path / "labels" / "classes.txt", "bus\ncar\n")
    folder = open_folder(tmp_path)
    assert folder.format == "YOLO"
    assert boxes_by_name(folder) == {"images/a.png": [("bus", [24, 12, 36, 28])]}
    assert [each.name for each in folder.reader.label_files()] == ["a.txt"]


def test_yolo_of_labelimg_beside_the_images_of_a_folder_called_so(tmp_path):
    picture(tmp_path / "images" / "a.png")
    text(tmp_path / "images" / "a.txt", "1 0.5 0.5 0.2 0.4\n")
    text(tmp_path / "images" / "classes.txt", "bus\ncar\n")
    folder = open_folder(tmp_path)
    assert boxes_by_name(folder) == {"images/a.png": [("car", [24, 12, 36, 28])]}
    assert [each.name for each in folder.reader.label_files()] == ["a.txt"]


def coco(images, annotations, categories=((3, "car"),)):
    return json.dumps(
        {
            "info": {"description": "x"},
            "licenses": [],
            "images": [
                {"id": number, "file_name": name, "width": 60, "height": 40}
                for number, name in images
            ],
            "categories": [
                {"id": number, "name": name, "supercategory": "none"} for number, name in categories
            ],
            "annotations": annotations,
        }
    )


def annotation(image, box, **changes):
    base = {"id": 1, "image_id": image, "category_id": 3, "bbox": box, "iscrowd": 0, "area": 1}
    return {**base, **changes}


def test_coco_in_sub_folders_with_runs_and_crowds(tmp_path):
    mask = np.zeros((40, 60), bool)
    mask[5:15, 10:30] = True
    for name in ("north/0001.png", "south/0001.png"):
        picture(tmp_path / "images" / name)
    text(
        tmp_path / "annotations" / "instances_default.json",
        coco(
            [(1, "north/0001.png"), (2, "south\\0001.png")],
            [
                annotation(1, [10, 5, 20, 10], segmentation=encode(mask)),
                annotation(1, [0, 0, 60, 40], segmentation=encode(~mask), iscrowd=1),
                annotation(2, [1, 2, 10, 20], segmentation=[[1, 2, 11, 2, 11, 22, 1, 22]]),
            ],
        ),
    )
    text(tmp_path / "annotations" / "captions_default.json", coco([(1, "north/0001.png")], []))
    folder = open_folder(tmp_path)
    assert boxes_by_name(folder) == {
        "images/north/0001.png": [("car", [10, 5, 30, 15])],
        "images/south/0001.png": [("car", [1, 2, 11, 22])],
    }
    assert (folder.read_label(folder.chips[0]).masks[0] == mask).all()


def test_coco_of_roboflow_is_read_with_all_its_parts(tmp_path):
    for part, category in (("train", 3), ("valid", 8)):
        picture(tmp_path / part / "a.png")
        text(
            tmp_path / part / "_annotations.coco.json",
            coco(
                [(0, "a.png")],
                [annotation(0, [1, 2, 10, 20], category_id=category)],
                [(category, "car")],
            ),
        )
    expected = [("car", [1, 2, 11, 22])]
    assert boxes_by_name(open_folder(tmp_path)) == {
        "train/a.png": expected,
        "valid/a.png": expected,
    }


def test_coco_as_its_own_site_lays_it_out(tmp_path):
    picture(tmp_path / "train2017" / "000000000139.png")
    text(
        tmp_path / "annotations" / "instances_train2017.json",
        coco([(139, "000000000139.png")], [annotation(139, [1, 2, 10, 20])]),
    )
    assert boxes_by_name(open_folder(tmp_path)) == {
        "train2017/000000000139.png": [("car", [1, 2, 11, 22])]
    }


def square(x, y, side):
    return [x, y, x + side, y, x + side, y + side, x, y + side]


@pytest.mark.parametrize(
    ("parts", "pixels"),
    [
        ([square(5, 5, 10), square(10, 10, 10)], 175),
        ([square(5, 5, 10), square(5, 5, 10)], 100),
        ([square(5, 5, 10), [30, 5, 40, 15, 40, 5, 30, 15]], 150),
        ([square(5, 5, 10), [1, 1, 2, 2]], 100),
    ],
    ids=["overlapping", "twice the same", "crossing itself", "a line"],
)
def test_parts_of_a_coco_object_add_up(tmp_path, parts, pixels):
    picture(tmp_path / "images" / "a.png")
    content = coco([(1, "a.png")], [annotation(1, [1, 2, 10, 20], segmentation=parts)])
    text(tmp_path / "annotations.json", content)
    folder = open_folder(tmp_path)
    assert folder.read_label(folder.chips[0]).masks.sum() == pixels


@pytest.mark.parametrize("name", ["result.json", "Trees of May.json"])
def test_a_coco_file_of_any_name_that_lists_an_image_twice(tmp_path, name):
    """Label Studio calls it so, and lists an image again for each person who has labelled it."""
    picture(tmp_path / "images" / "a.png")
    boxes = [annotation(1, [1, 2, 10, 20]), annotation(7, [20, 5, 10, 10])]
    entries = [(1, "images/a.png"), (7, "images\\a.png"), (7, "images/a.png")]
    text(tmp_path / name, coco(entries, boxes))
    text(tmp_path / "notes.json", "[]")
    folder = open_folder(tmp_path)
    assert folder.format == "COCO"
    found = [("car", [1, 2, 11, 22]), ("car", [20, 5, 30, 15])]
    assert boxes_by_name(folder) == {"images/a.png": found}


@pytest.mark.parametrize("name", ["labels/a.xml", "annotations.json"])
def test_an_image_that_is_not_the_labelled_one_is_told(tmp_path, name):
    """It was made smaller, or turned as its EXIF entry says, after it was labelled."""
    picture(tmp_path / "images" / "a.png")
    content = coco([(1, "a.png")], [annotation(1, [1, 2, 10, 20])])
    content = VOC if name.endswith("xml") else content
    for size, told in (("60", 0), ("0", 0), ("600", 1)):
        changed = content.replace("<width>60", f"<width>{size}")
        text(tmp_path / name, changed.replace('"width": 60', f'"width": {size}'))
        problems = find_problems(open_folder(tmp_path))
        found = [each.sentence for each in problems if each.kind is Kind.SIZE]
        assert len(found) == told
    assert "is 60 by 40 pixels, but an image of 600 by 40 was labelled" in found[0]
