"""One-shot classification: which of N images, one of each class, shows what the query shows?

`within` is the protocol of Lake, Salakhutdinov and Tenenbaum (2015, supplement): a run takes 20
characters of one alphabet as one maker drew them, and each of the 20 as drawn by another maker is
to be found among them. `mixed` is looser and easier, as in Vinyals et al. (2016): the classes of a
run come from all groups, and makers are drawn for each class by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dragoman_models.errors import TrainingError
from dragoman_models.vision.verification.labelled_images import LabelledImages

Protocol = Literal["within", "mixed"]


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One run: queries[i] is of the class of references[i]; both (N,), numbers of images."""

    references: NDArray[np.int64]
    queries: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class OneShotFigures:
    """The share of queries that were found, and how sure it is.

    `deviation` is the standard deviation of a run's accuracy, `standard_error` that of the mean.
    """

    accuracy: float
    deviation: float
    standard_error: float
    episodes: int
    ways: int


def draw_episodes(
    data: LabelledImages, *, protocol: Protocol, ways: int, episodes: int, seed: int
) -> list[Episode]:
    """Runs with a fixed seed; within, groups take turns, as far as they have enough classes.

    Raises:
        TrainingError: no group (within) or not all together (mixed) have enough classes.
    """
    chance = np.random.default_rng(seed)
    if protocol == "mixed":
        return [_mixed(data, ways, chance) for _ in range(episodes)]
    groups = [np.flatnonzero(np.array(data.class_groups) == name) for name in data.groups]
    large = [own for own in groups if len(own) >= ways]
    if not large:
        raise TrainingError(
            f"{ways}-way runs within a group need one of {ways} classes; the largest has "
            f"{max(map(len, groups), default=0)}"
        )
    return [_within(data, large[run % len(large)], ways, chance) for run in range(episodes)]


def _within(
    data: LabelledImages, group: NDArray[np.int64], ways: int, chance: np.random.Generator
) -> Episode:
    chosen = chance.choice(group, size=ways, replace=False)
    of_chosen = [np.flatnonzero(data.classes == number) for number in chosen]
    makers = [set(data.makers[own].tolist()) for own in of_chosen]
    everywhere = sorted(set.intersection(*makers))
    if len(everywhere) < 2:
        raise TrainingError("runs within a group need two makers of whom each class has an image")
    first, second = chance.choice(everywhere, size=2, replace=False)
    pick = [[own[data.makers[own] == maker][0] for own in of_chosen] for maker in (first, second)]
    return Episode(references=np.array(pick[0]), queries=np.array(pick[1]))


def _mixed(data: LabelledImages, ways: int, chance: np.random.Generator) -> Episode:
    members = data.members()
    usable = [number for number, own in enumerate(members) if len(own) > 1]
    if len(usable) < ways:
        raise TrainingError(
            f"{ways}-way runs need {ways} classes with two images; there are {len(usable)}"
        )
    chosen = chance.choice(usable, size=ways, replace=False)
    pairs = [chance.choice(members[number], size=2, replace=False) for number in chosen]
    return Episode(
        references=np.array([pair[0] for pair in pairs]),
        queries=np.array([pair[1] for pair in pairs]),
    )


# Distances of each query to each reference, (N, N).
EpisodeDistances: TypeAlias = Callable[[Episode], NDArray[np.float64]]


def vector_distances(vectors: NDArray[np.float32]) -> EpisodeDistances:
    """Euclidean distances of the images' vectors, (images, D)."""

    def distances(episode: Episode) -> NDArray[np.float64]:
        queries = vectors[episode.queries].astype(np.float64)
        references = vectors[episode.references].astype(np.float64)
        between: NDArray[np.float64] = np.linalg.norm(queries[:, None] - references[None], axis=2)
        return between

    return distances


def one_shot_figures(episodes: Sequence[Episode], distances: EpisodeDistances) -> OneShotFigures:
    """How often the nearest reference is the right one; of n equally near, it counts as 1 / n."""
    shares = np.array([_share_found(distances(episode)) for episode in episodes])
    deviation = float(shares.std(ddof=1)) if len(shares) > 1 else 0.0
    return OneShotFigures(
        accuracy=float(shares.mean()),
        deviation=deviation,
        standard_error=deviation / math.sqrt(len(shares)),
        episodes=len(episodes),
        ways=len(episodes[0].references),
    )


def _share_found(distances: NDArray[np.float64]) -> float:
    nearest = distances == distances.min(axis=1, keepdims=True)
    return float((np.diagonal(nearest) / nearest.sum(axis=1)).mean())
