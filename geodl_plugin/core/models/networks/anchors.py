"""Anchors of the single-shot detector: made, matched, encoded and decoded."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

BACKGROUND, NEITHER = -1, -2  # instead of the index of a box
_TIE = 1e-3  # of IoU, for each cell that an object is away


class Anchors(NamedTuple):
    """Boxes from which objects are told by a shift and a scale.

    Attributes:
        centres: ``(n, 2)`` as x, y in pixels.
        sizes: ``(n, 2)`` as width, height in pixels.
        cells: ``(n, 2)``, width and height of the cell that each anchor stands in.
    """

    centres: Tensor
    sizes: Tensor
    cells: Tensor

    @property
    def boxes(self) -> Tensor:
        """The anchors as boxes ``(n, 4)``."""
        halves = self.sizes / 2
        return torch.cat([self.centres - halves, self.centres + halves], 1)

    def take(self, index: Tensor) -> Anchors:
        """Return those of an index ``(k,)``."""
        return Anchors(self.centres[index], self.sizes[index], self.cells[index])

    def encode(self, boxes: Tensor) -> Tensor:
        """Return what the squashed network answer must be for each anchor's box ``(n, 4)``.

        The numbers lie in −1 to 1 for all boxes that the anchor can reach.
        """
        low, high = boxes[:, :2], boxes[:, 2:]
        shifts = ((low + high) / 2 - self.centres) / (self.cells / 2)
        scales = ((high - low) / self.sizes - 1) * 2
        return torch.cat([shifts, scales], 1)

    def decode(self, squashed: Tensor) -> Tensor:
        """Return the boxes ``(…, n, 4)`` of squashed answers ``(…, n, 4)`` in −1 to 1.

        The centre moves by at most half a cell; width and height scale by 0.5 to 1.5.
        """
        centres = self.centres + squashed[..., :2] * (self.cells / 2)
        halves = self.sizes * (1 + squashed[..., 2:] / 2) / 2
        return torch.cat([centres - halves, centres + halves], -1)


def grid_anchors(
    rows: int, cols: int, cell: tuple[float, float], shapes: Tensor, device: torch.device
) -> Anchors:
    """Return the anchors of one grid, cell by cell, all shapes of a cell in turn.

    Args:
        rows, cols: cells of the grid.
        cell: width and height of a cell, in pixels.
        shapes: ``(k, 2)``, width and height of each anchor in cells.
        device: where the tensors live.
    """
    size = torch.tensor(cell, dtype=torch.float32, device=device)
    y, x = torch.meshgrid(
        torch.arange(rows, device=device), torch.arange(cols, device=device), indexing="ij"
    )
    centres = (torch.stack([x, y], -1).reshape(-1, 1, 2) + 0.5) * size
    count = len(shapes)
    centres = centres.expand(-1, count, 2).reshape(-1, 2)
    sizes = (shapes.to(device) * size).repeat(rows * cols, 1)
    return Anchors(centres, sizes, size.expand_as(sizes))


def join(parts: list[Anchors]) -> Anchors:
    """Return the anchors of all grids as one."""
    return Anchors(
        torch.cat([each.centres for each in parts]),
        torch.cat([each.sizes for each in parts]),
        torch.cat([each.cells for each in parts]),
    )


def reach(anchors: Anchors, boxes: Tensor) -> Tensor:
    """Return the IoU ``(n, m)`` of anchors, moved as near as they can, and boxes ``(m, 4)``.

    An object anywhere in a cell is then as near to that cell's anchor as one in its middle.
    Without moving them, which of several anchors overlaps an object most would depend on where it
    lies among the cells of all grids, which a network takes very long to learn.
    """
    sizes, most = boxes[:, 2:] - boxes[:, :2], anchors.cells[:, None] / 2
    moved = torch.maximum(torch.minimum(_away(anchors, boxes), most), -most)
    centres = anchors.centres[:, None] + moved
    halves = anchors.sizes[:, None] / 2
    low = torch.maximum(centres - halves, boxes[None, :, :2])
    high = torch.minimum(centres + halves, boxes[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    return shared / (anchors.sizes.prod(-1)[:, None] + sizes.prod(-1)[None] - shared)


def _away(anchors: Anchors, boxes: Tensor) -> Tensor:
    """Return how far ``(n, m, 2)`` in pixels the middles of boxes lie from those of anchors."""
    return (boxes[:, :2] + boxes[:, 2:])[None] / 2 - anchors.centres[:, None]


def match(anchors: Anchors, boxes: Tensor, least: float, background: float) -> Tensor:
    """Return for each anchor the index of its box, :data:`BACKGROUND` or :data:`NEITHER`.

    Each anchor that can :func:`reach` a box with an IoU above ``least`` takes its best box, and
    each box takes its best anchor whatever the IoU, so that none is lost. What reaches no box
    with more than ``background`` is background; what lies between counts as neither.
    """
    found = torch.full((len(anchors.sizes),), BACKGROUND, dtype=torch.long, device=boxes.device)
    if not len(boxes):
        return found
    near = reach(anchors, boxes)
    best, index = near.max(1)
    found[best > background] = NEITHER
    found[best > least] = index[best > least]
    # Of anchors that are as near, small objects take the one in whose cell they lie.
    cells = (_away(anchors, boxes) / anchors.cells[:, None]).abs().amax(-1)
    _give_each(found, near - _TIE * cells)
    return found


def _give_each(found: Tensor, wanted: Tensor) -> None:
    """Give each box ``(m,)`` its best anchor ``(n,)`` by how much it is ``wanted`` ``(n, m)``.

    Of several boxes that want one anchor, the one that wants it most gets it; the others take
    the best of those that are left. Boxes are lost only where there are fewer anchors.
    """
    pending = torch.arange(wanted.shape[1], device=wanted.device)
    while len(pending):
        most, place = wanted[:, pending].max(0)
        order = most.argsort(descending=True, stable=True)
        order = order[most[order] > -torch.inf]  # no anchor is left for the rest
        pending, place = pending[order], place[order]
        beaten = (place[:, None] == place).tril(-1).any(1)
        found[place[~beaten]] = pending[~beaten]
        wanted[place[~beaten]] = -torch.inf
        pending = pending[beaten]
