"""The compiled loops learn what the readable objectives say, prediction by prediction.

The reference goes through the text with the same random numbers, in Python and float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from dragoman_models.embeddings.training.huffman import huffman_paths
from dragoman_models.embeddings.training.noise import AliasTable, alias_table, noise_distribution
from dragoman_models.embeddings.training.objectives import (
    PredictionGradient,
    context_gradient,
    logistic_prediction,
    mean_of_context,
    softmax_prediction,
)
from dragoman_models.embeddings.training.simd import padded_matrix
from dragoman_models.embeddings.training.subsampling import keep_probabilities, keep_thresholds
from dragoman_models.embeddings.training.word2vec_kernels import (
    FULL_SOFTMAX,
    HIERARCHICAL_SOFTMAX,
    NEGATIVE_SAMPLING,
    Plan,
    Tables,
    Weights,
    new_scratch,
    train_chunk,
)

Floats = NDArray[np.float64]
_NOISE_AHEAD = 24  # words drawn before the first is used
_COUNTS = np.array([60, 40, 30, 20, 12, 9, 5, 4, 3, 2, 2])
_DIMENSIONS = 21  # no multiple of what the machine does at once


class Reference:
    """The same training, written for reading."""

    def __init__(self, weights: Weights, tables: Tables, plan: Plan, rate: float) -> None:
        self.inputs = weights.inputs[:, :_DIMENSIONS].astype(np.float64)
        self.outputs = weights.outputs[:, :_DIMENSIONS].astype(np.float64)
        self.tables, self.plan, self.rate = tables, plan, rate
        self.state = 0
        self.loss, self.predictions, self.kept = 0.0, 0, 0
        self.noise: list[int] = []

    def bits(self) -> int:
        """SplitMix64."""
        mask = 2**64 - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    def draw(self) -> int:
        bits, table = self.bits(), self.tables.noise
        column = (bits >> 32) * len(table.thresholds) >> 32
        own = bits & 0xFFFFFFFF < int(table.thresholds[column])
        return column if own else int(table.alternatives[column])

    def train(self, ids: list[int], seed: int) -> None:
        self.state = seed
        if self.plan.objective == NEGATIVE_SAMPLING:
            self.noise = [self.draw() for _ in range(_NOISE_AHEAD)]
        ends = [-1, *(i for i, word in enumerate(ids) if word == -1)]
        for before, end in pairwise(ends):
            sentence = [
                word
                for word in ids[before + 1 : end]
                if self.bits() >> 32 < int(self.tables.keep[word])
            ]
            self.kept += len(sentence)
            self.train_sentence(sentence)

    def train_sentence(self, sentence: list[int]) -> None:
        for place, word in enumerate(sentence):
            radius = (self.bits() >> 32) * self.plan.window // 2**32 + 1
            context = (
                sentence[max(0, place - radius) : place] + sentence[place + 1 : place + radius + 1]
            )
            for part in self.parts(context):
                self.predict(word, part)

    def parts(self, context: list[int]) -> Iterator[list[int]]:
        """What is predicted from at once."""
        together = self.plan.mean_of_context or self.plan.shared_noise
        if together or self.plan.objective != NEGATIVE_SAMPLING:
            if context:
                yield context
        else:
            yield from ([word] for word in context)

    def predict(self, word: int, context: list[int]) -> None:
        h = self.inputs[context]
        if self.plan.mean_of_context:
            h = mean_of_context(h)
        rows, found = self.gradient(word, h)
        self.loss += found.loss
        self.predictions += len(h)
        step = found.inputs
        if self.plan.mean_of_context:
            step = context_gradient(step, len(context))
        np.subtract.at(self.inputs, context, self.rate * step)
        np.subtract.at(self.outputs, rows, self.rate * found.outputs)

    def gradient(self, word: int, h: Floats) -> tuple[list[int], PredictionGradient]:
        if self.plan.objective == FULL_SOFTMAX:
            rows = list(range(len(self.outputs)))
            return rows, softmax_prediction(h, self.outputs, word)
        if self.plan.objective == HIERARCHICAL_SOFTMAX:
            paths = self.tables.paths
            path = slice(paths.starts[word], paths.starts[word + 1])
            rows, signs = paths.nodes[path].tolist(), paths.signs[path].astype(np.float64)
            return rows, logistic_prediction(h, self.outputs[rows], signs)
        noise = []
        for _ in range(self.plan.negatives):
            noise.append(self.noise.pop(0))
            self.noise.append(self.draw())
        rows = [word, *(other for other in noise if other != word)]
        signs = np.array([-1.0] + [1.0] * (len(rows) - 1))
        return rows, logistic_prediction(h, self.outputs[rows], signs)


def text(random: np.random.Generator) -> list[int]:
    words = random.choice(len(_COUNTS), size=120, p=_COUNTS / _COUNTS.sum())
    words[random.random(120) < 0.12] = -1
    return [*words.tolist(), -1]


@pytest.mark.parametrize("mean_of_context", [False, True], ids=["skip-gram", "cbow"])
@pytest.mark.parametrize(
    ("objective", "shared_noise"),
    [
        (NEGATIVE_SAMPLING, False),
        (NEGATIVE_SAMPLING, True),
        (HIERARCHICAL_SOFTMAX, False),
        (FULL_SOFTMAX, False),
    ],
    ids=["negative-sampling", "shared-noise", "hierarchical-softmax", "full-softmax"],
)
def test_loops_follow_the_gradients(
    mean_of_context: bool, objective: int, shared_noise: bool
) -> None:
    random = np.random.default_rng(8)
    size = len(_COUNTS)
    outputs = size - 1 if objective == HIERARCHICAL_SOFTMAX else size
    weights = Weights(padded_matrix(size, _DIMENSIONS), padded_matrix(outputs, _DIMENSIONS))
    for matrix in weights:
        matrix[:, :_DIMENSIONS] = random.normal(size=(len(matrix), _DIMENSIONS)) / 3
    tables = Tables(
        keep_thresholds(keep_probabilities(_COUNTS, int(_COUNTS.sum()), 0.05)),
        alias_table(noise_distribution(_COUNTS)),
        huffman_paths(_COUNTS),
    )
    plan = Plan(
        window=3, negatives=6, objective=objective, mean_of_context=mean_of_context,
        shared_noise=shared_noise,
    )  # fmt: skip
    reference = Reference(weights, tables, plan, rate=0.05)
    ids = text(random)
    reference.train(ids, seed=11)

    scratch = new_scratch(weights, tables, plan)
    scratch.state[:] = 11
    train_chunk(np.array(ids, dtype=np.int32), weights, tables, plan, scratch, (0.05, 0.05))

    np.testing.assert_allclose(weights.inputs[:, :_DIMENSIONS], reference.inputs, atol=2e-5)
    np.testing.assert_allclose(weights.outputs[:, :_DIMENSIONS], reference.outputs, atol=2e-5)
    assert not any(matrix[:, _DIMENSIONS:].any() for matrix in weights)
    loss, predictions, kept = scratch.report.tolist()
    assert (predictions, kept) == (reference.predictions, reference.kept)
    assert loss == pytest.approx(reference.loss, rel=2e-5)


@pytest.mark.parametrize("length", [9_999, 10_000, 10_001, 25_000])
def test_long_sentences_are_cut_not_lost(length: int) -> None:
    weights = Weights(padded_matrix(2, 4), padded_matrix(2, 4))
    empty = AliasTable(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int32))
    paths = huffman_paths(np.array([2, 1]))
    tables = Tables(np.full(2, 2**32, dtype=np.uint64), empty, paths)
    plan = Plan(
        window=1, negatives=1, objective=HIERARCHICAL_SOFTMAX, mean_of_context=True,
        shared_noise=False,
    )  # fmt: skip
    scratch = new_scratch(weights, tables, plan)
    ids = np.append(np.arange(length) % 2, -1).astype(np.int32)
    train_chunk(ids, weights, tables, plan, scratch, (0.05, 0.05))
    assert scratch.report[2] == length
    assert scratch.report[1] == (length if length % 10_000 != 1 else length - 1)


@pytest.mark.parametrize("score", [-120.0, -20.0, -1e-3, 0.0, 0.7, 15.0, 120.0])
def test_loss_and_step_are_right_far_from_zero(score: float) -> None:
    weights = Weights(padded_matrix(2, 1), padded_matrix(1, 1))
    weights.inputs[:, 0], weights.outputs[:, 0] = score, 1.0
    empty = AliasTable(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int32))
    tables = Tables(np.full(2, 2**32, dtype=np.uint64), empty, huffman_paths(np.array([2, 1])))
    plan = Plan(
        window=1, negatives=1, objective=HIERARCHICAL_SOFTMAX, mean_of_context=False,
        shared_noise=False,
    )  # fmt: skip
    scratch = new_scratch(weights, tables, plan)
    ids = np.array([1, 0, -1], dtype=np.int32)
    reference = Reference(weights, tables, plan, rate=0.1)
    reference.train(ids.tolist(), seed=0)
    train_chunk(ids, weights, tables, plan, scratch, (0.1, 0.1))
    assert scratch.report[0] == pytest.approx(reference.loss, rel=1e-5, abs=1e-6)
    np.testing.assert_allclose(weights.inputs, reference.inputs, rtol=1e-5, atol=1e-6)
