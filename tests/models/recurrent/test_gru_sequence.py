"""The written-out gradient against torch's GRU, autograd and finite differences."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dragoman_models.recurrent.gru_sequence import GruSequence


def run(
    input_gates: Tensor, weight: Tensor, bias: Tensor, mask: Tensor | None = None,
    gain: Tensor | None = None,
) -> Tensor:  # fmt: skip
    states: Tensor = GruSequence.apply(input_gates, weight, bias, mask, gain)  # type: ignore[no-untyped-call]
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


def options(*, directions: int, batch: int, size: int) -> tuple[Tensor, Tensor]:
    """A mask that keeps two of three units, and a gain."""
    mask = torch.tensor([1.5, 0.0, 1.5, 1.5, 1.5, 0.0], dtype=torch.float64)
    mask = mask.repeat(directions * batch * size)[: directions * batch * size]
    gain = torch.linspace(0.5, 1.5, directions * 3 * size, dtype=torch.float64)
    return mask.view(directions, batch, size), gain.view(directions, 1, 3 * size)


@pytest.mark.parametrize(("dropped", "normalized"), [(True, False), (False, True), (True, True)])
def test_gradient_with_a_mask_and_normalized(dropped: bool, normalized: bool) -> None:
    case = random_case(steps=3, directions=2, batch=2, size=3)
    mask, gain = options(directions=2, batch=2, size=3)
    chosen = mask if dropped else None, gain.requires_grad_() if normalized else None
    everything: tuple[Tensor | None, ...] = (*case, *chosen)
    assert torch.autograd.gradcheck(run, everything)  # type: ignore[arg-type]


def test_states_are_those_of_the_equations() -> None:
    """Cho et al. 2014 as torch arranges it, with Gal and Ghahramani's mask of the state and Ba et
    al.'s normalization of each gate, in numpy."""
    gates, weight, bias = (
        part.detach().numpy() for part in random_case(steps=4, directions=2, batch=3, size=5)
    )
    mask, gain = (part.numpy() for part in options(directions=2, batch=3, size=5))
    states = run(*map(torch.from_numpy, (gates, weight, bias, mask, gain))).numpy()
    for direction in range(2):
        for row in range(3):
            hidden = np.zeros(5)
            for t in range(4):
                product = weight[direction] @ (mask[direction, row] * hidden)
                parts = []
                for block in np.split(product, 3):
                    centred = block - block.mean()
                    parts.append(centred / np.sqrt((centred**2).mean() + 1e-5))
                r_h, z_h, n_h = np.split(
                    gain[direction, 0] * np.concatenate(parts) + bias[direction, 0], 3
                )
                r_x, z_x, n_x = np.split(gates[t, direction, row], 3)
                reset, update = 1 / (1 + np.exp(-(r_x + r_h))), 1 / (1 + np.exp(-(z_x + z_h)))
                hidden = (1 - update) * np.tanh(n_x + reset * n_h) + update * hidden
                np.testing.assert_allclose(states[t, direction, row], hidden, atol=1e-9)


def test_half_precision_normalizes_in_single() -> None:
    case = random_case(steps=5, directions=2, batch=4, size=6)
    mask, gain = options(directions=2, batch=4, size=6)
    gates, weight, bias = case
    exact = run(gates, weight, bias, mask, gain)
    half = run(gates.bfloat16(), weight.bfloat16(), bias.float(), mask.float(), gain.float())
    torch.testing.assert_close(half.double(), exact, atol=0.05, rtol=0)
