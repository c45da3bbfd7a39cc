"""Optimizers take the steps of torch's, and of their equations."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman_models.vision.first_principles.optimizers import (
    Adam,
    GradientDescent,
    Momentum,
    Optimizer,
    RmsProp,
)

Pair = tuple[
    Callable[[float], Optimizer], Callable[[list[torch.Tensor], float], torch.optim.Optimizer]
]
PAIRS: dict[str, Pair] = {
    "gradient descent": (GradientDescent, lambda p, r: torch.optim.SGD(p, lr=r)),
    # torch adds gradients up where we average them: its steps are 1 / (1 - beta) as large.
    "momentum": (
        lambda r: Momentum(r, 0.9),
        lambda p, r: torch.optim.SGD(p, lr=r * 0.1, momentum=0.9, dampening=0),
    ),
    "rmsprop": (
        lambda r: RmsProp(r, 0.95, 1e-7),
        lambda p, r: torch.optim.RMSprop(p, lr=r, alpha=0.95, eps=1e-7),
    ),
    "adam": (
        lambda r: Adam(r, 0.8, 0.99, 1e-7),
        lambda p, r: torch.optim.Adam(p, lr=r, betas=(0.8, 0.99), eps=1e-7),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
@given(seed=st.integers(0, 10**6), rate=st.floats(1e-4, 1), steps=st.integers(1, 8))
@settings(max_examples=25)
def test_steps_are_those_of_torch(name: str, seed: int, rate: float, steps: int) -> None:
    chance = np.random.default_rng(seed)
    own = [chance.normal(size=(2, 3)), chance.normal(size=4)]
    theirs = [torch.tensor(one, requires_grad=True) for one in own]
    make_own, make_theirs = PAIRS[name]
    optimizer, reference = make_own(rate), make_theirs(theirs, rate)
    for _ in range(steps):
        gradients = [chance.normal(size=one.shape) for one in own]
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = torch.tensor(gradient)
        optimizer.step(own, gradients)
        reference.step()
        for one, other in zip(own, theirs, strict=True):
            np.testing.assert_allclose(one, other.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_the_first_step_of_adam_has_the_size_of_the_rate() -> None:
    parameter = [np.array([1.0, 2.0])]
    Adam(0.1).step(parameter, [np.array([1e-3, -50.0])])
    np.testing.assert_allclose(parameter[0], [0.9, 2.1], rtol=1e-4)
