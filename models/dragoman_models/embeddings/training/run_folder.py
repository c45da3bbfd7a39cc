"""The folder of a training run: what stands in it, and what a resumed run finds again.

recipe.json         the settings that must not change between the parts of a run
words.txt           the vocabulary, most frequent word first; counts.npy how often each stands
text.i32            the text as word indices, until the run is finished
checkpoint.safetensors   weights and position
log.csv             the loss, the speed and the learning rate as training went on
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dragoman_models.embeddings.training.recipe import CorpusRecipe
from dragoman_models.embeddings.training.text_stream import corpus_files
from dragoman_models.embeddings.training.word_counts import WordCounts
from dragoman_models.errors import TrainingError
from dragoman_models.vocabulary import Vocabulary, VocabularyError

# These may change between the parts of a run: they do not change what is learnt (but for the order
# in which threads happen to learn).
_FREE = ("threads", "megabytes", "checkpoint_seconds", "report_seconds")


class RunFolder:
    """One run's files; every file is complete or absent."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path / "text.i32"
        self.log = path / "log.csv"

    def begin(self, recipe: CorpusRecipe, *, resume: bool) -> None:
        """Makes the folder, or checks that a run of this recipe can be resumed in it.

        Raises `TrainingError`: there is a run and it was not asked for, or it is of another recipe
        or text, or there is none to resume.
        """
        recorded = self.path / "recipe.json"
        settings = self._settings(recipe)
        if not resume:
            if recorded.exists():
                raise TrainingError(f"{self.path} holds a training run; resume it, or give another")
            _make_folder(self.path)
            self._write_json(recorded, settings)
            return
        if not recorded.exists():
            raise TrainingError(f"nothing to resume: {self.path} holds no training run")
        before = self._read_json(recorded)
        for name in sorted(settings.keys() | before.keys()):
            if settings.get(name) != before.get(name):
                raise TrainingError(
                    f"{name}: the run in {self.path} was begun with {before.get(name)}, not "
                    f"{settings.get(name)}; resume it with that, or begin another"
                )

    def _settings(self, recipe: CorpusRecipe) -> dict[str, Any]:
        settings = recipe.model_dump(mode="json", exclude={"corpus", "continue_from", *_FREE})
        files = corpus_files(recipe.corpus)
        settings["corpus"] = [[file.name, file.stat().st_size] for file in files]
        return settings

    def write_words(self, words: WordCounts) -> None:
        """Writes vocabulary and counts; raises `TrainingError`."""
        np.save(self.path / "counts.npy", words.counts)
        self._write_json(self.path / "text.json", {"text_words": words.text_words})
        self._write(self.path / "words.txt", Vocabulary(words.words).to_bytes())

    def read_words(self) -> WordCounts:
        """What `write_words` wrote; raises `TrainingError`."""
        try:
            vocabulary = Vocabulary.from_bytes((self.path / "words.txt").read_bytes())
            counts = np.load(self.path / "counts.npy", allow_pickle=False)
        except (OSError, ValueError, VocabularyError) as error:
            raise TrainingError(f"cannot read the words of {self.path}: {error}") from error
        text_words = self._read_json(self.path / "text.json")["text_words"]
        if counts.shape != (len(vocabulary),):
            raise TrainingError(f"{self.path}: words.txt and counts.npy do not fit together")
        return WordCounts(words=tuple(vocabulary), counts=counts, text_words=int(text_words))

    @property
    def has_words(self) -> bool:
        """Whether the text was counted and encoded already; words.txt is written last."""
        return (self.path / "words.txt").exists()

    @property
    def checkpoint(self) -> Path:
        """Where the weights are."""
        return self.path / "checkpoint.safetensors"

    def save_checkpoint(
        self, tensors: Mapping[str, NDArray[np.float32]], position: Mapping[str, Any]
    ) -> None:
        """Writes weights and position in one file, atomically; raises `TrainingError`."""
        temporary = self.checkpoint.with_suffix(".part")
        try:
            save_file(dict(tensors), temporary, metadata={"position": json.dumps(dict(position))})
            temporary.replace(self.checkpoint)
        except (OSError, SafetensorError) as error:
            raise TrainingError(f"cannot write {self.checkpoint}: {error}") from error
        finally:
            temporary.unlink(missing_ok=True)

    def load_checkpoint(self) -> tuple[dict[str, NDArray[np.float32]], dict[str, Any]]:
        """What `save_checkpoint` wrote; raises `TrainingError` where it is absent or damaged."""
        try:
            with safe_open(self.checkpoint, framework="numpy") as file:
                position = json.loads((file.metadata() or {})["position"])
                return {name: file.get_tensor(name) for name in file.keys()}, position  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise TrainingError(f"cannot read {self.checkpoint}: {error}") from error

    def remove(self, *files: Path) -> None:
        """Removes files that a finished run needs no more."""
        for file in files:
            file.unlink(missing_ok=True)

    def _write_json(self, path: Path, value: Mapping[str, Any]) -> None:
        self._write(path, (json.dumps(dict(value), indent=2, ensure_ascii=False) + "\n").encode())

    def _read_json(self, path: Path) -> dict[str, Any]:
        try:
            value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise TrainingError(f"cannot read {path}: {error}") from error
        return value

    def _write(self, path: Path, content: bytes) -> None:
        temporary = path.with_name(path.name + ".part")
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        except OSError as error:
            raise TrainingError(f"cannot write {path}: {error.strerror or error}") from error
        finally:
            temporary.unlink(missing_ok=True)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"cannot make the folder {path}: {error.strerror or error}") from error
