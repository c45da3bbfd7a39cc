"""A network of L fully connected layers, with its backward pass written out.

    z_l = a_(l-1) W_l + b_l,  a_l = g(z_l),  a_0 = x,  J = cross-entropy(z_L) + l2 / (2 N) |W|_F^2

Rows are examples. One output is read as the logit of class 1, more outputs as logits of classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dragoman_models.vision.first_principles.activations import (
    RELU,
    Activation,
    Floats,
    sigmoid,
    softmax,
)
from dragoman_models.vision.first_principles.costs import (
    Classes,
    binary_cross_entropy,
    binary_cross_entropy_gradient,
    cross_entropy,
    cross_entropy_gradient,
)
from dragoman_models.vision.first_principles.initialization import (
    Initialization,
    initial_weight,
)


@dataclass(frozen=True, kw_only=True)
class DeepNetworkOptions:
    """The shape of a network and how it is regularized.

    Args:
        units: of the input, of each layer, of the output (1 for two classes).
        l2: weight of the squared Frobenius norms.
        keep_share: of the hidden units that inverted dropout leaves in (Srivastava et al. 2014);
            what is left is divided by it, so that answers need no change.
    """

    units: tuple[int, ...]
    activation: Activation = RELU
    initialization: Initialization = Initialization.HE
    l2: float = 0.0
    keep_share: float = 1.0

    def __post_init__(self) -> None:
        if len(self.units) < 2 or min(self.units) < 1:
            raise ValueError("units must name input and output, each 1 or more")
        if not 0 < self.keep_share <= 1:
            raise ValueError("keep_share must be above 0, and 1 at most")
        if self.l2 < 0:
            raise ValueError("l2 must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class ForwardPass:
    """What the backward pass needs."""

    inputs: list[Floats]  # of each layer, after dropout: (N, units before)
    logits: list[Floats]  # z of each layer: (N, units)
    values: list[Floats]  # g(z) of each hidden layer, before dropout
    masks: list[Floats]  # of each hidden layer: 0, or 1 / keep_share


class DeepNetwork:
    """The layers' weights and biases; `parameters` is W_1, b_1, W_2, b_2, ..."""

    def __init__(
        self,
        options: DeepNetworkOptions,
        chance: np.random.Generator,
        dtype: type[np.floating] = np.float64,
    ) -> None:
        """Random weights; biases of zero."""
        self.options = options
        self.parameters: list[Floats] = []
        for inputs, outputs in pairwise(options.units):
            weight = initial_weight(inputs, outputs, options.initialization, chance)
            self.parameters += [weight.astype(dtype), np.zeros(outputs, dtype)]

    def forward(self, inputs: Floats, chance: np.random.Generator | None = None) -> ForwardPass:
        """(N, units[0]) -> all layers' values. chance: drops hidden units; None: keeps all."""
        done = ForwardPass(inputs=[inputs], logits=[], values=[], masks=[])
        layers = len(self.parameters) // 2
        for layer in range(layers):
            weight, bias = self.parameters[2 * layer : 2 * layer + 2]
            done.logits.append(done.inputs[-1] @ weight + bias)
            if layer == layers - 1:
                break
            value = self.options.activation.value(done.logits[-1])
            mask = self._mask(value, chance)
            done.values.append(value)
            done.masks.append(mask)
            done.inputs.append(value * mask)
        return done

    def _mask(self, value: Floats, chance: np.random.Generator | None) -> Floats:
        keep = self.options.keep_share
        if chance is None or keep == 1:
            return np.ones_like(value)
        return ((chance.random(value.shape) < keep) / keep).astype(value.dtype)

    def cost(self, done: ForwardPass, classes: Classes) -> float:
        """J, in nats."""
        z = done.logits[-1]
        entropy = binary_cross_entropy if z.shape[1] == 1 else cross_entropy
        norm = sum(float((weight**2).sum()) for weight in self.parameters[::2])
        return entropy(z, classes) + self.options.l2 / (2 * len(z)) * norm

    def gradients(self, done: ForwardPass, classes: Classes) -> list[Floats]:
        """dJ / d`parameters`, by the chain rule from the last layer to the first."""
        z = done.logits[-1]
        entropy = binary_cross_entropy_gradient if z.shape[1] == 1 else cross_entropy_gradient
        upstream = entropy(z, classes)  # dJ/dz_L: (N, outputs)
        backward: list[Floats] = []
        for layer in reversed(range(len(done.logits))):
            weight = self.parameters[2 * layer]
            decay = self.options.l2 / len(z) * weight
            backward += [upstream.sum(axis=0), done.inputs[layer].T @ upstream + decay]
            if layer == 0:
                break
            value = done.values[layer - 1]
            through = upstream @ weight.T * done.masks[layer - 1]  # dJ/da: (N, units before)
            upstream = self.options.activation.gradient(done.logits[layer - 1], value, through)
        return backward[::-1]

    def probabilities(self, inputs: Floats) -> Floats:
        """(N, units[0]) -> (N, classes), 2 classes for one output."""
        z = self.forward(inputs).logits[-1]
        if z.shape[1] > 1:
            return softmax(z)
        one = sigmoid(z)
        return np.concatenate([1 - one, one], axis=1)

    def classes(self, inputs: Floats) -> Classes:
        """(N, units[0]) -> (N,): the likeliest; between two alike, the first."""
        return np.asarray(self.probabilities(inputs).argmax(axis=1))
