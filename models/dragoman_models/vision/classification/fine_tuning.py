"""A classifier of one's own images: a head trained on an imported backbone, as a bundle."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from dragoman_models.bundle import Bundle, check_new_folder, read_bundle, write_bundle
from dragoman_models.errors import BundleError, TrainingError
from dragoman_models.training import write_atomically
from dragoman_models.vision.classification.backbone_classifier import (
    BIAS,
    GRAPH,
    WEIGHT,
    OnnxBackbone,
    head_tensors,
    read_backbone,
)
from dragoman_models.vision.classification.family import BACKBONE
from dragoman_models.vision.classification.feature_cache import FEATURES, FeatureCache
from dragoman_models.vision.classification.head_card import head_card
from dragoman_models.vision.classification.head_training import Head, HeadChoice, train_head
from dragoman_models.vision.classification.image_classifier import softmax
from dragoman_models.vision.classification.image_folders import (
    ImageFolder,
    Split,
    read_image_folder,
    split_files,
)
from dragoman_models.vision.classification.measure import (
    ClassificationFigures,
    classification_figures,
)
from dragoman_models.vision.classification.preparation import Floats, ImagePreparation

LOG = "log.csv"


@dataclass(frozen=True, kw_only=True)
class FineTuningOptions:
    """Where a run takes its images from and how it divides them.

    Args:
        images: a folder of each class's images.
        backbone: a bundle that was imported, whose head is replaced.
        out: the folder of the run: features, log.
        bundle: NAME/VERSION to write.
        data, data_license, attribution: for the card.
    """

    images: Path
    backbone: Path
    out: Path
    bundle: Path
    command: str
    valid_share: float = 0.15
    test_share: float = 0.15
    seed: int = 1
    data: str = "images of the trainer's own"
    data_license: str = "not stated"
    attribution: str = "not stated"


@dataclass(frozen=True, kw_only=True)
class FineTuned:
    """What came of a run."""

    folder: ImageFolder
    split: Split
    choices: list[HeadChoice]
    valid: ClassificationFigures
    test: ClassificationFigures | None  # None where there were too few images to keep any apart


# Is told what is being done, how many of it are done, and how many there are.
Told = Callable[[str, int, int], None]


def fine_tune(
    options: FineTuningOptions,
    *,
    resume: bool = False,
    on_progress: Told = lambda _what, _done, _all: None,
) -> FineTuned:
    """Trains a head and writes the bundle. A run that was stopped goes on with the features that it
    has; the head is trained in seconds.

    Raises:
        TrainingError: images, folder or options cannot be trained with.
        BundleError: the backbone is none, or the bundle cannot be written.
    """
    _check(options, resume=resume)
    base = read_bundle(options.backbone)
    backbone, preparation = _backbone(base)
    folder = read_image_folder(
        options.images, on_file=lambda done, total: on_progress("reading images", done, total)
    )
    split = split_files(
        folder.files,
        valid_share=options.valid_share,
        test_share=options.test_share,
        seed=options.seed,
    )
    features = FeatureCache(options.out, backbone, _key(base, preparation)).features(
        folder.files,
        preparation,
        on_images=lambda done, total: on_progress("computing features", done, total),
    )  # (files, 2, features)
    classes = np.array([file.class_id for file in folder.files])
    head, choices = _trained(features, classes, split, len(folder.labels))
    _write_log(options.out, choices)
    done = FineTuned(
        folder=folder,
        split=split,
        choices=choices,
        valid=_figures(head, features, classes, split.valid),
        test=_figures(head, features, classes, split.test) if len(split.test) else None,
    )
    _write(options, base, preparation, head, done)
    return done


def _key(base: Bundle, preparation: ImagePreparation) -> str:
    """Names what features depend on."""
    text = f"{base.checksums[GRAPH]}/{preparation.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()


def _trained(
    features: Floats, classes: Any, split: Split, count: int
) -> tuple[Head, list[HeadChoice]]:
    """Learnt from the images and their mirror images, chosen by the images alone."""
    both = features[split.train].reshape(-1, features.shape[2])
    return train_head(
        (both, np.repeat(classes[split.train], 2)),
        (features[split.valid, 0], classes[split.valid]),
        count,
    )


def _check(options: FineTuningOptions, *, resume: bool) -> None:
    check_new_folder(options.bundle)  # now, rather than after the work
    shares = options.valid_share, options.test_share
    if not (min(shares) >= 0 and sum(shares) < 1 and options.valid_share > 0):
        raise TrainingError(
            "valid_share must be above 0, test_share 0 or more, both together below 1"
        )
    exists = (options.out / FEATURES).exists()
    if exists and not resume:
        raise TrainingError(f"{options.out} holds a training run; give --resume or another folder")
    if resume and not exists:
        raise TrainingError(f"nothing to resume: {options.out / FEATURES} does not exist")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"cannot make the folder {options.out}: {error}") from error


def _backbone(base: Bundle) -> tuple[OnnxBackbone, ImagePreparation]:
    if base.family != "image_classifier" or base.config.get("network_kind") != BACKBONE:
        raise BundleError(
            base.path, "has no backbone to train a head on; dragoman import-classifier writes one"
        )
    try:
        preparation = ImagePreparation.model_validate(base.config.get("preparation"))
        head_tensors(base)
        return read_backbone(base), preparation
    except (ValidationError, ValueError) as error:
        raise BundleError(base.path, f"is no image classifier: {error}") from error


def _figures(head: Head, features: Floats, classes: Any, rows: Any) -> ClassificationFigures:
    """As a server would answer: with the head as it is stored, and the mean over the mirror."""
    stored = Head(
        weight=head.weight.astype(np.float16).astype(np.float32),
        bias=head.bias.astype(np.float16).astype(np.float32),
    )
    both = [softmax(stored.logits(features[rows, side])) for side in (0, 1)]
    return classification_figures((both[0] + both[1]) / 2, classes[rows])


def _write_log(out: Path, choices: Sequence[HeadChoice]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(asdict(choices[0])))
    writer.writeheader()
    writer.writerows(
        {name: f"{value:.5g}" for name, value in asdict(one).items()} for one in choices
    )
    write_atomically(out / LOG, text.getvalue().encode())


def _write(
    options: FineTuningOptions,
    base: Bundle,
    preparation: ImagePreparation,
    head: Head,
    done: FineTuned,
) -> None:
    labels = done.folder.labels
    parameters = int(base.config.get("parameter_count", 0)) + head.weight.size + head.bias.size
    replaced = sum(tensor.size for tensor in head_tensors(base))
    config: dict[str, Any] = {
        "family": "image_classifier",
        "description": f"Says which of {len(labels)} classes an image is of.",
        "license": options.data_license,
        "network_kind": BACKBONE,
        "labels": list(labels),
        "parameter_count": parameters - replaced,
        "preparation": preparation.model_dump(mode="json"),
        "mirror_average": True,
        "backbone": {"name": base.name, "version": base.version, "sha256": base.checksums[GRAPH]},
        "libraries": {"torch": torch.__version__},
    }
    metrics: dict[str, Any] = {
        "command": options.command,
        "valid": done.valid.as_metrics(labels),
        "test": done.test and done.test.as_metrics(labels),
        "strengths": [asdict(one) for one in done.choices],
    }
    others = {n: base.file(n) for n in base.checksums if n.startswith("LICENSE")}
    write_bundle(
        options.bundle,
        config=config,
        tensors={WEIGHT: head.weight.astype(np.float16), BIAS: head.bias.astype(np.float16)},
        files={**others, GRAPH: base.file(GRAPH)},
        metrics=metrics,
        card=head_card(
            name=options.bundle.absolute().parent.name, base=base, labels=labels,
            counts=(len(done.split.train), len(done.split.valid), len(done.split.test)),
            figures=done.test or done.valid, measured_on="test" if done.test else "valid",
            data=(options.data, options.data_license, options.attribution),
            command=options.command,
        ),
    )  # fmt: skip
