"""Makes a bundle of a finished training run, measured as it is shipped: with 16-bit weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import safetensors
import sentencepiece
import torch
import typer

from dragoman_models.bundle import check_new_folder, write_bundle
from dragoman_models.language_model.card import TextData, language_model_card
from dragoman_models.language_model.evaluation import TextFigures
from dragoman_models.language_model.measure import TrainedRun, as_metrics, measure, read_run
from dragoman_models.language_model.recipe import LanguageModelRecipe, read_recipe
from dragoman_models.run_export import (
    Attribution,
    Data,
    DataLicense,
    NewBundle,
    RecipeFile,
    RunFolder,
    kept_command,
    reported_errors,
)


def export(
    run: TrainedRun,
    out: Path,
    *,
    figures: Mapping[str, TextFigures],
    data: TextData,
    command: str,
) -> None:
    """Writes the bundle ``out`` (NAME/VERSION).

    Raises:
        BundleError: it cannot be written.
    """
    recipe, config = run.recipe, _config(run, data)
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
            name=out.absolute().parent.name, recipe=recipe, parameters=config["parameter_count"],
            vocabulary_size=run.vocabulary.size, figures=figures, curve=run.curve, data=data,
            commands=[*_training_commands(recipe, run.name), command],
        ),
    )  # fmt: skip


def _config(run: TrainedRun, data: TextData) -> dict[str, Any]:
    network, recipe = run.model.network, run.recipe
    return {
        "family": "language_model",
        "description": f"Predicts and continues text ({recipe.language}): "
        f"{recipe.network.cell.upper().replace('_', ' ')} over {recipe.vocabulary}.",
        "license": data.license,
        "language": recipe.language,
        "vocabulary": recipe.vocabulary,
        "vocabulary_size": run.vocabulary.size,
        "parameter_count": sum(parameter.numel() for parameter in network.parameters()),
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


def _training_commands(recipe: LanguageModelRecipe, name: str) -> list[str]:
    """How the run was trained, by recipes that are named like the runs."""
    runs = [name] if recipe.continue_from is None else [recipe.continue_from.name, name]
    return [f"dragoman train language-model --config {one}.toml --out runs/{one}" for one in runs]


def main(
    run: RunFolder,
    config: RecipeFile,
    out: NewBundle,
    data: Data,
    data_license: DataLicense,
    attribution: Attribution,
    test: Annotated[str, typer.Option(help="What it was tested on, for the card.")],
) -> None:
    """Measure a finished training run and write it as a bundle."""
    torch.set_num_threads(1)
    command = kept_command(
        "dragoman_models.language_model.export", run=run, config=config, out=out, data=data,
        data_license=data_license, attribution=attribution, test=test,
    )  # fmt: skip
    with reported_errors():
        check_new_folder(out)
        trained = read_run(run, read_recipe(config))
        figures = measure(trained)
        source = TextData(
            description=data, license=data_license, attribution=attribution, test=test
        )
        export(trained, out, figures=figures, data=source, command=command)
    plain = figures["plain"]
    typer.echo(
        f"{out}: test perplexity {plain.perplexity:.2f} a token, {plain.word_perplexity:.2f} a "
        f"word, {plain.bits_per_character:.3f} bits a character"
    )


if __name__ == "__main__":
    typer.run(main)
