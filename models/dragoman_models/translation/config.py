"""The sizes of a translator, as a bundle's config.json and a recipe file state them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


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
    decoder: Literal["input_feeding", "conditional_gru"] = Field(
        default="input_feeding",
        description="attention after one cell, fed to the next step; or between two (GRU only)",
    )
    layer_norm: bool = Field(
        default=False,
        description="whether the gates of encoder and decoder are normalized; GRU only",
    )
    tie_source_embedding: bool = Field(
        default=True, description="source embedding = target embedding = output weights"
    )

    @model_validator(mode="after")
    def _gru_only(self) -> NetworkConfig:
        if self.cell != "gru" and (self.layer_norm or self.decoder != "input_feeding"):
            raise ValueError('layer_norm and decoder = "conditional_gru" are for cell = "gru"')
        return self

    def fewest_weights(self) -> int:
        """A network of this shape has at least so many: a gate of each layer, and the embedding."""
        rows, encoder, decoder = self.embedding_size, self.encoder_size, self.decoder_size
        encoder_weights = (rows + self.encoder_layers * encoder) * encoder
        return self.vocabulary_size * rows + encoder_weights + (rows + encoder + decoder) * decoder
