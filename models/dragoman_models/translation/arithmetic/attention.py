"""Compiled loops of attention: every hypothesis of a sentence reads that sentence's memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import float32

from dragoman_models.embeddings.training.compilation import compiled, inlined
from dragoman_models.embeddings.training.simd import (
    LANES,
    Integer,
    Pointer,
    add,
    broadcast,
    load,
    multiply,
    multiply_add,
    pointer_to,
    store,
    total,
    totals,
)
from dragoman_models.translation.arithmetic.functions import exponential, tangent

TOGETHER = 4  # positions scored, and vectors averaged, at a time


@inlined
def _product_scores(
    queries: Pointer, query: Integer, keys: Pointer, key: Integer, size: Integer,
    length: Integer, scores: Pointer,
) -> None:  # fmt: skip
    """scores[s] = query . keys[s], four positions at a time."""
    for first in range(0, length, TOGETHER):
        # Behind the last position the last one is scored again: its score is not kept.
        last = length - 1
        a, b, c, d = (
            key + first * size, key + min(first + 1, last) * size,
            key + min(first + 2, last) * size, key + min(first + 3, last) * size,
        )  # fmt: skip
        zero = broadcast(float32(0.0))
        sum_a, sum_b, sum_c, sum_d = zero, zero, zero, zero
        for i in range(0, size, LANES):
            part = load(queries, query + i)
            sum_a = multiply_add(part, load(keys, a + i), sum_a)
            sum_b = multiply_add(part, load(keys, b + i), sum_b)
            sum_c = multiply_add(part, load(keys, c + i), sum_c)
            sum_d = multiply_add(part, load(keys, d + i), sum_d)
        four = totals(sum_a, sum_b, sum_c, sum_d)
        scores[first], scores[first + 1], scores[first + 2], scores[first + 3] = four


@inlined
def _energy_scores(
    queries: Pointer, query: Integer, keys: Pointer, key: Integer, energy: Pointer,
    size: Integer, length: Integer, scores: Pointer,
) -> None:  # fmt: skip
    """scores[s] = energy . tanh(query + keys[s])."""
    for s in range(length):
        summed = broadcast(float32(0.0))
        for i in range(0, size, LANES):
            bent = tangent(add(load(queries, query + i), load(keys, key + s * size + i)))
            summed = multiply_add(bent, load(energy, i), summed)
        scores[s] = total(summed)


@inlined
def _to_weights(scores: Pointer, length: Integer, padded: Integer) -> None:
    """The softmax of scores, in place; zero from `length` to `padded`, a multiple of 16."""
    highest = scores[0]
    for s in range(1, length):
        highest = max(highest, scores[s])
    for s in range(length, padded):
        scores[s] = float32(-np.inf)
    summed = broadcast(float32(0.0))
    for s in range(0, padded, LANES):
        value = exponential(add(load(scores, s), broadcast(-highest)))
        store(scores, s, value)
    for s in range(length, padded):
        scores[s] = float32(0.0)
    for s in range(0, padded, LANES):
        summed = add(summed, load(scores, s))
    inverse = broadcast(float32(1.0) / total(summed))
    for s in range(0, padded, LANES):
        store(scores, s, multiply(load(scores, s), inverse))


@inlined
def _average(
    weights: Pointer, length: Integer, values: Pointer, value: Integer, size: Integer,
    context: Pointer, place: Integer,
) -> None:  # fmt: skip
    """context = sum of weights[s] values[s]; size is a multiple of 64."""
    for i in range(0, size, LANES * TOGETHER):
        zero = broadcast(float32(0.0))
        a, b, c, d = zero, zero, zero, zero
        for s in range(length):
            weight, entry = broadcast(weights[s]), value + s * size + i
            a = multiply_add(weight, load(values, entry), a)
            b = multiply_add(weight, load(values, entry + LANES), b)
            c = multiply_add(weight, load(values, entry + 2 * LANES), c)
            d = multiply_add(weight, load(values, entry + 3 * LANES), d)
        store(context, place + i, a)
        store(context, place + i + LANES, b)
        store(context, place + i + 2 * LANES, c)
        store(context, place + i + 3 * LANES, d)


@compiled
def attend(
    queries: Any, sentences: Any, keys: Any, values: Any, lengths: Any, energy: Any, context: Any,
    weights: Any, room: Any,
) -> None:  # fmt: skip
    """Averages the memory under softmax(scores), as `translation.attention` defines them.

    Args:
        queries: (B K, Q), K of each of the B ``sentences``, which index the memory:
        keys: (M, S, Q); values: (M, S, C); lengths: (M,), from 1 to S.
        energy: (Q,) for additive scores, (0,) for products.
        context, weights: (B K, C) and (B K, S) rounded up to a multiple of 16; take the results.
        room: (S rounded up + 4,) float32, to work in.
    """
    positions, size = keys.shape[1:]
    width, padded = values.shape[2], weights.shape[1]
    q, k, v, e, c, w = (
        pointer_to(queries), pointer_to(keys), pointer_to(values), pointer_to(energy),
        pointer_to(context), pointer_to(weights),
    )  # fmt: skip
    scores = pointer_to(room)
    places = len(queries) // len(sentences)
    for row in range(len(queries)):
        sentence = sentences[row // places]
        length, key = lengths[sentence], sentence * positions * size
        if len(energy) > 0:
            _energy_scores(q, row * size, k, key, e, size, length, scores)
        else:
            _product_scores(q, row * size, k, key, size, length, scores)
        _to_weights(scores, length, padded)
        _average(scores, length, v, sentence * positions * width, width, c, row * width)
        for s in range(0, padded, LANES):
            store(w, row * padded + s, load(scores, s))
