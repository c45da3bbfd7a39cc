"""The continuous cache (Grave et al. 2017): words come again where states are alike."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dragoman_models.language_model.corpus import EncodedText
from dragoman_models.language_model.evaluation import TextFigures, figures_of
from dragoman_models.language_model.network import LanguageModelNetwork

_SEGMENT = 256


@dataclass(frozen=True, kw_only=True)
class CacheOptions:
    """Attributes:
    window: how many of the last steps are remembered.
    flatness: theta, how sharply alike states are preferred.
    share: lambda, the cache's part of the mixture; 0 where nothing is remembered yet.
    """

    window: int = 2000
    flatness: float = 0.6
    share: float = 0.1


def cache_log_probs(
    hidden: Tensor, targets: Tensor, *, first: int, window: int, flatness: float
) -> Tensor:
    """The cache's own probabilities (equations 2 and 3).

    p_cache(w at t) is proportional to the sum over the window's i with x_(i+1) = w of
    exp(theta h_t . h_i).

    Args:
        hidden: (P + T, E), the states of P remembered steps and of the T steps asked for.
        targets: (P + T,), what each of them was to predict.
        first: P.
    Returns:
        (T,) natural log-probabilities; NaN where nothing is remembered.
    """
    steps = len(targets)
    asked = torch.arange(first, steps).unsqueeze(1)  # (T, 1)
    past = torch.arange(steps).unsqueeze(0)  # (1, P + T)
    visible = (past < asked) & (past >= asked - window)
    scores = (hidden[first:] @ hidden.t()) * flatness  # (T, P + T)
    scores = scores.masked_fill(~visible, float("-inf"))
    right = targets.unsqueeze(0) == targets[first:].unsqueeze(1)
    normalizer = torch.logsumexp(scores, dim=1)
    return torch.logsumexp(scores.masked_fill(~right, float("-inf")), dim=1) - normalizer


def mixed_log_probs(own: Tensor, cache: Tensor, share: float) -> Tensor:
    """The network's and the cache's log-probabilities (T,), mixed (equation 4)."""
    if not share:
        return own
    mixed = torch.logaddexp(own + math.log1p(-share), cache + math.log(share))
    return torch.where(cache.isnan(), own, mixed)


def evaluate_with_cache(
    network: LanguageModelNetwork,
    text: EncodedText,
    options: CacheOptions,
    *,
    unknown: int | None = None,
) -> TextFigures:
    """The figures of a text, read from its start to its end with an empty cache at first."""
    own, (cache,) = _log_probs(network, text, [(options.window, options.flatness)])
    return figures_of(text, mixed_log_probs(own, cache, options.share), unknown)


def tune_cache(
    network: LanguageModelNetwork,
    text: EncodedText,
    *,
    windows: Sequence[int],
    flatnesses: Sequence[float],
    shares: Sequence[float],
) -> CacheOptions:
    """The options under which a text, one to tune on, is the likeliest."""
    grid = list(itertools.product(windows, flatnesses))
    own, caches = _log_probs(network, text, grid)
    totals = {
        CacheOptions(window=window, flatness=flatness, share=share): float(
            mixed_log_probs(own, cache, share).sum(dtype=torch.float64)
        )
        for (window, flatness), cache in zip(grid, caches, strict=True)
        for share in shares
    }
    return max(totals, key=totals.__getitem__)


@torch.no_grad()
def _log_probs(
    network: LanguageModelNetwork, text: EncodedText, grid: Sequence[tuple[int, float]]
) -> tuple[Tensor, list[Tensor]]:
    """Natural log-probabilities (N,) of the text by the network, and by the cache for each window
    and flatness; the network runs once."""
    network.eval()
    state = network.initial_state(1)
    owns: list[Tensor] = []
    caches: list[list[Tensor]] = [[] for _ in grid]
    longest = max(window for window, _ in grid)
    size = network.config.layer_sizes()[-1][1]
    hidden, gold = torch.zeros(0, size), torch.zeros(0, dtype=torch.long)
    for start in range(0, len(text.tokens) - 1, _SEGMENT):
        part = text.tokens[start : start + _SEGMENT + 1]
        outputs = network(part[:-1].unsqueeze(1), state)
        state, top = outputs.state, outputs.dropped.squeeze(1)  # (T, E)
        owns.append(network.output.token_log_probs(top, part[1:]))
        first = len(hidden)
        hidden, gold = torch.cat([hidden, top]), torch.cat([gold, part[1:]])
        for (window, flatness), parts in zip(grid, caches, strict=True):
            parts.append(
                cache_log_probs(hidden, gold, first=first, window=window, flatness=flatness)
            )
        hidden, gold = hidden[-longest:], gold[-longest:]
    return torch.cat(owns), [torch.cat(parts) for parts in caches]
