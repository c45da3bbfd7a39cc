"""Trains a translator by a recipe, resumably, and leaves averaged weights behind."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from dragoman_models.errors import TrainingError
from dragoman_models.metrics.translation_quality import corpus_bleu, tokenized_bleu
from dragoman_models.training import (
    CsvLog,
    average_weights,
    compute_dtype,
    warmup_cosine,
    write_atomically,
)
from dragoman_models.training_run import (
    CHECKPOINT,
    RunCheckpoint,
    RunCounters,
    claim_folder,
    refuse_divergence,
    training_bar,
)
from dragoman_models.translation.corpus import Batch, collate, gather_batches
from dragoman_models.translation.loss import SmoothedCrossEntropy
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.recipe import TranslationRecipe
from dragoman_models.translation.run_data import RunData
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator

_AVERAGED = "averaged.safetensors"
_LOG_COLUMNS = (
    "pass", "update", "seconds", "train_loss", "tokens_per_second", "dev_loss", "dev_bleu",
)  # fmt: skip
_BAR = ("loss {task.fields[loss]:.3f}", "{task.fields[speed]:,.0f} tokens/s")


@dataclass(kw_only=True)
class TranslationCounters(RunCounters):
    """Where a run is, and the BLEU of dev after each finished pass."""

    finished_passes: int = 0
    batches_done: int = 0
    """Of the current pass."""
    pass_bleus: list[float] = field(default_factory=list)
    best_bleu: float = -1.0
    best_pass: int = 0


class TranslationTrainer:
    """One training run in a folder of its own.

    The folder holds the tokenizer, ``checkpoint.pt`` (everything that ``resume`` needs),
    ``pass-N.safetensors`` (weights after each pass that may yet be averaged), ``log.csv``, and
    in the end ``averaged.safetensors``.
    """

    def __init__(self, recipe: TranslationRecipe, folder: Path, *, resume: bool = False) -> None:
        """Reads the data and makes or finds the tokenizer.

        Raises:
            TrainingError: the data is unusable, the folder holds another run, or there is
                nothing to resume.
        """
        claim_folder(folder, begun=(folder / CHECKPOINT).exists(), resume=resume)
        self.recipe = recipe
        self.folder = folder
        self.data = RunData(recipe, folder)
        self.tokenizer = self.data.tokenizer
        self.dtype = compute_dtype(recipe.precision)
        torch.manual_seed(recipe.seed)
        network_config = recipe.network.model_copy(
            update={"vocabulary_size": self.tokenizer.vocabulary_size}
        )
        self.network = TranslationNetwork(network_config, dropout=recipe.rates)
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True
        )
        self.counters = TranslationCounters()
        self._checkpoint = RunCheckpoint(
            folder,
            {"network": self.network, "optimizer": self.optimizer},
            settings=self._settings(),
        )
        self.log = CsvLog(folder / "log.csv", _LOG_COLUMNS)
        if resume:
            torch.set_rng_state(self._checkpoint.restore(self.counters)["random_state"])
        elif recipe.continue_from is not None:
            self._begin_with(recipe.continue_from / _AVERAGED)

    def _begin_with(self, path: Path) -> None:
        """Takes over the weights of a finished run."""
        try:
            self.network.load_state_dict(load_file(path))
        except (OSError, RuntimeError, SafetensorError) as error:
            raise TrainingError(
                f"continue_from: {path} holds no weights of such a network: {error}"
            ) from error

    # --- state that a resumed run continues from ---

    def _settings(self) -> str:
        """What a resumed run must share with the one it continues."""
        kept = {
            name: value for name, value in self.recipe.as_config().items() if name != "patience"
        }
        return hashlib.sha256(json.dumps(kept).encode()).hexdigest()

    def _save(self) -> None:
        self._checkpoint.save(self.counters, random_state=torch.get_rng_state())

    # --- training ---

    def run(self, progress: Progress | None = None) -> Path:
        """Trains until the passes or the patience are used up.

        Returns:
            the path of the averaged weights.
        """
        recipe, counters = self.recipe, self.counters
        with progress or training_bar(*_BAR) as bar:
            while (
                counters.finished_passes < recipe.passes
                and counters.finished_passes - counters.best_pass < recipe.patience
            ):
                self._run_pass(bar)
        return self.write_average()

    def _run_pass(self, bar: Progress) -> None:
        counters = self.counters
        pairs, batches = self.data.encoded_pass(counters.finished_passes)
        left = batches[counters.batches_done :]
        task = bar.add_task(
            f"pass {counters.finished_passes + 1}/{self.recipe.passes}",
            total=len(batches), completed=counters.batches_done, loss=0.0, speed=0.0,
        )  # fmt: skip
        began, losses, tokens = time.monotonic(), [], 0
        for indices in left:
            batch = collate([pairs[i] for i in indices])
            done = counters.finished_passes + counters.batches_done / len(batches)
            losses.append(self.learn(batch, progress=done / self.recipe.passes))
            tokens += int(batch.target.ne(0).sum())
            counters.batches_done += 1
            speed = tokens / (time.monotonic() - began)
            recent = sum(losses[-50:]) / len(losses[-50:])
            bar.update(task, advance=1, loss=recent, speed=speed)
            if counters.update % self.recipe.checkpoint_updates == 0:
                self._save()
        counters.finished_passes += 1
        counters.batches_done = 0
        self._finish_pass(losses, tokens, time.monotonic() - began)
        bar.remove_task(task)

    def learn(self, batch: Batch, *, progress: float) -> float:
        """One optimizer step; returns the loss without smoothing, in nats per piece.

        Raises `TrainingError` before the weights are touched if loss or gradient is not finite.
        """
        recipe = self.recipe
        factor = warmup_cosine(self.counters.update, progress, warmup=recipe.warmup_updates)
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.learning_rate * factor
        self.network.train()
        self.optimizer.zero_grad()
        smoothed, plain = self._loss(batch, recipe.label_smoothing)
        smoothed.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip_norm)
        refuse_divergence(self.counters.update + 1, float(plain), float(norm))
        self.optimizer.step()
        self.counters.update += 1
        return float(plain)

    def _loss(self, batch: Batch, smoothing: float) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast("cpu", dtype=self.dtype, enabled=self.dtype != torch.float32):
            attentional = self.network(batch.source, batch.source_lengths, batch.target)
        target = batch.target.t()
        real = target.ne(0)  # PAD is 0
        loss: tuple[torch.Tensor, torch.Tensor] = SmoothedCrossEntropy.apply(  # type: ignore[no-untyped-call]
            attentional[real], self.network.target_embedding.weight, self.network.output_bias,
            target[real], smoothing, self.dtype,
        )  # fmt: skip
        return loss

    # --- measuring ---

    def _finish_pass(self, losses: list[float], tokens: int, seconds: float) -> None:
        counters = self.counters
        dev_loss, dev_bleu = self.dev_loss(), self.dev_bleu()
        counters.pass_bleus = [*counters.pass_bleus, dev_bleu]
        if dev_bleu > counters.best_bleu:
            counters.best_bleu, counters.best_pass = dev_bleu, counters.finished_passes
        self._keep_weights()
        self._save()
        values: dict[str, Any] = {
            "pass": counters.finished_passes,
            "update": counters.update,
            "seconds": round(seconds, 1),
            "train_loss": round(sum(losses) / max(len(losses), 1), 4),
            "tokens_per_second": round(tokens / seconds),
            "dev_loss": round(dev_loss, 4),
            "dev_bleu": round(dev_bleu, 2),
        }
        self.log.write(**values)

    def _keep_weights(self) -> None:
        """Those of this pass, and of the others only what may yet be averaged."""
        last = self.counters.finished_passes
        write_atomically(self._weights_path(last), save(self.network.state_dict()))
        kept = self._passes_to_average()
        for number in range(1, last):
            if number not in kept:
                self._weights_path(number).unlink(missing_ok=True)

    def _weights_path(self, number: int) -> Path:
        return self.folder / f"pass-{number}.safetensors"

    @torch.no_grad()
    def dev_loss(self) -> float:
        """Nats per dev piece, without smoothing, dropout or sampling."""
        self.network.eval()
        total, tokens = 0.0, 0
        for batch in self._dev_batches():
            count = int(batch.target.ne(0).sum())
            total += float(self._loss(batch, 0.0)[1]) * count
            tokens += count
        return total / tokens

    def _dev_batches(self) -> Iterator[Batch]:
        pairs = self.data.encoded_dev()
        for indices in gather_batches(
            pairs, target_tokens=self.recipe.batch_target_tokens, order=random.Random(0)
        ):
            yield collate([pairs[i] for i in indices])

    def dev_bleu(self, beam_width: int = 1) -> float:
        """sacreBLEU of the dev sources' translations by the weights as they are."""
        pairs = self.data.dev_pairs
        translator = Translator(
            self.network,
            self.tokenizer,
            source_language=self.recipe.source_language,
            target_language=self.recipe.target_language,
        )
        options = TranslationOptions(beam_width=beam_width)
        try:
            answers = translator.translate([pair.source for pair in pairs], options)
        finally:
            self.network.requires_grad_(True)
        hypotheses = [answer[0].text for answer in answers]
        references = [pair.target for pair in pairs]
        if self.recipe.preparation == "none":
            return corpus_bleu(hypotheses, references).score
        return tokenized_bleu(hypotheses, references).score

    def _passes_to_average(self) -> list[int]:
        """Numbers of the last passes, the last first; or of those with the best dev BLEU, the best
        first, of equals the later."""
        passes = list(range(self.counters.finished_passes, 0, -1))
        if self.recipe.keep_best:
            passes.sort(key=lambda number: -self.counters.pass_bleus[number - 1])
        return passes[: self.recipe.averaged_checkpoints]

    def write_average(self) -> Path:
        """Averages the weights of the last passes, or the best; or keeps those of the very last,
        or very best, if they do better on dev."""
        paths = [self._weights_path(number) for number in self._passes_to_average()]
        averaged = average_weights(load_file(path) for path in paths)
        candidates = [averaged, load_file(paths[0])]
        scores = []
        for weights in candidates:
            self.network.load_state_dict(weights)
            scores.append(self.dev_bleu())
        best = candidates[scores.index(max(scores))]
        self.network.load_state_dict(best)
        target = self.folder / _AVERAGED
        write_atomically(target, save(best))
        return target
