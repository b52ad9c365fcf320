"""Charts as inline SVG: not every QGIS has matplotlib."""

from __future__ import annotations

import html
from collections.abc import Mapping

import numpy as np

from ..samples.schema import Color

WIDTH, HEIGHT = 360, 300
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 42
POINTS = 400  # of a line; a longer one would look the same


def curves_svg(
    lines: Mapping[str, tuple[np.ndarray, np.ndarray, Color]], x_label: str, y_label: str
) -> str:
    """Return a chart of lines between 0 and 1 on both axes.

    Args:
        lines: by name the x values ``(n,)``, the y values ``(n,)`` and the colour.
        x_label, y_label: what the axes show.
    """
    parts = [_axes(x_label, y_label)]
    for name, (x, y, color) in lines.items():
        parts.append(
            f'<polyline fill="none" stroke="rgb{color}" stroke-width="2" '
            f'stroke-linejoin="round" points="{_points(x, y)}">'
            f"<title>{html.escape(name)}</title></polyline>"
        )
    if len(lines) > 1:
        parts.append(_legend({name: line[2] for name, line in lines.items()}))
    height = HEIGHT + (18 * len(lines) if len(lines) > 1 else 0)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" font-size="12" fill="currentColor" '
        f'aria-label="{html.escape(y_label)} against {html.escape(x_label)}">'
        f"{''.join(parts)}</svg>"
    )


def _axes(x_label: str, y_label: str) -> str:
    parts = []
    for tenth in range(0, 11, 2):
        x, y = _place(tenth / 10, tenth / 10)
        parts.append(
            f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}M{LEFT} {y:.1f}H{WIDTH - RIGHT}" '
            'stroke="currentColor" stroke-opacity="0.18"/>'
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tenth / 10:g}'
            f'</text><text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tenth / 10:g}</text>'
        )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">'
        f"{html.escape(x_label)}</text>"
        f'<text transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(y_label)}</text>"
    )
    return "".join(parts)


def _legend(colors: Mapping[str, Color]) -> str:
    entries = []
    for position, (name, color) in enumerate(colors.items()):
        y = HEIGHT + 10 + 18 * position
        entries.append(
            f'<path d="M{LEFT} {y}h22" stroke="rgb{color}" stroke-width="3"/>'
            f'<text x="{LEFT + 30}" y="{y + 4}">{html.escape(name)}</text>'
        )
    return "".join(entries)


def _points(x: np.ndarray, y: np.ndarray) -> str:
    if not len(x):
        return ""
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), POINTS)).astype(int))
    places = (_place(float(x[index]), float(y[index])) for index in kept)
    return " ".join(f"{left:.1f},{top:.1f}" for left, top in places)


def _place(x: float, y: float) -> tuple[float, float]:
    return (
        LEFT + x * (WIDTH - LEFT - RIGHT),
        HEIGHT - BOTTOM - y * (HEIGHT - TOP - BOTTOM),
    )
