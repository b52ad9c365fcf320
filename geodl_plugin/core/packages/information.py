"""All that is known of a model, as values of JSON and as a page."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import pages
from ..errors import GeoDLError, ModelError
from ..inference.model import read_model
from ..inference.options import (
    TASK_ARGUMENTS,
    ChangeOptions,
    DetectionOptions,
    InferenceOptions,
    ObjectOptions,
    PixelOptions,
    argument_defaults,
)
from ..models.registry import Task
from .archive import package_files, peek_definition
from .definition import ModelDefinition, understood
from .store import locate
from .summary import facts, fixed_arguments, summary

_OPTIONS: dict[Task, type[InferenceOptions]] = {
    Task.DETECTION: DetectionOptions,
    Task.INSTANCES: DetectionOptions,
    Task.PIXELS: PixelOptions,
    Task.CHANGE: ChangeOptions,
    Task.OBJECTS: ObjectOptions,
}
# Told elsewhere on the page, or too long for a table.
_TOLD = {"classes", "geodl", "normalizationstats", "inputrastersprops", "per_class_metrics"}
WEIGHTS = (".pth", ".safetensors", ".h5", ".tflite")
_LONGEST = 300  # characters of a value that a table shows


def information(model: str) -> dict[str, Any]:
    """Return what a model's definition and package say; what is not known is left out.

    Args:
        model: path of a ``.dlpk`` or ``.emd``, name of an installed model, or JSON text.

    Raises:
        ModelError: when it is no model.
    """
    if Path(model).suffix.lower() in WEIGHTS:
        raise ModelError(
            f"'{Path(model).name}' holds weights alone, without classes or sizes. Choose the "
            "package (.dlpk) or definition (.emd) that belongs to them."
        )
    definition = peek_definition(model)
    with understood(definition.name):
        return {**describe(definition), **_place(model)}


def describe(definition: ModelDefinition) -> dict[str, Any]:
    """Return what a definition says, as :func:`information`."""
    usable, reason = _usable(definition)
    found: dict[str, Any] = {
        "name": definition.name,
        "task": str(definition.values.get("ModelType", "")),
        "summary": _summary(definition),
        "usable": usable,
        "problem": reason,
        "facts": facts(definition) if _summary(definition) else {},
        "classes": [
            {"value": each.value, "name": each.name, "color": list(each.color)}
            for each in definition.schema.classes
        ],
        "input": _input(definition),
        "arguments": _arguments(definition),
        "network_arguments": _dict(definition.geodl.get("arguments")),
        "training": _training(definition),
        "metrics": _metrics(definition),
        "runs_code": bool(definition.values.get("InferenceFunction")),
        "definition": {
            key: value for key, value in definition.values.items() if key.lower() not in _TOLD
        },
    }
    return {
        name: _finite(value) for name, value in found.items() if value not in ({}, [], "", None)
    }


def _finite(value: Any) -> Any:
    """Return a value without what JSON does not know: a score that is no number, for example."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _place(model: str) -> dict[str, Any]:
    if model.lstrip().startswith("{"):
        return {}
    files = package_files(model)
    return {"path": str(locate(model)), **({"files": files} if files else {})}


def _summary(definition: ModelDefinition) -> str:
    """Return the line that says it all; none for a model of an unknown kind."""
    try:
        return summary(definition)
    except ModelError:
        return ""


def _usable(definition: ModelDefinition) -> tuple[bool, str]:
    """Return whether GeoDL's tools can apply a model, and why not."""
    try:
        task = definition.task
        if task not in {each.value for each in Task}:
            return False, f"'{definition.name}' is a {task} model. There is no tool for it yet."
        read_model(definition, Task(task))
    except GeoDLError as error:
        return False, str(error)
    return True, ""


def _input(definition: ModelDefinition) -> dict[str, Any]:
    values, own = definition.values, definition.geodl
    normalization = own.get("normalization")
    known = {
        "width": values.get("ImageWidth"),
        "height": values.get("ImageHeight"),
        "bands": definition.band_count,
        "band_names": own.get("band_names"),
        "extract_bands": values.get("ExtractBands"),
        "data_type": own.get("dtype"),
        "cell_size": own.get("cell_size") or _cell_sizes(values),
        "normalization": normalization if isinstance(normalization, dict) else None,
    }
    return {name: value for name, value in known.items() if value not in (None, "", [])}


def _cell_sizes(values: Mapping[str, Any]) -> list[float] | None:
    """Return the cell sizes that ArcGIS writes, the smallest and the largest one."""
    sizes = [values.get(name) for name in ("MinCellSize", "MaxCellSize")]
    found = [each["x"] for each in sizes if isinstance(each, dict) and "x" in each]
    return found or None


def _arguments(definition: ModelDefinition) -> dict[str, Any]:
    """Return the arguments of the tool that applies a model, and those that the model fixes."""
    try:
        task = Task(definition.task)
    except ValueError:  # a kind that no tool applies
        return {}
    defaults = argument_defaults(_OPTIONS[task], TASK_ARGUMENTS[task])
    fixed = fixed_arguments(definition)
    return {name: fixed.get(name, value) for name, value in defaults.items()}


def _training(definition: ModelDefinition) -> dict[str, Any]:
    found = _dict(definition.geodl.get("training"))
    found.pop("records", None)
    rate = definition.values.get("LearningRate")
    if "learning_rates" not in found and rate not in (None, ""):
        found["learning_rates"] = [rate]
    return found


def _dict(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _metrics(definition: ModelDefinition) -> dict[str, Any]:
    metrics = definition.geodl.get("metrics")
    if isinstance(metrics, dict):
        return metrics
    names = ("accuracy", "average_precision_score", "per_class_metrics")
    found = {name: definition.values.get(name) for name in names}
    return {name: value for name, value in found.items() if value not in (None, "", {}, [])}


def page(info: Mapping[str, Any]) -> str:
    """Return what :func:`information` found as an HTML page."""
    parts = [pages.lead(str(info.get("summary", "")))]
    if info.get("problem"):
        parts.append(pages.note(info["problem"]))
    if info.get("runs_code"):
        parts.append(
            pages.note(
                "The package brings Python code of its author, which runs only with your consent."
            )
        )
    parts += _part("At a glance", {**info.get("facts", {}), "Path": info.get("path", "")})
    parts += _classes(info.get("classes", []))
    for heading, key in (
        ("Images", "input"),
        ("Network", "network_arguments"),
        ("Arguments when applied", "arguments"),
        ("Training", "training"),
        ("Metrics", "metrics"),
        ("Metadata", "metadata"),
        ("Files (bytes)", "files"),
        ("Definition", "definition"),
    ):
        values = dict(info.get(key, {}))
        rows = values.pop("classes", None) if key == "metrics" else None
        parts += _part(heading, values)
        parts += _rows(rows)
    for heading, key in (("Inputs", "inputs"), ("Outputs", "outputs")):
        if info.get(key):
            parts += [pages.heading(heading), *_rows(info[key])]
    return pages.page(str(info.get("name", "Model")), parts, _STYLE)


def _part(title: str, values: Mapping[str, Any]) -> list[str]:
    rows = [
        [str(name).replace("_", " "), _text(value)]
        for name, value in values.items()
        if value not in ("", None, {}, [])
    ]
    return [pages.heading(title), pages.table(["", ""], rows)] if rows else []


def _classes(classes: list[dict[str, Any]]) -> list[str]:
    if not classes:
        return []
    entries = "".join(
        f"<tr><td>{html.escape(each['name'])}</td><td>{each['value']}</td>"
        f'<td><i style="background:rgb({",".join(map(str, each["color"]))})"></i></td></tr>'
        for each in classes
    )
    head = "<tr><th>Class</th><th>Value</th><th>Colour</th></tr>"
    return [pages.heading("Classes"), f'<div class="wide"><table>{head}{entries}</table></div>']


def _rows(rows: Any) -> list[str]:
    """Return a table of dicts that have the same keys."""
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
        return []
    names = list(rows[0])
    cells = [[_text(row.get(name, "")) for name in names] for row in rows]
    return [pages.table([name.replace("_", " ") for name in names], cells)]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        text = ", ".join(f"{name}: {_text(each)}" for name, each in value.items())
    elif isinstance(value, (list, tuple)):
        text = ", ".join(_text(each) for each in value)
    else:
        text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_STYLE = """
td:nth-child(2) { white-space: normal; overflow-wrap: anywhere; text-align: left; }
td i { display: inline-block; width: 1em; height: 1em; border-radius: 3px; }
"""
