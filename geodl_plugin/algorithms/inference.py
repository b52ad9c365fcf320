"""What the inference tools share: rasters, model, limits, device."""

from __future__ import annotations

import dataclasses
from typing import Any

from qgis.core import QgsProcessingContext

from ..core.arguments import arguments_of
from ..core.errors import CancelledError, GeoDLError, WorkerError
from ..core.geo.raster import Raster
from ..core.inference.checks import tell_unused
from ..core.inference.options import InferenceOptions, argument_defaults
from ..core.leftovers import is_unfinished, remove_leftovers, remove_unfinished
from ..core.models.registry import Task
from ..core.progress import Progress
from .base import GeoDLAlgorithm
from .parameters import (
    ALLOW_CODE,
    ARGUMENTS,
    DEVICE,
    MODEL,
    PRECISION,
    SCHEDULER,
    add_allow_code,
    add_device,
    add_model,
    add_scheduler,
    parse_model_arguments,
    vector_source,
)
from .raster_parameters import (
    MASK,
    add_cell_size,
    add_extent,
    add_input,
    add_mask,
    read_cell_size,
    read_extent,
    read_input,
)


class InferenceAlgorithm(GeoDLAlgorithm):
    """The base of the tools that apply a model."""

    GROUP = "Inference"
    GROUP_ID = "inference"

    TASK = ""
    MODEL_TASK: Task | None = None
    OPTIONS: type[InferenceOptions] = InferenceOptions
    ARGUMENT_NAMES: tuple[str, ...] = ()
    KEPT = "What was finished is kept: run the same call again to go on."

    def add_model_parameters(self) -> None:
        """Add rasters, model and arguments."""
        add_input(self)
        add_model(self, self.MODEL_TASK, arguments_of(self.OPTIONS, self.ARGUMENT_NAMES))

    def add_limits(self, area: bool = True) -> None:
        """Add extent and mask where there is an ``area``, cell size, device, precision, cluster."""
        if area:
            add_extent(self)
            add_mask(self)
        add_cell_size(self)
        add_device(self)
        add_scheduler(self)
        add_allow_code(self)

    def read_options(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        output: str,
        progress: Progress | None = None,
        **values: Any,
    ) -> Any:
        """Return the options of the task; ``values`` are those that only one tool has."""
        model = self.text(parameters, MODEL, context)
        defaults = argument_defaults(self.OPTIONS, self.ARGUMENT_NAMES)
        text = self.text(parameters, ARGUMENTS, context)
        arguments, written = parse_model_arguments(model, text, defaults)
        sources = read_input(self, parameters, context, progress=progress)
        extent, mask = None, None
        if self.parameterDefinition(MASK) is not None:
            # Where the rasters are worked on one by one, they need not fit together.
            with Raster.open(sources[:1] if values.get("separate") else sources) as raster:
                extent = read_extent(self, parameters, context, raster.crs)
            mask = vector_source(self, parameters, MASK, context)
        return self.OPTIONS(
            sources=sources,
            model=model,
            output=self.output_path(parameters, output, context),
            extent=list(extent) if extent else None,
            cell_size=read_cell_size(self, parameters, context),
            mask=list(mask) if mask else None,
            device=self.text(parameters, DEVICE, context) or "auto",
            scheduler=self.text(parameters, SCHEDULER, context),
            precision=self.parameterAsEnumString(parameters, PRECISION, context) or "auto",
            arguments=written,
            allow_code=self.parameterAsBool(parameters, ALLOW_CODE, context),
            **arguments,
            **values,
        )

    def infer(self, options: InferenceOptions, progress: Progress) -> dict[str, Any]:
        """Run the task in the worker and return its result."""
        tell_unused(options, progress)
        try:
            return self.run_worker(self.TASK, dataclasses.asdict(options), progress)
        except GeoDLError as error:
            # A worker that was ended by force could not tidy up.
            results = [each for each in options.outputs if each]
            for each in results:
                remove_leftovers(each)
            if isinstance(error, CancelledError):
                remove_unfinished(*results)
            elif isinstance(error, WorkerError) and is_unfinished(options.output):
                raise WorkerError(f"{error} {self.tr(self.KEPT)}") from error
            raise
