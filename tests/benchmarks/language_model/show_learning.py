"""Trains by a recipe for a few hundred updates and prints the loss: does this recipe learn?

    python tests/benchmarks/language_model/show_learning.py \
        --config docs/recipes/language-model/mogrifier-lstm.toml --updates 300

For recipes that need more days than there are. Losses are nats per token, with dropout.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from itertools import islice
from pathlib import Path

import torch

from dragoman_models.language_model.recipe import LanguageModelRecipe, read_recipe
from dragoman_models.language_model.trainer import LanguageModelTrainer


def with_batch_size(recipe: LanguageModelRecipe, size: int) -> LanguageModelRecipe:
    """The recipe with smaller batches. The rate of plain SGD shrinks with them (Goyal et al. 2017):
    gradients are noisier, and clipping makes steps of one size of all of them."""
    update: dict[str, float] = {"batch_size": size}
    if recipe.optimizer == "sgd":
        update["learning_rate"] = recipe.learning_rate * size / recipe.batch_size
    return recipe.model_copy(update=update)


def main() -> None:
    """Prints the mean loss of every twentieth part of the updates, and the loss of no knowledge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--batch-size", type=int, help="in place of the recipe's, to save time")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        recipe = read_recipe(options.config)
        if options.batch_size is not None:
            recipe = with_batch_size(recipe, options.batch_size)
        trainer = LanguageModelTrainer(recipe, Path(folder))
        print(f"all tokens alike: {math.log(trainer.vocabulary.size):.3f}")
        every, losses, tokens, began = max(options.updates // 20, 1), [], 0, time.monotonic()
        for begin, end in islice(trainer._segments(), options.updates):
            losses.append(trainer._learn(begin, end, 0.0))
            tokens += (end - begin) * trainer.recipe.batch_size
            if trainer.counters.update % every == 0:
                mean = sum(losses[-every:]) / every
                speed = tokens / (time.monotonic() - began)
                print(
                    f"update {trainer.counters.update:5}  loss {mean:.3f}  {speed:,.0f} tokens/s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
