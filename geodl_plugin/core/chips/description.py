"""The four files that describe a training-data folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..geo.raster import Raster
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
    across, down = zip(*(each.geotransform.cell_size() for each in rasters))
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
        "MinCellSize": {"x": min(across), "y": min(down)},
        "MaxCellSize": {"x": max(across), "y": max(down)},
        "CropTileMode": "Variable_Size" if options.bounding_box else "Fixed_Size",
        "BlackenAroundFeature": options.blacken,
    }
