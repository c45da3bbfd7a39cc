"""Dynamic evaluation (Krause et al. 2018): the weights go on learning from the text they score."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dragoman_models.language_model.corpus import EncodedText, columns_of
from dragoman_models.language_model.evaluation import TextFigures, figures_of
from dragoman_models.language_model.network import LanguageModelNetwork, detached


@dataclass(frozen=True, kw_only=True)
class DynamicOptions:
    """Attributes:
    segment: tokens that are scored before the weights move.
    learning_rate: eta.
    decay: lambda, the pull back to the trained weights.
    epsilon: keeps the division by the gradients' size from growing without bound.
    """

    segment: int = 5
    learning_rate: float = 0.002
    decay: float = 0.02
    epsilon: float = 0.001


@dataclass(frozen=True, kw_only=True)
class GradientSizes:
    """The root mean square of each weight's gradient on the training text, by name."""

    root_mean_squares: dict[str, Tensor]


def measure_gradients(
    network: LanguageModelNetwork, train: Tensor, *, columns: int = 100, segment: int = 35,
    updates: int = 200,
) -> GradientSizes:  # fmt: skip
    """MS_g of the RMS rule (equation 6), over the first ``updates`` segments of training text.

    Args:
        train: (N + 1,) token ids.
    """
    network.eval()
    inputs, targets = columns_of(train, min(columns, len(train) - 1))
    state = network.initial_state(inputs.size(1))
    squares = {name: torch.zeros_like(weight) for name, weight in network.named_parameters()}
    starts = range(0, len(inputs), segment)[:updates]
    for start in starts:
        outputs = network(inputs[start : start + segment], detached(state))
        state = outputs.state
        gold = targets[start : start + segment].flatten()
        loss = network.output.summed_loss(outputs.dropped.flatten(0, 1), gold, torch.float32)
        for name, gradient in _gradients(network, loss / len(gold)):
            squares[name] += gradient.square()
    means = {name: (total / len(starts)).sqrt() for name, total in squares.items()}
    return GradientSizes(root_mean_squares=means)


def _gradients(network: LanguageModelNetwork, loss: Tensor) -> Iterator[tuple[str, Tensor]]:
    names, weights = zip(*network.named_parameters(), strict=True)
    for name, gradient in zip(
        names, torch.autograd.grad(loss, weights, allow_unused=True), strict=True
    ):
        if gradient is not None:
            yield name, gradient


def evaluate_dynamically(
    network: LanguageModelNetwork, text: EncodedText, sizes: GradientSizes,
    options: DynamicOptions, *, unknown: int | None = None,
) -> TextFigures:  # fmt: skip
    """The figures of a text; each segment is scored before the weights learn from it.

    The RMS rule with decay to the trained weights (equations 7 and 8): with g the gradient of the
    segment's mean loss,
    theta <- theta - eta g / (sqrt(MS_g) + eps) + min(lambda RMS_norm, 1) (theta_0 - theta).
    The network itself is left as it was.
    """
    learner = copy.deepcopy(network).eval()
    rates, kept, pulls = _rates(network, sizes, options)
    state, found = learner.initial_state(1), []
    for start in range(0, len(text.tokens) - 1, options.segment):
        part = text.tokens[start : start + options.segment + 1]
        outputs = learner(part[:-1].unsqueeze(1), detached(state))
        state, top = outputs.state, outputs.dropped.squeeze(1)
        with torch.no_grad():
            found.append(learner.output.token_log_probs(top, part[1:]))
        loss = learner.output.summed_loss(top, part[1:], torch.float32) / len(top)
        weights = dict(learner.named_parameters())
        gradients = list(_gradients(learner, loss))
        with torch.no_grad():  # in place: new memory of this size would cost more than the sums
            for name, gradient in gradients:
                weights[name].addcmul_(gradient, rates[name], value=-1)
                weights[name].mul_(kept[name]).add_(pulls[name])
    return figures_of(text, torch.cat(found), unknown)


def _rates(
    network: LanguageModelNetwork, sizes: GradientSizes, options: DynamicOptions
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """For each weight: the rate of its gradient, what is kept of it, and its pull to the trained
    one; theta + d (theta_0 - theta) is (1 - d) theta + d theta_0."""
    roots = sizes.root_mean_squares
    total = sum(float(root.sum()) for root in roots.values())
    mean = total / sum(root.numel() for root in roots.values())
    rates, kept, pulls = {}, {}, {}
    for name, weight in network.named_parameters():
        decay = (options.decay * roots[name] / max(mean, 1e-30)).clamp_max(1.0)
        rates[name] = options.learning_rate / (roots[name] + options.epsilon)
        kept[name], pulls[name] = 1 - decay, decay * weight.detach()
    return rates, kept, pulls
