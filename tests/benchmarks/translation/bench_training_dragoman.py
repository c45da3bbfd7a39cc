"""Dragoman's training step with the benchmark's shape; the variant is fp32 or bf16.

The trainer of `dragoman train translation` itself, from pieces to the optimizer's step.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import cast

import torch
from tests.benchmarks.translation.sources import TOKENIZER
from tests.benchmarks.translation.training_workload import LABEL_SMOOTHING, batches, time_steps
from tests.benchmarks.translation.workload import given

from dragoman_models.training import Precision
from dragoman_models.translation.corpus import EncodedPair, collate, with_eos
from dragoman_models.translation.recipe import TranslationRecipe
from dragoman_models.translation.trainer import TranslationTrainer


def trainer_of_shape(pairs: Path, folder: Path, precision: str) -> TranslationTrainer:
    """A recipe's own defaults are the shape; no dropout, as the peer's."""
    recipe = TranslationRecipe(
        source_language="en", target_language="en", train=pairs, dev=pairs, source_column=1,
        target_column=2, shared_tokenizer=TOKENIZER, dropout=0.0,
        label_smoothing=LABEL_SMOOTHING, precision=cast("Precision", precision),
    )  # fmt: skip
    return TranslationTrainer(recipe, folder)


def main() -> None:
    """Prints a line of JSON: target pieces a second."""
    arguments = given()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as work:
        pairs = Path(work) / "pairs.tsv"
        lines = (f"{one.text}\t{one.text}\n" for one in arguments.sources)
        pairs.write_text("".join(lines), encoding="utf-8")
        trainer = trainer_of_shape(pairs, Path(work) / "run", arguments.variant)

        def step(pieces: list[list[str]]) -> int:
            ids = [with_eos(trainer.tokenizer.ids(tuple(one)), longest=100) for one in pieces]
            batch = collate([EncodedPair(one, one) for one in ids])
            trainer.learn(batch, progress=0.0)
            return batch.target.numel()

        time_steps(batches(arguments), step)


if __name__ == "__main__":
    main()
