"""Every objective's gradient is the slope of its loss, by central differences in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from dragoman_models.embeddings.training.huffman import huffman_paths
from dragoman_models.embeddings.training.objectives import (
    context_gradient,
    glove_entry,
    glove_weight,
    logistic_prediction,
    mean_of_context,
    softmax_prediction,
)

Floats = NDArray[np.float64]
_STEP = 1e-6


def slopes(loss: Callable[[Floats], float], at: Floats) -> Floats:
    """The gradient of `loss` by central differences."""
    gradient = np.empty_like(at)
    for index in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[index] = _STEP
        gradient[index] = (loss(at + step) - loss(at - step)) / (2 * _STEP)
    return gradient


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.mark.parametrize("signs", [[-1, 1, 1, 1], [1, -1, -1, 1]], ids=["noise", "path"])
def test_logistic_gradient(random: np.random.Generator, signs: list[int]) -> None:
    inputs, outputs = random.normal(size=(3, 5)), random.normal(size=(4, 5))
    sign = np.array(signs, dtype=np.float64)
    found = logistic_prediction(inputs, outputs, sign)
    by_inputs = slopes(lambda h: logistic_prediction(h, outputs, sign).loss, inputs)
    by_outputs = slopes(lambda o: logistic_prediction(inputs, o, sign).loss, outputs)
    np.testing.assert_allclose(found.inputs, by_inputs, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(found.outputs, by_outputs, rtol=1e-7, atol=1e-8)


def test_full_softmax_gradient(random: np.random.Generator) -> None:
    inputs, outputs = random.normal(size=(2, 5)), random.normal(size=(7, 5))
    found = softmax_prediction(inputs, outputs, 3)
    by_inputs = slopes(lambda h: softmax_prediction(h, outputs, 3).loss, inputs)
    by_outputs = slopes(lambda o: softmax_prediction(inputs, o, 3).loss, outputs)
    np.testing.assert_allclose(found.inputs, by_inputs, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(found.outputs, by_outputs, rtol=1e-7, atol=1e-8)


def test_gradient_of_each_context_word_of_cbow(random: np.random.Generator) -> None:
    context, outputs = random.normal(size=(4, 5)), random.normal(size=(3, 5))
    signs = np.array([-1.0, 1.0, 1.0])

    def loss(words: Floats) -> float:
        return logistic_prediction(mean_of_context(words), outputs, signs).loss

    of_mean = logistic_prediction(mean_of_context(context), outputs, signs).inputs
    np.testing.assert_allclose(
        context_gradient(of_mean, 4), slopes(loss, context), rtol=1e-7, atol=1e-8
    )


@pytest.mark.parametrize("count", [0.4, 30.0, 500.0])
def test_glove_gradient(random: np.random.Generator, count: float) -> None:
    parameters = random.normal(size=12)  # word (5,), context (5,), two biases
    weight = glove_weight(count, saturation=100, exponent=0.75)

    def entry(p: Floats) -> float:
        return glove_entry(p[:5], p[5:10], (p[10], p[11]), count, weight).loss

    p = parameters
    found = glove_entry(p[:5], p[5:10], (p[10], p[11]), count, weight)
    flat = np.concatenate([found.word, found.context, [found.word_bias, found.context_bias]])
    np.testing.assert_allclose(flat, slopes(entry, parameters), rtol=1e-6, atol=1e-8)


def test_glove_weight_is_equation_9() -> None:
    assert glove_weight(100, saturation=100, exponent=0.75) == 1
    assert glove_weight(1e9, saturation=100, exponent=0.75) == 1
    assert glove_weight(10, saturation=100, exponent=0.75) == pytest.approx(0.1**0.75)


def test_hierarchical_softmax_is_a_distribution(random: np.random.Generator) -> None:
    counts = np.array([40, 30, 7, 7, 2, 1, 1])
    paths, inner = huffman_paths(counts), random.normal(size=(6, 5))
    h = random.normal(size=(1, 5))

    def log_prob(word: int) -> float:
        path = slice(paths.starts[word], paths.starts[word + 1])
        signs = paths.signs[path].astype(np.float64)
        return -logistic_prediction(h, inner[paths.nodes[path]], signs).loss

    assert sum(np.exp(log_prob(word)) for word in range(7)) == pytest.approx(1, abs=1e-12)
