"""A small random model for searches: what beam search sees, and the same in numpy."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dragoman_models.arrays import Integers

Floats = NDArray[np.float64]
HIDDEN = 3


class ModelState(NamedTuple):
    hidden: Floats  # (N, HIDDEN), one row a hypothesis
    bias: Floats  # (B, V), one row a sentence


class RecurrentModel:
    """h' = tanh(h R + E[token]), logits = h' O + a bias of the sentence's own; random, float64.

    ``step`` is what beam search sees, ``after`` the same in numpy for one sequence.
    """

    def __init__(
        self, seed: int, *, vocabulary: int, sentences: int, sharpness: float = 2.0
    ) -> None:
        rng = np.random.default_rng(seed)
        self.recurrence: Floats = rng.normal(size=(HIDDEN, HIDDEN))
        self.embedding: Floats = rng.normal(size=(vocabulary, HIDDEN))
        self.output: Floats = sharpness * rng.normal(size=(HIDDEN, vocabulary))
        self.bias: Floats = rng.normal(size=(sentences, vocabulary))
        self.first: Floats = rng.normal(size=(sentences, HIDDEN))
        self.rows: list[int] = []  # hypotheses at each step

    def state(self) -> ModelState:
        return ModelState(self.first, self.bias)

    def step(self, previous: Integers, state: ModelState) -> tuple[Any, ModelState, Any]:
        self.rows.append(len(previous))
        hidden = np.tanh(state.hidden @ self.recurrence + self.embedding[previous])
        bias = np.repeat(state.bias, len(hidden) // len(state.bias), axis=0)
        attention = np.exp(hidden) / np.exp(hidden).sum(axis=1, keepdims=True)
        return hidden @ self.output + bias, ModelState(hidden, state.bias), attention

    def select(self, state: ModelState, sentences: Integers | None, rows: Integers) -> ModelState:
        return ModelState(
            state.hidden[rows], state.bias if sentences is None else state.bias[sentences]
        )

    def after(self, sentence: int, previous: int, hidden: Floats) -> tuple[Floats, Floats]:
        """The next hidden state and the log-probabilities of the next token."""
        hidden = np.tanh(hidden @ self.recurrence + self.embedding[previous])
        logits = hidden @ self.output + self.bias[sentence]
        return hidden, logits - np.log(np.exp(logits).sum())
