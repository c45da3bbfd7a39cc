"""Dropout: one mask a sentence where it is locked, nothing where the network is not training."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.dropout import (
    DropoutRates,
    SequenceDropout,
    state_mask,
    uniform_rates,
)
from dragoman_models.translation.network import TranslationNetwork


@given(st.integers(0, 1), st.floats(0.1, 0.9), st.integers(0, 2**31))
def test_a_locked_mask_is_the_same_at_every_position(time: int, rate: float, seed: int) -> None:
    """And a unit that is kept is divided by the share of units that are (inverted dropout)."""
    torch.manual_seed(seed)
    dropped = SequenceDropout(rate, locked=True, time_dimension=time)(torch.ones(4, 5, 6))
    first = dropped.select(time, 0).unsqueeze(time)
    assert torch.equal(dropped, first.expand_as(dropped))
    kept = dropped[dropped != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - rate)))


def test_sentences_of_a_batch_have_masks_of_their_own() -> None:
    torch.manual_seed(1)
    dropped = SequenceDropout(0.5, locked=True, time_dimension=1)(torch.ones(8, 3, 64))
    assert len({tuple(row.tolist()) for row in dropped[:, 0]}) == 8


def test_an_unlocked_mask_differs_from_position_to_position() -> None:
    torch.manual_seed(1)
    dropped = SequenceDropout(0.5, locked=False, time_dimension=0)(torch.ones(8, 3, 64))
    assert len({tuple(row.tolist()) for row in dropped[:, 0]}) == 8


def test_the_expectation_is_the_value() -> None:
    torch.manual_seed(1)
    dropout = SequenceDropout(0.4, locked=True, time_dimension=1)
    mean = torch.stack([dropout(torch.ones(20, 2, 50)) for _ in range(100)]).mean()
    assert float(mean) == pytest.approx(1.0, abs=0.01)  # standard error 0.0026


def test_nothing_is_dropped_where_nothing_is_to_be() -> None:
    values = torch.randn(2, 3, 4)
    dropout = SequenceDropout(0.9, locked=True, time_dimension=1)
    assert dropout.eval()(values) is values
    assert SequenceDropout(0.0, locked=True, time_dimension=1)(values) is values
    assert state_mask(values, 0.5, training=False) is None
    assert state_mask(values, 0.0, training=True) is None


@pytest.mark.parametrize("decoder", ["input_feeding", "conditional_gru"])
@pytest.mark.parametrize("place", ["embedding", "state", "encoded", "output"])
def test_each_rate_acts_in_training_and_only_there(decoder: str, place: str) -> None:
    config = NetworkConfig.model_validate(
        {"vocabulary_size": 20, "embedding_size": 8, "encoder_size": 6, "decoder_size": 10,
         "decoder": decoder}
    )  # fmt: skip
    torch.manual_seed(2)
    network = TranslationNetwork(config, dropout=DropoutRates.model_validate({place: 0.5}))
    source, target = torch.randint(4, 20, (2, 5)), torch.randint(4, 20, (2, 6))
    lengths = torch.tensor([5, 3])
    first, second = (network(source, lengths, target) for _ in range(2))
    assert not torch.equal(first, second)
    network.eval()
    first, second = (network(source, lengths, target) for _ in range(2))
    assert torch.equal(first, second)


def test_uniform_rates_are_plain_dropout() -> None:
    rates = uniform_rates(0.2)
    assert (rates.embedding, rates.encoded, rates.output, rates.state) == (0.2, 0.2, 0.2, 0.0)
    assert not rates.locked
