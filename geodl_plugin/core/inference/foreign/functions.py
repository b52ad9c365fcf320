"""Whether a model runs Python code of its author, and whether it may; needs no torch."""

from __future__ import annotations

from ...errors import ModelError
from ...packages.definition import ModelDefinition
from ...packages.summary import BUILT_IN

ARCGIS = "arcgis.learn"  # the beginning of the framework of its models
ARCGIS_LIBRARY = "arcgis"  # the Python package that these need
# The key of GeoDL's models for ArcGIS whose function joins all names of an object.
JOINED_LABELS = "joined_labels"


def function_of(definition: ModelDefinition, allow_code: bool) -> str:
    """Return the file of the Python function that answers for a model; "" when none is needed.

    Raises:
        ModelError: when it may not run, or lies where only ArcGIS finds it.
    """
    told = definition.values.get("InferenceFunction")
    learned = needs_arcgis(definition)
    if not isinstance(told, str) or not told.strip():
        if learned:
            raise ModelError(_by_arcgis(definition.name))
        return ""
    file = told.strip().replace("\\", "/")
    if file.lower().startswith(BUILT_IN):
        if learned:
            raise ModelError(_by_arcgis(definition.name))
        return ""  # TensorFlow's and others' networks are read without it
    if definition.geodl.get(JOINED_LABELS):
        return ""  # of several classes the network beside it says more
    if allow_code:
        return file
    if "converted_from" in definition.geodl:
        return ""  # GeoDL's own file for ArcGIS: the network beside it says the same
    raise ModelError(
        f"'{definition.name}' runs Python code of its author, {file.rpartition('/')[2]}, which can "
        "do whatever you can. If you trust it, run the tool with ALLOW_CODE."
    )


def needs_arcgis(definition: ModelDefinition) -> bool:
    """Return whether a model's function needs the Python package of ArcGIS."""
    return str(definition.values.get("Framework") or "").lower().startswith(ARCGIS)


def _by_arcgis(name: str) -> str:
    return (
        f"'{name}' was saved by arcgis.learn for the function of ArcGIS Pro, which is not in the "
        "package. Save it with framework='ONNX' or TorchScript there, or add the function to it."
    )
