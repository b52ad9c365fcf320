"""GDAL as newer QGIS has it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from osgeo import gdal, ogr, osr

LIBRARIES = (gdal, ogr, osr)


@pytest.fixture
def raising() -> Iterator[None]:
    """Let GDAL raise exceptions, as QGIS from 3.38 has it."""
    before = [each.GetUseExceptions() for each in LIBRARIES]
    for each in LIBRARIES:
        each.UseExceptions()
    yield
    for each, on in reversed(list(zip(LIBRARIES, before))):
        if not on:
            each.DontUseExceptions()
