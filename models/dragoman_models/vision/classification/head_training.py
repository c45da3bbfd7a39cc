"""A linear head on frozen features: multinomial logistic regression, its strength chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from dragoman_models.vision.classification.preparation import Floats

# Weights of the penalty |W|^2 / 2 a class, per image, on standardized features.
STRENGTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
_ITERATIONS = 200


@dataclass(frozen=True, kw_only=True)
class Head:
    """logits = features W^T + b."""

    weight: Floats  # (classes, features)
    bias: Floats  # (classes,)

    def logits(self, features: Floats) -> Floats:
        """(N, features) -> (N, classes)."""
        return np.asarray(features @ self.weight.T + self.bias)


@dataclass(frozen=True, kw_only=True)
class HeadChoice:
    """What one strength of the penalty gave."""

    strength: float
    train_loss: float
    valid_loss: float
    valid_accuracy: float


def train_head(
    train: tuple[Floats, NDArray[np.int64]],
    valid: tuple[Floats, NDArray[np.int64]],
    classes: int,
) -> tuple[Head, list[HeadChoice]]:
    """The head whose penalty gave the least loss on `valid`, and what each gave.

    Args:
        train, valid: features (N, features) with classes (N,).
    """
    heads, choices = [], []
    for strength in STRENGTHS:
        head = fitted_head(*train, classes, strength)
        heads.append(head)
        choices.append(
            HeadChoice(
                strength=strength,
                train_loss=_loss(head, *train),
                valid_loss=_loss(head, *valid),
                valid_accuracy=float((head.logits(valid[0]).argmax(1) == valid[1]).mean()),
            )
        )
    best = min(range(len(heads)), key=lambda row: choices[row].valid_loss)
    return heads[best], choices


def fitted_head(features: Floats, classes: NDArray[np.int64], count: int, strength: float) -> Head:
    """The minimum of mean cross-entropy + strength / (2 count) |W|^2, which is one, on standardized
    features; by L-BFGS in float64. The standardization is then folded into the head."""
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scale = 1 / np.where(deviation > 1e-6, deviation, np.inf)  # what never changes says nothing
    x = torch.from_numpy(((features - mean) * scale).astype(np.float64))  # (N, features)
    gold = torch.from_numpy(classes)
    weight = torch.zeros((count, x.shape[1]), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(count, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=_ITERATIONS, tolerance_grad=1e-7, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        penalty = strength / (2 * count) * weight.square().sum()
        value = F.cross_entropy(x @ weight.T + bias, gold) + penalty
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    unscaled = weight.detach().numpy() * scale
    shifted = bias.detach().numpy() - unscaled @ mean
    return Head(weight=unscaled.astype(np.float32), bias=shifted.astype(np.float32))


def _loss(head: Head, features: Floats, classes: NDArray[np.int64]) -> float:
    logits = torch.from_numpy(head.logits(features))
    return float(F.cross_entropy(logits, torch.from_numpy(classes)))
