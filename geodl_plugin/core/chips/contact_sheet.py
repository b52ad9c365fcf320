"""A contact sheet: chips with their labels drawn on them."""

from __future__ import annotations

import html
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..geo.picture import Limits, data_address, png, shown_bands, stretch_limits, stretched
from ..geo.raster import Block
from ..progress import Phase
from ..samples.schema import ClassDefinition, Schema
from .folder import ChipFolder
from .labels import BoxLabel, ClassLabel, InstanceLabel, Label, MaskLabel, NoLabel, PanopticLabel

COLUMNS = 4
SIDE = 256  # pixels of a picture, at most
TINT = 0.4  # share of the class's colour in what it covers
UNKNOWN = (255, 0, 255)  # colour of a class that the folder does not know
_SAMPLE = 4096  # pixels of a chip that count for the stretch

# Returns the pixels and the label of the chip at a position: as stored, or as a network sees it.
Look = Callable[[int], "tuple[Block, Label]"]

STYLE = """
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 0.8rem;
  margin: 0.6rem 0; }
.sheet figure { margin: 0; min-width: 0; }
.sheet svg { border-radius: 4px; background: var(--line); }
.sheet figcaption { font-size: 0.85rem; line-height: 1.35; overflow-wrap: anywhere; }
.sheet small { display: block; color: var(--soft); }
.class { display: inline-block; margin-right: 0.6em; overflow-wrap: anywhere; }
.class i { display: inline-block; width: 0.7em; height: 0.7em; border-radius: 2px;
  margin-right: 0.3em; }
"""


@dataclass(frozen=True)
class View:
    """A chip as it is shown.

    Attributes:
        name: of the chip.
        pixels: of the shown bands, ``(1 or 3, rows, cols)``.
        valid: where they have data, ``(rows, cols)``.
        label: drawn on them.
    """

    name: str
    pixels: np.ndarray
    valid: np.ndarray
    label: Label


def choose(classes: Sequence[tuple[int, ...] | None], count: int, seed: int) -> list[int]:
    """Return the positions of ``count`` chips, drawn so that as many classes as can be appear.

    Args:
        classes: the class values on each chip; ``None`` for a chip that cannot be shown.
        count: how many chips to choose.
        seed: the same seed chooses the same chips.
    """
    order = [position for position, each in enumerate(classes) if each is not None]
    random.Random(seed).shuffle(order)  # noqa: S311 # nosec B311: pictures, no secrets
    rarity = Counter(value for each in classes for value in each or ())
    chosen: list[int] = []
    shown: set[int] = set()
    for value in sorted(rarity, key=lambda value: (rarity[value], value)):
        if value not in shown and len(chosen) < count:
            having = (each for each in order if value in (classes[each] or ()))
            best = max(having, key=lambda each: len(set(classes[each] or ()) - shown))
            chosen.append(best)
            shown.update(classes[best] or ())
    rest = (each for each in order if each not in set(chosen))
    # Chips with something on them say more than empty ones.
    chosen += sorted(rest, key=lambda each: not classes[each])[: count - len(chosen)]
    return sorted(chosen)


def contact_sheet(
    folder: ChipFolder, positions: Sequence[int], look: Look, phase: Phase
) -> list[str]:
    """Return the figures of chips as HTML."""
    bands = shown_bands(folder.band_names)
    phase.total = len(positions)
    views = []
    for position in positions:
        block, label = look(position)
        name = folder.chips[position].image.relative_to(folder.path).as_posix()
        if len(block.pixels) == 2 * folder.band_count:
            block, label = side_by_side(block, label)
        views.append(View(name, block.pixels[list(bands)], block.valid, label))
        phase.step()
    limits = stretch_limits([_sample(each) for each in views], folder.dtype)
    return [figure(view, folder.schema, limits) for view in views]


def side_by_side(block: Block, label: Label) -> tuple[Block, Label]:
    """Return two dates, stacked in the bands, beside each other; the second has the label."""
    pixels = np.concatenate(np.split(block.pixels, 2), axis=2)
    valid = np.tile(block.valid, 2)
    if isinstance(label, MaskLabel):
        label = MaskLabel(np.concatenate([np.zeros_like(label.values), label.values], axis=1))
    return Block(pixels, valid), label


def figure(view: View, schema: Schema, limits: Limits) -> str:
    """Return a chip with its label drawn, its classes and its name, as HTML."""
    rows, cols = view.valid.shape
    picture = tinted(stretched(view.pixels, limits), view.label, schema)
    if not view.valid.all():
        picture = np.concatenate([picture, (view.valid * np.uint8(255))[np.newaxis]])
    scale = max(rows, cols) / 100
    name = html.escape(view.name)
    return (
        f'<figure><svg viewBox="0 0 {cols} {rows}" role="img" aria-label="{name}">'
        f'<image width="{cols}" height="{rows}" href="{data_address(png(picture, SIDE))}"/>'
        f"{''.join(_outlines(view.label, schema, scale))}</svg>"
        f"<figcaption>{_classes(view.label, schema)}<small>{name}</small>"
        "</figcaption></figure>"
    )


def swatch(each: ClassDefinition, text: str = "") -> str:
    """Return the name of a class beside its colour, and a text after it, as HTML."""
    return (
        f'<span class="class"><i style="background:rgb{each.color}"></i>'
        f"{html.escape(each.name)}{html.escape(text)}</span>"
    )


def _sample(view: View) -> np.ndarray:
    pixels = view.pixels[:, view.valid]
    return pixels[:, :: max(pixels.shape[1] // _SAMPLE, 1)]


def tinted(picture: np.ndarray, label: Label, schema: Schema, tint: float = TINT) -> np.ndarray:
    """Return the picture with masks tinted and their edges drawn."""
    if isinstance(label, PanopticLabel):
        return tinted(tinted(picture, label.instances, schema, 0.0), label.mask, schema)
    result = picture.astype(np.float64)
    if isinstance(label, MaskLabel):
        for value in label.classes:
            _paint(result, label.values == value, _definition(value, schema).color, tint)
    elif isinstance(label, InstanceLabel) and not label.rings:
        for mask, value in zip(label.masks, label.values.tolist()):
            _paint(result, mask, _definition(value, schema).color, tint)
    return np.round(result).astype(np.uint8)


def _paint(picture: np.ndarray, mask: np.ndarray, color: Sequence[int], tint: float) -> None:
    shade = np.array(color, np.float64)[:, np.newaxis]
    picture[:, mask] = (1 - tint) * picture[:, mask] + tint * shade
    picture[:, mask & ~_inner(mask)] = shade


def _inner(mask: np.ndarray) -> np.ndarray:
    """Return the pixels whose four neighbours are in the mask, too; beyond the edge all are."""
    padded = np.pad(mask, 1, mode="edge")
    return padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:] & mask


def _outlines(label: Label, schema: Schema, scale: float) -> Iterable[str]:
    """Yield boxes and outlines; a line is ``scale`` pixels wide."""
    if isinstance(label, BoxLabel):
        for (xmin, ymin, xmax, ymax), value in zip(label.boxes.tolist(), label.values.tolist()):
            each = _definition(value, schema)
            yield (
                f'<rect x="{xmin:.2f}" y="{ymin:.2f}" width="{max(xmax - xmin, 0):.2f}" '
                f'height="{max(ymax - ymin, 0):.2f}" {_pen(each, scale, 0.0)}'
                f"<title>{html.escape(each.name)}</title></rect>"
            )
    elif isinstance(label, InstanceLabel):
        for rings, value in zip(label.rings, label.values.tolist()):
            each = _definition(value, schema)
            path = "".join(
                f"M{' '.join(f'{x:.1f},{y:.1f}' for x, y in ring.tolist())}Z" for ring in rings
            )
            yield (
                f'<path d="{path}" {_pen(each, scale, TINT)}'
                f"<title>{html.escape(each.name)}</title></path>"
            )


def _pen(each: ClassDefinition, width: float, opacity: float) -> str:
    color = f"rgb{each.color}"
    fill = (
        f'fill="{color}" fill-opacity="{opacity}" fill-rule="evenodd"' if opacity else 'fill="none"'
    )
    return f'{fill} stroke="{color}" stroke-width="{width:.2f}" stroke-linejoin="round">'


def _classes(label: Label, schema: Schema) -> str:
    """Return the classes of a label, and how many objects of each there are."""
    if isinstance(label, NoLabel):
        return ""
    counts: Counter[int] = Counter()
    objects = label.instances if isinstance(label, PanopticLabel) else label
    if isinstance(label, (PanopticLabel, MaskLabel)):
        mask = label.mask if isinstance(label, PanopticLabel) else label
        counts.update(dict.fromkeys(mask.classes, 0))
    if isinstance(label, ClassLabel):
        counts.update(dict.fromkeys(label.values, 0))
    if isinstance(objects, (BoxLabel, InstanceLabel)):
        counts.update(np.asarray(objects.values).tolist())
    if not counts:
        return '<span class="class">nothing</span>'
    return " ".join(
        swatch(_definition(value, schema), f" × {count}" if count else "")
        for value, count in sorted(counts.items())
    )


def _definition(value: int, schema: Schema) -> ClassDefinition:
    return schema.by_value(value) or ClassDefinition(value, f"unknown {value}", UNKNOWN)
