"""Trains word2vec by a recipe, resumably."""

from __future__ import annotations

import queue
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
from dragoman_models.embeddings.training.encoded_text import open_ids
from dragoman_models.embeddings.training.huffman import HuffmanPaths, huffman_paths
from dragoman_models.embeddings.training.noise import AliasTable, alias_table, noise_distribution
from dragoman_models.embeddings.training.progress import progress_bar
from dragoman_models.embeddings.training.random_bits import chunk_state
from dragoman_models.embeddings.training.recipe import Architecture, Objective, Word2VecRecipe
from dragoman_models.embeddings.training.run_folder import RunFolder
from dragoman_models.embeddings.training.simd import padded_matrix
from dragoman_models.embeddings.training.subsampling import keep_probabilities, keep_thresholds
from dragoman_models.embeddings.training.text_preparation import prepare_text
from dragoman_models.embeddings.training.trained_vectors import TrainedVectors
from dragoman_models.embeddings.training.word2vec_kernels import (
    FULL_SOFTMAX,
    HIERARCHICAL_SOFTMAX,
    NEGATIVE_SAMPLING,
    Plan,
    Scratch,
    Tables,
    Weights,
    new_scratch,
    train_chunk,
)
from dragoman_models.embeddings.training.word_counts import WordCounts
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.errors import TrainingError
from dragoman_models.training import CsvLog
from dragoman_models.vocabulary import Vocabulary

_CHUNK_WORDS = 1 << 16
_OBJECTIVES = {
    Objective.NEGATIVE_SAMPLING: NEGATIVE_SAMPLING,
    Objective.HIERARCHICAL_SOFTMAX: HIERARCHICAL_SOFTMAX,
    Objective.FULL_SOFTMAX: FULL_SOFTMAX,
}


class Word2VecTrainer:
    """One run in a folder of its own (see run_folder.py)."""

    def __init__(
        self,
        recipe: Word2VecRecipe,
        folder: Path,
        *,
        resume: bool = False,
        chunk_words: int = _CHUNK_WORDS,
    ) -> None:
        """Raises `TrainingError`: the corpus is missing, or the folder holds another run."""
        self.recipe = recipe
        self.run_folder = RunFolder(folder)
        self._old = RunFolder(recipe.continue_from) if recipe.continue_from else None
        self._chunk_words = chunk_words
        self.run_folder.begin(recipe, resume=resume)
        self._position = Position()

    def run(self, progress: Progress | None = None) -> TrainedVectors:
        """Trains to the end; Ctrl-C leaves a checkpoint. Raises `TrainingError`."""
        with progress or progress_bar() as bar:
            known = self._old.read_words() if self._old else None
            words = prepare_text(self.recipe, self.run_folder, bar, known=known)
            self.recipe.check_vocabulary(len(words.words))
            weights = self._weights(words)
            if not self._position.finished:
                self._learn_all(words, weights, bar)
            self.run_folder.remove(self.run_folder.text)
        vectors = WordVectors(
            Vocabulary(words.words), np.ascontiguousarray(self._inner(weights.inputs))
        )
        return TrainedVectors(
            vectors=vectors,
            words=words,
            mean_losses=tuple(self._position.mean_losses),
            seconds=self._position.seconds,
            amount=self._position.amount,
        )

    # --- weights ---

    def _weights(self, words: WordCounts) -> Weights:
        weights = self._new_weights(words)
        if self.run_folder.checkpoint.exists():
            tensors, position = self.run_folder.load_checkpoint()
            for name, matrix in weights._asdict().items():
                if tensors[name].shape != self._inner(matrix).shape:
                    raise TrainingError(f"{self.run_folder.checkpoint} does not fit the words")
                self._inner(matrix)[:] = tensors[name]
            self._position = Position(**position)
        return weights

    def _new_weights(self, words: WordCounts) -> Weights:
        """Inputs uniform in +-1 / (2 D), outputs 0, as in word2vec; or those to continue from."""
        recipe, size = self.recipe, len(words.words)
        outputs = size - 1 if recipe.objective is Objective.HIERARCHICAL_SOFTMAX else size
        weights = Weights(
            padded_matrix(size, recipe.dimensions), padded_matrix(outputs, recipe.dimensions)
        )
        random = np.random.default_rng(recipe.seed)
        inputs = random.random((size, recipe.dimensions), dtype=np.float32) - np.float32(0.5)
        self._inner(weights.inputs)[:] = inputs / np.float32(recipe.dimensions)
        if self._old is not None:
            self._continue(weights, words, self._old)
        return weights

    def _continue(self, weights: Weights, words: WordCounts, old: RunFolder) -> None:
        """Words that were known go on from their vectors; the tree of hierarchical softmax is
        another with other counts, so that its nodes begin afresh."""
        tensors, _ = old.load_checkpoint()
        if "inputs" not in tensors or tensors["inputs"].shape[1] != self.recipe.dimensions:
            raise TrainingError(
                f"continue_from: {old.path} holds no word2vec vectors of "
                f"{self.recipe.dimensions} dimensions; set dimensions to what it has"
            )
        position = {word: i for i, word in enumerate(words.words)}
        rows = np.array([position[word] for word in old.read_words().words])
        self._inner(weights.inputs)[rows] = tensors["inputs"]
        same_shape = tensors["outputs"].shape[0] == len(rows)
        if self.recipe.objective is not Objective.HIERARCHICAL_SOFTMAX and same_shape:
            self._inner(weights.outputs)[rows] = tensors["outputs"]

    def _inner(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """A matrix without its padding."""
        return matrix[:, : self.recipe.dimensions]

    # --- learning ---

    def _learn_all(self, words: WordCounts, weights: Weights, bar: Progress) -> None:
        recipe = self.recipe
        ids = open_ids(self.run_folder.text)
        chunks = -(-len(ids) // self._chunk_words)
        total = chunks * recipe.epochs
        tables, plan = self._tables(words), self._plan()
        free: queue.SimpleQueue[Scratch] = queue.SimpleQueue()
        for _ in range(recipe.threads):
            free.put(new_scratch(weights, tables, plan))

        def rate(chunk: int) -> float:
            done = chunk / total
            return recipe.first_rate + (recipe.final_learning_rate - recipe.first_rate) * done

        def learn(chunk: int) -> ChunkReport:
            start = chunk % chunks * self._chunk_words
            part = np.array(ids[start : start + self._chunk_words])
            scratch = free.get()
            scratch.state[:] = chunk_state(recipe.seed, chunk)
            try:
                rates = rate(chunk), rate(chunk + 1)
                train_chunk(part, weights, tables, plan, scratch, rates)
                loss, predictions, _ = scratch.report.tolist()
            finally:
                free.put(scratch)
            return ChunkReport(
                loss=loss, predictions=int(predictions), amount=int((part >= 0).sum())
            )

        def save() -> None:
            tensors = {
                name: np.ascontiguousarray(self._inner(matrix))
                for name, matrix in weights._asdict().items()
            }
            self.run_folder.save_checkpoint(tensors, asdict(self._position))

        ChunkRunner(
            self._chunk_plan(chunks), self._position, CsvLog(self.run_folder.log, LOG_COLUMNS), bar,
            learn=learn, save=save, rate=rate,
        ).run()  # fmt: skip

    def _chunk_plan(self, chunks: int) -> ChunkPlan:
        recipe = self.recipe
        return ChunkPlan(
            chunks_per_epoch=chunks,
            epochs=recipe.epochs,
            threads=recipe.threads,
            checkpoint_seconds=recipe.checkpoint_seconds,
            report_seconds=recipe.report_seconds,
            unit="words",
        )

    def _plan(self) -> Plan:
        recipe = self.recipe
        return Plan(
            window=recipe.window,
            negatives=recipe.negatives,
            objective=_OBJECTIVES[recipe.objective],
            mean_of_context=recipe.architecture is Architecture.CBOW,
            shared_noise=recipe.shared_negatives,
        )

    def _tables(self, words: WordCounts) -> Tables:
        recipe = self.recipe
        kept = keep_probabilities(words.counts, words.known_words, recipe.subsampling)
        noise = AliasTable(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int32))
        if recipe.objective is Objective.NEGATIVE_SAMPLING:
            noise = alias_table(noise_distribution(words.counts, recipe.noise_exponent))
        paths = HuffmanPaths(
            np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)
        )
        if recipe.objective is Objective.HIERARCHICAL_SOFTMAX:
            paths = huffman_paths(words.counts)
        return Tables(keep_thresholds(kept), noise, paths)
