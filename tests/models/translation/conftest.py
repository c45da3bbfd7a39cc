"""A tokenizer and small networks with random weights."""

from collections.abc import Callable

import pytest
import torch

from dragoman_models.tokenizer import EOS, SubwordTokenizer, train_tokenizer
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.translator import Translator

PAIRS = [
    ("Tom dort.", "Tom is asleep."),
    ("Je t'aime.", "I love you."),
    ("Où est la gare ?", "Where is the station?"),
    ("Il fait froid.", "It is cold."),
    ("J'ai 25 ans.", "I am 25 years old."),
    ("Elle parle anglais.", "She speaks English."),
    ("Nous partons demain.", "We leave tomorrow."),
    ("Le chat boit du lait.", "The cat drinks milk."),
    ("Combien ça coûte ?", "How much is it?"),
    ("Merci beaucoup, Marie !", "Thank you very much, Mary!"),
]


@pytest.fixture(scope="session")
def pairs() -> list[tuple[str, str]]:
    """Ten sentences in French and English."""
    return PAIRS


@pytest.fixture(scope="session")
def tokenizer() -> SubwordTokenizer:
    """340 pieces, of which 260 are bytes and special ones, and some are words."""
    sides = [side for pair in PAIRS for side in pair]
    words = [word for side in sides for word in side.split()]
    return train_tokenizer([*sides, *words], vocabulary_size=340)


MakeNetwork = Callable[[NetworkConfig], TranslationNetwork]


@pytest.fixture(scope="session")
def make_network() -> MakeNetwork:
    """Networks whose weights are large enough for sharp, source-dependent predictions."""

    def make(config: NetworkConfig) -> TranslationNetwork:
        torch.manual_seed(20)
        network = TranslationNetwork(config).eval().requires_grad_(False)
        for name, weight in network.named_parameters():
            reads_source = any(part in name for part in ("embedding", "encoder", "projection"))
            weight.mul_(3.0 if reads_source else 1.5)
            if "weight_ih_l0" in name or "embedding_gates.weight" in name:
                weight.mul_(config.embedding_size**-0.5)  # what reads it has embeddings scaled up
        network.output_bias.normal_()
        network.output_bias[EOS] = 3.0  # so that some hypotheses end soon
        return network

    return make


@pytest.fixture(
    scope="session",
    params=[
        ("gru", "multiplicative"), ("gru", "additive"),
        ("lstm", "multiplicative"), ("lstm", "additive"),
    ],
    ids="-".join,
)  # fmt: skip
def small_config(request: pytest.FixtureRequest) -> NetworkConfig:
    """Every kind of cell with every kind of attention; all sizes differ."""
    cell, attention = request.param
    return NetworkConfig(
        vocabulary_size=340,
        cell=cell,
        attention=attention,
        embedding_size=10,
        encoder_size=6,
        encoder_layers=2,
        decoder_size=14,
        tie_source_embedding=cell == "gru",
    )


@pytest.fixture(scope="session")
def translator(
    small_config: NetworkConfig, make_network: MakeNetwork, tokenizer: SubwordTokenizer
) -> Translator:
    """A translator of each kind, with random weights."""
    return Translator(
        make_network(small_config), tokenizer, source_language="fr", target_language="en"
    )
