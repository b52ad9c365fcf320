"""Pages of reports: one HTML file without anything from elsewhere, readable on a phone."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .replacing import replace

STYLE = """
:root { color-scheme: light dark; --ink: #1d2522; --soft: #66736d; --line: #d5dcd8; --back: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eeea; --soft: #9fada6; --line: #3a4540; --back: #161c19; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back);
  max-width: 46rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; margin: 0.2rem 0 0.6rem; }
h2 { font-size: 1.1rem; margin: 1.6rem 0 0.4rem; }
.lead { font-size: 1.05rem; }
.figures { display: flex; flex-wrap: wrap; gap: 0.6rem; margin: 1rem 0; padding: 0; }
.figures div { border: 1px solid var(--line); border-radius: 8px; padding: 0.4rem 0.8rem; }
.figures b { display: block; font-size: 1.35rem; }
.figures span, .note { color: var(--soft); font-size: 0.9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.7rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { font-weight: 600; font-size: 0.9rem; }
th:first-child, td:first-child { text-align: left; }
td.diagonal { font-weight: 700; background: #3a9d5d33; }
svg { display: block; width: 100%; max-width: 32rem; height: auto; color: var(--ink); }
"""


def write(path: Path, page: str) -> None:
    """Write a page under a temporary name and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.part")
    try:
        temporary.write_text(page, encoding="utf-8")
        replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def page(title: str, parts: Iterable[str], style: str = "") -> str:
    """Return a whole HTML page, with style rules of its own after the common ones."""
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]], diagonal: int = 0) -> str:
    """Return an HTML table that scrolls sideways by itself.

    Args:
        header, rows: texts, escaped here.
        diagonal: how many rows have the cell to the right of the diagonal marked.
    """
    lines = ["<tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in header) + "</tr>"]
    for position, row in enumerate(rows):
        cells = []
        for column, cell in enumerate(row):
            marked = position < diagonal and column == position + 1
            cells.append(f"<td{' class=diagonal' if marked else ''}>{html.escape(cell)}</td>")
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>"


def figures(values: Mapping[str, float | str | None]) -> str:
    """Return the figures that matter most, each large with its name; numbers are shares of 1."""
    boxes = "".join(
        f"<div><b>{html.escape(value) if isinstance(value, str) else ratio(value)}</b>"
        f"<span>{html.escape(name)}</span></div>"
        for name, value in values.items()
    )
    return f'<div class="figures">{boxes}</div>'


def lead(text: str) -> str:
    """Return the sentence that says it all."""
    return f'<p class="lead">{html.escape(text)}</p>'


def note(text: str) -> str:
    """Return a sentence in small print."""
    return f'<p class="note">{html.escape(text)}</p>'


def heading(text: str) -> str:
    """Return the heading of a part."""
    return f"<h2>{html.escape(text)}</h2>"


def ratio(value: float | None) -> str:
    """Return a share of 1 with three decimals, or a dash where there is none."""
    return "–" if value is None else f"{value:.3f}"
