"""Exponential, logistic function and tangent of 16 lanes, in compiled loops."""

from __future__ import annotations

from numpy import float32

from dragoman_models.embeddings.training.compilation import inlined
from dragoman_models.embeddings.training.simd import (
    Lanes,
    add,
    broadcast,
    divide,
    greater,
    multiply,
    multiply_add,
    nearest_whole,
    scale_by_power_of_two,
    smaller,
)


@inlined
def exponential(x: Lanes) -> Lanes:
    """e^x within 2e-7 of itself, for x from -87 to 88; beyond, the value at that end.

    x = n log 2 + f with |f| <= log(2) / 2; e^f by its Taylor series, whose terms from f^8 on are
    below float32's precision.
    """
    x = smaller(greater(x, broadcast(float32(-87.0))), broadcast(float32(88.0)))
    n = nearest_whole(multiply(x, broadcast(float32(1.4426950408889634))))
    f = multiply_add(n, broadcast(float32(-0.693359375)), x)  # log 2 in two parts:
    f = multiply_add(n, broadcast(float32(2.12194440e-4)), f)  # the first one is exact
    series = broadcast(float32(1 / 5040))
    series = multiply_add(series, f, broadcast(float32(1 / 720)))
    series = multiply_add(series, f, broadcast(float32(1 / 120)))
    series = multiply_add(series, f, broadcast(float32(1 / 24)))
    series = multiply_add(series, f, broadcast(float32(1 / 6)))
    series = multiply_add(series, f, broadcast(float32(0.5)))
    series = multiply_add(series, f, broadcast(float32(1.0)))
    series = multiply_add(series, f, broadcast(float32(1.0)))
    return scale_by_power_of_two(series, n)


@inlined
def logistic(x: Lanes) -> Lanes:
    """1 / (1 + e^-x)."""
    one = broadcast(float32(1.0))
    return divide(one, add(one, exponential(multiply(x, broadcast(float32(-1.0))))))


@inlined
def tangent(x: Lanes) -> Lanes:
    """tanh x = 1 - 2 / (e^2x + 1), within 2e-7."""
    one = broadcast(float32(1.0))
    grown = exponential(multiply(x, broadcast(float32(2.0))))
    return add(one, divide(broadcast(float32(-2.0)), add(grown, one)))
