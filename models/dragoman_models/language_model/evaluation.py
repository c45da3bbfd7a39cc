"""Perplexity of a whole text, with the state carried from its first token to its last."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dragoman_models.language_model.corpus import EncodedText, columns_of
from dragoman_models.language_model.network import LanguageModelNetwork

_SEGMENT = 256


@dataclass(frozen=True, kw_only=True)
class TextFigures:
    """How well a text is predicted.

    Unknown words count as the token for unknown, with its probability: the convention of
    WikiText-2, whose text has them already. It flatters a model with a small vocabulary, so
    figures of different vocabularies compare only by word or by character without unknown tokens.

    Attributes:
        nats: minus the natural logarithm of the text's probability.
        tokens: tokens predicted, with the one that ends each line.
        words: words between white space, and one for each line's end: for a word vocabulary the
            same as tokens.
        characters: code points, and one for each line's end.
        unknown_tokens: how many of the tokens stand for unknown.
    """

    nats: float
    tokens: int
    words: int
    characters: int
    unknown_tokens: int = 0

    @property
    def perplexity(self) -> float:
        """Per token."""
        return math.exp(min(self.nats / self.tokens, 700.0))

    @property
    def word_perplexity(self) -> float:
        """Per word, for any vocabulary."""
        return math.exp(min(self.nats / self.words, 700.0))

    @property
    def bits_per_character(self) -> float:
        """Per code point, for any vocabulary."""
        return self.nats / self.characters / math.log(2)


def figures_of(text: EncodedText, log_probs: Tensor, unknown: int | None) -> TextFigures:
    """The figures of a text whose tokens (all but the first) have these log-probabilities (N,)."""
    return TextFigures(
        nats=-float(log_probs.double().sum()),
        tokens=len(log_probs),
        words=text.words,
        characters=text.characters,
        unknown_tokens=0 if unknown is None else int((text.tokens[1:] == unknown).sum()),
    )


@torch.no_grad()
def mean_loss(
    network: LanguageModelNetwork, tokens: Tensor, *, columns: int, dtype: torch.dtype | None = None
) -> float:
    """Nats per token of a text read in columns side by side: quick, for steering the training.

    Args:
        tokens: (N + 1,).
    """
    network.eval()
    inputs, targets = columns_of(tokens, min(columns, len(tokens) - 1))
    state, total = network.initial_state(inputs.size(1)), 0.0
    for start in range(0, len(inputs), _SEGMENT):
        outputs = network(inputs[start : start + _SEGMENT], state, dtype)
        state = outputs.state
        hidden = outputs.dropped.flatten(0, 1).to(network.embedding.dtype)
        gold = targets[start : start + _SEGMENT].flatten()
        total -= float(network.output.token_log_probs(hidden, gold).sum(dtype=torch.float64))
    return total / inputs.numel()


@torch.no_grad()
def text_log_probs(network: LanguageModelNetwork, tokens: Tensor) -> Tensor:
    """(N + 1,) ids -> log-probabilities (N,) of all but the first, each given all before it."""
    network.eval()
    state, found = network.initial_state(1), []
    for start in range(0, len(tokens) - 1, _SEGMENT):
        part = tokens[start : start + _SEGMENT + 1]
        outputs = network(part[:-1].unsqueeze(1), state)
        state = outputs.state
        found.append(network.output.token_log_probs(outputs.dropped.squeeze(1), part[1:]))
    return torch.cat(found)


def evaluate(
    network: LanguageModelNetwork, text: EncodedText, *, unknown: int | None = None
) -> TextFigures:
    """The figures of a text by the network alone."""
    return figures_of(text, text_log_probs(network, text.tokens), unknown)
