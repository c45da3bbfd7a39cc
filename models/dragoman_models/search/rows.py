"""What a search asks of the rows of a matrix: their best columns, sums of exponentials, entries."""

from __future__ import annotations

import numpy as np

from dragoman_models.arrays import Array, Floats, Integers

_BLOCK = 64  # columns whose maximum stands for them


def best_columns(values: Floats, count: int) -> tuple[Floats, Integers]:
    """The ``count`` largest of each row (N, C), the largest first, and their columns: (N, count).

    The largest ``count`` of a wide row are in the ``count`` blocks whose maxima are largest.
    """
    columns = values.shape[1]
    blocks = columns // _BLOCK
    if count * _BLOCK * 2 > columns:
        return _sorted_best(values, count)
    whole = blocks * _BLOCK
    maxima = values[:, :whole].reshape(len(values), blocks, _BLOCK).max(axis=2)
    _, chosen = _sorted_best(maxima, count)
    candidates = (chosen[:, :, None] * _BLOCK + np.arange(_BLOCK)).reshape(
        len(values), count * _BLOCK
    )
    rest = np.broadcast_to(np.arange(whole, columns), (len(values), columns - whole))
    candidates = np.concatenate([candidates, rest], axis=1)
    best, places = _sorted_best(gathered(values, candidates), count)
    return best, gathered(candidates, places)


def _sorted_best(values: Floats, count: int) -> tuple[Floats, Integers]:
    """Of equal ones, any."""
    if values.shape[1] <= max(_BLOCK, count):
        order = (-values).argsort(axis=1)[:, :count]
        return gathered(values, order), order
    chosen = np.argpartition(values, values.shape[1] - count, axis=1)[:, -count:]
    best = gathered(values, chosen)
    order = (-best).argsort(axis=1)
    return gathered(best, order), gathered(chosen, order)


def gathered(values: Array, index: Integers) -> Array:
    """values[b, index[b, k]]: (B, M, ...) and (B, K) -> (B, K, ...)."""
    if len(index) == 1:  # a sentence alone, and a fourth of the time
        alone: Array = values[0].take(index[0], axis=0)
        return alone[None]
    return values[np.arange(len(index))[:, None], index]


def log_sum_exp(values: Floats, axis: int) -> Floats:
    """log of the sum of exp(values) over an axis, which is kept with length 1."""
    highest = values.max(axis=axis, keepdims=True)
    highest = np.where(np.isneginf(highest), np.float32(0), highest)
    with np.errstate(divide="ignore"):  # of nothing but -inf: -inf
        summed: Floats = np.log(np.exp(values - highest).sum(axis=axis, keepdims=True))
    return highest + summed
