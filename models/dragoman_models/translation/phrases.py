"""Phrases that translations must hold or must not hold, from text to what a search takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from dragoman_models.errors import FieldViolation
from dragoman_models.search.banned_phrases import BannedPhrases
from dragoman_models.search.phrase_automaton import Phrase, phrase_of
from dragoman_models.search.required_phrases import RequiredPhrases
from dragoman_models.search.token_bytes import TokenBytes
from dragoman_models.tokenizer import EOS, SubwordTokenizer

MAX_REQUIRED_PHRASES = 16
MAX_BANNED_PHRASES = 64
LONGEST_PHRASE = 200  # characters


@dataclass(frozen=True, kw_only=True)
class SourcePhrases:
    """What holds for the translations of one source."""

    required: tuple[Phrase, ...] = ()
    banned: tuple[Phrase, ...] = ()

    def tokens_needed(self) -> int:
        """Tokens that suffice for the required phrases, one after the other."""
        return sum(len(phrase.tokens) for phrase in set(self.required))


def phrase_violations(field: str, phrases: Sequence[str], most: int) -> list[FieldViolation]:
    """What is wrong with the texts of phrases."""
    found = []
    if len(phrases) > most:
        found.append((field, f"has {len(phrases):,} phrases; give at most {most}"))
    for i, text in enumerate(phrases[:most]):
        if not text.strip():
            found.append((f"{field}[{i}]", "is empty or blank; give some text"))
        elif len(text) > LONGEST_PHRASE:
            problem = f"has {len(text):,} characters; a phrase may have {LONGEST_PHRASE}"
            found.append((f"{field}[{i}]", problem))
    return [FieldViolation(field=name, description=text) for name, text in found]


class PhraseReader:
    """Reads phrases by a tokenizer, and makes rules of them."""

    def __init__(self, tokenizer: SubwordTokenizer) -> None:
        self._tokenizer = tokenizer

    @cached_property
    def vocabulary(self) -> TokenBytes:
        """What the pieces add to a text."""
        count = self._tokenizer.vocabulary_size
        return TokenBytes([self._tokenizer.piece_bytes(piece) for piece in range(count)])

    def read(
        self, field: str, texts: Sequence[str], violations: list[FieldViolation]
    ) -> tuple[Phrase, ...]:
        """The phrases, normalized as all text is; what can't be read is added to the violations."""
        phrases = []
        for i, text in enumerate(texts):
            tokens = self._tokenizer.encode(text)
            if self._tokenizer.decode(tokens).strip():
                phrases.append(phrase_of(tokens, self.vocabulary))
            elif text.strip():
                problem = "holds no characters that can be read; give some text"
                violations.append(FieldViolation(field=f"{field}[{i}]", description=problem))
        return tuple(phrases)

    def contradictions(
        self, field: str, phrases: SourcePhrases, texts: Sequence[str]
    ) -> list[FieldViolation]:
        """Required phrases (``texts`` as they were given) in which a banned one stands."""
        if not phrases.required or not phrases.banned:
            return []
        banned = self.banned([phrases], [0])
        return [
            FieldViolation(field=f"{field}[{i}]", description="holds a phrase that is banned")
            for i, phrase in enumerate(phrases.required)
            if len(texts) == len(phrases.required)
            if banned is not None and banned.occurs(phrase.tokens, 0)
        ]

    def banned(
        self, phrases: Sequence[SourcePhrases], max_lengths: Sequence[int]
    ) -> BannedPhrases | None:
        """The rule for a batch; None where nothing is banned."""
        if not any(one.banned for one in phrases):
            return None
        return BannedPhrases(
            phrases=[one.banned for one in phrases], vocabulary=self.vocabulary, eos=EOS,
            max_lengths=max_lengths,
        )  # fmt: skip

    def required(self, phrases: Sequence[SourcePhrases]) -> RequiredPhrases | None:
        """The rule for a batch; None where nothing is required."""
        if not any(one.required for one in phrases):
            return None
        return RequiredPhrases(
            phrases=[one.required for one in phrases], vocabulary=self.vocabulary, eos=EOS
        )
