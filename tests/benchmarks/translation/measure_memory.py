"""Where the memory of a process goes that translates with a shipped bundle, step by step.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.translation.measure_memory [en-de]

Prints megabytes after each step: the resident set, its proportional share of pages that several
processes map, and what is this process's own. Run it twice: the first time, loops may be compiled.
"""

from __future__ import annotations

import argparse
import importlib
import resource
from pathlib import Path

PRETRAINED = Path(__file__).parents[3] / "models/dragoman_models/pretrained"
LIBRARIES = ("numpy", "sentencepiece", "pydantic", "regex", "llvmlite.binding", "numba")


def print_memory(step: str) -> None:
    """A row of this process's memory now."""
    kilobytes: dict[str, int] = {}
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]:
        name, value, *_ = line.split()
        kilobytes[name] = int(value)
    own = kilobytes["Private_Clean:"] + kilobytes["Private_Dirty:"]
    row = [value / 1024 for value in (kilobytes["Rss:"], kilobytes["Pss:"], own)]
    print(f"{step:34}" + "".join(f"{value:8.0f}" for value in row), flush=True)


def main() -> None:
    """Imports are in the steps, for they are what is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", default="en-de")
    folder = PRETRAINED / parser.parse_args().bundle / "1"
    print(f"{'MB after':34}{'RSS':>8}{'PSS':>8}{'USS':>8}")
    print_memory("Python")
    for name in LIBRARIES:
        importlib.import_module(name)
        print_memory(name)
    from dragoman_models.bundle import read_bundle
    from dragoman_models.registry import load_model
    from dragoman_models.translation.translation_options import TranslationOptions
    from dragoman_models.translation.translator import Translator

    print_memory("Dragoman's modules")
    translator = load_model(read_bundle(folder))
    assert isinstance(translator, Translator)
    print_memory("the bundle: packed, and tables")
    options = TranslationOptions()
    texts = [f"The trains were late again on {day}, as usual." for day in "abcdefgh" * 8]
    translator.translate(texts[:1], options)
    print_memory("a sentence at beam 5")
    translator.translate(texts, options)
    print_memory("64 sentences at beam 5")
    translator.score_targets([(texts[0], texts[1])])
    print_memory("a score, in float32")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'the most at any moment':34}{peak:8.0f}")
    importlib.import_module("torch")
    print_memory("torch, were it imported")


if __name__ == "__main__":
    main()
