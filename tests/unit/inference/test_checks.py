"""Wrong input is one sentence, before any work."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal

from geodl_plugin.core.errors import GeoDLError, InputError, ModelError
from geodl_plugin.core.geo.mask import PolygonMask
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.inference import detect, pixels
from geodl_plugin.core.inference.checks import (
    check_fields,
    choose_classes,
    open_job,
    open_pixels,
    tell_unused,
)
from geodl_plugin.core.inference.options import DetectionOptions, ObjectOptions, PixelOptions
from geodl_plugin.core.inference.pixel_items import pixel_items
from geodl_plugin.core.models.registry import Task, model_type
from geodl_plugin.core.progress import Progress
from geodl_plugin.core.samples.schema import Schema

from .support import NORTH_UP, TREES, TURNED, write_model, write_polygons, write_raster
from .test_engine import Heard


@pytest.fixture
def source(tmp_path: Path) -> str:
    return write_raster(tmp_path / "ortho.tif", np.zeros((3, 50, 50), np.uint8))


def options(source: str, model: str, **values: Any) -> DetectionOptions:
    output = values.pop("output", str(Path(source).parent / "out" / "found.gpkg"))
    return DetectionOptions([source], model, output, **values)


def refused(values: DetectionOptions) -> str:
    with pytest.raises(GeoDLError) as caught:
        detect.run(values, Progress())
    assert not (Path(values.sources[0]).parent / "out").exists()
    return str(caught.value)


def test_a_model_for_another_task(tmp_path: Path, source: str) -> None:
    model = write_model(tmp_path / "canopy.dlpk", "TEST_PIXELS")
    assert refused(options(source, model)) == (
        "'canopy.dlpk' classifies pixels. Use the tool 'Classify pixels'."
    )


def test_too_few_bands(tmp_path: Path, source: str) -> None:
    model = write_model(tmp_path / "trees.dlpk", "TEST_NUMBERS", bands=4)
    assert refused(options(source, model)).startswith(
        "'trees.dlpk' was trained on 4 bands but 'ortho.tif' has 3."
    )


def test_more_bands_than_the_training_images_had(tmp_path: Path) -> None:
    four = write_raster(tmp_path / "rgbn.tif", np.ones((4, 50, 50), np.uint16))
    model = write_model(tmp_path / "trees.dlpk", "TEST_NUMBERS", bands=3, image_bands=3)
    assert refused(options(four, model)).startswith(
        "'trees.dlpk' was trained on 3 bands but 'rgbn.tif' has 4."
    )


def test_no_model(tmp_path: Path, source: str) -> None:
    (tmp_path / "notes.dlpk").write_text("not a zip")
    assert "is not a model package" in refused(options(source, str(tmp_path / "notes.dlpk")))
    assert "There is no model" in refused(options(source, str(tmp_path / "none.dlpk")))


def test_a_model_that_is_not_ours(source: str) -> None:
    text = json.dumps({"ModelType": "ObjectDetection", "ModelFile": "a.pth", "ImageWidth": 9})
    assert "does not name its classes" in refused(options(source, text))


def test_an_architecture_of_the_future(tmp_path: Path, source: str) -> None:
    model = write_model(tmp_path / "m.dlpk", "TEST_NUMBERS", architecture="HOLOGRAM")
    assert "There is no model type 'HOLOGRAM'" in refused(options(source, model))


def test_an_extent_outside(tmp_path: Path, source: str) -> None:
    model = write_model(tmp_path / "m.dlpk", "TEST_NUMBERS")
    assert "lies outside of 'ortho.tif'" in refused(options(source, model, extent=[0, 0, 9, 9]))


def test_a_mask_outside(tmp_path: Path, source: str) -> None:
    mask = write_polygons(tmp_path / "mask.gpkg", ["POLYGON((0 0,1 0,1 1,0 0))"], 32616)
    model = write_model(tmp_path / "m.dlpk", "TEST_NUMBERS")
    assert "lies outside of 'ortho.tif'" in refused(options(source, model, mask=[mask, ""]))


def test_a_mask_and_an_extent_that_do_not_meet(tmp_path: Path, source: str) -> None:
    x, y = NORTH_UP[0], NORTH_UP[3]
    shape = f"POLYGON (({x} {y}, {x + 5} {y}, {x} {y - 5}, {x} {y}))"
    mask = write_polygons(tmp_path / "mask.gpkg", [shape], 32616)
    model = write_model(tmp_path / "m.dlpk", "TEST_NUMBERS")
    extent = [x + 10, y - 20, x + 20, y - 10]
    sentence = refused(options(source, model, mask=[mask, ""], extent=extent))
    assert sentence.startswith("The mask 'mask' lies outside of the extent on 'ortho.tif'.")


def test_a_mask_may_reach_where_the_rasters_system_does_not(source: str, tmp_path: Path) -> None:
    """No UTM zone has coordinates for the whole world, or for the Aleutians beside Florida."""
    world = "POLYGON((-180 -90,180 -90,180 90,-180 90,-180 -90))"
    mask = write_polygons(tmp_path / "mask.gpkg", [world], 4326)
    with Raster.open(source) as raster:
        assert PolygonMask(mask, "", raster).inside(raster.window).all()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"classes": ["Boat"]}, "knows no class 'Boat'. Its classes are: 3 Tree, 7 Car."),
        ({"threshold": 50.0}, "threshold=50.0 is not between 0 and 1"),
        ({"padding": 40, "tile_size": 64}, "padding=40 leaves nothing of a tile of 64 pixels"),
        ({"batch_size": -1}, "batch_size=-1"),
        ({"device": "cuda:9"}, "device 'cuda:9'"),
        ({"class_field": "a", "confidence_field": "A"}, "three different names"),
        ({"padding": "wide"}, "padding=wide is no number of pixels"),
        ({"tile_size": -8}, "tile_size=-8 is no number"),
        ({"output": ""}, "No output"),
    ],
)
def test_values_that_cannot_be(
    tmp_path: Path, source: str, values: dict[str, Any], sentence: str
) -> None:
    model = write_model(tmp_path / "m.dlpk", "TEST_NUMBERS")
    assert sentence in refused(options(source, model, **values))


def test_the_input_is_not_overwritten(tmp_path: Path, source: str) -> None:
    model = write_model(tmp_path / "m.dlpk", "TEST_PIXELS")
    with pytest.raises(InputError, match="is an input"):
        open_pixels(PixelOptions([source], model, source))
    x, y = NORTH_UP[0], NORTH_UP[3]
    shape = f"POLYGON (({x} {y}, {x + 9} {y}, {x} {y - 9}, {x} {y}))"
    mask = write_polygons(tmp_path / "mask.gpkg", [shape], 32616)
    virtual = str(tmp_path / "a.vrt")
    gdal.BuildVRT(virtual, [source])
    output = str(tmp_path / "a.tif")
    for changes, sentence in (
        ({"probabilities": source}, r"'.*\.tif' is an input"),
        ({"polygons": mask, "mask": [mask, ""]}, r"'mask\.gpkg' is an input"),
        ({"probabilities": output}, r"'a\.tif' is named for two results"),
        ({"sources": [virtual], "output": source}, r"'.*\.tif' is an input"),
    ):
        values = {"sources": [source], "output": output, **changes}
        with pytest.raises(InputError, match=sentence):
            open_pixels(PixelOptions(model=model, **values))


def test_no_raster_is_the_place_of_another_ones_result(tmp_path: Path, source: str) -> None:
    model = write_model(tmp_path / "m.dlpk", "TEST_PIXELS")
    (tmp_path / "more").mkdir()
    name = Path(source).name
    other = write_raster(tmp_path / "more" / name, np.zeros((1, 50, 50), np.uint8))
    output = str(tmp_path / "more.vrt")
    with pytest.raises(InputError, match="is an input"):
        pixel_items(PixelOptions([source, other], model, output, separate=True))


def test_the_results_of_namesakes_have_names_of_their_own(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.dlpk", "TEST_PIXELS")
    sources = []
    for place in ("one/a.tif", "two/A.tif", "a 2.tif"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        sources.append(write_raster(tmp_path / place, np.zeros((1, 50, 50), np.uint8)))
    items = pixel_items(PixelOptions(sources, model, str(tmp_path / "all.vrt"), separate=True))
    assert [Path(each.output).name for each in items] == ["a.tif", "A 2.tif", "a 2 2.tif"]


def test_the_field_for_the_raster_is_no_other_field(tmp_path: Path, source: str) -> None:
    model = write_model(tmp_path / "m.dlpk", "TEST_NUMBERS")
    values = options(source, model, class_field="raster")
    assert "'raster', 'Confidence', 'Classvalue' and 'Raster' need four different" in refused(
        dataclasses.replace(values, sources=[source, source], separate=True)
    )
    check_fields(values)


def test_complex_pixels_are_refused(tmp_path: Path) -> None:
    """Their imaginary part would be left out."""
    radar = write_raster(tmp_path / "radar.tif", np.zeros((1, 50, 50), np.complex64))
    model = write_model(tmp_path / "m.dlpk", "TEST_NUMBERS")
    assert "'radar.tif' has complex numbers" in refused(options(radar, model))


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (TURNED, "is turned"),
        ((500100.0, 0.5, 0.0, 4100000.0, 0.0, 0.5), "is not stored north up"),
        (None, "has no georeference"),
    ],
)
def test_what_cannot_be_joined_is_refused_before_it_is_classified(
    tmp_path: Path, source: str, place: tuple[float, ...] | None, reason: str
) -> None:
    """GDAL left it out of the virtual raster and only warned."""
    other = write_raster(tmp_path / "other.tif", np.zeros((3, 50, 50), np.uint8), place or NORTH_UP)
    if place is None:
        other = str(tmp_path / "other.png")
        gdal.GetDriverByName("PNG").CreateCopy(other, gdal.Open(str(tmp_path / "other.tif")))
        Path(f"{other}.aux.xml").unlink()
    model = write_model(tmp_path / "m.dlpk", "TEST_PIXELS", bands=3)
    output = tmp_path / "all.vrt"
    with pytest.raises(GeoDLError, match=f"'{Path(other).name}' {reason}.* as a batch"):
        pixels.run(PixelOptions([source, other], model, str(output), separate=True), Progress())
    assert not (tmp_path / "all").exists()


def test_the_extension_of_the_output_is_one_that_is_written(tmp_path: Path, source: str) -> None:
    model = write_model(tmp_path / "m.dlpk", "TEST_PIXELS")
    with pytest.raises(InputError, match=r"Give it the extension \.tif"):
        open_pixels(PixelOptions([source], model, "classes.png"))
    output = str(tmp_path / "out" / "found.doc")
    assert "no known vector file" in refused(options(source, model, output=output))


def test_what_may_spoil_the_result_is_warned_of(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "ortho.tif", np.zeros((4, 50, 50), np.uint16))
    model = write_model(
        tmp_path / "m.dlpk", "TEST_PIXELS", bands=3, dtype="uint8", cell_size=[0.1, 0.1]
    )
    heard = Heard()
    with open_job(PixelOptions([source], model, "out.tif"), Task.PIXELS, heard):
        pass
    assert "'ortho.tif' has 4 bands, of which 'm.dlpk' uses 1, 2, 3" in heard.warnings[0]
    assert "trained on uint8 images but 'ortho.tif' is uint16" in heard.warnings[1]
    assert "trained at 0.1 m a pixel but 'ortho.tif' has 0.5 m" in heard.warnings[2]


def test_metres_and_degrees_are_compared_as_lengths(tmp_path: Path) -> None:
    step = 0.5 / 111_320
    degrees = (-84.0, step, 0.0, 0.1, 0.0, -step)
    for geotransform, epsg in ((NORTH_UP, 32616), (degrees, 4326)):
        source = write_raster(tmp_path / "a.tif", np.zeros((1, 50, 50)), geotransform, epsg)
        model = write_model(tmp_path / "m.dlpk", "TEST_PIXELS", cell_size=[0.5, 0.5])
        heard = Heard()
        open_job(PixelOptions([source], model, "out.tif"), Task.PIXELS, heard).raster.close()
        assert heard.warnings == []


def test_feet_are_compared_as_lengths(tmp_path: Path) -> None:
    """Pixels of one foot, in training and here; a package of old says the units by its system."""
    feet = (1_000_000.0, 1.0, 0.0, 1_000_000.0, 0.0, -1.0)
    source = write_raster(tmp_path / "a.tif", np.zeros((1, 50, 50)), feet, 2263)
    with Raster.open(source) as raster:
        crs = raster.crs
    metres = 1200 / 3937
    for side, facts in (
        (1.0, {"cell_size": [1.0, 1.0], "cell_size_metres": metres}),
        (1.0, {"cell_size": [1.0, 1.0], "crs": crs}),
        (4.0, {"cell_size": [4.0, 4.0], "cell_size_metres": 4 * metres, "crs": crs}),
        (4.0, {"cell_size": [4 * metres] * 2}),
    ):
        model = write_model(tmp_path / "m.dlpk", "TEST_PIXELS", **facts)
        heard = Heard()
        open_job(PixelOptions([source], model, "out.tif"), Task.PIXELS, heard).raster.close()
        assert bool(heard.warnings) == (side > 1)
        assert all("trained at 1.22 m a pixel" in each for each in heard.warnings)
        assert all("CELL_SIZE=4 resamples" in each for each in heard.warnings)


def test_classes_by_name_and_value() -> None:
    assert choose_classes(TREES, [], "m").values == (3, 7)
    assert choose_classes(TREES, ["TREE"], "m").values == (3,)
    assert choose_classes(TREES, ["7", " Tree "], "m").values == (3, 7)
    assert choose_classes(TREES, ["7,Tree"], "m").values == (3, 7)
    with pytest.raises(InputError, match="no class '9'"):
        choose_classes(TREES, ["7, 9"], "m")


def test_a_comma_may_be_part_of_a_name() -> None:
    schema = Schema.from_text("1:Bäume, alte:#22aa44;2:alte:#cc2200;3:Gras:#00ff00")
    assert choose_classes(schema, ["bäume, alte"], "m").values == (1,)
    assert choose_classes(schema, ["alte, gras"], "m").values == (2, 3)


@pytest.mark.parametrize("count", [9, 10**12])
def test_a_network_of_other_classes_than_the_models(
    tmp_path: Path, source: str, count: int
) -> None:
    model = write_model(tmp_path / "m.dlpk", "TEST_NUMBERS", class_count=count)
    found = refused(options(source, model))
    assert f"'m.dlpk' has 2 classes, but its network answers with {count}. Get" in found


@pytest.mark.parametrize(
    ("channels", "sentence"),
    [
        ([4, 4], "The weights of 'm.dlpk' do not fit its network: "),
        ([10**12, 10**12], "The weights of 'm.dlpk' do not fit its network: "),
        (5, "'m.dlpk' has a definition that cannot be understood."),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, source: str, channels: Any, sentence: str) -> None:
    model = write_model(
        tmp_path / "m.dlpk", "TEST_PIXELS", 3, architecture="UNET_PLAIN",
        arguments={**model_type("UNET_PLAIN").arguments, "channels": channels},
    )  # fmt: skip
    with pytest.raises(GeoDLError) as caught:
        pixels.run(PixelOptions([source], model, str(tmp_path / "out.tif")), Progress())
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def with_control_points(path: Path) -> str:
    image = gdal.GetDriverByName("GTiff").Create(str(path), 50, 50, 3)
    corners = ((0, 0), (50, 0), (0, 50))
    image.SetGCPs([gdal.GCP(5e5 + col, 4e6 - row, 0, col, row) for col, row in corners], "")
    return str(path)


def test_a_raster_that_control_points_place_is_refused(tmp_path: Path) -> None:
    """It was worked on as if it lay at 0, 0."""
    scan = with_control_points(tmp_path / "scan.tif")
    model = write_model(tmp_path / "m.dlpk", "TEST_PIXELS", bands=3)
    with pytest.raises(GeoDLError, match=r"'scan\.tif' is placed by control points only\."):
        open_pixels(PixelOptions([scan], model, str(tmp_path / "out.tif")))


@pytest.mark.parametrize("value", [70000, 65535, -5])
def test_a_class_that_no_class_raster_can_hold_is_refused(
    tmp_path: Path, source: str, value: int
) -> None:
    schema = Schema.from_text(f"3:Tree;{value}:Car")
    model = write_model(tmp_path / "m.dlpk", "TEST_PIXELS", bands=3, schema=schema)
    with pytest.raises(ModelError, match=f"class 'Car' the value {value}, .* 0 to 65534"):
        open_pixels(PixelOptions([source], model, str(tmp_path / "out.tif")))


@pytest.mark.parametrize("odd", [{"class_count": "x"}, {"arguments": [1]}, {"image_bands": "q"}])
def test_a_definition_that_cannot_be_understood_is_a_sentence(
    tmp_path: Path, source: str, odd: dict[str, Any]
) -> None:
    model = Path(write_model(tmp_path / "m.dlpk", "TEST_PIXELS", bands=3))
    with zipfile.ZipFile(model) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    definition = json.loads(files["m.emd"])
    definition["GeoDL"].update(odd)
    with zipfile.ZipFile(model, "w") as archive:
        for name, content in {**files, "m.emd": json.dumps(definition).encode()}.items():
            archive.writestr(name, content)
    with pytest.raises(ModelError, match=r"'m\.dlpk' has a definition that cannot be understood"):
        open_pixels(PixelOptions([source], str(model), str(tmp_path / "out.tif")))


@pytest.mark.parametrize(
    ("kind", "values", "sentence"),
    [
        (DetectionOptions, {"max_overlap_ratio": 0.3, "run_nms": False}, "MAX_OVERLAP_RATIO=0.3"),
        (DetectionOptions, {"max_overlap_ratio": 0.3}, ""),
        (DetectionOptions, {"run_nms": False}, ""),
        (PixelOptions, {"simplify": 2.5}, "SIMPLIFY=2.5 changes nothing"),
        (PixelOptions, {"min_area": 10.0}, "MIN_AREA=10 changes nothing"),
        (PixelOptions, {"min_area": 10.0, "simplify": 1.0, "polygons": "a.gpkg"}, ""),
        (ObjectOptions, {"cell_size": 0.5}, "CELL_SIZE=0.5 does not resample rasters that are"),
        (ObjectOptions, {"cell_size": 0.5, "features": ["a.gpkg", ""]}, ""),
    ],
)
def test_what_changes_nothing_is_told(kind: type, values: dict[str, Any], sentence: str) -> None:
    heard = Heard()
    tell_unused(kind(["a.tif"], "m.dlpk", "out", **values), heard)
    assert len(heard.warnings) == bool(sentence) and sentence in "".join(heard.warnings)
