"""The fused loss against torch's cross_entropy with autograd, and against differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dragoman_models.translation.loss import CHUNK, SmoothedCrossEntropy


def random_case(rows: int, vocabulary: int, size: int, seed: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, size, generator=generator, requires_grad=True)
    weight = torch.randn(vocabulary, size, generator=generator, requires_grad=True)
    bias = torch.randn(vocabulary, generator=generator, requires_grad=True)
    return hidden, weight, bias, torch.randint(vocabulary, (rows,), generator=generator)


def fused(case: tuple[Tensor, ...], smoothing: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    loss: tuple[Tensor, Tensor] = SmoothedCrossEntropy.apply(*case, smoothing, dtype)  # type: ignore[no-untyped-call]
    return loss


def reference(case: tuple[Tensor, ...], smoothing: float) -> Tensor:
    hidden, weight, bias, target = case
    logits = hidden.double() @ weight.double().t() + bias.double()
    return torch.nn.functional.cross_entropy(logits, target, label_smoothing=smoothing)


def check_against_autograd(
    case: tuple[Tensor, ...], smoothing: float, dtype: torch.dtype, tolerance: float
) -> None:
    smoothed, plain = fused(case, smoothing, dtype)
    assert not plain.requires_grad
    expected = reference(case, smoothing)
    assert smoothed.item() == pytest.approx(expected.item(), rel=tolerance, abs=tolerance)
    assert plain.item() == pytest.approx(reference(case, 0.0).item(), rel=tolerance, abs=tolerance)
    gradients = torch.autograd.grad(3 * smoothed, case[:3])
    for gradient, exact in zip(gradients, torch.autograd.grad(3 * expected, case[:3]), strict=True):
        scale = float(exact.abs().max())
        np.testing.assert_allclose(gradient, exact, atol=tolerance * scale + 1e-6)


@given(
    rows=st.integers(1, 40),
    vocabulary=st.integers(1, 60),
    size=st.integers(1, 9),
    smoothing=st.floats(0, 0.9),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_cross_entropy(
    rows: int, vocabulary: int, size: int, smoothing: float, seed: int
) -> None:
    case = random_case(rows, vocabulary, size, seed)
    check_against_autograd(case, smoothing, torch.float32, 2e-5)


@settings(max_examples=10)
@given(st.integers(CHUNK - 1, 3 * CHUNK + 1), st.sampled_from([0.0, 0.1]))
def test_equals_cross_entropy_over_several_chunks(rows: int, smoothing: float) -> None:
    check_against_autograd(random_case(rows, 30, 8, rows), smoothing, torch.float32, 2e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_half_precision_products_stay_close(smoothing: float) -> None:
    """bfloat16 keeps 8 bits: logits are right to 1 in 256."""
    case = random_case(CHUNK + 100, 200, 16, seed=4)
    check_against_autograd(case, smoothing, torch.bfloat16, 0.03)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_gradient_equals_differences_of_the_definition(smoothing: float) -> None:
    """-(1 - e) log p(target) - (e / V) sum log p(v), written out in numpy, in float64."""
    case = random_case(rows=3, vocabulary=5, size=2, seed=8)
    target = case[3].numpy()

    def loss(values: list[np.ndarray]) -> float:
        hidden, weight, bias = values
        logits = hidden @ weight.T + bias
        log_probs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        gold = log_probs[np.arange(3), target]
        return float((-(1 - smoothing) * gold - smoothing * log_probs.mean(1)).mean())

    values = [tensor.detach().double().numpy() for tensor in case[:3]]
    gradients = torch.autograd.grad(fused(case, smoothing, torch.float32)[0], case[:3])
    for value, gradient in zip(values, gradients, strict=True):
        for index in np.ndindex(*value.shape):
            kept, step = value[index], 1e-5
            value[index] = kept + step
            above = loss(values)
            value[index] = kept - step
            difference = (above - loss(values)) / (2 * step)
            value[index] = kept
            assert float(gradient[index]) == pytest.approx(difference, abs=2e-6)
