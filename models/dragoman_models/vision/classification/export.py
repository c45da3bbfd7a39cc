"""Makes a bundle of a finished training run, measured as it is shipped: with 16-bit weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
import typer
from safetensors.torch import load_file
from torch import Tensor

from dragoman_models.bundle import check_new_folder, write_bundle
from dragoman_models.run_export import (
    Attribution,
    Data,
    DataLicense,
    NewBundle,
    RecipeFile,
    RunFolder,
    kept_command,
    read_curve,
    reading_run,
    reported_errors,
)
from dragoman_models.training_data import TrainingData
from dragoman_models.vision.classification.card import classifier_card
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
    with reading_run(folder):
        network.load_state_dict(load_file(folder / BEST))
        curve = read_curve(folder / LOG)
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
    config = _config(run, data)
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
        parameters=config["parameter_count"],
        test=test,
        valid=valid,
        curve=run.curve,
        data=data,
        commands=[training, command],
    )
    write_bundle(out, config=config, tensors=run.stored, files={}, metrics=metrics, card=card)


def _config(run: TrainedRun, data: TrainingData) -> dict[str, Any]:
    recipe = run.recipe
    return {
        "family": "image_classifier",
        "description": f"Says which of {len(recipe.labels)} classes an image is of.",
        "license": data.license,
        "network_kind": RESIDUAL,
        "labels": list(recipe.labels),
        "parameter_count": sum(one.numel() for one in run.network.parameters()),
        "network": run.network.config.model_dump(mode="json"),
        "preparation": run.preparation.model_dump(mode="json"),
        "mirror_average": recipe.mirror_average,
        "recipe": recipe.model_dump(mode="json", exclude={"idx", "labels"}),
        "libraries": {"torch": torch.__version__, "safetensors": safetensors.__version__},
    }


def main(
    run: RunFolder,
    config: RecipeFile,
    out: NewBundle,
    data: Data,
    data_license: DataLicense,
    attribution: Attribution,
) -> None:
    """Measure a finished training run on the test set and write it as a bundle."""
    torch.set_num_threads(1)
    command = kept_command(
        "dragoman_models.vision.classification.export", run=run, config=config, out=out, data=data,
        data_license=data_license, attribution=attribution,
    )  # fmt: skip
    with reported_errors():
        check_new_folder(out)
        recipe = read_recipe(config)
        trained = read_run(run, recipe)
        valid = figures_on(trained, trained.valid)
        test = figures_on(trained, read_idx_images(recipe.idx, "t10k", len(recipe.labels)))
        source = TrainingData(description=data, license=data_license, attribution=attribution)
        export(trained, out, test=test, valid=valid, data=source, command=command)
    typer.echo(f"{out}: {100 * test.accuracy:.2f} % of the test images are right")


if __name__ == "__main__":
    typer.run(main)
