"""Draws whole sequences from a model instead of searching for the best one.

The samples of one sentence are rows of one matrix; one that ends leaves it. No other sentence is
among them, so what is drawn depends on nothing but the sentence, the options and the random
numbers, not even through the rounding of a larger product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from dragoman_models.arrays import Array, Floats, Integers
from dragoman_models.search.beam_search import FoundSequence, SearchModel, SearchOptions
from dragoman_models.search.rows import log_sum_exp
from dragoman_models.search.sampling_options import SamplingOptions
from dragoman_models.search.token_rules import TokenRules

State = TypeVar("State")


def sample_sequences(
    model: SearchModel[State],
    state: State,
    *,
    max_length: int,
    options: SearchOptions,
    sampling: SamplingOptions,
    generators: Sequence[np.random.Generator],
    cancelled: Callable[[], bool] = lambda: False,
) -> list[FoundSequence]:
    """One sequence of one sentence for each of ``generators``, in their order.

    A token is drawn from the distribution that the rules and then the filters of ``sampling``
    leave, by one number of the sample's own generator. Log-probabilities are the model's, before
    both.

    Args:
        state: the model's state of one row, before the first token.
        max_length: the most tokens before eos, which is then forced.
        options: rules, prefixes and scores; what says how to search has no effect.
        cancelled: asked at each step; True ends the work.
    Returns:
        the sequences; none where the work was cancelled.
    """
    samples = _Samples(max_length, options, sampling, generators)
    while samples.running:
        if cancelled():
            return []
        logits, state, attention = model.step(samples.previous, state)
        state = model.select(state, None, samples.extend(logits, attention))
    return [samples.found[index] for index in range(len(generators))]


class _Samples:
    """The samples that have not ended: K of them, T tokens so far."""

    def __init__(
        self,
        max_length: int,
        options: SearchOptions,
        sampling: SamplingOptions,
        generators: Sequence[np.random.Generator],
    ) -> None:
        self.options = options
        self.max_length = max_length
        self.sampling = sampling
        self.generators = generators
        self.rules = TokenRules(
            eos=options.eos,
            max_lengths=[max_length],
            rules=options.rules,
            prefixes=options.prefixes,
        )
        self.running = list(range(len(generators)))  # which sample each of the K is
        self.found: dict[int, FoundSequence] = {}
        self.previous = np.array([options.bos])  # (1,), then (K,): all begin alike
        self.tokens = np.zeros((len(generators), 0), np.int64)  # (K, T)
        self.token_log_probs = np.zeros((len(generators), 0), np.float32)  # (K, T)
        self.attention: Floats | None = None  # (K, T, S)

    def extend(self, logits: Floats, attention: Floats | None) -> Integers:
        """Draws a token for each sample.

        Args:
            logits: (K, V), or (1, V) at the first step; overwritten.
            attention: (K, S), or (1, S), or None.
        Returns:
            which rows of ``logits`` the samples that go on continue (K',).
        """
        count = len(self.running)
        rows = np.arange(count) if len(logits) == count else np.zeros(count, np.int64)
        logits = logits[rows]
        log_probs = self._draw(logits)
        self.token_log_probs = _appended(self.token_log_probs, log_probs)
        if attention is not None and self._needs_attention:
            newest = attention[rows]  # (K, S)
            before = newest[:, None][:, :0] if self.attention is None else self.attention
            self.attention = _appended(before, newest)
        left: Integers = rows[self._collect_ended()]
        return left

    @property
    def _needs_attention(self) -> bool:
        return self.options.keep_attention or self.options.coverage is not None

    def _draw(self, logits: Floats) -> Floats:
        """Appends a token to each sample; its log-probabilities (K,)."""
        normalizers = log_sum_exp(logits, axis=1)[:, 0]
        ends = logits[:, self.options.eos].copy()
        self.rules.forbid(logits[None], self.tokens[None], [0])
        stuck = np.isneginf(logits.max(axis=1))  # the rules left nothing: it ends
        logits[stuck, self.options.eos] = ends[stuck]
        uniforms = [self.generators[index].random() for index in self.running]
        self.previous = _drawn(logits, self.sampling, uniforms)
        self.tokens = _appended(self.tokens, self.previous)
        drawn: Floats = logits[np.arange(len(logits)), self.previous] - normalizers
        return drawn

    def _collect_ended(self) -> Integers:
        """Moves samples that end in eos to ``found``; the places (K',) of the others."""
        ended = self.previous == self.options.eos
        for place in ended.nonzero()[0].tolist():
            self.found[self.running[place]] = self._sequence(place)
        left: Integers = (~ended).nonzero()[0]
        if len(left) < len(self.running):
            self.running = [self.running[place] for place in left.tolist()]
            self.previous, self.tokens = self.previous[left], self.tokens[left]
            self.token_log_probs = self.token_log_probs[left]
            self.attention = None if self.attention is None else self.attention[left]
        return left

    def _sequence(self, place: int) -> FoundSequence:
        tokens = self.tokens[place].tolist()
        log_probs = self.token_log_probs[place]
        log_prob = float(log_probs.sum())
        attention = None if self.attention is None else self.attention[place]
        covered = None if attention is None else attention.sum(axis=0)
        return FoundSequence(
            tokens=tuple(tokens[:-1]),
            token_log_probs=tuple(log_probs.tolist()),
            log_prob=log_prob,
            score=self.options.score(log_prob, length=len(tokens), covered=covered, sentence=0),
            truncated=len(tokens) > self.max_length,
            attention=attention.copy()
            if attention is not None and self.options.keep_attention
            else None,
        )


def _drawn(logits: Floats, sampling: SamplingOptions, uniforms: Sequence[float]) -> Integers:
    """A token for each row of logits (K, V), by a number each."""
    import torch  # which who only searches need not load

    from dragoman_models.search.token_sampling import draw, filtered_probabilities

    probabilities = filtered_probabilities(torch.from_numpy(logits), [sampling] * len(logits))
    drawn: Integers = draw(probabilities, torch.tensor(uniforms, dtype=torch.float64)).numpy()
    return drawn


def _appended(history: Array, newest: Array) -> Array:
    """(K, T, ...) and (K, ...) -> (K, T + 1, ...)."""
    return np.concatenate([history, newest[:, None]], axis=1)
