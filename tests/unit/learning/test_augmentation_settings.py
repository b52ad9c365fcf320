"""What augmentation is told, and what it then does."""

from __future__ import annotations

import pytest
import torch
from torchvision.tv_tensors import Image, Mask

from geodl_plugin.core.errors import InputError
from geodl_plugin.core.learning.augment import make_augmentation
from geodl_plugin.core.learning.augmentation_settings import settings_of

LIGHT_ONLY = "mirror_x=false;mirror_y=false;turn=false"


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


@pytest.mark.parametrize(
    ("augmentation", "parameters", "message"),
    [
        ("WILD", "", "There is no AUGMENTATION 'WILD'"),
        ("DEFAULT", "turn=false", "are for AUGMENTATION=CUSTOM"),
        ("CUSTOM", "spin=true", "There is no argument 'spin'"),
        ("CUSTOM", "turn=maybe", "'maybe' is no value for 'turn'"),
        ("CUSTOM", "brightness=0.5", "not between 0 and 0.5"),
        ("CUSTOM", "contrast=0.5", "not between 1 and 10"),
    ],
)
def test_wrong_settings_are_one_sentence(augmentation, parameters, message):
    with pytest.raises(InputError, match=message):
        settings_of(augmentation, parameters, "MAP_SPACE")
