"""One training step of B input vectors that all predict by the same M output rows, compiled.

The same three products serve every objective of word2vec:

    scores  = H O^T      (B, D) @ (D, M) -> (B, M)
    H      += C O        (B, M) @ (M, D) -> (B, D)
    O      += C^T H      (M, B) @ (B, D) -> (M, D)

where H are the input vectors, O the output rows, and C = -rate dloss/dscores. Negative sampling and
hierarchical softmax differ in the rows and their signs; the full softmax takes all rows and another
loss. Because the input vectors of a window share their output rows, these are matrix products, and
each row is fetched from memory once a window (Ji et al. 2016). `objectives.py` has the equations,
written to be read, and the tests compare the two.
"""

import numpy as np

from dragoman_models.embeddings.training.compilation import inlined
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
    magnitude,
    multiply,
    multiply_add,
    nearest_whole,
    scale_by_power_of_two,
    store,
    total,
    totals,
    where_negative,
)

_LOG2_E = np.float32(np.log2(np.e))
_LN_2 = np.float32(np.log(2.0))
# Below 2^-100, exp(-|x|) adds nothing to 1; the limit keeps powers of two within float32.
_LEAST_EXPONENT = np.float32(-100.0)
_FAR_BELOW = np.float32(-1e30)


@inlined
def exponential_of_negative(x: Lanes) -> Lanes:
    """exp(x) for x <= 0, within 2e-7 relative: 2^n 2^f with n whole and |f| <= 1/2."""
    exponent = greater(multiply(x, broadcast(_LOG2_E)), broadcast(_LEAST_EXPONENT))
    whole = nearest_whole(exponent)
    f = multiply(multiply_add(whole, broadcast(np.float32(-1.0)), exponent), broadcast(_LN_2))
    # The series of exp: |f| <= 0.35, so what is left off is below 0.35^7 / 7! = 1.2e-7.
    series = multiply_add(f, broadcast(np.float32(1 / 720)), broadcast(np.float32(1 / 120)))
    series = multiply_add(f, series, broadcast(np.float32(1 / 24)))
    series = multiply_add(f, series, broadcast(np.float32(1 / 6)))
    series = multiply_add(f, series, broadcast(np.float32(0.5)))
    series = multiply_add(f, series, broadcast(np.float32(1.0)))
    series = multiply_add(f, series, broadcast(np.float32(1.0)))
    return scale_by_power_of_two(series, whole)


@inlined
def sigmoid(x: Lanes, exponential: Lanes) -> Lanes:
    """1 / (1 + exp(-x)), given exp(-|x|)."""
    one = broadcast(np.float32(1.0))
    return divide(where_negative(x, exponential, one), add(one, exponential))


@inlined
def softplus(x: Lanes, exponential: Lanes) -> Lanes:
    """log(1 + exp(x)), given exp(-|x|)."""
    # log(1 + e) = 2 artanh(s) with s = e / (2 + e) <= 1/3; the series is cut at s^11 < 6e-6.
    s = divide(exponential, add(broadcast(np.float32(2.0)), exponential))
    square = multiply(s, s)
    series = multiply_add(square, broadcast(np.float32(2 / 11)), broadcast(np.float32(2 / 9)))
    series = multiply_add(square, series, broadcast(np.float32(2 / 7)))
    series = multiply_add(square, series, broadcast(np.float32(2 / 5)))
    series = multiply_add(square, series, broadcast(np.float32(2 / 3)))
    series = multiply_add(square, series, broadcast(np.float32(2.0)))
    return multiply_add(s, series, greater(x, broadcast(np.float32(0.0))))


@inlined
def score_rows(
    inputs: Pointer, count: int, outputs: Pointer, rows: Pointer, size: int, width: int,
    scores: Pointer,
) -> None:  # fmt: skip
    """scores[b M + m] = inputs[b] . outputs[rows[m]] for b < `count` and m < M = `size`."""
    for b in range(count):
        h = b * width
        m = 0
        while m + 4 <= size:
            row1, row2, row3, row4 = _offsets(rows, m, width)
            zeros = broadcast(np.float32(0.0))
            sum1, sum2, sum3, sum4 = zeros, zeros, zeros, zeros
            for k in range(0, width, LANES):
                part = load(inputs, h + k)
                sum1 = multiply_add(part, load(outputs, row1 + k), sum1)
                sum2 = multiply_add(part, load(outputs, row2 + k), sum2)
                sum3 = multiply_add(part, load(outputs, row3 + k), sum3)
                sum4 = multiply_add(part, load(outputs, row4 + k), sum4)
            sums = totals(sum1, sum2, sum3, sum4)
            for i in range(4):
                scores[b * size + m + i] = sums[i]
            m += 4
        while m < size:
            row = np.int64(rows[m]) * width
            lanes = broadcast(np.float32(0.0))
            for k in range(0, width, LANES):
                lanes = multiply_add(load(inputs, h + k), load(outputs, row + k), lanes)
            scores[b * size + m] = total(lanes)
            m += 1


@inlined
def _offsets(rows: Pointer, at: int, width: int) -> tuple[Integer, Integer, Integer, Integer]:
    """Where the rows rows[at], ..., rows[at + 3] begin."""
    return (
        np.int64(rows[at]) * width,
        np.int64(rows[at + 1]) * width,
        np.int64(rows[at + 2]) * width,
        np.int64(rows[at + 3]) * width,
    )


@inlined
def add_combination(
    target: Pointer, to: Integer, coefficients: Pointer, first: int, stride: int,
    source: Pointer, rows: Pointer, size: int, width: int,
) -> None:  # fmt: skip
    """Adds coefficients[first + j stride] source[rows[j]], for all j < `size`, to the vector that
    begins at target[to]."""
    j = 0
    while j + 4 <= size:
        at = first + j * stride
        a = broadcast(coefficients[at])
        b = broadcast(coefficients[at + stride])
        c = broadcast(coefficients[at + 2 * stride])
        d = broadcast(coefficients[at + 3 * stride])
        row1, row2, row3, row4 = _offsets(rows, j, width)
        for k in range(0, width, LANES):
            sum1 = multiply_add(a, load(source, row1 + k), load(target, to + k))
            sum1 = multiply_add(b, load(source, row2 + k), sum1)
            sum2 = multiply(c, load(source, row3 + k))
            sum2 = multiply_add(d, load(source, row4 + k), sum2)
            store(target, to + k, add(sum1, sum2))
        j += 4
    while j < size:
        a = broadcast(coefficients[first + j * stride])
        row = np.int64(rows[j]) * width
        for k in range(0, width, LANES):
            store(target, to + k, multiply_add(a, load(source, row + k), load(target, to + k)))
        j += 1


@inlined
def logistic_coefficients(
    scores: Pointer, count: int, signs: Pointer, size: int, rate: float
) -> float:
    """Replaces scores s[b, m] by -rate dloss/ds; the loss is the sum of softplus(signs[m] s[b, m]).

    Returns the loss. m is below `size`; a sign is -1 where the row should score high, else +1.
    `scores` must have room up to the next multiple of `LANES`.
    """
    used = count * size
    for b in range(count):
        for m in range(size):
            scores[b * size + m] *= signs[m]
    for i in range(used, -(-used // LANES) * LANES):
        scores[i] = _FAR_BELOW  # softplus and its slope are 0 there
    loss = broadcast(np.float32(0.0))
    minus_rate = broadcast(np.float32(-rate))
    for i in range(0, used, LANES):
        x = load(scores, i)
        exponential = exponential_of_negative(multiply(magnitude(x), broadcast(np.float32(-1.0))))
        loss = add(loss, softplus(x, exponential))
        store(scores, i, multiply(sigmoid(x, exponential), minus_rate))
    for b in range(count):
        for m in range(size):
            scores[b * size + m] *= signs[m]
    return np.float64(total(loss))


@inlined
def softmax_coefficients(scores: Pointer, count: int, size: int, answer: int, rate: float) -> float:
    """Replaces scores s[b, m] by -rate dloss/ds, for loss = -log softmax(s[b])[answer].

    Returns the loss, summed over b < `count`.
    """
    loss = 0.0
    for b in range(count):
        at = b * size
        highest = scores[at]
        for m in range(1, size):
            highest = max(highest, scores[at + m])
        loss += highest - scores[at + answer]
        mass = np.float64(0.0)
        for m in range(size):
            scores[at + m] = np.exp(scores[at + m] - highest)
            mass += scores[at + m]
        loss += np.log(mass)
        scale = np.float32(-rate / mass)
        for m in range(size):
            scores[at + m] *= scale
        scores[at + answer] += np.float32(rate)
    return loss
