"""The plugin as QGIS sees it: the provider everywhere, menu and docks where there is a window."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication

from .provider import GeoDLProvider


class GeoDLPlugin:
    """Registers GeoDL with QGIS.

    Args:
        iface: the window's interface; ``None`` in ``qgis_process``.
    """

    def __init__(self, iface: Any) -> None:
        self.iface = iface
        self.provider: GeoDLProvider | None = None
        self._window: Any = None

    def initProcessing(self) -> None:  # noqa: N802 (the name that QGIS calls)
        """Offer the tools to Processing."""
        if self.provider is None:
            self.provider = GeoDLProvider()
            QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:  # noqa: N802 (the name that QGIS calls)
        """Offer the tools, the menu and the training dock."""
        self.initProcessing()
        if self.iface is None:
            return
        from .gui.entries import WindowEntries

        self._window = WindowEntries(self.iface)

    def unload(self) -> None:
        """Take everything out of QGIS again, and end a training that still runs."""
        if self._window is not None:
            self._window.remove()
            self._window = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
