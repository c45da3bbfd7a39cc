"""CTranslate2's small Transformer (3 + 3 layers of 256) with random weights: it has no recurrent
networks, so this is a bar for speed alone. The variant is a compute type, int8 or float32.

Runs in OpenNMT-py's environment, whose training writes the model.
"""

# mypy: ignore-errors

from __future__ import annotations

import argparse

import torch
from tests.benchmarks.translation.bench_opennmt import write_model
from tests.benchmarks.translation.workload import OUTPUT_PIECES, Source, given, run_cases

TRANSFORMER = """encoder_type: transformer
decoder_type: transformer
position_encoding: true
self_attn_type: scaled-dot
layers: 3
heads: 4
word_vec_size: 256
hidden_size: 256
transformer_ff: 1024
"""


def main() -> None:
    """Times all cases."""
    import ctranslate2
    from ctranslate2.converters import OpenNMTPyConverter

    arguments = given()
    folder = arguments.work / "ctranslate2"
    if not folder.exists():
        checkpoint = write_model(arguments, "transformer", TRANSFORMER)
        torch.serialization.add_safe_globals([argparse.Namespace])
        OpenNMTPyConverter(str(checkpoint)).convert(str(folder))
    translator = ctranslate2.Translator(
        str(folder), device="cpu", compute_type=arguments.variant, inter_threads=1, intra_threads=1
    )

    def translate(sources: list[Source], beam: int) -> list[int]:
        found = translator.translate_batch(
            [one.pieces for one in sources], beam_size=beam, length_penalty=1,
            min_decoding_length=OUTPUT_PIECES, max_decoding_length=OUTPUT_PIECES,
        )  # fmt: skip
        return [len(one.hypotheses[0]) for one in found]

    run_cases(arguments, translate)


if __name__ == "__main__":
    main()
