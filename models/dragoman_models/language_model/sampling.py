"""Draws tokens from filtered distributions, for many rows at once, each with its own settings.

Every operation works along a row, so a row's result does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dragoman_models.language_model.generation_options import SamplingOptions

_MINUS_INFINITY = float("-inf")


def filtered_probabilities(logits: Tensor, options: Sequence[SamplingOptions]) -> Tensor:
    """(N, V) logits or log-probabilities, N options -> (N, V) probabilities that sum to one.

    -inf stands for what is ruled out already; at least one entry of a row must be finite.
    """
    greedy = torch.tensor([o.temperature == 0 for o in options])
    temperatures = torch.tensor([o.temperature or 1.0 for o in options])
    scaled = logits - logits.amax(dim=1, keepdim=True)
    scaled = scaled / temperatures.unsqueeze(1)
    ranked = [
        i for i, o in enumerate(options) if o.top_k is not None or o.top_p < 1 or o.temperature == 0
    ]
    if ranked:
        rows = torch.tensor(ranked)
        chosen = [options[i] for i in ranked]
        scaled[rows] = _keep_most_probable(scaled[rows], chosen, greedy[rows])
    if any(o.min_p > 0 for o in options):
        least = torch.tensor([o.min_p for o in options]).log().unsqueeze(1)
        scaled = scaled.masked_fill(scaled < least, _MINUS_INFINITY)  # the largest is 0
    typical = [i for i, o in enumerate(options) if o.typical_p < 1]
    if typical:
        rows = torch.tensor(typical)
        scaled[rows] = _keep_typical(scaled[rows], [options[i].typical_p for i in typical])
    return torch.softmax(scaled, dim=1)


def _keep_most_probable(
    logits: Tensor, options: Sequence[SamplingOptions], greedy: Tensor
) -> Tensor:
    """Top-k, then top-p; -inf for the rest. Of equal logits the lower index counts as larger."""
    vocabulary = logits.size(1)
    most = torch.tensor([min(o.top_k or vocabulary, vocabulary) for o in options])
    most = torch.where(greedy, 1, most).unsqueeze(1)  # (N, 1)
    mass = torch.tensor([o.top_p for o in options]).unsqueeze(1)
    values, order = logits.sort(dim=1, descending=True, stable=True)
    kept = torch.arange(vocabulary).unsqueeze(0) < most
    probabilities = torch.softmax(values.masked_fill(~kept, _MINUS_INFINITY), dim=1)
    before = probabilities.cumsum(dim=1) - probabilities
    kept &= (before < mass) | (mass >= 1)
    return torch.full_like(logits, _MINUS_INFINITY).scatter(
        1, order, values.masked_fill(~kept, _MINUS_INFINITY)
    )


def _keep_typical(logits: Tensor, masses: Sequence[float]) -> Tensor:
    """Locally typical sampling: tokens by |information - entropy|, up to the mass."""
    log_probs = torch.log_softmax(logits, dim=1)
    probabilities = log_probs.exp()
    entropy = torch.special.entr(probabilities).sum(dim=1, keepdim=True)
    _, order = (-log_probs - entropy).abs().sort(dim=1, stable=True)
    ranked = probabilities.gather(1, order)
    before = ranked.cumsum(dim=1) - ranked
    kept = before < torch.tensor(masses).unsqueeze(1)
    return logits.masked_fill(~torch.zeros_like(kept).scatter(1, order, kept), _MINUS_INFINITY)


def draw(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """(N, V), uniform numbers (N,) of [0, 1) in float64 -> tokens (N,).

    The first token whose cumulative probability exceeds the number: one of probability zero never.
    """
    cumulative = probabilities.double().cumsum(dim=1)
    total = cumulative[:, -1]
    # Rounding must not lead to the total itself, behind the last token.
    point = torch.minimum(uniforms * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cumulative, point.unsqueeze(1), right=True).squeeze(1)
