"""Phrases that every hypothesis must hold: dynamic beam allocation (Post and Vilar 2018).

The beam is shared among banks: hypotheses that lack the same number of tokens of their phrases
compete only with one another, so that those which begin a phrase early, against the model's wish,
are not crowded out. Places go round the banks, the best of each first (Hu et al. 2019), and each
hypothesis is continued by the tokens that its phrases go on with, whatever their probability.

Phrases are found in the text, not in tokens: any way to cut one into tokens meets it, and phrases
may share tokens, or lie one inside another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dragoman_models.arrays import Floats, Integers
from dragoman_models.search.phrase_automaton import (
    BoolArray,
    IntArray,
    Phrase,
    PhraseAutomaton,
)
from dragoman_models.search.rows import gathered
from dragoman_models.search.token_bytes import TokenBytes

_FORBIDDEN = float("-inf")
_NONE = -1


@dataclass(frozen=True, kw_only=True)
class RequiredPhrases:
    """For each sentence, the phrases that all its hypotheses hold as whole words.

    No hypothesis that lacks one is found; where none is found at all, the phrases do not fit into
    the longest allowed length, or other rules forbid them.
    """

    phrases: Sequence[Sequence[Phrase]]
    vocabulary: TokenBytes
    eos: int

    def begin(self) -> _RequiredPhrases:
        """The rule of a search that begins."""
        return _RequiredPhrases(self)


class _Spelling:
    """How a phrase goes on behind each of its bytes, if it can by the tokenizer's division of it.

    Attributes:
        first: the token that begins it, with the blank before it.
        next: by the bytes read so far, the token that goes on.
        lacking: by the bytes read so far, how many tokens are still to be written.
        whole: the most tokens to be written where nothing is.
    """

    def __init__(self, phrase: Phrase, vocabulary: TokenBytes) -> None:
        content, self.first = phrase.content, phrase.tokens[0]
        begin, own = -1, {}  # the blank is no part of the phrase
        for token in phrase.tokens:
            own[begin] = token
            begin += len(vocabulary.tokens[token])
        self.next = [
            own[at] if at in own else _longest(vocabulary, content, at)
            for at in range(len(content))
        ]
        self.lacking = [0] * (len(content) + 1)
        for at in reversed(range(len(content))):
            self.lacking[at] = 1 + self.lacking[at + len(vocabulary.tokens[self.next[at]])]
        behind_first = len(vocabulary.tokens[self.first]) - 1
        self.whole = max(self.lacking[0], 1 + self.lacking[behind_first])


def _longest(vocabulary: TokenBytes, content: bytes, start: int) -> int:
    """The longest token that the rest of ``content`` begins with; a byte is one, if need be."""
    return next(
        token
        for length in range(min(vocabulary.longest, len(content) - start), 0, -1)
        if (token := vocabulary.by_bytes.get(content[start : start + length])) is not None
    )


class _RequiredPhrases:
    """P phrases a sentence, at most; those that a sentence has less are met from the start."""

    def __init__(self, options: RequiredPhrases) -> None:
        self._options = options
        distinct = list(dict.fromkeys(one for phrases in options.phrases for one in phrases))
        self._automaton = PhraseAutomaton(
            [[one] for one in distinct], options.vocabulary, strict=False
        )
        self._lay_out(distinct)
        number = {phrase: i for i, phrase in enumerate(distinct)}
        asked = [[number[one] for one in dict.fromkeys(phrases)] for phrases in options.phrases]
        most = max(map(len, asked))
        padded = [[*one, *[0] * (most - len(one))] for one in asked]
        self._phrases = np.array(padded)[:, None]  # (B, 1, P)
        lengths = np.array([len(one) for one in asked])
        self._met = (np.arange(most) >= lengths[:, None])[:, None]  # (B, K, P)
        self._states = np.array(self._automaton.starts)[self._phrases]  # (B, K, P)

    def _lay_out(self, distinct: Sequence[Phrase]) -> None:
        """The spellings as tables: rows are phrases, columns bytes read."""
        options = self._options
        spellings = [_Spelling(one, options.vocabulary) for one in distinct]
        longest = max(len(one.content) for one in distinct)
        self._next: IntArray = np.full((len(distinct), longest + 1), _NONE)
        self._lacking: IntArray = np.zeros((len(distinct), longest + 1), np.int64)
        for row, spelling in enumerate(spellings):
            self._next[row, : len(spelling.next)] = spelling.next
            self._lacking[row, : len(spelling.lacking)] = spelling.lacking
        self._first = np.array([one.first for one in spellings])
        self._whole = np.array([one.whole for one in spellings])
        self._begins_word = np.array([one.begins_word for one in distinct])
        self._continues_word = options.vocabulary.continues_word()  # (V,)

    def forbid(self, logits: Floats, tokens: Integers, sentences: Sequence[int]) -> None:
        """No eos where a phrase is missing."""
        missing = (~self._found(self._states, self._met)).any(axis=2)  # (B, K)
        logits[:, :, self._options.eos][missing] = _FORBIDDEN

    def wanted(self) -> Integers:
        """(B, K, 2 P) tokens that phrases begin or go on with; -1 for none."""
        automaton, states = self._automaton, self._states
        phrases = np.broadcast_to(self._phrases, states.shape)
        read = automaton.read[states]
        begins = read == 0
        in_word = begins & self._begins_word[phrases] & automaton.after_word[states]
        going_on = np.where(in_word, _NONE, self._next[phrases, read])
        with_blank = begins & ~automaton.after_blank[states]
        beginning = np.where(with_blank, self._first[phrases], _NONE)
        found = self._found(states, self._met)
        both = [np.where(found, _NONE, tokens) for tokens in (going_on, beginning)]
        return np.concatenate(both, axis=2)

    def with_wanted(
        self, best: Floats, candidates: Integers, logits: Floats, wanted: Integers
    ) -> tuple[Floats, Integers]:
        """The best logits and tokens (B * K, width) of logits (B * K, V), with the ``wanted`` ones,
        and where a phrase ends with a word that may yet go on, the best token that ends it."""
        tokens = wanted.reshape(len(logits), -1)
        pending = self._automaton.ends[self._states] & ~self._met
        rows = pending.any(axis=2).reshape(-1).nonzero()[0]
        ending = np.full((len(tokens), 1), _NONE, np.int64)
        if len(rows):
            left = np.where(self._continues_word, _FORBIDDEN, logits[rows])
            ending[rows, 0] = left.argmax(axis=1)
        return _added(best, candidates, logits, np.concatenate([tokens, ending], axis=1))

    def banks(self, parents: Integers, tokens: Integers, left: Integers) -> Integers:
        """(B, M) continuations of the hypotheses ``parents`` by ``tokens`` -> their banks.

        The bank is the number of tokens that suffice to write what is missing, one phrase after
        the other: only one can be half written. If that is more than the tokens that are ``left``
        (B,) afterwards, it comes behind all other banks.
        """
        states, met = self._continued(parents, tokens)
        phrases = np.broadcast_to(self._phrases, states.shape)
        read, whole = self._automaton.read[states], self._whole[phrases]
        begun = (read > 0) | self._automaton.after_blank[states]
        saved = np.where(begun, whole - self._lacking[phrases, read], 0)
        missing = ~self._found(states, met)
        least = np.iinfo(np.int64).min
        most_saved = np.where(missing, saved, least).max(axis=2)
        banks = np.where(missing, whole, 0).sum(axis=2)
        banks -= np.where(missing.any(axis=2), most_saved, 0)
        beyond = 2 + self._phrases.shape[2] * int(self._whole.max() + self._lacking.max())
        found: Integers = np.where(banks > left[:, None], banks + beyond, banks)
        return found

    def _found(self, states: IntArray, met: BoolArray) -> BoolArray:
        """Which phrases would stand in the text if it ended here."""
        return met | self._automaton.ends[states]

    def _continued(self, parents: IntArray, tokens: IntArray) -> tuple[IntArray, BoolArray]:
        """(B, M) -> states and met (B, M, P) behind the new tokens."""
        states = np.take_along_axis(self._states, parents[:, :, None], axis=1)
        met = np.take_along_axis(self._met, parents[:, :, None], axis=1)
        repeated = np.broadcast_to(tokens[:, :, None], states.shape)
        reached, seen = self._automaton.advance(states.reshape(-1), repeated.reshape(-1))
        return reached.reshape(states.shape), met | seen.reshape(states.shape)

    def advance(self, parents: Integers, tokens: Integers) -> None:
        """The hypotheses go on: (B, K') places of their parents, and their new tokens."""
        self._states, self._met = self._continued(parents, tokens)

    def keep(self, left: Integers) -> None:
        """Drops all sentences but those at the positions ``left``."""
        self._phrases = self._phrases[left]
        self._states, self._met = self._states[left], self._met[left]


def best_of_banks(scores: Floats, banks: Integers, count: int) -> Integers:
    """(B, M) scores and banks -> (B, count) indices: the best of each bank, the lowest bank first,
    then the second of each, and so on. With one bank, the ``count`` best."""
    by_score = (-scores).argsort(axis=1, kind="stable")
    by_bank = gathered(banks, by_score).argsort(axis=1, kind="stable")
    order = gathered(by_score, by_bank)
    ordered = gathered(banks, order)  # banks, and within one from the best score
    place = np.arange(scores.shape[1])
    begins = np.ones(ordered.shape, np.bool_)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    rank = place - np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    impossible = np.isneginf(gathered(scores, order))
    most = int(banks.max()) + 1
    key = rank * most + ordered + impossible * (scores.shape[1] * most)
    return gathered(order, key.argsort(axis=1, kind="stable")[:, :count])


def _added(
    best: Floats, candidates: Integers, logits: Floats, tokens: Integers
) -> tuple[Floats, Integers]:
    """The logits and tokens (N, width), with those of the tokens (N, W) that lack behind them.

    -1 is no token; its logit is -inf, as that of one that is there before.
    """
    columns = np.arange(tokens.shape[1])
    twice = (tokens[:, :, None] == tokens[:, None]) & (columns < columns[:, None])
    there = np.where(np.isneginf(best), _NONE, candidates)
    known = twice.any(axis=2) | (tokens[:, :, None] == there[:, None]).any(axis=2)
    known |= tokens == _NONE
    tokens = np.maximum(tokens, 0)
    added = np.where(known, _FORBIDDEN, gathered(logits, tokens))
    return np.concatenate([best, added], axis=1), np.concatenate([candidates, tokens], axis=1)
