"""The modified Hausdorff distance of drawings (Dubuisson and Jain 1994), the classic baseline.

A drawing is the set of its inked pixels, moved so that their mean lies at 0. With d(a, B) the
distance from point a to the nearest point of B, the distance of A and B is

    max(mean over a in A of d(a, B), mean over b in B of d(b, A))

which is the paper's d_6 directed distance, made symmetric by its f_2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.compiled import compiled
from dragoman_models.errors import InvalidInputError
from dragoman_models.vision.verification.one_shot import Episode, EpisodeDistances

_INK_BELOW = 128


def inked_points(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The inked pixels of a drawing around their mean, (points, 2).

    Args:
        pixels: (H, W), dark ink on light paper.

    Raises:
        InvalidInputError: there is no ink.
    """
    ink = np.argwhere(pixels < _INK_BELOW).astype(np.float64)
    if not len(ink):
        raise InvalidInputError.single("image", "has no ink: no pixel is darker than 128")
    centred: NDArray[np.float64] = ink - ink.mean(axis=0)
    return centred


def modified_hausdorff(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """The distance of two drawings by their points, (n, 2) and (m, 2), in pixels."""
    one, other = np.ascontiguousarray(first.T), np.ascontiguousarray(second.T)
    return float(max(_mean_nearest(one, other), _mean_nearest(other, one)))


@compiled
def _mean_nearest(points: NDArray[np.float64], to: NDArray[np.float64]) -> float:
    """The mean over `points` (2, n) of the distance to the nearest point of `to` (2, m).

    The points of both lie on grids of pixels, but by centring not on the same grid, so that a
    distance transform would only be near. Every pair is compared; the inner loop keeps n least
    distances side by side, which vector registers do, where one least distance at a time is slow.
    """
    count = points.shape[1]
    least = np.full(count, np.inf)
    for other in range(to.shape[1]):
        y, x = to[0, other], to[1, other]
        for own in range(count):
            down, right = points[0, own] - y, points[1, own] - x
            squared = down * down + right * right
            least[own] = squared if squared < least[own] else least[own]
    return float(np.sqrt(least).mean())


def hausdorff_distances(pixels: NDArray[np.uint8]) -> EpisodeDistances:
    """Modified Hausdorff distances of grey images, (N, 1, H, W)."""
    made: dict[int, NDArray[np.float64]] = {}

    def points(number: int) -> NDArray[np.float64]:
        if number not in made:
            made[number] = inked_points(pixels[number, 0])
        return made[number]

    def distances(episode: Episode) -> NDArray[np.float64]:
        references = [points(int(number)) for number in episode.references]
        queries = [points(int(number)) for number in episode.queries]
        return np.array([[modified_hausdorff(q, r) for r in references] for q in queries])

    return distances
