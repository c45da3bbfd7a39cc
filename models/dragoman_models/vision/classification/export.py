"""Makes a bundle of a finished training run, measured as it is shipped: with 16-bit weights."""

from __future__ import annotations

import csv
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import safetensors
import torch
import typer
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dragoman_models.bundle import check_new_folder, write_bundle
from dragoman_models.errors import DragomanError, TrainingError
from dragoman_models.vision.classification.card import TrainingData, classifier_card
from dragoman_models.vision.classification.family import RESIDUAL
from dragoman_models.vision.classification.idx_files import read_idx_images
from dragoman_models.vision.classification.image_classifier import ImageClassifier
from dragoman_models.vision.classification.labelled_images import LabelledImages, held_out
from dragoman_models.vision.classification.measure import (
    ClassificationFigures,
    classification_figures,
    rgb_images,
)
from dragoman_models.vision.classification.network import ResidualNetwork
from dragoman_models.vision.classification.preparation import ImagePreparation
from dragoman_models.vision.classification.recipe import ClassifierRecipe, read_recipe
from dragoman_models.vision.classification.residual_classifier import ResidualLogits
from dragoman_models.vision.classification.standardization import pixel_statistics
from dragoman_models.vision.classification.trainer import BEST, LOG, network_config
from dragoman_models.weight_encoding import WeightEncoding, decode_weights, encode_weights


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """A finished run with the data that it is measured on."""

    name: str
    recipe: ClassifierRecipe
    network: ResidualNetwork  # folded, with the weights as they are stored
    stored: dict[str, Tensor]
    preparation: ImagePreparation
    valid: LabelledImages
    curve: list[dict[str, str]]

    def classifier(self) -> ImageClassifier:
        """What a server would load."""
        return ImageClassifier(
            ResidualLogits(self.network),
            labels=self.recipe.labels,
            preparation=self.preparation,
            mirror_average=self.recipe.mirror_average,
        )


def read_run(folder: Path, recipe: ClassifierRecipe) -> TrainedRun:
    """The run that a training left in `folder`.

    Raises:
        TrainingError: the folder, or the data, is not that of such a run.
    """
    images = read_idx_images(recipe.idx, "train", len(recipe.labels))
    train, valid = held_out(images, recipe.valid_count, recipe.seed)
    config = network_config(recipe, images)
    network = ResidualNetwork(config)
    try:
        network.load_state_dict(load_file(folder / BEST))
        with (folder / LOG).open(newline="") as file:
            curve = list(csv.DictReader(file))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise TrainingError(f"{folder} holds no finished run of this recipe: {error}") from error
    network.eval()
    network.fold()
    stored = encode_weights(network.state_dict(), WeightEncoding.FLOAT16)
    rounded = ResidualNetwork(config, folded=True)
    rounded.load_state_dict(decode_weights(stored))
    return TrainedRun(
        name=folder.name,
        recipe=recipe,
        network=rounded,
        stored=stored,
        preparation=_preparation(recipe, train),
        valid=valid,
        curve=curve,
    )


def _preparation(recipe: ClassifierRecipe, train: LabelledImages) -> ImagePreparation:
    _, height, width, channels = train.pixels.shape
    statistics = pixel_statistics(train.pixels)
    return ImagePreparation(
        height=height,
        width=width,
        channels=channels,
        fitting="pad",
        mean=statistics.mean,
        deviation=statistics.deviation,
        negate_light=recipe.light_background,
    )


def figures_on(run: TrainedRun, images: LabelledImages) -> ClassificationFigures:
    """By the call that the server makes."""
    answers = run.classifier().probabilities(rgb_images(images.pixels))
    return classification_figures(answers, images.classes)


def export(
    run: TrainedRun,
    out: Path,
    *,
    test: ClassificationFigures,
    valid: ClassificationFigures,
    data: TrainingData,
    command: str,
) -> None:
    """Writes the bundle ``out`` (NAME/VERSION).

    Raises:
        BundleError: it cannot be written.
    """
    recipe, preparation = run.recipe, run.preparation
    parameters = sum(parameter.numel() for parameter in run.network.parameters())
    config: dict[str, Any] = {
        "family": "image_classifier",
        "description": f"Says which of {len(recipe.labels)} classes an image is of.",
        "license": data.license,
        "network_kind": RESIDUAL,
        "labels": list(recipe.labels),
        "parameter_count": parameters,
        "network": run.network.config.model_dump(mode="json"),
        "preparation": preparation.model_dump(mode="json"),
        "mirror_average": recipe.mirror_average,
        "recipe": recipe.model_dump(mode="json", exclude={"idx", "labels"}),
        "libraries": {"torch": torch.__version__, "safetensors": safetensors.__version__},
    }
    names = ("epoch", "train_loss", "valid_loss", "valid_accuracy")
    metrics = {
        "command": command,
        "test": test.as_metrics(recipe.labels),
        "valid": valid.as_metrics(recipe.labels),
        "learning_curve": [{name: float(row[name]) for name in names} for row in run.curve],
    }
    training = f"dragoman train classifier --config {run.name}.toml --out runs/{run.name}"
    card = classifier_card(
        name=out.absolute().parent.name,
        recipe=recipe,
        size=(preparation.height, preparation.width, preparation.channels),
        parameters=parameters,
        test=test,
        valid=valid,
        curve=run.curve,
        data=data,
        commands=[training, command],
    )
    write_bundle(out, config=config, tensors=run.stored, files={}, metrics=metrics, card=card)


def main(
    run: Annotated[Path, typer.Option(help="The folder that training wrote.")],
    config: Annotated[Path, typer.Option(help="The recipe it was trained by.")],
    out: Annotated[Path, typer.Option(help="The bundle's folder, NAME/VERSION; must not exist.")],
    data: Annotated[str, typer.Option(help="What it was trained on, for the card.")],
    data_license: Annotated[str, typer.Option(help="The data's licence, an SPDX name.")],
    attribution: Annotated[str, typer.Option(help="Whom the licence asks to name.")],
) -> None:
    """Measure a finished training run on the test set and write it as a bundle."""
    torch.set_num_threads(1)
    words = ["--run", f"runs/{run.name}", "--config", config.name, "--out"]
    words += [f"{out.absolute().parent.name}/{out.name}", "--data", data]
    words += ["--data-license", data_license, "--attribution", attribution]
    command = shlex.join(["python", "-m", "dragoman_models.vision.classification.export", *words])
    try:
        check_new_folder(out)
        recipe = read_recipe(config)
        trained = read_run(run, recipe)
        valid = figures_on(trained, trained.valid)
        test = figures_on(trained, read_idx_images(recipe.idx, "t10k", len(recipe.labels)))
        source = TrainingData(description=data, license=data_license, attribution=attribution)
        export(trained, out, test=test, valid=valid, data=source, command=command)
    except DragomanError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{out}: {100 * test.accuracy:.2f} % of the test images are right")


if __name__ == "__main__":
    typer.run(main)
