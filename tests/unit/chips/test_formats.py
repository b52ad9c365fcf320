"""Every format: what is written is read again, by us and by others."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geodl_plugin.core.chips.export import export_chips
from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.chips.formats import Chip, WrittenChip, chip_format, keywords
from geodl_plugin.core.chips.formats.coco import decode, encode
from geodl_plugin.core.chips.formats.imagenet import folder_name, folder_names
from geodl_plugin.core.chips.formats.yolo import keyhole
from geodl_plugin.core.chips.labels import (
    BoxLabel,
    ClassLabel,
    InstanceLabel,
    MaskLabel,
    NoLabel,
    PanopticLabel,
    fill,
)
from geodl_plugin.core.chips.options import ExportOptions
from geodl_plugin.core.errors import TrainingDataError
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.progress import Progress
from geodl_plugin.core.samples.schema import ClassDefinition, Schema

SCHEMA = Schema.from_text("0:Zero:#000000;3:Oak tree:#00ff00;41:Büsche/Hecke:#0000ff;300:Rest")
NONZERO = SCHEMA.values[1:]
PLACE = GeoTransform(1000.0, 0.5, 0.0, 5000.0, 0.0, -0.5)


@st.composite
def boxes(draw, side):
    count = draw(st.integers(0, 5))
    corner = st.floats(0, side - 2).map(lambda number: round(number, 2))
    found = []
    for _ in range(count):
        x, y = draw(corner), draw(corner)
        width = round(draw(st.floats(1, side - x)), 2)
        height = round(draw(st.floats(1, side - y)), 2)
        found.append([x, y, x + width, y + height])
    values = draw(st.lists(st.sampled_from(NONZERO), min_size=count, max_size=count))
    return np.array(found).reshape(-1, 4), np.array(values, np.int64)


@st.composite
def labels(draw, kind, side):
    if kind is BoxLabel:
        return BoxLabel(*draw(boxes(side)))
    if kind is ClassLabel:
        several = st.lists(st.sampled_from(NONZERO), min_size=1, max_size=3, unique=True)
        return ClassLabel(tuple(draw(several)))
    if kind is InstanceLabel:
        corners, values = draw(boxes(side))
        rings = tuple(_blob(box, draw(st.booleans())) for box in corners)
        return InstanceLabel(values, (side, side), rings)
    seed = draw(st.integers(0, 1 << 30))
    mask = MaskLabel(np.random.default_rng(seed).choice([0, *NONZERO], (side, side)))
    if kind is MaskLabel:
        return mask
    if kind is PanopticLabel:
        return PanopticLabel(mask, draw(labels(InstanceLabel, side)))
    return NoLabel()


def _blob(box, round_shape):
    xmin, ymin, xmax, ymax = box
    if not round_shape:
        return (np.array([[xmin, ymin], [xmax, ymin], [xmax, ymax], [xmin, ymax]]),)
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    centre, radius = np.array([xmin + xmax, ymin + ymax]) / 2, np.array([xmax - xmin, ymax - ymin])
    return (centre + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius / 2,)


def store(folder, keyword, label, side, name="000000000"):
    writer = chip_format(keyword)(folder, SCHEMA)
    if writer.suffix:
        (folder / "labels").mkdir(parents=True, exist_ok=True)
    image = writer.image_path(name, ".png", label)
    image.parent.mkdir(parents=True, exist_ok=True)
    write_chip(image, np.full((3, side, side), 9, np.uint8), PLACE, "", "PNG")
    writer.write(WrittenChip(name, image, label, (3, side, side), PLACE, ""))
    writer.finish()
    return chip_format(keyword)(folder, SCHEMA)


def _moved(label, step):
    """Return a label whose outlines lie beside their place: pixels on the very edge change."""
    rings = tuple(tuple(ring + step for ring in each) for each in label.rings)
    return InstanceLabel(label.values, label.shape, rings)


def assert_same(keyword, found, label):
    if isinstance(label, PanopticLabel):
        assert_same(keyword, found.mask, label.mask)
        assert_same(keyword, found.instances, label.instances)
    elif isinstance(label, MaskLabel):
        assert (found.values == label.values).all()
    elif isinstance(label, ClassLabel):
        count = 1 if keyword in ("Labeled_Tiles", "Imagenet") else len(label.values)
        assert found.values == label.values[:count]
    elif isinstance(label, NoLabel):
        assert isinstance(found, NoLabel)
    elif keyword in ("RCNN_Masks", "Panoptic_Segmentation"):
        # Objects come back class by class, those without a pixel not at all.
        seen = [index for index in range(len(label.values)) if label.masks[index].any()]
        expected = sorted((label.values[i], label.masks[i].tobytes()) for i in seen)
        assert sorted(zip(found.values, (m.tobytes() for m in found.masks))) == expected
    else:
        assert found.values.tolist() == label.values.tolist()
        assert np.allclose(found.boxes, label.boxes, atol=0.01)
    if isinstance(label, InstanceLabel) and keyword in ("COCO", "YOLO"):
        sure = _moved(label, 0.01).masks == _moved(label, -0.01).masks
        assert (found.masks == label.masks)[sure].all()


@pytest.mark.parametrize("keyword", keywords())
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), side=st.integers(16, 90))
def test_what_is_written_is_read_again(keyword, data, side, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chips")
    label = data.draw(labels(chip_format(keyword).label, side))
    reader = store(folder, keyword, label, side)
    (chip,) = reader.chips()
    assert_same(keyword, reader.read(chip), label)


def test_there_are_twelve_formats():
    assert keywords() == sorted(
        [
            "PASCAL_VOC_rectangles",
            "KITTI_rectangles",
            "Classified_Tiles",
            "RCNN_Masks",
            "Labeled_Tiles",
            "MultiLabeled_Tiles",
            "Imagenet",
            "Panoptic_Segmentation",
            "Export_Tiles",
            "CycleGAN",
            "COCO",
            "YOLO",
        ]
    )


@given(st.integers(0, 1 << 30), st.integers(1, 12), st.integers(1, 12))
def test_run_lengths_are_exact(seed, rows, cols):
    mask = np.random.default_rng(seed).random((rows, cols)) > 0.5
    assert (decode(encode(mask), "x") == mask).all()
    from faster_coco_eval.core import mask as coco_mask

    theirs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    theirs["counts"] = theirs["counts"].decode()
    assert (decode(theirs, "x") == mask).all()
    ours = coco_mask.frPyObjects(encode(mask), rows, cols)
    assert (coco_mask.decode(ours) == mask).all()


def test_a_hole_and_a_second_part_survive_one_polygon():
    square = np.array([[0, 0], [20, 0], [20, 20], [0, 20]], float)
    rings = (square, square * 0.4 + 5, square * 0.3 + 30)
    joined = (keyhole(rings),)
    expected = fill(rings, (64, 64))
    assert expected.sum() == 400 - 64 + 36
    assert (fill(joined, (64, 64)) == expected).all()


@pytest.fixture
def exported(scene):
    """Return a function that exports a scene of three boxes in a format."""

    def export(keyword, **changes):
        scene.paint(shape=(3, 256, 256)).label(
            [[10, 20, 50, 60], [70, 80, 120, 110], [200, 200, 250, 240]], ["oak", "pine", "oak"]
        )
        options = ExportOptions(
            (scene.raster,), scene.labels, str(scene.folder / keyword), class_field="kind",
            format=keyword, width=128, height=128, stride_x=128, stride_y=128,
        )  # fmt: skip
        return export_chips(dataclasses.replace(options, **changes), Progress()).folder

    return export


# Strangers read what we write.


def test_torchvision_reads_pascal_voc(exported, tmp_path):
    from torchvision.datasets import VOCDetection

    folder = exported("PASCAL_VOC_rectangles", image_format="JPEG")
    root = tmp_path / "VOCdevkit" / "VOC2012"
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "JPEGImages").symlink_to(folder / "images")
    (root / "Annotations").symlink_to(folder / "labels")
    names = [path.stem for path in sorted((folder / "labels").iterdir())]
    (root / "ImageSets" / "Main" / "train.txt").write_text("\n".join(names) + "\n")
    image, target = VOCDetection(tmp_path, "2012", "train")[0]
    objects = target["annotation"]["object"]
    assert image.size == (128, 128)
    assert [each["name"] for each in objects] == ["1", "2"]
    assert float(objects[0]["bndbox"]["xmax"]) == pytest.approx(50, abs=0.01)


def test_torchvision_reads_kitti(exported, tmp_path):
    from torchvision.datasets import Kitti

    folder = exported("KITTI_rectangles", image_format="PNG")
    root = tmp_path / "Kitti" / "raw" / "training"
    root.mkdir(parents=True)
    (root / "image_2").mkdir()
    for image in (folder / "images").glob("*.png"):
        (root / "image_2" / image.name).symlink_to(image)
    (root / "label_2").symlink_to(folder / "labels")
    found = Kitti(tmp_path)
    (index,) = (i for i, path in enumerate(found.images) if path.endswith("000000000.png"))
    image, target = found[index]
    image.close()
    assert [each["type"] for each in target] == ["1", "2"]
    assert target[0]["bbox"] == pytest.approx([10, 20, 50, 60], abs=0.01)
    assert len((folder / "labels" / "000000000.txt").read_text().splitlines()[0].split()) == 15


def test_torchvision_reads_imagenet(exported):
    from torchvision.datasets import ImageFolder

    folder = exported("Imagenet", image_format="PNG", stride_x=0, stride_y=0, width=32, height=32)
    found = ImageFolder(folder / "images")
    assert found.classes == ["oak", "pine"]
    assert [label for _, label in found.samples] == [0, 0, 1]
    assert not (folder / "labels").exists()


def test_coco_tools_read_coco(exported):
    from faster_coco_eval import COCO

    folder = exported("COCO")
    coco = COCO(str(folder / "annotations.json"))
    assert [each["name"] for each in coco.loadCats(coco.getCatIds())] == ["oak", "pine"]
    first = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert [each["bbox"] for each in first] == [
        pytest.approx([10, 20, 40, 40], abs=0.01),
        pytest.approx([70, 80, 50, 30], abs=0.01),
    ]
    mask = coco.annToMask(first[0])
    assert mask.shape == (128, 128)
    assert mask.sum() == pytest.approx(1600, abs=80)
    assert mask[21:59, 11:49].all()


# We read strangers.


def test_a_coco_set_of_another_program(tmp_path):
    (tmp_path / "train").mkdir()
    picture = tmp_path / "train" / "photo.png"
    write_chip(picture, np.full((3, 40, 60), 9, np.uint8), PLACE, "", "PNG")
    (tmp_path / "train" / "_annotations.coco.json").write_text(
        '{"images": [{"id": 7, "file_name": "photo.png", "width": 60, "height": 40}], '
        '"categories": [{"id": 0, "name": "none"}, {"id": 5, "name": "car"}], "annotations": ['
        '{"id": 1, "image_id": 7, "category_id": 5, "bbox": [1, 2, 10, 20], "area": 200}]}'
    )
    folder = open_folder(tmp_path)
    assert folder.format == "COCO"
    label = folder.read_label(folder.chips[0])
    assert label.boxes.tolist() == [[1, 2, 11, 22]]
    assert [folder.schema.by_value(value).name for value in label.values] == ["car"]


def test_a_yolo_set_of_another_program(tmp_path):
    for part, line in (("train", "1 0.5 0.5 0.2 0.4\n"), ("val", "0 0.1 0.1 0.5 0.1 0.5 0.9\n")):
        for kind in ("images", "labels"):
            (tmp_path / kind / part).mkdir(parents=True)
        picture = tmp_path / "images" / part / f"{part}.png"
        write_chip(picture, np.full((3, 40, 60), 9, np.uint8), PLACE, "", "PNG")
        (tmp_path / "labels" / part / f"{part}.txt").write_text(line)
    (tmp_path / "data.yaml").write_text("train: images/train\nnames: ['bus', 'car']\nnc: 2\n")
    folder = open_folder(tmp_path)
    assert (folder.format, folder.schema.names) == ("YOLO", ("bus", "car"))
    train, val = (folder.read_label(chip) for chip in folder.chips)
    assert train.boxes[0] == pytest.approx([24, 12, 36, 28])
    assert train.values.tolist() == [2]
    assert val.boxes[0] == pytest.approx([6, 4, 30, 36])


@pytest.mark.parametrize(
    ("keyword", "name", "text", "message"),
    [
        ("KITTI_rectangles", "labels/a.txt", "Car 0 0 0 1 2 x 4", "Line 1 of"),
        ("YOLO", "labels/a.txt", "0 0.5 0.5 0.1", "neither a box nor a polygon"),
        ("YOLO", "labels/a.txt", "9 0.5 0.5 0.1 0.1", "class index 9"),
        ("COCO", "annotations.json", '{"images": [', "cannot be read"),
    ],
)
def test_damaged_labels_say_where(tmp_path, keyword, name, text, message):
    reader = store(tmp_path, keyword, _empty(keyword), 32, name="a")
    (tmp_path / name).write_text(text)
    with pytest.raises(TrainingDataError, match=message):
        for chip in reader.chips():
            reader.read(chip)


def coco_set(folder, **changes):
    """Return a set of one image with one object, with other content as told."""
    write_chip(folder / "a.png", np.ones((1, 40, 60), np.uint8), PLACE, "", "PNG")
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 20]}],
        "categories": [{"id": 1, "name": "car"}],
    }
    (folder / "annotations.json").write_text(json.dumps({**content, **changes}))
    return folder


@pytest.mark.parametrize(
    ("outline", "box"),
    [
        (None, [1, 2, 11, 22]),
        ([[]], [1, 2, 11, 22]),
        ([[], [5, 5, 9, 5, 9, 8]], [5, 5, 9, 8]),
    ],
)
def test_empty_rings_of_coco_are_no_outline(tmp_path, outline, box):
    label = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 20]}
    folder = open_folder(coco_set(tmp_path, annotations=[{**label, "segmentation": outline}]))
    assert folder.read_label(folder.chips[0]).boxes.tolist() == [box]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": ["a.png"]}, "'images' of .* no list of objects"),
        ({"annotations": {"id": 1}}, "'annotations' of .* no list of objects"),
        ({"annotations": [7]}, "'annotations' of .* no list of objects"),
        ({"categories": [{"name": "car"}]}, "lacks its 'id' or its 'name'"),
        ({"categories": [{"id": 1}]}, "lacks its 'id' or its 'name'"),
    ],
)
def test_damaged_coco_files_are_refused(tmp_path, changes, message):
    with pytest.raises(TrainingDataError, match=message):
        open_folder(coco_set(tmp_path, **changes))


def test_coco_without_annotations_has_no_objects(tmp_path):
    folder = open_folder(coco_set(tmp_path, annotations=None, categories=None))
    assert len(folder.read_label(folder.chips[0]).values) == 0


def test_a_yolo_set_has_boxes_or_polygons_but_not_both(tmp_path):
    """Ultralytics gives up all polygons of a set in which an object is a box."""
    box, triangle = (
        np.array([[4.0, 4], [20, 4], [20, 12], [4, 12]]),
        np.array([[2.0, 2], [9, 2], [9, 9]]),
    )
    for name, shapes in (("plain", [[box], [box, box]]), ("mixed", [[box], [box, triangle], []])):
        folder = tmp_path / name
        writer = chip_format("YOLO")(folder, SCHEMA)
        for place in ("labels", "images"):
            (folder / place).mkdir(parents=True)
        for number, rings in enumerate(shapes):
            image = folder / "images" / f"{number}.png"
            write_chip(image, np.full((3, 32, 32), 9, np.uint8), PLACE, "", "PNG")
            label = InstanceLabel(
                np.full(len(rings), 3), (32, 32), tuple((each,) for each in rings)
            )
            writer.write(WrittenChip(str(number), image, label, (3, 32, 32), PLACE, ""))
        writer.finish()
        rows = "".join(path.read_text() for path in (folder / "labels").iterdir()).splitlines()
        assert {len(row.split()) for row in rows} == ({5} if name == "plain" else {9, 7})
        read = open_folder(folder)
        for chip, rings in zip(read.chips, shapes):
            found = read.read_label(chip).rings
            assert all(np.allclose(one, other) for (one,), other in zip(found, rings))
            assert len(found) == len(rings)


def test_yolo_without_names_says_so(tmp_path):
    reader = store(tmp_path, "YOLO", _empty("YOLO"), 32, name="a")
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.1 0.1")
    (tmp_path / "data.yaml").unlink(missing_ok=True)
    with pytest.raises(TrainingDataError, match=r"has no 'data\.yaml' with the names"):
        reader.read(reader.chips()[0])


def _empty(keyword):
    if chip_format(keyword).label is BoxLabel:
        return BoxLabel(np.zeros((0, 4)), np.zeros(0, np.int64))
    return InstanceLabel(np.zeros(0, np.int64), (32, 32))


def test_a_coco_file_may_not_lead_out_of_its_folder(tmp_path):
    (tmp_path / "set").mkdir()
    write_chip(tmp_path / "secret.png", np.ones((1, 8, 8), np.uint8), PLACE, "", "PNG")
    (tmp_path / "set" / "annotations.json").write_text(
        '{"images": [{"id": 1, "file_name": "../../secret.png"}], "annotations": []}'
    )
    with pytest.raises(TrainingDataError, match="outside its folder"):
        chip_format("COCO")(tmp_path / "set").chips()


def test_names_become_folders_on_every_system():
    assert folder_name("a/b:c ") == "a_b_c"
    assert folder_name("..") == "_"
    assert folder_name("Aux") == "_Aux" and folder_name("nul.1") == "_nul.1"  # Windows' own
    assert folder_name("conifer") == "conifer"
    assert Chip("a", "b").label is None


def test_every_class_has_a_folder_of_its_own():
    names = ("a/b", "a:b", "a_b", "a_b_2", "Oak", "oak")
    schema = Schema(tuple(ClassDefinition(i, name, (0, 0, 0)) for i, name in enumerate(names, 1)))
    found = ["a_b_3", "a_b_4", "a_b", "a_b_2", "Oak", "oak_2"]
    assert list(map(folder_names(schema).get, schema.values)) == found


@pytest.mark.parametrize("keyword", ["RCNN_Masks", "Panoptic_Segmentation", "Imagenet"])
def test_names_that_become_one_folder_stay_two_classes(scene, keyword):
    scene.paint().label([[20, 20, 50, 50], [90, 20, 120, 50]], ["a/b", "a:b"])
    stride = 0 if keyword == "Imagenet" else 64
    options = ExportOptions(
        rasters=(scene.raster,),
        labels=scene.labels,
        folder=str(scene.folder / "chips"),
        class_field="kind",
        format=keyword,
        width=64,
        height=64,
        stride_x=stride,
        stride_y=stride,
    )
    folder = open_folder(export_chips(options, Progress()).folder)
    labels = [folder.read_label(chip) for chip in folder.chips]
    found = [getattr(label, "instances", label).values for label in labels]
    names = [folder.schema.by_value(int(value)).name for values in found for value in values]
    assert names == ["a/b", "a:b"]
