"""The source side: embedding and a bidirectional recurrent network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from dragoman_models.recurrent.gru_sequence import GruSequence
from dragoman_models.translation.config import NetworkConfig


class Encoder(nn.Module):
    """Reads a source sentence in both directions (Bahdanau et al. 2015, section 3.2)."""

    def __init__(self, config: NetworkConfig, *, dropout: float) -> None:
        super().__init__()
        recurrent = {"gru": nn.GRU, "lstm": nn.LSTM}[config.cell]
        self.recurrent = recurrent(
            config.embedding_size,
            config.encoder_size,
            num_layers=config.encoder_layers,
            bidirectional=True,
            batch_first=True,
            dropout=dropout if config.encoder_layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, embedded: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, E), (B,) -> encoded (B, S, 2 * encoder_size) and summary (B, 2 * encoder_size).

        ``lengths`` must be on the CPU. The summary joins the last state of each direction of the
        top layer. Packing keeps padding out of the backward direction, so a sentence is encoded
        the same whatever stands beside it in the batch.
        """
        if self.training and isinstance(self.recurrent, nn.GRU):
            return self._trained(embedded, lengths)
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        outputs, last = self.recurrent(packed)
        encoded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=embedded.size(1))
        hidden = last[0] if isinstance(last, tuple) else last  # (layers * 2, B, encoder_size)
        summary = hidden[-2:].transpose(0, 1).flatten(1)
        return encoded, summary

    def _trained(self, embedded: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What ``forward`` returns, with a faster gradient; rows of padding hold anything.

        Each direction's inputs start at its first token, so padding comes last for both.
        """
        reverse = _reversed_positions(lengths, embedded.size(1)).unsqueeze(2)  # (S, B, 1)
        encoded = embedded.transpose(0, 1)  # (S, B, E)
        for layer in range(self.recurrent.num_layers):
            encoded = encoded if layer == 0 else self.dropout(encoded)
            backward = encoded.gather(0, reverse.expand(-1, -1, encoded.size(2)))
            names = (f"l{layer}", f"l{layer}_reverse")
            input_gates = [
                nn.functional.linear(inputs, *self._parameters_named("ih", name))
                for inputs, name in zip((encoded, backward), names, strict=True)
            ]
            recurrent = [self._parameters_named("hh", name) for name in names]
            states: Tensor = GruSequence.apply(  # type: ignore[no-untyped-call]
                torch.stack(input_gates, dim=1),
                torch.stack([weight for weight, _ in recurrent]).to(input_gates[0].dtype),
                torch.stack([bias for _, bias in recurrent]).unsqueeze(1),
            )  # (S, 2, B, H)
            onward = states[:, 1].gather(0, reverse.expand(-1, -1, states.size(3)))
            encoded = torch.cat([states[:, 0], onward], dim=2)  # (S, B, 2H)
        summary = states[lengths - 1, :, torch.arange(len(lengths))].flatten(1)
        return encoded.transpose(0, 1), summary

    def _parameters_named(self, kind: str, name: str) -> tuple[Tensor, Tensor]:
        return getattr(self.recurrent, f"weight_{kind}_{name}"), getattr(
            self.recurrent, f"bias_{kind}_{name}"
        )


def _reversed_positions(lengths: Tensor, longest: int) -> Tensor:
    """(S, B): where the backward direction's t-th token stands; padding stays in its place."""
    positions = torch.arange(longest).unsqueeze(1)
    return torch.where(positions < lengths, lengths - 1 - positions, positions)
