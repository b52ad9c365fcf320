"""What OpenVINO has read of a network is kept, and used only where it is whole and the same."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from geodl_plugin.core.inference import detect, kept_networks, pixels
from geodl_plugin.core.inference.kept_networks import (
    ABANDONED,
    ABOUT,
    WEIGHTS,
    KeptNetworks,
    key_of,
)
from geodl_plugin.core.inference.lazy_network import LazyNetwork, facts_of
from geodl_plugin.core.inference.normalizing import Normalizing
from geodl_plugin.core.inference.options import DetectionOptions, PixelOptions
from geodl_plugin.core.inference.views import Views
from geodl_plugin.core.inference.wrapping import form_of, innermost
from geodl_plugin.core.progress import Progress
from tests.qgis.models import write_untrained

from .support import SmallPixels, make_model, read_features, write_model, write_raster
from .test_engine import Heard, Nested

ROOT = Path(__file__).resolve().parents[3]
ENGINE = "geodl_plugin.core.inference.engine"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for what is kept, in a path with a blank and an umlaut."""
    path = tmp_path / "für später"
    monkeypatch.setenv(kept_networks.DIRECTORY_VARIABLE, str(path))
    return path


def write(path: Path) -> None:
    """Write what looks like a graph and its weights."""
    path.write_text("<net/>", "utf-8")
    path.with_suffix(".bin").write_bytes(bytes(1000))


def keep(key: str = "a", form: str = "f") -> KeptNetworks:
    kept = KeptNetworks(key)
    kept.keep(form, {"tile_step": 8}, "s", write)
    return kept


def test_what_is_kept_is_found_by_its_key_and_form() -> None:
    kept = keep()
    path, structure = kept.find("f") or (None, "")
    assert (path and path.read_text("utf-8"), structure) == ("<net/>", "s")
    assert kept.facts() == {"tile_step": 8}
    assert kept.find("g") is None
    assert KeptNetworks("b").find("f") is None
    assert KeptNetworks("b").facts() is None


@pytest.mark.parametrize("harm", ["shortened", "changed", "missing", "no JSON", "no facts"])
def test_what_is_not_whole_is_as_if_it_were_not_there(folder: Path, harm: str) -> None:
    kept = keep()
    (place,) = folder.iterdir()
    weights, about = place / WEIGHTS, place / ABOUT
    if harm == "shortened":
        os.truncate(weights, 500)
    elif harm == "changed":
        weights.write_bytes(b"\1" * 1000)
    elif harm == "missing":
        weights.unlink()
    else:
        about.write_text("{" if harm == "no JSON" else "[]", "utf-8")
    assert kept.find("f") is None
    keep()
    assert kept.find("f") is not None


def test_nothing_is_left_of_what_cannot_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: Path) -> None:
        path.write_text("<net", "utf-8")
        raise OSError("No space left on device")

    KeptNetworks("a").keep("f", {}, "s", fails)
    assert list(folder.iterdir()) == []
    monkeypatch.setenv(kept_networks.DIRECTORY_VARIABLE, str(Path(__file__) / "no folder"))
    assert keep().facts() is None


def test_two_runs_that_keep_the_same_do_not_disturb_each_other(folder: Path) -> None:
    def late(path: Path) -> None:
        keep()  # another run is faster
        write(path)

    kept = KeptNetworks("a")
    kept.keep("f", {}, "s", late)
    assert len(list(folder.iterdir())) == 1
    assert kept.facts() == {"tile_step": 8}


def test_what_was_used_longest_ago_makes_room(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_networks, "LIMIT", 4000)  # three of them
    now = time.time()
    for age, key in enumerate("abc", 1):
        keep(key)
        for place in folder.glob(f"{key}-*"):
            for each in (*place.iterdir(), place):
                os.utime(each, (now - 100 * age, now - 100 * age))
    unfinished = folder / ".killed"
    unfinished.mkdir()
    KeptNetworks("c").find("f")  # is used again
    keep("d")
    assert sorted(each.name[0] for each in folder.iterdir()) == [".", "a", "c", "d"]
    os.utime(unfinished, (now - 2 * ABANDONED,) * 2)
    keep("e")
    assert not unfinished.exists()


def test_the_key_tells_models_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, weights = make_model(), tmp_path / "weights"
    weights.write_bytes(b"1")
    keys = [key_of(model, weights)]
    assert key_of(model, weights) == keys[0]
    weights.write_bytes(b"2")
    keys.append(key_of(model, weights))
    spec = dataclasses.replace(model.spec, class_count=9)
    keys.append(key_of(dataclasses.replace(model, spec=spec), weights))
    keys.append(key_of(dataclasses.replace(model, mean=(3.0,)), weights))
    monkeypatch.setattr(kept_networks, "_version", lambda library: f"{library} 99")
    keys.append(key_of(model, weights))
    assert len(set(keys)) == len(keys)


def test_a_lazy_network_is_built_when_it_must_be() -> None:
    built: list[nn.Module] = []

    def build() -> nn.Module:
        built.append(SmallPixels(1, 2).eval())
        return built[-1]

    facts = {**facts_of(SmallPixels(1, 2)), "tile_step": 7}
    network = Views(Normalizing(LazyNetwork(build, facts), make_model()), map_space=True)
    network.eval().to("cpu", memory_format=torch.channels_last)
    assert network.tile_step == 7
    assert getattr(network, "scalars", "none") == "none"
    assert form_of(network) == "Views8/Normalizing/"
    assert isinstance(innermost(network), LazyNetwork)
    assert not built
    with torch.inference_mode():
        answer = network(torch.rand(1, 1, 32, 32))
    assert answer.shape == (1, 3, 32, 32)
    assert network.layers is built[0].layers
    assert len(built) == 1
    assert not any(each.is_inference() for each in built[0].parameters())


def test_what_is_kept_gives_the_same_answers(tmp_path: Path) -> None:
    openvino_network = pytest.importorskip(
        "geodl_plugin.core.inference.openvino_network", exc_type=ImportError
    )
    torch.manual_seed(0)
    network, path = Nested().eval(), tmp_path / "a.xml"
    read = openvino_network.ReadNetwork.of(network, torch.rand(1, 3, 64, 64))
    read.save(path)
    again = openvino_network.ReadNetwork.open(path, read.structure())
    batch = torch.rand(3, 3, 32, 96)
    one, other = read.compiled("float32")(batch), again.compiled("float32")(batch)
    assert torch.equal(one["sum"], other["sum"])
    assert all(map(torch.equal, one["maps"], other["maps"]))


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_the_second_run_of_a_model_builds_no_network_and_gives_the_same(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed here")
    monkeypatch.setattr(f"{ENGINE}.LEAST_WORK", 0)
    monkeypatch.setattr(f"{ENGINE}.LEAST_SECONDS", 0.0)
    monkeypatch.setattr(f"{ENGINE}.GAIN", 1e9)  # speed is not tested
    values = np.random.default_rng(0).integers(0, 255, (3, 200, 180)).astype(kind)
    source = write_raster(tmp_path / "a.tif", values)
    model = write_model(tmp_path / "small.dlpk", "TEST_SMALL", 3)

    def classify(name: str, **more: Any) -> tuple[bytes, list[str]]:
        heard = Heard()
        options = PixelOptions(
            [source], model, str(tmp_path / f"{name}.tif"), tile_size=64,
            probabilities=str(tmp_path / f"{name}_p.tif"), **more,
        )  # fmt: skip
        pixels.run(options, heard)
        written = [Path(each).read_bytes() for each in (options.output, options.probabilities)]
        return b"".join(written), heard.infos

    first, infos = classify("first")
    assert any("by OpenVINO" in each for each in infos)
    (place,) = folder.iterdir()

    def refuse(*_: Any) -> nn.Module:
        raise AssertionError("The network is built.")

    with monkeypatch.context() as patched:
        patched.setattr("geodl_plugin.core.inference.loading.build_network", refuse)
        again, infos = classify("again")
        assert again == first
        assert any("by OpenVINO" in each for each in infos)
    # Another form is not taken for it, and a damaged one is made anew.
    viewed, _ = classify("viewed", test_time_augmentation=True)
    assert viewed != first
    assert len(list(folder.iterdir())) == 2
    os.truncate(place / WEIGHTS, 10)
    assert classify("damaged")[0] == first
    # One that only this OpenVINO does not understand is whole, and must not stay for ever.
    about = json.loads((place / ABOUT).read_text("utf-8"))
    (place / ABOUT).write_text(json.dumps({**about, "structure": "[99]"}), "utf-8")
    assert classify("odd")[0] == first
    assert json.loads((place / ABOUT).read_text("utf-8"))["structure"] == about["structure"]
    # Other weights under the same name are another model.
    torch.manual_seed(7)
    write_model(Path(model), "TEST_SMALL", 3)
    assert classify("other")[0] != first


def test_a_detector_of_one_shot_needs_no_network_to_read_its_answers(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed here")
    monkeypatch.setattr(f"{ENGINE}.LEAST_WORK", 0)
    monkeypatch.setattr(f"{ENGINE}.LEAST_SECONDS", 0.0)
    monkeypatch.setattr(f"{ENGINE}.GAIN", 1e9)  # speed is not tested
    values = np.random.default_rng(0).integers(0, 255, (3, 100, 120), np.uint8)
    source = write_raster(tmp_path / "a.tif", values)
    model = write_untrained(tmp_path / "ssd.dlpk", "SSD")

    def found(name: str) -> list[dict[str, Any]]:
        options = DetectionOptions(
            [source], model, str(tmp_path / f"{name}.gpkg"), threshold=0.05, nms_overlap=1.0
        )
        assert detect.run(options, Progress())["object_count"] > 0
        found = read_features(options.output)
        return [{**each, "geometry": each["geometry"].ExportToWkt()} for each in found]

    first = found("first")

    def refuse(*_: Any) -> nn.Module:
        raise AssertionError("The network is built.")

    monkeypatch.setattr("geodl_plugin.core.inference.loading.build_network", refuse)
    assert found("again") == first


def test_answers_are_read_without_torchvision() -> None:
    code = (
        "import sys, geodl_plugin.core.models.networks.ssd_answers; "
        "assert 'torch' in sys.modules and 'torchvision' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
