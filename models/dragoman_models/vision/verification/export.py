"""Makes a bundle of a finished training run, measured as it is shipped: with 16-bit weights."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import numpy
import safetensors
import torch
import typer

from dragoman_models.bundle import check_new_folder, write_bundle
from dragoman_models.errors import DragomanError
from dragoman_models.vision.verification.card import TrainingData, image_embedder_card
from dragoman_models.vision.verification.family import IMAGE_EMBEDDER
from dragoman_models.vision.verification.measure import (
    TestFigures,
    TrainedRun,
    as_metrics,
    measure,
    read_run,
)
from dragoman_models.vision.verification.recipe import read_recipe
from dragoman_models.vision.verification.roc_plot import roc_picture
from dragoman_models.vision.verification.run_images import RunImages, read_images


def export(
    run: TrainedRun,
    images: RunImages,
    out: Path,
    *,
    figures: TestFigures,
    data: TrainingData,
    commands: list[str],
) -> None:
    """Writes the bundle ``out`` (NAME/VERSION).

    Args:
        commands: how the run was trained, and last, how the bundle was made.

    Raises:
        BundleError: it cannot be written.
    """
    curve = [
        {name: float(row[name]) for name in ("update", "train_loss", "valid_accuracy")}
        for row in run.curve
    ]
    write_bundle(
        out,
        config=_config(run, figures, data),
        tensors=run.weights,
        files={"roc.png": roc_picture(figures.verification)},
        metrics={"command": commands[-1], "test": as_metrics(figures), "learning_curve": curve},
        card=image_embedder_card(
            run,
            figures,
            name=out.absolute().parent.name,
            data=data,
            parts=_parts(images),
            commands=commands,
        ),
    )


def _config(run: TrainedRun, figures: TestFigures, data: TrainingData) -> dict[str, Any]:
    recipe = run.recipe
    what = "people" if recipe.identities is not None else "handwritten characters"
    return {
        "family": IMAGE_EMBEDDER,
        "description": f"Embeds images of {what} and tells whether two show the same.",
        "license": data.license,
        "parameter_count": run.parameter_count,
        "dimensions": recipe.network.dimensions,
        "threshold": figures.threshold,
        "network": recipe.network.model_dump(mode="json"),
        "recipe": recipe.model_dump(mode="json", exclude={"omniglot", "identities"}),
        "libraries": {
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "safetensors": safetensors.__version__,
        },
    }


def _parts(images: RunImages) -> list[str]:
    """What was learnt, what steered, what was tested on."""
    parts = []
    for part in (images.train, images.valid, images.test):
        kind = "people" if part.groups == ("people",) else ", ".join(part.groups)
        parts.append(f"{kind} ({part.class_count} classes, {len(part.pixels):,} images)")
    return parts


def _commands(run: TrainedRun, config: Path | None, options: list[str]) -> list[str]:
    of_recipe = [] if config is None else ["--config", config.name]
    if run.recipe.identities is not None:
        of_recipe += ["--identities", run.recipe.identities.name]
    train = ["dragoman", "train", "image-embedder", *of_recipe, "--out", f"runs/{run.name}"]
    module = "dragoman_models.vision.verification.export"
    made = ["python", "-m", module, "--run", f"runs/{run.name}", *of_recipe, *options]
    return [shlex.join(train), shlex.join(made)]


def main(
    run: Annotated[Path, typer.Option(help="The folder that training wrote.")],
    out: Annotated[Path, typer.Option(help="The bundle's folder, NAME/VERSION; must not exist.")],
    data: Annotated[str, typer.Option(help="What it was trained on, for the card.")],
    data_license: Annotated[str, typer.Option(help="The data's licence, an SPDX name.")],
    attribution: Annotated[str, typer.Option(help="Whom the licence asks to name.")],
    test_note: Annotated[
        str, typer.Option(help="What the card says of the test's classes.")
    ] = "by which nothing was chosen",
    config: Annotated[Path | None, typer.Option(help="The recipe it was trained by.")] = None,
    identities: Annotated[Path | None, typer.Option(help="The folder of people.")] = None,
    episodes: Annotated[int, typer.Option(min=2, help="One-shot runs of each protocol.")] = 1000,
    ways: Annotated[int, typer.Option(min=2, help="Classes of a run.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Which runs are drawn.")] = 2015,
) -> None:
    """Measure a finished training run and write it as a bundle."""
    torch.set_num_threads(1)
    options = ["--out", f"{out.absolute().parent.name}/{out.name}", "--data", data]
    options += ["--data-license", data_license, "--attribution", attribution]
    options += ["--test-note", test_note]
    options += ["--episodes", str(episodes), "--ways", str(ways), "--seed", str(seed)]
    try:
        check_new_folder(out)
        recipe = read_recipe(config, identities=identities)
        trained = read_run(run, recipe)
        images = read_images(recipe, lambda text: typer.echo(text, err=True))
        figures = measure(trained, images, episodes=episodes, seed=seed, ways=ways)
        source = TrainingData(
            description=data, license=data_license, attribution=attribution, test_note=test_note
        )
        export(
            trained, images, out, figures=figures, data=source,
            commands=_commands(trained, config, options),
        )  # fmt: skip
    except DragomanError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(_summary(out, figures))


def _summary(out: Path, figures: TestFigures) -> str:
    lines = [f"{out}: threshold {figures.threshold:.4f}"]
    for protocol, one in figures.one_shot.items():
        lines.append(
            f"{protocol}: one-shot error {1 - one.accuracy:.2%} ± {one.standard_error:.2%}, equal "
            f"error {figures.verification[protocol].equal.rate:.2%}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
