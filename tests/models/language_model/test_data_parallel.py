"""Two processes over gloo learn what one learns with the doubled batch."""

import csv
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rich.progress import Progress
from safetensors.torch import load_file

from dragoman_models.language_model.recipe import LanguageModelRecipe
from dragoman_models.language_model.trainer import LanguageModelTrainer

_PROGRAM = """
import sys
from pathlib import Path
import torch
from rich.progress import Progress
from dragoman_models.language_model.process_group import joined_processes
from dragoman_models.language_model.recipe import LanguageModelRecipe
from dragoman_models.language_model.trainer import LanguageModelTrainer
torch.set_num_threads(1)
recipe = LanguageModelRecipe.model_validate_json(sys.argv[1])
for epochs, resume in ((1, False), (2, True)):
    with joined_processes() as processes:
        trainer = LanguageModelTrainer(
            recipe, Path(sys.argv[2]), resume=resume, processes=processes
        )
        while trainer.counters.epoch < epochs:
            trainer._run_epoch(Progress(disable=True))
    if epochs == 1:
        import os
        os.environ["MASTER_PORT"] = sys.argv[3]
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def curve(folder: Path) -> list[tuple[float, ...]]:
    with (folder / "log.csv").open(newline="") as log, (folder / "updates.csv").open() as updates:
        epochs = [(float(r["train_loss"]), float(r["valid_loss"])) for r in csv.DictReader(log)]
        return [*epochs, *((float(r["train_loss"]),) for r in csv.DictReader(updates))]


def test_two_processes_equal_one_with_the_doubled_batch(
    tmp_path: Path, tiny_recipe: Callable[..., LanguageModelRecipe]
) -> None:
    """Also across a resume, where each process must find its own columns' state again."""
    recipe = tiny_recipe(dropout={"hidden": 0, "output": 0})
    alone, together = tmp_path / "alone", tmp_path / "together"
    LanguageModelTrainer(recipe, alone).run(Progress(disable=True))
    half = recipe.model_copy(update={"batch_size": recipe.batch_size // 2})
    port, next_port = free_ports(2)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, half.model_dump_json(), str(together), str(next_port)],
            env={**os.environ, "WORLD_SIZE": "2", "RANK": str(rank), "MASTER_ADDR": "127.0.0.1",
                 "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    for process in processes:
        _, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
    for one, other in zip(curve(alone), curve(together), strict=True):
        assert one == pytest.approx(other, abs=5e-4)
    expected = load_file(alone / "best.safetensors")
    for name, weight in load_file(together / "best.safetensors").items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=2e-3)
