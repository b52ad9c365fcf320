"""Pixel networks as OpenVINO computes them: the same answers at any size."""

from __future__ import annotations

import pytest
import torch
from torch.utils import _pytree

from geodl_plugin.core.inference.answers import tensors
from geodl_plugin.core.inference.loading import load_network
from geodl_plugin.core.inference.model import read_model
from geodl_plugin.core.models.registry import (
    NetworkSpec,
    Task,
    build_network,
    model_type,
    model_types,
)
from geodl_plugin.core.packages.archive import open_package
from tests.qgis.models import write_untrained

pytest.importorskip("openvino")

from geodl_plugin.core.inference.openvino_network import ReadNetwork

TINY = "timm:test_resnet"
SMALL = {"channels": [4, 6, 8, 10, 12], "decoder_atrous_rates": [2, 4, 6], "psp_out_channels": 16}


# Those that take sizes from the image while they compute.
@pytest.mark.parametrize("name", ["FCN", "UNETPLUSPLUS_DS", "PSPNET", "CHANGEDETECTOR"])
def test_the_same_answers_at_other_sizes_than_that_of_the_example(name):
    kind = model_type(name)
    known = {key: value for key, value in SMALL.items() if key in kind.arguments}
    network = build_network(NetworkSpec(name, TINY, {**kind.arguments, **known}, 3, 2, 128)).eval()
    bands = 6 if name == "CHANGEDETECTOR" else 3
    compiled = ReadNetwork.of(network, torch.rand(1, bands, 64, 64)).compiled("float32")
    for shape in ((2, 256, 128), (1, 64, 192)):
        count, rows, cols = shape
        images = torch.rand(count, bands, rows, cols)
        with torch.inference_mode():
            wanted = list(tensors(network(images)))
        found = list(tensors(compiled(images)))
        for one, other in zip(wanted, found):
            assert one.shape == other.shape
            assert torch.allclose(one, other, atol=1e-3)


# Other tests register types of their own, named TEST_….
KINDS = [kind for kind in model_types() if not kind.name.startswith("TEST_")]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_structure_of_every_answer_can_be_written_down(kind, tmp_path):
    """What is kept of a network for its next run needs it."""
    model = write_untrained(tmp_path / "a.dlpk", kind.name, chip_size=128)
    with open_package(model) as package:
        network = load_network(read_model(package.definition, kind.task), package).eval()
    bands = 6 if kind.task is Task.CHANGE else 3
    with torch.inference_mode():
        leaves, structure = _pytree.tree_flatten(network(torch.rand(1, bands, 128, 128)))
    again = _pytree.treespec_loads(_pytree.treespec_dumps(structure))
    assert again == structure
    assert all(leaf.is_floating_point() for leaf in leaves)
