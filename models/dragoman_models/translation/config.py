"""The sizes of a translator, as a bundle's config.json and a recipe file state them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class NetworkConfig(BaseModel):
    """The shape of the network; everything that weights depend on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocabulary_size: int = Field(default=8000, ge=8, description="pieces of the joint vocabulary")
    cell: Literal["gru", "lstm"] = "gru"
    attention: Literal["multiplicative", "additive"] = "multiplicative"
    embedding_size: int = Field(default=256, ge=1)
    encoder_size: int = Field(default=256, ge=1, description="units in each direction")
    encoder_layers: int = Field(default=1, ge=1, le=8)
    decoder_size: int = Field(default=512, ge=1)
    tie_source_embedding: bool = Field(
        default=True, description="source embedding = target embedding = output weights"
    )

    def fewest_weights(self) -> int:
        """A network of this shape has at least so many: a gate of each layer, and the embedding."""
        rows, encoder, decoder = self.embedding_size, self.encoder_size, self.decoder_size
        encoder_weights = (rows + self.encoder_layers * encoder) * encoder
        return self.vocabulary_size * rows + encoder_weights + (rows + encoder + decoder) * decoder
