"""Which predictions answer for which object in training.

As in YOLO v3, an object belongs to the anchor whose shape is most like its own, in the cell where
its centre lies. With few images that teaches too few predictions, so two more choices, both of
which may be turned off: other anchors that are alike enough answer as well, and so do the two
neighbouring cells that are nearest to the centre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dragoman_models.vision.detection.boxes import shape_iou
from dragoman_models.vision.detection.config import STRIDES, DetectorConfig


@dataclass(frozen=True, kw_only=True)
class AssignmentOptions:
    """How objects choose their predictions.

    Args:
        match_iou: anchors whose shape has at least this IoU with an object's answer for it too,
            besides its best one; above 1, only the best.
        neighbours: whether the nearest cell to the side, and that above or below, answer too.
    """

    match_iou: float = 0.5
    neighbours: bool = True


@dataclass(frozen=True, kw_only=True)
class Assigned:
    """The P predictions of one stride that answer for an object."""

    image: Tensor  # (P,) index in the batch
    anchor: Tensor  # (P,)
    row: Tensor  # (P,)
    column: Tensor  # (P,)
    boxes: Tensor  # (P, 4), the object's corners in input pixels
    classes: Tensor  # (P,)


def assign_targets(
    boxes: Sequence[Tensor],
    classes: Sequence[Tensor],
    config: DetectorConfig,
    *,
    height: int,
    width: int,
    options: AssignmentOptions,
) -> tuple[Assigned, ...]:
    """For each stride, what answers for the objects of a batch.

    Args:
        boxes: for each image, (N, 4) corners in pixels of the input, with an area.
        classes: for each image, (N,).
        height, width: of the input.

    A prediction that two objects claim answers for the one whose shape is more like its anchor.
    """
    counts = torch.tensor([len(of_image) for of_image in boxes])
    image = torch.repeat_interleave(torch.arange(len(boxes)), counts)  # (N,)
    corners, labels = torch.cat(list(boxes)), torch.cat(list(classes))
    anchors = torch.tensor([pair for of_stride in config.anchors for pair in of_stride])
    alike = shape_iou(corners[:, 2:] - corners[:, :2], anchors)  # (N, anchors)
    chosen = alike >= options.match_iou
    if len(corners):
        chosen[torch.arange(len(corners)), alike.argmax(dim=1)] = True
    assigned, start = [], 0
    for of_stride, stride in zip(config.anchors, STRIDES, strict=True):
        columns = slice(start, start + len(of_stride))
        start += len(of_stride)
        objects, anchor = chosen[:, columns].nonzero(as_tuple=True)
        grid = (height // stride, width // stride)
        which, cells = _cells(corners[objects], stride, grid, neighbours=options.neighbours)
        objects, anchor = objects[which], anchor[which]
        kept = _best_claims(image[objects], anchor, cells, alike[:, columns][objects, anchor], grid)
        objects, anchor, cells = objects[kept], anchor[kept], cells[kept]
        assigned.append(
            Assigned(
                image=image[objects], anchor=anchor, row=cells[:, 1], column=cells[:, 0],
                boxes=corners[objects], classes=labels[objects],
            )
        )  # fmt: skip
    return tuple(assigned)


def _cells(
    corners: Tensor, stride: int, grid: tuple[int, int], *, neighbours: bool
) -> tuple[Tensor, Tensor]:
    """The cells of P boxes (P, 4): indices into them (Q,), and columns and rows (Q, 2)."""
    height, width = grid
    limit = torch.tensor([width, height])
    centre = (corners[:, :2] + corners[:, 2:]) / (2 * stride)
    # A centre on the input's far edge is in the last cell.
    own = torch.minimum(centre.floor().long(), limit - 1).clamp(min=0)
    which = torch.arange(len(corners))
    if not neighbours:
        return which, own
    toward = torch.where(centre - own < 0.5, -1, 1)  # (P, 2)
    aside = own + toward * torch.tensor([1, 0])
    below = own + toward * torch.tensor([0, 1])
    cells = torch.cat([own, aside, below])
    inside = ((cells >= 0) & (cells < limit)).all(dim=1)
    return which.repeat(3)[inside], cells[inside]


def _best_claims(
    image: Tensor, anchor: Tensor, cells: Tensor, alike: Tensor, grid: tuple[int, int]
) -> Tensor:
    """Of claims on one prediction, the index of that with the greatest likeness."""
    height, width = grid
    anchors = int(anchor.max()) + 1 if len(anchor) else 1
    place = ((image * anchors + anchor) * height + cells[:, 1]) * width + cells[:, 0]
    order = torch.argsort(alike, descending=True, stable=True)
    places = place[order]
    by_place = torch.argsort(places, stable=True)  # within a place, the greatest likeness first
    first = torch.ones(len(place), dtype=torch.bool)
    first[1:] = places[by_place][1:] != places[by_place][:-1]
    return order[by_place[first]].sort().values
