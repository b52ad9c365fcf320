"""The files that a raster or a layer is read from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from osgeo import gdal

from .gdal_calls import attempt

_STATISTICS = ".aux.xml"  # which programs write while they show a raster
_VIRTUAL = ".vrt"
_ARCHIVES = ("/vsizip/", "/vsitar/", "/vsigzip/", "/vsi7z/", "/vsirar/")


def files_of(sources: Sequence[str]) -> list[str]:
    """Return the files of rasters or layers, those behind virtual rasters and archives too.

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
            archive = _archive_of(each)
            if archive is not None:
                found[str(archive)] = None
            if each != source and each.lower().endswith(_VIRTUAL):
                waiting.append(each)
    return list(found)


def _listed(source: str) -> list[str]:
    dataset = attempt(gdal.OpenEx, source, gdal.OF_RASTER | gdal.OF_VECTOR)
    return [] if dataset is None else dataset.GetFileList() or []


def _archive_of(name: str) -> Path | None:
    """Return the file on disk in which GDAL finds what it calls ``/vsizip/a.zip/b.tif``, say."""
    path = name
    while path.startswith(_ARCHIVES):
        path = path[path.index("/", 1) + 1 :]
        if path.startswith("{"):  # as an archive without a suffix is written
            path = path[1:].replace("}", "", 1)
    if path == name:
        return None
    return next((each for each in (Path(path), *Path(path).parents) if each.is_file()), None)
