"""The written-out gradient against torch's GRU, autograd and finite differences."""

import pytest
import torch
from torch import Tensor, nn

from dragoman_models.recurrent.gru_sequence import GruSequence


def run(input_gates: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    states: Tensor = GruSequence.apply(input_gates, weight, bias)  # type: ignore[no-untyped-call]
    return states


def random_case(*, steps: int, directions: int, batch: int, size: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(5)
    shapes = ((steps, directions, batch, 3 * size), (directions, 3 * size, size))
    gates, weight = (
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in shapes
    )
    bias = torch.randn(
        directions, 1, 3 * size, generator=generator, dtype=torch.float64, requires_grad=True
    )
    return gates, weight, bias


@pytest.mark.parametrize("directions", [1, 2])
def test_gradient_equals_finite_differences(directions: int) -> None:
    case = random_case(steps=4, directions=directions, batch=2, size=3)
    assert torch.autograd.gradcheck(run, case)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_states_and_gradients_are_those_of_torch(dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(3)
    layer = nn.GRU(6, 5).double()
    inputs = torch.randn(7, 4, 6, dtype=torch.float64)
    upstream = torch.randn(7, 4, 5, dtype=torch.float64)
    expected, _ = layer(inputs)
    names = ("weight_hh_l0", "bias_hh_l0", "weight_ih_l0", "bias_ih_l0")
    parameters = [getattr(layer, name) for name in names]
    exact = torch.autograd.grad((expected * upstream).sum(), parameters)

    weight, bias, input_weight, input_bias = (parameter.to(dtype) for parameter in parameters)
    gates = nn.functional.linear(inputs.to(dtype), input_weight, input_bias)
    states = run(gates.unsqueeze(1), weight.unsqueeze(0), bias.view(1, 1, -1)).squeeze(1)
    torch.testing.assert_close(states.double(), expected, atol=tolerance, rtol=0)
    found = torch.autograd.grad((states * upstream).sum(), parameters)
    for gradient, right in zip(found, exact, strict=True):
        scale = float(right.abs().max())
        torch.testing.assert_close(gradient, right, atol=tolerance * scale, rtol=0)
