"""The folder of a training run: whose it is, and what a resumed run goes on from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeRemainingColumn

from dragoman_models.errors import TrainingError
from dragoman_models.training import load_checkpoint, save_checkpoint

CHECKPOINT = "checkpoint.pt"


class Stateful(Protocol):
    """What learns, or counts towards what is learnt: a network, its optimizer, an average."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any, /) -> object: ...


@dataclass(kw_only=True)
class RunCounters:
    """What a run counts, kept in its checkpoint field by field; a family adds its own."""

    update: int = 0
    """Optimizer steps done."""


class RunCheckpoint:
    """``checkpoint.pt`` of a run's folder, which holds everything that ``resume`` needs."""

    def __init__(
        self, folder: Path, parts: Mapping[str, Stateful], *, settings: str, or_other: str = ""
    ) -> None:
        """Writes nothing yet.

        Args:
            parts: what has a state, by the name that it has in the file.
            settings: what a resumed run must share with the one it continues.
            or_other: what else than the recipe goes into ``settings``, for the refusal.
        """
        self.folder = folder
        self._parts = parts
        self._settings = settings
        self._or_other = or_other

    def save(self, counters: RunCounters, **values: Any) -> None:
        """Replaces the last checkpoint; ``values`` are tensors or plain values.

        Raises:
            TrainingError: the disk refuses.
        """
        states = {name: part.state_dict() for name, part in self._parts.items()}
        save_checkpoint(
            self.folder / CHECKPOINT,
            {"settings": self._settings, **states, **values, **asdict(counters)},
        )

    def restore(self, counters: RunCounters) -> dict[str, Any]:
        """Gives the parts and the counters what they had.

        Returns:
            all that was saved, by name.
        Raises:
            TrainingError: the file is damaged or another recipe's.
        """
        checkpoint = load_checkpoint(self.folder / CHECKPOINT)
        if checkpoint.get("settings") != self._settings:
            needed = f"{self._or_other}; resume with {'those' if self._or_other else 'that'}"
            raise TrainingError(f"{self.folder} was begun with another recipe{needed}")
        for name, part in self._parts.items():
            part.load_state_dict(checkpoint[name])
        for field in fields(counters):
            setattr(counters, field.name, checkpoint[field.name])
        return checkpoint


def claim_folder(folder: Path, *, begun: bool, resume: bool) -> None:
    """Makes the folder of a new run, or finds that of the one to resume.

    Args:
        begun: whether there is a checkpoint. Where several processes train together, one looks for
            all, because the first to save would have the others refuse.
    Raises:
        TrainingError: the folder holds another run, there is nothing to resume, or it cannot be
            made.
    """
    if begun and not resume:
        raise TrainingError(f"{folder} holds a training run; give --resume or another folder")
    if resume and not begun:
        raise TrainingError(f"nothing to resume: {folder / CHECKPOINT} does not exist")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"cannot make the folder {folder}: {error}") from error


def refuse_divergence(update: int, loss: float, gradient_norm: float | None = None) -> None:
    """To be asked before the weights are touched.

    Args:
        update: the number of the optimizer step, from 1.
        gradient_norm: where gradients are clipped.
    Raises:
        TrainingError: the loss or the norm is not finite.
    """
    if gradient_norm is None:
        if not math.isfinite(loss):
            raise TrainingError(f"training diverged at update {update}; lower learning_rate")
    elif not math.isfinite(loss) or not math.isfinite(gradient_norm):
        raise TrainingError(
            f"training diverged at update {update} (loss {loss:g}, gradient norm "
            f"{gradient_norm:g}); lower learning_rate or clip_norm"
        )


def training_bar(*columns: str) -> Progress:
    """A bar on standard error with what each task reports and the time left.

    Args:
        columns: texts with ``{task.fields[...]}`` in them.
    """
    return Progress(
        *Progress.get_default_columns()[:-1],
        *(TextColumn(column) for column in columns),
        TimeRemainingColumn(),
        speed_estimate_period=120,
        console=Console(stderr=True),
    )
