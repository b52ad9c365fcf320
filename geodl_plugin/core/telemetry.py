"""Keeps libraries from telling their makers about our users' machines and imagery."""

from __future__ import annotations

import os
import sys

# What every library that we know to phone home understands as "do not".
NO_TELEMETRY = {
    "DO_NOT_TRACK": "1",
    "DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "WANDB_MODE": "disabled",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}
# OpenVINO sends at its import, unasked, and knows no variable: without this package, which it
# does not need, it sends nothing.
SENDERS = ("openvino_telemetry",)


def silence() -> None:
    """Switch off the telemetry of libraries that this process will import."""
    os.environ.update(NO_TELEMETRY)
    for name in SENDERS:
        sys.modules[name] = None  # type: ignore[assignment]  # an import fails from now on
