"""The objectives of word2vec and GloVe with their gradients, in float64, written to be read.

The compiled loops compute the same; the tests hold these to finite differences, and the loops to
these. Every function returns the loss, in nats, and its gradients with respect to its arguments.
Shapes: D dimensions, B inputs that predict the same word, M output rows, V words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PredictionGradient:
    """A loss and what it changes by with each component of the inputs and outputs."""

    loss: float
    inputs: Floats  # (B, D)
    outputs: Floats  # (M, D)


def logistic_prediction(inputs: Floats, outputs: Floats, signs: Floats) -> PredictionGradient:
    """sum over b and m of -log sigmoid(-signs[m] inputs[b] . outputs[m]).

    Negative sampling (Mikolov et al. 2013, eq. 4): output 0 is the word's, with sign -1, and the
    others are noise, with sign +1. Hierarchical softmax (eq. 3): the outputs are the inner nodes on
    the way to the word, with sign -1 where it goes to the left. There, the sum over m is minus the
    log-probability of the word.
    """
    x = signs * (inputs @ outputs.T)  # (B, D) @ (D, M) -> (B, M)
    slopes = signs / (1 + np.exp(-x))  # d softplus / dx = sigmoid
    return PredictionGradient(
        loss=float(np.logaddexp(0, x).sum()),
        inputs=slopes @ outputs,  # (B, M) @ (M, D) -> (B, D)
        outputs=slopes.T @ inputs,  # (M, B) @ (B, D) -> (M, D)
    )


def softmax_prediction(inputs: Floats, outputs: Floats, answer: int) -> PredictionGradient:
    """sum over b of -log softmax(inputs[b] . outputs)[answer] (Mikolov et al. 2013, eq. 2)."""
    logits = inputs @ outputs.T  # (B, D) @ (D, V) -> (B, V)
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    slopes = np.exp(log_probs)
    slopes[:, answer] -= 1
    return PredictionGradient(
        loss=float(-log_probs[:, answer].sum()),
        inputs=slopes @ outputs,  # (B, V) @ (V, D) -> (B, D)
        outputs=slopes.T @ inputs,  # (V, B) @ (B, D) -> (V, D)
    )


def mean_of_context(context: Floats) -> Floats:
    """CBOW's input (1, D): the mean of the context words' vectors (C, D)."""
    mean: Floats = context.mean(axis=0, keepdims=True)
    return mean


def context_gradient(mean_gradient: Floats, count: int) -> Floats:
    """The part of CBOW's gradient (1, D) that reaches each context word, (count, D)."""
    return np.repeat(mean_gradient / count, count, axis=0)


@dataclass(frozen=True, kw_only=True)
class GloveGradient:
    """The loss of one entry of the co-occurrence matrix, with its gradient."""

    loss: float
    word: Floats  # (D,)
    context: Floats  # (D,)
    word_bias: float
    context_bias: float


def glove_weight(count: float, *, saturation: float, exponent: float) -> float:
    """f(X) = min(1, (X / saturation)^exponent) (Pennington et al. 2014, eq. 9)."""
    return float(min(1.0, (count / saturation) ** exponent))


def glove_entry(
    word: Floats, context: Floats, biases: tuple[float, float], count: float, weight: float
) -> GloveGradient:
    """weight / 2 (word . context + bias + bias - log count)^2.

    This is half a term of eq. 8 of Pennington et al. 2014, as in their program.
    """
    error = float(word @ context) + sum(biases) - float(np.log(count))
    slope = weight * error
    return GloveGradient(
        loss=weight * error**2 / 2,
        word=slope * context,
        context=slope * word,
        word_bias=slope,
        context_bias=slope,
    )
