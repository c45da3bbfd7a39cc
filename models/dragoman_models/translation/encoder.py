"""The source side: embedding and a bidirectional recurrent network."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

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

    def forward(self, embedded: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, E), (B,) -> encoded (B, S, 2 * encoder_size) and summary (B, 2 * encoder_size).

        ``lengths`` must be on the CPU. The summary joins the last state of each direction of the
        top layer. Packing keeps padding out of the backward direction, so a sentence is encoded
        the same whatever stands beside it in the batch.
        """
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        outputs, last = self.recurrent(packed)
        encoded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=embedded.size(1))
        hidden = last[0] if isinstance(last, tuple) else last  # (layers * 2, B, encoder_size)
        summary = hidden[-2:].transpose(0, 1).flatten(1)
        return encoded, summary
