"""The layers know only what lies below them; read from the source, nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "geodl_plugin"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).replace(".__init__", ""): path
    for path in sorted(PLUGIN.rglob("*.py"))
}

QGIS = {"qgis", "PyQt5", "PyQt6", "processing"}
# What only the worker's Python has, or what costs seconds to import.
HEAVY = {
    "torch", "torchvision", "lightning", "pytorch_lightning", "torchmetrics", "timm",
    "segmentation_models_pytorch", "safetensors", "matplotlib", "openvino", "dask", "distributed",
    "onnx", "onnxscript", "skimage",
}  # fmt: skip


def imports_of(tree: ast.AST, module: str, package: bool, nested: bool) -> Iterator[str]:
    """Yield the absolute names that a module imports, inside functions too when ``nested``."""
    for node in ast.walk(tree) if nested else outside_functions(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + (1 if package else 0)]
                base = ".".join(parts + ([node.module] if node.module else []))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def outside_functions(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs when the module is imported; blocks for type checkers do not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from outside_functions(node)


@cache
def imported(module: str, nested: bool) -> frozenset[str]:
    path = MODULES[module]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(imports_of(tree, module, path.name == "__init__.py", nested))


def tops(module: str, nested: bool = True) -> set[str]:
    return {name.split(".")[0] for name in imported(module, nested)}


def layer(*names: str) -> list[str]:
    prefixes = tuple(f"geodl_plugin.{name}" for name in names)
    return [
        module
        for module in MODULES
        if module in prefixes or module.startswith(tuple(f"{each}." for each in prefixes))
    ]


def reached_from(module: str) -> dict[str, str]:
    """Return every module of the plugin that importing ``module`` imports, and by whom."""
    found = {module: ""}
    waiting = [module]
    while waiting:
        current = waiting.pop()
        for name in imported(current, nested=False):
            for each in (name, name.rpartition(".")[0]):
                if each in MODULES and each not in found:
                    found[each] = current
                    waiting.append(each)
    return found


@pytest.mark.parametrize("module", layer("core", "worker"))
def test_core_and_worker_know_no_qgis(module):
    assert not tops(module) & QGIS


@pytest.mark.parametrize("module", layer("core", "worker"))
def test_core_and_worker_know_nothing_above_them(module):
    above = tuple(f"geodl_plugin.{name}" for name in ("algorithms", "gui", "provider", "plugin"))
    assert not [name for name in imported(module, nested=True) if name.startswith(above)]


@pytest.mark.parametrize("module", layer("core"))
def test_core_knows_no_worker(module):
    names = imported(module, nested=True)
    assert not [name for name in names if name.startswith("geodl_plugin.worker")]


@pytest.mark.parametrize("module", [*layer("algorithms"), "geodl_plugin.provider"])
def test_tools_know_no_window(module):
    names = imported(module, nested=True)
    assert not [name for name in names if name.startswith("geodl_plugin.gui")]


@pytest.mark.parametrize("module", layer("core.learning"))
def test_learning_knows_no_inference(module):
    names = imported(module, nested=True)
    assert not [name for name in names if name.startswith("geodl_plugin.core.inference")]


# The registry imports all that lies beside it.
MODELS = [module for module in layer("core.models") if module.count(".") == 3]


@pytest.mark.parametrize(
    "module", [*layer("algorithms", "gui", "provider", "plugin", "paths"), *MODELS]
)
def test_nothing_that_qgis_imports_imports_torch(module):
    for each in reached_from(module):
        heavy = tops(each, nested=False) & HEAVY
        assert not heavy, f"{each}, imported by {reached_from(module)[each]}, imports {heavy}"


@pytest.mark.parametrize("module", layer("algorithms", "gui", "provider", "plugin"))
def test_qgis_layers_never_import_torch_themselves(module):
    assert not tops(module) & HEAVY


@pytest.mark.parametrize("module", [each for each in MODULES if each not in layer("core.geo")])
def test_gdal_is_only_in_core_geo(module):
    assert not tops(module) & {"osgeo", "gdal", "ogr", "osr", "rasterio", "fiona"}


def test_plugin_imports_its_window_only_where_there_is_one():
    assert not layer("gui") or not set(layer("gui")) & set(reached_from("geodl_plugin.plugin"))


def test_the_walk_finds_what_it_looks_for():
    assert "osgeo" in tops("geodl_plugin.core.geo.raster")
    assert "torch" in tops("geodl_plugin.worker.selftest")
    assert "torch" not in tops("geodl_plugin.worker.selftest", nested=False)
    assert "geodl_plugin.core.errors" in reached_from("geodl_plugin.worker.client")
