"""What augmentation is told, and what it then does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.tv_tensors import Image, Mask

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.learning.augment import make_augmentation
from geodl_plugin.core.learning.augmentation_settings import settings_of
from geodl_plugin.core.learning.preparation import prepare
from geodl_plugin.core.learning.train import train
from geodl_plugin.core.progress import Phase, Progress

from .test_train import options

LIGHT_ONLY = "mirror_x=false;mirror_y=false;turn=false;probability=1"


def test_pixel_space_has_an_up():
    assert settings_of("DEFAULT", "", "MAP_SPACE")["turn"] is True
    upright = settings_of("DEFAULT", "", "PIXEL_SPACE")
    assert (upright["mirror_x"], upright["mirror_y"], upright["turn"]) == (True, False, False)
    assert settings_of("CUSTOM", "turn=true", "PIXEL_SPACE")["turn"] is True


def test_none_leaves_chips_as_they_are():
    assert make_augmentation(settings_of("NONE", "", "MAP_SPACE")) is None


def test_light_alone_moves_nothing():
    augmentation = make_augmentation(settings_of("CUSTOM", LIGHT_ONLY, "MAP_SPACE"))
    mask = torch.arange(36).reshape(6, 6)
    image = torch.rand(3, 6, 6)
    changed, same = augmentation(Image(image), Mask(mask))
    assert (same == mask).all()
    assert not torch.equal(changed, image)
    # Light scales and shifts all pixels alike: their order stays.
    assert torch.equal(changed.flatten().argsort(), image.flatten().argsort())


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_light_changes_some_of_the_chips(probability):
    torch.manual_seed(0)
    text = f"{LIGHT_ONLY.replace('=1', f'={probability}')}"
    augmentation = make_augmentation(settings_of("CUSTOM", text, "MAP_SPACE"))
    image = Image(torch.rand(3, 4, 4))
    changed = sum(not torch.equal(augmentation(image), image) for _ in range(200))
    assert abs(changed - 200 * probability) <= 30 * (0 < probability < 1)


@pytest.mark.parametrize("name", ["noise", "blur"])
def test_each_band_is_noisy_and_blurred_in_its_own_way(name):
    torch.manual_seed(3)
    alone = f"{LIGHT_ONLY};brightness=0;contrast=1;{name}=2"
    augmentation = make_augmentation(settings_of("CUSTOM", alone, "MAP_SPACE"))
    band = torch.rand(1, 32, 32)
    mask = torch.arange(32 * 32).reshape(32, 32)
    changed, same = augmentation(Image(band.repeat(5, 1, 1)), Mask(mask))
    assert (same == mask).all() and changed.shape == (5, 32, 32)
    spread = changed.std(dim=(1, 2))
    assert len({round(float(each), 4) for each in spread}) == 5
    sign = 1 if name == "noise" else -1
    assert (sign * (spread - band.std()) > -1e-4).all()


@pytest.mark.parametrize(
    ("augmentation", "parameters", "message"),
    [
        ("WILD", "", "There is no AUGMENTATION 'WILD'"),
        ("DEFAULT", "turn=false", "are for AUGMENTATION=CUSTOM"),
        ("CUSTOM", "spin=true", "There is no argument 'spin'"),
        ("CUSTOM", "turn=maybe", "'maybe' is no value for 'turn'"),
        ("CUSTOM", "brightness=0.5", "not between 0 and 0.499"),
        ("CUSTOM", "zoom=0.5", "zoom=0.5 is not between 1 and 4"),
        ("CUSTOM", "noise=-1", "noise=-1.0 is not between 0 and 2"),
        ("CUSTOM", "blur=11", "blur=11.0 is not between 0 and 10"),
        ("CUSTOM", "contrast=0.5", "not between 1 and 10"),
        ("CUSTOM", "probability=2", "probability=2.0 is not between 0 and 1"),
    ],
)
def test_wrong_settings_are_one_sentence(augmentation, parameters, message):
    with pytest.raises(InputError, match=message):
        settings_of(augmentation, parameters, "MAP_SPACE")


@pytest.mark.parametrize(
    "data_format, more, looks",
    [
        ("PASCAL_VOC_rectangles", {"weights": "none"}, False),
        ("PASCAL_VOC_rectangles", {"weights": "imagenet"}, True),
        ("PASCAL_VOC_rectangles", {"weights": "none", "augmentation": "CUSTOM"}, True),
        ("RCNN_Masks", {"weights": "none"}, False),
        ("Classified_Tiles", {"weights": "none"}, True),
    ],
)
def test_detectors_from_random_weights_see_chips_as_they_look(
    make_folder, data_format, more, looks
):
    told = options(make_folder(data_format), "out", backbone="timm:test_resnet", **more)
    found = prepare(told, Phase(Progress(), "Reading", 1, "chips"))
    assert found.augmentation["probability"] == (0.25 if looks else 0.0)
    assert found.augmentation["turn"] and found.augmentation["zoom"] == 1.5
    assert any("turned and mirrored only" in note for note in found.notes) != looks


def test_the_report_tells_what_augmentation_did(make_folder, tmp_path):
    more = {"backbone": "timm:test_resnet", "max_epochs": 1, "model_arguments": "grids=[4]"}
    folder = make_folder("PASCAL_VOC_rectangles")
    result = train(options(folder, tmp_path / "boxes", **more), Progress())
    text = Path(result["report"]).read_text(encoding="utf-8")
    assert "DEFAULT (turned and mirrored only)" in text
