"""BLEU of a trained bundle under each arithmetic, with and without a shortlist; a gate.

    OMP_NUM_THREADS=1 python tests/benchmarks/translation/compare_arithmetic.py fr-en \
        --pairs dev.tsv.gz --train train.tsv.gz --columns 2 1

The shortlist is learnt from --train. Ends with an error where any BLEU is more than 0.2 below that
of the plain arithmetic. No test split is to be used for this.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import torch

from dragoman_models.bundle import read_bundle
from dragoman_models.metrics.translation_quality import corpus_bleu
from dragoman_models.translation.arithmetic.choice import Arithmetic, available, host_features
from dragoman_models.translation.corpus import SentencePair, read_pairs
from dragoman_models.translation.family import TranslationFamily
from dragoman_models.translation.shortlist import Shortlist, learn_shortlist
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator

PRETRAINED = Path(__file__).parents[3] / "models/dragoman_models/pretrained"
TOLERANCE = 0.2


def learnt_shortlist(translator: Translator, pairs: list[SentencePair]) -> Shortlist:
    """From text side by side."""
    tokenizer = translator.tokenizer
    sides = [tokenizer.encode_all([pair[i] for pair in pairs]) for i in (0, 1)]
    return learn_shortlist(zip(*sides, strict=True), vocabulary_size=tokenizer.vocabulary_size)


def measured(
    translator: Translator, pairs: list[SentencePair], beam_width: int
) -> tuple[float, float, list[str]]:
    """BLEU, sentences per CPU second, and the translations."""
    options = TranslationOptions(beam_width=beam_width)
    sources = [pair.source for pair in pairs]
    translator.translate(sources[:8], options)
    began = time.process_time()
    found = [answer[0].text for answer in translator.translate(sources, options)]
    rate = len(sources) / (time.process_time() - began)
    return corpus_bleu(found, [pair.target for pair in pairs]).score, rate, found


def main() -> None:
    """Prints a row for each arithmetic."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", help="a shipped bundle's name, or a folder NAME/VERSION")
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--train", type=Path)
    parser.add_argument("--columns", type=int, nargs=2, default=(1, 2))
    parser.add_argument("--beam-width", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(given.bundle)
    if not folder.is_dir():
        folder = max((PRETRAINED / given.bundle).iterdir())
    columns = dict(zip(("source_column", "target_column"), given.columns, strict=True))
    pairs = read_pairs(given.pairs, **columns)
    plain = TranslationFamily(arithmetic=Arithmetic.PLAIN).load(read_bundle(folder))
    kinds: list[tuple[Arithmetic, Shortlist | None]] = [(Arithmetic.PLAIN, None)]
    kinds += [(kind, None) for kind in reversed(available(host_features()))]
    if given.train is not None:
        shortlist = learnt_shortlist(plain, read_pairs(given.train, **columns))
        kinds += [(kind, shortlist) for kind in available(host_features())]
    print(
        f"{folder.parent.name}, {len(pairs)} pairs, beam {given.beam_width}, {os.uname().machine}"
    )
    reference: tuple[float, list[str]] | None = None
    worst = 0.0
    for kind, short in kinds:
        translator = Translator(
            plain.network, plain.tokenizer, source_language=plain.source_language,
            target_language=plain.target_language, repair=plain.repair, arithmetic=kind,
            shortlist=short,
        )  # fmt: skip
        bleu, rate, found = measured(translator, pairs, given.beam_width)
        reference = reference or (bleu, found)
        same = sum(a == b for a, b in zip(found, reference[1], strict=True)) / len(found)
        worst = min(worst, bleu - reference[0])
        name = kind.value + (" + shortlist" if short is not None else "")
        print(
            f"{name:22} BLEU {bleu:6.2f} ({bleu - reference[0]:+.2f})  same {same:6.1%}  "
            f"{rate:7.1f} sentences / CPU s",
            flush=True,
        )
    if worst < -TOLERANCE:
        sys.exit(f"{-worst:.2f} BLEU lost; {TOLERANCE} are allowed")


if __name__ == "__main__":
    main()
