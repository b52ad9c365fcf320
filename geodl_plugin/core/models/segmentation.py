"""The architectures of segmentation-models-pytorch, on any of its encoders and timm's.

Arguments have the library's names and defaults; those that no setting but the default works
for are left out, such as the last upsampling, which follows from the encoder's depth. DeepLab's
rates follow from the stride unless they are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .registry import NetworkSpec, Task, register

if TYPE_CHECKING:
    from torch import nn

_NORMS = ("batchnorm", "identity")  # the library fails to start its others
_SMOOTHING = ("nearest", "bilinear", "bicubic", "area", "nearest-exact")
# What arguments may be, beside the type of their default.
CHOICES: dict[str, tuple[Any, ...]] = {
    "decoder_attention_type": ("none", "scse"),
    "decoder_interpolation": _SMOOTHING,
    "decoder_merge_policy": ("add", "cat"),
    "decoder_use_norm": _NORMS,
    "encoder_depth": (3, 4, 5),
}
_SHARES = ("decoder_aspp_dropout", "decoder_dropout", "psp_dropout")
_COUNTS = (
    "decoder_channels",
    "decoder_pab_channels",
    "decoder_pyramid_channels",
    "decoder_segmentation_channels",
    "psp_out_channels",
)
_U_CHANNELS = [256, 128, 64, 32, 16]
# Of DeepLab, in cells of maps of this stride (Chen et al. 2018, arXiv:1802.02611).
_ATROUS_RATES, _ATROUS_STRIDE = [12, 24, 36], 8


@dataclass(frozen=True)
class Architecture:
    """An architecture of the library.

    Attributes:
        library_name: of the library's class.
        description: one sentence for people.
        arguments: names and defaults, in the library's words.
        choices: what arguments may be where it is less than for other architectures.
        sees_whole_tile: whether each pixel's answer depends on all of its tile.
    """

    library_name: str
    description: str
    arguments: dict[str, Any]
    choices: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    sees_whole_tile: bool = False

    def check(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Raise :class:`InputError` when an argument has a value that does not work."""
        for each, value in arguments.items():
            choices = self.choices.get(each) or CHOICES.get(each)
            if choices and value not in choices:
                raise InputError(
                    f"{each}={value} does not work with {name}. "
                    f"Choose one of: {', '.join(map(str, choices))}."
                )
            if each in _SHARES and not 0 <= value < 1:
                raise InputError(f"{each}={value} must be at least 0 and less than 1.")
            if each in _COUNTS:
                _check_counts(each, value, self.arguments[each], arguments)
            if each == "decoder_atrous_rates" and not (_whole(value) and len(value) == 3):
                raise InputError(f"{each}={value} must be three whole numbers, like [12,24,36].")
        # The attention has a sixteenth of the channels inside.
        narrow = arguments.get("decoder_attention_type") == "scse"
        if narrow and min(arguments["decoder_channels"]) < 16:
            raise InputError(
                f"decoder_channels={arguments['decoder_channels']} must be 16 at least for "
                "decoder_attention_type=scse."
            )

    def complete(self, name: str, arguments: Mapping[str, Any], chip_size: int) -> dict[str, Any]:
        """Return the arguments with what follows from others; raise :class:`InputError`."""
        complete = dict(arguments)
        channels = complete.get("decoder_channels")
        depth = complete.get("encoder_depth", 5)
        if channels == _U_CHANNELS and depth < 5:
            complete["decoder_channels"] = _U_CHANNELS[5 - depth :]
        if not complete.get("decoder_atrous_rates", True):
            stride = complete["encoder_output_stride"]
            self.check(name, {"encoder_output_stride": stride})
            complete["decoder_atrous_rates"] = atrous_rates(stride)
        self.check(name, complete)
        least = least_tile(self.library_name, complete)
        if chip_size < least:
            raise InputError(
                f"{name} needs chips of {least} pixels at least, but it gets {chip_size}. Export "
                "larger chips, raise CHIP_SIZE, or choose another model type."
            )
        return complete


def _check_counts(name: str, value: Any, default: Any, arguments: Mapping[str, Any]) -> None:
    if isinstance(default, list):
        depth = arguments.get("encoder_depth", 5)
        if not _whole(value) or len(value) != depth:
            raise InputError(
                f"{name}={value} must be as many whole numbers as encoder_depth={depth} says, "
                f"like {_U_CHANNELS[5 - depth :]}."
            )
    elif value < 1:
        raise InputError(f"{name}={value} must be 1 at least.")
    elif "decoder_merge_policy" in arguments and value % 32:
        # Its maps are normalised in 32 groups.
        raise InputError(f"{name}={value} must be a multiple of 32.")


def _whole(values: Any) -> bool:
    return isinstance(values, (list, tuple)) and all(
        isinstance(each, int) and not isinstance(each, bool) and each > 0 for each in values
    )


def atrous_rates(stride: int) -> list[int]:
    """Return DeepLab's rates that see as far on maps of any stride, in pixels of the image."""
    return [rate * _ATROUS_STRIDE // stride for rate in _ATROUS_RATES]


def least_tile(library_name: str, arguments: Mapping[str, Any]) -> int:
    """Return the least side of a tile: PAN halves its last maps three times more."""
    if library_name != "PAN":
        return 0
    return 8 * min(arguments["encoder_output_stride"], 2 ** arguments["encoder_depth"])


_COMMON_U = {"encoder_depth": 5, "decoder_use_norm": "batchnorm", "decoder_channels": _U_CHANNELS}
ARCHITECTURES = {
    "UNET": Architecture(
        "Unet",
        "U-Net: a class for every pixel.",
        {
            **_COMMON_U,
            "decoder_attention_type": "none",
            "decoder_interpolation": "nearest",
        },
    ),
    "UNETPLUSPLUS": Architecture(
        "UnetPlusPlus",
        "U-Net++: a U-Net with nested, dense skip connections.",
        {
            **_COMMON_U,
            "decoder_attention_type": "none",
            "decoder_interpolation": "nearest",
        },
    ),
    "DEEPLAB": Architecture(
        "DeepLabV3Plus",
        "DeepLab v3+: atrous convolutions see far without losing detail; their rates follow from "
        "the stride.",
        {
            "encoder_depth": 5,
            "encoder_output_stride": 16,
            "decoder_channels": 256,
            "decoder_atrous_rates": None,
            "decoder_aspp_separable": True,
            "decoder_aspp_dropout": 0.5,
        },
        {"encoder_output_stride": (8, 16)},
        sees_whole_tile=True,
    ),
    "FPN": Architecture(
        "FPN",
        "Feature pyramid network: light, for things of many sizes.",
        {
            "encoder_depth": 5,
            "decoder_pyramid_channels": 256,
            "decoder_segmentation_channels": 128,
            "decoder_merge_policy": "add",
            "decoder_dropout": 0.2,
            "decoder_interpolation": "nearest",
        },
    ),
    "PSPNET": Architecture(
        "PSPNet",
        "Pyramid scene parsing: sees the whole tile, for large areas without fine outlines.",
        {
            "encoder_depth": 3,
            "psp_out_channels": 512,
            "decoder_use_norm": "batchnorm",
            "psp_dropout": 0.2,
        },
        sees_whole_tile=True,
    ),
    "LINKNET": Architecture(
        "Linknet",
        "LinkNet: a U-Net that adds instead of joining, fast and small.",
        {"encoder_depth": 5, "decoder_use_norm": "batchnorm"},
    ),
    "MANET": Architecture(
        "MAnet",
        "Multi-scale attention network: a U-Net that weighs places and channels.",
        {**_COMMON_U, "decoder_pab_channels": 64, "decoder_interpolation": "nearest"},
        sees_whole_tile=True,
    ),
    "PAN": Architecture(
        "PAN",
        "Pyramid attention network: light, with attention; chips of 128 pixels at least.",
        {
            "encoder_depth": 5,
            "encoder_output_stride": 16,
            "decoder_channels": 32,
            "decoder_interpolation": "bilinear",
        },
        {"encoder_output_stride": (16, 32), "decoder_interpolation": ("bilinear",)},
        sees_whole_tile=True,
    ),
    "UPERNET": Architecture(
        "UPerNet",
        "Unified perceptual parsing: a pyramid of features with pooling over the whole tile.",
        {"encoder_depth": 5, "decoder_channels": 256, "decoder_use_norm": "batchnorm"},
        sees_whole_tile=True,
    ),
    "SEGFORMER": Architecture(
        "Segformer",
        "SegFormer's light decoder; meant for the encoders mit_b0 to mit_b5.",
        {"encoder_depth": 5, "decoder_segmentation_channels": 256},
    ),
}
OWN_ARGUMENTS = {"sigmoid": False}  # one output instead of two, where there is one class


def library_arguments(architecture: Architecture, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the library's class, also of models that were written with fewer."""
    complete = {**architecture.arguments, **arguments}
    for name in OWN_ARGUMENTS:
        complete.pop(name, None)
    if complete.get("decoder_attention_type") == "none":
        complete["decoder_attention_type"] = None
    if "decoder_atrous_rates" in complete and not complete["decoder_atrous_rates"]:
        # Models that do not name them at all had the library's.
        given = "decoder_atrous_rates" in arguments
        stride = complete["encoder_output_stride"] if given else _ATROUS_STRIDE
        complete["decoder_atrous_rates"] = atrous_rates(stride)
    depth = complete.get("encoder_depth", 5)
    # The finest maps of these decoders are the less upsampled, the shallower the encoder is.
    if architecture.library_name == "PSPNet":
        complete["upsampling"] = 2**depth
    if architecture.library_name == "FPN":
        complete["upsampling"] = 2 ** (depth - 3)
    return complete


def _enter(name: str, architecture: Architecture) -> None:
    """Register an architecture as a model type."""

    def complete(arguments: dict[str, Any], _: np.ndarray, chip_size: int) -> dict[str, Any]:
        return architecture.complete(name, arguments, chip_size)

    def build(spec: NetworkSpec) -> nn.Module:
        from .networks.segmentation import SegmentationNetwork

        arguments = library_arguments(architecture, spec.arguments)
        return SegmentationNetwork(
            architecture.library_name,
            spec,
            arguments,
            least_tile(architecture.library_name, arguments),
            architecture.sees_whole_tile or arguments.get("decoder_attention_type") is not None,
        )

    register(
        name,
        task=Task.PIXELS,
        formats=("Classified_Tiles", "Panoptic_Segmentation"),
        arguments={**architecture.arguments, **OWN_ARGUMENTS},
        description=architecture.description,
        complete=complete,
    )(build)


for _name, _architecture in ARCHITECTURES.items():
    _enter(_name, _architecture)
