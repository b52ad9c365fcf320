"""GeoDL: deep learning on imagery as QGIS Processing tools."""

from __future__ import annotations


def classFactory(iface):  # noqa: N802 (the name that QGIS calls)
    """Return the plugin; ``iface`` is ``None`` in ``qgis_process``."""
    from .plugin import GeoDLPlugin

    return GeoDLPlugin(iface)
