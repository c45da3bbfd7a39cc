"""A small random model for searches: what beam search sees, and the same in numpy."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]
HIDDEN = 3


class ModelState(NamedTuple):
    hidden: Tensor  # (N, HIDDEN), one row a hypothesis
    bias: Tensor  # (B, V), one row a sentence


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
        return ModelState(torch.tensor(self.first), torch.tensor(self.bias))

    def step(self, previous: Tensor, state: ModelState) -> tuple[Tensor, ModelState, Tensor]:
        self.rows.append(len(previous))
        embedded = torch.tensor(self.embedding)[previous]
        hidden = torch.tanh(state.hidden @ torch.tensor(self.recurrence) + embedded)
        bias = state.bias.repeat_interleave(len(hidden) // len(state.bias), dim=0)
        logits = hidden @ torch.tensor(self.output) + bias
        return logits, ModelState(hidden, state.bias), torch.softmax(hidden, dim=1)

    def select(self, state: ModelState, sentences: Tensor | None, rows: Tensor) -> ModelState:
        return ModelState(
            state.hidden[rows], state.bias if sentences is None else state.bias[sentences]
        )

    def after(self, sentence: int, previous: int, hidden: Floats) -> tuple[Floats, Floats]:
        """The next hidden state and the log-probabilities of the next token."""
        hidden = np.tanh(hidden @ self.recurrence + self.embedding[previous])
        logits = hidden @ self.output + self.bias[sentence]
        return hidden, logits - np.log(np.exp(logits).sum())
