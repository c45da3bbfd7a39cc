"""Phrases that no hypothesis holds, however it is cut into tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dragoman_models.arrays import Floats, Integers
from dragoman_models.search.phrase_automaton import IntArray, Phrase, PhraseAutomaton
from dragoman_models.search.token_bytes import TokenBytes

_FORBIDDEN = float("-inf")


@dataclass(frozen=True, kw_only=True)
class BannedPhrases:
    """For each sentence, the phrases that none of its hypotheses may hold as whole words.

    While a phrase is spelled out, nothing is forbidden but what completes it: for one that ends
    with a letter, that is whatever ends the word, for "cat" may yet become "cats".
    """

    phrases: Sequence[Sequence[Phrase]]
    vocabulary: TokenBytes
    eos: int
    max_lengths: Sequence[int]

    def begin(self) -> _BannedPhrases:
        """The rule of a search that begins."""
        return _BannedPhrases(self)

    def occurs(self, tokens: Sequence[int], sentence: int) -> bool:
        """Whether a phrase banned in ``sentence`` stands in a text of these tokens."""
        automaton = PhraseAutomaton([self.phrases[sentence]], self.vocabulary, strict=True)
        states = np.array(automaton.starts)
        for token in tokens:
            states, seen = automaton.advance(states, np.array([token]))
            if seen.any():
                return True
        return bool(automaton.ends[states].any())


class _BannedPhrases:
    def __init__(self, options: BannedPhrases) -> None:
        self._eos, self._max_lengths = options.eos, options.max_lengths
        sets = list(dict.fromkeys(map(tuple, options.phrases)))
        self._automaton = PhraseAutomaton(sets, options.vocabulary, strict=True)
        starts = [self._automaton.starts[sets.index(tuple(one))] for one in options.phrases]
        self._states: IntArray = np.array(starts)[:, None]  # (B, K)

    def forbid(self, logits: Floats, tokens: Integers, sentences: Sequence[int]) -> None:
        """As a `TokenRule` does; what ends here it forbids to end."""
        count, places = self._states.shape
        left = np.array([self._max_lengths[one] for one in sentences]) - tokens.shape[2]
        rows = np.reshape(logits, (count * places, -1), copy=False)
        for last in (False, True):  # behind a last token, a text ends
            chosen = np.repeat((left == 1) == last, places).nonzero()[0]
            if len(chosen):
                states = self._states.reshape(-1)[chosen]
                mask = self._automaton.completing(states, at_end=last)
                mask[:, self._eos] = self._automaton.ends[states]
                if len(chosen) == len(rows):
                    rows[mask] = _FORBIDDEN
                else:
                    rows[chosen] = np.where(mask, _FORBIDDEN, rows[chosen])

    def advance(self, parents: Integers, tokens: Integers) -> None:
        """The hypotheses go on: (B, K') places of their parents, and their new tokens."""
        states = np.take_along_axis(self._states, parents, axis=1)
        reached, _ = self._automaton.advance(states.reshape(-1), tokens.reshape(-1))
        self._states = reached.reshape(states.shape)

    def keep(self, left: Integers) -> None:
        """Drops all sentences but those at the positions ``left``."""
        self._states = self._states[left]
