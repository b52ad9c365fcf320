"""Programs of PyTorch: TorchScript and torch.export; pickles are never opened. Needs torch."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ModelError
from ...packages.archive import Package
from ...packages.networks.torch_archive import EXPORTED, exported_shape, read_torch
from ..model import Model
from .asking import Answer, Ask

_FORCED = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
# Sizes in an exported program are formulas, which are evaluated: only these functions, names of
# sizes, numbers and signs may be in them.
# fmt: off
_FUNCTIONS = frozenset((
    "Symbol", "Integer", "Rational", "Float", "Add", "Mul", "Pow", "Mod", "Max", "Min", "Abs",
    "Eq", "Ne", "Ge", "Gt", "Le", "Lt", "And", "Or", "Not", "floor", "ceiling", "sqrt",
    "FloorDiv", "ModularIndexing", "CeilDiv", "PythonMod", "CleanDiv", "Where", "TruncToInt",
    "ToFloat", "IntTrueDiv", "FloatTrueDiv", "CeilToInt", "FloorToInt", "RoundToInt",
    "Identity", "PowByNatural", "FloatPow", "LShift", "RShift", "TruncToFloat", "RoundDecimal",
))
# fmt: on
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|('\w*')|([A-Za-z_]\w*)|([-+*/%(),<>=!&|~]))")


def open_network(model: Model, package: Package) -> Ask:
    """Open a program.

    Raises:
        ModelError: when the file holds none, or one that would run other code.
    """
    path = package.file(model.foreign.file if model.foreign is not None else "")
    kind, _ = read_torch(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = _exported(path) if kind == EXPORTED else torch.jit.load(str(path), "cpu")
    last = model.foreign is not None and model.foreign.layout == "NHWC"
    shape = exported_shape(path) if kind == EXPORTED else ()
    return Program(program, last, kind != EXPORTED, shape[0] if shape else 0)


def _exported(path: Path) -> nn.Module:
    _check_formulas(path)
    with _no_pickles():
        return torch.export.load(str(path)).module()


def _check_formulas(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        names = [each for each in archive.namelist() if PurePosixPath(each).suffix == ".json"]
        for name in names:
            for formula in _formulas(json.loads(archive.read(name)), 0):
                if not _is_formula(formula):
                    raise ModelError(
                        f"'{path.name}' has '{formula[:60]}' for a size, which is no formula of "
                        "sizes. Do not use it."
                    )


def _is_formula(text: str) -> bool:
    """Return whether a text holds nothing that could do more than count."""
    place, name = 0, ""
    text = text.strip()
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None or "__" in token.group():
            return False
        # What is called must be known, and a closed bracket is never called.
        if token.group(4) == "(" and name and name not in _FUNCTIONS:
            return False
        name = token.group(3) or token.group(2) or (")" if token.group(4) == ")" else "")
        place = token.end()
    return True


def _formulas(value: Any, depth: int) -> Iterator[str]:
    """Yield all formulas of a program, however deep they lie."""
    if depth > 200:
        raise ModelError("The program is nested without an end. Do not use it.")
    if isinstance(value, dict):
        for name, each in value.items():
            if name == "expr_str" and isinstance(each, str):
                yield each
            else:
                yield from _formulas(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            yield from _formulas(each, depth + 1)


@contextlib.contextmanager
def _no_pickles() -> Iterator[None]:
    """Let nothing be read but weights: the loader of programs falls back to pickles."""
    before, load = os.environ.get(_FORCED), torch.load

    @functools.wraps(load)
    def weights_only(*args: Any, **kwargs: Any) -> Any:
        return load(*args, **{**kwargs, "weights_only": True})

    os.environ[_FORCED] = "1"
    torch.load = weights_only
    try:
        yield
    finally:
        torch.load = load
        os.environ.pop(_FORCED)
        if before is not None:
            os.environ[_FORCED] = before


class Program(Ask):
    """A program that torch computes.

    Args:
        program: takes images.
        channels_last: whether it takes and gives them with the channels at the end.
        evaluates: whether it knows training and evaluation.
        batch: how many images it takes, 0 for any number.
    """

    def __init__(
        self, program: nn.Module, channels_last: bool, evaluates: bool, batch: int
    ) -> None:
        super().__init__()
        self.program = program
        self.channels_last = channels_last
        self._evaluates = evaluates
        self.batch = batch
        kinds = (each.dtype for each in program.parameters() if each.is_floating_point())
        self._kind = next(kinds, torch.float32)

    def train(self, mode: bool = True) -> Program:
        """Do nothing where the program knows one state only."""
        self.training = mode
        if self._evaluates:
            self.program.train(mode)
        return self

    def forward(self, images: Tensor) -> Answer:
        """Return the tensors of the answer, named where the program names them."""
        images = (images.permute(0, 2, 3, 1) if self.channels_last else images).to(self._kind)
        if self.batch in (0, len(images)):
            return dict(_named(self.program(images), "output"))
        parts = []
        for some in images.split(self.batch):
            filler = some.new_zeros(self.batch - len(some), *some.shape[1:])
            found = dict(_named(self.program(torch.cat([some, filler])), "output"))
            parts.append({name: each[: len(some)] for name, each in found.items()})
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _named(found: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(found, Tensor):
        if found.ndim:  # a single number is no answer to an image
            yield name, found
    elif isinstance(found, dict):
        for key, each in found.items():
            yield from _named(each, str(key))
    elif isinstance(found, (list, tuple)):
        for place, each in enumerate(found):
            yield from _named(each, f"{name}{place}")
