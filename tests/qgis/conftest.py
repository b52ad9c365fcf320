"""A QGIS in this process, with the provider registered once."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from qgis import utils
from qgis.core import QgsLayerTreeModel, QgsMapLayer, QgsProject
from qgis.gui import QgsLayerTreeView
from qgis.PyQt import sip

from geodl_plugin.provider import GeoDLProvider


@pytest.fixture(scope="session", autouse=True)
def layer_tree(qgis_app: Any) -> Iterator[None]:
    """The list of layers of a window, which newer QGIS asks for and the simulated window lacks."""
    view = QgsLayerTreeView()
    model = QgsLayerTreeModel(QgsProject.instance().layerTreeRoot())
    view.setModel(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(utils.iface), "layerTreeView", lambda _: view, raising=False)
        yield
    view.setModel(None)


@pytest.fixture(scope="session")
def provider(qgis_app: Any, qgis_processing: None) -> Iterator[GeoDLProvider]:
    """The provider, registered as QGIS does it."""
    os.environ["GEODL_PYTHON"] = sys.executable
    registry = qgis_app.processingRegistry()
    found = registry.providerById("geodl")
    if found is not None:
        yield found
        return
    created = GeoDLProvider()
    registry.addProvider(created)
    yield created
    registry.removeProvider(created)


@pytest.fixture(scope="session", autouse=True)
def tidy(qgis_app: Any) -> Iterator[None]:
    """Let go of layers while QGIS lives: one that outlives it ends the process by a crash.

    An error that went through QGIS is never freed, and its traceback holds a test's layers.
    """
    yield
    for each in gc.get_objects():
        # By its type: other libraries' objects run code when they are asked for their class.
        if not issubclass(type(each), QgsMapLayer):
            continue
        if not sip.isdeleted(each) and sip.ispyowned(each):
            sip.delete(each)


@pytest.fixture
def run(provider: GeoDLProvider) -> Callable[..., dict[str, Any]]:
    """Return a function that runs a tool: ``run("detectobjects", INPUT=…)``."""
    import processing

    def call(tool: str, feedback: Any = None, **parameters: Any) -> dict[str, Any]:
        return processing.run(f"geodl:{tool}", parameters, feedback=feedback)

    return call
