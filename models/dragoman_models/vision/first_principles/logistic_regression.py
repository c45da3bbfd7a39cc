"""Logistic regression: one neuron, learnt by gradient descent on the cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dragoman_models.vision.first_principles.activations import Floats, sigmoid
from dragoman_models.vision.first_principles.costs import Classes, binary_cross_entropy


@dataclass(frozen=True, kw_only=True)
class LogisticRegression:
    """P(y = 1 | x) = s(x w + b)."""

    weight: Floats  # (features,)
    bias: float

    def logits(self, inputs: Floats) -> Floats:
        """(N, features) -> (N,)."""
        return np.asarray(inputs @ self.weight + self.bias)

    def classes(self, inputs: Floats) -> Classes:
        """(N, features) -> (N,) of 0 and 1: the likelier."""
        return (self.logits(inputs) > 0).astype(np.int64)

    def cost(self, inputs: Floats, classes: Classes, l2: float = 0.0) -> float:
        """J = mean cross-entropy + l2 / (2 N) |w|^2."""
        penalty = l2 / (2 * len(inputs)) * float(self.weight @ self.weight)
        return binary_cross_entropy(self.logits(inputs)[:, np.newaxis], classes) + penalty

    def gradient(self, inputs: Floats, classes: Classes, l2: float = 0.0) -> tuple[Floats, float]:
        """(dJ/dw: (features,), dJ/db)."""
        error = (sigmoid(self.logits(inputs)) - classes) / len(inputs)  # dJ/dz: (N,)
        return error @ inputs + l2 / len(inputs) * self.weight, float(error.sum())


def fit_logistic_regression(
    inputs: Floats, classes: Classes, *, iterations: int, learning_rate: float, l2: float = 0.0
) -> tuple[LogisticRegression, list[float]]:
    """Gradient descent over the whole set, from zero.

    Returns:
        the model, and the cost before each iteration.
    """
    model = LogisticRegression(weight=np.zeros(inputs.shape[1], inputs.dtype), bias=0.0)
    costs = []
    for _ in range(iterations):
        costs.append(model.cost(inputs, classes, l2))
        weight, bias = model.gradient(inputs, classes, l2)
        model = LogisticRegression(
            weight=model.weight - learning_rate * weight, bias=model.bias - learning_rate * bias
        )
    return model, costs
