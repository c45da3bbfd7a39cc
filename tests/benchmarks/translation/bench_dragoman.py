"""Dragoman's translator with random weights, text in and text out; see `compare_speed.py`.

The variant is ATTENTION-ARITHMETIC, with -shortlist behind it for lists of about 400 pieces, which
is their mean size for the shipped bundles.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tests.benchmarks.translation.workload import OUTPUT_PIECES, Source, given, run_cases

from dragoman_models.tokenizer import SubwordTokenizer
from dragoman_models.translation.arithmetic.choice import Arithmetic
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.shortlist import Shortlist
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator

TOKENIZER = Path(__file__).parents[3] / "models/dragoman_models/pretrained/en-de/1/tokenizer.model"
_COMMON, _PER_PIECE = 128, 20


def random_shortlist(vocabulary_size: int) -> Shortlist:
    """128 pieces for all sentences, and 20 for each source piece."""
    rng = np.random.default_rng(0)
    return Shortlist(
        common=np.union1d(np.arange(4), rng.integers(0, vocabulary_size, _COMMON)),
        starts=np.arange(vocabulary_size + 1) * _PER_PIECE,
        tokens=rng.integers(0, vocabulary_size, vocabulary_size * _PER_PIECE),
    )


def random_translator(variant: str) -> Translator:
    """The benchmark's shape: embedding 256, encoder 2 x 256, decoder 512, 8,000 pieces."""
    attention, arithmetic, *shortlist = variant.split("-")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    tokenizer = SubwordTokenizer(TOKENIZER.read_bytes())
    config = NetworkConfig.model_validate({"attention": attention})
    return Translator(
        TranslationNetwork(config), tokenizer, source_language="en", target_language="de",
        arithmetic=Arithmetic(arithmetic),
        shortlist=random_shortlist(config.vocabulary_size) if shortlist else None,
    )  # fmt: skip


def options_of(beam: int) -> TranslationOptions:
    """15 pieces and eos for every text."""
    return TranslationOptions(beam_width=beam, min_length=OUTPUT_PIECES, max_length=OUTPUT_PIECES)


def main() -> None:
    """Times all cases."""
    arguments = given()
    translator = random_translator(arguments.variant)

    def translate(sources: list[Source], beam: int) -> list[int]:
        answers = translator.translate([one.text for one in sources], options_of(beam))
        return [len(answer[0].tokens) - 1 for answer in answers]

    run_cases(arguments, translate)


if __name__ == "__main__":
    main()
