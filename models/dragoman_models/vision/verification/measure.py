"""Measures a finished training run on the classes that it never saw."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from dragoman_models.errors import TrainingError
from dragoman_models.vision.verification.hausdorff import hausdorff_distances
from dragoman_models.vision.verification.labelled_images import LabelledImages
from dragoman_models.vision.verification.network import EmbeddingNetwork, embedded
from dragoman_models.vision.verification.omniglot import read_omniglot
from dragoman_models.vision.verification.one_shot import (
    Episode,
    OneShotFigures,
    Protocol,
    draw_episodes,
    one_shot_figures,
    vector_distances,
)
from dragoman_models.vision.verification.recipe import ImageEmbedderRecipe
from dragoman_models.vision.verification.run_images import RunImages
from dragoman_models.vision.verification.trainer import BEST, LOG
from dragoman_models.vision.verification.verification_figures import (
    EqualError,
    Roc,
    all_pairs,
    equal_error,
    rates_at,
    rejection_at,
    roc,
)

OMNIGLOT_SIZE = 105
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """What a run's folder holds, with its weights rounded to 16 bits, as they are shipped."""

    name: str  # of its folder
    recipe: ImageEmbedderRecipe
    weights: dict[str, torch.Tensor]
    network: EmbeddingNetwork
    curve: list[dict[str, str]]

    @property
    def parameter_count(self) -> int:
        """How many numbers were learnt."""
        return sum(parameter.numel() for parameter in self.network.parameters())


@dataclass(frozen=True, kw_only=True)
class VerificationFigures:
    """How pairs of classes that training never saw are told apart, by the stored threshold too."""

    pairs_same: int
    pairs_different: int
    curve: Roc
    equal: EqualError
    rejected_at_one_percent: float  # FRR at a FAR of 1 %
    false_acceptance: float  # FAR at the stored threshold
    false_rejection: float  # FRR there


@dataclass(frozen=True, kw_only=True)
class TestFigures:
    """All figures of a run; one-shot by its protocol, and of the baseline where there is one."""

    __test__ = False  # pytest would take it for a test

    threshold: float  # where FAR and FRR of the validation's classes are equal
    valid_equal: EqualError
    one_shot: Mapping[Protocol, OneShotFigures]
    baseline: Mapping[Protocol, OneShotFigures]
    verification: Mapping[Protocol, VerificationFigures]


def read_run(folder: Path, recipe: ImageEmbedderRecipe) -> TrainedRun:
    """Reads the best weights and the log that training left in ``folder``.

    Raises:
        TrainingError: something is missing, or was trained by another recipe.
    """
    try:
        best = load_file(folder / BEST)
        with (folder / LOG).open(newline="") as file:
            curve = list(csv.DictReader(file))
        weights = {
            name: weight.half() for name, weight in best.items() if not name.endswith(_COUNTER)
        }
        network = EmbeddingNetwork(recipe.network)
        network.load_state_dict({name: weight.float() for name, weight in weights.items()})
    except (OSError, RuntimeError, ValueError, safetensors.SafetensorError) as error:
        raise TrainingError(f"{folder} holds no finished run of this recipe: {error}") from error
    network.eval()
    return TrainedRun(
        name=folder.absolute().name, recipe=recipe, weights=weights, network=network, curve=curve
    )


def measure(
    run: TrainedRun, images: RunImages, *, episodes: int, seed: int, ways: int
) -> TestFigures:
    """The figures of the test's classes, with the threshold of the validation's.

    Raises:
        TrainingError: the images do not allow such runs.
    """
    valid = all_pairs(images.valid, embedded(run.network, images.valid.pixels), protocol="within")
    valid_equal = equal_error(roc(valid))
    threshold = round(valid_equal.threshold, 4)  # as it is stored
    vectors = embedded(run.network, images.test.pixels)
    one_shot: dict[Protocol, OneShotFigures] = {}
    baseline: dict[Protocol, OneShotFigures] = {}
    drawings = _drawings(run.recipe)
    for protocol in _protocols(run.recipe):
        runs = draw_episodes(
            images.test, protocol=protocol, ways=ways, episodes=episodes, seed=seed
        )
        one_shot[protocol] = one_shot_figures(runs, vector_distances(vectors))
        if drawings is not None:
            baseline[protocol] = _baseline(runs, drawings)
    return TestFigures(
        threshold=threshold,
        valid_equal=valid_equal,
        one_shot=one_shot,
        baseline=baseline,
        verification={
            protocol: _verification(images.test, vectors, protocol, threshold)
            for protocol in _protocols(run.recipe)
        },
    )


def _protocols(recipe: ImageEmbedderRecipe) -> tuple[Protocol, ...]:
    """People are of one group: to them, both protocols are one but for the makers."""
    return ("mixed",) if recipe.identities is not None else ("within", "mixed")


def _drawings(recipe: ImageEmbedderRecipe) -> LabelledImages | None:
    """The test's drawings at their full size, for the Hausdorff distance; not of people."""
    if not recipe.omniglot:
        return None
    images = read_omniglot(recipe.omniglot, size=OMNIGLOT_SIZE, color="grey")
    return images.only_groups(recipe.test_groups)


def _baseline(runs: list[Episode], drawings: LabelledImages) -> OneShotFigures:
    return one_shot_figures(runs, hausdorff_distances(drawings.pixels))


def _verification(
    images: LabelledImages, vectors: NDArray[np.float32], protocol: Protocol, threshold: float
) -> VerificationFigures:
    pairs = all_pairs(images, vectors, protocol=protocol)
    curve = roc(pairs)
    acceptance, rejection = rates_at(pairs, threshold)
    return VerificationFigures(
        pairs_same=len(pairs.same),
        pairs_different=len(pairs.different),
        curve=curve,
        equal=equal_error(curve),
        rejected_at_one_percent=rejection_at(curve, 0.01),
        false_acceptance=acceptance,
        false_rejection=rejection,
    )


def as_metrics(figures: TestFigures) -> dict[str, Any]:
    """The figures as they stand in metrics.json."""
    return {
        "threshold": figures.threshold,
        "valid_equal_error_rate": round(figures.valid_equal.rate, 4),
        "one_shot": {name: _as_json(one) for name, one in figures.one_shot.items()},
        "modified_hausdorff": {name: _as_json(one) for name, one in figures.baseline.items()},
        "verification": {
            name: {
                "pairs_same": one.pairs_same,
                "pairs_different": one.pairs_different,
                "equal_error_rate": round(one.equal.rate, 4),
                "false_rejection_at_false_acceptance_0.01": round(one.rejected_at_one_percent, 4),
                "false_acceptance_at_threshold": round(one.false_acceptance, 4),
                "false_rejection_at_threshold": round(one.false_rejection, 4),
            }
            for name, one in figures.verification.items()
        },
    }


def _as_json(figures: OneShotFigures) -> dict[str, Any]:
    return {
        "accuracy": round(figures.accuracy, 4),
        "deviation_of_a_run": round(figures.deviation, 4),
        "standard_error": round(figures.standard_error, 4),
        "runs": figures.episodes,
        "ways": figures.ways,
    }
