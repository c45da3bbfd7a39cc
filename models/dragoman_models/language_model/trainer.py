"""Trains a language model by a recipe, resumably, and leaves the best weights behind."""

from __future__ import annotations

import hashlib
import math
import random
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from rich.progress import Progress, TaskID
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from dragoman_models.errors import TrainingError
from dragoman_models.language_model.config import NetworkConfig
from dragoman_models.language_model.corpus import columns_of, segment_bounds
from dragoman_models.language_model.evaluation import mean_loss
from dragoman_models.language_model.loss_plot import plot_losses
from dragoman_models.language_model.network import LanguageModelNetwork, Outputs, detached
from dragoman_models.language_model.process_group import ProcessGroup
from dragoman_models.language_model.recipe import LanguageModelRecipe
from dragoman_models.language_model.run_data import RecipeText
from dragoman_models.language_model.text_vocabulary import TextVocabulary
from dragoman_models.language_model.weight_average import WeightAverage, stopped_falling
from dragoman_models.training import CsvLog, compute_dtype, warmup_cosine, write_atomically
from dragoman_models.training_run import (
    CHECKPOINT,
    RunCheckpoint,
    RunCounters,
    claim_folder,
    refuse_divergence,
    training_bar,
)

_EPOCH_COLUMNS = (
    "epoch", "update", "seconds", "train_loss", "valid_loss", "valid_perplexity",
    "tokens_per_second", "averaged",
)  # fmt: skip
_UPDATE_COLUMNS = ("update", "learning_rate", "train_loss")
_VALID_COLUMNS = 16
_BAR = ("loss {task.fields[loss]:.3f}", "{task.fields[speed]:,.0f} tokens/s")


@dataclass(kw_only=True)
class LanguageModelCounters(RunCounters):
    """Where a run is, what it has yet to report, and its losses on the validation text."""

    epoch: int = 0
    segment: int = 0
    epoch_loss: float = 0.0
    epoch_tokens: int = 0
    epoch_seconds: float = 0.0
    recent_loss: float = 0.0
    recent_tokens: int = 0
    best_loss: float = math.inf
    valid_losses: list[float] = field(default_factory=list)

    @property
    def tokens_per_second(self) -> float:
        """In the current epoch."""
        return self.epoch_tokens / max(self.epoch_seconds, 1e-9)


class LanguageModelTrainer:
    """One training run in a folder of its own.

    The folder holds the vocabulary, ``checkpoint.pt`` (everything that ``resume`` needs),
    ``log.csv`` (a row an epoch), ``updates.csv`` (a row every so many updates),
    ``best.safetensors`` (the weights with the best loss on the validation text) and in the end
    ``loss.png``.
    """

    def __init__(
        self,
        recipe: LanguageModelRecipe,
        folder: Path,
        *,
        resume: bool = False,
        processes: ProcessGroup | None = None,
    ) -> None:
        """Reads the data and makes or finds the vocabulary.

        Raises:
            TrainingError: the data is unusable, the folder holds another run, or there is
                nothing to resume.
        """
        self.recipe = recipe
        self.folder = folder
        self.processes = processes or ProcessGroup()
        begun = self.processes.from_first((folder / CHECKPOINT).exists())
        claim_folder(folder, begun=begun, resume=resume)
        text = RecipeText(recipe)
        self.vocabulary = self._vocabulary(text)
        texts = text.encode(self.vocabulary)
        self.valid = texts.valid
        self.inputs, self.targets = self._own_columns(texts.train.tokens)  # (S, B)
        self.dtype = compute_dtype(recipe.precision)
        torch.manual_seed(recipe.seed)
        self.network = LanguageModelNetwork(self._network_config(), recipe.dropout.as_dropouts())
        if recipe.continue_from is not None:
            self._continue_from(recipe.continue_from / "best.safetensors")
        torch.manual_seed(recipe.seed + self.processes.rank)  # each drops other units
        self.optimizer = self._optimizer()
        self.average = WeightAverage()
        self.averaging = recipe.averaging == "from_start"
        self.state = self.network.initial_state(recipe.batch_size)
        self.counters = LanguageModelCounters()
        self._checkpoint = RunCheckpoint(
            folder,
            {"network": self.network, "optimizer": self.optimizer, "average": self.average},
            settings=self._settings(),
            or_other=" or number of processes",
        )
        if resume:
            self._restore()
        self._open_logs()

    def _vocabulary(self, text: RecipeText) -> TextVocabulary:
        if self.processes.is_first:
            text.vocabulary(self.folder)
        self.processes.wait()
        return text.vocabulary(self.folder)

    def _network_config(self) -> NetworkConfig:
        sizes = {**self.recipe.network.model_dump(), "vocabulary_size": self.vocabulary.size}
        try:
            return NetworkConfig.model_validate(sizes)
        except ValidationError as error:
            raise TrainingError(
                f"network: the text gives {self.vocabulary.size:,} tokens: "
                f"{error.errors()[0]['msg']}"
            ) from error

    def _continue_from(self, path: Path) -> None:
        """Takes the weights of a finished run; raises `TrainingError` where they don't fit."""
        try:
            self.network.load_state_dict(load_file(path))
        except (OSError, RuntimeError, SafetensorError) as error:
            raise TrainingError(f"continue_from: cannot begin with {path}: {error}") from error

    def _own_columns(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        size, rank = self.recipe.batch_size, self.processes.rank
        inputs, targets = columns_of(tokens, size * self.processes.size)
        own = slice(rank * size, (rank + 1) * size)
        return inputs[:, own].contiguous(), targets[:, own].contiguous()

    def _optimizer(self) -> torch.optim.Optimizer:
        recipe, parameters = self.recipe, self.network.parameters()
        rate, decay = recipe.learning_rate, recipe.weight_decay
        if recipe.optimizer == "sgd":
            return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, fused=True)
        return torch.optim.Adam(
            parameters, lr=rate, weight_decay=decay, betas=(0.9, 0.99), fused=True
        )

    # --- state that a resumed run continues from ---

    def _settings(self) -> str:
        """What a resumed run must share with the one it continues."""
        kept = self.recipe.model_dump_json(
            exclude={
                "train",
                "valid",
                "test",
                "shared_tokenizer",
                "continue_from",
                "checkpoint_updates",
            }
        )
        return hashlib.sha256(f"{kept}/{self.processes.size}".encode()).hexdigest()

    def _save(self) -> None:
        own = {"state": self.state, "random": torch.get_rng_state()}
        of_each = self.processes.gather(own)
        if self.processes.is_first:
            self._checkpoint.save(self.counters, averaging=self.averaging, processes=of_each)

    def _restore(self) -> None:
        checkpoint = self._checkpoint.restore(self.counters)
        self.averaging = checkpoint["averaging"]
        own = checkpoint["processes"][self.processes.rank]
        self.state = own["state"]
        torch.set_rng_state(own["random"])

    def _open_logs(self) -> None:
        if not self.processes.is_first:
            return
        folder, update = self.folder, self.counters.update
        self.epoch_log = CsvLog.resumed(folder / "log.csv", _EPOCH_COLUMNS, update=update)
        self.update_log = CsvLog.resumed(folder / "updates.csv", _UPDATE_COLUMNS, update=update)

    # --- training ---

    def run(self, progress: Progress | None = None) -> Path:
        """Trains to the last epoch.

        Returns:
            the path of the best weights.
        """
        silent = Progress(disable=True)
        with progress or (training_bar(*_BAR) if self.processes.is_first else silent) as bar:
            while self.counters.epoch < self.recipe.epochs:
                self._run_epoch(bar)
        if self.processes.is_first:
            plot_losses(self.folder)
        return self.folder / "best.safetensors"

    def _segments(self) -> list[tuple[int, int]]:
        """Of the current epoch; they follow from seed and epoch, so a resumed run finds them."""
        recipe = self.recipe
        key = f"{recipe.seed}/{self.counters.epoch}"
        chance = random.Random(key) if recipe.variable_bptt else None
        return list(pairwise(segment_bounds(len(self.inputs), recipe.bptt, chance)))

    def _run_epoch(self, bar: Progress) -> None:
        counters = self.counters
        segments = self._segments()
        if not counters.segment:
            self.state = self.network.initial_state(self.recipe.batch_size)
        task = bar.add_task(
            f"epoch {counters.epoch + 1}/{self.recipe.epochs}",
            total=len(segments), completed=counters.segment, loss=0.0, speed=0.0,
        )  # fmt: skip
        for begin, end in segments[counters.segment :]:
            began = time.monotonic()
            done = (counters.epoch + counters.segment / len(segments)) / self.recipe.epochs
            self._reset_some()
            loss = self._learn(begin, end, done)
            counters.segment += 1
            self._count(loss, end - begin, time.monotonic() - began)
            self._report(bar, task, loss)
            if counters.update % self.recipe.checkpoint_updates == 0:
                self._save()
        self._finish_epoch()
        bar.remove_task(task)

    def _reset_some(self) -> None:
        """Lets some columns begin anew. A network whose state was always carried knows no
        beginning: from a state of zero it may never find back to one that it has seen."""
        if not self.recipe.reset_share:
            return
        kept = torch.rand(self.recipe.batch_size) >= self.recipe.reset_share  # (B,)
        self.state = tuple(
            tuple(part * kept.to(part.dtype).unsqueeze(1) for part in layer) for layer in self.state
        )

    def _learn(self, begin: int, end: int, done: float) -> float:
        """One optimizer step on a segment; returns its loss in nats per token, without penalties.

        Raises `TrainingError` before the weights are touched if loss or gradient is not finite.
        """
        recipe = self.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate(done, end - begin)
        self.network.train()
        self.optimizer.zero_grad()
        outputs = self.network(self.inputs[begin:end], detached(self.state), self.dtype)
        gold = self.targets[begin:end].flatten()  # (T * B,)
        hidden = outputs.dropped.flatten(0, 1)  # (T * B, E)
        loss = self.network.output.summed_loss(hidden, gold, self.dtype) / len(gold)
        (loss + self._penalties(outputs)).backward()  # type: ignore[no-untyped-call]
        self.processes.average_gradients(self.network.parameters())
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip_norm)
        mean = self.processes.mean(float(loss.detach()))
        refuse_divergence(self.counters.update + 1, mean, float(norm))
        self.optimizer.step()
        self.state = detached(outputs.state)
        self.counters.update += 1
        if self.averaging:
            self.average.add(self.network)
        return mean

    def _learning_rate(self, done: float, steps: int) -> float:
        """A segment's share of the rate is its share of the usual length (Merity et al. 2018)."""
        recipe = self.recipe
        rate = recipe.learning_rate * steps / recipe.bptt
        if recipe.schedule == "cosine":
            return rate * warmup_cosine(self.counters.update, done, warmup=recipe.warmup_updates)
        return rate * min(1.0, (self.counters.update + 1) / recipe.warmup_updates)

    def _penalties(self, outputs: Outputs) -> Tensor:
        """AR keeps the top layer's dropped activations small, TAR its steps (Merity et al. 2017).

        alpha * mean(dropped^2) + beta * mean((h_t - h_(t+1))^2)
        """
        total = torch.zeros(())
        if self.recipe.activation_penalty:
            total = total + self.recipe.activation_penalty * outputs.dropped.float().square().mean()
        if self.recipe.temporal_penalty and len(outputs.raw) > 1:
            raw = outputs.raw.float()
            total = total + self.recipe.temporal_penalty * (raw[1:] - raw[:-1]).square().mean()
        return total

    # --- measuring ---

    def _count(self, loss: float, steps: int, seconds: float) -> None:
        counters = self.counters
        tokens = steps * self.recipe.batch_size * self.processes.size
        counters.epoch_loss += loss * tokens
        counters.recent_loss += loss * tokens
        counters.epoch_tokens += tokens
        counters.recent_tokens += tokens
        counters.epoch_seconds += seconds

    def _report(self, bar: Progress, task: TaskID, loss: float) -> None:
        counters = self.counters
        bar.update(task, advance=1, loss=loss, speed=counters.tokens_per_second)
        if counters.update % self.recipe.log_updates:
            return
        if self.processes.is_first:
            self.update_log.write(
                update=counters.update,
                learning_rate=f"{self.optimizer.param_groups[0]['lr']:.4g}",
                train_loss=round(counters.recent_loss / counters.recent_tokens, 4),
            )
        counters.recent_loss, counters.recent_tokens = 0.0, 0

    def _finish_epoch(self) -> None:
        counters = self.counters
        loss = self.valid_loss()
        counters.valid_losses.append(loss)
        counters.epoch, counters.segment = counters.epoch + 1, 0
        row = self._epoch_row(loss)
        if loss < counters.best_loss:
            counters.best_loss = loss
            self._write_weights()
        if self.recipe.averaging == "non_monotone" and not self.averaging:
            self.averaging = stopped_falling(counters.valid_losses, self.recipe.non_monotone_epochs)
        counters.epoch_loss, counters.epoch_tokens, counters.epoch_seconds = 0.0, 0, 0.0
        if self.processes.is_first:
            self.epoch_log.write(**row)
        self._save()

    def _epoch_row(self, valid_loss: float) -> dict[str, Any]:
        counters = self.counters
        return {
            "epoch": counters.epoch,
            "update": counters.update,
            "seconds": round(counters.epoch_seconds, 1),
            "train_loss": round(counters.epoch_loss / counters.epoch_tokens, 4),
            "valid_loss": round(valid_loss, 4),
            "valid_perplexity": round(math.exp(min(valid_loss, 700.0)), 2),
            "tokens_per_second": round(counters.tokens_per_second),
            "averaged": int(self.averaging),
        }

    def valid_loss(self) -> float:
        """Nats per token of the validation text, by the averaged weights where there are any."""
        loss = 0.0
        if self.processes.is_first:
            with self.average.in_place(self.network):
                loss = mean_loss(
                    self.network, self.valid.tokens, columns=_VALID_COLUMNS, dtype=self.dtype
                )
        return self.processes.from_first(loss)

    def _write_weights(self) -> None:
        if self.processes.is_first:
            with self.average.in_place(self.network):
                weights = save(self.network.state_dict())
            write_atomically(self.folder / "best.safetensors", weights)
