"""Chips of several coordinate reference systems are compared where they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geodl_plugin.core.geo.crs import transform_bounds
from geodl_plugin.core.geo.raster import Raster
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.learning.places import Places, find_places
from geodl_plugin.core.learning.preparation import prepare
from geodl_plugin.core.learning.split import split_chips
from geodl_plugin.core.progress import Phase, Progress

from .test_split import grid
from .test_train import options

UTM, WEB, DEGREES = "EPSG:32612", "EPSG:3857", "EPSG:4326"
YELLOWSTONE = (528000.0, 4920000.0)
ONE, TWO = Path("one"), Path("two")


def utm(columns: int, rows: int, east: float = 0.0) -> np.ndarray:
    """Return chips of 100 metres in Yellowstone that lie side by side."""
    x, y = YELLOWSTONE
    return grid(columns, rows, 100.0, 100.0) + [x + east, y, x + east, y]


def moved(bounds: np.ndarray, crs: str) -> list[tuple[float, float, float, float]]:
    return [transform_bounds(tuple(each), UTM, crs) for each in bounds]


def shared(places: Places) -> np.ndarray:
    """Return which chips ``(n, n)`` share ground."""
    clashes = places.clashes
    matrix = np.zeros((clashes.count, clashes.count), bool)
    matrix[clashes.first, clashes.second] = True
    return matrix


@pytest.mark.parametrize("other", [WEB, DEGREES])
def test_the_same_ground_in_two_systems_is_on_one_side(other):
    bounds = utm(6, 6)
    count = len(bounds)
    places = find_places(
        [*bounds, *moved(bounds, other)], [UTM] * count + [other] * count, [ONE] * count * 2
    )
    same = np.arange(count)
    assert shared(places)[same, same + count].all()
    # Neighbours of one system only touch, however the other system turns them.
    assert not shared(places)[:count, :count].any()
    for seed in range(5):
        split = split_chips(places.bounds, 20, seed, clashes=places.clashes)
        assert split.unseen and split.training
        assert not shared(places)[np.ix_(split.training, split.validation)].any()
        sides = [{place % count for place in each} for each in (split.training, split.validation)]
        assert not sides[0] & sides[1]
    assert len(places.notes) == 1 and "2 coordinate reference systems" in places.notes[0]
    assert "'WGS 84 / UTM zone 12N'" in places.notes[0]


def test_equal_numbers_in_two_systems_are_no_common_ground():
    bounds = utm(4, 1)
    places = find_places([*bounds, *bounds], [UTM] * 4 + ["EPSG:32633"] * 4, [ONE] * 4 + [TWO] * 4)
    assert not shared(places).any()


def test_folders_without_a_system_are_places_of_their_own():
    bounds = grid(4, 1, 64, 32)
    places = find_places([*bounds, *bounds], [""] * 8, [ONE] * 4 + [TWO] * 4)
    assert shared(places)[0, 1] and not shared(places)[:4, 4:].any()
    assert places.bounds[:4, 2].max() < places.bounds[4:, 0].min()
    assert places.notes == (
        "Chips of 'one', 'two' have no coordinate reference system: each of them counts as a "
        "place of its own.",
    )
    assert find_places(bounds, [""] * 4, [ONE] * 4).notes == ()


def test_chips_without_a_place_do_not_touch_beside_others():
    loose = np.tile([0.0, 0.0, 64.0, 64.0], (4, 1))
    places = find_places([*utm(4, 1), *loose], [UTM] * 4 + [""] * 4, [ONE] * 4 + [TWO] * 4)
    assert not shared(places).any()
    assert "'two'" in places.notes[0] and "it counts" in places.notes[0]


@pytest.mark.parametrize("tall", [range(10), range(0, 10, 2), [9]])
def test_photos_of_any_sizes_are_places_of_their_own(tmp_path, tall):
    (tmp_path / "photos" / "images").mkdir(parents=True)
    (tmp_path / "photos" / "labels").mkdir()
    text = "<annotation><object><name>car</name><bndbox><xmin>10</xmin><ymin>10</ymin>"
    text += "<xmax>40</xmax><ymax>40</ymax></bndbox></object></annotation>"
    random = np.random.default_rng(0)
    for number in range(10):
        shape = (80, 64, 3) if number in tall else (64, 80, 3)
        image = Image.fromarray(random.integers(0, 255, shape, np.uint8))
        image.save(tmp_path / "photos" / "images" / f"{number}.png")
        (tmp_path / "photos" / "labels" / f"{number}.xml").write_text(text)
    found = prepare(options(tmp_path / "photos", "out"), Phase(Progress(), "Reading", 1, "chips"))
    assert found.split.unseen and not found.split.dropped
    assert len(found.split.validation) == 1 and len(found.split.training) == 9


def test_versions_of_a_photo_are_on_one_side():
    """Else a network would be judged by photos that it has learned by heart."""
    names = [f"{photo}_jpg.rf.{photo * 7 + copy:032x}" for copy in range(3) for photo in range(20)]
    bounds = [(0.0, -64.0, 64.0, 0.0)] * len(names)
    places = find_places(bounds, [""] * 60, [ONE] * 60, [False] * 60, names)
    photos = np.arange(60) % 20
    assert (shared(places) == ((photos[:, None] == photos) & ~np.eye(60, dtype=bool))).all()
    for seed in range(5):
        split = split_chips(places.bounds, 20, seed, clashes=places.clashes)
        assert split.unseen and len(split.dropped) <= 4
        assert not set(photos[list(split.training)]) & set(photos[list(split.validation)])
    two = find_places(bounds[:2], [""] * 2, [ONE, TWO], [False] * 2, ["a.rf.1", "a.rf.2"])
    assert not shared(two).any(), "folders may call different photos alike"


def test_a_photo_among_chips_with_a_place_touches_none():
    bounds = [*grid(3, 1, 64, 64), (0.0, -64.0, 64.0, 0.0), (0.0, -80.0, 64.0, 0.0)]
    places = find_places(bounds, [""] * 5, [ONE] * 5, [True] * 3 + [False] * 2)
    assert shared(places)[0, 1] == shared(find_places(bounds[:3], [""] * 3, [ONE] * 3))[0, 1]
    assert not shared(places)[3:].any()


def test_a_system_that_leads_nowhere_is_a_place_of_its_own():
    local = 'LOCAL_CS["Building site",UNIT["metre",1]]'
    bounds = utm(3, 1)
    systems = [UTM] * 3 + [WEB] * 3 + [local] * 3
    places = find_places([*bounds, *moved(bounds, WEB), *bounds], systems, [ONE] * 9)
    assert shared(places)[[0, 1, 2], [3, 4, 5]].all() and not shared(places)[:6, 6:].any()
    assert any("'Building site' cannot be placed" in note for note in places.notes)


def georeference(folder: Path, crs: str) -> None:
    """Write the chips of a folder again so that they lie in Yellowstone, in a system."""
    x, y = YELLOWSTONE
    for number, image in enumerate(sorted((folder / "images").glob("*.tif"))):
        with Raster.open(image) as raster:
            pixels, frame = raster.read(raster.window).pixels, raster.geotransform
        native = (x + 32 * number, y, x + 32 * (number + 1), y + 32)
        left, bottom, right, top = transform_bounds(native, UTM, crs)
        side = pixels.shape[-1]
        across, down = (right - left) / side, (top - bottom) / side
        write_chip(image, pixels, type(frame)(left, across, 0, top, 0, -down), crs)


def test_two_folders_of_one_place_are_split_together_and_it_is_said(make_folder):
    one = make_folder("Classified_Tiles", name="one")
    two = make_folder("Classified_Tiles", name="two")
    georeference(one, UTM)
    georeference(two, WEB)
    found = prepare(
        options(f"{one};{two}", "out", validation_percentage=30),
        Phase(Progress(), "Reading", 1, "chips"),
    )
    sides = [{each % 6 for each in side} for side in (found.split.training, found.split.validation)]
    assert found.split.unseen and not sides[0] & sides[1]
    assert any("'WGS 84 / Pseudo-Mercator'" in note for note in found.notes)


def test_turned_chips_that_lie_side_by_side_all_take_part(make_folder):
    """Only their bounds overlap."""
    folder = make_folder("Classified_Tiles", name="turned")
    x, y = YELLOWSTONE
    for number, image in enumerate(sorted((folder / "images").glob("*.tif"))):
        with Raster.open(image) as raster:
            pixels, frame = raster.read(raster.window).pixels, raster.geotransform
        step = number * pixels.shape[-1]
        place = type(frame)(x + 0.4 * step, 0.4, 0.3, y + 0.3 * step, 0.3, -0.4)
        write_chip(image, pixels, place, UTM)
    told = options(folder, "out", validation_percentage=30)
    split = prepare(told, Phase(Progress(), "Reading", 1, "chips")).split
    assert split.unseen and not split.dropped
    assert len(split.training) + len(split.validation) == 6
