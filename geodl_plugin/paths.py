"""Where the plugin's own files lie."""

from __future__ import annotations

from pathlib import Path

PLUGIN = Path(__file__).resolve().parent
ICONS = PLUGIN / "resources" / "icons"
if not ICONS.exists():  # in a checkout the resources lie beside the package
    ICONS = PLUGIN.parent / "resources" / "icons"
ICON = ICONS / "geodl.svg"
LABEL_ICON = ICONS / "label.svg"
