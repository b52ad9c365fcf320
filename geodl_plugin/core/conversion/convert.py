"""The task "convert": write a model for other programs, and prove that it answers alike."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import InputError, ModelError
from ..inference.foreign.description import is_foreign
from ..inference.loading import load_network
from ..inference.model import Model, read_model
from ..leftovers import remove_leftovers
from ..models.registry import Task
from ..overwriting import refuse_inputs
from ..packages.archive import open_package
from ..packages.definition import ModelDefinition
from ..packages.model_files import model_files
from ..progress import Progress
from ..replacing import replace
from .exportable import Exportable, trial_images
from .options import ConversionOptions
from .proof import Disagreement, compare


def run(options: ConversionOptions, progress: Progress) -> dict[str, Any]:
    """Convert a model and return the path, and by how much the two disagree at most.

    Raises:
        InputError: when the options do not fit.
        ModelError: when the model cannot be converted; nothing is left at the output then.
    """
    options.check()
    refuse_inputs([options.output], model_files(options.model))
    progress.update(0.0, "Loading the model")
    with open_package(options.model) as package:
        definition = package.definition
        if is_foreign(definition):
            raise ModelError(
                f"'{definition.name}' was not trained with GeoDL, or is converted already. Choose "
                "the package that 'Train model' has written."
            )
        model = read_model(definition, Task(definition.task))
        network = load_network(model, package)
    exportable = Exportable(network, model)
    progress.check()
    progress.update(0.2, f"Writing {options.format}")
    output = Path(options.output).expanduser().absolute()
    with _beside(output) as folder:
        writers = {"onnx": _write_onnx, "openvino": _write_openvino, "arcgis": _write_arcgis}
        found = writers[options.format](exportable, model, definition, folder / output.name)
        progress.check()
        _move(folder, output)
    progress.info(f"The converted model disagrees with the original by {found} at most.")
    progress.update(1.0, "Done")
    return {"output": str(output), "chance": found.chance, "shift": found.shift}


def _images(network: Exportable, free: bool) -> list[Tensor]:
    """Return a batch of one and one of three, of another size where any will do."""
    side, step = network.side, int(getattr(network.network, "tile_step", 32))
    # By as much as backbones are tried with, for transformers see patches.
    wide = side + 3 * max(step, 32) if free and network.any_size else side
    return trial_images(network.bands, [(1, side, side), (3, wide, side)])


def _write_onnx(
    network: Exportable, model: Model, definition: ModelDefinition, path: Path
) -> Disagreement:
    from . import onnx_file, openvino_file

    proto = onnx_file.export(network)
    onnx_file.fix_size(proto, network)
    onnx_file.add_metadata(proto, onnx_file.metadata(model, definition, network))
    path.write_bytes(proto.SerializeToString())
    return compare(network, _images(network, free=False), openvino_file.open_runner(path))


def _write_openvino(
    network: Exportable, model: Model, definition: ModelDefinition, path: Path
) -> Disagreement:
    from . import onnx_file, openvino_file

    content = onnx_file.export(network).SerializeToString()
    converted = openvino_file.read(content)
    openvino_file.add_metadata(converted, onnx_file.metadata(model, definition, network))
    openvino_file.write(converted, path)
    images = _images(network, free=converted.inputs[0].partial_shape[3].is_dynamic)
    return compare(network, images, openvino_file.open_runner(path))


def _write_arcgis(
    network: Exportable, model: Model, definition: ModelDefinition, path: Path
) -> Disagreement:
    from .arcgis import write_arcgis

    return write_arcgis(network, model, definition, path)


@contextlib.contextmanager
def _beside(output: Path) -> Iterator[Path]:
    """Give a folder beside the output, and remove it in the end whatever happens."""
    folder = output.with_name(f".{output.name}.part-{os.getpid()}")
    try:
        remove_leftovers(output)
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        raise InputError(f"'{output}' cannot be written: {error}.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move(folder: Path, output: Path) -> None:
    """Bring what was written to its place; the named file comes last."""
    for path in sorted(folder.iterdir(), key=lambda each: each.name == output.name):
        replace(path, output.parent / path.name)
