"""A QGIS in this process, with the provider registered once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from geodl_plugin.provider import GeoDLProvider


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


@pytest.fixture
def run(provider: GeoDLProvider) -> Callable[..., dict[str, Any]]:
    """Return a function that runs a tool: ``run("detectobjects", INPUT=…)``."""
    import processing

    def call(tool: str, feedback: Any = None, **parameters: Any) -> dict[str, Any]:
        return processing.run(f"geodl:{tool}", parameters, feedback=feedback)

    return call
