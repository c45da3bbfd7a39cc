"""Does half precision with the adaptive softmax cost perplexity? Trains one network both ways.

    OMP_NUM_THREADS=1 python tests/benchmarks/language_model/compare_perplexity.py \
        --data wikitext-2 [--tokens 700000] [--epochs 2]

About eight minutes on one core. Prints each epoch's losses and perplexity on the validation text,
as `dragoman train language-model` logs them.
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
from pathlib import Path

import torch

from dragoman_models.language_model.recipe import read_recipe
from dragoman_models.language_model.trainer import LanguageModelTrainer

_RECIPE = """
language = "en"
train = ["{train}"]
valid = ["{data}/valid.txt.gz"]
test = ["{data}/test.txt.gz"]
vocabulary = "words"
seed = 1
epochs = {epochs}
batch_size = 20
bptt = 35
optimizer = "adam"
learning_rate = 2e-3
warmup_updates = 100
clip_norm = 0.5
precision = "{precision}"

[network]
vocabulary_size = 10000
cell = "lstm"
embedding_size = 256
hidden_size = 256
layers = 2
{adaptive}

[dropout]
input = 0.2
hidden = 0.2
output = 0.2
"""
_VARIANTS = (("bf16", "adaptive_cutoffs = [1000, 4000]"), ("fp32", ""))


def beginning(text: Path, tokens: int, target: Path) -> None:
    """Writes the first lines of a text that have more than so many tokens together."""
    with gzip.open(text, "rt", encoding="utf-8") as lines, target.open("w") as out:
        for line in lines:
            out.write(line)
            tokens -= len(line.split()) + 1  # the end of the line counts
            if tokens < 0:
                break


def main() -> None:
    """Trains and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of train, valid, test")
    parser.add_argument("--tokens", type=int, default=700_000)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as work:
        train = Path(work) / "train.txt"
        beginning(options.data / "train.txt.gz", options.tokens, train)
        for precision, adaptive in _VARIANTS:
            recipe = Path(work) / f"{precision}.toml"
            settings = _RECIPE.format(
                train=train, data=options.data.resolve(), epochs=options.epochs,
                precision=precision, adaptive=adaptive,
            )  # fmt: skip
            recipe.write_text(settings, encoding="utf-8")
            folder = Path(work) / precision
            LanguageModelTrainer(read_recipe(recipe), folder).run()
            print(f"{precision}, {adaptive or 'full softmax'}")
            print((folder / "log.csv").read_text(), flush=True)


if __name__ == "__main__":
    main()
