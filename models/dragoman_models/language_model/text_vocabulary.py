"""What a language model's tokens are: words, characters or subword pieces.

A text is read line by line, and each line is closed by the end-of-text token, which also stands
before the first: a model trained on lines knows from it how lines begin and end. Where a text has
several lines, the token between two of them has the line feed as its span.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, Protocol

from dragoman_models.errors import TrainingError
from dragoman_models.tokenizer import BOS, EOS, PAD, UNK, SubwordTokenizer
from dragoman_models.vocabulary import Vocabulary, VocabularyError

VocabularyKind = Literal["words", "characters", "subwords"]

UNKNOWN_TOKEN, END_TOKEN = "<unk>", "<eos>"
_WORD = re.compile(r"\S+")


class Token(NamedTuple):
    """A token of a text, and where it stands: code points, ``end`` not included."""

    id: int
    begin: int
    end: int


class TextVocabulary(Protocol):
    """What a language model must know of its tokens."""

    kind: VocabularyKind
    size: int
    eos: int
    unknown: int

    def encode_lines(self, lines: Sequence[str]) -> list[list[int]]:
        """Ids of each line (without its line feed), without eos."""

    def locate(self, line: str) -> list[Token]:
        """The tokens of a line with their spans."""

    def token_text(self, token: int) -> str:
        """The token as the vocabulary writes it."""

    def token_bytes(self, token: int) -> bytes:
        """The UTF-8 that the token adds to a text, with the blank before a word."""

    def never_generated(self) -> tuple[int, ...]:
        """Tokens that stand for no text: unknown, padding."""

    def files(self) -> dict[str, bytes]:
        """The files of a bundle that hold the vocabulary."""


class _ListedVocabulary:
    """Words or characters, the most frequent first, after unknown (0) and end of text (1)."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Raises `VocabularyError` where the two special tokens do not stand first."""
        if list(vocabulary)[:2] != [UNKNOWN_TOKEN, END_TOKEN]:
            raise VocabularyError(f"the first two lines must be {UNKNOWN_TOKEN} and {END_TOKEN}")
        self.vocabulary = vocabulary
        self.size = len(vocabulary)
        self.unknown, self.eos = 0, 1
        # The end of a text is not a word of it, also where the text spells it.
        self._ids = {word: i for i, word in enumerate(vocabulary) if i != self.eos}

    def token_text(self, token: int) -> str:
        return self.vocabulary[token]

    def never_generated(self) -> tuple[int, ...]:
        return (self.unknown,)

    def files(self) -> dict[str, bytes]:
        return {"vocabulary.txt": self.vocabulary.to_bytes()}


class WordVocabulary(_ListedVocabulary):
    """Whatever stands between white space is a word."""

    kind: VocabularyKind = "words"

    def encode_lines(self, lines: Sequence[str]) -> list[list[int]]:
        find = self._ids.get
        return [[find(word, 0) for word in line.split()] for line in lines]

    def locate(self, line: str) -> list[Token]:
        return [
            Token(self._ids.get(found[0], self.unknown), found.start(), found.end())
            for found in _WORD.finditer(line)
        ]

    def token_bytes(self, token: int) -> bytes:
        return b"" if token == self.eos else b" " + self.vocabulary[token].encode()


class CharacterVocabulary(_ListedVocabulary):
    """Each code point is a token."""

    kind: VocabularyKind = "characters"

    def encode_lines(self, lines: Sequence[str]) -> list[list[int]]:
        find = self._ids.get
        return [[find(character, 0) for character in line] for line in lines]

    def locate(self, line: str) -> list[Token]:
        return [Token(self._ids.get(c, self.unknown), i, i + 1) for i, c in enumerate(line)]

    def token_bytes(self, token: int) -> bytes:
        return b"" if token in (self.eos, self.unknown) else self.vocabulary[token].encode()


class SubwordVocabulary:
    """Pieces of a sentencepiece model with byte fallback: no text is unknown."""

    kind: VocabularyKind = "subwords"

    def __init__(self, tokenizer: SubwordTokenizer) -> None:
        self.tokenizer = tokenizer
        self.size = tokenizer.vocabulary_size
        self.eos, self.unknown = EOS, UNK

    def encode_lines(self, lines: Sequence[str]) -> list[list[int]]:
        return [self.tokenizer.encode(line) for line in lines]

    def locate(self, line: str) -> list[Token]:
        return [Token(*token) for token in self.tokenizer.encode_with_offsets(line)]

    def token_text(self, token: int) -> str:
        return self.tokenizer.pieces([token])[0]

    def token_bytes(self, token: int) -> bytes:
        return self.tokenizer.piece_bytes(token)

    def never_generated(self) -> tuple[int, ...]:
        return (PAD, UNK, BOS)

    def files(self) -> dict[str, bytes]:
        return {"tokenizer.model": self.tokenizer.model_bytes}


def locate_text(vocabulary: TextVocabulary, text: str) -> list[Token]:
    """The tokens of a text of any number of lines, with eos between two lines, not at the end."""
    tokens: list[Token] = []
    start = 0
    for line in text.split("\n"):
        if start:
            tokens.append(Token(vocabulary.eos, start - 1, start))
        tokens += [Token(t.id, start + t.begin, start + t.end) for t in vocabulary.locate(line)]
        start += len(line) + 1
    return tokens


def count_vocabulary(
    lines: Iterable[str], kind: Literal["words", "characters"], *, most: int
) -> WordVocabulary | CharacterVocabulary:
    """The most frequent words or characters of a text, at most ``most`` with the special tokens.

    Raises:
        TrainingError: the text holds none.
    """
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line.split() if kind == "words" else line)
    for special in (UNKNOWN_TOKEN, END_TOKEN):
        counts.pop(special, None)
    if not counts:
        raise TrainingError(f"the training text holds no {kind}")
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    vocabulary = Vocabulary([UNKNOWN_TOKEN, END_TOKEN, *ranked[: most - 2]])
    return WordVocabulary(vocabulary) if kind == "words" else CharacterVocabulary(vocabulary)


def read_vocabulary(kind: VocabularyKind, content: bytes) -> TextVocabulary:
    """The vocabulary in its file's content.

    Raises:
        VocabularyError, RuntimeError: it is no such file.
    """
    if kind == "subwords":
        return SubwordVocabulary(SubwordTokenizer(content))
    listed = Vocabulary.from_bytes(content)
    return WordVocabulary(listed) if kind == "words" else CharacterVocabulary(listed)


def vocabulary_file(kind: VocabularyKind) -> str:
    """The name of the vocabulary's file in a bundle or a run's folder."""
    return "tokenizer.model" if kind == "subwords" else "vocabulary.txt"


def prompt_tokens(vocabulary: TextVocabulary, prompt: str) -> list[int]:
    """The prompt's tokens, behind the end-of-text token that stands before every text."""
    return [vocabulary.eos, *(token.id for token in locate_text(vocabulary, prompt))]
