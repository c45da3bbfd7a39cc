"""Trains GloVe by a recipe, resumably."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from dragoman_models.embeddings.training.chunk_runner import (
    LOG_COLUMNS,
    ChunkPlan,
    ChunkReport,
    ChunkRunner,
    Position,
)
from dragoman_models.embeddings.training.cooccurrence import (
    count_cooccurrences,
    open_entries,
    shuffle_entries,
)
from dragoman_models.embeddings.training.encoded_text import Ids, open_ids
from dragoman_models.embeddings.training.glove_kernels import (
    GlovePlan,
    GloveWeights,
    train_entries,
)
from dragoman_models.embeddings.training.progress import progress_bar
from dragoman_models.embeddings.training.recipe import GloveRecipe
from dragoman_models.embeddings.training.run_folder import RunFolder
from dragoman_models.embeddings.training.simd import padded_matrix, padded_width
from dragoman_models.embeddings.training.text_preparation import prepare_text
from dragoman_models.embeddings.training.trained_vectors import TrainedVectors
from dragoman_models.embeddings.training.word_counts import WordCounts
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.errors import TrainingError
from dragoman_models.training import CsvLog
from dragoman_models.vocabulary import Vocabulary

_CHUNK_ENTRIES = 1 << 18


class GloveTrainer:
    """One run in a folder of its own: see run_folder.py, and besides

    entries-N.npy, entries.json   the co-occurrence matrix, until the run is finished
    """

    def __init__(
        self,
        recipe: GloveRecipe,
        folder: Path,
        *,
        resume: bool = False,
        chunk_entries: int = _CHUNK_ENTRIES,
    ) -> None:
        """Raises `TrainingError`: the corpus is missing, or the folder holds another run."""
        self.recipe = recipe
        self.run_folder = RunFolder(folder)
        self._chunk_entries = chunk_entries
        self.run_folder.begin(recipe, resume=resume)
        self._position = Position()

    def run(self, progress: Progress | None = None) -> TrainedVectors:
        """Trains to the end; Ctrl-C leaves a checkpoint. Raises `TrainingError`."""
        with progress or progress_bar() as bar:
            words = prepare_text(self.recipe, self.run_folder, bar)
            weights = self._weights(len(words.words))
            if not self._position.finished:
                self._learn_all(self._entries(bar), weights, bar)
            finished = self.run_folder.path.glob("entries*")
            self.run_folder.remove(self.run_folder.text, *finished)
        return self._trained(words, weights)

    def _trained(self, words: WordCounts, weights: GloveWeights) -> TrainedVectors:
        """The sum of each word's two vectors (Pennington et al. 2014, section 4.2)."""
        dimensions = self.recipe.dimensions
        matrix = weights.words[:, :dimensions] + weights.contexts[:, :dimensions]
        return TrainedVectors(
            vectors=WordVectors(Vocabulary(words.words), matrix),
            words=words,
            mean_losses=tuple(self._position.mean_losses),
            seconds=self._position.seconds,
            amount=self._position.amount,
        )

    # --- the co-occurrence matrix ---

    def _entries(self, bar: Progress) -> list[Path]:
        folder = self.run_folder.path
        finished = folder / "entries.json"
        if not finished.exists():
            ids = open_ids(self.run_folder.text)
            task = bar.add_task("counting pairs", total=len(ids), status="")
            runs = count_cooccurrences(
                ids,
                folder,
                window=self.recipe.window,
                megabytes=self.recipe.megabytes,
                threads=self.recipe.threads,
                progress=lambda words: bar.advance(task, words),
            )
            task = bar.add_task("shuffling pairs", total=None, status="")
            paths = shuffle_entries(
                runs, folder, megabytes=self.recipe.megabytes, seed=self.recipe.seed
            )
            finished.write_text(json.dumps([path.name for path in paths]))
            bar.update(task, total=1, completed=1)
        return [folder / name for name in json.loads(finished.read_text())]

    # --- weights ---

    def _weights(self, size: int) -> GloveWeights:
        """Vectors and biases uniform in +-1 / (2 D), sums of squares 1; or the checkpoint's."""
        dimensions = self.recipe.dimensions
        width = padded_width(dimensions + 1)
        weights = GloveWeights(padded_matrix(size, 2 * width), padded_matrix(size, 2 * width))
        if self.run_folder.checkpoint.exists():
            tensors, position = self.run_folder.load_checkpoint()
            for name, matrix in weights._asdict().items():
                if tensors[name].shape != matrix.shape:
                    raise TrainingError(f"{self.run_folder.checkpoint} does not fit the words")
                matrix[:] = tensors[name]
            self._position = Position(**position)
            return weights
        random = np.random.default_rng(self.recipe.seed)
        for matrix in weights:
            values = random.random((size, dimensions + 1), dtype=np.float32) - np.float32(0.5)
            matrix[:, : dimensions + 1] = values / np.float32(dimensions)
            matrix[:, width:] = 1.0  # in units of 1 / rate^2: see glove_kernels.py
        return weights

    # --- learning ---

    def _learn_all(self, entries: list[Path], weights: GloveWeights, bar: Progress) -> None:
        recipe = self.recipe
        chunks = list(self._chunks(entries))
        plan = GlovePlan(
            recipe.dimensions, recipe.learning_rate, recipe.saturation, recipe.exponent
        )

        def learn(chunk: int) -> ChunkReport:
            first, second, counts = chunks[chunk % len(chunks)]
            loss, learnt = train_entries(
                np.array(first), np.array(second), np.array(counts), weights, plan
            )
            return ChunkReport(loss=loss, predictions=learnt, amount=learnt)

        def save() -> None:
            self.run_folder.save_checkpoint(weights._asdict(), asdict(self._position))

        plan_of_chunks = ChunkPlan(
            chunks_per_epoch=len(chunks),
            epochs=recipe.epochs,
            threads=recipe.threads,
            checkpoint_seconds=recipe.checkpoint_seconds,
            report_seconds=recipe.report_seconds,
            unit="entries",
        )
        ChunkRunner(
            plan_of_chunks, self._position, CsvLog(self.run_folder.log, LOG_COLUMNS), bar,
            learn=learn, save=save, rate=lambda chunk: recipe.learning_rate,
        ).run()  # fmt: skip

    def _chunks(self, entries: list[Path]) -> Iterator[tuple[Ids, Ids, NDArray[np.float32]]]:
        """Pieces of the files, each small enough to report and to stop after."""
        for first, second, counts in map(open_entries, entries):
            for start in range(0, len(first), self._chunk_entries):
                part = slice(start, start + self._chunk_entries)
                yield first[part], second[part], counts[part]
