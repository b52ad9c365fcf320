"""Pixel classification: the tile grid does not show, values and places are right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from osgeo import gdal

from geodl_plugin.core.errors import RasterError
from geodl_plugin.core.geo.grid import Window
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.raster_pool import RasterPool
from geodl_plugin.core.inference.engine import Engine
from geodl_plugin.core.inference.options import PixelOptions
from geodl_plugin.core.inference.pipeline import run_tiles
from geodl_plugin.core.inference.pixels import classify, first_best, run
from geodl_plugin.core.inference.tiles import TileReader, plan
from geodl_plugin.core.packages.information import information
from geodl_plugin.core.progress import Phase, Progress
from geodl_plugin.core.samples.schema import Schema

from .support import (
    NORTH_UP,
    TURNED,
    Brightest,
    SmallPixels,
    make_job,
    make_model,
    read_features,
    write_model,
    write_polygons,
    write_raster,
)
from .test_engine import Heard


def classes_of(path: str) -> np.ndarray:
    return gdal.Open(path).ReadAsArray()


def classify_levels(source: str, folder: Path, **options: Any) -> tuple[np.ndarray, dict]:
    """Classify by brightness: 0 background, 10 Tree (3), 20 Car (7)."""
    output = str(folder / "classes.tif")
    with make_job(source, make_model("TEST_PIXELS")) as job:
        values = PixelOptions([source], "", output, **{"tile_size": 64, **options})
        engine = Engine(Brightest(2, True), "cpu", "float32", 3)
        result = classify(job, engine, values, Progress())
    return classes_of(output), result


@pytest.mark.parametrize("count", [1, 2, 5, 300])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_the_first_of_the_best_answers_counts(count: int, order: torch.memory_format) -> None:
    draw = torch.Generator().manual_seed(count)
    answers = torch.randint(-3, 3, (2, count, 7, 9), generator=draw).float()  # many are equal
    found = first_best(answers.to(memory_format=order))
    assert torch.equal(found.long(), torch.from_numpy(answers.numpy().argmax(1)))


@pytest.mark.parametrize(("rows", "cols"), [(256, 256), (257, 300), (160, 512)])
def test_the_tile_grid_does_not_show(tmp_path: Path, rows: int, cols: int) -> None:
    torch.manual_seed(0)
    network = SmallPixels(3, 2)
    pixels = np.random.default_rng(0).normal(size=(3, rows, cols)).astype(np.float32)
    source = write_raster(tmp_path / "a.tif", pixels)
    high, wide = -(-rows // 32) * 32, -(-cols // 32) * 32
    padded = np.zeros((1, 3, high, wide), np.float32)
    padded[0, :, :rows, :cols] = pixels
    with torch.inference_mode():
        whole = network.eval()(torch.from_numpy(padded)).softmax(1)[0, :, :rows, :cols].numpy()
    joined = np.full_like(whole, np.nan)

    def consume(result: Any) -> None:
        image, chances = result
        inner = image.tile.inner
        target = (slice(None), *inner.slices(Window(0, 0, cols, rows)))
        assert np.isnan(joined[target]).all()
        joined[target] = chances[(slice(None), *inner.slices(image.tile.outer))]

    with make_job(source, make_model("TEST_PIXELS", 3)) as job:
        options = PixelOptions([source], "", "", tile_size=96, padding=6)
        tiles = plan(job, options, network, 64, 8)
        pool = RasterPool(job.raster, 2)
        run_tiles(
            tiles,
            lambda: TileReader(pool, job.model),
            Engine(network, "cpu", "float32", 4),
            lambda _, logits, __: logits.softmax(1).numpy(),
            consume,
            Phase(Progress(), "", len(tiles), ""),
        )
    assert len(tiles) > 6
    assert np.abs(joined - whole).max() < 1e-4


@pytest.mark.parametrize("side", [20, 64, 65, 200])
@pytest.mark.parametrize("geotransform", [NORTH_UP, TURNED])
def test_classes_are_where_the_pixels_are(
    tmp_path: Path, side: int, geotransform: tuple[float, ...]
) -> None:
    levels = np.random.default_rng(side).integers(0, 3, (side, side))
    source = write_raster(tmp_path / "a.tif", (10 * levels[None]).astype(np.uint8), geotransform)
    found, result = classify_levels(source, tmp_path)
    assert (found == np.array([0, 3, 7])[levels]).all()
    counts = np.bincount(levels.ravel(), minlength=3).tolist()
    assert list(result["pixel_counts"].values()) == counts
    assert list(result["pixel_counts"]) == ["Background", "Tree", "Car"]
    written = gdal.Open(result["output"])
    assert written.GetGeoTransform() == pytest.approx(geotransform)


def test_the_file_tells_its_classes(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "a.tif", np.full((1, 700, 700), 10, np.uint8))
    _, result = classify_levels(source, tmp_path)
    dataset = gdal.Open(result["output"])
    band = dataset.GetRasterBand(1)
    assert dataset.GetMetadataItem("LAYOUT", "IMAGE_STRUCTURE") == "COG"
    assert band.GetNoDataValue() == 255
    assert band.GetBlockSize() == [512, 512]
    assert band.GetCategoryNames()[:8] == ["Background", "", "", "Tree", "", "", "", "Car"]
    assert band.GetColorTable().GetColorEntry(3)[:3] == (0x22, 0xAA, 0x44)
    assert band.GetDefaultRAT().GetRowCount() == 3


def test_a_class_called_background_is_counted_by_itself(tmp_path: Path) -> None:
    pixels = np.zeros((1, 64, 64), np.uint8)
    pixels[0, :20], pixels[0, 20:30] = 10, 20
    source = write_raster(tmp_path / "levels.tif", pixels)
    schema = Schema.from_text("3:background:#22aa44;7:Car:#cc2200")
    model = write_model(tmp_path / "m.dlpk", "TEST_PIXELS", schema=schema)
    paths = [str(tmp_path / name) for name in ("classes.tif", "chances.tif")]
    result = run(PixelOptions([source], model, paths[0], probabilities=paths[1]), Progress())
    assert result["pixel_counts"] == {"background": 1280, "Car": 640, "No class": 2176}
    with Raster.open(paths[1]) as chances, Raster.open(paths[0]) as classes:
        assert chances.band_names == ("No class", "background", "Car")
        assert classes.class_names() == {0: "No class", 3: "background", 7: "Car"}


def test_without_a_background_every_pixel_has_a_class(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "a.tif", np.zeros((1, 64, 64), np.uint8))
    found, result = classify_levels(source, tmp_path, predict_background=False)
    assert (found == 3).all()
    assert result["pixel_counts"] == {"Tree": 64 * 64, "Car": 0}


def test_a_background_that_was_not_learned_is_no_answer(tmp_path: Path) -> None:
    """Labels were incomplete: what the output of the background says is by chance."""
    source = write_raster(tmp_path / "a.tif", np.zeros((1, 64, 64), np.uint8))
    model = write_model(tmp_path / "m.dlpk", "TEST_PIXELS", background=False)
    paths = [str(tmp_path / name) for name in ("classes.tif", "chances.tif")]
    heard = Heard()
    result = run(PixelOptions([source], model, paths[0], probabilities=paths[1]), heard)
    assert result["pixel_counts"] == {"Tree": 64 * 64, "Car": 0}
    assert any("knows no background" in each for each in heard.infos)
    with Raster.open(paths[1]) as chances, Raster.open(paths[0]) as classes:
        assert chances.band_names == ("Tree", "Car")
        assert classes.class_names() == {3: "Tree", 7: "Car"}
    assert information(model)["arguments"]["predict_background"] is False


def test_no_data_stays_no_data(tmp_path: Path) -> None:
    pixels = np.full((1, 200, 200), 10.0, np.float32)
    pixels[0, :, 150:] = np.nan
    pixels[0, 0, 0] = -9999
    source = write_raster(tmp_path / "a.tif", pixels, nodata=-9999)
    found, result = classify_levels(source, tmp_path)
    assert (found[:, 150:] == 255).all()
    assert found[0, 0] == 255
    assert (found[1:, :150] == 3).all()
    assert result["pixel_counts"]["Tree"] == 200 * 150 - 1


def test_a_result_without_any_data_is_told(tmp_path: Path) -> None:
    told: list[str] = []

    class Told(Progress):
        def warn(self, message: str) -> None:
            told.append(message)

    source = write_raster(tmp_path / "a.tif", np.zeros((1, 80, 80), np.uint8), nodata=0)
    with make_job(source, make_model("TEST_PIXELS")) as job:
        options = PixelOptions([source], "", str(tmp_path / "b.tif"), tile_size=64)
        classify(job, Engine(Brightest(2, True), "cpu", "float32", 3), options, Told())
    assert told == ["No pixel of 'a.tif' that is wanted has data: all is no data."]


@pytest.mark.parametrize("seed", range(4))
def test_trimmed_tiles_do_not_show_either(tmp_path: Path, seed: int) -> None:
    torch.manual_seed(0)
    draw = np.random.default_rng(seed)
    pixels = draw.normal(size=(3, 320, 352)).astype(np.float32)
    valid = np.kron(draw.random((10, 11)) < 0.2, np.ones((32, 32), bool))
    valid = np.roll(valid, draw.integers(0, 32, 2), (0, 1))
    pixels[:, ~valid] = np.nan
    source = write_raster(tmp_path / "a.tif", pixels)
    network = SmallPixels(3, 2)
    results, sizes = [], []

    class Watch(SmallPixels):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            sizes.append(images.shape[-1] * images.shape[-2])
            return network(images)

    for trim, name in ((True, "trimmed"), (False, "whole")):
        watch = Watch(3, 2)
        watch.fixed_tile = None if trim else 96
        sizes.append(0)
        with make_job(source, make_model("TEST_PIXELS", 3)) as job:
            output = str(tmp_path / f"{name}.tif")
            options = PixelOptions([source], "", output, tile_size=96, padding=6)
            classify(job, Engine(watch, "cpu", "float32", 1), options, Progress())
        results.append(classes_of(output))
    assert (results[0] == results[1]).all()
    assert ((results[0] == 255) == ~valid).all()
    border = sizes.index(0, 1)
    assert sum(sizes[:border]) < 0.8 * sum(sizes[border:])


def test_extent_and_mask_limit_the_result(tmp_path: Path) -> None:
    levels = np.random.default_rng(1).integers(0, 3, (300, 300))
    source = write_raster(tmp_path / "a.tif", (10 * levels[None]).astype(np.uint8))
    model = write_model(tmp_path / "m.dlpk", "TEST_PIXELS")
    x, y = NORTH_UP[0] + 50, NORTH_UP[3] - 40
    triangle = f"POLYGON(({x} {y},{x + 60} {y},{x} {y - 60},{x} {y}))"
    mask = write_polygons(tmp_path / "mask.gpkg", [triangle], 32616)
    output = str(tmp_path / "part.tif")
    extent = [x, y - 60, x + 60, y]
    run(PixelOptions([source], model, output, extent, [mask, ""], tile_size=64), Progress())
    with Raster.open(output) as written:
        assert (written.width, written.height) == (120, 120)
        assert written.geotransform.as_gdal()[::3] == (x, y)
    found = classes_of(output)
    expected = np.array([0, 3, 7])[levels[80:200, 100:220]]
    row, col = np.mgrid[:120, :120] + 0.5
    inside = row + col < 120 - 1e-9
    edge = np.abs(row + col - 120) < 1e-6  # centres on the very border may go either way
    assert (found[inside & ~edge] == expected[inside & ~edge]).all()
    assert (found[~inside & ~edge] == 255).all()


def test_many_and_large_class_values(tmp_path: Path) -> None:
    schema = Schema.from_text("1:A;300:B")
    source = write_raster(tmp_path / "a.tif", np.full((1, 64, 64), 20, np.uint8))
    output = str(tmp_path / "classes.tif")
    with make_job(source, make_model("TEST_PIXELS", schema=schema)) as job:
        engine = Engine(Brightest(2, True), "cpu", "float32", 1)
        classify(job, engine, PixelOptions([source], "", output), Progress())
    assert (classes_of(output) == 300).all()


@pytest.mark.parametrize("count", [2, 16, 25])
def test_the_pixels_of_few_and_of_many_classes_are_counted(tmp_path: Path, count: int) -> None:
    schema = Schema.from_text(";".join(f"{3 * i}:Class {i}" for i in range(1, count + 1)))
    levels = np.random.default_rng(count).integers(0, count + 1, (1, 96, 64))
    source = write_raster(tmp_path / "a.tif", (10 * levels).astype(np.uint8))
    output = str(tmp_path / "classes.tif")
    with make_job(source, make_model("TEST_PIXELS", schema=schema)) as job:
        engine = Engine(Brightest(count, True), "cpu", "float32", 1)
        result = classify(job, engine, PixelOptions([source], "", output), Progress())
    found = result["pixel_counts"]
    assert (classes_of(output) == 3 * levels[0]).all()
    assert found["Background"] == (levels == 0).sum()
    assert all(found[f"Class {i}"] == (levels == i).sum() for i in range(1, count + 1))


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "a.tif", np.zeros((1, 200, 200), np.uint8))
    output = tmp_path / "out" / "classes.tif"

    class Fails(Brightest):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("broken")

    with make_job(source, make_model("TEST_PIXELS")) as job, pytest.raises(RuntimeError):
        engine = Engine(Fails(2, True), "cpu", "float32", 1)
        classify(job, engine, PixelOptions([source], "", str(output), tile_size=64), Progress())
    assert list(output.parent.iterdir()) == []


def test_gaussian_blending_does_not_show_either(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = SmallPixels(3, 2).eval()
    pixels = np.random.default_rng(0).normal(size=(3, 256, 320)).astype(np.float32)
    source = write_raster(tmp_path / "a.tif", pixels)
    with torch.inference_mode():
        whole = network(torch.from_numpy(pixels)[None]).argmax(1)[0].numpy()
    output = str(tmp_path / "classes.tif")
    with make_job(source, make_model("TEST_PIXELS", 3)) as job:
        options = PixelOptions([source], "", output, tile_size=96, padding=32, blend="gaussian")
        classify(job, Engine(network, "cpu", "float32", 4), options, Progress())
    # The rim of a tile sees zeros beyond it, which weigh little.
    assert (classes_of(output) != np.array([0, 3, 7])[whole]).mean() < 0.002


def test_probabilities_are_those_of_the_classes(tmp_path: Path) -> None:
    levels = np.random.default_rng(2).integers(0, 3, (150, 130))
    pixels = (10 * levels[None]).astype(np.float32)
    pixels[0, :20] = np.nan
    source = write_raster(tmp_path / "a.tif", pixels)
    chances = str(tmp_path / "p.tif")
    found, _ = classify_levels(source, tmp_path, probabilities=chances)
    dataset = gdal.Open(chances)
    assert [dataset.GetRasterBand(i).GetDescription() for i in (1, 2, 3)] == [
        "Background", "Tree", "Car",
    ]  # fmt: skip
    percent = dataset.ReadAsArray()
    assert (percent[:, :20] == 255).all()
    assert (percent[:, 20:].sum(0) == 100).all()
    assert (np.array([0, 3, 7])[percent[:, 20:].argmax(0)] == found[20:]).all()


def test_polygons_of_the_classes(tmp_path: Path) -> None:
    pixels = np.zeros((1, 200, 200), np.uint8)
    pixels[0, 60:70, 60:70] = 10  # across the border of two tiles
    source = write_raster(tmp_path / "a.tif", pixels)
    polygons = str(tmp_path / "p.gpkg")
    _, result = classify_levels(source, tmp_path, polygons=polygons)
    (square,) = read_features(polygons)
    assert result["polygon_count"] == 1
    assert (square["Class"], square["Classvalue"]) == ("Tree", 3)
    assert square["geometry"].GetArea() == 100 * NORTH_UP[1] ** 2


def test_test_time_augmentation_sees_every_tile_eight_times(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "a.tif", np.full((1, 100, 100), 10, np.uint8))
    found, _ = classify_levels(source, tmp_path, test_time_augmentation=True)
    assert (found == 3).all()


def damaged(path: Path) -> str:
    """Write a raster whose last block is cut off."""
    pixels = np.full((1, 256, 256), 10, np.uint8)
    options = ("TILED=YES", "BLOCKXSIZE=128", "BLOCKYSIZE=128")
    write_raster(path, pixels, options=options)
    path.write_bytes(path.read_bytes()[:-2000])
    return str(path)


def test_a_damaged_block_is_named(tmp_path: Path) -> None:
    source = damaged(tmp_path / "a.tif")
    with pytest.raises(RasterError, match=r"'a.*' cannot be read at column \d+, row \d+"):
        classify_levels(source, tmp_path)


def test_the_rest_of_a_damaged_raster_is_classified_on_demand(tmp_path: Path) -> None:
    source = damaged(tmp_path / "a.tif")
    told: list[str] = []
    progress = Progress()
    progress.warn = told.append  # type: ignore[method-assign]
    output = str(tmp_path / "classes.tif")
    with make_job(source, make_model("TEST_PIXELS")) as job:
        options = PixelOptions([source], "", output, tile_size=64, padding=0, skip_unreadable=True)
        classify(job, Engine(Brightest(2, True), "cpu", "float32", 1), options, progress)
    found = classes_of(output)
    assert (found[:128] == 3).all() and (found[128:, :128] == 3).all()
    assert (found[192:, 192:] == 255).all()
    assert len(told) >= 1 and all("is left without data" in each for each in told)


def test_networks_that_see_their_whole_tile_get_tiles_like_the_chips(tmp_path: Path) -> None:
    """No larger ones, and whole ones where only a part has data."""
    pixels = np.full((1, 200, 200), 10.0, np.float32)
    pixels[0, :, :40] = np.nan
    source = write_raster(tmp_path / "a.tif", pixels)
    network = Brightest(2, True)
    network.sees_whole_tile = True
    seen: list[tuple[int, ...]] = []
    network.register_forward_hook(lambda _, given, __: seen.append(tuple(given[0].shape[-2:])))
    with make_job(source, make_model("TEST_PIXELS", chip_size=96)) as job:
        values = PixelOptions([source], "", str(tmp_path / "classes.tif"))
        classify(job, Engine(network, "cpu", "float32", 1), values, Progress())
    assert set(seen) == {(96, 96)}
