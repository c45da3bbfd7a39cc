"""Sentences that are kept for measuring: nothing made for training may hold one of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from dragoman_models.translation.corpus import read_lines

_NO_WORD = re.compile(r"[\W_]+")


def sentence_key(text: str) -> str:
    """What sentences that differ only in case, blanks, marks and width have in common."""
    return _NO_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


class HeldOut:
    """Sentences of files of dev and test pairs, of probes, or of plain text."""

    def __init__(self, sentences: Iterable[str] = ()) -> None:
        self._keys: set[str] = set()
        self.add(sentences)

    def add(self, sentences: Iterable[str]) -> None:
        """Holds these out too."""
        self._keys |= {sentence_key(sentence) for sentence in sentences} - {""}

    def __len__(self) -> int:
        return len(self._keys)

    def holds(self, sentence: str) -> bool:
        """Whether it is one of them, but for case, blanks, punctuation and width."""
        return sentence_key(sentence) in self._keys

    def holds_any(self, sentences: Iterable[str]) -> bool:
        """Whether one of several is."""
        return any(map(self.holds, sentences))


def read_held_out(paths: Sequence[Path]) -> HeldOut:
    """All tab-separated columns of all lines of files, plain or ``.gz``.

    Raises:
        TrainingError: a file cannot be read.
    """
    return HeldOut(
        column for path in paths for line in read_lines(path) for column in line.split("\t")
    )
