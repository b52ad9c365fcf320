"""What the search for a learning rate can be told; readable without torch."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError
from .options import TrainingOptions


@dataclass(frozen=True)
class RateOptions:
    """All options of a search for a learning rate, in types that JSON knows.

    Args:
        input: the training-data folder, or several with ``;`` between.
        output: the report, an HTML file.
        model_type, backbone, model_arguments, weights, batch_size: as of a training.
        device, precision: as of a training.
    """

    input: str
    output: str
    model_type: str = ""
    backbone: str = TrainingOptions.backbone
    model_arguments: str = ""
    weights: str = TrainingOptions.weights
    batch_size: int = 0
    device: str = "auto"
    precision: str = "auto"

    def training(self) -> TrainingOptions:
        """Return the options of the training that the rate is for.

        Raises:
            InputError: when an option cannot be used.
        """
        if not self.output.strip():
            raise InputError("No report is given. Choose an HTML file for the curve.")
        options = TrainingOptions(**self.__dict__)
        options.check()
        return options
