"""Makes a bundle of a finished training run, measured as it is shipped: with 16-bit weights."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import safetensors
import sentencepiece
import torch
import typer

from dragoman_models.bundle import write_bundle
from dragoman_models.errors import BundleError, DragomanError
from dragoman_models.language_model.card import TrainingData, language_model_card
from dragoman_models.language_model.evaluation import TextFigures
from dragoman_models.language_model.measure import TrainedRun, as_metrics, measure, read_run
from dragoman_models.language_model.recipe import LanguageModelRecipe, read_recipe


def export(
    run: TrainedRun,
    out: Path,
    *,
    figures: Mapping[str, TextFigures],
    data: TrainingData,
    command: str,
) -> None:
    """Writes the bundle ``out`` (NAME/VERSION).

    Raises:
        BundleError: it cannot be written.
    """
    network, recipe = run.model.network, run.recipe
    parameters = sum(parameter.numel() for parameter in network.parameters())
    config: dict[str, Any] = {
        "family": "language_model",
        "description": f"Predicts and continues text ({recipe.language}): "
        f"{recipe.network.cell.upper().replace('_', ' ')} over {recipe.vocabulary}.",
        "license": data.license,
        "language": recipe.language,
        "vocabulary": recipe.vocabulary,
        "vocabulary_size": run.vocabulary.size,
        "parameter_count": parameters,
        "network": network.config.model_dump(mode="json"),
        "recipe": recipe.model_dump(
            mode="json", exclude={"train", "valid", "test", "shared_tokenizer"}
        ),
        "libraries": {
            "torch": torch.__version__,
            "sentencepiece": sentencepiece.__version__,
            "safetensors": safetensors.__version__,
        },
    }
    curve = [
        {name: float(row[name]) for name in ("epoch", "train_loss", "valid_loss")}
        for row in run.curve
    ]
    test = {name: as_metrics(one) for name, one in figures.items()}
    write_bundle(
        out,
        config=config,
        tensors=run.weights,
        files=run.vocabulary.files(),
        metrics={"command": command, "test": test, "learning_curve": curve},
        card=language_model_card(
            name=out.absolute().parent.name, recipe=recipe, parameters=parameters,
            vocabulary_size=run.vocabulary.size, figures=figures, curve=run.curve, data=data,
            commands=[*_training_commands(recipe, run.name), command],
        ),
    )  # fmt: skip


def _training_commands(recipe: LanguageModelRecipe, name: str) -> list[str]:
    """How the run was trained, by recipes that are named like the runs."""
    runs = [name] if recipe.continue_from is None else [recipe.continue_from.name, name]
    return [f"dragoman train language-model --config {one}.toml --out runs/{one}" for one in runs]


def main(
    run: Annotated[Path, typer.Option(help="The folder that training wrote.")],
    config: Annotated[Path, typer.Option(help="The recipe it was trained by.")],
    out: Annotated[Path, typer.Option(help="The bundle's folder, NAME/VERSION; must not exist.")],
    data: Annotated[str, typer.Option(help="What it was trained on, for the card.")],
    data_license: Annotated[str, typer.Option(help="The data's licence, an SPDX name.")],
    attribution: Annotated[str, typer.Option(help="Whom the licence asks to name.")],
    test: Annotated[str, typer.Option(help="What it was tested on, for the card.")],
) -> None:
    """Measure a finished training run and write it as a bundle."""
    torch.set_num_threads(1)
    words = ["--run", f"runs/{run.name}", "--config", config.name, "--out"]
    words += [f"{out.absolute().parent.name}/{out.name}", "--data", data]
    words += ["--data-license", data_license, "--attribution", attribution, "--test", test]
    command = shlex.join(["python", "-m", "dragoman_models.language_model.export", *words])
    try:
        if out.exists():
            raise BundleError(out, "already exists; a bundle never changes, write the next version")
        trained = read_run(run, read_recipe(config))
        figures = measure(trained)
        source = TrainingData(
            description=data, license=data_license, attribution=attribution, test=test
        )
        export(trained, out, figures=figures, data=source, command=command)
    except DragomanError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    plain = figures["plain"]
    typer.echo(
        f"{out}: test perplexity {plain.perplexity:.2f} a token, {plain.word_perplexity:.2f} a "
        f"word, {plain.bits_per_character:.3f} bits a character"
    )


if __name__ == "__main__":
    typer.run(main)
