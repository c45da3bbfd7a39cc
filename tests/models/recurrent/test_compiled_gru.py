"""The compiled loops against the written-out recurrence and against autograd of the equations."""

import pytest
import torch
from torch import Tensor

from dragoman_models.recurrent.compiled_gru_sequence import CompiledGruSequence, gru_sequence
from dragoman_models.recurrent.compiled_gru_step import CompiledGruStep, CompiledNormalization
from dragoman_models.recurrent.gate_normalization import EPSILON, normalize_gates
from dragoman_models.recurrent.gru_sequence import GruSequence

STEPS, DIRECTIONS, BATCH, SIZE = 5, 2, 3, 32


def random_tensor(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def close(found: Tensor, right: Tensor, tolerance: float) -> None:
    right = right.detach()
    scale = float(right.abs().max())
    torch.testing.assert_close(found.detach().double(), right, atol=tolerance * scale, rtol=0)


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.bfloat16, 0.04)])
def test_sequence_is_that_of_the_plain_loops(
    dropped: bool, normalized: bool, dtype: torch.dtype, tolerance: float
) -> None:
    gates = random_tensor(STEPS, DIRECTIONS, BATCH, 3 * SIZE, seed=1)
    weight = random_tensor(DIRECTIONS, 3 * SIZE, SIZE, seed=2) / SIZE**0.5
    bias = random_tensor(DIRECTIONS, 1, 3 * SIZE, seed=3)
    kept = random_tensor(DIRECTIONS, BATCH, SIZE, seed=4) > -0.5
    mask = kept.double() * 1.5 if dropped else None
    gain = random_tensor(DIRECTIONS, 1, 3 * SIZE, seed=5) + 1 if normalized else None
    upstream = random_tensor(STEPS, DIRECTIONS, BATCH, SIZE, seed=6)

    def states_and_gradients(
        kind: type[torch.autograd.Function], *types: torch.dtype
    ) -> list[Tensor]:
        inputs = [
            part.to(one).requires_grad_()
            for part, one in zip((gates, weight, bias), types, strict=True)
        ]
        own_mask = None if mask is None else mask.to(types[2])
        own_gain = None if gain is None else gain.to(types[2]).requires_grad_()
        states: Tensor = kind.apply(*inputs, own_mask, own_gain)  # type: ignore[no-untyped-call]
        wanted = inputs if own_gain is None else [*inputs, own_gain]
        return [states, *torch.autograd.grad((states * upstream).sum(), wanted)]

    exact = states_and_gradients(GruSequence, *[torch.float64] * 3)
    found = states_and_gradients(CompiledGruSequence, dtype, dtype, torch.float32)
    for part, right in zip(found, exact, strict=True):
        close(part, right, tolerance)


def test_other_widths_and_types_take_the_plain_loops() -> None:
    for size, dtype in ((5, torch.float32), (16, torch.float64)):
        gates = random_tensor(2, 1, 2, 3 * size, seed=1).to(dtype)
        weight, bias = torch.ones(1, 3 * size, size, dtype=dtype), torch.ones(1, 1, 3 * size)
        states = gru_sequence(gates, weight, bias.to(dtype))
        plain: Tensor = GruSequence.apply(gates, weight, bias.to(dtype))  # type: ignore[no-untyped-call]
        assert torch.equal(states, plain)


def test_step_is_that_of_the_equations() -> None:
    fed, recurrent = (random_tensor(7, 3 * SIZE, seed=seed).requires_grad_() for seed in (1, 2))
    hidden, upstream = (random_tensor(7, SIZE, seed=seed) for seed in (3, 4))
    hidden.requires_grad_()
    (f_r, f_z, f_n), (h_r, h_z, h_n) = fed.chunk(3, 1), recurrent.chunk(3, 1)
    reset, update = torch.sigmoid(f_r + h_r), torch.sigmoid(f_z + h_z)
    expected = (1 - update) * torch.tanh(f_n + reset * h_n) + update * hidden
    exact = torch.autograd.grad((expected * upstream).sum(), (fed, recurrent, hidden))

    inputs = [part.detach().float().requires_grad_() for part in (fed, recurrent, hidden)]
    after: Tensor = CompiledGruStep.apply(*inputs)  # type: ignore[no-untyped-call]
    close(after, expected, 1e-6)
    found = torch.autograd.grad((after * upstream).sum(), inputs)
    for part, right in zip(found, exact, strict=True):
        close(part, right, 1e-6)


def test_normalization_is_that_of_torch() -> None:
    gates, gain, shift = (
        random_tensor(*shape, seed=seed).requires_grad_()
        for seed, shape in enumerate([(2, 4, 3 * SIZE), (3 * SIZE,), (3 * SIZE,)])
    )
    upstream = random_tensor(2, 4, 3 * SIZE, seed=9)
    expected = normalize_gates(gates, gain, shift)
    exact = torch.autograd.grad((expected * upstream).sum(), (gates, gain, shift))
    inputs = [part.detach().float().requires_grad_() for part in (gates, gain, shift)]
    result: Tensor = CompiledNormalization.apply(*inputs, EPSILON)  # type: ignore[no-untyped-call]
    close(result, expected, 2e-6)
    found = torch.autograd.grad((result * upstream).sum(), inputs)
    for part, right in zip(found, exact, strict=True):
        close(part, right, 2e-6)
