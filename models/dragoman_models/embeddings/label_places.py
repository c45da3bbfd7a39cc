"""Where the labels of points go, so that they cover neither each other nor the points."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]  # (n, 4): left, bottom, right, top

_POINT_RADIUS = 3.0
_GAP = 4.0
_RINGS = (1.0, 2.5, 4.5, 7.0, 10.0)  # in gaps
_DIRECTIONS = 16


def place_labels(points: NDArray[np.float64], sizes: NDArray[np.float64], frame: Boxes) -> Boxes:
    """The boxes (n, 4) of n labels of `sizes` (n, 2), each beside its point of `points` (n, 2).

    All lengths are in one unit, a printer's point; `frame` is the box (4,) that labels shall stay
    in. Each label, the first words first, takes the nearest of its places that covers nothing, or
    that which covers least where none is free.
    """
    spots = np.concatenate([points - _POINT_RADIUS, points + _POINT_RADIUS], axis=1)
    placed = np.empty((len(points), 4))
    for index, (point, size) in enumerate(zip(points, sizes, strict=True)):
        taken = np.concatenate([placed[:index], np.delete(spots, index, axis=0)])
        best, least = placed[index], np.inf
        for candidates in _rings(point, size):
            covered = _overlap(candidates, taken) + _outside(candidates, frame)
            choice = int(np.argmin(covered))
            if covered[choice] < least:
                best, least = candidates[choice], covered[choice]
            if least == 0:
                break
        placed[index] = best
    return placed


def _rings(point: NDArray[np.float64], size: NDArray[np.float64]) -> Iterator[Boxes]:
    """Boxes around a point, the upper right one first, ever farther away."""
    angles = np.pi / 4 + np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS)
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # (directions, 2)
    # Beside the point a box touches the ring with the middle of a side, between with a corner.
    halves = np.clip(ways * np.sqrt(2), -1, 1) * size / 2
    for ring in _RINGS:
        centers = point + ways * ring * _GAP + halves
        yield np.concatenate([centers - size / 2, centers + size / 2], axis=1)


def _overlap(boxes: Boxes, others: Boxes) -> NDArray[np.float64]:
    """The area of each of `boxes` (b, 4) that `others` (n, 4) cover: (b,)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])  # (b, n, 2)
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    area: NDArray[np.float64] = np.clip(high - low, 0, None).prod(axis=2).sum(axis=1)
    return area


def _outside(boxes: Boxes, frame: Boxes) -> NDArray[np.float64]:
    """The area of each of `boxes` (b, 4) that lies outside `frame` (4,): (b,)."""
    area: NDArray[np.float64] = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return area - _overlap(boxes, frame[None])
