"""The modified Hausdorff distance of drawings (Dubuisson and Jain 1994), the classic baseline.

A drawing is the set of its inked pixels, moved so that their mean lies at 0. With d(a, B) the
distance from point a to the nearest point of B, the distance of A and B is

    max(mean over a in A of d(a, B), mean over b in B of d(b, A))

which is the paper's d_6 directed distance, made symmetric by its f_2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dragoman_models.errors import InvalidInputError
from dragoman_models.vision.verification.one_shot import Episode, EpisodeDistances

_INK_BELOW = 128


class Drawing:
    """The inked points of a drawing, around their mean, ready to be searched."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        """`pixels` (H, W) is dark ink on light paper.

        Raises `InvalidInputError` where there is no ink.
        """
        from scipy.spatial import KDTree

        ink = np.argwhere(pixels < _INK_BELOW).astype(np.float64)  # (points, 2)
        if not len(ink):
            raise InvalidInputError.single("image", "has no ink: no pixel is darker than 128")
        self.points = ink - ink.mean(axis=0)
        self._tree = KDTree(self.points)

    def distances_from(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """From each of the points (n, 2) to this drawing's nearest, in pixels; (n,)."""
        nearest: NDArray[np.float64] = self._tree.query(points)[0]
        return nearest


def modified_hausdorff(first: Drawing, second: Drawing) -> float:
    """The distance of two drawings, in pixels."""
    forward = second.distances_from(first.points).mean()
    backward = first.distances_from(second.points).mean()
    return float(max(forward, backward))


def hausdorff_distances(pixels: NDArray[np.uint8]) -> EpisodeDistances:
    """Modified Hausdorff distances of grey images, (N, 1, H, W)."""
    made: dict[int, Drawing] = {}

    def drawing(number: int) -> Drawing:
        if number not in made:
            made[number] = Drawing(pixels[number, 0])
        return made[number]

    def distances(episode: Episode) -> NDArray[np.float64]:
        references = [drawing(int(number)) for number in episode.references]
        queries = [drawing(int(number)) for number in episode.queries]
        return np.array([[modified_hausdorff(q, r) for r in references] for q in queries])

    return distances
