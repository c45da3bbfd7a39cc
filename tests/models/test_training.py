"""Schedules, averaging, checkpoints and the log, each against what it promises."""

import csv
import errno
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.errors import TrainingError
from dragoman_models.training import (
    CsvLog,
    average_weights,
    compute_dtype,
    load_checkpoint,
    save_checkpoint,
    warmup_cosine,
    write_atomically,
)


def full_disk(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupt(*_: Any, **__: Any) -> NoReturn:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("update", "progress", "factor"),
    [
        (0, 0.0, 1 / 4),  # warm-up: a quarter, a half, ...
        (1, 0.0, 2 / 4),
        (3, 0.0, 1.0),  # the peak
        (400, 0.5, 0.1 + 0.9 / 2),  # half way down from 1 to the floor
        (400, 1.0, 0.1),
        (400, 7.0, 0.1),
        (1, 0.5, (0.1 + 0.9 / 2) / 2),
    ],
)
def test_warmup_cosine(update: int, progress: float, factor: float) -> None:
    assert warmup_cosine(update, progress, warmup=4, floor=0.1) == pytest.approx(factor)


@given(st.integers(0, 1000), st.integers(1, 500), st.floats(0, 1), st.floats(0, 1))
def test_the_learning_rate_rises_then_falls(
    update: int, warmup: int, progress: float, later: float
) -> None:
    progress, later = sorted((progress, later))
    factor = warmup_cosine(update, progress, warmup=warmup)
    assert 0 < factor <= 1
    assert warmup_cosine(update, later, warmup=warmup) <= factor
    assert warmup_cosine(update + 1, progress, warmup=warmup) >= factor


@given(st.integers(1, 5), st.integers(0, 2**32 - 1), st.sampled_from([torch.float32, torch.half]))
def test_average_is_numpys_mean(count: int, seed: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(seed)
    checkpoints = [
        {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in SHAPES.items()}
        for _ in range(count)
    ]
    average = average_weights(iter(checkpoints))
    assert list(average) == list(SHAPES)
    for name, weight in average.items():
        exact = np.mean([checkpoint[name].double().numpy() for checkpoint in checkpoints], axis=0)
        np.testing.assert_allclose(weight.numpy(), exact, rtol=1e-7)
        assert weight.dtype is torch.float32


SHAPES = {"embedding.weight": (3, 2), "bias": (4,), "scale": ()}


def test_average_of_nothing() -> None:
    with pytest.raises(TrainingError, match="no checkpoints"):
        average_weights([])


def test_checkpoints_come_back_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    weights = {"a": torch.randn(4, 3), "b": torch.tensor([math.nan, math.inf])}
    save_checkpoint(path, {"weights": weights, "update": 7, "best": -1.0})
    checkpoint = load_checkpoint(path)
    assert (checkpoint["update"], checkpoint["best"]) == (7, -1.0)
    for name, weight in weights.items():
        assert torch.equal(checkpoint["weights"][name].view(torch.int32), weight.view(torch.int32))
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


Writer = Callable[[Path, int], None]


def write_checkpoint(path: Path, value: int) -> None:
    save_checkpoint(path, {"value": value})


def write_bytes(path: Path, value: int) -> None:
    write_atomically(path, bytes([value]) * 100_000)


@pytest.mark.parametrize("write", [write_checkpoint, write_bytes])
@pytest.mark.parametrize(
    ("failure", "error"), [(full_disk, TrainingError), (interrupt, KeyboardInterrupt)]
)
@pytest.mark.parametrize("where", ["write", "rename"])
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Writer,
    failure: Callable[..., NoReturn],
    error: type[BaseException],
    where: str,
) -> None:
    path = tmp_path / "file"
    write(path, 1)
    old = path.read_bytes()
    if where == "rename":
        monkeypatch.setattr(Path, "replace", failure)
    else:
        monkeypatch.setattr(os, "fsync", failure)
        monkeypatch.setattr(torch, "save", failure)
    with pytest.raises(error):
        write(path, 2)
    assert path.read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


class Payload:
    """Pickles to a call: what must never run when a checkpoint is read."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("exit 3",)


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_a_cut_short_checkpoint_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"weights": torch.randn(1000)})
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(TrainingError, match="cannot read checkpoint"):
        load_checkpoint(path)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(TrainingError, match=r"nothing to resume: .*checkpoint\.pt does not exist"):
        load_checkpoint(path)
    torch.save(torch.ones(2), path)
    with pytest.raises(TrainingError, match="is no checkpoint"):
        load_checkpoint(path)
    torch.save({"code": Payload()}, path)
    with pytest.raises(TrainingError, match="cannot read checkpoint"):
        load_checkpoint(path)


def test_the_log_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    CsvLog(path, ("update", "loss", "note")).write(update=1, loss=0.5, note='a "b", c')
    CsvLog(path, ("update", "loss", "note")).write(update=2)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"update": "1", "loss": "0.5", "note": 'a "b", c'},
        {"update": "2", "loss": "", "note": ""},
    ]


def test_the_log_says_where_it_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"cannot write .*log\.csv"):
        CsvLog(tmp_path / "none" / "log.csv", ("pass",))


def test_precision_is_what_was_asked_for() -> None:
    assert compute_dtype("fp32") is torch.float32
    assert compute_dtype("bf16") is torch.bfloat16


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "avx2": True}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_auto_precision_follows_the_cpu(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert compute_dtype("auto") is dtype
