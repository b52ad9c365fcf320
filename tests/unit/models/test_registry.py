"""The registry of model types."""

from __future__ import annotations

import subprocess
import sys

import pytest

from geodl_plugin.core.errors import InputError, ModelError
from geodl_plugin.core.models.registry import (
    NetworkSpec,
    Task,
    build_network,
    default_model_type,
    model_type,
    model_types,
)


def loaded_after(code: str) -> set[str]:
    """Return the top modules that a fresh Python has loaded after ``code``."""
    program = f"{code}\nimport sys\nprint(' '.join(sorted(n.split('.')[0] for n in sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    return set(result.stdout.split())


def test_types_have_their_tasks_and_formats():
    # Other tests register types of their own, named TEST_….
    found = {each.name: each.task for each in model_types() if not each.name.startswith("TEST_")}
    pixels = "UNET UNETPLUSPLUS DEEPLAB FPN PSPNET LINKNET MANET PAN UPERNET SEGFORMER"
    expected = dict.fromkeys(pixels.split(), Task.PIXELS)
    expected.update(FEATURE_CLASSIFIER=Task.OBJECTS, SSD=Task.DETECTION)
    assert expected.items() <= found.items()
    assert "PASCAL_VOC_rectangles" in model_type("ssd").formats
    assert default_model_type("COCO").name == "SSD"
    assert default_model_type("Imagenet").name == "FEATURE_CLASSIFIER"
    assert default_model_type("Classified_Tiles").name == "UNET"


def test_unknown_names_are_one_sentence():
    with pytest.raises(InputError, match=r"There is no model type .UNETT.\. Choose one of: .*UNET"):
        model_type("UNETT")
    with pytest.raises(InputError, match="No model type learns from the format 'CycleGAN'"):
        default_model_type("CycleGAN")
    spec = NetworkSpec("UNET", "resnet18", {"levels": 3}, 3, 1, 64)
    with pytest.raises(ModelError, match="UNET has no argument 'levels'"):
        build_network(spec)


def test_registry_and_options_need_no_torch():
    loaded = loaded_after(
        "from geodl_plugin.core.models.registry import model_types\n"
        "import geodl_plugin.core.learning.options\n"
        "model_types()"
    )
    assert not loaded & {"torch", "torchvision", "lightning", "timm", "matplotlib", "osgeo"}


@pytest.mark.parametrize("name", ["SSD", "FEATURE_CLASSIFIER"])
def test_building_for_inference_loads_little(name):
    loaded = loaded_after(
        "from geodl_plugin.core.models.registry import *\n"
        f"arguments = dict(model_type('{name}').arguments)\n"
        "arguments.update(grids=[4]) if 'grids' in arguments else None\n"
        f"build_network(NetworkSpec('{name}', 'resnet18', arguments, 3, 1, 64))"
    )
    assert not loaded & {"lightning", "matplotlib", "segmentation_models_pytorch", "timm"}


@pytest.mark.parametrize("name", ["SSD", "UNET", "FEATURE_CLASSIFIER"])
def test_unknown_backbone_is_one_sentence(name):
    arguments = dict(model_type(name).arguments)
    if name == "SSD":
        arguments["grids"] = [4]
    with pytest.raises(InputError, match=r"There is no backbone .resnot9.\. Choose"):
        build_network(NetworkSpec(name, "resnot9", arguments, 3, 1, 64))
