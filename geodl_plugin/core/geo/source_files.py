"""The files that a raster or a layer is read from."""

from __future__ import annotations

from collections.abc import Sequence

from osgeo import gdal

from .gdal_calls import attempt

_STATISTICS = ".aux.xml"  # which programs write while they show a raster
_VIRTUAL = ".vrt"


def files_of(sources: Sequence[str]) -> list[str]:
    """Return the files of rasters or layers, those behind virtual rasters too.

    What GDAL cannot open has none.
    """
    found: dict[str, None] = {}
    waiting = list(sources)
    while waiting:
        source = waiting.pop()
        for each in _listed(source):
            if each in found or each.lower().endswith(_STATISTICS):
                continue
            found[each] = None
            if each != source and each.lower().endswith(_VIRTUAL):
                waiting.append(each)
    return list(found)


def _listed(source: str) -> list[str]:
    dataset = attempt(gdal.OpenEx, source, gdal.OF_RASTER | gdal.OF_VECTOR)
    return [] if dataset is None else dataset.GetFileList() or []
