"""The compiled loops' parts against float64 numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dragoman_models.embeddings.training.compilation import compiled
from dragoman_models.embeddings.training.simd import LANES, load, pointer_to, store
from dragoman_models.translation.arithmetic.choice import Arithmetic, available, host_features
from dragoman_models.translation.arithmetic.functions import exponential, logistic, tangent
from dragoman_models.translation.arithmetic.layers import DenseLayer
from dragoman_models.translation.arithmetic.output import best_tokens
from dragoman_models.translation.arithmetic.packing import Precision, rounded_to_bfloat16

KINDS = {Arithmetic.FLOAT32, *available(host_features())}
PRECISIONS = sorted((Precision(kind.value) for kind in KINDS), key=lambda one: one.value)


@compiled
def _all_three(x: NDArray[np.float32], y: NDArray[np.float32]) -> None:
    given_, taken = pointer_to(x), pointer_to(y)
    for i in range(0, len(x), LANES):
        store(taken, i, exponential(load(given_, i)))
        store(taken, len(x) + i, logistic(load(given_, i)))
        store(taken, 2 * len(x) + i, tangent(load(given_, i)))


def test_exponential_logistic_and_tangent() -> None:
    x = np.concatenate([np.linspace(-86, 87, 16_000), np.zeros(16)]).astype(np.float32)
    y = np.empty(3 * len(x), np.float32)
    _all_three(x, y)
    exact = x.astype(np.float64)
    powers, sigmoids, tangents = y.reshape(3, -1)
    np.testing.assert_allclose(powers, np.exp(exact), rtol=1e-6)
    np.testing.assert_allclose(sigmoids, 1 / (1 + np.exp(-exact)), atol=2e-7)
    np.testing.assert_allclose(tangents, np.tanh(exact), atol=3e-7)


def test_far_from_zero_they_stay_at_their_limits() -> None:
    x = np.array([-1e30, -200, -90, 90, 200, 1e30, np.inf, -np.inf] * 2, np.float32)
    y = np.empty(3 * len(x), np.float32)
    _all_three(x, y)
    powers, sigmoids, tangents = y.reshape(3, -1)
    assert np.isfinite(powers).all()
    assert (powers >= 0).all()
    np.testing.assert_allclose(sigmoids, (x > 0).astype(float), atol=1e-30)
    np.testing.assert_allclose(tangents, np.sign(x), atol=1e-7)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 16, 64), (7, 64, 70), (33, 256, 130)])
def test_linear_layers(precision: Precision, rows: int, inputs: int, outputs: int) -> None:
    """Against the products of what weights and activations were rounded to, in float64."""
    rng = np.random.default_rng(rows)
    weight = rng.normal(size=(outputs, inputs)).astype(np.float32)
    weight[0] = 0.0
    bias = rng.normal(size=outputs).astype(np.float32)
    x = rng.uniform(-1, 1, size=(rows, inputs)).astype(np.float32)
    layer = DenseLayer(weight, bias, precision)
    found = layer(precision.rounded(x), rows)[:, :outputs]
    if precision is Precision.INT8:
        scale = np.abs(weight).max(axis=1, keepdims=True) / 127
        scale[0] = 1
        rounded_weight = np.rint(weight / scale).astype(np.float64) * scale
        rounded_x = np.rint(x * 127).astype(np.float64) / 127
    elif precision is Precision.BFLOAT16:
        rounded_weight, rounded_x = (
            torch.from_numpy(one).bfloat16().double().numpy() for one in (weight, x)
        )
    else:
        rounded_weight, rounded_x = weight.astype(np.float64), x.astype(np.float64)
    np.testing.assert_allclose(found, rounded_x @ rounded_weight.T + bias, atol=2e-5, rtol=2e-6)


def test_bfloat16_is_torch_s() -> None:
    rng = np.random.default_rng(0)
    values = (rng.normal(size=5000) * 10.0 ** rng.integers(-30, 30, size=5000)).astype(np.float32)
    values[:3] = 0.0, -0.0, 1.00390625  # a tie
    expected = torch.from_numpy(values).bfloat16().view(torch.int16).numpy().view(np.uint16)
    np.testing.assert_array_equal(rounded_to_bfloat16(values), expected)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31), rows=st.integers(1, 12), tokens=st.integers(4, 300),
    width=st.integers(1, 20), scale=st.sampled_from([0.0, 0.01, 1.0, 30.0, 1000.0]),
    rising=st.booleans(),
)  # fmt: skip
def test_best_tokens_against_sorting(
    seed: int, rows: int, tokens: int, width: int, scale: float, rising: bool
) -> None:
    """Any size of logits, also such whose exponentials overflow; the highest may come last."""
    rng = np.random.default_rng(seed)
    logits = (rng.normal(size=(rows, tokens)) * scale).astype(np.float32)
    if rising:
        logits.sort(axis=1)
    # Row r of activations picks input r, so a token's weights are its logits.
    weight = np.zeros((tokens, 16), np.float32)
    weight[:, :rows] = logits.T
    layer = DenseLayer(weight, None, Precision.FLOAT32)
    layer.bias.reshape(-1)[tokens:] = -np.inf
    codes = Precision.FLOAT32.rounded(np.eye(rows, 16, dtype=np.float32))
    best = np.empty((rows, 4 + width), np.float32)
    ids = np.empty((rows, 4 + width), np.int64)
    normalizers = np.empty((rows, 1), np.float32)
    best_tokens(
        codes, np.array([rows]), np.array([[0, len(layer.bias)]]), *layer.operands,
        np.arange(layer.bias.size), best, ids, normalizers, np.empty(rows, np.float32),
        np.empty((rows, LANES), np.float32), np.empty(LANES, np.float32),
    )  # fmt: skip
    np.testing.assert_array_equal(best[:, :4], logits[:, :4])
    others = min(width, tokens - 4)
    expected = -np.sort(-logits[:, 4:], axis=1)[:, :others]
    np.testing.assert_array_equal(best[:, 4 : 4 + others], expected)
    assert np.isneginf(best[:, 4 + others :]).all()
    for row in range(rows):
        chosen = ids[row, 4 : 4 + others]
        np.testing.assert_array_equal(logits[row, chosen], expected[row])
        assert len(set(chosen.tolist())) == others
    exact = logits.astype(np.float64)
    highest = exact.max(axis=1, keepdims=True)
    sums = highest + np.log(np.exp(exact - highest).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(normalizers, sums, rtol=1e-5, atol=1e-4)
