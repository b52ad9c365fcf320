"""Rasters that only QGIS opens, fetched from a server in a process of its own."""

from __future__ import annotations

import gc
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    Qgis,
    QgsFeature,
    QgsGeometry,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)

from geodl_plugin.algorithms.raster_sources import fetch, plan
from geodl_plugin.core.chips.folder import open_folder
from geodl_plugin.core.errors import CancelledError, InputError, RasterError
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.progress import Progress
from tests.qgis.models import work_here
from tests.qgis.tile_server import CELL, Place, picture, serving
from tests.unit.inference.support import read_features, write_model, write_polygons, write_raster

WINDOW = (100, 200, 600, 400)  # col, row, width, height in the picture: with the hole


@pytest.fixture(autouse=True)
def tidy(tmp_path_factory, monkeypatch):
    """Temporary files of one's own; layers that caught errors hold go before QGIS ends."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temp")))
    yield
    gc.collect()


@pytest.fixture(scope="module")
def server():
    with serving() as running:
        yield running


@pytest.fixture
def slow_server():
    """Another one: newer QGIS keeps the connections busy that wait for a slow answer."""
    with serving() as running:
        yield running


def xyz(server, kind="tiles", **options):
    return QgsRasterLayer(server.xyz(kind, **options), f"XYZ {kind}", "wms")


def bounds(col, row, width, height):
    left, top = Place.left + col * CELL, Place.top - row * CELL
    return QgsRectangle(left, top - height * CELL, left + width * CELL, top)


def expected(col, row, width, height):
    pixels = picture()[:, row : row + height, col : col + width]
    return pixels[:3], pixels[3] > 0


class Recorder(Progress):
    """Keeps what it is told."""

    def __init__(self):
        self.messages, self.warnings, self.fractions = [], [], []

    def update(self, fraction, message=""):
        self.fractions.append(fraction)
        self.messages.append(message)

    def warn(self, message):
        self.warnings.append(message)


def layers_of(server):
    return {
        "xyz": lambda: xyz(server),
        "wms": lambda: QgsRasterLayer(server.wms(), "WMS", "wms"),
        "arcgis": lambda: QgsRasterLayer(server.arcgis(), "ArcGIS", "arcgismapserver"),
    }


@pytest.mark.parametrize("kind", ["xyz", "wms", "arcgis"])
def test_pixels_are_those_of_the_server_at_their_place(provider, server, tmp_path, kind):
    progress = Recorder()
    layer = layers_of(server)[kind]()
    assert layer.isValid()
    path = fetch(layer, tmp_path, progress, bounds(*WINDOW), CELL)
    pixels, valid = expected(*WINDOW)
    with Raster.open(path) as raster:
        found = raster.read(raster.window)
        assert raster.band_count == 3 and raster.dtype == np.uint8
        grid = raster.geotransform
        assert grid.x_origin == pytest.approx(Place.left + 100 * CELL, abs=1e-3 * CELL)
        assert grid.y_origin == pytest.approx(Place.top - 200 * CELL, abs=1e-3 * CELL)
        assert grid.cell_size() == pytest.approx((CELL, CELL), rel=1e-9)
        assert "3857" in raster.crs
    assert (found.valid == valid).all() and not valid.all()
    assert (found.pixels == np.where(valid, pixels, 0)).all()
    assert progress.fractions[-1] == 1.0 and "Fetching" in progress.messages[-1]
    info = gdal.Open(path)
    assert info.GetRasterBand(1).GetBlockSize() == [256, 256]


def test_many_blocks_join_without_a_seam(provider, server, tmp_path, monkeypatch):
    monkeypatch.setattr("geodl_plugin.algorithms.raster_sources.STEP", 256)
    progress = Recorder()
    with Raster.open(fetch(xyz(server), tmp_path, progress, bounds(*WINDOW), CELL)) as raster:
        found = raster.read(raster.window)
    pixels, valid = expected(*WINDOW)
    assert (found.pixels == np.where(valid, pixels, 0)).all()
    assert "of 9 blocks" in progress.messages[-1]


def test_a_rounded_cell_size_takes_the_zoom_level_as_it_is(provider, server, tmp_path):
    # Moved and grown by a third of a pixel, the extent still covers whole pixels of the grid.
    extent = bounds(*WINDOW)
    extent.grow(CELL / 3)
    with Raster.open(fetch(xyz(server), tmp_path, Progress(), extent, round(CELL, 3))) as raster:
        assert (raster.width, raster.height) == (602, 402)
        found = raster.read(raster.window)
        assert raster.with_cells(round(CELL, 3)) is raster
    pixels, valid = expected(99, 199, 602, 402)
    assert (found.pixels == np.where(valid, pixels, 0)).all()


def test_a_coarser_zoom_level_is_exact_too(provider, server, tmp_path):
    with Raster.open(
        fetch(xyz(server), tmp_path, Progress(), bounds(512, 0, 512, 512), 2 * CELL)
    ) as raster:
        found = raster.read(raster.window).pixels
    assert found.shape == (3, 256, 256)
    assert (found == picture()[:3, 1:512:2, 513::2]).all()


def test_cells_finer_than_the_source_are_warned_of(provider, server, tmp_path):
    progress = Recorder()
    fetch(xyz(server), tmp_path, progress, bounds(0, 0, 32, 32), CELL / 2)
    assert "at best" in progress.warnings[0]


@pytest.mark.parametrize("kind", ["hole", "broken", "text", "missing"])
def test_a_tile_that_fails_is_a_sentence(provider, server, tmp_path, kind):
    with pytest.raises(RasterError, match="cannot be fetched") as caught:
        fetch(xyz(server, kind), tmp_path, Progress(), bounds(*WINDOW), CELL)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    if kind != "missing":
        assert "36002/23001" in str(caught.value)


def test_a_map_that_fails_is_a_sentence(provider, server, tmp_path):
    # Newer QGIS tells no more than the address when its main thread asks.
    silent = "refused" if Qgis.QGIS_VERSION_INT < 34000 else "http://127.0.0.1:9/16/"
    for layer, reason in (
        (QgsRasterLayer(server.wms("wmsbroken"), "WMS", "wms"), "Disk full"),
        (QgsRasterLayer(server.arcgis("restbroken"), "A", "arcgismapserver"), "Internal Server"),
        (QgsRasterLayer("type=xyz&url=http://127.0.0.1:9/{z}/{x}/{y}.png", "X", "wms"), silent),
    ):
        with pytest.raises(RasterError, match=reason):
            fetch(layer, tmp_path, Progress(), bounds(*WINDOW), CELL)
    assert list(tmp_path.iterdir()) == []


def test_what_the_user_must_give(provider, server, tmp_path):
    def failing(extent, cell_size):
        with pytest.raises(InputError) as caught:
            fetch(xyz(server), tmp_path, Progress(), extent, cell_size)
        return str(caught.value)

    message = failing(bounds(*WINDOW), 0.0)
    assert "Give a CELL_SIZE" in message and f"{CELL:.10g}" in message and "EPSG:3857" in message
    message = failing(None, CELL)
    assert "16,777,216 × 16,777,216" in message and "Give an EXTENT" in message
    message = failing(QgsRectangle(3e7, 0, 3.1e7, 10), CELL)
    assert "lies outside" in message
    layer = QgsRasterLayer(server.wms(), "W", "wms")
    small = plan(layer.dataProvider(), "W", None, CELL)
    assert (small.window.width, small.window.height) == (1024, 768)


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_cancelling_does_not_wait_for_the_server(provider, slow_server, tmp_path, seconds):
    class Impatient(Progress):
        def cancelled(self):
            return time.monotonic() > began + seconds

    began = time.monotonic()
    with pytest.raises(CancelledError):
        fetch(xyz(slow_server, "slow"), tmp_path, Impatient(), bounds(*WINDOW), CELL)
    assert time.monotonic() - began < seconds + 20  # the server takes a minute
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_a_provider_with_pixels_of_its_own(provider, tmp_path):
    """Stands for WCS, whose server would be longer than this file."""
    pixels = np.arange(2 * 30 * 40, dtype=np.float32).reshape(2, 30, 40)
    pixels[:, 5, 6] = -9999
    source = write_raster(tmp_path / "numbers.tif", pixels, nodata=-9999)
    (tmp_path / "out").mkdir()
    path = fetch(QgsRasterLayer(source, "numbers", "gdal"), tmp_path / "out", Progress())
    with Raster.open(path) as found, Raster.open(source) as wanted:
        assert found.geotransform == wanted.geotransform
        block = found.read(found.window)
        assert (block.pixels == wanted.read(wanted.window).pixels).all()
        assert not block.valid[5, 6] and block.valid.sum() == 30 * 40 - 1


def scratch_folders():
    return list(Path(tempfile.gettempdir()).glob("geodl-*"))


def test_chips_from_tiles_with_labels(run, server, tmp_path, qgis_new_project):
    labels = QgsVectorLayer("Polygon?crs=EPSG:3857&field=value:integer", "labels", "memory")
    feature = QgsFeature(labels.fields())
    feature.setGeometry(QgsGeometry.fromRect(bounds(150, 250, 40, 20)))
    feature.setAttributes([4])
    labels.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayer(labels)
    result = run(
        "exporttrainingdata",
        INPUT=["wms://" + server.xyz()],
        INPUT_2=["wms://" + server.wms()],
        LABELS=labels,
        FORMAT="Classified_Tiles",
        TILE_SIZE_X=128,
        TILE_SIZE_Y=128,
        STRIDE_X=128,
        STRIDE_Y=128,
        EXTENT=Place.extent(128, 128, 256, 256),
        CELL_SIZE=CELL,
        OUTPUT=str(tmp_path / "chips"),
    )
    assert not scratch_folders()
    folder = open_folder(result["OUTPUT"])
    assert result["CHIP_COUNT"] == 2
    pixels, valid = expected(128, 128, 128, 128)
    assert (folder.read_image(folder.chips[0]).pixels == pixels).all() and valid.all()
    with Raster.open(folder.chips[0].second) as second:
        assert (second.read(second.window).pixels == pixels).all()
    mask = folder.read_label(folder.chips[0]).values
    assert mask[122:, 22:62].all() and (mask > 0).sum() == 6 * 40


def test_classes_of_tiles_are_those_of_their_pixels(run, server, tmp_path, monkeypatch):
    work_here(monkeypatch)
    model = write_model(tmp_path / "canopy.dlpk", "TEST_PIXELS", bands=3)
    output = str(tmp_path / "classes.tif")
    run(
        "classifypixels",
        INPUT="wms://" + server.xyz(),
        MODEL=model,
        EXTENT=Place.extent(100, 280, 100, 80),
        CELL_SIZE=CELL,
        OUTPUT=output,
    )
    pixels, valid = expected(100, 280, 100, 80)
    red = pixels[0].astype(int)
    # The network takes the nearest of the levels 0, 10 and 20; the first one of two.
    wanted = np.where(valid, np.choose((red > 5).astype(int) + (red > 15), [0, 3, 7]), 255)
    assert not valid.all() and {0, 3, 7, 255} == set(np.unique(wanted))
    assert (gdal.Open(output).ReadAsArray() == wanted).all()


def test_features_say_what_is_fetched_for_them(run, server, tmp_path, monkeypatch):
    work_here(monkeypatch)
    features = tmp_path / "features.gpkg"
    write_polygons(features, [bounds(500, 500, 20, 20).asWktPolygon()], 3857, name=["a"])
    model = write_model(tmp_path / "kinds.dlpk", "TEST_OBJECTS", bands=3)
    output = tmp_path / "classified.gpkg"
    run(
        "classifyobjects",
        INPUT="wms://" + server.xyz(),
        FEATURES=str(features),
        MODEL=model,
        CELL_SIZE=CELL,
        OUTPUT=str(output),
    )
    assert read_features(output)[0]["ClassLabel"] == "Car"


def test_samples_take_place_and_system_of_tiles_and_fetch_nothing(run, server, tmp_path):
    labels = tmp_path / "labels.gpkg"
    write_polygons(labels, [bounds(150, 250, 40, 20).asWktPolygon()], 3857, value=[4])
    output = tmp_path / "samples.gpkg"
    run(
        "labelobjects",
        INPUT=["wms://" + server.xyz("missing")],
        FEATURES=str(labels),
        OUTPUT=str(output),
    )
    assert read_features(output)[0]["Count"] == 40 * 20
    assert "3857" in QgsVectorLayer(str(output), "s", "ogr").crs().authid()


def test_refusals_reach_the_user_and_leave_nothing(run, server, tmp_path):
    model = write_model(tmp_path / "canopy.dlpk", "TEST_PIXELS", bands=3)
    values = {"MODEL": model, "OUTPUT": str(tmp_path / "out.tif"), "CELL_SIZE": CELL}
    for source, changes, sentence in (
        (server.xyz(), {}, "Give an EXTENT"),
        (server.xyz(), {"CELL_SIZE": None}, "Give a CELL_SIZE"),
        (server.xyz("broken"), {"EXTENT": Place.extent(*WINDOW)}, "cannot be fetched"),
    ):
        with pytest.raises(QgsProcessingException, match=sentence):
            run("classifypixels", INPUT="wms://" + source, **{**values, **changes})
    assert not scratch_folders() and not (tmp_path / "out.tif").exists()


def test_a_tool_is_cancelled_while_it_fetches(run, slow_server, tmp_path):
    model = write_model(tmp_path / "canopy.dlpk", "TEST_PIXELS", bands=3)
    feedback = QgsProcessingFeedback()
    threading.Timer(1.0, feedback.cancel).start()
    began = time.monotonic()
    result = run(
        "classifypixels",
        feedback,
        INPUT="wms://" + slow_server.xyz("slow"),
        MODEL=model,
        CELL_SIZE=CELL,
        EXTENT=Place.extent(*WINDOW),
        OUTPUT=str(tmp_path / "out.tif"),
    )
    assert time.monotonic() - began < 30  # the server takes a minute
    assert result.get("OUTPUT") is None or not Path(result["OUTPUT"]).exists()


def test_a_model_finds_drafts_on_tiles(run, server, tmp_path, monkeypatch):
    work_here(monkeypatch)
    model = write_model(tmp_path / "numbers.dlpk", "TEST_NUMBERS", bands=3)
    output = tmp_path / "samples.gpkg"
    run(
        "labelobjects",
        INPUT=["wms://" + server.xyz()],
        MODEL=model,
        EXTENT=Place.extent(100, 200, 8, 8),
        CELL_SIZE=CELL,
        OUTPUT=str(output),
    )
    found = read_features(output)
    assert found
    area = bounds(100, 200, 8, 8)
    for each in found:
        xmin, xmax, ymin, ymax = each["geometry"].GetEnvelope()
        assert area.buffered(0.01).contains(QgsRectangle(xmin, ymin, xmax, ymax))


@pytest.mark.parametrize("kind", ["xyz", "arcgis"])
def test_a_layer_of_the_project_is_fetched_in_a_task(
    provider, server, tmp_path, qgis_app, qgis_new_project, kind
):
    """As from the toolbox: the layer lives in the main thread, the tool runs in another."""
    layer = layers_of(server)[kind]()
    QgsProject.instance().addMapLayer(layer)

    def run_task(layer, name):
        answers = []
        context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
        context.setProject(QgsProject.instance())
        values = {
            "INPUT": [layer.id()],
            "FORMAT": "Export_Tiles",
            "CELL_SIZE": CELL,
            "EXTENT": Place.extent(*WINDOW),
            "OUTPUT": str(tmp_path / name),
        }
        tool = qgis_app.processingRegistry().createAlgorithmById("geodl:exporttrainingdata")
        task = QgsProcessingAlgRunnerTask(tool, values, context, feedback)
        task.executed.connect(lambda *answer: answers.append(answer))
        qgis_app.taskManager().addTask(task)
        deadline = time.monotonic() + 60
        while not answers and time.monotonic() < deadline:
            qgis_app.processEvents()
            time.sleep(0.01)
        return (*answers[0], feedback.textLog())

    good, results, _ = run_task(layer, "good")
    assert good
    folder = open_folder(results["OUTPUT"])
    pixels, valid = expected(100, 200, 256, 256)
    found = folder.read_image(folder.chips[0]).pixels
    assert (found == np.where(valid, pixels, 0)).all()
    if kind == "xyz":
        broken = xyz(server, "broken")
        QgsProject.instance().addMapLayer(broken)
        good, _, log = run_task(broken, "bad")
        assert not good and "cannot be fetched" in log
