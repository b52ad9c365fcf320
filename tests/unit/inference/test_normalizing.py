"""Images that are normalised within the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from geodl_plugin.core.geo.raster import Block
from geodl_plugin.core.inference.engine import Engine
from geodl_plugin.core.inference.model import Model
from geodl_plugin.core.inference.normalizing import Normalizing
from geodl_plugin.core.models.registry import NetworkSpec

from .support import TREES, SmallPixels


def model_of(mean: tuple[float, ...], std: tuple[float, ...]) -> Model:
    bands = tuple(range(len(mean)))
    return Model(
        "trees", TREES, bands, mean, std, NetworkSpec("TEST_PIXELS", "", {}, len(mean), 2, 64)
    )


def block_of(seed: int, bands: int, kind: Any = np.uint8) -> Block:
    draw = np.random.default_rng(seed)
    return Block(draw.integers(0, 256, (bands, 32, 64)).astype(kind), draw.random((32, 64)) > 0.2)


@given(st.integers(0, 99), st.integers(1, 4), st.integers(1, 2))
def test_what_the_network_sees_is_the_same(seed: int, bands: int, dates: int) -> None:
    draw = np.random.default_rng(seed)
    mean, std = (tuple(draw.uniform(0, 200, bands).tolist()) for _ in range(2))
    std = (0.0, *std[1:])  # of a band that is the same everywhere
    model, block = model_of(mean, std), block_of(seed, bands * dates)
    image = model.prepare(block)
    assert image.dtype == np.uint8 and len(image) == bands * dates + 1
    seen = Normalizing(nn.Identity(), model)(torch.from_numpy(image)[None])
    assert np.array_equal(seen[0].numpy(), model.normalise(block))


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.float32])
def test_other_rasters_are_normalised_before(kind: Any) -> None:
    model, block = model_of((7.0,), (3.0,)), block_of(1, 1, kind)
    image = model.prepare(block)
    assert np.array_equal(image, model.normalise(block))
    seen = Normalizing(nn.Identity(), model)(torch.from_numpy(image)[None])
    assert np.array_equal(seen[0].numpy(), image)


def test_it_has_whatever_the_network_has() -> None:
    class Detector(SmallPixels):
        fixed_tile = 96

        def detect(self) -> str:
            return "found"

    network = Normalizing(Detector(1, 2), model_of((0.0,), (1.0,)))
    assert network.detect() == "found" and network.fixed_tile == 96
    assert getattr(network, "streams", 1) == 1


@pytest.mark.parametrize("compiled", [False, True])
def test_an_engine_takes_rasters_of_several_types(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compiled:
        pytest.importorskip("openvino", reason="OpenVINO is not installed here")
    seconds = 0.0 if compiled else float("inf")
    monkeypatch.setattr("geodl_plugin.core.inference.engine.LEAST_SECONDS", seconds)
    if compiled:
        monkeypatch.setattr("geodl_plugin.core.inference.engine.GAIN", 1e9)
    torch.manual_seed(0)
    network, model = SmallPixels(1, 2).eval(), model_of((90.0,), (40.0,))
    engine = Engine(network, "cpu", "float32", 1)
    engine.normalise(model)
    engine.normalise(model)  # for the next raster
    engine.expect(1000, 64, 64)
    for kind in (np.uint8, np.float32, np.uint8):
        block = block_of(2, 1, kind)
        (found,) = engine.infer([model.prepare(block)], lambda _, answer, __: answer.numpy())
        with torch.inference_mode():
            exact = network(torch.from_numpy(model.normalise(block))[None])[0].numpy()
        assert np.allclose(found, exact, atol=1e-4)
        assert engine.notes.noted("engine") == ("openvino" if compiled else "torch")
