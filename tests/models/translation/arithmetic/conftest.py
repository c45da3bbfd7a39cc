"""Networks that the compiled loops know, and the kinds of numbers that this CPU has."""

from collections.abc import Callable

import pytest
import torch

from dragoman_models.tokenizer import EOS
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.network import TranslationNetwork


@pytest.fixture(scope="session", params=["multiplicative", "additive"])
def suited_config(request: pytest.FixtureRequest) -> NetworkConfig:
    """A small network of blocks of 16 and 64 units, with each kind of attention."""
    return NetworkConfig(
        vocabulary_size=340,
        attention=request.param,
        embedding_size=64,
        encoder_size=48,
        decoder_size=128,
        tie_source_embedding=request.param == "additive",
    )


@pytest.fixture(scope="session")
def suited_network(suited_config: NetworkConfig) -> TranslationNetwork:
    """Weights large enough for sharp, source-dependent predictions."""
    torch.manual_seed(20)
    network = TranslationNetwork(suited_config).eval().requires_grad_(False)
    for name, weight in network.named_parameters():
        reads_source = "embedding" in name or "projection" in name or "encoder" in name
        weight.mul_(10.0 if "energy" in name else 2.5 if reads_source else 1.2)
    network.output_bias.normal_()
    network.output_bias[EOS] = 2.0  # so that some hypotheses end soon
    return network


MakeSources = Callable[[int], list[list[int]]]


@pytest.fixture(scope="session")
def make_sources() -> MakeSources:
    """Random piece ids with eos, of 1 to 20 pieces, in no order of length."""

    def make(count: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(count)
        lengths = torch.randint(0, 20, (count,), generator=generator).tolist()
        return [
            [*torch.randint(4, 340, (length,), generator=generator).tolist(), EOS]
            for length in lengths
        ]

    return make
