"""The sizes of a language model, as a bundle's config.json and a recipe file state them."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

CellName = Literal["rnn", "gru", "simple_gru", "lstm", "mogrifier_lstm"]


class NetworkConfig(BaseModel):
    """The shape of the network; everything that weights depend on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocabulary_size: int = Field(default=8000, ge=2, description="the most tokens")
    cell: CellName = "lstm"
    embedding_size: int = Field(default=400, ge=1)
    hidden_size: int = Field(
        default=650, ge=1, description="units of each layer; with tie_weights all but the last"
    )
    layers: int = Field(default=2, ge=1, le=8)
    tie_weights: bool = Field(
        default=True, description="output weights = embedding; the last layer has its size"
    )
    mogrifier_rounds: int = Field(default=5, ge=0, le=16, description="Melis et al. 2020, r")
    mogrifier_rank: int = Field(default=0, ge=0, description="of Q and R; 0: full matrices")
    adaptive_cutoffs: tuple[int, ...] = Field(
        default=(), description="first rank of each tail cluster of the softmax; (): one softmax"
    )

    @model_validator(mode="after")
    def _check_cutoffs(self) -> NetworkConfig:
        bounds = (1, *self.adaptive_cutoffs, self.vocabulary_size)
        if self.adaptive_cutoffs and any(low >= high for low, high in pairwise(bounds)):
            raise ValueError(
                "adaptive_cutoffs must rise, from 2 or more to less than vocabulary_size "
                f"({self.vocabulary_size})"
            )
        return self

    def layer_sizes(self) -> list[tuple[int, int]]:
        """(inputs, units) of each layer."""
        last = self.embedding_size if self.tie_weights else self.hidden_size
        units = [self.hidden_size] * (self.layers - 1) + [last]
        return list(zip([self.embedding_size, *units[:-1]], units, strict=True))

    def fewest_weights(self) -> int:
        """A network of this shape has at least so many: a gate of each layer, and the embedding."""
        gates = sum((inputs + units) * units for inputs, units in self.layer_sizes())
        if self.cell == "mogrifier_lstm" and self.mogrifier_rounds:
            gates += self.mogrifier_rank * min(sum(sizes) for sizes in self.layer_sizes())
        return self.vocabulary_size * self.embedding_size + gates
