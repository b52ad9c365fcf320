"""The journal of finished parts."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.inference.journal import Journal, facts_of
from geodl_plugin.core.inference.options import PixelOptions
from geodl_plugin.core.leftovers import remove_unfinished, unfinished
from geodl_plugin.core.packages.definition import ModelDefinition
from geodl_plugin.core.packages.installation import install, uninstall
from geodl_plugin.core.progress import Progress

from .support import write_model, write_polygons, write_raster

FACTS = {"options": {"sources": ["a ü.tif"]}}


def test_finished_parts_are_known_to_the_next_run(tmp_path: Path) -> None:
    first = Journal(tmp_path / "a.tif", FACTS)
    assert not first.resumed
    first.add(3, {"scores": np.array([0.5, 0.25])})
    first.add(7)
    first.close()
    second = Journal(tmp_path / "a.tif", FACTS)
    assert second.resumed and len(second) == 2 and 3 in second and 4 not in second
    assert second.answers(3)["scores"].tolist() == [0.5, 0.25]
    second.add(8, {"scores": np.array([1.0])})
    assert second.answers(8)["scores"].tolist() == [1.0]
    second.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_line_that_was_cut_short_was_not_written(tmp_path: Path, cut: int) -> None:
    first = Journal(tmp_path / "a.tif", FACTS)
    first.add(1, {"x": np.arange(3)})
    first.add(2, {"x": np.arange(4)})
    first.close()
    content = first.path.read_bytes()
    first.path.write_bytes(content[:-cut])
    second = Journal(tmp_path / "a.tif", FACTS)
    assert 1 in second and 2 not in second
    second.add(5, {"x": np.arange(5)})
    second.close()
    third = Journal(tmp_path / "a.tif", FACTS)
    assert len(third) == 2 and third.answers(5)["x"].tolist() == [0, 1, 2, 3, 4]
    third.close()


def test_another_call_starts_anew(tmp_path: Path) -> None:
    first = Journal(tmp_path / "a.tif", FACTS)
    first.add(1)
    first.close()
    second = Journal(tmp_path / "a.tif", {"options": {"sources": ["b.tif"]}})
    assert not second.resumed
    second.close()
    third = Journal(tmp_path / "a.tif", FACTS)
    assert not third.resumed
    third.close()


def test_what_was_noted_first_holds(tmp_path: Path) -> None:
    first = Journal(tmp_path / "a.tif", FACTS)
    assert first.note("precision", "bfloat16") == "bfloat16"
    first.close()
    second = Journal(tmp_path / "a.tif", FACTS)
    assert second.noted("precision") == "bfloat16"
    assert second.note("precision", "float32") == "bfloat16"
    second.close()


def test_two_runs_do_not_write_the_same_result(tmp_path: Path) -> None:
    first = Journal(tmp_path / "a.tif", FACTS)
    with pytest.raises(InputError, match=r"'a\.tif' is being written by another run"):
        Journal(tmp_path / "a.tif", FACTS)
    others = [Journal(tmp_path / name, FACTS) for name in ("b.tif", "a.gpkg")]
    first.close()
    for each in others:
        each.close()
    Journal(tmp_path / "a.tif", FACTS).close()


def test_a_changed_file_changes_the_facts(tmp_path: Path) -> None:
    source = tmp_path / "a.tif"
    source.write_bytes(b"1")
    options = PixelOptions([str(source)], "{}", "out.tif")
    before = facts_of(options, tiles=[512, 64])
    source.write_bytes(b"22")
    assert facts_of(options, tiles=[512, 64]) != before
    assert before["options"]["model"] == "{}"


def test_what_another_program_has_not_yet_put_into_a_geopackage_changes_the_facts(
    tmp_path: Path,
) -> None:
    """QGIS writes into a file beside it as long as the layer is open."""
    mask = write_polygons(tmp_path / "mask.gpkg", ["POLYGON ((0 0, 9 0, 9 9, 0 0))"], 32616)
    options = PixelOptions([], "{}", "out.tif", mask=[mask, ""])
    with contextlib.closing(sqlite3.connect(mask)) as program:
        program.execute("PRAGMA journal_mode = WAL")
        before, size = facts_of(options), Path(mask).stat().st_size
        Path(f"{mask}-wal").touch()
        assert facts_of(options) == before, "opened only"
        program.execute("CREATE TABLE edits (number)")
        program.commit()
        assert Path(mask).stat().st_size == size
        assert facts_of(options) != before


def test_a_model_that_was_replaced_changes_the_facts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEODL_MODELS", str(tmp_path / "models"))
    package = Path(write_model(tmp_path / "trees.dlpk", "TEST_PIXELS"))
    install(str(package), "Trees", Progress())
    with zipfile.ZipFile(package) as archive:
        archive.extractall(tmp_path)
    weights = tmp_path / ModelDefinition.from_json((tmp_path / "trees.emd").read_text()).model_file
    installed = PixelOptions([], "trees", "out.tif")
    unpacked = PixelOptions([], str(tmp_path / "trees.emd"), "out.tif")
    written = PixelOptions([], json.dumps({"ModelFile": str(weights)}), "out.tif")
    before = facts_of(installed), facts_of(unpacked), facts_of(written)
    assert (facts_of(installed), facts_of(unpacked), facts_of(written)) == before
    uninstall("Trees")
    install(str(package), "Trees", Progress())
    assert facts_of(installed) != before[0]
    weights.write_bytes(b"other")
    assert facts_of(unpacked) != before[1]
    assert facts_of(written) != before[2]


def test_what_lies_behind_a_virtual_raster_changes_the_facts(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "a.tif", np.zeros((1, 20, 20), np.uint8))
    virtual = str(tmp_path / "a.vrt")
    gdal.BuildVRT(virtual, [source])
    options = PixelOptions([virtual], "{}", "out.tif")
    before = facts_of(options)
    os.utime(source, ns=(1, 1))
    assert facts_of(options) != before


def test_what_is_unfinished_can_be_removed(tmp_path: Path) -> None:
    Journal(tmp_path / "a.tif", FACTS).close()
    Journal(tmp_path / "a.b.tif", FACTS).close()
    remove_unfinished(tmp_path / "a.tif")
    assert [each.name for each in tmp_path.iterdir()] == [".a.b.tif.unfinished.journal"]


def test_what_another_run_is_writing_is_left_alone(tmp_path: Path) -> None:
    running = Journal(tmp_path / "a.tif", FACTS)
    results = tmp_path / "a.tif", tmp_path / "shares.tif"
    for each in results:
        unfinished(each, "pixels").write_bytes(b"1")
    remove_unfinished(*results)
    assert len(list(tmp_path.iterdir())) == 3
    running.add(1)
    running.close()
    remove_unfinished(*results)
    assert list(tmp_path.iterdir()) == []
