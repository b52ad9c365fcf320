"""Samples from existing features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geodl_plugin.core.errors import GeoDLError, InputError
from geodl_plugin.core.geo.crs import spatial_reference
from geodl_plugin.core.geo.grid import GeoTransform
from geodl_plugin.core.geo.raster_writer import write_chip
from geodl_plugin.core.geo.vector import VectorReader
from geodl_plugin.core.geo.vector_writer import VectorWriter
from geodl_plugin.core.progress import Progress
from geodl_plugin.core.samples.layer import FIELDS, SampleOptions, make_samples

UTM = spatial_reference("EPSG:32612").ExportToWkt()


def squares(path, classes, kind=str, field="kind", start=0.0):
    with VectorWriter(path, UTM, {field: kind}) as writer:
        for index, each in enumerate(classes):
            ring = np.array([[0, 0], [5, 0], [5, 5], [0, 5]]) + [start + 10 * index, 0]
            writer.write_polygon([ring], {field: each})
    return str(path)


def rows(path):
    return [
        (f.attributes["Classname"], f.attributes["Classvalue"])
        for f in VectorReader(path).features()
    ]


def test_text_classes_become_values_in_sorted_order(tmp_path):
    features = squares(tmp_path / "in.gpkg", ["pine", "oak", "pine"])
    result = make_samples(
        SampleOptions(str(tmp_path / "out.gpkg"), features=features, class_field="kind"), Progress()
    )
    assert rows(result.path) == [("pine", 2), ("oak", 1), ("pine", 2)]
    assert (result.samples, len(result.schema)) == (3, 2)
    colours = {f.attributes["RED"] for f in VectorReader(result.path).features()}
    assert colours == {each.color[0] for each in result.schema.classes}


@pytest.mark.parametrize("name", ["²", "--5", "½"])
def test_signs_that_look_like_numbers_are_names(tmp_path, name):
    features = squares(tmp_path / "in.gpkg", [name])
    output = str(tmp_path / "out.gpkg")
    wanted = SampleOptions(output, schema="9:oak", features=features, class_field="kind")
    with pytest.raises(InputError, match=f"holds the class '{name}', which the schema lacks"):
        make_samples(wanted, Progress())


def test_blank_text_is_no_class(tmp_path):
    features = squares(tmp_path / "in.gpkg", ["pine", "", "oak", "  ", None])
    options = SampleOptions(str(tmp_path / "out.gpkg"), features=features, class_field="kind")
    assert rows(make_samples(options, Progress()).path) == [("pine", 2), ("oak", 1)]


def test_a_confidence_in_words_makes_no_draft(tmp_path):
    told = ["high", "99.5", "", None]
    features = squares(tmp_path / "in.gpkg", told, field="Confidence")
    options = SampleOptions(str(tmp_path / "out.gpkg"), features=features)
    found = VectorReader(make_samples(options, Progress()).path).features()
    assert [each.attributes["Confidence"] for each in found] == [None, 99.5, None, None]


def test_a_schema_decides_values_and_refuses_other_classes(tmp_path):
    features = squares(tmp_path / "in.gpkg", ["pine", "oak"])
    options = SampleOptions(
        str(tmp_path / "out.gpkg"), schema="9:oak;4:pine", features=features, class_field="kind"
    )
    assert rows(make_samples(options, Progress()).path) == [("pine", 4), ("oak", 9)]
    wrong = SampleOptions(
        str(tmp_path / "no.gpkg"), schema="9:oak", features=features, class_field="kind"
    )
    with pytest.raises(InputError, match="holds the class 'pine', which the schema lacks"):
        make_samples(wrong, Progress())
    assert not (tmp_path / "no.gpkg").exists()


def test_appended_samples_keep_their_values_and_new_classes_get_others(tmp_path):
    old = squares(tmp_path / "old.gpkg", ["pine", "spruce"])
    first = make_samples(
        SampleOptions(str(tmp_path / "one.gpkg"), features=old, class_field="kind"), Progress()
    )
    new = squares(tmp_path / "new.gpkg", ["ash", "spruce"], start=100)
    both = make_samples(
        SampleOptions(
            str(tmp_path / "two.gpkg"),
            features=new,
            class_field="kind",
            append_to=str(first.path),
        ),
        Progress(),
    )
    assert rows(both.path) == [("pine", 1), ("spruce", 2), ("ash", 3), ("spruce", 2)]
    assert rows(first.path) == [("pine", 1), ("spruce", 2)]


def test_samples_of_other_images_stay_with_their_pixels(tmp_path):
    """Only what is imported is limited to the raster."""
    place = GeoTransform(0.0, 0.5, 0.0, 10.0, 0.0, -0.5)
    write_chip(tmp_path / "a.tif", np.ones((1, 20, 16), np.uint8), place, UTM)
    with VectorWriter(tmp_path / "old.gpkg", UTM, FIELDS) as writer:
        for start, count in ((0, 77), (900, 400)):
            ring = np.array([[0, 0], [5, 0], [5, 5], [0, 5.0]]) + [start, 0]
            writer.write_polygon([ring], {"Classname": "oak", "Classvalue": 1, "Count": count})
    old, new = str(tmp_path / "old.gpkg"), squares(tmp_path / "new.gpkg", ["ash", "ash", "ash"])
    raster = str(tmp_path / "a.tif")
    output = str(tmp_path / "out.gpkg")
    options = SampleOptions(output, (raster,), features=new, class_field="kind", append_to=old)
    for rasters, counts in ((options.rasters, [77, 400, 100]), ((), [77, 400, None, None, None])):
        path = make_samples(replace(options, rasters=rasters), Progress()).path
        assert [each.attributes["Count"] for each in VectorReader(path).features()] == counts


def test_drafts_whose_fields_are_in_small_letters_stay_drafts(tmp_path):
    """As a database writes them; their pixels stay too."""
    path = tmp_path / "samples.gpkg"
    with VectorWriter(path, UTM, {name.lower(): kind for name, kind in FIELDS.items()}) as writer:
        ring = np.array([[0, 0], [5, 0], [5, 5], [0, 5]])
        values = {"classname": "oak", "classvalue": 1, "count": 7, "confidence": 60.0}
        writer.write_polygon([ring], values)
    made = make_samples(SampleOptions(str(tmp_path / "out.gpkg"), append_to=str(path)), Progress())
    found = next(iter(VectorReader(made.path).features())).attributes
    assert (found["Count"], found["Confidence"]) == (7, 60.0)


def test_a_schema_alone_makes_an_empty_layer(tmp_path):
    result = make_samples(SampleOptions(str(tmp_path / "a.gpkg"), schema="1:Tree"), Progress())
    assert result.samples == 0
    assert "Classname" in VectorReader(result.path).fields


def test_pixels_are_counted_on_the_raster_and_others_left_out(tmp_path):
    raster = tmp_path / "a.tif"
    place = GeoTransform(0.0, 0.5, 0.0, 10.0, 0.0, -0.5)
    write_chip(raster, np.ones((1, 20, 16), np.uint8), place, UTM)
    features = squares(tmp_path / "in.gpkg", [1, 1, 1], kind=int, field="value")
    result = make_samples(
        SampleOptions(str(tmp_path / "out.gpkg"), rasters=(str(raster),), features=features),
        Progress(),
    )
    counts = [f.attributes["Count"] for f in VectorReader(result.path).features()]
    assert counts == [100]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing to make samples from"),
        ({"class_field": "none"}, "no field 'none'"),
        ({"kinds": [1.5], "kind": float, "class_field": "kind"}, "no class value"),
        ({"kinds": [None], "class_field": "kind"}, "is empty"),
        ({"kinds": ["", " "], "class_field": "kind"}, "is empty"),
        ({"kinds": [float("inf")], "kind": float, "class_field": "kind"}, "no class value"),
    ],
)
def test_wrong_input_is_one_sentence_and_nothing_is_written(tmp_path, options, message):
    options = dict(options)
    features = ""
    if options:
        kinds, kind = options.pop("kinds", ["a"]), options.pop("kind", str)
        features = squares(tmp_path / "in.gpkg", kinds, kind)
    with pytest.raises(GeoDLError, match=message):
        make_samples(
            SampleOptions(str(tmp_path / "out.gpkg"), features=features, **options), Progress()
        )
    assert not (tmp_path / "out.gpkg").exists()
