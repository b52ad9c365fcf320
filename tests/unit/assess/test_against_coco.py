"""The same figures as the COCO evaluation itself."""

from __future__ import annotations

import numpy as np
import pytest
from osgeo import ogr

from geodl_plugin.core.assess.detections import compare
from geodl_plugin.core.assess.objects import Objects
from geodl_plugin.core.assess.overlaps import Shapes

coco = pytest.importorskip("faster_coco_eval")


def objects(boxes: np.ndarray, classes: np.ndarray, scores: np.ndarray) -> Objects:
    polygons = []
    for xmin, ymin, xmax, ymax in boxes.tolist():
        ring = f"{xmin} {ymin},{xmax} {ymin},{xmax} {ymax},{xmin} {ymax},{xmin} {ymin}"
        polygons.append(ogr.CreateGeometryFromWkt(f"POLYGON(({ring}))"))
    names = tuple(str(each) for each in classes)
    return Objects(Shapes.of(polygons), names, scores, np.ones(len(boxes), bool))


def entries(boxes: np.ndarray, classes: np.ndarray) -> list[dict]:
    return [
        {
            "id": number,
            "image_id": 1,
            "category_id": int(name),
            "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
            "area": (xmax - xmin) * (ymax - ymin),
            "iscrowd": 0,
        }
        for number, ((xmin, ymin, xmax, ymax), name) in enumerate(zip(boxes.tolist(), classes), 1)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_that_of_coco(seed: int) -> None:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 400, (60, 2))
    truth = np.hstack([corners, corners + random.uniform(10, 40, (60, 2))])
    classes = random.integers(1, 4, 60)
    kept = random.choice(60, 45)  # some are found twice
    found = np.vstack([truth[kept] + random.normal(0, 3, (45, 4)), truth[:10] + 200])
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    found_classes = np.append(classes[kept], random.integers(1, 4, 10))
    scores = random.uniform(0, 1, len(found))

    result = compare(
        objects(found, found_classes, scores), objects(truth, classes, np.ones(60)), 0.5
    )

    categories = [{"id": each, "name": str(each)} for each in (1, 2, 3)]
    images = [{"id": 1, "width": 900, "height": 900}]
    reference = coco.COCO(
        {"images": images, "categories": categories, "annotations": entries(truth, classes)}
    )
    answers = entries(found, found_classes)
    for answer, score in zip(answers, scores):
        answer["score"] = float(score)
    evaluation = coco.COCOeval_faster(reference, reference.loadRes(answers), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert result.mean_average_precision == pytest.approx(evaluation.stats[0], abs=1e-9)
    assert result.overall.average_precision == pytest.approx(evaluation.stats[1], abs=1e-9)
