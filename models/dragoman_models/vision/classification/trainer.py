"""Trains a residual classifier by a recipe, resumably, and leaves the best weights behind."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor, nn

from dragoman_models.epoch_training import EpochCounters, train_epochs
from dragoman_models.errors import TrainingError
from dragoman_models.tensor_file import encode_tensors
from dragoman_models.training import CsvLog, compute_dtype, warmup_cosine, write_atomically
from dragoman_models.training_run import (
    CHECKPOINT,
    RunCheckpoint,
    claim_folder,
    refuse_divergence,
    training_bar,
)
from dragoman_models.vision.classification.augmentation import augmented
from dragoman_models.vision.classification.curve_plot import plot_curve
from dragoman_models.vision.classification.idx_files import read_idx_images
from dragoman_models.vision.classification.labelled_images import LabelledImages, held_out
from dragoman_models.vision.classification.network import ResidualNetwork
from dragoman_models.vision.classification.network_config import ResidualNetworkConfig
from dragoman_models.vision.classification.recipe import ClassifierRecipe
from dragoman_models.vision.classification.standardization import pixel_statistics
from dragoman_models.vision.moving_average import MovingAverage

BEST = "best.safetensors"
LOG = "log.csv"
_COLUMNS = (
    "epoch", "update", "seconds", "learning_rate", "train_loss", "valid_loss", "valid_accuracy",
    "images_per_second",
)  # fmt: skip
_BAR = ("loss {task.fields[loss]:.3f}", "{task.fields[speed]:,.0f} images/s")
_VALID_BATCH = 500


@dataclass(kw_only=True)
class ClassifierCounters(EpochCounters):
    """What of the current epoch is done, and the best share of right answers so far."""

    epoch_loss: float = 0.0
    epoch_images: int = 0
    epoch_seconds: float = 0.0
    best_accuracy: float = -1.0

    @property
    def images_per_second(self) -> float:
        """In the current epoch."""
        return self.epoch_images / max(self.epoch_seconds, 1e-9)


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
        claim_folder(folder, begun=(folder / CHECKPOINT).exists(), resume=resume)
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
        self.counters = ClassifierCounters()
        self._checkpoint = RunCheckpoint(
            folder,
            {"network": self.network, "optimizer": self.optimizer, "average": self.average},
            settings=self._settings(),
        )
        if resume:
            self._checkpoint.restore(self.counters)
        self.log = CsvLog.resumed(folder / LOG, _COLUMNS, update=self.counters.update)

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

    def _settings(self) -> str:
        """What a resumed run must share with the one it continues."""
        kept = self.recipe.model_dump_json(exclude={"idx", "checkpoint_updates"})
        return hashlib.sha256(kept.encode()).hexdigest()

    def save(self) -> None:
        """Writes what a resumed run continues from."""
        self._checkpoint.save(self.counters)

    # --- training ---

    def run(self, progress: Progress | None = None) -> Path:
        """Trains to the last epoch.

        Returns:
            the path of the best weights.
        """
        recipe = self.recipe
        train_epochs(
            self,
            progress or training_bar(*_BAR),
            epochs=recipe.epochs,
            checkpoint_updates=recipe.checkpoint_updates,
        )
        plot_curve(self.folder)
        return self.folder / BEST

    def batches(self) -> list[NDArray[np.int64]]:
        """The rows of each of the current epoch; what fills none is left to another epoch."""
        order = torch.randperm(len(self.train), generator=self._chance(0)).numpy()
        size = self.recipe.batch_size
        return [order[i * size : (i + 1) * size] for i in range(self._batches_an_epoch)]

    @property
    def _batches_an_epoch(self) -> int:
        return len(self.train) // self.recipe.batch_size

    def _chance(self, batch: int) -> torch.Generator:
        """Follows from the seed, the epoch and the batch (0: the epoch's order), so that a resumed
        run meets the same images in the same order, changed alike."""
        key = f"{self.recipe.seed}/{self.counters.epoch}/{batch}".encode()
        seed = int.from_bytes(hashlib.sha256(key).digest()[:8], "little") >> 1
        return torch.Generator().manual_seed(seed)

    def learn(self, batch: NDArray[np.int64]) -> float:
        """One optimizer step; returns the loss in nats, with label smoothing.

        Raises `TrainingError` before the weights are touched if the loss is not finite.
        """
        images = self.train.taken(batch)
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        self.network.train()
        logits = self._logits(self.network, self._changed(images))  # (B, classes)
        loss = F.cross_entropy(
            logits, torch.from_numpy(images.classes), label_smoothing=self.recipe.label_smoothing
        )
        value = float(loss.detach())
        refuse_divergence(self.counters.update + 1, value)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.average.add(self.network)
        self.counters.update += 1
        return value

    def _learning_rate(self) -> float:
        recipe, update = self.recipe, self.counters.update
        updates = recipe.epochs * self._batches_an_epoch
        warmup = max(1, round(recipe.warmup_share * updates))
        return recipe.learning_rate * warmup_cosine(
            update, update / updates, warmup=warmup, floor=0.0
        )

    def _changed(self, images: LabelledImages) -> Tensor:
        """Augmented and standardized, (B, C, H, W)."""
        fill = (torch.tensor(self.statistics.mean) * 255).round().to(torch.uint8)  # (C,)
        chance = self._chance(self.counters.batch + 1)
        pixels = torch.from_numpy(images.pixels)
        return self.statistics.standardized(
            augmented(pixels, self.recipe.augmentation, fill, chance)
        )

    def _logits(self, network: nn.Module, images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            logits: Tensor = network(images)
        return logits.float()

    # --- measuring ---

    def count(self, loss: float, seconds: float) -> None:
        """Adds a step to what the epoch reports."""
        self.counters.epoch_loss += loss * self.recipe.batch_size
        self.counters.epoch_images += self.recipe.batch_size
        self.counters.epoch_seconds += seconds

    def shown(self, loss: float | None) -> Mapping[str, Any]:
        """What the bar shows."""
        return {"loss": loss or 0.0, "speed": self.counters.images_per_second}

    def finish_epoch(self) -> None:
        """Measures the averaged weights, keeps the best, and reports."""
        counters = self.counters
        loss, accuracy = self._validate()
        row: dict[str, Any] = {
            "epoch": counters.epoch,
            "update": counters.update,
            "seconds": round(counters.epoch_seconds, 1),
            "learning_rate": f"{self.optimizer.param_groups[0]['lr']:.4g}",
            "train_loss": round(counters.epoch_loss / counters.epoch_images, 4),
            "valid_loss": round(loss, 4),
            "valid_accuracy": round(accuracy, 5),
            "images_per_second": round(counters.images_per_second),
        }
        if accuracy > counters.best_accuracy:
            counters.best_accuracy = accuracy
            write_atomically(self.folder / BEST, encode_tensors(self.average.weights))
        counters.epoch_loss, counters.epoch_images, counters.epoch_seconds = 0.0, 0, 0.0
        self.log.write(**row)

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
