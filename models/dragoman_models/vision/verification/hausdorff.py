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
    from scipy.spatial.distance import cdist

    squared = cdist(first, second, "sqeuclidean")  # (n, m)
    forward = np.sqrt(squared.min(axis=1)).mean()
    backward = np.sqrt(squared.min(axis=0)).mean()
    return float(max(forward, backward))


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
