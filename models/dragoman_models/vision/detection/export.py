"""Makes a bundle of a finished training run, measured as it is shipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime
import safetensors
import torch
import typer

from dragoman_models.bundle import check_new_folder, write_bundle
from dragoman_models.errors import TrainingError
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
from dragoman_models.training_data import TrainingData
from dragoman_models.vision.detection.card import detector_card
from dragoman_models.vision.detection.measure import (
    DetectorFigures,
    TrainedRun,
    measure,
    read_run,
)
from dragoman_models.vision.detection.precision_recall_plot import precision_recall_picture
from dragoman_models.vision.detection.recipe import DetectorRecipe, read_recipe
from dragoman_models.vision.detection.run_data import RunData
from dragoman_models.vision.detection.threshold import best_threshold
from dragoman_models.vision.detection.voc_dataset import VocDataset, read_names


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A run's figures: the threshold was chosen on held_out, test was seen by nothing."""

    threshold: float
    held_out: DetectorFigures
    test: DetectorFigures
    skipped: tuple[str, ...]


def measure_run(run: TrainedRun, recipe: DetectorRecipe) -> Measured:
    """Chooses the score threshold on the held-out images, and measures on the test list.

    Raises:
        TrainingError: the data is unusable, or the recipe names no test list.
    """
    if recipe.test is None:
        raise TrainingError("test: name a list of images to measure on, which training never sees")
    data = RunData(recipe)
    detector = run.detector(score_threshold=0.5)
    held_out = measure(detector, data.dataset, data.held_out)
    tested = VocDataset(recipe.data, read_names(recipe.test), run.config.labels)
    return Measured(
        threshold=round(best_threshold(list(held_out.curves.values())), 3),
        held_out=held_out,
        test=measure(detector, tested, tested.images),
        skipped=tuple(str(one) for one in (*data.dataset.skipped, *tested.skipped)),
    )


def export(
    run: TrainedRun,
    recipe: DetectorRecipe,
    out: Path,
    *,
    measured: Measured,
    data: TrainingData,
    command: str,
) -> None:
    """Writes the bundle ``out`` (NAME/VERSION).

    Raises:
        BundleError: it cannot be written.
    """
    threshold = measured.threshold
    settings = _settings(run, recipe, threshold, data)
    test, held_out = (one.as_metrics(threshold) for one in (measured.test, measured.held_out))
    training = f"dragoman train detector --config {run.name}.toml --out runs/{run.name}"
    card = detector_card(
        name=out.absolute().parent.name, recipe=recipe, config=run.config,
        parameters=settings["parameter_count"],
        threshold=threshold, test=test, held_out=held_out, curve=run.curve,
        skipped=measured.skipped, data=data, commands=[training, command],
    )  # fmt: skip
    curve = [{name: float(row[name]) for name in row if row[name]} for row in run.curve]
    write_bundle(
        out,
        config=settings,
        tensors=run.stored,
        files={"precision-recall.png": precision_recall_picture(measured.test.curves, threshold)},
        metrics={"command": command, "test": test, "held_out": held_out, "learning_curve": curve},
        card=card,
    )


def _settings(
    run: TrainedRun, recipe: DetectorRecipe, threshold: float, data: TrainingData
) -> dict[str, Any]:
    config = run.config
    return {
        "family": "object_detector",
        "description": f"Finds objects in images: {', '.join(config.labels)}.",
        "license": data.license,
        "labels": list(config.labels),
        "parameter_count": sum(weight.numel() for weight in run.stored.values()),
        "network": config.model_dump(mode="json"),
        "score_threshold": threshold,
        "recipe": recipe.model_dump(mode="json", exclude={"data", "train", "test"}),
        "libraries": {
            "torch": torch.__version__,
            "onnxruntime": onnxruntime.__version__,
            "safetensors": safetensors.__version__,
        },
    }


def main(
    run: RunFolder,
    config: RecipeFile,
    out: NewBundle,
    data: Data,
    data_license: DataLicense,
    attribution: Attribution,
) -> None:
    """Measure a finished training run on the test list and write it as a bundle."""
    torch.set_num_threads(1)
    command = kept_command(
        "dragoman_models.vision.detection.export", run=run, config=config, out=out, data=data,
        data_license=data_license, attribution=attribution,
    )  # fmt: skip
    with reported_errors():
        check_new_folder(out)
        recipe = read_recipe(config)
        trained = read_run(run)
        measured = measure_run(trained, recipe)
        source = TrainingData(description=data, license=data_license, attribution=attribution)
        export(trained, recipe, out, measured=measured, data=source, command=command)
    figures = measured.test.coco
    typer.echo(
        f"{out}: mAP {figures.map50:.4f} at IoU 0.5, {figures.map50_95:.4f} over 0.5 to 0.95; "
        f"score threshold {measured.threshold:g}"
    )


if __name__ == "__main__":
    typer.run(main)
