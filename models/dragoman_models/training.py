"""What every training recipe needs: schedules, checkpoints, averaging, and logs."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from dragoman_models.errors import TrainingError

Precision = Literal["auto", "bf16", "fp32"]


def compute_dtype(precision: Precision) -> torch.dtype:
    """The type of matrix products; ``auto`` takes bfloat16 where the CPU multiplies it natively."""
    if precision == "auto":
        capabilities = torch.cpu.get_capabilities()
        native = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
        return torch.bfloat16 if native else torch.float32
    return torch.bfloat16 if precision == "bf16" else torch.float32


def warmup_cosine(update: int, progress: float, *, warmup: int, floor: float = 0.02) -> float:
    """Factor of the peak learning rate: linear warm-up, then a half cosine down to ``floor``.

    Args:
        update: optimizer steps done, which the warm-up counts.
        progress: share of the whole training done, 0 to 1.
    """
    cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    return min(1.0, (update + 1) / warmup) * cosine


def write_atomically(path: Path, content: bytes) -> None:
    """Either the whole file is there afterwards, or what was there before.

    Raises:
        TrainingError: the disk refuses.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise TrainingError(f"cannot write {path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def save_checkpoint(path: Path, checkpoint: Mapping[str, Any]) -> None:
    """Writes tensors and plain values, atomically: Ctrl-C or a full disk leave the last one.

    Raises:
        TrainingError: the disk refuses.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        torch.save(dict(checkpoint), temporary)
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        raise TrainingError(f"cannot write checkpoint {path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads what ``save_checkpoint`` wrote; tensors and plain values only, never code.

    Raises:
        TrainingError: there is no checkpoint, or it is damaged.
    """
    try:
        checkpoint = torch.load(path, weights_only=True)
    except FileNotFoundError as error:
        raise TrainingError(f"nothing to resume: {path} does not exist") from error
    except Exception as error:  # torch reports damage with many types
        raise TrainingError(f"cannot read checkpoint {path}: {error}") from error
    if not isinstance(checkpoint, dict):
        raise TrainingError(f"{path} is no checkpoint")
    return checkpoint


def average_weights(checkpoints: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each weight over several checkpoints of one network."""
    total: dict[str, Tensor] = {}
    count = 0
    for weights in checkpoints:
        count += 1
        for name, weight in weights.items():
            total[name] = total[name] + weight.double() if name in total else weight.double()
    if not count:
        raise TrainingError("no checkpoints to average")
    return {name: (weight / count).float() for name, weight in total.items()}


class CsvLog:
    """One row a report, appended and flushed, so that a killed run keeps its curve.

    Making one and writing to it raise `TrainingError` where the disk refuses.
    """

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        self._path = path
        self._columns = columns
        if not path.exists():
            self._append(dict(zip(columns, columns, strict=True)))

    @classmethod
    def resumed(cls, path: Path, columns: tuple[str, ...], *, update: int) -> CsvLog:
        """The log of a run that goes on after an update: later rows will be written again."""
        drop_rows_after(path, update)
        return cls(path, columns)

    def write(self, **values: float | int | str) -> None:
        """Appends a row; columns without a value stay empty."""
        self._append(values)

    def _append(self, values: Mapping[str, float | int | str]) -> None:
        try:
            with self._path.open("a", newline="") as file:
                csv.DictWriter(file, self._columns).writerow(values)
        except OSError as error:
            raise TrainingError(f"cannot write {self._path}: {error}") from error


def drop_rows_after(path: Path, update: int) -> None:
    """Rewrites a log without its rows of later updates; those without an end are dropped too.

    Raises:
        TrainingError: the log cannot be read or written.
    """
    if not path.exists():
        return
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"cannot read {path}: {error}") from error
    whole = "".join(line for line in lines if line.endswith("\n"))
    reader = csv.DictReader(io.StringIO(whole, newline=""))
    kept = io.StringIO(newline="")
    writer = csv.DictWriter(kept, reader.fieldnames or ())
    writer.writeheader()
    writer.writerows(row for row in reader if int(row["update"]) <= update)
    write_atomically(path, kept.getvalue().encode())
