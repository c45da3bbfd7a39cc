"""Activations and their gradients, written out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[Any]  # of float32 or float64


@dataclass(frozen=True, kw_only=True)
class Activation:
    """a = g(z) in each component, and how the cost's gradient passes it.

    `gradient(z, a, upstream)` is dJ/dz, given dJ/da = `upstream`; all of one shape.
    """

    name: str
    value: Callable[[Floats], Floats]
    gradient: Callable[[Floats, Floats, Floats], Floats]


def sigmoid(z: Floats) -> Floats:
    """1 / (1 + exp(-z)), without overflow: the exponent is never positive."""
    shrunk = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1, shrunk) / (1 + shrunk))


def softmax(z: Floats) -> Floats:
    """(N, classes): exp(z_k) / sum_j exp(z_j) of each row."""
    exponentials = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def _softmax_gradient(_: Floats, a: Floats, upstream: Floats) -> Floats:
    # da_k / dz_j = a_k ([k = j] - a_j), so dJ/dz_j = a_j (u_j - sum_k u_k a_k).
    return np.asarray(a * (upstream - (upstream * a).sum(axis=1, keepdims=True)))


def leaky_relu(slope: float) -> Activation:
    """z where it is positive, `slope` z elsewhere (Maas et al. 2013)."""
    return Activation(
        name="leaky_relu",
        value=lambda z: np.where(z > 0, z, slope * z),
        gradient=lambda z, _, upstream: np.where(z > 0, upstream, slope * upstream),
    )


SIGMOID = Activation(
    name="sigmoid", value=sigmoid, gradient=lambda _, a, upstream: upstream * a * (1 - a)
)
TANH = Activation(name="tanh", value=np.tanh, gradient=lambda _, a, upstream: upstream * (1 - a**2))
RELU = Activation(
    name="relu",
    value=lambda z: np.maximum(z, 0),
    gradient=lambda z, _, upstream: np.where(z > 0, upstream, 0),
)
LEAKY_RELU = leaky_relu(0.01)
SOFTMAX = Activation(name="softmax", value=softmax, gradient=_softmax_gradient)
ACTIVATIONS = (SIGMOID, TANH, RELU, LEAKY_RELU, SOFTMAX)
