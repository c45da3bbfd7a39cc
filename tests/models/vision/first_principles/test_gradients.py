"""Gradients by hand equal autograd's and finite differences, in float64."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman_models.vision.first_principles.activations import (
    ACTIVATIONS,
    Activation,
    Floats,
    leaky_relu,
    sigmoid,
)
from dragoman_models.vision.first_principles.costs import (
    binary_cross_entropy,
    binary_cross_entropy_gradient,
    cross_entropy,
    cross_entropy_gradient,
)
from dragoman_models.vision.first_principles.deep_network import (
    DeepNetwork,
    DeepNetworkOptions,
    ForwardPass,
)
from dragoman_models.vision.first_principles.initialization import Initialization, initial_weight
from dragoman_models.vision.first_principles.input_scaling import input_scaling
from dragoman_models.vision.first_principles.logistic_regression import (
    LogisticRegression,
    fit_logistic_regression,
)

TORCH: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu,
    "leaky_relu": lambda z: F.leaky_relu(z, 0.01), "softmax": lambda z: z.softmax(1),
}  # fmt: skip
SEEDS = st.integers(0, 10**6)
CLOSE: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-12}


def normal(seed: int, *shape: int) -> Floats:
    return np.random.default_rng(seed).normal(0, 2, shape)


def finite_differences(function: Callable[[], float], values: Floats) -> Floats:
    """dJ/d values by the central difference, one after the other; values are changed in place."""
    step, slopes = 1e-6, np.zeros_like(values)
    for place in np.ndindex(values.shape):
        kept = values[place]
        values[place] = kept + step
        above = function()
        values[place] = kept - step
        slopes[place] = (above - function()) / (2 * step)
        values[place] = kept
    return slopes


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda one: one.name)
@given(seed=SEEDS, rows=st.integers(1, 5), columns=st.integers(1, 5))
def test_activations(activation: Activation, seed: int, rows: int, columns: int) -> None:
    z, upstream = normal(seed, rows, columns), normal(seed + 1, rows, columns)
    of_torch = torch.tensor(z, requires_grad=True)
    expected = TORCH[activation.name](of_torch)
    expected.backward(torch.tensor(upstream))  # type: ignore[no-untyped-call]
    assert of_torch.grad is not None
    value = activation.value(z)
    np.testing.assert_allclose(value, expected.detach().numpy(), **CLOSE)
    gradient = activation.gradient(z, value, upstream)
    np.testing.assert_allclose(gradient, of_torch.grad.numpy(), **CLOSE)


@given(z=st.floats(-1e5, 1e5))
def test_sigmoid_is_exact_far_out(z: float) -> None:
    with np.errstate(all="raise", under="ignore"):
        value = float(sigmoid(np.array([z]))[0])
    assert value == pytest.approx(float(torch.sigmoid(torch.tensor(z, dtype=torch.float64))))


@given(seed=SEEDS, rows=st.integers(1, 6), classes=st.integers(1, 5), size=st.floats(0, 500))
def test_costs(seed: int, rows: int, classes: int, size: float) -> None:
    z = normal(seed, rows, classes) * size
    gold = np.random.default_rng(seed).integers(0, max(2, classes), rows)
    of_torch = torch.tensor(z, requires_grad=True)
    if classes == 1:
        target = torch.tensor(gold[:, np.newaxis], dtype=torch.float64)
        expected = F.binary_cross_entropy_with_logits(of_torch, target)
        cost, gradient = binary_cross_entropy(z, gold), binary_cross_entropy_gradient(z, gold)
    else:
        expected = F.cross_entropy(of_torch, torch.tensor(gold))
        cost, gradient = cross_entropy(z, gold), cross_entropy_gradient(z, gold)
    expected.backward()  # type: ignore[no-untyped-call]
    assert of_torch.grad is not None
    assert cost == pytest.approx(float(expected.detach()), rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(gradient, of_torch.grad.numpy(), rtol=1e-8, atol=1e-12)


def torch_cost(
    network: DeepNetwork, inputs: Floats, done: ForwardPass, gold: Floats
) -> tuple[float, list[Floats]]:
    """The cost and its gradients by autograd, with the masks that `done` drew."""
    options = network.options
    parameters = [torch.tensor(one, requires_grad=True) for one in network.parameters]
    value = torch.tensor(inputs)
    for layer, (weight, bias) in enumerate(zip(parameters[::2], parameters[1::2], strict=True)):
        value = value @ weight + bias
        if layer < len(done.masks):
            value = TORCH[options.activation.name](value) * torch.tensor(done.masks[layer])
    if value.shape[1] == 1:
        target = torch.tensor(gold[:, np.newaxis], dtype=torch.float64)
        cost = F.binary_cross_entropy_with_logits(value, target)
    else:
        cost = F.cross_entropy(value, torch.tensor(gold))
    for weight in parameters[::2]:
        cost = cost + options.l2 / (2 * len(inputs)) * weight.square().sum()
    cost.backward()  # type: ignore[no-untyped-call]
    return float(cost.detach()), [one.grad.numpy() for one in parameters if one.grad is not None]


@st.composite
def networks(draw: st.DrawFn) -> tuple[DeepNetworkOptions, int, int]:
    options = DeepNetworkOptions(
        units=tuple(draw(st.lists(st.integers(1, 5), min_size=2, max_size=5))),
        activation=draw(st.sampled_from(ACTIVATIONS)),
        initialization=draw(st.sampled_from(Initialization)),
        l2=draw(st.sampled_from([0.0, 0.7])),
        keep_share=draw(st.sampled_from([1.0, 0.6])),
    )
    return options, draw(st.integers(1, 6)), draw(SEEDS)


@given(case=networks())
def test_every_network_has_the_gradients_of_autograd(
    case: tuple[DeepNetworkOptions, int, int],
) -> None:
    options, rows, seed = case
    chance = np.random.default_rng(seed)
    network = DeepNetwork(options, chance)
    inputs = normal(seed, rows, options.units[0])
    gold = chance.integers(0, max(2, options.units[-1]), rows)
    done = network.forward(inputs, chance)
    cost, expected = torch_cost(network, inputs, done, gold)
    assert network.cost(done, gold) == pytest.approx(cost, rel=1e-9)
    for own, other in zip(network.gradients(done, gold), expected, strict=True):
        np.testing.assert_allclose(own, other, **CLOSE)


@given(case=networks())
@settings(max_examples=15)
def test_every_network_has_the_slopes_of_its_cost(
    case: tuple[DeepNetworkOptions, int, int],
) -> None:
    options, rows, seed = case
    network = DeepNetwork(options, np.random.default_rng(seed))
    inputs, dropped = normal(seed, rows, options.units[0]), seed + 2
    gold = np.random.default_rng(seed).integers(0, max(2, options.units[-1]), rows)

    def cost() -> float:  # with the same units dropped each time
        return network.cost(network.forward(inputs, np.random.default_rng(dropped)), gold)

    done = network.forward(inputs, np.random.default_rng(dropped))
    gradients = network.gradients(done, gold)
    if any(np.abs(z).min() < 1e-4 for z in done.logits):
        return  # at the kink of a ReLU there is no slope
    for parameter, gradient in zip(network.parameters, gradients, strict=True):
        np.testing.assert_allclose(
            gradient, finite_differences(cost, parameter), rtol=1e-5, atol=1e-7
        )


@given(seed=SEEDS, rows=st.integers(1, 8), features=st.integers(1, 5), l2=st.floats(0, 3))
def test_logistic_regression_is_the_network_of_one_layer(
    seed: int, rows: int, features: int, l2: float
) -> None:
    network = DeepNetwork(
        DeepNetworkOptions(units=(features, 1), l2=l2), np.random.default_rng(seed)
    )
    inputs, gold = normal(seed, rows, features), np.random.default_rng(seed).integers(0, 2, rows)
    model = LogisticRegression(weight=network.parameters[0][:, 0], bias=0.0)
    done = network.forward(inputs)
    weight, bias = network.gradients(done, gold)
    own = model.gradient(inputs, gold, l2)
    np.testing.assert_allclose(own[0], weight[:, 0], **CLOSE)
    assert own[1] == pytest.approx(bias[0])
    assert model.cost(inputs, gold, l2) == pytest.approx(network.cost(done, gold))
    np.testing.assert_array_equal(model.classes(inputs), network.classes(inputs))


def test_logistic_regression_finds_what_separates() -> None:
    inputs = normal(5, 200, 3)
    gold = (inputs @ [1.0, -2.0, 0.5] > 0.3).astype(np.int64)
    model, costs = fit_logistic_regression(inputs, gold, iterations=600, learning_rate=0.5)
    assert costs[0] == pytest.approx(np.log(2))
    assert all(later < earlier for earlier, later in pairwise(costs))
    assert (model.classes(inputs) == gold).mean() > 0.97
    smaller, _ = fit_logistic_regression(inputs, gold, iterations=600, learning_rate=0.5, l2=50.0)
    assert np.linalg.norm(smaller.weight) < np.linalg.norm(model.weight)


def test_dropout_keeps_the_mean_and_the_share() -> None:
    options = DeepNetworkOptions(units=(2, 20_000, 1), keep_share=0.8, activation=leaky_relu(1.0))
    network = DeepNetwork(options, np.random.default_rng(1))
    inputs = np.ones((1, 2))
    done = network.forward(inputs, np.random.default_rng(2))
    assert (done.masks[0] > 0).mean() == pytest.approx(0.8, abs=0.02)
    assert done.masks[0].mean() == pytest.approx(1, abs=0.02)
    np.testing.assert_array_equal(network.forward(inputs).inputs[1], done.values[0])


@pytest.mark.parametrize(
    ("how", "variance"),
    [
        (Initialization.HE, 2 / 300),
        (Initialization.XAVIER, 2 / 700),
        (Initialization.LECUN, 1 / 300),
    ],
)
def test_initial_weights_have_their_variance(how: Initialization, variance: float) -> None:
    weight = initial_weight(300, 400, how, np.random.default_rng(1))
    assert weight.shape == (300, 400)
    assert weight.var() == pytest.approx(variance, rel=0.02)
    assert weight.mean() == pytest.approx(0, abs=3e-3)


def test_scaled_inputs_have_mean_0_and_variance_1() -> None:
    inputs = normal(3, 50, 4) * [1, 10, 0, 3] + [0, 5, 7, -1]
    scaling = input_scaling(inputs)
    scaled = scaling.scaled(inputs)
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(0), [1, 1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(scaling.scaled(inputs[:1]), scaled[:1])


@pytest.mark.parametrize(
    "wrong", [{"units": (3,)}, {"units": (3, 0, 1)}, {"keep_share": 0.0}, {"l2": -1.0}]
)
def test_impossible_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DeepNetworkOptions(**{"units": (3, 1), **wrong})  # type: ignore[arg-type]
