"""Dragoman's translator with random weights, text in and text out; see `compare_speed.py`.

The variant is ATTENTION-ARITHMETIC, with -shortlist behind it for lists of about 400 pieces, which
is their mean size for the shipped bundles. The translator is loaded from a bundle, as by a server.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.benchmarks.translation.workload import OUTPUT_PIECES, Source, given, run_cases

from dragoman_models.bundle import read_bundle
from dragoman_models.translation.arithmetic.choice import Arithmetic
from dragoman_models.translation.family import TranslationFamily
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator


def random_translator(variant: str, work: Path) -> Translator:
    """The benchmark's shape; its bundle is kept in the folder ``work``."""
    attention, arithmetic, *shortlist = variant.split("-")
    folder = work / f"random-{attention}" / "1"
    if not folder.exists():
        module = "tests.benchmarks.translation.random_bundle"
        subprocess.run([sys.executable, "-m", module, attention, folder], check=True)
    family = TranslationFamily(arithmetic=Arithmetic(arithmetic), use_shortlist=bool(shortlist))
    return family.load(read_bundle(folder))


def options_of(beam: int) -> TranslationOptions:
    """15 pieces and eos for every text."""
    return TranslationOptions(beam_width=beam, min_length=OUTPUT_PIECES, max_length=OUTPUT_PIECES)


def main() -> None:
    """Times all cases."""
    arguments = given()
    translator = random_translator(arguments.variant, arguments.work)

    def translate(sources: list[Source], beam: int) -> list[int]:
        answers = translator.translate([one.text for one in sources], options_of(beam))
        return [len(answer[0].tokens) - 1 for answer in answers]

    run_cases(arguments, translate)


if __name__ == "__main__":
    main()
