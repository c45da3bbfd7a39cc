"""Finds phrases in texts that are written token by token, however tokens divide them.

The automaton reads bytes, so any way to cut a phrase into tokens is the same to it, and a token may
hold the end of a phrase and more. A phrase stands in a text where it stands as whole words: where
it begins (or ends) with a character of a word, there is none before (or behind) it.

States are numbered as they are met (subset construction, Rabin and Scott 1959, done lazily), and
many hypotheses advance at once: one lookup for each byte of their tokens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dragoman_models.search.token_bytes import OTHER, SYMBOLS, WORD, TokenBytes, is_word_character

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_BLANK = ord(" ")
_UNMET = -1  # a transition that no text has taken yet


class Phrase(NamedTuple):
    """A phrase as a tokenizer normalizes it."""

    content: bytes
    begins_word: bool
    ends_word: bool
    tokens: tuple[int, ...]  # the tokenizer's own division of it, a blank before it


def phrase_of(tokens: Sequence[int], vocabulary: TokenBytes) -> Phrase:
    """The phrase of these tokens, at least one, whose first begins with a blank."""
    content = b"".join(vocabulary.tokens[token] for token in tokens).removeprefix(b" ")
    text = content.decode()
    begins, ends = is_word_character(text[0]), is_word_character(text[-1])
    return Phrase(content, begins, ends, tuple(tokens))


class _State(NamedTuple):
    """What has been read, as far as it matters."""

    phrases: int  # which of the sets of phrases is looked for
    after_word: bool  # whether the last character belongs to a word
    after_blank: bool
    begun: frozenset[tuple[int, int]]  # (phrase, bytes of it read); all of them: a boundary awaited


class PhraseAutomaton:
    """Looks for one of several sets of phrases in each text.

    Attributes:
        starts: the state of an empty text, for each set.
        ends: (states,) bool: whether a phrase stands at the very end of the text read.
        read: (states,) most bytes read of a phrase of the set.
        after_word, after_blank: (states,) bool.
    """

    def __init__(
        self, sets: Sequence[Sequence[Phrase]], vocabulary: TokenBytes, *, strict: bool
    ) -> None:
        """Args:
        strict: sees a phrase also where blanks are doubled inside it, and where a neighbouring
            character that is spelled byte by byte may belong to a word or not. Otherwise neither.
        """
        self._vocabulary = vocabulary
        self._strict = strict
        self._phrases = [phrase for one in sets for phrase in one]
        self._beginning: list[dict[int, list[int]]] = []  # by set and first byte
        for number, one in enumerate(sets):
            first = sum(map(len, sets[:number]))
            by_byte: dict[int, list[int]] = defaultdict(list)
            for i, phrase in enumerate(one):
                by_byte[phrase.content[0]].append(first + i)
            self._beginning.append(by_byte)
        self._read_symbols()
        self._numbers: dict[_State, int] = {}
        self._states: list[_State] = []
        # Where a class of symbols leads: twice the next state, plus 1 if a phrase was seen.
        self._transitions = np.full((16, len(self._classes)), _UNMET, np.int32)
        self.ends, self.after_word, self.after_blank = (np.zeros(16, np.bool_) for _ in range(3))
        self.read = np.zeros(16, np.int64)
        self.starts = [self._number(_State(i, False, False, frozenset())) for i in range(len(sets))]
        self._completing = _Rows(len(vocabulary.tokens))
        self._completing_or_at_end = _Rows(len(vocabulary.tokens))

    def advance(self, states: IntArray, tokens: IntArray) -> tuple[IntArray, BoolArray]:
        """(N,) states and the tokens read in them: the next states, and whether a phrase was seen.

        One that awaits its boundary is seen when the boundary is read.
        """
        symbols = self._class_of[self._vocabulary.symbols[tokens]]  # (N, longest); last: none
        seen = np.zeros(len(states), np.bool_)
        for column in symbols.T:
            if not column.any():
                break
            codes = self._transitions[states, column]
            if (codes == _UNMET).any():
                self._meet(states, column)
                codes = self._transitions[states, column]
            states, accepted = codes >> 1, codes & 1
            seen |= accepted.astype(np.bool_)
        return states, seen

    def completing(self, states: IntArray, *, at_end: bool = False) -> BoolArray:
        """(N,) states -> (N, V): tokens with which a phrase is seen, ``at_end`` also those behind
        which one stands at the end."""
        rows = self._completing_or_at_end if at_end else self._completing
        every = np.arange(len(self._vocabulary.tokens))
        for state in rows.missing(states):
            reached, seen = self.advance(np.full(len(every), state), every)
            rows.add(state, seen | self.ends[reached] if at_end else seen)
        return rows.of(states)

    def _read_symbols(self) -> None:
        """Classes of symbols that no phrase tells apart; class 0 is no symbol at all."""
        used = sorted({byte for phrase in self._phrases for byte in phrase.content} | {_BLANK})
        keys = [(byte, in_word) for byte in (*used, None) for in_word in (False, True)]
        self._classes: list[tuple[int | None, bool]] = [(None, False), *keys]
        number = {key: i + 1 for i, key in enumerate(keys)}
        known = frozenset(used)
        # The last entry is that of -1, which stands behind a token's last byte.
        self._class_of = np.zeros(SYMBOLS + 1, np.int64)
        for symbol in range(SYMBOLS):
            byte, kind = symbol % 256, symbol - symbol % 256
            in_word = kind == WORD if self._strict else kind != OTHER
            self._class_of[symbol] = number[byte if byte in known else None, in_word]

    def _meet(self, states: IntArray, classes: IntArray) -> None:
        """Writes the transitions that are taken for the first time."""
        unmet = self._transitions[states, classes] == _UNMET
        count = len(self._classes)
        pairs = np.unique(states[unmet] * count + classes[unmet])
        for state, symbol in (divmod(pair, count) for pair in pairs.tolist()):
            reached, seen = self._next(self._states[state], *self._classes[symbol])
            code = 2 * self._number(reached) + seen
            self._transitions[state, symbol] = code

    def _next(self, state: _State, byte: int | None, in_word: bool) -> tuple[_State, bool]:
        begun, seen = set(), False
        for number, read in state.begun:
            content = self._phrases[number].content
            if read == len(content):
                seen |= not in_word
                continue
            if byte == content[read]:
                begun.add((number, read + 1))
            if self._strict and byte == content[read - 1] == _BLANK:
                begun.add((number, read))
        for number in self._beginning[state.phrases].get(-1 if byte is None else byte, ()):
            if not (state.after_word and self._phrases[number].begins_word):
                begun.add((number, 1))
        ended = {(i, read) for i, read in begun if read == len(self._phrases[i].content)}
        complete = {one for one in ended if not self._phrases[one[0]].ends_word}
        reached = _State(state.phrases, in_word, byte == _BLANK, frozenset(begun - complete))
        return reached, seen or bool(complete)

    def _number(self, state: _State) -> int:
        number = self._numbers.setdefault(state, len(self._states))
        if number == len(self._states):
            self._states.append(state)
            if number == len(self.ends):
                self._grow()
            self._transitions[number, 0] = 2 * number
            self.ends[number] = any(
                read == len(self._phrases[i].content) for i, read in state.begun
            )
            self.read[number] = max((read for _, read in state.begun), default=0)
            self.after_word[number], self.after_blank[number] = state.after_word, state.after_blank
        return number

    def _grow(self) -> None:
        more = np.full_like(self._transitions, _UNMET)
        self._transitions = np.concatenate([self._transitions, more])
        for name in ("ends", "after_word", "after_blank", "read"):
            values = getattr(self, name)
            setattr(self, name, np.concatenate([values, np.zeros_like(values)]))


class _Rows:
    """Rows (V,) by state, as they are asked for."""

    def __init__(self, width: int) -> None:
        self._rows = np.zeros((8, width), np.bool_)
        self._places = np.zeros(0, np.int64)  # by state; -1: none yet
        self._count = 0

    def missing(self, states: IntArray) -> list[int]:
        most = int(states.max(initial=-1)) + 1
        if most > len(self._places):
            more = np.full(max(most, 2 * len(self._places)) - len(self._places), -1)
            self._places = np.concatenate([self._places, more])
        return list(map(int, np.unique(states[self._places[states] < 0])))

    def add(self, state: int, row: BoolArray) -> None:
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._rows[self._count], self._places[state] = row, self._count
        self._count += 1

    def of(self, states: IntArray) -> BoolArray:
        return self._rows[self._places[states]]
