"""From chips to what the network sees."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from osgeo import gdal
from torchvision.tv_tensors import BoundingBoxes, Image, Mask

from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.chips.problems import Kind
from geodl_plugin.core.chips.survey import survey
from geodl_plugin.core.learning import chip_store
from geodl_plugin.core.learning.augment import Turns, make_augmentation
from geodl_plugin.core.learning.augmentation_settings import settings_of
from geodl_plugin.core.learning.batches import make_loaders
from geodl_plugin.core.learning.chip_store import ChipStore, mask_indices
from geodl_plugin.core.learning.dataset import CropDataset, collate, crop_boxes
from geodl_plugin.core.learning.hardware import Hardware
from geodl_plugin.core.learning.losses import IGNORED
from geodl_plugin.core.learning.normalization import Normalization, measure
from geodl_plugin.core.learning.preparation import prepare
from geodl_plugin.core.progress import Phase, Progress

from .test_train import options

VALUES = np.array([7, 42])


def test_class_values_become_indices_of_the_network():
    values = np.array([[0, 7], [42, 9]])
    assert mask_indices(values, VALUES).tolist() == [[0, 1], [2, IGNORED]]


@pytest.mark.parametrize(
    ("bands", "dtype", "invalid"), [(8, "uint16", False), (1, "float32", True), (3, "uint8", True)]
)
def test_chips_arrive_normalised_with_their_labels(make_folder, bands, dtype, invalid):
    folder = open_folder(
        make_folder("Classified_Tiles", bands=bands, dtype=dtype, values=(7, 42), invalid=invalid)
    )
    store = ChipStore(folder, folder.schema.values)
    samples = [store[position] for position in range(len(folder.chips))]
    normalization = measure((sample.pixels, sample.valid) for sample in samples)
    crops = CropDataset(store, range(6), 64, normalization)
    images, masks = collate([crops[index] for index in range(6)])
    assert images.shape == (6, bands, 64, 64) and images.dtype == torch.float32
    assert set(masks.unique().tolist()) == ({IGNORED, 0, 1, 2} if invalid else {0, 1, 2})
    seen = images.permute(1, 0, 2, 3)[:, masks != IGNORED]
    assert abs(float(seen.mean())) < 0.01 and float(seen.std()) == pytest.approx(1, abs=0.01)
    if invalid:
        assert (images[:, :, :8, :8] == 0).all() and (masks[:, :8, :8] == IGNORED).all()


@pytest.mark.parametrize("nodata", [255, 0])
def test_no_data_of_a_mask_is_no_label(make_folder, nodata):
    """It was taught as background; a no-data value of 0 is the format's own word for it."""
    folder = make_folder("Classified_Tiles", values=(7, 42), count=1)
    path = folder / "labels" / "000000000.tif"
    mask = gdal.Open(str(path), gdal.GA_Update)
    values = mask.ReadAsArray()
    values[:5] = nodata
    mask.GetRasterBand(1).WriteArray(values)
    mask.GetRasterBand(1).SetNoDataValue(nodata)
    del mask
    opened = open_folder(folder)
    wanted = mask_indices(np.where(values == 255, -5, values), VALUES)
    store = ChipStore(opened, VALUES)
    assert (store[0].mask == wanted).all() and (wanted == IGNORED).any() == (nodata == 255)
    found = survey(opened, Phase(Progress(), "", 1, ""))
    assert not any(each.kind is Kind.UNKNOWN_CLASS for each in found.problems)
    assert set(found.pixels) == {0, 7, 42} and found.classes == [(7, 42)]
    (folder / "esri_model_definition.emd").unlink()
    assert open_folder(folder).schema.values == (7, 42)


def test_constant_and_empty_bands_have_a_spread_of_one():
    flat = np.full((2, 4, 4), 9.0)
    assert measure([(flat, np.ones((4, 4), bool))]).std == (1.0, 1.0)
    real = np.full((1, 33, 47), 0.1)  # whose mean is off in its last digit
    assert measure([(real, np.ones((33, 47), bool))] * 7).std == (1.0,)
    nothing = measure([(flat, np.zeros((4, 4), bool))])
    assert (nothing.mean, nothing.std) == ((0.0, 0.0), (1.0, 1.0))


def test_a_place_without_data_does_not_spread():
    pixels = np.full((1, 2, 2), np.nan, np.float32)
    image = Normalization((0.0,), (1.0,)).apply(pixels, np.zeros((2, 2), bool))
    assert (image == 0).all()


def test_boxes_are_clipped_and_remnants_dropped():
    boxes = np.array([[0, 0, 10, 10], [8, 0, 18, 10], [-8, 0, 2, 10], [30, 30, 40, 40]], float)
    clipped, keep = crop_boxes(boxes.astype(np.float32), 0, 0, 16, 16, (64, 64))
    assert keep.tolist() == [True, True, False, False]
    assert clipped.tolist() == [[0, 0, 10, 10], [8, 0, 16, 10]]
    moved, _ = crop_boxes(boxes[:1].astype(np.float32), 2, 3, 16, 16, (64, 64))
    assert moved.tolist() == [[0, 0, 8, 7]]


@pytest.mark.parametrize("outlines", [False, True])
def test_small_objects_are_taught_and_slivers_at_an_edge_are_not(make_folder, outlines):
    """Objects of one pixel, as cars of satellite imagery, were taught as background."""
    name = "RCNN_Masks" if outlines else "PASCAL_VOC_rectangles"
    folder = open_folder(make_folder(name, count=1))
    store = ChipStore(folder, folder.schema.values, outlines=outlines)
    boxes = np.array([[10, 10, 11, 11], [20, 20, 21, 50], [63, 30, 64, 40], [0, 5, 9, 14]])
    masks = np.zeros((4, 64, 64), bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes.tolist()):
        mask[top:bottom, left:right] = True
    store._kept[0] = dataclasses.replace(
        store[0],
        boxes=boxes.astype(np.float32),
        labels=np.zeros(4, np.int64),
        instances=masks if outlines else None,
    )
    plain = Normalization((0.0,) * 3, (1.0,) * 3)
    for side in (64, 96):  # as large as the chip, and larger
        _, target = CropDataset(store, [0], side, plain)[0]
        assert target["boxes"].tolist() == boxes[[0, 1, 3]].tolist()


def test_large_chips_are_cropped_and_small_ones_filled(make_folder):
    folder = open_folder(make_folder("PASCAL_VOC_rectangles", side=96, count=3))
    store = ChipStore(folder, folder.schema.values)
    plain = Normalization((0.0,) * 3, (1.0,) * 3)
    training = CropDataset(store, [0, 1], 64, plain, random=True)
    validation = CropDataset(store, [2], 64, plain)
    assert (len(training), len(validation)) == (4, 4)
    assert training[0][0].shape == (3, 64, 64)
    image, target = CropDataset(store, [0], 128, plain)[0]
    assert image.shape == (3, 128, 128) and (image[:, 96:] == 0).all()
    assert target["boxes"].shape == (1, 4) and target["labels"].tolist() == [0]


@pytest.mark.parametrize(("side", "crops"), [(64, 1), (79, 1), (80, 1), (90, 4), (128, 4), (40, 1)])
def test_validation_counts_no_pixel_twice(make_folder, side, crops):
    """Chips of no multiple of 32 pixels were judged four times: a little rest is left out."""
    folder = open_folder(make_folder("Classified_Tiles", side=side, count=1))
    store = ChipStore(folder, folder.schema.values)
    data = CropDataset(store, [0], 64, Normalization((0.0,) * 3, (1.0,) * 3))
    assert len(data) == crops
    told = np.zeros((side, side), int)
    for (_, (col, row)), (image, mask) in zip(data.places, (data[index] for index in range(crops))):
        rows, cols = np.nonzero(mask.numpy() != IGNORED)
        told[rows + row, cols + col] += 1
        assert (mask.numpy()[rows, cols] == store[0].mask[rows + row, cols + col]).all()
        assert (image[:, rows, cols] == store[0].pixels[:, rows + row, cols + col]).all()
    incomplete = ChipStore(folder, folder.schema.values, background=False)
    whole = CropDataset(incomplete, [0], 64, Normalization((0.0,) * 3, (1.0,) * 3))
    known = sum(int((mask != IGNORED).sum()) for _, mask in (whole[i] for i in range(len(whole))))
    assert known == (store[0].mask > 0).sum()
    inner = told if crops > 1 or side < 64 else told[(side - 64) // 2 :][:64, (side - 64) // 2 :]
    assert told.max() == 1 and inner[:, :64].all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 13))
def test_augmentation_moves_image_boxes_and_mask_together(seed, bands):
    torch.manual_seed(seed)
    image = torch.zeros(bands, 32, 32)
    image[:, 4:10, 6:20] = 5.0
    boxes = BoundingBoxes([[6.0, 4, 20, 10]], format="XYXY", canvas_size=(32, 32))
    moved, box, mask = make_augmentation(settings_of("DEFAULT", "", "MAP_SPACE"))(
        Image(image), boxes, Mask((image[0] > 0).long())
    )
    bright = moved.as_subclass(torch.Tensor)[0] > moved.min() + 1
    rows, cols = torch.nonzero(bright, as_tuple=True)
    found = [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
    assert box[0].tolist() == [float(each) for each in found]
    assert torch.equal(bright, mask.as_subclass(torch.Tensor) > 0)
    assert moved.shape == (bands, 32, 32)


@pytest.mark.parametrize(
    ("wanted", "count"),
    [((True, True, True), 8), ((True, False, False), 2), ((True, True, False), 4)],
)
def test_chips_are_seen_in_all_ways_that_are_wanted(wanted, count):
    image = torch.zeros(1, 4, 6)
    image[:, 0, 3:5] = 1.0  # in no view where it is in another
    box = BoundingBoxes([[3.0, 0, 5, 1]], format="XYXY", canvas_size=(4, 6))
    torch.manual_seed(0)
    turns, seen = Turns(*wanted), set()
    for _ in range(100):
        moved, moved_box = turns((Image(image), box))
        rows, cols = torch.nonzero(moved[0], as_tuple=True)
        place = [int(each) for each in (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)]
        assert moved_box.tolist() == [place] and moved_box.canvas_size == moved.shape[-2:]
        seen.add((*moved.shape[-2:], *place))
    assert len(seen) == count


def test_a_loading_process_is_sent_no_pixels_and_keeps_its_share(make_folder, monkeypatch):
    folder = open_folder(make_folder("Classified_Tiles"))
    store = ChipStore(folder, folder.schema.values)
    size = store[0].nbytes
    for position in range(6):
        store[position]
    sent = pickle.dumps(store)
    assert len(sent) < size
    received = pickle.loads(sent)
    assert received.facts(5).counts.tolist() == store.facts(5).counts.tolist()
    assert (received[1].pixels == store[1].pixels).all()
    monkeypatch.setattr(chip_store, "_CACHE_LIMIT", 5 * size)
    received.readers = 2
    for position in range(6):
        received[position]
    assert len(received._kept) == 2 and len(store._kept) == 6


def test_validation_has_fewer_loading_processes(make_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    folder = make_folder("Classified_Tiles", side=32)
    found = prepare(
        options(folder, tmp_path, backbone="timm:test_resnet"),
        Phase(Progress(), "Reading", 1, "chips"),
    )
    loaders = make_loaders(found, 2, Hardware(torch.device("cuda"), "float32"), 1)
    assert [each.num_workers for each in loaders] == [5, 2] and found.store.readers == 7
    loaders = make_loaders(found, 2, Hardware(torch.device("cpu"), "float32"), 1)
    assert [each.num_workers for each in loaders] == [0, 0] and found.store.readers == 1


def test_up_stays_up_in_pixel_space():
    image = torch.zeros(1, 8, 8)
    image[:, 0] = 5.0
    for _ in range(20):
        moved = make_augmentation(settings_of("DEFAULT", "", "PIXEL_SPACE"))(Image(image))
        assert (moved[:, 0] > moved[:, 1:].max() + 1).all()
