"""One product over all steps gives the gradient that autograd adds up step by step."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from dragoman_models.recurrent.step_linear import StepLinear


def recurrence(layer: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    state = torch.zeros_like(inputs[0])
    for step in inputs:
        state = torch.tanh(layer(state + step))
    return (state * state).sum()


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_are_those_of_autograd(bias: bool) -> None:
    torch.manual_seed(1)
    linear = nn.Linear(5, 5, bias=bias).double()
    inputs = torch.randn(6, 3, 5, dtype=torch.float64, requires_grad=True)
    leaves = [inputs, *linear.parameters()]
    plain, fast = recurrence(linear, inputs), recurrence(StepLinear(linear, torch.float64), inputs)
    assert fast.item() == pytest.approx(plain.item(), abs=1e-12)
    for gradient, exact in zip(
        torch.autograd.grad(fast, leaves), torch.autograd.grad(plain, leaves), strict=True
    ):
        torch.testing.assert_close(gradient, exact)


def test_a_layer_that_is_made_and_not_used_has_no_gradient() -> None:
    linear = nn.Linear(3, 3)
    StepLinear(linear, torch.float32)
    linear(torch.ones(3)).sum().backward()
    assert linear.weight.grad is not None


def test_half_precision_products_leave_the_gradient_in_the_weights_type() -> None:
    linear = nn.Linear(4, 4)
    recurrence(StepLinear(linear, torch.bfloat16), torch.randn(3, 2, 4)).backward()  # type: ignore[no-untyped-call]
    for parameter in linear.parameters():
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float32
