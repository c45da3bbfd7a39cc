"""Sentences of plain text or of one column of sentence pairs, to translate into training pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dragoman_models.errors import TrainingError
from dragoman_models.translation.corpus import read_lines
from dragoman_models.translation.held_out import HeldOut, sentence_key
from dragoman_models.translation.sentence_splitting import split_sentences

# As the sentence pairs write quotes and dashes; one-to-one, so nothing is lost.
_PLAIN = str.maketrans({"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u00a0": " "})


@dataclass(frozen=True, kw_only=True)
class SentenceSource:
    """Where sentences come from, and which are wanted.

    Attributes:
        paths: files, plain or ``.gz``, UTF-8, in the order in which they are read.
        column: of tab-separated lines, counted from 1; None: a whole line is text.
        split: whether a line holds several sentences, as a paragraph of a book does.
        fewest_words, most_words: between blanks.
        most: of all, the first that many; None for all.
    """

    paths: tuple[Path, ...]
    column: int | None = None
    split: bool = False
    fewest_words: int = 1
    most_words: int = 20
    most: int | None = None


def read_sentences(source: SentenceSource, held_out: HeldOut) -> Iterator[str]:
    """Each different sentence once, in the order of the files, but none that is held out.

    Sentences that differ only in case, blanks and punctuation are one. Of a quotation that is not
    closed, or not opened, in its sentence, the quotation mark goes.

    Raises:
        TrainingError: a file cannot be read, or a line lacks the column.
    """
    seen: set[int] = set()
    for text in _texts(source):
        for sentence in split_sentences(text).sentences if source.split else [text]:
            if len(seen) == source.most:
                return
            sentence = _whole(sentence)
            key = sentence_key(sentence)
            if not key or hash(key) in seen or held_out.holds(sentence):
                continue
            if source.fewest_words <= len(sentence.split()) <= source.most_words:
                seen.add(hash(key))
                yield sentence


def _whole(sentence: str) -> str:
    if sentence.count('"') % 2:
        sentence = sentence.replace('"', "")
    return sentence.strip()


def _texts(source: SentenceSource) -> Iterator[str]:
    for path in source.paths:
        for number, line in enumerate(read_lines(path), start=1):
            if source.column is None:
                text = " ".join(line.split())
            else:
                columns: Sequence[str] = line.split("\t")
                if len(columns) < source.column:
                    raise TrainingError(
                        f"{path}, line {number}: {len(columns)} tab-separated columns, but column "
                        f"{source.column} is wanted"
                    )
                text = columns[source.column - 1]
            yield text.translate(_PLAIN)
