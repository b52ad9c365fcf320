"""The engine: devices, precisions, memory."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from geodl_plugin.core.errors import InputError, WorkerError
from geodl_plugin.core.inference.answers import agree, as_float32, tensors
from geodl_plugin.core.inference.engine import ROUNDS, Engine
from geodl_plugin.core.inference.pipeline import answer_ahead
from geodl_plugin.core.progress import Progress

from .support import SmallPixels


class Heard(Progress):
    def __init__(self) -> None:
        self.infos: list[str] = []
        self.warnings: list[str] = []

    def info(self, message: str) -> None:
        self.infos.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


class Glutton(nn.Module):
    """Takes three images at a time at most."""

    def __init__(self, most: int = 3) -> None:
        super().__init__()
        self.most = most
        self.sizes: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > self.most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")
        self.sizes.append(len(images))
        return images.mean((1, 2, 3))


def images(count: int) -> list[np.ndarray]:
    return [np.full((1, 8, 8), value, np.float32) for value in range(count)]


def values(_network: Any, answer: torch.Tensor, _size: Any) -> list[float]:
    return answer.tolist()


def test_a_batch_that_does_not_fit_is_halved_and_all_are_answered() -> None:
    heard = Heard()
    network = Glutton()
    engine = Engine(network, "cpu", "float32", 10, heard)
    assert engine.infer(images(10), values) == list(range(10))
    assert network.sizes == [2, 2, 2, 2, 2]
    assert engine.batch_size == 2
    assert len(heard.warnings) == 2


def test_images_of_different_sizes_are_computed_apart() -> None:
    network = Glutton(4)
    sizes = [8, 8, 16, 16, 8]
    made = [np.full((1, side, 8), i, np.float32) for i, side in enumerate(sizes)]
    assert Engine(network, "cpu", "float32", 4).infer(made, values) == list(range(5))
    assert network.sizes == [2, 2, 1]


def test_one_thread_computes_while_another_decodes() -> None:
    inside: list[str] = []
    begun: list[int] = []
    more = threading.Condition()

    def alone(what: str) -> None:
        inside.append(what)
        time.sleep(0.002)
        assert inside.count(what) == 1
        inside.remove(what)

    class Lonely(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            with more:
                begun.append(int(images[0, 0, 0, 0]))
                more.notify_all()
            alone("computing")
            return images.mean((1, 2, 3))

    def decode(_network: Any, answer: torch.Tensor, _size: Any) -> list[float]:
        alone("decoding")
        following = begun.index(int(answer)) + 1
        with more:  # what follows does not wait for this; nothing follows the last one
            assert more.wait_for(lambda: len(begun) > min(following, 7), 20)
        return answer.tolist()

    engine = Engine(Lonely(), "cpu", "float32", 4)
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda image: engine.infer([image], decode), images(8)))
    assert found == [[number] for number in range(8)]


def test_one_image_that_does_not_fit_is_told() -> None:
    with pytest.raises(WorkerError, match="smaller tile_size"):
        Engine(Glutton(0), "cpu", "float32", 1).infer(images(1), values)


def test_other_errors_are_not_taken_for_memory() -> None:
    class Broken(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        Engine(Broken(), "cpu", "float32", 4).infer(images(4), values)


def test_the_device_is_named() -> None:
    heard = Heard()
    Engine(SmallPixels(1, 2), "auto", "float32", 2, heard).infer(
        images(2), lambda _, answer, __: answer
    )
    assert len(heard.infos) == 1
    assert "with float32, in batches of 2 images of 8 × 8 pixels" in heard.infos[0]


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(InputError, match="int8"):
        Engine(SmallPixels(1, 2), "cpu", "int8")


def test_a_faster_precision_is_taken_only_when_it_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sensitive(nn.Module):
        """Answers with what bfloat16 loses."""

        def __init__(self, exact: bool) -> None:
            super().__init__()
            self.exact = exact
            self.layer = nn.Conv2d(1, 2, 1, bias=False)
            nn.init.constant_(self.layer.weight, 1.0)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            answer = self.layer(images + 1.001)
            return answer if self.exact else (answer.float() - 1.0) * 1000

    def timed(engine: Engine, batch: torch.Tensor, precision: str) -> float:
        return 1.0 if precision == "float32" else 0.5

    monkeypatch.setattr(Engine, "_timed", timed)
    cases = [
        (True, True, "bfloat16"),
        (True, None, "bfloat16"),
        (True, False, "float32"),  # a processor that emulates it is not even tried
        (False, True, "float32"),
    ]
    for exact, known, expected in cases:
        monkeypatch.setattr(f"{Engine.__module__}.has_fast_bfloat16", lambda known=known: known)
        engine = Engine(Sensitive(exact), "cpu", "auto", 1)
        engine.expect(100, 512, 512)
        engine.infer([np.zeros((1, 8, 8), np.float32)], lambda _, answer, __: answer)
        assert engine.precision == expected


@pytest.mark.parametrize(("seconds", "rounds"), [(3.0, 2), (0.95, ROUNDS), (1.2, ROUNDS)])
def test_a_precision_is_timed_until_it_is_clear(
    monkeypatch: pytest.MonkeyPatch, seconds: float, rounds: int
) -> None:
    calls = []

    def timed(engine: Engine, batch: torch.Tensor, precision: str) -> float:
        calls.append(precision)
        return 1.0 if precision == "float32" else seconds

    monkeypatch.setattr(Engine, "_timed", timed)
    monkeypatch.setattr(f"{Engine.__module__}.has_fast_bfloat16", lambda: None)
    torch.manual_seed(0)  # weights of which bfloat16 agrees with float32
    engine = Engine(SmallPixels(1, 2), "cpu", "auto", 1)
    engine.expect(100, 512, 512)
    engine.infer(images(1), lambda _, answer, __: answer)
    assert engine.precision == "float32" and calls.count("bfloat16") == rounds


def test_what_float16_cannot_hold_is_computed_again() -> None:
    class Loud(nn.Module):
        """Has numbers inside that are no numbers in float16, of bright images."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(1, 2, 1, bias=False)
            nn.init.constant_(self.layer.weight, 1000.0)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            first, second = self.layer(images).unbind(1)
            return first - second + images[:, 0]

    engine = Engine(Loud(), "cpu", "float16", 1)
    dark, bright = (np.full((1, 8, 8), value, np.float32) for value in (1.0, 100.0))
    found = engine.infer([dark, bright], lambda _, answer, __: answer.mean((1, 2)).tolist())
    assert found == [1.0, 100.0] and engine.precision == "float16"


def test_few_images_are_computed_in_full_precision() -> None:
    engine = Engine(SmallPixels(1, 2), "cpu", "auto", 1)
    engine.expect(2, 8, 8)
    engine.infer(images(1), lambda _, answer, __: answer)
    assert engine.precision == "float32"


def test_agreement_is_seen_in_nested_answers() -> None:
    one = {"a": [torch.ones(4)], "b": torch.arange(3)}
    assert agree(one, {"a": [torch.full((4,), 1.01)], "b": torch.arange(3)})
    assert not agree(one, {"a": [torch.full((4,), 1.2)], "b": torch.arange(3)})
    assert not agree(one, {"a": [torch.full((4,), torch.nan)], "b": torch.arange(3)})
    assert as_float32({"a": [torch.ones(2, dtype=torch.bfloat16)]})["a"][0].dtype == torch.float32


class Nested(nn.Module):
    """Answers with tensors in a dict and a list."""

    tile_step = 32

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images: torch.Tensor) -> dict[str, Any]:
        found = self.layer(images)
        return {"maps": [found, found.mean((2, 3))], "sum": found.flatten(1).sum(1)}


def test_a_compiled_network_gives_the_same_answers_at_any_size() -> None:
    openvino_network = pytest.importorskip(
        "geodl_plugin.core.inference.openvino_network", exc_type=ImportError
    )
    torch.manual_seed(0)
    network = Nested().eval()
    compiled = openvino_network.ReadNetwork.of(network, torch.rand(1, 3, 64, 64)).compiled(
        "float32"
    )
    for shape in ((1, 3, 64, 64), (3, 3, 32, 96)):
        batch = torch.rand(shape).contiguous(memory_format=torch.channels_last)
        exact, found = network(batch), compiled(batch)
        assert set(found) == {"maps", "sum"} and isinstance(found["maps"], list)
        for one, other in zip(tensors(exact), tensors(found)):
            assert torch.allclose(one, other, atol=1e-4)


def test_each_thread_gets_the_answer_to_its_own_images(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed here")
    monkeypatch.setattr("geodl_plugin.core.inference.engine.LEAST_SECONDS", 0.0)
    monkeypatch.setattr("geodl_plugin.core.inference.engine.GAIN", 1e9)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    torch.manual_seed(0)
    network = SmallPixels(1, 2)
    engine = Engine(network, "cpu", "float32", 1)
    assert engine.lanes == 1
    images = list(np.random.default_rng(0).random((40, 1, 64, 64), np.float32))
    engine.expect(1000, 64, 64)
    engine.infer(images[:1], lambda _, answer, __: answer.numpy())
    assert engine.lanes == 3
    groups = ([each] for each in images)
    road = answer_ahead(
        groups, lambda group: engine.infer(group, lambda _, answer, __: answer.numpy()), engine
    )
    found = np.concatenate([answers for _, answers in road])
    with torch.inference_mode():
        exact = network(torch.from_numpy(np.stack(images))).numpy()
    assert np.allclose(found, exact, atol=1e-4)


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_long_work_is_compiled(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed here")
    monkeypatch.setattr("geodl_plugin.core.inference.engine.LEAST_SECONDS", seconds)
    monkeypatch.setattr("geodl_plugin.core.inference.engine.GAIN", 1e9)  # speed is not tested
    torch.manual_seed(0)
    network, heard = SmallPixels(1, 2), Heard()
    engine = Engine(network, "cpu", "float32", 1, heard)
    engine.expect(1000, 64, 64)
    batch = np.random.default_rng(0).random((1, 64, 64)).astype(np.float32)
    (found,) = engine.infer([batch], lambda _, answer, __: answer.numpy())
    assert any("by OpenVINO" in each for each in heard.infos) == (seconds == 0.0)
    with torch.inference_mode():
        exact = network(torch.from_numpy(batch)[None])[0].numpy()
    assert np.allclose(found, exact, atol=1e-4)


def test_what_openvino_does_not_take_is_computed_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(SmallPixels):
        def forward(self, images: torch.Tensor) -> Any:
            return {"map": super().forward(images), "size": images.shape[-1]}

    monkeypatch.setattr("geodl_plugin.core.inference.engine.LEAST_SECONDS", 0.0)
    engine = Engine(Odd(1, 2), "cpu", "float32", 1)
    engine.expect(1000, 64, 64)
    image = np.zeros((1, 64, 64), np.float32)
    assert engine.infer([image], lambda _, answer, __: [answer["size"]]) == [64]
