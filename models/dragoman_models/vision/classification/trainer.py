"""Trains a residual classifier by a recipe, resumably, and leaves the best weights behind."""

from __future__ import annotations

import hashlib
import math
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from dragoman_models.errors import TrainingError
from dragoman_models.tensor_file import encode_tensors
from dragoman_models.training import (
    CsvLog,
    compute_dtype,
    drop_rows_after,
    load_checkpoint,
    save_checkpoint,
    warmup_cosine,
    write_atomically,
)
from dragoman_models.vision.classification.augmentation import augmented
from dragoman_models.vision.classification.curve_plot import plot_curve
from dragoman_models.vision.classification.idx_files import read_idx_images
from dragoman_models.vision.classification.labelled_images import LabelledImages, held_out
from dragoman_models.vision.classification.moving_average import MovingAverage
from dragoman_models.vision.classification.network import ResidualNetwork
from dragoman_models.vision.classification.network_config import ResidualNetworkConfig
from dragoman_models.vision.classification.recipe import ClassifierRecipe
from dragoman_models.vision.classification.standardization import pixel_statistics

CHECKPOINT = "checkpoint.pt"
BEST = "best.safetensors"
LOG = "log.csv"
_COLUMNS = (
    "epoch", "update", "seconds", "learning_rate", "train_loss", "valid_loss", "valid_accuracy",
    "images_per_second",
)  # fmt: skip
_COUNTERS = (
    "epoch", "batch", "update", "epoch_loss", "epoch_images", "epoch_seconds", "best_accuracy",
)  # fmt: skip
_VALID_BATCH = 500


class ClassifierTrainer:
    """One training run in a folder of its own.

    The folder holds ``checkpoint.pt`` (everything that ``resume`` needs), ``log.csv`` (a row an
    epoch), ``best.safetensors`` (the averaged weights that were right most often on the images
    held out) and in the end ``curve.png``.
    """

    def __init__(self, recipe: ClassifierRecipe, folder: Path, *, resume: bool = False) -> None:
        """Reads the data.

        Raises:
            TrainingError: the data is unusable, the folder holds another run, or there is
                nothing to resume.
        """
        self.recipe = recipe
        self.folder = folder
        self._claim_folder(resume=resume)
        images = read_idx_images(recipe.idx, "train", len(recipe.labels))
        self.train, self.valid = held_out(images, recipe.valid_count, recipe.seed)
        if len(self.train) < recipe.batch_size:
            raise TrainingError(
                f"batch_size {recipe.batch_size} is more than the {len(self.train):,} images"
            )
        self.statistics = pixel_statistics(self.train.pixels)
        self.dtype = compute_dtype(recipe.precision)
        torch.manual_seed(recipe.seed)
        network = ResidualNetwork(network_config(recipe, images))
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = self._optimizer()
        self.average = MovingAverage(self.network, recipe.average_decay)
        self.epoch = self.batch = self.update = 0
        self.epoch_loss = self.epoch_seconds = 0.0
        self.epoch_images = 0
        self.best_accuracy = -1.0
        if resume:
            self._restore()
        drop_rows_after(folder / LOG, self.update)
        self.log = CsvLog(folder / LOG, _COLUMNS)

    def _claim_folder(self, *, resume: bool) -> None:
        checkpoint = self.folder / CHECKPOINT
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

    def _optimizer(self) -> torch.optim.Optimizer:
        """Kernels and matrices decay; biases and normalizations do not."""
        decaying = [p for p in self.network.parameters() if p.dim() > 1]
        others = [p for p in self.network.parameters() if p.dim() <= 1]
        recipe = self.recipe
        return torch.optim.SGD(
            [
                {"params": decaying, "weight_decay": recipe.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.momentum > 0,
        )

    # --- state that a resumed run continues from ---

    def _settings(self) -> str:
        """What a resumed run must share with the one it continues."""
        kept = self.recipe.model_dump_json(exclude={"idx", "checkpoint_updates"})
        return hashlib.sha256(kept.encode()).hexdigest()

    def _save(self) -> None:
        save_checkpoint(
            self.folder / CHECKPOINT,
            {
                "settings": self._settings(),
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "average": self.average.state_dict(),
                **{name: getattr(self, name) for name in _COUNTERS},
            },
        )

    def _restore(self) -> None:
        checkpoint = load_checkpoint(self.folder / CHECKPOINT)
        if checkpoint.get("settings") != self._settings():
            raise TrainingError(f"{self.folder} was begun with another recipe; resume with that")
        self.network.load_state_dict(checkpoint["network"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.average.load_state_dict(checkpoint["average"])
        for name in _COUNTERS:
            setattr(self, name, checkpoint[name])

    # --- training ---

    def run(self, progress: Progress | None = None) -> Path:
        """Trains to the last epoch.

        Returns:
            the path of the best weights.
        """
        with progress or progress_bar() as bar:
            while self.epoch < self.recipe.epochs:
                self._run_epoch(bar)
        plot_curve(self.folder)
        return self.folder / BEST

    @property
    def batches(self) -> int:
        """Of an epoch; what does not fill one is left to another epoch."""
        return len(self.train) // self.recipe.batch_size

    def _run_epoch(self, bar: Progress) -> None:
        order = torch.randperm(len(self.train), generator=self._chance(0)).numpy()
        size = self.recipe.batch_size
        task = bar.add_task(
            f"epoch {self.epoch + 1}/{self.recipe.epochs}",
            total=self.batches, completed=self.batch, loss=0.0, speed=0.0,
        )  # fmt: skip
        while self.batch < self.batches:
            began = time.monotonic()
            rows = order[self.batch * size : (self.batch + 1) * size]
            loss = self._learn(self.train.taken(rows))
            self.batch += 1
            self._count(bar, task, loss, time.monotonic() - began)
            if self.update % self.recipe.checkpoint_updates == 0:
                self._save()
        self._finish_epoch()
        bar.remove_task(task)

    def _chance(self, batch: int) -> torch.Generator:
        """Follows from the seed, the epoch and the batch (0: the epoch's order), so that a resumed
        run meets the same images in the same order, changed alike."""
        key = f"{self.recipe.seed}/{self.epoch}/{batch}".encode()
        seed = int.from_bytes(hashlib.sha256(key).digest()[:8], "little") >> 1
        return torch.Generator().manual_seed(seed)

    def _learn(self, images: LabelledImages) -> float:
        """One optimizer step; returns the loss in nats, with label smoothing.

        Raises `TrainingError` before the weights are touched if the loss is not finite.
        """
        recipe = self.recipe
        updates = recipe.epochs * self.batches
        factor = warmup_cosine(
            self.update,
            self.update / updates,
            warmup=max(1, round(recipe.warmup_share * updates)),
            floor=0.0,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.learning_rate * factor
        fill = (torch.tensor(self.statistics.mean) * 255).round().to(torch.uint8)  # (C,)
        changed = augmented(
            torch.from_numpy(images.pixels), recipe.augmentation, fill, self._chance(self.batch + 1)
        )
        self.network.train()
        logits = self._logits(self.network, self.statistics.standardized(changed))  # (B, classes)
        loss = F.cross_entropy(
            logits, torch.from_numpy(images.classes), label_smoothing=recipe.label_smoothing
        )
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"training diverged at update {self.update + 1}; lower learning_rate"
            )
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.average.add(self.network)
        self.update += 1
        return value

    def _logits(self, network: nn.Module, images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            logits: Tensor = network(images)
        return logits.float()

    # --- measuring ---

    def _count(self, bar: Progress, task: TaskID, loss: float, seconds: float) -> None:
        self.epoch_loss += loss * self.recipe.batch_size
        self.epoch_images += self.recipe.batch_size
        self.epoch_seconds += seconds
        speed = self.epoch_images / max(self.epoch_seconds, 1e-9)
        bar.update(task, advance=1, loss=loss, speed=speed)

    def _finish_epoch(self) -> None:
        loss, accuracy = self._validate()
        row: dict[str, Any] = {
            "epoch": self.epoch + 1,
            "update": self.update,
            "seconds": round(self.epoch_seconds, 1),
            "learning_rate": f"{self.optimizer.param_groups[0]['lr']:.4g}",
            "train_loss": round(self.epoch_loss / self.epoch_images, 4),
            "valid_loss": round(loss, 4),
            "valid_accuracy": round(accuracy, 5),
            "images_per_second": round(self.epoch_images / max(self.epoch_seconds, 1e-9)),
        }
        if accuracy > self.best_accuracy:
            self.best_accuracy = accuracy
            write_atomically(self.folder / BEST, encode_tensors(self.average.weights))
        self.epoch, self.batch = self.epoch + 1, 0
        self.epoch_loss, self.epoch_images, self.epoch_seconds = 0.0, 0, 0.0
        self.log.write(**row)
        self._save()

    @torch.no_grad()
    def _validate(self) -> tuple[float, float]:
        """Nats and share of right answers on the images held out, by the averaged weights."""
        network = ResidualNetwork(self.network.config)
        network.load_state_dict(self.average.weights)
        network.eval()
        loss = right = 0.0
        classes = torch.from_numpy(self.valid.classes)
        pixels = torch.from_numpy(self.valid.pixels)  # (N, H, W, C)
        for rows in torch.arange(len(pixels)).chunk(-(-len(pixels) // _VALID_BATCH)):
            part, gold = pixels[rows], classes[rows]
            logits = network(self.statistics.standardized(part))
            loss += float(F.cross_entropy(logits, gold, reduction="sum"))
            right += int((logits.argmax(1) == gold).sum())
        return loss / len(self.valid), right / len(self.valid)


def network_config(recipe: ClassifierRecipe, images: LabelledImages) -> ResidualNetworkConfig:
    """The shape of the network that the recipe trains on these images."""
    sizes = recipe.network.model_dump()
    return ResidualNetworkConfig(
        channels=images.pixels.shape[-1], classes=len(recipe.labels), **sizes
    )


def progress_bar() -> Progress:
    """A bar with the loss, the speed and the time left."""
    return Progress(
        *Progress.get_default_columns()[:-1],
        TextColumn("loss {task.fields[loss]:.3f}"),
        TextColumn("{task.fields[speed]:,.0f} images/s"),
        TimeRemainingColumn(),
        speed_estimate_period=120,
        console=Console(stderr=True),
    )
