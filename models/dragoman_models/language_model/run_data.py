"""The texts of a recipe: which files, which lines, which vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dragoman_models.embeddings.training.text_stream import corpus_files
from dragoman_models.errors import TrainingError
from dragoman_models.language_model.corpus import EncodedText, encode_corpus, read_lines
from dragoman_models.language_model.recipe import LanguageModelRecipe
from dragoman_models.language_model.text_vocabulary import (
    SubwordVocabulary,
    TextVocabulary,
    count_vocabulary,
    read_vocabulary,
    vocabulary_file,
)
from dragoman_models.tokenizer import train_tokenizer
from dragoman_models.training import write_atomically
from dragoman_models.vocabulary import VocabularyError

_TOKENIZER_LINES = 60_000  # what sentencepiece learns from: every n-th line of a larger text


@dataclass(frozen=True, kw_only=True)
class RunTexts:
    """The encoded texts of a run."""

    train: EncodedText
    valid: EncodedText


class RecipeText:
    """The lines of a recipe's texts. Files of valid and test are left out of folders in train."""

    def __init__(self, recipe: LanguageModelRecipe) -> None:
        """Raises `TrainingError` where a file is missing or nothing is left to train on."""
        self.recipe = recipe
        apart = {path.resolve() for path in self._apart()}
        self.train_files = [
            path for path in corpus_files(recipe.train) if path.resolve() not in apart
        ]
        if not self.train_files:
            raise TrainingError("train: all its files are named in valid or test too")
        self._lines = sum(1 for _ in read_lines(self.train_files))
        self._kept = self._lines - round(self._lines * recipe.valid_share)
        if recipe.valid_share and not 0 < self._kept < self._lines:
            raise TrainingError(
                f"valid_share {recipe.valid_share} of {self._lines:,} lines leaves one side empty"
            )

    def _apart(self) -> tuple[Path, ...]:
        named = (*self.recipe.valid, *self.recipe.test)
        return corpus_files(named) if named else ()

    def train_lines(self) -> Iterator[str]:
        """The lines that are learnt."""
        return islice(read_lines(self.train_files), self._kept)

    def valid_lines(self) -> Iterator[str]:
        """The lines that steer the training."""
        if self.recipe.valid:
            return read_lines(corpus_files(self.recipe.valid))
        return islice(read_lines(self.train_files), self._kept, None)

    def vocabulary(self, folder: Path) -> TextVocabulary:
        """The vocabulary in the run's folder; made, and written there, where there is none.

        Words and characters are counted in all of train, the lines that valid_share holds out
        among them: which words there are is stated, their order is not learnt from.
        """
        path = folder / vocabulary_file(self.recipe.vocabulary)
        if not path.exists():
            made = self._make_vocabulary()
            write_atomically(path, made.files()[path.name])
        try:
            return read_vocabulary(self.recipe.vocabulary, path.read_bytes())
        except (OSError, RuntimeError, VocabularyError) as error:
            raise TrainingError(f"cannot read {path}: {error}") from error

    def _make_vocabulary(self) -> TextVocabulary:
        most, kind = self.recipe.network.vocabulary_size, self.recipe.vocabulary
        if kind != "subwords":
            return count_vocabulary(read_lines(self.train_files), kind, most=most)
        shared = self.recipe.shared_tokenizer
        if shared is not None:
            try:
                return read_vocabulary(kind, shared.read_bytes())
            except (OSError, RuntimeError) as error:
                raise TrainingError(f"cannot read shared_tokenizer {shared}: {error}") from error
        every = -(-self._kept // _TOKENIZER_LINES)
        lines = (line for line in islice(self.train_lines(), 0, None, every) if line.strip())
        return SubwordVocabulary(train_tokenizer(lines, vocabulary_size=most))

    def encode(self, vocabulary: TextVocabulary) -> RunTexts:
        """Both texts as tokens."""
        return RunTexts(
            train=encode_corpus(self.train_lines(), vocabulary),
            valid=encode_corpus(self.valid_lines(), vocabulary),
        )
