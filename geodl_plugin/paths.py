"""Where the plugin's own files lie."""

from __future__ import annotations

from pathlib import Path

PLUGIN = Path(__file__).resolve().parent
ICON = PLUGIN / "resources" / "icons" / "geodl.svg"
if not ICON.exists():  # in a checkout the resources lie beside the package
    ICON = PLUGIN.parent / "resources" / "icons" / "geodl.svg"
