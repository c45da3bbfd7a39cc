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
import torch
from torch import Tensor

from dragoman_models.search.phrase_automaton import (
    BoolArray,
    IntArray,
    Phrase,
    PhraseAutomaton,
)
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
        self._continues_word = torch.from_numpy(options.vocabulary.continues_word())  # (V,)

    def forbid(self, logits: Tensor, tokens: Tensor, sentences: Sequence[int]) -> None:
        """No eos where a phrase is missing."""
        missing = (~self._found(self._states, self._met)).any(axis=2)  # (B, K)
        logits[:, :, self._options.eos].masked_fill_(torch.from_numpy(missing), _FORBIDDEN)

    def wanted(self) -> Tensor:
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
        return torch.from_numpy(np.concatenate(both, axis=2))

    def with_wanted(
        self, best: Tensor, candidates: Tensor, logits: Tensor, wanted: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The best logits and tokens (B * K, width) of logits (B * K, V), with the ``wanted`` ones,
        and where a phrase ends with a word that may yet go on, the best token that ends it."""
        tokens = wanted.flatten(0, 1)
        pending = self._automaton.ends[self._states] & ~self._met
        rows = torch.from_numpy(pending.any(axis=2).reshape(-1)).nonzero().squeeze(1)
        ending = torch.full((len(tokens), 1), _NONE)
        if len(rows):
            left = logits[rows].masked_fill(self._continues_word, _FORBIDDEN)
            ending[rows, 0] = left.argmax(dim=1)
        return _added(best, candidates, logits, torch.cat([tokens, ending], dim=1))

    def banks(self, parents: Tensor, tokens: Tensor, left: Tensor) -> Tensor:
        """(B, M) continuations of the hypotheses ``parents`` by ``tokens`` -> their banks.

        The bank is the number of tokens that suffice to write what is missing, one phrase after
        the other: only one can be half written. If that is more than the tokens that are ``left``
        (B,) afterwards, it comes behind all other banks.
        """
        states, met = self._continued(parents.numpy(), tokens.numpy())
        phrases = np.broadcast_to(self._phrases, states.shape)
        read, whole = self._automaton.read[states], self._whole[phrases]
        begun = (read > 0) | self._automaton.after_blank[states]
        saved = np.where(begun, whole - self._lacking[phrases, read], 0)
        missing = ~self._found(states, met)
        least = np.iinfo(np.int64).min
        most_saved = np.where(missing, saved, least).max(axis=2)
        banks = np.where(missing, whole, 0).sum(axis=2)
        banks -= np.where(missing.any(axis=2), most_saved, 0)
        found = torch.from_numpy(banks)
        beyond = 2 + self._phrases.shape[2] * int(self._whole.max() + self._lacking.max())
        return torch.where(found > left.unsqueeze(1), found + beyond, found)

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

    def advance(self, parents: Tensor, tokens: Tensor) -> None:
        """The hypotheses go on: (B, K') places of their parents, and their new tokens."""
        self._states, self._met = self._continued(parents.numpy(), tokens.numpy())

    def keep(self, left: Tensor) -> None:
        """Drops all sentences but those at the positions ``left``."""
        self._phrases = self._phrases[left.numpy()]
        self._states, self._met = self._states[left.numpy()], self._met[left.numpy()]


def best_of_banks(scores: Tensor, banks: Tensor, count: int) -> Tensor:
    """(B, M) scores and banks -> (B, count) indices: the best of each bank, the lowest bank first,
    then the second of each, and so on. With one bank, the ``count`` best."""
    by_score = scores.argsort(dim=1, descending=True, stable=True)
    order = by_score.gather(1, banks.gather(1, by_score).argsort(dim=1, stable=True))
    ordered = banks.gather(1, order)  # banks, and within one from the best score
    place = torch.arange(scores.size(1)).expand_as(ordered)
    begins = torch.ones_like(ordered, dtype=torch.bool)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    rank = place - torch.where(begins, place, 0).cummax(dim=1).values
    impossible = scores.gather(1, order).isneginf()
    most = int(banks.max()) + 1
    key = rank * most + ordered + impossible * (scores.size(1) * most)
    return order.gather(1, key.argsort(dim=1, stable=True)[:, :count])


def _added(
    best: Tensor, candidates: Tensor, logits: Tensor, tokens: Tensor
) -> tuple[Tensor, Tensor]:
    """The logits and tokens (N, width), with those of the tokens (N, W) that lack behind them.

    -1 is no token; its logit is -inf, as that of one that is there before.
    """
    columns = torch.arange(tokens.size(1))
    twice = (tokens.unsqueeze(2) == tokens.unsqueeze(1)) & (columns < columns.unsqueeze(1))
    there = candidates.masked_fill(best.isneginf(), _NONE)
    known = twice.any(dim=2) | (tokens.unsqueeze(2) == there.unsqueeze(1)).any(dim=2)
    known |= tokens == _NONE
    tokens = tokens.clamp(min=0)
    added = logits.gather(1, tokens).masked_fill(known, _FORBIDDEN)
    return torch.cat([best, added], dim=1), torch.cat([candidates, tokens], dim=1)
