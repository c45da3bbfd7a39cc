"""Trains a detector by a recipe, resumably, and leaves its averaged weights behind."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress
from safetensors.torch import save
from torch import Tensor, nn

from dragoman_models.epoch_training import EpochCounters, train_epochs
from dragoman_models.metrics.average_precision import mean_average_precision
from dragoman_models.training import CsvLog, compute_dtype, warmup_cosine, write_atomically
from dragoman_models.training_run import (
    CHECKPOINT,
    RunCheckpoint,
    claim_folder,
    refuse_divergence,
    training_bar,
)
from dragoman_models.vision.detection.augmentation import View, random_view
from dragoman_models.vision.detection.config import DetectorConfig
from dragoman_models.vision.detection.evaluation import as_found, as_objects, network_detections
from dragoman_models.vision.detection.letterbox import GREY, SPREAD
from dragoman_models.vision.detection.loss import DetectionLoss, detection_loss
from dragoman_models.vision.detection.network import DetectorNetwork
from dragoman_models.vision.detection.pointwise import set_product_dtype
from dragoman_models.vision.detection.published_backbone import published_weights
from dragoman_models.vision.detection.recipe import DetectorRecipe
from dragoman_models.vision.detection.run_data import RunData
from dragoman_models.vision.moving_average import MovingAverage

_PARTS = ("train_loss", "box_loss", "objectness_loss", "class_loss")
_COLUMNS = ("epoch", "update", "seconds", "learning_rate", *_PARTS, "held_out_map50")
_BAR = ("loss {task.fields[loss]:.3f}", "held-out mAP {task.fields[precision]:.3f}")


@dataclass(kw_only=True)
class DetectorCounters(EpochCounters):
    """What of the current epoch is done, and the last measure on the held-out images."""

    sums: list[float] = field(default_factory=lambda: [0.0] * len(_PARTS))
    seconds: float = 0.0
    held_out_map: float = math.nan


class DetectorTrainer:
    """One training run in a folder of its own.

    The folder holds ``network.json``, ``skipped.txt`` (what of the data set was left out),
    ``checkpoint.pt`` (everything that ``resume`` needs), ``log.csv`` (a row an epoch) and in the
    end ``weights.safetensors``, the averaged weights.
    """

    def __init__(self, recipe: DetectorRecipe, folder: Path, *, resume: bool = False) -> None:
        """Reads the data and makes the network.

        Raises:
            TrainingError: the data is unusable, the folder holds another run, or there is
                nothing to resume.
        """
        self.recipe = recipe
        self.folder = folder
        claim_folder(folder, begun=(folder / CHECKPOINT).exists(), resume=resume)
        self.data = RunData(recipe)
        self.config: DetectorConfig = self.data.network_config()
        torch.manual_seed(recipe.seed)
        self.network = self._network()
        self.frozen = self.network.backbone.parts()[: recipe.frozen_parts]
        for part in self.frozen:
            part.requires_grad_(False)
        self.loss_options = recipe.loss.as_options()
        self.optimizer = self._optimizer()
        self.average = MovingAverage(self.network, recipe.averaging)
        self.averaged = copy.deepcopy(self.network).eval()  # what is measured
        self.counters = DetectorCounters()
        self._checkpoint = RunCheckpoint(
            folder,
            {"network": self.network, "optimizer": self.optimizer, "average": self.average},
            settings=self._settings(),
            or_other=" or other images",
        )
        if resume:
            self._checkpoint.restore(self.counters)
        self._write_facts()
        self.log = CsvLog.resumed(folder / "log.csv", _COLUMNS, update=self.counters.update)

    def _network(self) -> DetectorNetwork:
        network = DetectorNetwork(self.config)
        if self.recipe.backbone != "none":
            network.backbone.load_published(published_weights())
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        set_product_dtype(network, compute_dtype(self.recipe.precision))
        return network

    def _write_facts(self) -> None:
        facts = self.config.model_dump_json(indent=2) + "\n"
        write_atomically(self.folder / "network.json", facts.encode())
        skipped = "".join(f"{one}\n" for one in self.data.dataset.skipped)
        write_atomically(self.folder / "skipped.txt", skipped.encode())

    def _optimizer(self) -> torch.optim.Optimizer:
        """AdamW; biases and normalisations do not decay, the backbone learns more slowly."""
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in self.network.named_parameters():
            if parameter.requires_grad:
                kind = (name.startswith("backbone."), parameter.dim() > 1)
                groups.setdefault(kind, []).append(parameter)
        pretrained = self.recipe.backbone != "none"
        return torch.optim.AdamW(
            [
                {
                    "params": parameters,
                    "share": self.recipe.backbone_rate if slow and pretrained else 1.0,
                    "weight_decay": self.recipe.weight_decay if decays else 0.0,
                }
                for (slow, decays), parameters in groups.items()
            ],
            lr=self.recipe.learning_rate,
        )

    def _settings(self) -> str:
        """What a resumed run must share with the one it continues."""
        kept = self.recipe.model_dump_json(exclude={"data", "train", "test", "checkpoint_updates"})
        names = "/".join(one.name for one in self.data.train)
        return hashlib.sha256(f"{kept}/{names}".encode()).hexdigest()

    def save(self) -> None:
        """Writes what a resumed run continues from."""
        self._checkpoint.save(self.counters)

    # --- training ---

    def run(self, progress: Progress | None = None) -> Path:
        """Trains to the last epoch.

        Returns:
            the path of the averaged weights.
        """
        recipe = self.recipe
        train_epochs(
            self,
            progress or training_bar(*_BAR),
            epochs=recipe.epochs,
            checkpoint_updates=recipe.checkpoint_updates,
        )
        path = self.folder / "weights.safetensors"
        write_atomically(path, save(_contiguous(self.average.weights)))
        return path

    def batches(self) -> list[list[int]]:
        """Those of the current epoch, as rows of ``data.train``."""
        generator = np.random.default_rng([self.recipe.seed, 2, self.counters.epoch])
        order = generator.permutation(len(self.data.train)).tolist()
        size = self.recipe.batch_size
        return [order[i * size : (i + 1) * size] for i in range(self._batches_an_epoch)]

    @property
    def _batches_an_epoch(self) -> int:
        return len(self.data.train) // self.recipe.batch_size

    def learn(self, batch: list[int]) -> DetectionLoss:
        """One optimizer step on a view of each image.

        Raises `TrainingError` before the weights are touched if loss or gradient is not finite.
        """
        done = self.counters.epoch + self.counters.batch / self._batches_an_epoch
        return self._learn([self._view(index) for index in batch], done / self.recipe.epochs)

    def _view(self, index: int) -> View:
        image = self.data.train[index]
        pixels, boxes = self.data.scaled_image(image)
        chance = np.random.default_rng([self.recipe.seed, 3, self.counters.epoch, index])
        return random_view(
            pixels, boxes, image.classes, size=self.recipe.view_size,
            options=self.recipe.augmentation, seed=int(chance.integers(1 << 62)),
        )  # fmt: skip

    def _learn(self, views: list[View], done: float) -> DetectionLoss:
        factor = warmup_cosine(self.counters.update, done, warmup=self.recipe.warmup_updates)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * factor * group["share"]
        self.network.train()
        for part in self.frozen:
            part.eval()
        self.optimizer.zero_grad()
        loss = self._loss(views)
        loss.total.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        refuse_divergence(self.counters.update + 1, float(loss.total.detach()), float(norm))
        self.optimizer.step()
        self.counters.update += 1
        self.average.add(self.network)
        return loss

    def _loss(self, views: list[View]) -> DetectionLoss:
        pixels = torch.stack([view.pixels for view in views])  # (B, 3, S, S)
        images = (pixels * 255 - GREY) / SPREAD
        images = images.contiguous(memory_format=torch.channels_last)
        return detection_loss(
            self.network(images),
            [view.boxes for view in views],
            [view.classes for view in views],
            self.config,
            self.loss_options,
        )

    # --- measuring ---

    def count(self, loss: DetectionLoss, seconds: float) -> None:
        """Adds a step to what the epoch reports."""
        counters = self.counters
        parts = (loss.total, loss.box, loss.objectness, loss.classes)
        counters.sums = [
            total + float(part.detach()) for total, part in zip(counters.sums, parts, strict=True)
        ]
        counters.seconds += seconds

    def shown(self, loss: DetectionLoss | None) -> Mapping[str, Any]:
        """What the bar shows."""
        total = 0.0 if loss is None else float(loss.total.detach())
        return {"loss": total, "precision": self.counters.held_out_map}

    def finish_epoch(self) -> None:
        """Measures the averaged weights every so many epochs, and reports."""
        counters, recipe = self.counters, self.recipe
        row: dict[str, Any] = {
            "epoch": counters.epoch,
            "update": counters.update,
            "seconds": round(counters.seconds, 1),
            "learning_rate": f"{self.optimizer.param_groups[-1]['lr']:.4g}",
            **{
                name: round(total / self._batches_an_epoch, 4)
                for name, total in zip(_PARTS, counters.sums, strict=True)
            },
        }
        if counters.epoch % recipe.valid_epochs == 0 or counters.epoch == recipe.epochs:
            counters.held_out_map = self.measure_held_out()
            row["held_out_map50"] = round(counters.held_out_map, 4)
        counters.sums, counters.seconds = [0.0] * len(_PARTS), 0.0
        self.log.write(**row)

    def measure_held_out(self) -> float:
        """Mean average precision at IoU 0.5 of the averaged weights on the held-out images."""
        self.averaged.load_state_dict(self.average.weights)
        found = [
            as_found(network_detections(self.averaged, self.data.dataset.pixels(image)))
            for image in self.data.held_out
        ]
        objects = as_objects(self.data.held_out)
        return mean_average_precision(objects, found, classes=len(self.config.labels))


def _contiguous(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As a file of weights wants them: channels second, whatever the order in memory."""
    return {name: weight.contiguous() for name, weight in weights.items()}
