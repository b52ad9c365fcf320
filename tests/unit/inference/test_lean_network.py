"""Networks without what training alone needs: the same answers, and nothing lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from geodl_plugin.core.inference.engine import Engine
from geodl_plugin.core.inference.journal import Notes
from geodl_plugin.core.inference.lean_network import folded, halved, lean_forms, same
from geodl_plugin.core.models.registry import NetworkSpec, build_network, model_type

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def trained(network: nn.Module) -> nn.Module:
    """Return a network whose batch normalisations have seen something."""
    generator = torch.Generator().manual_seed(0)
    for each in network.modules():
        if isinstance(each, nn.BatchNorm2d):
            for values in (each.weight, each.bias, each.running_mean, each.running_var):
                if values is not None:
                    values.data = 0.5 + torch.rand(values.shape, generator=generator)
    return network.eval()


class Block(nn.Module):
    """Adds what it computes to what it is given, by parts that it holds in another order."""

    def __init__(self, crossed: bool = False, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.crossed = crossed
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = norm or nn.BatchNorm2d(3)
        self.second = nn.Conv2d(3, 3, 1, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.crossed:
            return images + self.second(self.norm(images)) + self.first(images)
        return images + self.second(self.norm(self.first(images)).relu())


def norms(network: nn.Module) -> int:
    return sum(isinstance(each, nn.BatchNorm2d) for each in network.modules())


def test_batch_normalisations_go_into_the_convolutions_and_the_answer_stays() -> None:
    network = trained(nn.Sequential(Block(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))))
    before = {name: values.clone() for name, values in network.state_dict().items()}
    lean = folded(network)
    assert norms(lean) == 0 and norms(network) == 2
    assert same(network, lean, IMAGES)
    with torch.inference_mode():
        assert torch.allclose(network(IMAGES), lean(IMAGES), atol=1e-5)
    for name, values in network.state_dict().items():
        assert torch.equal(values, before[name])
    # What is not folded is not there twice.
    assert lean[0].second.weight is network[0].second.weight


def test_an_activation_that_belongs_to_a_normalisation_stays() -> None:
    layers = pytest.importorskip("timm.layers")
    network = trained(nn.Sequential(nn.Conv2d(3, 4, 3), layers.BatchNormAct2d(4)))
    lean = folded(network)
    assert norms(lean) == 0 and same(network, lean, IMAGES)
    with torch.inference_mode():
        assert float(lean(IMAGES).min()) == 0.0


def test_a_shared_part_is_shared_by_the_lean_network_too() -> None:
    block = Block()
    lean = folded(trained(nn.Sequential(block, block)))
    assert lean[0] is lean[1] and norms(lean) == 0
    assert same(nn.Sequential(block, block), lean, IMAGES)


def test_parts_that_do_not_follow_each_other_in_computing_are_found_out() -> None:
    network = trained(Block(crossed=True))
    lean = folded(network)
    assert norms(lean) == 0 and not same(network, lean, IMAGES)
    assert "float32" not in lean_forms(network, IMAGES)
    # What can be had without is had.
    assert norms(lean_forms(network, IMAGES)["bfloat16"]) == 1


@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(3, track_running_stats=False),  # computes from each batch
        nn.InstanceNorm2d(3),
        nn.GroupNorm(1, 3),
    ],
    ids=lambda norm: type(norm).__name__,
)
def test_other_normalisations_stay(norm: nn.Module) -> None:
    assert folded(Block(norm=norm).eval()) is None


def test_what_still_learns_stays() -> None:
    assert folded(Block().train()) is None


def test_weights_are_stored_as_autocast_multiplies_them() -> None:
    network = trained(nn.Sequential(Block(), nn.Flatten(), nn.Linear(3 * 64 * 64, 2)))
    lean = halved(network, torch.bfloat16)
    assert lean[0].first.weight.dtype == lean[2].bias.dtype == torch.bfloat16
    assert lean[0].norm.weight.dtype == network[2].weight.dtype == torch.float32
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(network(IMAGES), lean(IMAGES))


class Careful(Block):
    """Computes a part in full precision whatever the caller wants."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return super().forward(images)


class Scripted(nn.Module):
    """Holds a part whose weights cannot be had."""

    def __init__(self) -> None:
        super().__init__()
        self.part = torch.jit.script(Block().eval())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.part(images)


class Silent(Block):
    """Answers with zeros to noise: a comparison would say nothing."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images) * 0


def test_a_network_that_cannot_be_leaner_stays_as_it_is() -> None:
    assert list(lean_forms(trained(Careful()), IMAGES)) == ["float32"]
    assert lean_forms(trained(Silent()), IMAGES) == {}
    assert lean_forms(Scripted().eval(), IMAGES) == {}
    assert lean_forms(nn.Identity(), IMAGES) == {}
    normed = torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
    network = trained(nn.Sequential(normed, nn.BatchNorm2d(4)))
    for each in lean_forms(network, IMAGES).values():
        assert same(network, each, IMAGES)


@pytest.mark.parametrize("name", ["UNET", "SSD", "FEATURE_CLASSIFIER"])
def test_networks_of_geodl_are_leaner_in_both_precisions(name: str) -> None:
    torch.manual_seed(0)
    kind = model_type(name)
    arguments = dict(kind.arguments)
    if kind.complete is not None:
        arguments = kind.complete(arguments, np.array([[16.0, 16.0]]), 64)
    network = trained(build_network(NetworkSpec(name, "resnet18", arguments, 3, 2, 64)))
    forms = lean_forms(network, IMAGES)
    assert set(forms) == {"float32", "bfloat16"}
    assert norms(forms["float32"]) < norms(network) / 4


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("crossed", [False, True])
def test_a_long_work_is_computed_lean(
    monkeypatch: pytest.MonkeyPatch, precision: str, crossed: bool
) -> None:
    monkeypatch.setattr("geodl_plugin.core.inference.engine.LEAST_SECONDS", 1e9)  # no OpenVINO
    network = trained(Block(crossed))
    image = IMAGES[0].numpy()
    answers = []
    for work in (1, 1, 10_000, 10_000):
        engine = Engine(network, "cpu", precision, 1)
        engine.expect(work, 64, 64)
        (found,) = engine.infer([image], lambda _, answer, __: answer.numpy())
        answers.append(found)
        assert set(engine._lean) == ({precision} if work > 1 else set()) - (
            {"float32"} if crossed else set()
        )
    assert np.array_equal(answers[0], answers[1]) and np.array_equal(answers[2], answers[3])
    near = 1e-5 if precision == "float32" else 0.05
    assert np.allclose(answers[0], answers[2], atol=near)


def test_what_openvino_computes_has_no_lean_network_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed here")
    monkeypatch.setattr("geodl_plugin.core.inference.engine.LEAST_SECONDS", 0.0)
    monkeypatch.setattr("geodl_plugin.core.inference.engine.GAIN", 1e9)  # speed is not tested
    engine = Engine(trained(Block()), "cpu", "float32", 1)
    engine.expect(10_000, 64, 64)
    engine.infer([IMAGES[0].numpy()], lambda _, answer, __: answer.numpy())
    assert engine._compiled is not None and engine._lean == {}


@pytest.mark.parametrize(("begun", "later"), [(1, 10_000), (10_000, 1)])
def test_a_run_goes_on_as_lean_as_it_began(
    monkeypatch: pytest.MonkeyPatch, begun: int, later: int
) -> None:
    """One raster of several is computed as the first one of the run, which decides."""
    monkeypatch.setattr("geodl_plugin.core.inference.engine.LEAST_SECONDS", 1e9)  # no OpenVINO
    notes, network = Notes(), trained(Block())
    image = IMAGES[0].numpy()
    answers = []
    for work in (begun, later):
        engine = Engine(network, "cpu", "bfloat16", 1)
        engine.expect(work, 64, 64)
        if work == begun:
            engine.infer([image], lambda _, answer, __: answer.numpy())  # the first raster
        engine.go_on(notes)
        answers += engine.infer([image], lambda _, answer, __: answer.numpy())
        assert bool(engine._lean) == (begun > 1)
    assert np.array_equal(*answers)
