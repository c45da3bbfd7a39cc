"""Steps down the gradient: plain, with momentum, RMSProp and Adam.

Each `step(parameters, gradients)` changes the parameters, arrays of any shapes, in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from dragoman_models.vision.first_principles.activations import Floats


class Optimizer(Protocol):
    """What changes parameters by their gradients."""

    def step(self, parameters: Sequence[Floats], gradients: Sequence[Floats]) -> None:
        """One step; the same parameters, in the same order, each time."""
        ...


class GradientDescent:
    """w -= rate dw."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def step(self, parameters: Sequence[Floats], gradients: Sequence[Floats]) -> None:
        """One step."""
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter -= self.rate * gradient


class Momentum:
    """v = beta v + (1 - beta) dw; w -= rate v (Polyak 1964, as an average)."""

    def __init__(self, rate: float, beta: float = 0.9) -> None:
        self.rate, self.beta = rate, beta
        self._average: list[Floats] = []

    def step(self, parameters: Sequence[Floats], gradients: Sequence[Floats]) -> None:
        """One step."""
        self._average = self._average or [np.zeros_like(one) for one in parameters]
        for parameter, gradient, v in zip(parameters, gradients, self._average, strict=True):
            v += (1 - self.beta) * (gradient - v)
            parameter -= self.rate * v


class RmsProp:
    """s = beta s + (1 - beta) dw^2; w -= rate dw / (sqrt(s) + epsilon) (Hinton 2012, lecture 6)."""

    def __init__(self, rate: float, beta: float = 0.9, epsilon: float = 1e-8) -> None:
        self.rate, self.beta, self.epsilon = rate, beta, epsilon
        self._squares: list[Floats] = []

    def step(self, parameters: Sequence[Floats], gradients: Sequence[Floats]) -> None:
        """One step."""
        self._squares = self._squares or [np.zeros_like(one) for one in parameters]
        for parameter, gradient, s in zip(parameters, gradients, self._squares, strict=True):
            s += (1 - self.beta) * (gradient**2 - s)
            parameter -= self.rate * gradient / (np.sqrt(s) + self.epsilon)


class Adam:
    """Momentum over RMSProp, both freed from their beginning at zero (Kingma and Ba 2015,
    algorithm 1)."""

    def __init__(
        self, rate: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
    ) -> None:
        self.rate, self.beta1, self.beta2, self.epsilon = rate, beta1, beta2, epsilon
        self.steps = 0
        self._average: list[Floats] = []
        self._squares: list[Floats] = []

    def step(self, parameters: Sequence[Floats], gradients: Sequence[Floats]) -> None:
        """One step."""
        self._average = self._average or [np.zeros_like(one) for one in parameters]
        self._squares = self._squares or [np.zeros_like(one) for one in parameters]
        self.steps += 1
        first, second = 1 - self.beta1**self.steps, 1 - self.beta2**self.steps
        for parameter, gradient, v, s in zip(
            parameters, gradients, self._average, self._squares, strict=True
        ):
            v += (1 - self.beta1) * (gradient - v)
            s += (1 - self.beta2) * (gradient**2 - s)
            parameter -= self.rate * (v / first) / (np.sqrt(s / second) + self.epsilon)
