"""Entries of the co-occurrence matrix learnt by GloVe with AdaGrad, compiled.

The squared error of each entry X of words i and j, f(X) / 2 (w_i . c_j + b_i + b_j - log X)^2
(Pennington et al. 2014, eq. 8, halved), is followed downhill by AdaGrad (Duchi et al. 2011): each
parameter's step is its gradient g over the root of all its squared gradients so far. As in the
released program the sum begins at 1 / rate^2, so that first steps are rate g; what is kept is the
sum times rate^2, which begins at 1.

Parameters stand where one fetch finds them: row i of `words` is the vector, then the bias at
component D, padded to `width`, and then as many components again for the sums of squares.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.training.compilation import compiled, inlined
from dragoman_models.embeddings.training.simd import (
    LANES,
    Integer,
    Lanes,
    Pointer,
    add,
    broadcast,
    divide,
    greater,
    load,
    multiply,
    multiply_add,
    pointer_to,
    prefetch,
    smaller,
    square_root,
    store,
    total,
)

_AHEAD = 6  # entries whose rows are fetched before their turn
# A first step on a very wrong entry would throw its words far off (as in the released program).
_LARGEST_GRADIENT = np.float32(100.0)


class GloveWeights(NamedTuple):
    """The parameters of words as centers and as contexts, each with its sums of squares."""

    words: NDArray[np.float32]  # (V, 2 width)
    contexts: NDArray[np.float32]  # (V, 2 width)


class GlovePlan(NamedTuple):
    """`saturation` and `exponent` are the x_max and alpha of the weight f(X), eq. 9."""

    dimensions: int
    rate: float
    saturation: float
    exponent: float


@compiled
def train_entries(
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    counts: NDArray[np.float32],
    weights: GloveWeights,
    plan: GlovePlan,
) -> tuple[float, int]:
    """Learns entries (n,), changing `weights`; the sum of the losses and how many there were.

    The matrix is symmetric, and an entry off the diagonal is learnt in both directions.
    """
    words, contexts = pointer_to(weights.words), pointer_to(weights.contexts)
    stride = weights.words.shape[1]
    log_saturation = np.log(plan.saturation)
    loss, learnt = 0.0, 0
    for entry in range(len(counts)):
        if entry + _AHEAD < len(counts):
            _prefetch_row(words, contexts, first[entry + _AHEAD], stride)
            _prefetch_row(words, contexts, second[entry + _AHEAD], stride)
        i, j, count = first[entry], second[entry], np.float64(counts[entry])
        log_count = np.log(count)
        weight = np.exp(min(0.0, plan.exponent * (log_count - log_saturation)))
        loss += _learn(words, contexts, i, j, log_count, weight, stride, plan)
        learnt += 1
        if i != j:
            loss += _learn(words, contexts, j, i, log_count, weight, stride, plan)
            learnt += 1
    return loss, learnt


@inlined
def _prefetch_row(words: Pointer, contexts: Pointer, row: int, stride: int) -> None:
    for k in range(0, stride, LANES):
        prefetch(words, np.int64(row) * stride + k)
        prefetch(contexts, np.int64(row) * stride + k)


@inlined
def _learn(
    words: Pointer, contexts: Pointer, i: int, j: int, log_count: float, weight: float,
    stride: int, plan: GlovePlan,
) -> float:  # fmt: skip
    """One entry in one direction; returns its loss."""
    width = stride // 2
    word, context = np.int64(i) * stride, np.int64(j) * stride
    word_bias, context_bias = word + plan.dimensions, context + plan.dimensions
    a, b = words[word_bias], contexts[context_bias]
    a_squares, b_squares = words[word_bias + width], contexts[context_bias + width]
    lanes = broadcast(np.float32(0.0))
    for k in range(0, width, LANES):
        lanes = multiply_add(load(words, word + k), load(contexts, context + k), lanes)
    # The biases stand at the same place in both rows: take their product out again.
    error = total(lanes) - a * b + a + b - log_count
    slope = np.float32(weight * error)
    slopes, rate = broadcast(slope), broadcast(np.float32(-plan.rate))
    for k in range(0, width, LANES):
        w, c = load(words, word + k), load(contexts, context + k)
        _step(words, word + k, width, w, multiply(slopes, c), rate)
        _step(contexts, context + k, width, c, multiply(slopes, w), rate)
    # That took the biases for components of the vectors; these are their own steps.
    scaled = np.float32(plan.rate) * max(min(slope, _LARGEST_GRADIENT), -_LARGEST_GRADIENT)
    words[word_bias] = a - scaled / np.sqrt(a_squares)
    words[word_bias + width] = a_squares + scaled * scaled
    contexts[context_bias] = b - scaled / np.sqrt(b_squares)
    contexts[context_bias + width] = b_squares + scaled * scaled
    return np.float64(0.5 * weight * error * error)


@inlined
def _step(
    parameters: Pointer, at: Integer, width: int, value: Lanes, gradient: Lanes, rate: Lanes
) -> None:
    largest = broadcast(_LARGEST_GRADIENT)
    gradient = greater(smaller(gradient, largest), broadcast(-_LARGEST_GRADIENT))
    scaled = multiply(gradient, rate)
    squares = load(parameters, at + width)
    store(parameters, at, add(value, divide(scaled, square_root(squares))))
    store(parameters, at + width, multiply_add(scaled, scaled, squares))
