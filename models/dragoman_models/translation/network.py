"""The whole translator network: encoder, decoder and the tied output layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dragoman_models.tokenizer import BOS, PAD
from dragoman_models.translation.attention import AttentionMemory
from dragoman_models.translation.conditional_decoder import ConditionalDecoder
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.decoder import Decoder, DecoderState
from dragoman_models.translation.dropout import DropoutRates, SequenceDropout
from dragoman_models.translation.encoder import Encoder


class TranslationNetwork(nn.Module):
    """Attention encoder-decoder; target embedding and output weights are one matrix
    (Press and Wolf 2017), with the source embedding too where the config ties it."""

    def __init__(self, config: NetworkConfig, *, dropout: DropoutRates | None = None) -> None:
        super().__init__()
        rates = dropout or DropoutRates()
        self.config = config
        self.target_embedding = nn.Embedding(config.vocabulary_size, config.embedding_size)
        if not config.tie_source_embedding:
            self.own_source_embedding = nn.Embedding(config.vocabulary_size, config.embedding_size)
        self.encoder = Encoder(config, dropout=rates)
        kind = Decoder if config.decoder == "input_feeding" else ConditionalDecoder
        self.decoder: Decoder | ConditionalDecoder = kind(config, state_dropout=rates.state)
        self.output_bias = nn.Parameter(torch.zeros(config.vocabulary_size))
        self.source_dropout = SequenceDropout(
            rates.embedding, locked=rates.locked, time_dimension=1
        )
        self.target_dropout = SequenceDropout(
            rates.embedding, locked=rates.locked, time_dimension=0
        )
        self.encoded_dropout = SequenceDropout(rates.encoded, locked=rates.locked, time_dimension=1)
        self.summary_dropout = nn.Dropout(rates.encoded)
        self.output_dropout = SequenceDropout(rates.output, locked=rates.locked, time_dimension=0)
        # The embedding is also the output layer: unit-variance rows would saturate the softmax.
        for embedding in (self.source_embedding, self.target_embedding):
            nn.init.normal_(embedding.weight, std=config.embedding_size**-0.5)

    @property
    def source_embedding(self) -> nn.Embedding:
        """The target embedding itself where the config ties them: one weight, one name."""
        return (
            self.target_embedding if self.config.tie_source_embedding else self.own_source_embedding
        )

    def embed(self, embedding: nn.Embedding, tokens: Tensor) -> Tensor:
        """Token ids (...) -> rows (..., E) of unit variance: what suits the output layer, rows of
        unit length, would hardly move the gates (Vaswani et al. 2017, section 3.4)."""
        return embedding(tokens) * self.config.embedding_size**0.5  # type: ignore[no-any-return]

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[AttentionMemory, DecoderState]:
        """Token ids (B, S) padded with PAD, lengths (B,) on the CPU -> memory, first state."""
        embedded = self.source_dropout(self.embed(self.source_embedding, source))
        encoded, summary = self.encoder(embedded, lengths)
        memory = self.decoder.memory(self.encoded_dropout(encoded), source.eq(PAD))
        return memory, self.decoder.initial_state(self.summary_dropout(summary))

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """Teacher forcing.

        Args:
            source, lengths: as for ``encode``.
            target: (B, T) token ids with eos, without bos.
        Returns:
            attentional vectors (T, B, E); logits are ``self.logits`` of them. They are kept apart
            because the loss fuses the output layer with the softmax.
        """
        memory, state = self.encode(source, lengths)
        bos = target.new_full((len(target), 1), BOS)
        previous = torch.cat([bos, target[:, :-1]], dim=1).t()  # (T, B)
        embedded = self.target_dropout(self.embed(self.target_embedding, previous))
        return self.output_dropout(self.decoder(embedded, state, memory))  # type: ignore[no-any-return]

    def logits(self, attentional: Tensor) -> Tensor:
        """(..., E) -> (..., V)."""
        weight = self.target_embedding.weight
        return nn.functional.linear(attentional, weight, self.output_bias)

    def step(
        self, previous: Tensor, state: DecoderState, memory: AttentionMemory
    ) -> tuple[Tensor, DecoderState, Tensor]:
        """One decoding step of B * K hypotheses.

        Args:
            previous: (B * K,) token ids.
        Returns:
            logits (B * K, V), the next state, attention weights (B, K, S).
        """
        gates = self.decoder.embedding_gates(self.embed(self.target_embedding, previous))
        state, weights = self.decoder.step(gates, state, memory)
        return self.logits(state.attentional), state, weights
