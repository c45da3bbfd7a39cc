"""The continuous cache (Grave et al. 2017): words come again where states are alike."""

from __future__ import annotations

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


def cached_log_probs(
    hidden: Tensor, targets: Tensor, log_probs: Tensor, options: CacheOptions, *, first: int
) -> Tensor:
    """Mixes the network's probabilities with the cache's (equations 2 to 4).

    p_cache(w at t) is proportional to the sum over the window's i with x_(i+1) = w of
    exp(theta h_t . h_i).

    Args:
        hidden: (P + T, E), the states of P remembered steps and of the T steps asked for.
        targets: (P + T,), what each of them was to predict.
        log_probs: (T,), the network's own.
        first: P.
    Returns:
        (T,) natural log-probabilities.
    """
    steps = len(targets)
    asked = torch.arange(first, steps).unsqueeze(1)  # (T, 1)
    past = torch.arange(steps).unsqueeze(0)  # (1, P + T)
    visible = (past < asked) & (past >= asked - options.window)
    scores = (hidden[first:] @ hidden.t()) * options.flatness  # (T, P + T)
    scores = scores.masked_fill(~visible, float("-inf"))
    right = targets.unsqueeze(0) == targets[first:].unsqueeze(1)
    normalizer = torch.logsumexp(scores, dim=1)
    found = torch.logsumexp(scores.masked_fill(~right, float("-inf")), dim=1) - normalizer
    mixed = torch.logaddexp(
        log_probs + torch.log1p(torch.tensor(-options.share)),
        found + torch.log(torch.tensor(options.share)),
    )
    return torch.where(visible.any(1), mixed, log_probs)


def evaluate_with_cache(
    network: LanguageModelNetwork,
    text: EncodedText,
    options: CacheOptions,
    *,
    unknown: int | None = None,
) -> TextFigures:
    """The figures of a text, read from its start to its end with an empty cache at first."""
    (found,) = _log_probs(network, text, [options])
    return figures_of(text, found, unknown)


def tune_cache(
    network: LanguageModelNetwork, text: EncodedText, candidates: Sequence[CacheOptions]
) -> CacheOptions:
    """The candidate under which a text, one to tune on, is the likeliest."""
    totals = [float(found.sum(dtype=torch.float64)) for found in
              _log_probs(network, text, candidates)]  # fmt: skip
    return candidates[totals.index(max(totals))]


@torch.no_grad()
def _log_probs(
    network: LanguageModelNetwork, text: EncodedText, candidates: Sequence[CacheOptions]
) -> list[Tensor]:
    """Natural log-probabilities (N,) of the text by each candidate; the network runs once."""
    network.eval()
    state = network.initial_state(1)
    found: list[list[Tensor]] = [[] for _ in candidates]
    window = max(options.window for options in candidates)
    size = network.config.layer_sizes()[-1][1]
    hidden, gold = torch.zeros(0, size), torch.zeros(0, dtype=torch.long)
    for start in range(0, len(text.tokens) - 1, _SEGMENT):
        part = text.tokens[start : start + _SEGMENT + 1]
        outputs = network(part[:-1].unsqueeze(1), state)
        state, top = outputs.state, outputs.dropped.squeeze(1)  # (T, E)
        own = network.output.token_log_probs(top, part[1:])
        first = len(hidden)
        hidden, gold = torch.cat([hidden, top]), torch.cat([gold, part[1:]])
        for options, parts in zip(candidates, found, strict=True):
            parts.append(cached_log_probs(hidden, gold, own, options, first=first))
        hidden, gold = hidden[-window:], gold[-window:]
    return [torch.cat(parts) for parts in found]
