"""Measures a finished training run: perplexity of its test text, with the options asked for."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from safetensors.torch import load_file

from dragoman_models.embeddings.training.text_stream import corpus_files
from dragoman_models.errors import DragomanError, TrainingError
from dragoman_models.language_model.config import NetworkConfig
from dragoman_models.language_model.corpus import EncodedText, encode_corpus, read_lines
from dragoman_models.language_model.dynamic_evaluation import (
    DynamicOptions,
    evaluate_dynamically,
    measure_gradients,
)
from dragoman_models.language_model.evaluation import TextFigures, evaluate
from dragoman_models.language_model.language_model import LanguageModel
from dragoman_models.language_model.network import LanguageModelNetwork
from dragoman_models.language_model.neural_cache import (
    CacheOptions,
    evaluate_with_cache,
    tune_cache,
)
from dragoman_models.language_model.recipe import LanguageModelRecipe, read_recipe
from dragoman_models.language_model.run_data import RecipeText
from dragoman_models.language_model.text_vocabulary import (
    TextVocabulary,
    read_vocabulary,
    vocabulary_file,
)
from dragoman_models.run_export import read_curve, reading_run


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """What a run's folder holds, with its weights rounded to 16 bits."""

    name: str  # of its folder
    recipe: LanguageModelRecipe
    weights: dict[str, torch.Tensor]
    model: LanguageModel
    curve: list[dict[str, str]]

    @property
    def vocabulary(self) -> TextVocabulary:
        """The tokens of the model."""
        return self.model.vocabulary


def read_run(folder: Path, recipe: LanguageModelRecipe) -> TrainedRun:
    """Reads the best weights, the vocabulary and the log that training left in ``folder``.

    Raises:
        TrainingError: something is missing, or was trained by another recipe.
    """
    with reading_run(folder):
        kind = recipe.vocabulary
        vocabulary = read_vocabulary(kind, (folder / vocabulary_file(kind)).read_bytes())
        best = load_file(folder / "best.safetensors")
        curve = read_curve(folder / "log.csv")
        weights = {name: weight.half() for name, weight in best.items()}
        sizes = {**recipe.network.model_dump(), "vocabulary_size": vocabulary.size}
        network = LanguageModelNetwork(NetworkConfig.model_validate(sizes))
        network.load_state_dict({name: weight.float() for name, weight in weights.items()})
    model = LanguageModel(network, vocabulary, language=recipe.language)
    return TrainedRun(name=folder.name, recipe=recipe, weights=weights, model=model, curve=curve)


def text_to_measure(run: TrainedRun) -> EncodedText:
    """The recipe's test text as tokens; raises `TrainingError` where it names none."""
    if not run.recipe.test:
        raise TrainingError("the recipe names no test text; give test, which training never reads")
    return encode_corpus(read_lines(corpus_files(run.recipe.test)), run.vocabulary)


def measure(
    run: TrainedRun,
    *,
    cache: CacheOptions | None = None,
    dynamic: DynamicOptions | None = None,
) -> dict[str, TextFigures]:
    """Figures of the test text by the model alone ("plain"), and with each option given."""
    text, network = text_to_measure(run), run.model.network
    known = run.vocabulary.unknown
    found = {"plain": evaluate(network, text, unknown=known)}
    if cache is not None:
        found["cache"] = evaluate_with_cache(network, text, cache, unknown=known)
    if dynamic is not None:
        train = encode_corpus(RecipeText(run.recipe).train_lines(), run.vocabulary)
        network.requires_grad_(True)
        try:
            sizes = measure_gradients(network, train.tokens)
            found["dynamic"] = evaluate_dynamically(network, text, sizes, dynamic, unknown=known)
        finally:
            network.requires_grad_(False)
    return found


def tuned_cache(run: TrainedRun, *, tokens: int = 50_000) -> CacheOptions:
    """The cache that suits the beginning of the validation text best."""
    valid = encode_corpus(RecipeText(run.recipe).valid_lines(), run.vocabulary)
    return tune_cache(
        run.model.network, replace(valid, tokens=valid.tokens[: tokens + 1]),
        windows=(500, 2000, 3800), flatnesses=(0.1, 0.2, 0.3, 0.6, 1.0),
        shares=(0.05, 0.1, 0.15, 0.2, 0.25),
    )  # fmt: skip


def as_metrics(figures: TextFigures) -> dict[str, Any]:
    """The figures as they stand in metrics.json."""
    return {
        "perplexity": round(figures.perplexity, 3),
        "word_perplexity": round(figures.word_perplexity, 3),
        "bits_per_character": round(figures.bits_per_character, 4),
        "tokens": figures.tokens,
        "words": figures.words,
        "characters": figures.characters,
        "unknown_tokens": figures.unknown_tokens,
    }


def main(
    run: Annotated[Path, typer.Option(help="The folder that training wrote.")],
    config: Annotated[Path, typer.Option(help="The recipe it was trained by.")],
    cache: Annotated[bool, typer.Option("--cache", help="With the neural cache too.")] = False,
    tune_cache: Annotated[
        bool, typer.Option("--tune-cache", help="Choose the cache's numbers on the valid text.")
    ] = False,
    cache_window: Annotated[int, typer.Option(min=1)] = 2000,
    cache_flatness: Annotated[float, typer.Option(min=0)] = 0.6,
    cache_share: Annotated[float, typer.Option(min=0, max=0.999)] = 0.1,
    dynamic: Annotated[bool, typer.Option("--dynamic", help="Dynamically too.")] = False,
    dynamic_rate: Annotated[float, typer.Option(min=0)] = 0.002,
    dynamic_decay: Annotated[float, typer.Option(min=0)] = 0.02,
    dynamic_segment: Annotated[int, typer.Option(min=1)] = 5,
    threads: Annotated[int, typer.Option(min=1)] = 1,
) -> None:
    """Print the figures of a run's test text as JSON."""
    torch.set_num_threads(threads)
    of_cache = of_text = None
    if dynamic:
        of_text = DynamicOptions(
            segment=dynamic_segment, learning_rate=dynamic_rate, decay=dynamic_decay
        )
    try:
        trained = read_run(run, read_recipe(config))
        if tune_cache:
            of_cache = tuned_cache(trained)
            typer.echo(f"cache: {asdict(of_cache)}", err=True)
        elif cache:
            of_cache = CacheOptions(window=cache_window, flatness=cache_flatness, share=cache_share)
        found = measure(trained, cache=of_cache, dynamic=of_text)
    except DragomanError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(json.dumps({name: as_metrics(one) for name, one in found.items()}, indent=2))


if __name__ == "__main__":
    typer.run(main)
