"""The report of an inspection of training data."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence

from ..pages import figures, heading, lead, note, page, table
from ..samples.schema import ClassDefinition
from . import contact_sheet
from .labels import BoxLabel, ClassLabel, InstanceLabel, MaskLabel, NoLabel, PanopticLabel
from .problems import Kind, Problem, Severity
from .survey import BINS_PER_OCTAVE, Survey

LISTED = 100  # sentences of one kind
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 360, 190, 40, 16, 42  # of the histogram

STYLE = """
details { border: 1px solid var(--line); border-radius: 8px; margin: 0.5rem 0;
  padding: 0.5rem 0.8rem; }
summary { cursor: pointer; }
summary b { margin-right: 0.4rem; }
.severity { border-radius: 4px; padding: 0.1rem 0.4rem; font-size: 0.8rem; white-space: nowrap; }
.fatal { background: #b3261e; color: #fff; }
.warning { background: #f2c14e; color: #2b2100; }
details ul { margin: 0.5rem 0 0.2rem; padding-left: 1.1rem; font-size: 0.92rem;
  overflow-wrap: anywhere; }
.good { border-left: 4px solid #3a9d5d; padding-left: 0.7rem; }
.bars { display: grid; grid-template-columns: fit-content(40%) 1fr; gap: 0.35rem 0.8rem;
  align-items: center; margin: 0.6rem 0; }
.bars div { display: flex; align-items: center; gap: 0.5rem; }
.bars div i { height: 1rem; border-radius: 3px; min-width: 2px; flex-shrink: 0; }
.bars div span { font-size: 0.9rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
"""


def inspection_page(found: Survey, sheet: Sequence[str], chosen: Sequence[int], how: str) -> str:
    """Return the report as an HTML page.

    Args:
        found: what the folder holds.
        sheet: the chips of the contact sheet, as HTML.
        chosen: their positions.
        how: a sentence that says how they are shown.
    """
    parts = [lead(summary(found)), _figures(found), *_problem_parts(found)]
    if sheet:
        parts += _sheet_parts(found, sheet, chosen, how)
    parts += [*_balance_parts(found), *_size_parts(found), *_band_parts(found)]
    title = f"Training data in {found.folder.path.resolve().name}"
    return page(title, parts, STYLE + contact_sheet.STYLE)


def summary(found: Survey) -> str:
    """Return what the inspection found, as a sentence."""
    chips = f"{_many(len(found.folder.chips), 'chip')} in the format {found.folder.format}"
    fatal = len(found.fatal)
    warnings = len(found.problems) - fatal
    if not found.problems:
        return f"{chips}: nothing is wrong."
    worth = f"{_many(warnings, 'problem')} {'is' if warnings == 1 else 'are'} worth a look"
    if not fatal:
        return f"{chips}: nothing stops training, {worth}."
    stops = f"{_many(fatal, 'problem')} {'stops' if fatal == 1 else 'stop'} training"
    return f"{chips}: {stops}" + (f", {worth}." if warnings else ".")


def _figures(found: Survey) -> str:
    folder = found.folder
    values = {
        "chips": f"{len(folder.chips):,}",
        "pixels a chip" if len(found.shapes) < 2 else "pixels, most chips": _size(found),
        f"bands, {folder.dtype}": str(folder.band_count),
    }
    if folder.reader.label is not NoLabel:
        values["classes"] = str(len(folder.schema))
    if found.objects:
        values["objects"] = f"{sum(found.objects.values()):,}"
    values["problems"] = f"{len(found.problems):,}"
    return figures(values)


def _size(found: Survey) -> str:
    """Return the size that most chips have; the definition's where none can be read."""
    usual = found.shapes.most_common(1)
    rows, cols = usual[0][0] if usual else (found.folder.height, found.folder.width)
    return f"{cols} × {rows}"


def _problem_parts(found: Survey) -> list[str]:
    parts = [heading("Problems")]
    if not found.problems:
        return [*parts, '<p class="good">None was found.</p>']
    for severity in Severity:
        for kind in Kind:
            of_kind = [
                each for each in found.problems if each.kind is kind and each.severity is severity
            ]
            if of_kind:
                parts.append(_problem_list(of_kind, found))
    return parts


def _problem_list(problems: Sequence[Problem], found: Survey) -> str:
    kind, severity = problems[0].kind, problems[0].severity
    prefix = f"{found.folder.path}{os.sep}"
    items = [
        f"<li>{html.escape(each.sentence.replace(prefix, ''))}</li>" for each in problems[:LISTED]
    ]
    if len(problems) > LISTED:
        items.append(f"<li>… and {len(problems) - LISTED:,} more.</li>")
    opened = " open" if severity is Severity.FATAL or len(problems) <= 5 else ""
    return (
        f"<details{opened}><summary><b>{kind.value}</b> "
        f'<span class="severity {severity.name.lower()}">{severity.value}</span> '
        f"{len(problems):,}</summary><ul>{''.join(items)}</ul></details>"
    )


def _sheet_parts(found: Survey, sheet: Sequence[str], chosen: Sequence[int], how: str) -> list[str]:
    present = {value for each in found.classes for value in each or ()}
    shown = {value for position in chosen for value in found.classes[position] or ()}
    text = f"{_many(len(sheet), 'chip')}, drawn at random"
    if len(present) > 1:
        text += (
            " so that every class appears"
            if shown == present
            else f"; they show {len(shown)} of {len(present)} classes, more rows show more"
        )
    return [
        heading("Contact sheet"),
        note(f"{text}. {how}"),
        f'<div class="sheet">{"".join(sheet)}</div>',
    ]


def _balance_parts(found: Survey) -> list[str]:
    kind = found.folder.reader.label
    if issubclass(kind, NoLabel):
        return []
    classes = list(found.folder.schema.classes)
    if issubclass(kind, (BoxLabel, InstanceLabel)):
        counts, unit = found.objects, "objects"
    elif issubclass(kind, ClassLabel):
        counts, unit = found.chips, "chips"
    else:
        counts, unit = found.pixels, "pixels"
        if found.pixels[0] and found.folder.schema.by_value(0) is None:
            classes.insert(0, ClassDefinition(0, "no class", (150, 150, 150)))
    parts = [
        heading("Class balance"),
        note(f"Bars: {unit}, and their share."),
        _bars(classes, counts),
    ]
    header = ["Class", "Value", "Chips"]
    columns = [found.chips]
    if issubclass(kind, (BoxLabel, InstanceLabel, PanopticLabel)):
        header.append("Objects")
        columns.append(found.objects)
    if issubclass(kind, (MaskLabel, PanopticLabel)):
        header.append("Pixels")
        columns.append(found.pixels)
    rows = [
        [each.name, str(each.value), *(f"{column[each.value]:,}" for column in columns)]
        for each in found.folder.schema.classes
    ]
    return [*parts, table(header, rows)]


def _bars(classes: Sequence[ClassDefinition], counts: dict[int, int]) -> str:
    total = sum(counts[each.value] for each in classes) or 1
    most = max((counts[each.value] for each in classes), default=0) or 1
    lines = []
    for each in classes:
        count = counts[each.value]
        lines.append(
            contact_sheet.swatch(each)
            + f'<div><i style="width:calc({count / most:.4f} * (100% - 9.5rem));'
            f'background:rgb{each.color}"></i><span>{count:,} ({count / total:.1%})</span></div>'
        )
    return f'<div class="bars">{"".join(lines)}</div>'


def _size_parts(found: Survey) -> list[str]:
    if not found.sizes:
        return []
    rows = [
        [each.name, *(f"{number:.1f}" for number in (tally.least, tally.mean, tally.most))]
        for each in found.folder.schema.classes
        for tally in [found.sizes[each.value]]
        if tally.count
    ]
    return [
        heading("Object sizes"),
        note("The side of a square as large as the object's box, in pixels."),
        histogram(found),
        table(["Class", "Smallest", "Mean", "Largest"], rows),
    ]


def histogram(found: Survey) -> str:
    """Return how many objects have which size, as SVG; sizes grow by a factor from bar to bar."""
    first, last = min(found.size_bins), max(found.size_bins)
    bins = range(first, last + 1)
    most = max(found.size_bins.values())
    step = (WIDTH - LEFT - 8) / len(bins)
    base = HEIGHT - BOTTOM
    parts = [
        f'<path d="M{LEFT} {base}H{WIDTH - 8}" stroke="currentColor" stroke-opacity="0.4"/>'
        f'<text x="{LEFT - 6}" y="{TOP + 4}" text-anchor="end">{most:,}</text>'
        f'<text x="{LEFT - 6}" y="{base + 4}" text-anchor="end">0</text>'
        f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 6}" text-anchor="middle">'
        "Size (pixels)</text>"
    ]
    every = -(-len(bins) // 9)  # so that the numbers do not touch
    for place, each in enumerate(bins):
        left = LEFT + place * step
        low, high = (2 ** ((each + more) / BINS_PER_OCTAVE) for more in (0, 1))
        tall = found.size_bins[each] / most * (base - TOP)
        parts.append(
            f'<rect x="{left + 1:.1f}" y="{base - tall:.1f}" width="{max(step - 2, 1):.1f}" '
            f'height="{tall:.1f}" rx="2" fill="#3a9d5d"><title>{low:.3g} to {high:.3g} pixels: '
            f"{found.size_bins[each]:,}</title></rect>"
        )
        if place % every == 0:
            parts.append(
                f'<text x="{left:.1f}" y="{base + 15}" text-anchor="middle">{low:.2g}</text>'
            )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-size="12" fill="currentColor" '
        f'aria-label="Objects by size">{"".join(parts)}</svg>'
    )


def _band_parts(found: Survey) -> list[str]:
    bands = found.bands.of_bands(found.folder.band_names)
    rows = [
        [str(each["BandName"]), *(f"{each[key]:,.6g}" for key in ("Min", "Max", "Mean", "StdDev"))]
        for each in bands
    ]
    header = ["Band", "Minimum", "Maximum", "Mean", "Standard deviation"]
    return [heading("Bands"), table(header, rows)] if rows else []


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")
