"""The compiled loop of GloVe takes AdaGrad's steps down the readable objective."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dragoman_models.embeddings.training.glove_kernels import (
    GlovePlan,
    GloveWeights,
    train_entries,
)
from dragoman_models.embeddings.training.objectives import glove_entry, glove_weight
from dragoman_models.embeddings.training.simd import padded_matrix, padded_width

_RATE = 0.05


def weights_of(random: np.random.Generator, words: int, dimensions: int) -> GloveWeights:
    width = padded_width(dimensions + 1)
    weights = GloveWeights(padded_matrix(words, 2 * width), padded_matrix(words, 2 * width))
    for matrix in weights:
        matrix[:, : dimensions + 1] = random.normal(size=(words, dimensions + 1)) / 2
        matrix[:, width:] = 1
    return weights


class Reference:
    """AdaGrad, entry by entry, in float64; the bias is the last component."""

    def __init__(self, weights: GloveWeights, dimensions: int) -> None:
        self.dimensions = dimensions
        self.words = weights.words[:, : dimensions + 1].astype(np.float64)
        self.contexts = weights.contexts[:, : dimensions + 1].astype(np.float64)
        self.squares = np.zeros((2, *self.words.shape))

    def learn(self, i: int, j: int, count: float, weight: float) -> float:
        d = self.dimensions
        w, c = self.words[i], self.contexts[j]
        found = glove_entry(w[:d], c[:d], (w[d], c[d]), count, weight)
        self.step(w, self.squares[0, i], np.append(found.word, found.word_bias))
        self.step(c, self.squares[1, j], np.append(found.context, found.context_bias))
        return found.loss

    def step(
        self, values: NDArray[np.float64], squares: NDArray[np.float64], slope: NDArray[np.float64]
    ) -> None:
        # AdaGrad at rate 1, with a sum of squares that begins at 1 / rate^2.
        slope = slope.clip(-100, 100)
        values -= slope / np.sqrt(squares + 1 / _RATE**2)
        squares += slope**2


@pytest.mark.parametrize("dimensions", [1, 15, 16, 33])
def test_entries_are_learnt_in_both_directions(dimensions: int) -> None:
    random = np.random.default_rng(6)
    weights = weights_of(random, 7, dimensions)
    reference = Reference(weights, dimensions)
    first, second = random.integers(0, 7, size=(2, 50)).astype(np.int32)
    counts = random.exponential(20, size=50).astype(np.float32)
    loss, learnt = 0.0, 0
    for i, j, count in zip(first.tolist(), second.tolist(), counts.tolist(), strict=True):
        weight = glove_weight(count, saturation=30, exponent=0.75)
        for pair in {(i, j), (j, i)} if i == j else ((i, j), (j, i)):
            loss += reference.learn(*pair, count, weight)
            learnt += 1
    plan = GlovePlan(dimensions, _RATE, 30.0, 0.75)
    found, entries = train_entries(first, second, counts, weights, plan)
    assert entries == learnt
    assert found == pytest.approx(loss, rel=1e-5)
    for matrix, expected in zip(weights, (reference.words, reference.contexts), strict=True):
        np.testing.assert_allclose(matrix[:, : dimensions + 1], expected, atol=2e-5)
        width = matrix.shape[1] // 2
        assert not matrix[:, dimensions + 1 : width].any()


def test_a_wild_entry_takes_a_bounded_step() -> None:
    weights = weights_of(np.random.default_rng(1), 2, 4)
    weights.words[:, :4] = 1e4
    reference = Reference(weights, 4)
    reference.learn(0, 1, 50.0, 1.0)
    plan = GlovePlan(4, _RATE, 10.0, 0.75)
    first, second = np.array([0], dtype=np.int32), np.array([1], dtype=np.int32)
    before = weights.contexts[1, :4].copy()
    train_entries(first, second, np.array([50.0], dtype=np.float32), weights, plan)
    assert np.abs(weights.contexts[1, :4] - before).max() <= 1.01 * _RATE * 100
    np.testing.assert_allclose(weights.contexts[1, :5], reference.contexts[1], rtol=1e-5)
