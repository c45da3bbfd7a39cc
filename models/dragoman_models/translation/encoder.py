"""The source side: embedding and a bidirectional recurrent network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from dragoman_models.recurrent.compiled_gru_sequence import gru_sequence
from dragoman_models.recurrent.gate_normalization import trained_normalization
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.dropout import DropoutRates, SequenceDropout, state_mask


class Encoder(nn.Module):
    """Reads a source sentence in both directions (Bahdanau et al. 2015, section 3.2)."""

    def __init__(self, config: NetworkConfig, *, dropout: DropoutRates) -> None:
        super().__init__()
        recurrent = {"gru": nn.GRU, "lstm": nn.LSTM}[config.cell]
        self.recurrent = recurrent(
            config.embedding_size,
            config.encoder_size,
            num_layers=config.encoder_layers,
            bidirectional=True,
            batch_first=True,
            dropout=dropout.encoded if config.encoder_layers > 1 else 0.0,
        )
        self.dropout = SequenceDropout(dropout.encoded, locked=dropout.locked, time_dimension=0)
        self.state_dropout = dropout.state
        self.layer_norm = config.layer_norm
        if config.layer_norm:  # the shifts are the biases of the recurrent layer
            gains = torch.ones(config.encoder_layers, 2, 3 * config.encoder_size)
            self.input_gains, self.hidden_gains = nn.Parameter(gains), nn.Parameter(gains.clone())

    def forward(self, embedded: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, E), (B,) -> encoded (B, S, 2 * encoder_size) and summary (B, 2 * encoder_size).

        ``lengths`` must be on the CPU. The summary joins the last state of each direction of the
        top layer. Packing keeps padding out of the backward direction, so a sentence is encoded
        the same whatever stands beside it in the batch.
        """
        if self.layer_norm or (self.training and isinstance(self.recurrent, nn.GRU)):
            return self._stepwise(embedded, lengths)
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        outputs, last = self.recurrent(packed)
        encoded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=embedded.size(1))
        hidden = last[0] if isinstance(last, tuple) else last  # (layers * 2, B, encoder_size)
        summary = hidden[-2:].transpose(0, 1).flatten(1)
        return encoded, summary

    def _stepwise(self, embedded: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What ``forward`` returns, with a faster gradient; rows of padding hold anything.

        Torch's layer knows neither layer normalization nor dropout of states; this does.

        Each direction's inputs start at its first token, so padding comes last for both.
        """
        reverse = _reversed_positions(lengths, embedded.size(1)).unsqueeze(2)  # (S, B, 1)
        encoded = embedded.transpose(0, 1)  # (S, B, E)
        for layer in range(self.recurrent.num_layers):
            encoded = encoded if layer == 0 else self.dropout(encoded)
            backward = encoded.gather(0, reverse.expand(-1, -1, encoded.size(2)))
            input_gates = torch.stack(
                [
                    self._input_gates(inputs, layer, direction)
                    for direction, inputs in enumerate((encoded, backward))
                ],
                dim=1,
            )  # (S, 2, B, 3H)
            recurrent = [self._parameters_named("hh", layer, direction) for direction in (0, 1)]
            unit = input_gates[0, ..., : self.recurrent.hidden_size].float()
            states = gru_sequence(
                input_gates,
                torch.stack([weight for weight, _ in recurrent]).to(input_gates.dtype),
                torch.stack([bias for _, bias in recurrent]).unsqueeze(1),
                state_mask(unit, self.state_dropout, training=self.training),
                self.hidden_gains[layer].unsqueeze(1) if self.layer_norm else None,
            )  # (S, 2, B, H)
            onward = states[:, 1].gather(0, reverse.expand(-1, -1, states.size(3)))
            encoded = torch.cat([states[:, 0], onward], dim=2)  # (S, B, 2H)
        summary = states[lengths - 1, :, torch.arange(len(lengths))].flatten(1)
        return encoded.transpose(0, 1), summary

    def _input_gates(self, inputs: Tensor, layer: int, direction: int) -> Tensor:
        """(S, B, inputs) -> (S, B, 3H)."""
        weight, bias = self._parameters_named("ih", layer, direction)
        if not self.layer_norm:
            return nn.functional.linear(inputs, weight, bias)
        gates = nn.functional.linear(inputs, weight)
        return trained_normalization(gates, self.input_gains[layer, direction], bias)

    def _parameters_named(self, kind: str, layer: int, direction: int) -> tuple[Tensor, Tensor]:
        name = f"{kind}_l{layer}" + ("_reverse" if direction else "")
        weight, bias = (getattr(self.recurrent, f"{part}_{name}") for part in ("weight", "bias"))
        return weight, bias


def _reversed_positions(lengths: Tensor, longest: int) -> Tensor:
    """(S, B): where the backward direction's t-th token stands; padding stays in its place."""
    positions = torch.arange(longest).unsqueeze(1)
    return torch.where(positions < lengths, lengths - 1 - positions, positions)
