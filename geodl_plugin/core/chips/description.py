"""The four files that describe a training-data folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..geo.crs import same_crs, spatial_reference
from ..geo.raster import Raster
from ..geo.units import metres_per_pixel
from ..packages.definition import class_to_json
from .folder import DEFINITION, STATISTICS
from .options import ExportOptions
from .statistics import ChipStatistics, write_json

MAP = "map.txt"  # the pairs of chips and labels


def describe(
    folder: Path,
    options: ExportOptions,
    rasters: Sequence[Raster],
    statistics: ChipStatistics,
) -> None:
    """Write definition and statistics; the pairs of chips and labels come with the chips.

    Args:
        folder: of the images and labels.
        options: of the export.
        rasters: those of which chips were cut, or their mosaic.
        statistics: of all chips.
    """
    size = (rasters[0].band_count, options.width, options.height)
    write_json(folder / STATISTICS, statistics.as_json(options.format, *size))
    (folder / "stats.txt").write_text(statistics.as_text(*size), encoding="utf-8")
    write_json(folder / DEFINITION, _definition(options, rasters, statistics))


def _definition(
    options: ExportOptions, rasters: Sequence[Raster], statistics: ChipStatistics
) -> dict[str, Any]:
    raster = rasters[0]
    least, most = _cell_sizes(rasters)
    return {
        "Framework": "",
        "ModelConfiguration": "",
        "ModelType": "",
        "ModelFile": "",
        "ImageHeight": options.height,
        "ImageWidth": options.width,
        "ExtractBands": list(range(raster.band_count)),
        "Classes": [class_to_json(each) for each in statistics.schema.classes],
        "MetaDataMode": options.format,
        "ImageSpaceUsed": "PIXEL_SPACE" if options.pixel_space else "MAP_SPACE",
        "InputRastersProps": {
            "RasterCount": len(options.rasters),
            "SensorName": "",
            "BandNames": list(raster.band_names),
        },
        "AllTilesStats": statistics.bands.of_bands(raster.band_names),
        "MinCellSize": least,
        "MaxCellSize": most,
        "CropTileMode": "Variable_Size" if options.bounding_box else "Fixed_Size",
        "BlackenAroundFeature": options.blacken,
    }


def _cell_sizes(rasters: Sequence[Raster]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the smallest and the largest cells, each in the units of its own system."""
    first = rasters[0].crs
    metres = [metres_per_pixel(raster) or 0.0 for raster in rasters]
    if all(same_crs(first, raster.crs) for raster in rasters) or not all(metres):
        across, down = zip(*(each.geotransform.cell_size() for each in rasters))
        ends = ((min(across), min(down), first), (max(across), max(down), first))
    else:
        order = sorted(zip(metres, rasters), key=lambda pair: pair[0])
        several = (order[0][1], order[-1][1])
        ends = tuple((*each.geotransform.cell_size(), each.crs) for each in several)
    least, most = ({"x": x, "y": y, **_system(crs)} for x, y, crs in ends)
    return least, most


def _system(crs: str) -> dict[str, Any]:
    """Return a coordinate reference system by its number, as ArcGIS does; nothing without one."""
    reference = spatial_reference(crs) if crs else None
    if reference is None or reference.GetAuthorityName(None) != "EPSG":
        return {}
    number = int(reference.GetAuthorityCode(None))
    return {"spatialReference": {"wkid": number, "latestWkid": number}}
