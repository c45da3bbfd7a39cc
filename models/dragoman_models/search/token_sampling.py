"""Draws tokens from filtered distributions, for many rows at once, each with its own settings.

Every operation works along a row, so a row's result does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dragoman_models.search.sampling_options import SamplingOptions

_MINUS_INFINITY = float("-inf")
_FRONT = 256  # so many of the largest are looked at first


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
    """Top-k, then top-p; -inf for the rest. Of equal logits the lower index counts as larger.

    What is kept is seldom more than a few hundred tokens: their order is found by a selection,
    and only rows that keep more are sorted.
    """
    vocabulary = logits.size(1)
    most = torch.tensor([min(o.top_k or vocabulary, vocabulary) for o in options])
    most = torch.where(greedy, 1, most)  # (N,)
    mass = torch.tensor([o.top_p for o in options])
    front = min(_FRONT, vocabulary)
    values = logits.topk(front, dim=1).values  # (N, front)
    count, ends = _count_kept(values, torch.logsumexp(logits, dim=1), most, mass, vocabulary)
    least = values.gather(1, count.unsqueeze(1) - 1).squeeze(1)
    if not ends.all():
        rows = (~ends).nonzero().squeeze(1)
        values = logits[rows].sort(dim=1, descending=True).values
        count[rows], _ = _count_kept(
            values, torch.logsumexp(values, dim=1), most[rows], mass[rows], vocabulary
        )
        least[rows] = values.gather(1, count[rows].unsqueeze(1) - 1).squeeze(1)
    above, equal = logits > least.unsqueeze(1), logits == least.unsqueeze(1)
    missing = count.unsqueeze(1) - above.sum(dim=1, keepdim=True)
    kept = above | (equal & (equal.cumsum(dim=1) <= missing))
    return logits.masked_fill(~kept, _MINUS_INFINITY)


def _count_kept(
    values: Tensor, row_total: Tensor, most: Tensor, mass: Tensor, vocabulary: int
) -> tuple[Tensor, Tensor]:
    """How many of a row's largest values (N, K) top-k ``most`` and top-p ``mass`` keep (N,), and
    whether these K are enough to tell (N,).

    Args:
        row_total: log of the sum of exp of the whole rows (N,).
    """
    seen = values.size(1)
    within = torch.arange(seen).unsqueeze(0) < most.unsqueeze(1)
    of_most = torch.logsumexp(values.masked_fill(~within, _MINUS_INFINITY), dim=1)
    total = torch.where(most <= seen, of_most, row_total)
    probabilities = (values - total.unsqueeze(1)).exp()
    before = probabilities.cumsum(dim=1) - probabilities
    kept = within & ((before < mass.unsqueeze(1)) | (mass >= 1).unsqueeze(1))
    count = kept.sum(dim=1)
    return count, (most <= seen) | ((most >= vocabulary) & (count < seen))


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
