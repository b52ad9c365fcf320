"""The detectors in half precision and with their report; masks and their scores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from osgeo import ogr

from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.inference.detect import run
from geodl_plugin.core.inference.loading import load_network
from geodl_plugin.core.inference.model import read_model
from geodl_plugin.core.inference.options import DetectionOptions
from geodl_plugin.core.learning.augment import make_augmentation
from geodl_plugin.core.learning.augmentation_settings import settings_of
from geodl_plugin.core.learning.chip_store import ChipStore
from geodl_plugin.core.learning.dataset import CropDataset, collate
from geodl_plugin.core.learning.metrics import InstanceScores, mask_overlap
from geodl_plugin.core.learning.normalization import Normalization
from geodl_plugin.core.learning.options import TrainingOptions
from geodl_plugin.core.learning.train import train
from geodl_plugin.core.models.networks.one_stage import solid
from geodl_plugin.core.models.registry import Task, model_type
from geodl_plugin.core.object_masks import ObjectMask
from geodl_plugin.core.packages.archive import open_package
from geodl_plugin.core.progress import Progress

FIRST = {
    "RETINANET": "PASCAL_VOC_rectangles",
    "FCOS": "PASCAL_VOC_rectangles",
    "FASTERRCNN": "PASCAL_VOC_rectangles",
    "MASKRCNN": "RCNN_Masks",
}
SMALL = "rpn_batch_size_per_image=16;box_batch_size_per_image=8;box_detections_per_img=10"


@pytest.mark.usefixtures("small_networks")
@pytest.mark.parametrize(("name", "data_format"), FIRST.items())
def test_detectors_learn_in_half_precision_and_tell_what_fits_the_data(
    make_folder, tmp_path, name, data_format
):
    folder = make_folder(data_format, count=4, values=(7, 42))
    options = TrainingOptions(
        input=str(folder),
        output=str(tmp_path / "tiny"),
        model_type=name,
        backbone="timm:test_resnet",
        weights="none",
        max_epochs=2,
        batch_size=2,
        learning_rate="1e-3",
        device="cpu",
        precision="bfloat16",
        model_arguments=SMALL if name.endswith("RCNN") else "",
        monitor="AVERAGE_PRECISION",
    )
    result = train(options, Progress())
    assert result["epochs"] == 2 and 0 <= result["best_score"] <= 1
    with open_package(result["model"]) as package:
        values = json.loads(package.definition.to_json())
        model = read_model(package.definition, Task.DETECTION)
        one, two = (load_network(model, package).eval() for _ in range(2))
    task = model_type(name).task
    assert values["ModelType"] == task.value and values["Framework"] == "PyTorch"
    assert [each["Value"] for each in values["Classes"]] == [7, 42]
    assert set(values["average_precision_score"]) == {"class 7", "class 42"}
    fitted = {"anchor_sizes", "strides", "grids"} & set(values["GeoDL"]["arguments"])
    assert fitted and all(values["GeoDL"]["arguments"][each] for each in fitted)
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        found = [each.detect(each(images), (64, 64), 0.01)[0] for each in (one, two)]
    assert torch.equal(found[0]["scores"], found[1]["scores"])
    _apply(folder, result["model"], tmp_path / "found.gpkg", task is Task.INSTANCES)


def _apply(folder: Path, model: str, output: Path, outlines: bool) -> None:
    source = next(folder.glob("images/*.tif"))
    options = DetectionOptions([str(source)], model, str(output), threshold=0.02, device="cpu")
    result = run(options, Progress())
    dataset = ogr.Open(str(output))
    layer = dataset.GetLayer(0)
    assert layer.GetFeatureCount() == result["object_count"]
    assert layer.GetGeomType() == (ogr.wkbMultiPolygon if outlines else ogr.wkbPolygon)
    for feature in layer:
        assert feature.GetGeometryRef().IsValid()
        assert feature.GetField("Classvalue") in (7, 42)
        assert 2 <= feature.GetField("Confidence") <= 100


@pytest.mark.parametrize("data_format", ["RCNN_Masks", "COCO", "YOLO"])
def test_masks_move_with_the_image_and_boxes_lie_around_them(make_folder, data_format):
    folder = open_folder(make_folder(data_format, side=96, values=(7, 42)))
    store = ChipStore(folder, folder.schema.values, outlines=True)
    assert store[0].instances.shape == (2, 96, 96) and store[0].instances.dtype == bool
    plain = ChipStore(folder, folder.schema.values)
    assert plain[0].instances is None and store[0].nbytes > plain[0].nbytes
    moves = make_augmentation(settings_of("CUSTOM", "brightness=0;contrast=1", "MAP_SPACE"))
    normalization = Normalization((0.0,) * 3, (1.0,) * 3)
    crops = CropDataset(store, range(6), 64, normalization, random=True, augmentation=moves)
    torch.manual_seed(0)
    seen = 0
    images, targets = collate([crops[index % len(crops)] for index in range(30)])
    for image, target in zip(images, targets):
        assert target["masks"].shape == (len(target["labels"]), 64, 64)
        for mask, box, label in zip(target["masks"], target["boxes"], target["labels"].tolist()):
            left, top, right, bottom = box.int().tolist()
            assert mask[top:bottom, left:right].sum() == mask.sum() > 0
            assert mask[top:bottom, left:right].any(0).all()
            # The squares are painted 60 and 120 brighter than a ground of 60.
            assert float(image[0][mask].mean()) == pytest.approx(120 + 60 * label, abs=8)
            seen += 1
    assert seen > 20


def test_scores_of_instances_are_those_of_their_masks():
    truth = np.zeros((2, 40, 40), bool)
    truth[0, :20, :20] = truth[1, 20:, 20:] = True
    true = {
        "boxes": torch.tensor([[0.0, 0, 20, 20], [20, 20, 40, 40]]),
        "labels": torch.tensor([0, 0]),
        "masks": torch.from_numpy(truth),
    }
    half = np.triu(np.ones((20, 20), np.uint8))
    found = {
        "boxes": torch.tensor([[0.0, 0, 20, 20], [20, 20, 40, 40], [0, 0, 19, 20]]),
        "scores": torch.tensor([0.9, 0.8, 0.7]),
        "labels": torch.tensor([0, 0, 0]),
        "masks": [np.ones((20, 20), np.uint8), half * 0 + np.tri(20, 20, -12, np.uint8), half],
        "windows": [(0, 0, 20, 20), (20, 20, 20, 20), (0, 0, 20, 20)],
    }
    scores = InstanceScores(["tree"])
    scores.update([found], [true])
    values = scores.compute().values
    # The box of the second is right but its mask is not; the third is the first one again.
    assert values["precision"] == 0.5 and values["recall"] == 0.5
    assert values["average_precision"] == pytest.approx(0.5)
    nothing = {key: value[:0] for key, value in found.items()}
    scores.update([nothing], [true])
    assert scores.compute().values["recall"] == 0.25
    masks = [ObjectMask.of(0, 0, each) for each in truth]
    assert mask_overlap(masks, [*masks, None]).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_targets_of_instances_tell_where_there_is_data(make_folder):
    folder = open_folder(make_folder("RCNN_Masks", invalid=True))
    store = ChipStore(folder, folder.schema.values, outlines=True)
    moves = make_augmentation(settings_of("CUSTOM", "noise=1;probability=1", "MAP_SPACE"))
    plain = Normalization((0.0,) * 3, (1.0,) * 3)
    crops = CropDataset(store, range(6), 64, plain, random=True, augmentation=moves)
    for seed in range(4):
        image, target = crops[(0, seed)]
        assert torch.equal(target["valid"], (image != 0).all(0)) and not target["valid"].all()
    # Who looks at objects alone is not disturbed.
    assert set(solid(target)) == {"boxes", "labels", "masks"}
