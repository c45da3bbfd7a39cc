"""How large weights begin, so that signals neither vanish nor explode from layer to layer."""

from __future__ import annotations

import enum

import numpy as np

from dragoman_models.vision.first_principles.activations import Floats


class Initialization(enum.Enum):
    """The variance of a layer's weights, by its numbers of inputs and outputs."""

    HE = "he"  # 2 / inputs: He et al. 2015, equation 10, for ReLU
    XAVIER = "xavier"  # 2 / (inputs + outputs): Glorot and Bengio 2010, equation 12
    LECUN = "lecun"  # 1 / inputs: LeCun et al. 1998, section 4.6


def initial_weight(
    inputs: int, outputs: int, how: Initialization, chance: np.random.Generator
) -> Floats:
    """(inputs, outputs) of normal numbers, in float64."""
    variance = {
        Initialization.HE: 2 / inputs,
        Initialization.XAVIER: 2 / (inputs + outputs),
        Initialization.LECUN: 1 / inputs,
    }[how]
    return chance.normal(0, variance**0.5, (inputs, outputs))
