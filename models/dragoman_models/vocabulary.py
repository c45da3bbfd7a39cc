"""An ordered list of words with its inverse, and its file: UTF-8, one word a line.

The order is the order of frequency, most frequent first, so a word's index is its rank.
"""

from collections.abc import Iterator, Sequence

from dragoman_models.errors import quoted


class VocabularyError(ValueError):
    """The words do not make a vocabulary; the message says which line and why."""


class Vocabulary:
    """V distinct words and their indices 0 .. V-1."""

    def __init__(self, words: Sequence[str]) -> None:
        """Raises `VocabularyError` for a duplicate word, an empty one or one with a line feed."""
        self._words = tuple(words)
        self._index = dict(zip(self._words, range(len(self._words)), strict=True))
        if "" in self._index:
            raise VocabularyError(f"line {self._words.index('') + 1} holds an empty word")
        if len(self._index) != len(self._words):
            raise VocabularyError(self._describe_duplicate())
        if "\n" in "".join(self._words):
            word = next(word for word in self._words if "\n" in word)
            raise VocabularyError(f"the word {quoted(word)} holds a line feed")

    @classmethod
    def from_bytes(cls, data: bytes) -> "Vocabulary":
        """The vocabulary in the bytes of its file; only a line feed ends a word."""
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise VocabularyError(f"line {line} is not UTF-8") from error
        if text and not text.endswith("\n"):
            raise VocabularyError("the last line has no end: the file is cut short")
        return cls(text.split("\n")[:-1])

    def to_bytes(self) -> bytes:
        """The bytes of the vocabulary's file."""
        return "".join(f"{word}\n" for word in self._words).encode("utf-8")

    def index(self, word: str) -> int | None:
        """The word's index, or None where the vocabulary lacks it."""
        return self._index.get(word)

    def __getitem__(self, index: int) -> str:
        return self._words[index]

    def __len__(self) -> int:
        return len(self._words)

    def __iter__(self) -> Iterator[str]:
        return iter(self._words)

    def __contains__(self, word: object) -> bool:
        return word in self._index

    def _describe_duplicate(self) -> str:
        seen: dict[str, int] = {}
        for line, word in enumerate(self._words, start=1):
            if word in seen:
                return f"line {line} repeats the word {quoted(word)} of line {seen[word]}"
            seen[word] = line
        raise AssertionError("called without a duplicate")
