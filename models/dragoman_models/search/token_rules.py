"""Which tokens may come next in a hypothesis, beside what the model thinks of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from numpy.lib.stride_tricks import sliding_window_view

from dragoman_models.arrays import Floats, Integers

_FORBIDDEN = float("-inf")


class TokenRule(Protocol):
    """Forbids tokens. What it leaves keeps its probability under the model."""

    def forbid(self, logits: Floats, tokens: Integers, sentences: Sequence[int]) -> None:
        """Sets logits (B, K, V) of forbidden tokens to -inf, in place.

        Args:
            tokens: (B, K, T), the hypotheses so far, without bos.
            sentences: which of the sentences searched each of the B is.
        """


class SingleTokenRule(TokenRule, Protocol):
    """A rule that looks at no logits but those of a few tokens that it names beforehand.

    Where the search has such rules only, a model may leave the other logits out.
    """

    @property
    def concerned(self) -> frozenset[int]:
        """The tokens that it may forbid."""


@dataclass(frozen=True, kw_only=True)
class BannedTokens:
    """Tokens that no text holds, such as padding."""

    banned: tuple[int, ...]

    @property
    def concerned(self) -> frozenset[int]:
        return frozenset(self.banned)

    def forbid(self, logits: Floats, tokens: Integers, sentences: Sequence[int]) -> None:
        logits[:, :, list(self.banned)] = _FORBIDDEN


@dataclass(frozen=True, kw_only=True)
class MinimumLengths:
    """No eos before each sentence's fewest tokens."""

    minimums: Sequence[int]
    eos: int

    @property
    def concerned(self) -> frozenset[int]:
        return frozenset([self.eos])

    def forbid(self, logits: Floats, tokens: Integers, sentences: Sequence[int]) -> None:
        length = tokens.shape[2]
        short = [length < self.minimums[one] for one in sentences]
        if all(short):
            logits[:, :, self.eos] = _FORBIDDEN
        elif any(short):
            logits[short, :, self.eos] = _FORBIDDEN


@dataclass(frozen=True, kw_only=True)
class NoRepeatedNgrams:
    """No sequence of ``size`` tokens occurs twice in a hypothesis."""

    size: int

    def forbid(self, logits: Floats, tokens: Integers, sentences: Sequence[int]) -> None:
        before = self.size - 1
        if tokens.shape[2] < self.size:
            return
        windows = sliding_window_view(tokens, self.size, axis=2)  # (B, K, T - size + 1, size)
        ending = tokens[:, :, tokens.shape[2] - before :]  # (B, K, size - 1)
        seen = (windows[..., :before] == ending[:, :, None]).all(axis=3)
        position, place, window = seen.nonzero()
        logits[position, place, windows[position, place, window, -1]] = _FORBIDDEN


@dataclass(frozen=True, kw_only=True)
class ForcedPrefixes:
    """Each sentence's hypotheses begin with its prefix, whatever other rules say of it."""

    prefixes: Sequence[Sequence[int]]

    def allowed(self, length: int, sentences: Sequence[int]) -> dict[int, int]:
        """The one token that may come next, by position in the batch, where a prefix goes on."""
        return {
            position: self.prefixes[sentence][length]
            for position, sentence in enumerate(sentences)
            if length < len(self.prefixes[sentence])
        }


@dataclass(frozen=True, kw_only=True)
class TokenRules:
    """All rules of a search, and what goes before them: prefixes, and ends that are forced.

    What ``strict`` rules forbid stays forbidden, also the end of a hypothesis that can go on
    nowhere else; nothing but a prefix goes before them.
    """

    eos: int
    max_lengths: Sequence[int]
    rules: tuple[TokenRule, ...] = ()
    prefixes: ForcedPrefixes | None = None
    strict: tuple[TokenRule, ...] = ()

    def forbid(
        self,
        logits: Floats,
        tokens: Integers,
        sentences: Sequence[int],
        wanted: Integers | None = None,
    ) -> Floats:
        """As a `TokenRule` does; rules may leave a hypothesis no token at all.

        Args:
            wanted: (B, K, W) tokens that the ``rules`` do not forbid; -1 for none.
        Returns:
            (B, K) logits of eos for hypotheses that are left no token.
        """
        length = tokens.shape[2]
        forced = {} if self.prefixes is None else self.prefixes.allowed(length, sentences)
        kept = {position: logits[position, :, token].copy() for position, token in forced.items()}
        for rule in self.strict:
            rule.forbid(logits, tokens, sentences)
        ends = logits[:, :, self.eos].copy()
        for position, sentence in enumerate(sentences):
            if length >= self.max_lengths[sentence]:
                forced[position], kept[position] = self.eos, ends[position]
        _but_for(wanted, self.rules, logits, tokens, sentences)
        for position, token in forced.items():
            logits[position] = _FORBIDDEN
            logits[position, :, token] = kept[position]
        return ends


def _but_for(
    wanted: Integers | None,
    rules: Sequence[TokenRule],
    logits: Floats,
    tokens: Integers,
    sentences: Sequence[int],
) -> None:
    """Applies the rules to all tokens but the wanted ones."""
    index = None
    if wanted is not None:
        position, place, column = (wanted >= 0).nonzero()
        index = (position, place, wanted[position, place, column])
        kept = logits[index]
    for rule in rules:
        rule.forbid(logits, tokens, sentences)
    if index is not None:
        logits[index] = kept
