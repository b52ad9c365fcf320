"""Every object once: suppression, cut boxes, joining, streaming."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl_plugin.core.geo.grid import Tile, Window
from geodl_plugin.core.geo.neighbours import _Grid, overlapping_pairs
from geodl_plugin.core.inference.merge import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Detections,
    Merger,
    join_cut,
    place,
    rim_tolerance,
    suppress,
)


def random_boxes(count: int, side: float, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    low = draw.uniform(0, side, (count, 2))
    return np.concatenate([low, low + draw.uniform(5, 40, (count, 2))], axis=1)


def slow_suppression(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, overlap: float):
    kept: list[int] = []
    for index in np.argsort(-scores):
        for other in kept:
            low = np.maximum(boxes[index, :2], boxes[other, :2])
            high = np.minimum(boxes[index, 2:], boxes[other, 2:])
            shared = np.clip(high - low, 0, None).prod()
            area = (boxes[[index, other], 2:] - boxes[[index, other], :2]).prod(axis=1).sum()
            if labels[index] == labels[other] and shared / (area - shared) > overlap:
                break
        else:
            kept.append(int(index))
    return sorted(kept)


@given(st.integers(0, 80), st.floats(0, 0.9), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_suppression_equals_comparing_all_with_all(count: int, overlap: float, seed: int) -> None:
    draw = np.random.default_rng(seed)
    boxes, scores = random_boxes(count, 120, seed), draw.permutation(count) / max(count, 1)
    labels = draw.integers(0, 2, count)
    found = suppress(Detections.of(boxes, scores, labels), overlap)
    expected = slow_suppression(boxes, scores, labels, overlap)
    assert sorted(np.searchsorted(np.sort(scores), found.scores).tolist()) == sorted(
        np.searchsorted(np.sort(scores), scores[expected]).tolist()
    )


@given(st.integers(0, 300), st.integers(1, 6), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_a_stream_gives_what_all_at_once_gives(count: int, strips: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    boxes = random_boxes(count, 300, seed)
    all_of_them = Detections.of(boxes, draw.permutation(count) / max(count, 1), np.zeros(count))
    whole = suppress(all_of_them, 0.1)
    merger, kept = Merger(0.1), []
    edges = np.linspace(0, 400, strips + 1)
    for top, bottom in zip(edges, edges[1:]):
        kept.append(merger.settle(top))
        merger.add(all_of_them.take((boxes[:, 1] >= top) & (boxes[:, 1] < bottom)))
    streamed = Detections.join([*kept, merger.settle()])
    assert sorted(streamed.scores.tolist()) == sorted(whole.scores.tolist())


def test_pairs_are_found_once_even_when_all_boxes_lie_on_one_another() -> None:
    boxes = np.tile([[0.0, 0, 100, 100]], (50, 1))
    first, second = overlapping_pairs(boxes, np.zeros(50, int))
    assert len(first) == 50 * 49 / 2
    assert (first < second).all()


def test_boxes_of_very_different_sizes_meet() -> None:
    boxes = np.concatenate([random_boxes(200, 1000), [[0.0, 0, 1100, 1100]]])
    first, second = overlapping_pairs(boxes, np.zeros(len(boxes), int))
    assert ((first == 200) | (second == 200)).sum() == 200


@given(st.integers(0, 60), st.integers(0, 6), st.integers(0, 1000), st.sampled_from([1, 3, 1000]))
@settings(max_examples=60, deadline=None)
def test_pairs_are_those_of_all_with_all(small: int, huge: int, seed: int, large: int) -> None:
    draw = np.random.default_rng(seed)
    corners = draw.uniform(-500, 500, (small + huge, 2))
    sizes = np.concatenate([draw.uniform(1, 9, (small, 2)), draw.uniform(100, 900, (huge, 2))])
    order = draw.permutation(small + huge)
    boxes = np.concatenate([corners, corners + sizes], axis=1)[order]
    labels = draw.integers(0, 2, small + huge)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("geodl_plugin.core.geo.neighbours.LARGE", large)
        first, second = overlapping_pairs(boxes, labels)
    expected = {
        (one, other)
        for other in range(len(boxes))
        for one in range(other)
        if labels[one] == labels[other]
        and (boxes[one, :2] < boxes[other, 2:]).all()
        and (boxes[other, :2] < boxes[one, 2:]).all()
    }
    assert len(first) == len(expected)
    assert set(zip(first.tolist(), second.tolist())) == expected


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pairs of boxes are compared at a time, while a test runs."""
    counts: list[int] = []
    touching = _Grid.touching

    def counted(grid: _Grid, first: np.ndarray, second: np.ndarray) -> Any:
        counts.append(len(first))
        return touching(grid, first, second)

    monkeypatch.setattr(_Grid, "touching", counted)
    return counts


def test_one_huge_box_does_not_make_all_meet_all(compared: list[int]) -> None:
    corners = np.stack(np.meshgrid(np.arange(50) * 20.0, np.arange(50) * 20.0), -1).reshape(-1, 2)
    boxes = np.concatenate([corners, corners + 15], axis=1)
    boxes = np.concatenate([boxes, [[-1e5, -1e5, 1e5, 1e5]]])
    first, second = overlapping_pairs(boxes, np.zeros(len(boxes), int))
    assert (second == 2500).all() and sorted(first) == list(range(2500))
    assert sum(compared) < 20 * 2500


def test_classes_do_not_suppress_each_other() -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 10, 10]]
    assert len(suppress(Detections.of(boxes, [0.9, 0.8], [0, 1]), 0.1)) == 2


def test_twenty_thousand_boxes_are_compared_with_their_neighbours_only(compared: list[int]) -> None:
    """Work that grows as the boxes, not as their square, is done in a moment on any machine."""
    pairs = {}
    for count in (5_000, 20_000):
        boxes = random_boxes(count, round(4096 * (count / 20_000) ** 0.5))
        found = Detections.of(boxes, np.random.default_rng(1).random(count), np.zeros(count))
        compared.clear()
        kept = suppress(found, 0.1)
        assert 0 < len(kept) < count
        pairs[count] = sum(compared)
    assert pairs[20_000] < 5 * pairs[5_000]  # four times the boxes
    assert pairs[20_000] < 100 * 20_000  # and not 10,000 for each


def test_memory_stays_small_while_a_long_stream_passes() -> None:
    merger = Merger(0.1)
    for row in range(200):
        boxes = random_boxes(500, 1000, row)
        boxes[:, [1, 3]] = boxes[:, [1, 3]] % 50 + row * 50
        boxes[:, 3] = boxes[:, 1] + 20
        merger.add(Detections.of(boxes, np.full(500, 0.5), np.zeros(500)))
        merger.settle((row + 1) * 50)
        assert sum(len(part) for part in merger._pending) < 1500


TILE = Tile(Window(64, 64, 128, 128), Window(0, 0, 256, 256))
NEXT = Tile(Window(192, 64, 128, 128), Window(128, 0, 256, 256))
RASTER = Window(0, 0, 1000, 1000)


def at(tile: Tile, *box: float, score: float = 0.9) -> Detections:
    origin = np.array([tile.outer.col, tile.outer.row] * 2, float)
    return place(Detections.of(np.array([box], float) - origin, [score], [0]), tile, RASTER)


def test_boxes_end_where_the_raster_does() -> None:
    """YOLO and others tell boxes beyond the image: polygons lay outside of the raster."""
    assert at(TILE, -6, 100, 20, 120).boxes.tolist() == [[0, 100, 20, 120]]
    assert len(at(TILE, -16, 100, -2, 120)) == len(at(TILE, 10, 100, 10.2, 120)) == 0


def test_a_tile_marks_what_its_rim_cuts() -> None:
    assert at(TILE, 90, 100, 256, 120).cut.tolist() == [RIGHT]
    assert at(TILE, 100, 90, 120, 256).cut.tolist() == [BOTTOM]
    assert at(NEXT, 128, 100, 300, 120).cut.tolist() == [LEFT]
    corner = Tile(Window(0, 64, 192, 128), Window(0, 32, 256, 256))
    assert at(corner, 0, 32, 9, 100).cut.tolist() == [TOP]  # the raster's own edge cuts nothing


@pytest.mark.parametrize(("size", "near"), [(32, 1), (64, 1.28), (512, 10.24), (1024, 10.24)])
def test_how_near_the_rim_a_box_is_cut(size: int, near: float) -> None:
    assert rim_tolerance(size) == pytest.approx(near)


def test_a_piece_in_the_padding_is_left_to_the_tile_that_sees_its_end() -> None:
    assert len(at(TILE, 236, 100, 256, 140)) == 0
    assert len(at(NEXT, 236, 100, 300, 140)) == 1


def test_a_cut_box_loses_to_a_whole_one_of_less_confidence() -> None:
    found = Detections.of([[60, 0, 80, 30], [60, 0, 120, 30]], [0.99, 0.6], [0, 0])
    assert suppress(found, 0.5).scores.tolist() == [0.99, 0.6]
    found.cut[0] = RIGHT
    assert suppress(found, 0.5).scores.tolist() == [0.6]


def test_a_cut_box_stays_when_nobody_sees_it_whole() -> None:
    assert len(suppress(at(TILE, 90, 100, 256, 140), 0.5)) == 1


def test_pieces_of_an_object_larger_than_the_overlap_are_joined() -> None:
    left, right = at(TILE, 90, 100, 256, 200), at(NEXT, 128, 101, 330, 199)
    joined = join_cut(Detections.join([left, right]))
    assert joined.boxes.tolist() == [[90, 100, 330, 200]]
    assert joined.cut.tolist() == [0]


def test_neighbours_that_are_cut_are_not_joined() -> None:
    ends, begins = at(TILE, 200, 100, 220, 120), at(NEXT, 140, 100, 160, 120)
    ends.cut[:], begins.cut[:] = RIGHT, LEFT
    assert len(join_cut(Detections.join([ends, begins]))) == 2


def test_what_two_tiles_see_is_one_object_whatever_may_overlap() -> None:
    own, padded = at(TILE, 180, 100, 200, 140), at(NEXT, 182, 100, 203, 140)
    assert padded.cut.tolist() == own.cut.tolist() == [0]
    found = suppress(Detections.join([own, padded]), 0.95)
    assert len(found) == 1


@pytest.mark.parametrize("count", [0, 1])
def test_few_boxes_are_no_trouble(count: int) -> None:
    boxes = random_boxes(count, 10)
    assert len(suppress(Detections.of(boxes, np.ones(count), np.zeros(count)), 0.5)) == count
