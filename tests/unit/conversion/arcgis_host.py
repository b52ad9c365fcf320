"""Runs an inference function as its host does, in a process of its own.

Written from the contract alone: the steps, what is handed over at each, and what comes back.
``python arcgis_host.py JOB.json``; the job says ``package``, ``blocks`` (.npz with arrays
``pixels`` and ``mask``, or several ``pixels0``, ``mask0``…), ``runs``, the arguments of each, and
``answer``, where the results go as JSON, those in pixels as ``0.npz``, ``1.npz``… beside it.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np


def run(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Unpack the package, and go through the steps once for each set of arguments."""
    folder = Path(job["package"]).with_suffix("")
    with zipfile.ZipFile(job["package"]) as archive:
        archive.extractall(folder)
    emd = next(folder.glob("*.emd"))
    definition = json.loads(emd.read_text(encoding="utf-8"))
    stub_arcpy()
    sys.path.insert(0, str(folder))
    module = importlib.import_module(Path(definition["InferenceFunction"]).stem)
    blocks = np.load(job["blocks"])
    found = []
    for number, arguments in enumerate(job["runs"]):
        function = getattr(module, module.__name__)()
        # The definition comes as a path, or as its text.
        text = emd.read_text(encoding="utf-8")
        function.initialize(model=text if number % 2 else str(emd), device=-1)
        found.append(
            use(function, arguments, blocks, Path(job["answer"]).with_name(f"{number}.npz"))
        )
    return found


def use(function: Any, arguments: dict[str, Any], blocks: Any, answer: Path) -> dict[str, Any]:
    """Go through the steps that follow the first and return what each gave."""
    given, scalars = dict(arguments), {}
    parameters = function.getParameterInfo()
    for each in parameters:
        if each["dataType"] in ("raster", "rasters") or each["name"] in ("model", "device"):
            continue
        value = given.pop(each["name"], each["value"])
        # Strings for string parameters, numbers for numeric ones.
        scalars[each["name"]] = float(value) if each["dataType"] == "numeric" else str(value)
    assert not given, f"the function has no arguments {list(given)}"
    configuration = function.getConfiguration(**scalars)
    found = {
        "name": function.name,
        "configuration": configuration,
        "geodl": [name for name in sys.modules if name.startswith("geodl")],
    }
    if hasattr(function, "vectorize"):
        found["fields"] = json.loads(function.getFields())
        found["geometry"] = function.getGeometryType()
        found["vectors"] = vectorize(function, configuration, blocks)
    else:
        found["info"] = pixels(function, configuration, blocks, answer)
    return found


def stub_arcpy() -> None:
    arcpy = types.ModuleType("arcpy")
    arcpy.env = types.SimpleNamespace(processorType="", gpuId=0)
    for name in ("AddMessage", "AddWarning", "AddError"):
        setattr(arcpy, name, lambda text: None)
    sys.modules["arcpy"] = arcpy


def vectorize(function: Any, configuration: dict[str, Any], blocks: Any) -> list[dict[str, Any]]:
    if "pixels0" in blocks:  # one image for each object
        count = len([name for name in blocks.files if name.startswith("pixels")])
        handed = {
            "rasters_pixels": tuple(blocks[f"pixels{number}"] for number in range(count)),
            "rasters_mask": tuple(blocks[f"mask{number}"] for number in range(count)),
        }
    else:
        check_size(blocks["pixels"], configuration)
        handed = {"raster_pixels": blocks["pixels"], "raster_mask": blocks["mask"]}
    answer = function.vectorize(**handed)
    return json.loads(answer["output_vectors"])["features"]


def pixels(
    function: Any, configuration: dict[str, Any], blocks: Any, answer: Path
) -> dict[str, Any]:
    bands = len(blocks["pixels"])
    info = {"bandCount": bands, "pixelType": "u1", "noData": None, "statistics": ()}
    kwargs = function.updateRasterInfo(raster_info=dict(info), output_info=dict(info))
    output = kwargs["output_info"]
    check_size(blocks["pixels"], configuration)
    shape = (output["bandCount"], configuration["ty"], configuration["tx"])
    props = {"pixelType": output["pixelType"], "extent": (0, 0, 1, 1), "width": 1, "height": 1}
    result = function.updatePixels(
        (0, 0), shape, props, raster_pixels=blocks["pixels"], raster_mask=blocks["mask"]
    )
    assert result["output_pixels"].shape == shape
    assert result["output_pixels"].dtype == np.dtype(output["pixelType"])
    np.savez(answer.with_suffix(".npz"), pixels=result["output_pixels"], mask=result["output_mask"])
    return {
        "bandCount": output["bandCount"],
        "pixelType": output["pixelType"],
        "colormap": [part.tolist() for part in output["colormap"]],
        "table": json.loads(output["rasterAttributeTable"]),
    }


def check_size(block: np.ndarray, configuration: dict[str, Any]) -> None:
    """The block is as large as the function asked for, its padding around it."""
    padding = 2 * configuration["padding"]
    wanted = (configuration["ty"] + padding, configuration["tx"] + padding)
    assert block.shape[1:] == wanted, f"blocks of {wanted}, not {block.shape}"
    assert len(block) == len(configuration["extractBands"])


if __name__ == "__main__":
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(task["answer"]).write_text(json.dumps(run(task)), encoding="utf-8")
