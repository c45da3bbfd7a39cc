"""Dropout of a translator: where, how much, and whether a sentence keeps one mask."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn


class DropoutRates(BaseModel):
    """Shares of units that training sets to zero; the others are scaled up by 1 / (1 - rate)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedding: float = Field(default=0.0, ge=0, lt=1, description="inputs, on both sides")
    state: float = Field(
        default=0.0, ge=0, lt=1,
        description="recurrent states, as gates read them; a sentence keeps its mask; GRU only",
    )  # fmt: skip
    encoded: float = Field(
        default=0.0, ge=0, lt=1, description="the encoder's outputs, and between its layers"
    )
    output: float = Field(default=0.0, ge=0, lt=1, description="what the output layer reads")
    locked: bool = Field(
        default=True, description="one mask for all positions (Gal and Ghahramani 2016), or many"
    )


def uniform_rates(rate: float) -> DropoutRates:
    """Everywhere the same, drawn anew at each position, and none in the recurrence."""
    return DropoutRates(embedding=rate, encoded=rate, output=rate, locked=False)


class SequenceDropout(nn.Module):
    """Dropout of a sequence; ``locked``: the same units at all its positions.

    Gal and Ghahramani 2016, "A theoretically grounded application of dropout in recurrent neural
    networks", section 4.
    """

    def __init__(self, rate: float, *, locked: bool, time_dimension: int) -> None:
        super().__init__()
        self.rate, self.locked, self.time_dimension = rate, locked, time_dimension

    def forward(self, values: Tensor) -> Tensor:
        """The values with some set to zero; as they are when not training."""
        if not self.training or not self.rate:
            return values
        if not self.locked:
            return nn.functional.dropout(values, self.rate)
        shape = list(values.shape)
        shape[self.time_dimension] = 1
        return values * nn.functional.dropout(values.new_ones(shape), self.rate)


def state_mask(like: Tensor, rate: float, *, training: bool) -> Tensor | None:
    """A mask of the shape of ``like`` for a whole recurrence; None where nothing is dropped."""
    if not training or not rate:
        return None
    return nn.functional.dropout(like.new_ones(like.shape), rate)
