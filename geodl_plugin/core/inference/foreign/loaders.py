"""The readers of networks of other makers, by name. Needs torch."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import torch
from torch import nn

from ...errors import GeoDLError, ModelError, reason_of
from ...packages.archive import Package
from ..model import Model
from .asking import Ask
from .network import ForeignNetwork

# Imported when one is used: each needs a library of its own.
_MODULES = {
    "graph": ".graph",
    "torchscript": ".torch_program",
    "torch_export": ".torch_program",
}


def load_foreign(model: Model, package: Package, device: torch.device) -> nn.Module:
    """Return the network of a model of another maker, with the face that its task wants.

    Args:
        model: its description.
        package: with its files.
        device: that a Python function is told to compute on.

    Raises:
        ModelError: when it cannot be read, or answers in a form that is not known.
    """
    if model.foreign is None:
        raise ModelError(f"'{model.name}' is GeoDL's own.")
    if model.runs_code:
        from .function_network import FunctionNetwork

        return FunctionNetwork(model, package, device)
    open_network: Callable[[Model, Package], Ask] = importlib.import_module(
        _MODULES[model.foreign.loader], __package__
    ).open_network
    try:
        return ForeignNetwork(open_network(model, package), model)
    except GeoDLError:
        raise
    except ImportError:
        raise
    except Exception as error:  # the readers raise errors of all kinds
        raise ModelError(
            f"The network of '{model.name}' cannot be used: {reason_of(error)}. Check its sizes "
            "and bands, or save it again as ONNX."
        ) from error
