"""Standardization of inputs: each feature gets mean 0 and variance 1 over the training set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dragoman_models.vision.first_principles.activations import Floats


@dataclass(frozen=True, kw_only=True)
class InputScaling:
    """Mean and standard deviation of each feature; what is learnt from the training set is applied
    to the test set too."""

    mean: Floats  # (features,)
    deviation: Floats  # (features,), above 0

    def scaled(self, inputs: Floats) -> Floats:
        """(N, features) -> the same."""
        return (inputs - self.mean) / self.deviation


def input_scaling(inputs: Floats) -> InputScaling:
    """Of (N, features); a feature that never changes keeps its size."""
    deviation = inputs.std(axis=0)
    return InputScaling(mean=inputs.mean(axis=0), deviation=np.where(deviation > 0, deviation, 1))
