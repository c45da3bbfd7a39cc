"""Trains an image embedder by a recipe, resumably, and leaves the best weights behind."""

from __future__ import annotations

import hashlib
import math
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn, TimeRemainingColumn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

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
from dragoman_models.vision.verification.augmentation import augment
from dragoman_models.vision.verification.class_batches import ClassBatch, ClassBatches
from dragoman_models.vision.verification.invented_characters import invent_characters
from dragoman_models.vision.verification.network import EmbeddingNetwork, embedded
from dragoman_models.vision.verification.one_shot import (
    draw_episodes,
    one_shot_figures,
    vector_distances,
)
from dragoman_models.vision.verification.recipe import ImageEmbedderRecipe
from dragoman_models.vision.verification.reframing import reframed
from dragoman_models.vision.verification.run_images import RunImages
from dragoman_models.vision.verification.triplet_loss import Mining, triplet_loss
from dragoman_models.vision.verification.unsteady_hand import draw_characters

CHECKPOINT = "checkpoint.pt"
BEST = "best.safetensors"
LOG = "log.csv"
_COLUMNS = ("update", "seconds", "learning_rate", "train_loss", "valid_accuracy")
_COUNTERS = ("update", "seconds", "recent_loss", "recent_updates", "best_accuracy")
_EPISODE_SEED = 1
_FAMILY = 4  # invented characters that look alike
_SMALLER = 1.5  # so that what is framed afterwards was not moved out of the image before


class ImageEmbedderTrainer:
    """One training run in a folder of its own.

    The folder holds ``checkpoint.pt`` (everything that ``resume`` needs), ``log.csv`` (a row each
    time that the held-out classes were tried) and ``best.safetensors`` (the averaged weights that
    then found most). What an update draws by chance follows from the seed and its number alone.
    """

    def __init__(
        self, recipe: ImageEmbedderRecipe, images: RunImages, folder: Path, *, resume: bool = False
    ) -> None:
        """Makes or finds the run.

        Raises:
            TrainingError: the folder holds another run, there is nothing to resume, or the images
                make no batch or no run of the validation.
        """
        self.recipe = recipe
        self.folder = folder
        self._claim_folder(resume=resume)
        self.batches = ClassBatches(images.train, recipe.batch_shape)
        self.valid = images.valid.pixels
        self.episodes = draw_episodes(
            images.valid,
            protocol=recipe.validation.protocol,
            ways=recipe.validation.ways,
            episodes=recipe.validation.episodes,
            seed=_EPISODE_SEED,
        )
        self.dtype = compute_dtype(recipe.precision)
        torch.manual_seed(recipe.seed)
        network = EmbeddingNetwork(recipe.network, dropout=recipe.dropout)
        network.standardize_by(images.train.pixels)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        averaging = get_ema_multi_avg_fn(recipe.average_decay)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(network, multi_avg_fn=averaging, use_buffers=True)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), weight_decay=recipe.weight_decay, betas=(0.9, 0.99)
        )
        self.update = self.recent_updates = 0
        self.seconds = self.recent_loss = 0.0
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

    # --- state that a resumed run continues from ---

    def _settings(self) -> str:
        """What a resumed run must share with the one it continues."""
        kept = self.recipe.model_dump_json(exclude={"omniglot", "identities", "checkpoint_updates"})
        return hashlib.sha256(kept.encode()).hexdigest()

    def _save(self) -> None:
        save_checkpoint(
            self.folder / CHECKPOINT,
            {
                "settings": self._settings(),
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                **{name: getattr(self, name) for name in _COUNTERS},
            },
        )

    def _restore(self) -> None:
        checkpoint = load_checkpoint(self.folder / CHECKPOINT)
        if checkpoint.get("settings") != self._settings():
            raise TrainingError(f"{self.folder} was begun with another recipe; resume with that")
        self.network.load_state_dict(checkpoint["network"])
        self.average.load_state_dict(checkpoint["average"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        for name in _COUNTERS:
            setattr(self, name, checkpoint[name])

    # --- training ---

    def run(self, progress: Progress | None = None) -> Path:
        """Trains to the last update.

        Returns:
            the path of the best weights.
        """
        with progress or progress_bar() as bar:
            task = bar.add_task(
                "updates", total=self.recipe.updates, completed=self.update, loss=0.0, found=0.0
            )
            while self.update < self.recipe.updates:
                self._step(bar, task)
        return self.folder / BEST

    def _step(self, bar: Progress, task: TaskID) -> None:
        began = time.monotonic()
        loss = self._learn()
        self.recent_loss += loss
        self.recent_updates += 1
        self.seconds += time.monotonic() - began
        bar.update(task, advance=1, loss=loss, found=max(self.best_accuracy, 0.0))
        last = self.update == self.recipe.updates
        if last or self.update % self.recipe.validation.every_updates == 0:
            self._validate()
        if last or self.update % self.recipe.checkpoint_updates == 0:
            self._save()

    def _learn(self) -> float:
        """One optimizer step; returns the mean loss of the batch's triplets.

        Raises `TrainingError` before the weights are touched if the loss is not finite.
        """
        batch = self._batch()
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            vectors = self.network(batch.images)  # (B, D)
        loss = triplet_loss(
            vectors,
            batch.classes,
            mining=self._mining(),
            margin=self.recipe.margin,
            distance=self.recipe.distance,
        )
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"training diverged at update {self.update + 1}; lower learning_rate"
            )
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.average.update_parameters(self.network)
        self.update += 1
        return value

    def _batch(self) -> ClassBatch:
        chance = np.random.default_rng((self.recipe.seed, self.update))
        batch = self.batches.draw(chance)
        torch.manual_seed(int(chance.integers(2**63)))  # dropout's chance
        generator = torch.Generator().manual_seed(int(chance.integers(2**63)))
        images, recipe = batch.images, self.recipe
        to_be_framed = recipe.network.framing == "ink"
        smaller = _SMALLER if to_be_framed else 1.0
        if recipe.class_augmentation is not None:
            alike = recipe.images_per_class
            images = augment(
                images, recipe.class_augmentation, generator, alike=alike, smaller=smaller
            )
            smaller = 1.0
        images = augment(images, recipe.augmentation, generator, smaller=smaller)
        if to_be_framed:
            images = reframed(images, recipe.network.image_size)
        batch = ClassBatch(images=images, classes=batch.classes)
        return self._with_invented(batch, chance) if recipe.invented_classes else batch

    def _with_invented(self, batch: ClassBatch, chance: np.random.Generator) -> ClassBatch:
        """The batch and further classes, in families of look-alikes, that nobody will see again."""
        recipe = self.recipe
        images = draw_characters(
            invent_characters(recipe.invented_classes, family=_FAMILY, chance=chance),
            each=recipe.images_per_class,
            size=recipe.network.image_size,
            hand=recipe.hand,
            chance=chance,
        )
        numbers = int(batch.classes.max()) + 1 + torch.arange(recipe.invented_classes)
        further = numbers.repeat_interleave(recipe.images_per_class)
        return ClassBatch(
            images=torch.cat([batch.images, images]), classes=torch.cat([batch.classes, further])
        )

    def _mining(self) -> Mining:
        return "semi_hard" if self.update < self.recipe.semi_hard_updates else self.recipe.mining

    def _learning_rate(self) -> float:
        recipe = self.recipe
        done = self.update / recipe.updates
        return recipe.learning_rate * warmup_cosine(
            self.update, done, warmup=recipe.warmup_updates, floor=0.0
        )

    # --- measuring ---

    def _validate(self) -> None:
        accuracy = self.valid_accuracy()
        if accuracy > self.best_accuracy:
            self.best_accuracy = accuracy
            write_atomically(self.folder / BEST, encode_tensors(self.average.module.state_dict()))
        self.log.write(
            update=self.update,
            seconds=round(self.seconds, 1),
            learning_rate=f"{self.optimizer.param_groups[0]['lr']:.4g}",
            train_loss=round(self.recent_loss / max(self.recent_updates, 1), 5),
            valid_accuracy=round(accuracy, 5),
        )
        self.recent_loss, self.recent_updates = 0.0, 0

    def valid_accuracy(self) -> float:
        """Share of the queries that the averaged weights find in the validation's runs."""
        average = self.average.module
        assert isinstance(average, EmbeddingNetwork)  # noqa: S101 - a copy of the network
        vectors = embedded(average, self.valid)
        return one_shot_figures(self.episodes, vector_distances(vectors)).accuracy


def progress_bar() -> Progress:
    """A bar with the loss, the best share found and the time left."""
    return Progress(
        *Progress.get_default_columns()[:-1],
        TextColumn("loss {task.fields[loss]:.4f}"),
        TextColumn("found {task.fields[found]:.1%}"),
        TimeRemainingColumn(),
        speed_estimate_period=120,
        console=Console(stderr=True),
    )
