"""Cross-entropy from logits, and its gradient, for two classes and for more.

Both are computed from the logits z and not from the probabilities, so that neither log 0 nor a
division by 0 can come up. With the activation before them, their gradients are of one form:
(probability - target) / N.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman_models.vision.first_principles.activations import Floats, sigmoid, softmax

Classes = NDArray[Any]  # (N,), whole numbers from 0


def binary_cross_entropy(z: Floats, classes: Classes) -> float:
    """-mean(y log s(z) + (1 - y) log(1 - s(z))) = mean(log(1 + exp(z)) - y z); z: (N, 1)."""
    y = classes[:, np.newaxis]
    return float(np.mean(np.logaddexp(0, z) - y * z))


def binary_cross_entropy_gradient(z: Floats, classes: Classes) -> Floats:
    """dJ/dz = (s(z) - y) / N: (N, 1)."""
    y = classes[:, np.newaxis]
    return ((sigmoid(z) - y) / len(z)).astype(z.dtype)


def cross_entropy(z: Floats, classes: Classes) -> float:
    """-mean(log softmax(z)_y); z: (N, classes)."""
    peak = z.max(axis=1)
    normalizer = peak + np.log(np.exp(z - peak[:, np.newaxis]).sum(axis=1))  # (N,)
    return float(np.mean(normalizer - z[np.arange(len(z)), classes]))


def cross_entropy_gradient(z: Floats, classes: Classes) -> Floats:
    """dJ/dz = (softmax(z) - one-hot y) / N: (N, classes)."""
    gradient = softmax(z)
    gradient[np.arange(len(z)), classes] -= 1
    return gradient / len(z)
