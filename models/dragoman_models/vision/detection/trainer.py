"""Trains a detector by a recipe, resumably, and leaves its averaged weights behind."""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn, TimeRemainingColumn
from safetensors.torch import save
from torch import Tensor, nn

from dragoman_models.errors import TrainingError
from dragoman_models.metrics.average_precision import mean_average_precision
from dragoman_models.training import (
    CsvLog,
    compute_dtype,
    drop_rows_after,
    load_checkpoint,
    save_checkpoint,
    warmup_cosine,
    write_atomically,
)
from dragoman_models.vision.classification.moving_average import MovingAverage
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

_PARTS = ("train_loss", "box_loss", "objectness_loss", "class_loss")
_COLUMNS = ("epoch", "update", "seconds", "learning_rate", *_PARTS, "held_out_map50")
_COUNTERS = ("epoch", "batch", "update", "sums", "seconds", "held_out_map")


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
        self._claim_folder(resume=resume)
        self.data = RunData(recipe)
        self.config: DetectorConfig = self.data.network_config()
        torch.manual_seed(recipe.seed)
        self.network = DetectorNetwork(self.config)
        if recipe.backbone != "none":
            self.network.backbone.load_published(published_weights())
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.frozen = self.network.backbone.parts()[: recipe.frozen_parts]
        for part in self.frozen:
            part.requires_grad_(False)
        set_product_dtype(self.network, compute_dtype(recipe.precision))
        self.loss_options = recipe.loss.as_options()
        self.optimizer = self._optimizer()
        self.average = MovingAverage(self.network, recipe.averaging)
        self.averaged = copy.deepcopy(self.network).eval()  # what is measured
        self.epoch = self.batch = self.update = 0
        self.sums = [0.0] * len(_PARTS)
        self.seconds = 0.0
        self.held_out_map = math.nan
        if resume:
            self._restore()
        self._write_facts()
        drop_rows_after(folder / "log.csv", self.update)
        self.log = CsvLog(folder / "log.csv", _COLUMNS)

    def _claim_folder(self, *, resume: bool) -> None:
        checkpoint = self.folder / "checkpoint.pt"
        if checkpoint.exists() and not resume:
            raise TrainingError(
                f"{self.folder} holds a training run; give --resume or another folder"
            )
        if resume and not checkpoint.exists():
            raise TrainingError(f"nothing to resume: {checkpoint} does not exist")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(f"cannot make the folder {self.folder}: {error}") from error

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

    # --- state that a resumed run continues from ---

    def _settings(self) -> str:
        """What a resumed run must share with the one it continues."""
        kept = self.recipe.model_dump_json(exclude={"data", "train", "test", "checkpoint_updates"})
        names = "/".join(one.name for one in self.data.train)
        return hashlib.sha256(f"{kept}/{names}".encode()).hexdigest()

    def _save(self) -> None:
        save_checkpoint(
            self.folder / "checkpoint.pt",
            {
                "settings": self._settings(),
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "average": self.average.state_dict(),
                **{name: getattr(self, name) for name in _COUNTERS},
            },
        )

    def _restore(self) -> None:
        checkpoint = load_checkpoint(self.folder / "checkpoint.pt")
        if checkpoint.get("settings") != self._settings():
            raise TrainingError(
                f"{self.folder} was begun with another recipe or other images; resume with those"
            )
        self.network.load_state_dict(checkpoint["network"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.average.load_state_dict(checkpoint["average"])
        for name in _COUNTERS:
            setattr(self, name, checkpoint[name])

    # --- training ---

    def run(self, progress: Progress | None = None) -> Path:
        """Trains to the last epoch.

        Returns:
            the path of the averaged weights.
        """
        with progress or progress_bar() as bar:
            while self.epoch < self.recipe.epochs:
                self._run_epoch(bar)
        path = self.folder / "weights.safetensors"
        write_atomically(path, save(_contiguous(self.average.weights)))
        return path

    def _order(self) -> list[list[int]]:
        """The batches of the current epoch, which follow from seed and epoch alone."""
        generator = np.random.default_rng([self.recipe.seed, 2, self.epoch])
        order = generator.permutation(len(self.data.train)).tolist()
        size = self.recipe.batch_size
        return [order[i : i + size] for i in range(0, len(order) - size + 1, size)]

    def _run_epoch(self, bar: Progress) -> None:
        batches = self._order()
        task = bar.add_task(
            f"epoch {self.epoch + 1}/{self.recipe.epochs}",
            total=len(batches), completed=self.batch, loss=0.0, precision=self.held_out_map,
        )  # fmt: skip
        for batch in batches[self.batch :]:
            began = time.monotonic()
            done = (self.epoch + self.batch / len(batches)) / self.recipe.epochs
            loss = self._learn([self._view(index) for index in batch], done)
            self.batch += 1
            self.seconds += time.monotonic() - began
            self._count(bar, task, loss)
            if self.update % self.recipe.checkpoint_updates == 0:
                self._save()
        self._finish_epoch(len(batches))
        bar.remove_task(task)

    def _view(self, index: int) -> View:
        image = self.data.train[index]
        pixels, boxes = self.data.scaled_image(image)
        chance = np.random.default_rng([self.recipe.seed, 3, self.epoch, index])
        return random_view(
            pixels, boxes, image.classes, size=self.recipe.view_size,
            options=self.recipe.augmentation, seed=int(chance.integers(1 << 62)),
        )  # fmt: skip

    def _learn(self, views: list[View], done: float) -> DetectionLoss:
        """One optimizer step.

        Raises `TrainingError` before the weights are touched if loss or gradient is not finite.
        """
        factor = warmup_cosine(self.update, done, warmup=self.recipe.warmup_updates)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * factor * group["share"]
        self.network.train()
        for part in self.frozen:
            part.eval()
        self.optimizer.zero_grad()
        loss = self._loss(views)
        loss.total.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        if not math.isfinite(float(loss.total.detach())) or not math.isfinite(float(norm)):
            raise TrainingError(
                f"training diverged at update {self.update + 1} (loss "
                f"{float(loss.total.detach()):g}, gradient norm {float(norm):g}); lower "
                "learning_rate or clip_norm"
            )
        self.optimizer.step()
        self.update += 1
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

    def _count(self, bar: Progress, task: TaskID, loss: DetectionLoss) -> None:
        parts = (loss.total, loss.box, loss.objectness, loss.classes)
        values = [float(part.detach()) for part in parts]
        self.sums = [total + value for total, value in zip(self.sums, values, strict=True)]
        bar.update(task, advance=1, loss=values[0])

    def _finish_epoch(self, batches: int) -> None:
        self.epoch, self.batch = self.epoch + 1, 0
        row: dict[str, Any] = {
            "epoch": self.epoch,
            "update": self.update,
            "seconds": round(self.seconds, 1),
            "learning_rate": f"{self.optimizer.param_groups[-1]['lr']:.4g}",
            **{
                name: round(total / batches, 4)
                for name, total in zip(_PARTS, self.sums, strict=True)
            },
        }
        if self.epoch % self.recipe.valid_epochs == 0 or self.epoch == self.recipe.epochs:
            self.held_out_map = self.measure_held_out()
            row["held_out_map50"] = round(self.held_out_map, 4)
        self.sums, self.seconds = [0.0] * len(_PARTS), 0.0
        self.log.write(**row)
        self._save()

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


def progress_bar() -> Progress:
    """A bar with the loss, the precision on held-out images and the time left."""
    return Progress(
        *Progress.get_default_columns()[:-1],
        TextColumn("loss {task.fields[loss]:.3f}"),
        TextColumn("held-out mAP {task.fields[precision]:.3f}"),
        TimeRemainingColumn(),
        speed_estimate_period=120,
        console=Console(stderr=True),
    )
