"""The Processing provider: finds the tools in ``algorithms/`` and offers them."""

from __future__ import annotations

import importlib
import pkgutil

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from . import algorithms, paths
from .algorithms.base import GeoDLAlgorithm
from .algorithms.proxy import proxy_variables
from .core.geo.vector_writer import DRIVERS
from .core.inference.checks import RASTER_SUFFIXES
from .worker.processes import VARIABLE_SOURCES


class GeoDLProvider(QgsProcessingProvider):
    """Offers every tool of GeoDL to the toolbox, the modeler and ``qgis_process``."""

    def id(self) -> str:
        return "geodl"

    def name(self) -> str:
        return "GeoDL"

    def longName(self) -> str:  # noqa: N802
        return self.tr("GeoDL deep learning")

    def icon(self) -> QIcon:
        return QIcon(str(paths.ICON))

    def supportsNonFileBasedOutput(self) -> bool:  # noqa: N802
        # The worker writes files: a database or a memory layer is out of its reach.
        return False

    def supportedOutputVectorLayerExtensions(self) -> list[str]:  # noqa: N802
        return [suffix[1:] for suffix in DRIVERS]  # the dialogs offer these

    def supportedOutputTableExtensions(self) -> list[str]:  # noqa: N802
        return [suffix[1:] for suffix in DRIVERS if suffix != ".shp"]

    def supportedOutputRasterLayerExtensions(self) -> list[str]:  # noqa: N802
        return [suffix[1:] for suffix in RASTER_SUFFIXES]

    def load(self) -> bool:
        if proxy_variables not in VARIABLE_SOURCES:
            VARIABLE_SOURCES.append(proxy_variables)
        return super().load()

    def unload(self) -> None:
        if proxy_variables in VARIABLE_SOURCES:
            VARIABLE_SOURCES.remove(proxy_variables)
        super().unload()

    def loadAlgorithms(self) -> None:  # noqa: N802
        for tool in tools():
            self.addAlgorithm(tool())


def tools() -> list[type[GeoDLAlgorithm]]:
    """Return the tool of every module in ``algorithms/``: a new tool is one file."""
    found = []
    for module in pkgutil.iter_modules(algorithms.__path__):
        loaded = importlib.import_module(f"{algorithms.__name__}.{module.name}")
        found += [
            each
            for each in vars(loaded).values()
            if isinstance(each, type)
            and issubclass(each, GeoDLAlgorithm)
            and each.NAME
            and each.__module__ == loaded.__name__
        ]
    return found
