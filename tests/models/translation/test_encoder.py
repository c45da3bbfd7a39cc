"""The encoder reads a sentence alike whatever stands beside it, and both ways."""

from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.dropout import DropoutRates
from dragoman_models.translation.encoder import Encoder


def make_encoder(cell: Literal["gru", "lstm"], layers: int) -> Encoder:
    torch.manual_seed(3)
    config = NetworkConfig(cell=cell, embedding_size=5, encoder_size=4, encoder_layers=layers)
    return Encoder(config, dropout=DropoutRates()).requires_grad_(False)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    layers=st.integers(1, 2),
    more=st.integers(0, 3),
    training=st.booleans(),
    junk=st.sampled_from([0.0, 1e3, float("nan")]),
)
def test_padding_does_not_matter(
    cell: Literal["gru", "lstm"],
    lengths: list[int],
    layers: int,
    more: int,
    training: bool,
    junk: float,
) -> None:
    """Neither how much there is of it, nor what it holds."""
    encoder = make_encoder(cell, layers).train(training)
    embedded = torch.full((len(lengths), max(lengths) + more, 5), junk)
    for row, length in enumerate(lengths):
        embedded[row, :length] = torch.randn(length, 5)
    encoded, summary = encoder(embedded, torch.tensor(lengths))
    assert encoded.shape == (len(lengths), max(lengths) + more, 8)
    for row, length in enumerate(lengths):
        alone, its_summary = encoder(embedded[row : row + 1, :length], torch.tensor([length]))
        torch.testing.assert_close(encoded[row, :length], alone[0], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(summary[row], its_summary[0], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("layers", [1, 2])
def test_summary_joins_the_last_state_of_each_direction(
    cell: Literal["gru", "lstm"], layers: int
) -> None:
    encoded, summary = make_encoder(cell, layers)(torch.randn(2, 6, 5), torch.tensor([6, 3]))
    for row, length in enumerate([6, 3]):
        forward, backward = encoded[row, length - 1, :4], encoded[row, 0, 4:]
        torch.testing.assert_close(summary[row], torch.cat([forward, backward]))


@pytest.mark.parametrize("layers", [1, 2])
def test_training_has_the_gradient_of_the_packed_layer(layers: int) -> None:
    encoder = make_encoder("gru", layers).double().requires_grad_(True)
    embedded = torch.randn(3, 6, 5, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([6, 2, 4])
    upstream = torch.randn(3, 6, 8, dtype=torch.float64)
    for row, length in enumerate(lengths):
        upstream[row, length:] = 0.0  # what attention makes of padding
    leaves = [embedded, *encoder.parameters()]
    gradients = []
    for training in (True, False):
        encoded, summary = encoder.train(training)(embedded, lengths)
        loss = (encoded * upstream).sum() + summary.square().sum()
        gradients.append(torch.autograd.grad(loss, leaves))
    for fast, exact in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, exact)
