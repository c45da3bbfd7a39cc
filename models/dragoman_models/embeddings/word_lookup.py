"""How a word of a question finds its entry, and what to suggest where there is none."""

import enum
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dragoman_models.errors import InvalidInputError, UnknownWordError
from dragoman_models.vocabulary import Vocabulary

if TYPE_CHECKING:
    from dragoman_models.embeddings.spellings import Spellings

LONGEST_WORD = 1_000
# Suggestions come from the most frequent words: rare ones are often misspelt themselves.
_SUGGESTED_FROM = 100_000


class WordLookup(enum.Enum):
    """How a word is found in the vocabulary."""

    # As written; if the vocabulary lacks it, the most frequent entry that differs only in case;
    # if there is none and the model knows subwords, the vector that they give.
    CASE_FALLBACK = "case-fallback"
    EXACT = "exact"  # only as written


class WordMatch(enum.Enum):
    """How a word was found."""

    EXACT = "exact"
    IGNORING_CASE = "ignoring-case"
    SUBWORDS = "subwords"


@dataclass(frozen=True, kw_only=True)
class ResolvedWord:
    """The entry of the vocabulary that stands for a word of the question."""

    query: str  # the word as it was asked
    matched_word: str  # the entry; for SUBWORDS, the word itself
    match: WordMatch
    rank: int  # by frequency, from 1; 0 for SUBWORDS


class VocabularyLookup:
    """The words of a vocabulary as they are asked for."""

    def __init__(self, vocabulary: Vocabulary, *, has_subwords: bool) -> None:
        self._vocabulary = vocabulary
        self._has_subwords = has_subwords

    def resolve(self, word: str, lookup: WordLookup, *, field: str) -> ResolvedWord:
        """The entry for `word`; raises `InvalidInputError` for `field` where the word is blank or
        longer than 1,000 characters, and `UnknownWordError`."""
        if not word.strip():
            raise InvalidInputError.single(field, "must be a word; it is empty or blank")
        if len(word) > LONGEST_WORD:
            raise InvalidInputError.single(
                field, f"has {len(word):,} characters; a word has at most {LONGEST_WORD:,}"
            )
        index, match = self._vocabulary.index(word), WordMatch.EXACT
        if index is None and lookup is WordLookup.CASE_FALLBACK:
            index, match = self.index_ignoring_case(word), WordMatch.IGNORING_CASE
            if index is None and self._has_subwords:
                return ResolvedWord(query=word, matched_word=word, match=WordMatch.SUBWORDS, rank=0)
        if index is None:
            raise UnknownWordError(word)
        entry = self._vocabulary[index]
        return ResolvedWord(query=word, matched_word=entry, match=match, rank=index + 1)

    def index_ignoring_case(self, word: str) -> int | None:
        """The index of the most frequent entry that is `word` but for its case."""
        lower = word.lower()
        found = (self._vocabulary.index(lower), self._mixed_case.get(lower))
        return min((index for index in found if index is not None), default=None)

    def suggestions(self, word: str, *, count: int = 5) -> tuple[str, ...]:
        """Entries spelt like `word`, the closest first and then the most frequent: those of the
        100,000 most frequent that two edits or fewer make of it, whatever the case.

        An edit inserts, deletes or replaces a character, or swaps two neighbours.
        """
        return self._spellings.closest(word, count)

    @cached_property
    def _spellings(self) -> "Spellings":
        # Only these calls need the library, which takes some hundredths of a second to import.
        from dragoman_models.embeddings.spellings import Spellings

        size = min(len(self._vocabulary), _SUGGESTED_FROM)
        return Spellings([self._vocabulary[index] for index in range(size)])

    @cached_property
    def _mixed_case(self) -> dict[str, int]:
        """The most frequent entry for each lowercase form that is not an entry in lowercase."""
        first: dict[str, int] = {}
        for index, word in enumerate(self._vocabulary):
            lower = word.lower()
            if lower != word:
                first.setdefault(lower, index)
        return first
