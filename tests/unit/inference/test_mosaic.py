"""Joining tiles: every pixel of the area is answered once, from all the tiles that see it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl_plugin.core.geo.grid import Window
from geodl_plugin.core.inference.cell_sums import CellSums
from geodl_plugin.core.inference.mosaic import Blender, Cell, Cells, weights
from geodl_plugin.core.inference.tiles import TilePlan

lengths = st.integers(20, 400)


@st.composite
def plans(draw: st.DrawFn) -> TilePlan:
    """Return a plan of a raster and a part of it."""
    width, height = draw(lengths), draw(lengths)
    size = draw(st.sampled_from([64, 96, 128]))
    rim = draw(st.integers(0, size // 2 - 8))
    col, row = draw(st.integers(0, width - 10)), draw(st.integers(0, height - 10))
    area = Window(col, row, draw(st.integers(5, width - col)), draw(st.integers(5, height - row)))
    return TilePlan(Window(0, 0, width, height), area, size, rim, 32, draw(st.booleans()))


@settings(max_examples=60, deadline=None)
@given(plans())
def test_cells_cover_the_area_once_and_count_their_tiles(plan: TilePlan) -> None:
    cells = Cells(plan)
    seen: dict[int, tuple[Cell, int]] = {}
    for tile in plan:
        assert tile.inner.intersection(tile.outer) == tile.inner
        for cell in cells.of(tile):
            assert cell.window.intersection(tile.inner) == cell.window
            seen[cell.number] = (cell, seen.get(cell.number, (cell, 0))[1] + 1)
    covered = np.zeros((plan.area.height, plan.area.width), int)
    for cell, count in seen.values():
        assert count == cell.tiles
        covered[cell.window.slices(plan.area)] += 1
    assert (covered == 1).all() and len(seen) == len(cells)


@settings(max_examples=25, deadline=None)
@given(plans(), st.integers(0, 3), st.sampled_from([0, 50_000, 10**9]))
def test_blended_is_the_weighted_mean_of_all_tiles(plan: TilePlan, seed: int, limit: int) -> None:
    plan = TilePlan(plan.raster, plan.area, plan.size, plan.rim, plan.step, True)
    draw = np.random.default_rng(seed)
    height, width = plan.area.height, plan.area.width
    total, weight = np.zeros((2, height, width)), np.zeros((height, width))
    found = np.full((2, height, width), np.nan)

    def finished(cell: Cell, mean: np.ndarray | None, wanted: np.ndarray) -> None:
        target = (slice(None), *cell.window.slices(plan.area))
        assert np.isnan(found[target]).all()
        found[target] = mean if mean is not None else -1

    with TemporaryDirectory() as folder:
        sums = CellSums(Path(folder) / "sums", limit)
        _blend(plan, Blender(Cells(plan), plan.size, (), sums, finished), draw, total, weight)
        assert not list(Path(folder).rglob("*.npy"))
    expected = np.where(weight > 0, total / np.maximum(weight, 1e-9), -1)
    assert found == pytest.approx(expected, abs=1e-5)


def _blend(
    plan: TilePlan,
    blender: Blender,
    draw: np.random.Generator,
    total: np.ndarray,
    weight: np.ndarray,
) -> None:
    """Blend random answers to all tiles, a fifth of them without any, and add them up."""
    for tile in plan:
        answer = draw.random((2, plan.size, plan.size)).astype(np.float32)
        empty = draw.random() < 0.2
        shape = tile.inner.height, tile.inner.width
        blender.add(tile, None if empty else answer, None if empty else np.ones(shape, bool))
        if not empty:
            place, target = tile.inner.slices(tile.outer), tile.inner.slices(plan.area)
            total[(slice(None), *target)] += (answer * weights(plan.size))[(slice(None), *place)]
            weight[target] += weights(plan.size)[place]


def test_finished_cells_are_left_alone(tmp_path: Path) -> None:
    plan = TilePlan(Window(0, 0, 100, 64), Window(0, 0, 100, 64), 64, 8, 32, True)
    told: list[int] = []
    cells = Cells(plan)
    sums = CellSums(tmp_path / "sums")
    blender = Blender(cells, 64, {0}, sums, lambda cell, *_: told.append(cell.number))
    for tile in plan:
        blender.add(tile, None, None)
    assert sorted(told) == [number for number in range(len(cells)) if number]
