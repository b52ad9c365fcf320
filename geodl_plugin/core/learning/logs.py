"""Logs of a training for TensorBoard, for those who ask by the variable GEODL_TENSORBOARD."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..progress import Progress

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

VARIABLE = "GEODL_TENSORBOARD"
_LIBRARIES = ("tensorboard", "tensorboardX")


def make_logger(output: str, progress: Progress) -> Logger | None:
    """Return what logs a training into the folder that the variable names; none without it.

    Args:
        output: the model folder; its name is that of the log.
        progress: is told where the logs are, or what is missing for them.
    """
    folder = os.environ.get(VARIABLE, "").strip()
    if not folder:
        return None
    if not any(importlib.util.find_spec(name) for name in _LIBRARIES):
        progress.warn(
            f"{VARIABLE} asks for logs, but TensorBoard is not installed: there are none. "
            "Install the package tensorboard in the environment of the worker."
        )
        return None
    from lightning.pytorch.loggers import TensorBoardLogger

    progress.info(f"Logs for TensorBoard are written to '{folder}'.")
    return TensorBoardLogger(folder, name=Path(output).name)
