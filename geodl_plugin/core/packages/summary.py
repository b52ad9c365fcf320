"""What a model is, at a glance: for dialogs and reports, from its definition alone."""

from __future__ import annotations

from typing import Any

from .definition import PURPOSE, ModelDefinition
from .networks.metadata import NETWORK, is_number

SHOWN_CLASSES = 4
BUILT_IN = "[functions]"  # the beginning of the path of a function that ArcGIS Pro brings


def summary(definition: ModelDefinition) -> str:
    """Return one line: what the model does, of which classes, from what images.

    Raises:
        ModelError: when the definition is not complete.
    """
    does = PURPOSE.get(definition.task, (f"is a {definition.task} model", ""))[0]
    classes = definition.schema.classes
    names = ", ".join(each.name for each in classes[:SHOWN_CLASSES])
    if len(classes) > SHOWN_CLASSES:
        names += f" and {len(classes) - SHOWN_CLASSES} more"
    what = f"{does[:1].upper()}{does[1:]}" + (f": {names}" if names else "")
    return " · ".join(part for part in (what, _network(definition), _bands(definition)) if part)


def facts(definition: ModelDefinition) -> dict[str, str]:
    """Return what is known of a model, by the words for it; what is not known is left out.

    Raises:
        ModelError: when the definition is not complete.
    """
    own = definition.geodl
    training = own.get("training") if isinstance(own.get("training"), dict) else {}
    found = {
        "Name": definition.name,
        "Task": definition.task,
        "Network": _network(definition),
        "Classes": ", ".join(each.name for each in definition.schema.classes),
        "Bands": _band_names(definition) or _bands(definition),
        "Chips": _chips(definition),
        "Cell size": _cell_size(own.get("cell_size")),
        "Trained on": str(training.get("data") or ""),
        "Trained": str(training.get("date") or "").replace("T", " ")[:16],
    }
    return {name: text for name, text in found.items() if text}


def fixed_arguments(definition: ModelDefinition) -> dict[str, Any]:
    """Return the arguments that the model itself decides, with their values."""
    fixed: dict[str, Any] = {}
    if definition.values.get("SupportsVariableTileSize") is False:
        fixed["tile_size"] = definition.tile_size
    if not definition.learned_background:
        fixed["predict_background"] = False
    return {**fixed, **_told(definition)}


def _told(definition: ModelDefinition) -> dict[str, int]:
    """Return the arguments that are fixed by being told."""
    function = str(definition.values.get("InferenceFunction") or "")
    if function and not function.lower().startswith(BUILT_IN):
        return {}  # its own arguments hold
    told = {
        "padding": definition.whole("ModelPadding", 0),
        "batch_size": definition.whole("BatchSize", 1),
    }
    return {name: value for name, value in told.items() if value is not None}


def suggested_arguments(definition: ModelDefinition) -> dict[str, Any]:
    """Return the arguments that the maker of a network would start from, with their values."""
    told = definition.values.get(NETWORK)
    facts = told if isinstance(told, dict) else {}
    found: dict[str, Any] = {}
    for name in ("threshold", "nms_overlap"):
        if is_number(facts.get(name)) and 0 <= facts[name] <= 1:
            found[name] = float(facts[name])
    side, overlap = definition.values.get("ImageWidth"), facts.get("overlap")
    if is_number(side) and is_number(overlap) and 0 <= overlap < 100:
        # Half of what two tiles share is the rim of each.
        found["padding"] = int(side * overlap / 200)
    told = _told(definition)
    return {name: value for name, value in found.items() if name not in told}


def _network(definition: ModelDefinition) -> str:
    own = definition.geodl
    name = own.get("architecture") or definition.values.get("ModelConfiguration")
    # Others' definitions describe the configuration in an object of its own.
    parts = [each for each in (name, own.get("backbone")) if isinstance(each, str) and each]
    return ", ".join(parts)


def _bands(definition: ModelDefinition) -> str:
    count = definition.band_count
    return f"{count} band" + ("" if count == 1 else "s")


def _band_names(definition: ModelDefinition) -> str:
    """Return the names of the bands that the network takes; the images may have more."""
    names = definition.geodl.get("band_names")
    if not isinstance(names, list) or not all(isinstance(each, str) and each for each in names):
        return ""
    taken = definition.extract_bands or tuple(range(len(names)))
    known = all(0 <= band < len(names) for band in taken)
    return ", ".join(names[band] for band in taken) if known else ""


def _chips(definition: ModelDefinition) -> str:
    width, height = definition.values.get("ImageWidth"), definition.values.get("ImageHeight")
    return f"{width} × {height} pixels" if width and height else ""


def _cell_size(value: Any) -> str:
    first = value[0] if isinstance(value, list) and value else value
    usable = isinstance(first, (int, float)) and not isinstance(first, bool)
    return f"{first:.4g} map units" if usable else ""
