"""Writes a translator's bundle with random weights of the benchmark's shape, in 8 bits as shipped.

    python -m tests.benchmarks.translation.random_bundle multiplicative FOLDER/NAME/1

A process of its own, so that what is measured holds no torch that only made its weights.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from tests.benchmarks.translation.sources import TOKENIZER

from dragoman_models.bundle import write_bundle
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.family import SHORTLIST
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.shortlist import Shortlist
from dragoman_models.weight_encoding import WeightEncoding, encode_weights

_COMMON, _PER_PIECE = 128, 20


def random_shortlist(vocabulary_size: int) -> Shortlist:
    """128 pieces for all sentences, and 20 for each source piece."""
    rng = np.random.default_rng(0)
    return Shortlist(
        common=np.union1d(np.arange(4), rng.integers(0, vocabulary_size, _COMMON)),
        starts=np.arange(vocabulary_size + 1) * _PER_PIECE,
        tokens=rng.integers(0, vocabulary_size, vocabulary_size * _PER_PIECE),
    )


def write_random_bundle(attention: str, folder: Path) -> None:
    """Embedding 256, encoder 2 x 256, decoder 512, 8,000 pieces."""
    torch.manual_seed(0)
    config = NetworkConfig.model_validate({"attention": attention})
    weights = TranslationNetwork(config).state_dict()
    write_bundle(
        folder,
        config={"family": "translation", "network": config.model_dump(), "shortlist": True},
        tensors=encode_weights(weights, WeightEncoding.INT8_ROWS),
        files={
            "tokenizer.model": TOKENIZER.read_bytes(),
            SHORTLIST: random_shortlist(config.vocabulary_size).to_bytes(),
        },
        metrics={},
        card="Random weights.",
    )


if __name__ == "__main__":
    write_random_bundle(sys.argv[1], Path(sys.argv[2]))
